//! The tables `notice`, `notice_subject` and `digest`: the insert of a subject is the claim to tell it.
//!
//! What falls due at once may be more than one transaction should take, and still each recipient gets one notice. So a sweep
//! claims obligations batch by batch, and what it claimed gathers in the table `digest`, one row for each recipient and due
//! time; the notices are written when it has been through all. Where everything is in one batch that is the same transaction,
//! and the table stays empty. What a sweep leaves behind that is killed between two batches, the next one goes on with.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_events::append;
use dunghan_hierarchy::UnitId;
use dunghan_proto::events::NoticeCreated;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Write, rows_per_insert};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, OnConflict};
use sea_orm::{JoinType, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};

use super::obligation_row::TURN;
use super::{DueGroup, Error, Store, from_us, take_turns, unreadable, us};
use crate::domain::dossier::DossierName;
use crate::domain::notice::{
    DUE, Digest, Named, Notice, RETRACTED, RETURN_DUE, STREAM, Subject, Telling, Topic, rung,
};
use crate::domain::obligation::{Obligation, ObligationName, Task};
use crate::domain::regime::RegimeId;

const TABLE: &str = "notice";
const DIGEST: &str = "digest";
/// Values of one IN list, well below what a statement can bind.
const IN_LIST: usize = 5000;
/// Obligations put into words before others have their turn.
const WORDED_AT_ONCE: usize = 500;
/// Notices written in one transaction.
const NOTICES_AT_ONCE: u64 = 1000;

mod notice {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "notice")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub recipient: Uuid,
        pub regime: Option<String>,
        pub period: Option<String>,
        pub rung: String,
        pub detect_us: i64,
        pub body: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod subject {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "notice_subject")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub rung: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub due_generation: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub recipient: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub channel: String,
        pub notice_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod digest {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "digest")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub regime: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub period: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub rung: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub recipient: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub due_us: i64,
        pub notice_id: Uuid,
        pub since_us: i64,
        pub subject_count: i64,
        pub named: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a notice stands in the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeKey {
    detect_us: i64,
    id: Uuid,
}

impl From<&Notice> for NoticeKey {
    fn from(notice: &Notice) -> Self {
        Self { detect_us: us(notice.detect_time), id: notice.id }
    }
}

/// What became of a batch of obligations that a sweep had found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many were claimed, by what is told of them.
    pub claimed: BTreeMap<Task, usize>,
    /// What somebody else had told meanwhile.
    pub already: BTreeSet<Task>,
    /// What submission knows otherwise than is known here: nobody is accused by it.
    pub unverified: usize,
    /// Of some there is more to be done at once.
    pub more: bool,
    /// The notices that were written.
    pub notices: Vec<Task>,
}

/// Which digest: by task, recipient and due time, as the table has that.
type DigestKey = (Task, UnitId, i64);
/// Digests, each with the id of the notice that it becomes.
type Digests = BTreeMap<DigestKey, (Uuid, Digest)>;

/// One subject of one digest.
struct Claim {
    key: DigestKey,
    since: DateTime<Utc>,
    subject: Subject,
    named: Named,
}

impl Store {
    /// Claims what is to be told of obligations of one regime and period that a sweep has found, in one transaction: of those,
    /// what is still to be told. `held` are the units whose report submission has, by its own word just now: nobody is said to
    /// be missing who is among them, and nothing is said of the report of one who is not.
    ///
    /// With `whole`, that is all there is to tell of the period, and the notices are written.
    pub async fn obligation_tell(
        &self,
        found: &[Obligation],
        held: &HashSet<UnitId>,
        telling: &Telling<'_>,
        whole: bool,
    ) -> Result<Told, Error> {
        let at = telling.at;
        self.database
            .write(async |write| {
                let mut told = Told::default();
                let names: Vec<_> = found.iter().map(|found| found.name.clone()).collect();
                let before: HashMap<_, _> =
                    found.iter().map(|found| (&found.name, found)).collect();
                let fresh = Self::obligation_locked(write, &names).await?;
                let accusers = Self::accusers(write, &fresh).await?;
                let (mut claims, mut changed) = (Vec::new(), Vec::new());
                for (at_hand, mut obligation) in fresh.into_iter().enumerate() {
                    // Words for thousands take a while: others have their turn meanwhile.
                    if at_hand % WORDED_AT_ONCE == WORDED_AT_ONCE - 1 {
                        tokio::task::yield_now().await;
                    }
                    let was = before.get(&obligation.name);
                    let due = obligation.task().filter(|(from, _)| *from <= at);
                    let Some((since, task)) = due else {
                        let expected =
                            was.and_then(|was| was.task()).filter(|(from, _)| *from <= at);
                        match expected {
                            Some((_, task)) if was.is_some_and(|was| is_told(was, &obligation)) => {
                                told.already.insert(task);
                            }
                            Some(_) => {}
                            // It was on the list by mistake: the list is put right.
                            None => changed.push(obligation),
                        }
                        continue;
                    };
                    if held.contains(&obligation.name.unit) == (task == Task::TellMissing) {
                        told.unverified += 1;
                        continue;
                    }
                    claims.extend(claims_of(&obligation, since, task, &accusers, telling));
                    obligation.settle(task);
                    *told.claimed.entry(task).or_default() += 1;
                    told.more |= obligation.task().is_some_and(|(from, _)| from <= at);
                    changed.push(obligation);
                }
                Self::obligation_save(write, &changed).await?;
                let digests = Self::digest_gather(write, claims, telling).await?;
                if whole {
                    told.notices = Self::digest_tell(write, digests, telling).await?;
                } else {
                    Self::digest_save(write, &digests, telling).await?;
                }
                Ok(told)
            })
            .await
    }

    /// The regimes and periods of which something was claimed and is not told.
    pub async fn digest_groups(&self) -> Result<Vec<DueGroup>, Error> {
        let rows: Vec<(String, String)> = digest::Entity::find()
            .select_only()
            .column(digest::Column::Regime)
            .column(digest::Column::Period)
            .distinct()
            .order_by_asc(digest::Column::Regime)
            .order_by_asc(digest::Column::Period)
            .into_tuple()
            .all(self.database.reader())
            .await?;
        rows.into_iter()
            .map(|(regime, period)| {
                Ok(DueGroup {
                    regime: RegimeId::new(&regime).map_err(unreadable(DIGEST))?,
                    period: period.parse().map_err(unreadable(DIGEST))?,
                })
            })
            .collect()
    }

    /// Gives back what was claimed of a period and is not told: whoever claimed it was stopped, and much may have become
    /// otherwise since. Whatever of it is still to be told is found again.
    pub async fn digest_release(&self, group: &DueGroup) -> Result<(), Error> {
        self.database
            .write(async |write| {
                take_turns(write, TURN).await?;
                let of_group = Condition::all()
                    .add(digest::Column::Regime.eq(group.regime.id()))
                    .add(digest::Column::Period.eq(group.period.to_string()));
                let rows = digest::Entity::find().filter(of_group.clone()).all(&**write).await?;
                let notices: Vec<_> = rows.into_iter().map(|row| row.notice_id).collect();
                // Of each, whether it was claimed for a return that is overdue.
                let mut claimed = HashMap::<ObligationName, bool>::new();
                for chunk in notices.chunks(IN_LIST) {
                    let of_notices = subject::Column::NoticeId.is_in(chunk.iter().copied());
                    let claims = subject::Entity::find().filter(of_notices.clone());
                    for claim in claims.all(&**write).await? {
                        let name = claim.subject.parse().map_err(unreadable(TABLE))?;
                        *claimed.entry(name).or_default() |= claim.rung == RETURN_DUE;
                    }
                    subject::Entity::delete_many().filter(of_notices).exec(&**write).await?;
                }
                digest::Entity::delete_many().filter(of_group).exec(&**write).await?;
                let names: Vec<_> = claimed.keys().cloned().collect();
                for chunk in names.chunks(IN_LIST) {
                    let mut obligations = Self::obligation_locked(write, chunk).await?;
                    let told = Self::told_of(write, chunk).await?;
                    for obligation in &mut obligations {
                        let name = obligation.name.to_string();
                        let last = |rung: &str| told.get(&(name.clone(), rung.to_owned())).copied();
                        obligation.told = last(DUE);
                        obligation.retracted = last(RETRACTED);
                        if claimed[&obligation.name] {
                            obligation.return_told = None;
                        }
                    }
                    Self::obligation_save(write, &obligations).await?;
                }
                Ok(())
            })
            .await
    }

    /// The last due generation that was told of each of these obligations on each rung.
    async fn told_of(
        write: &Write<'_>,
        names: &[ObligationName],
    ) -> Result<HashMap<(String, String), i32>, Error> {
        let names = names.iter().map(ToString::to_string);
        let rows: Vec<(String, String, i32)> = subject::Entity::find()
            .select_only()
            .column(subject::Column::Subject)
            .column(subject::Column::Rung)
            .column(subject::Column::DueGeneration)
            .filter(subject::Column::Subject.is_in(names))
            .filter(subject::Column::Channel.eq(STREAM))
            .order_by_asc(subject::Column::DueGeneration)
            .into_tuple()
            .all(&**write)
            .await?;
        Ok(rows.into_iter().map(|(name, rung, told)| ((name, rung), told)).collect())
    }

    /// Writes the notices about what was claimed of a period, in transactions of a thousand. Returns what each tells.
    pub async fn digest_finish(&self, telling: &Telling<'_>) -> Result<Vec<Task>, Error> {
        use digest::Column as C;
        let mut told = Vec::new();
        loop {
            let written = self
                .database
                .write(async |write| {
                    take_turns(write, TURN).await?;
                    let rows = digest::Entity::find()
                        .filter(of_period(telling))
                        .order_by_asc(C::Rung)
                        .order_by_asc(C::Recipient)
                        .order_by_asc(C::DueUs)
                        .limit(NOTICES_AT_ONCE)
                        .all(&**write)
                        .await?;
                    let digests = rows.into_iter().map(digest::Model::read);
                    let digests = digests.collect::<Result<Digests, Error>>()?;
                    Self::digest_tell(write, digests, telling).await
                })
                .await?;
            if written.is_empty() {
                return Ok(told);
            }
            told.extend(written);
        }
    }

    /// Claims and tells, in one transaction: of dossiers that a sweep has found overdue, those that still are and that nobody
    /// has told this recipient of. `words` gives the text for them. None where nothing was left to tell.
    pub async fn dossier_tell(
        &self,
        subjects: &[(DossierName, Subject)],
        recipient: UnitId,
        now: DateTime<Utc>,
        words: impl Fn(&[Subject]) -> String,
    ) -> Result<Option<Notice>, Error> {
        self.database
            .write(async |write| {
                let names: Vec<_> = subjects.iter().map(|(name, _)| name.clone()).collect();
                let due = Self::dossier_checked(write, &names, now).await?;
                let due: HashSet<_> = due.into_iter().collect();
                let id = Uuid::now_v7();
                let still = subjects.iter().filter(|(name, _)| due.contains(name));
                let still: Vec<_> =
                    still.map(|(_, subject)| (subject, DUE, recipient, id)).collect();
                let claimed = Self::subject_claim(write, &still).await?;
                let told = still.iter().zip(claimed).filter(|(_, claimed)| *claimed);
                let told: Vec<_> = told.map(|((subject, ..), _)| (*subject).clone()).collect();
                if told.is_empty() {
                    return Ok(None);
                }
                let notice = Notice {
                    id,
                    recipient,
                    topic: Topic::OverdueDossiers,
                    rung: DUE.to_owned(),
                    detect_time: now,
                    text: words(&told),
                    subjects: told.into_iter().map(|subject| subject.name).collect(),
                };
                Self::notice_insert(write, std::slice::from_ref(&notice)).await?;
                Ok(Some(notice))
            })
            .await
    }

    /// Of obligations whose telling as missing is to be taken back: who was told, and when. Who was told of an earlier due
    /// time, and not that it was taken back, is among them.
    async fn accusers(write: &Write<'_>, obligations: &[Obligation]) -> Result<Accusers, Error> {
        let accused: HashMap<_, _> = obligations
            .iter()
            .filter(|obligation| obligation.task().is_some_and(|(_, task)| task == Task::Retract))
            .map(|obligation| (obligation.name.to_string(), obligation))
            .collect();
        let names: Vec<_> = accused.keys().collect();
        let mut accusers = Accusers::new();
        for chunk in names.chunks(IN_LIST) {
            let rows: Vec<(String, i32, Uuid, i64)> = subject::Entity::find()
                .select_only()
                .column(subject::Column::Subject)
                .column(subject::Column::DueGeneration)
                .column(subject::Column::Recipient)
                .column(notice::Column::DetectUs)
                .join(JoinType::InnerJoin, subject_notice())
                .filter(subject::Column::Subject.is_in(chunk.iter().map(|name| name.as_str())))
                .filter(subject::Column::Rung.eq(DUE))
                .order_by_asc(notice::Column::DetectUs)
                .into_tuple()
                .all(&**write)
                .await?;
            for (name, generation, recipient, detect_us) in rows {
                let Some(obligation) = accused.get(&name) else { continue };
                let taken_back = obligation.retracted.is_some_and(|last| generation <= last);
                if !taken_back {
                    let told = from_us(TABLE, detect_us)?;
                    accusers.entry(name).or_default().insert(UnitId::from_uuid(recipient), told);
                }
            }
        }
        Ok(accusers)
    }

    /// Inserts claims, and puts those whose insert was the first into the digests of their recipients, with what had gathered
    /// there.
    async fn digest_gather(
        write: &Write<'_>,
        claims: Vec<Claim>,
        telling: &Telling<'_>,
    ) -> Result<Digests, Error> {
        if claims.is_empty() {
            return Ok(Digests::new());
        }
        let recipients: BTreeSet<_> = claims.iter().map(|claim| claim.key.1.uuid()).collect();
        let recipients: Vec<_> = recipients.into_iter().collect();
        let mut digests = Digests::new();
        for chunk in recipients.chunks(IN_LIST) {
            let rows = digest::Entity::find()
                .filter(of_period(telling))
                .filter(digest::Column::Recipient.is_in(chunk.iter().copied()))
                .all(&**write)
                .await?;
            for row in rows {
                let (key, digest) = row.read()?;
                digests.insert(key, digest);
            }
        }
        // What gathered for other due times stays where it is.
        let keys: BTreeSet<_> = claims.iter().map(|claim| claim.key).collect();
        digests.retain(|key, _| keys.contains(key));
        for claim in &claims {
            digests.entry(claim.key).or_insert_with(|| {
                let (task, recipient, due_us) = claim.key;
                let due = (due_us != 0).then(|| DateTime::from_timestamp_micros(due_us)).flatten();
                let (since, named) = (claim.since, Vec::new());
                (Uuid::now_v7(), Digest { task, recipient, due, since, count: 0, named })
            });
        }
        let subjects: Vec<_> = claims
            .iter()
            .map(|claim| {
                let (task, recipient, _) = claim.key;
                (&claim.subject, rung(task), recipient, digests[&claim.key].0)
            })
            .collect();
        let claimed = Self::subject_claim(write, &subjects).await?;
        for (claim, claimed) in claims.into_iter().zip(claimed) {
            if let Some((_, digest)) = digests.get_mut(&claim.key).filter(|_| claimed) {
                digest.add(claim.since, claim.named);
            }
        }
        digests.retain(|_, (_, digest)| digest.count > 0);
        Ok(digests)
    }

    /// Keeps what has gathered.
    async fn digest_save(
        write: &Write<'_>,
        digests: &Digests,
        telling: &Telling<'_>,
    ) -> Result<(), Error> {
        use digest::Column as C;
        let mut rows = Vec::with_capacity(digests.len());
        for ((task, recipient, due_us), (id, digest)) in digests {
            let named = serde_json::to_string(&digest.named).map_err(unreadable(DIGEST))?;
            rows.push(digest::ActiveModel {
                regime: Set(telling.regime.id.id().to_owned()),
                period: Set(telling.period.to_string()),
                rung: Set(rung(*task).to_owned()),
                recipient: Set(recipient.uuid()),
                due_us: Set(*due_us),
                notice_id: Set(*id),
                since_us: Set(us(digest.since)),
                subject_count: Set(i64::try_from(digest.count).map_err(unreadable(DIGEST))?),
                named: Set(named),
            });
        }
        for chunk in rows.chunks(rows_per_insert(9)) {
            let key = [C::Regime, C::Period, C::Rung, C::Recipient, C::DueUs];
            let gathered = [C::SinceUs, C::SubjectCount, C::Named];
            digest::Entity::insert_many(chunk.to_vec())
                .on_conflict(OnConflict::columns(key).update_columns(gathered).to_owned())
                .exec_without_returning(&**write)
                .await?;
        }
        Ok(())
    }

    /// Writes the notices that digests become, and the events that tell of them. What had gathered is gone with that. In the
    /// order of tasks: who was accused and was not to be is told so after that.
    async fn digest_tell(
        write: &Write<'_>,
        digests: Digests,
        telling: &Telling<'_>,
    ) -> Result<Vec<Task>, Error> {
        let group = (telling.regime.id.clone(), telling.period);
        let mut notices = Vec::with_capacity(digests.len());
        let mut told = Vec::with_capacity(digests.len());
        for (id, digest) in digests.into_values() {
            notices.push(Notice {
                id,
                recipient: digest.recipient,
                topic: topic(digest.task, group.clone()),
                rung: rung(digest.task).to_owned(),
                detect_time: telling.at,
                text: telling.text(&digest),
                subjects: Vec::new(),
            });
            told.push(digest.task);
        }
        let ids: Vec<_> = notices.iter().map(|notice| notice.id).collect();
        for chunk in ids.chunks(IN_LIST) {
            digest::Entity::delete_many()
                .filter(of_period(telling))
                .filter(digest::Column::NoticeId.is_in(chunk.iter().copied()))
                .exec(&**write)
                .await?;
        }
        Self::notice_insert(write, &notices).await?;
        Ok(told)
    }

    /// Inserts claims, each for a rung, a recipient and the notice that is to tell it, and says of each whether it was not there
    /// before.
    async fn subject_claim(
        write: &Write<'_>,
        claims: &[(&Subject, &str, UnitId, Uuid)],
    ) -> Result<Vec<bool>, Error> {
        for chunk in claims.chunks(rows_per_insert(6)) {
            let rows =
                chunk.iter().map(|(subject, rung, recipient, notice)| subject::ActiveModel {
                    subject: Set(subject.name.clone()),
                    rung: Set((*rung).to_owned()),
                    due_generation: Set(subject.due_generation),
                    recipient: Set(recipient.uuid()),
                    channel: Set(STREAM.to_owned()),
                    notice_id: Set(*notice),
                });
            subject::Entity::insert_many(rows)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&**write)
                .await?;
        }
        let mut kept = HashSet::new();
        for chunk in claims.chunks(IN_LIST) {
            let names = chunk.iter().map(|(subject, ..)| subject.name.as_str());
            let rows = subject::Entity::find()
                .filter(subject::Column::Subject.is_in(names))
                .filter(subject::Column::Channel.eq(STREAM))
                .all(&**write)
                .await?;
            kept.extend(rows.into_iter().map(|row| {
                (row.subject, row.rung, row.due_generation, row.recipient, row.notice_id)
            }));
        }
        let is_kept = |(subject, rung, recipient, notice): &(&Subject, &str, UnitId, Uuid)| {
            let (name, generation) = (subject.name.clone(), subject.due_generation);
            kept.contains(&(name, (*rung).to_owned(), generation, recipient.uuid(), *notice))
        };
        Ok(claims.iter().map(is_kept).collect())
    }

    async fn notice_insert(write: &Write<'_>, notices: &[Notice]) -> Result<(), Error> {
        for chunk in notices.chunks(rows_per_insert(7)) {
            let rows = chunk.iter().map(|notice| {
                let (regime, period) = match &notice.topic {
                    Topic::MissingReports { regime, period }
                    | Topic::RetractedMissingReports { regime, period }
                    | Topic::OverdueReturns { regime, period } => {
                        (Some(regime.id().to_owned()), Some(period.to_string()))
                    }
                    Topic::OverdueDossiers => (None, None),
                };
                notice::ActiveModel {
                    id: Set(notice.id),
                    recipient: Set(notice.recipient.uuid()),
                    regime: Set(regime),
                    period: Set(period),
                    rung: Set(notice.rung.clone()),
                    detect_us: Set(us(notice.detect_time)),
                    body: Set(notice.text.clone()),
                }
            });
            notice::Entity::insert_many(rows).exec_without_returning(&**write).await?;
        }
        for notice in notices {
            let name = format!("{}/notices/{}", notice.recipient, notice.id);
            let told = Payload::NoticeCreated(NoticeCreated { notice: name });
            append(write, notice.detect_time, told).await?;
        }
        Ok(())
    }

    /// `limit` notices after one, the last first; to one recipient, or to all.
    pub async fn notice_page(
        &self,
        recipient: Option<UnitId>,
        after: Option<&NoticeKey>,
        limit: u64,
    ) -> Result<Vec<Notice>, Error> {
        let mut query = notice::Entity::find()
            .order_by_desc(notice::Column::DetectUs)
            .order_by_desc(notice::Column::Id)
            .limit(limit);
        if let Some(recipient) = recipient {
            query = query.filter(notice::Column::Recipient.eq(recipient.uuid()));
        }
        if let Some(after) = after {
            let columns = [notice::Column::DetectUs, notice::Column::Id];
            let key = Expr::tuple([Expr::value(after.detect_us), Expr::value(after.id)]);
            query = query.filter(Expr::tuple(columns.map(Expr::col).map(Into::into)).lt(key));
        }
        let rows = query.all(self.database.reader()).await?;
        self.notice_read(rows).await
    }

    /// One notice.
    pub async fn notice_fetch(&self, id: Uuid) -> Result<Option<Notice>, Error> {
        let rows = notice::Entity::find_by_id(id).all(self.database.reader()).await?;
        Ok(self.notice_read(rows).await?.pop())
    }

    /// The notices that told of a subject, the first first.
    pub async fn notice_about(&self, subject: &str) -> Result<Vec<Notice>, Error> {
        let claims = subject::Entity::find()
            .filter(subject::Column::Subject.eq(subject))
            .all(self.database.reader())
            .await?;
        let rows = notice::Entity::find()
            .filter(notice::Column::Id.is_in(claims.into_iter().map(|claim| claim.notice_id)))
            .order_by_asc(notice::Column::DetectUs)
            .order_by_asc(notice::Column::Id)
            .all(self.database.reader())
            .await?;
        self.notice_read(rows).await
    }

    async fn notice_read(&self, rows: Vec<notice::Model>) -> Result<Vec<Notice>, Error> {
        let ids = rows.iter().map(|row| row.id);
        let claims = subject::Entity::find()
            .filter(Condition::all().add(subject::Column::NoticeId.is_in(ids)))
            .all(self.database.reader())
            .await?;
        let mut subjects: HashMap<Uuid, Vec<String>> = HashMap::new();
        for claim in claims {
            subjects.entry(claim.notice_id).or_default().push(claim.subject);
        }
        rows.into_iter()
            .map(|row| {
                let topic = match (row.regime, row.period) {
                    (Some(regime), Some(period)) => {
                        let regime = RegimeId::new(&regime).map_err(unreadable(TABLE))?;
                        let period = period.parse().map_err(unreadable(TABLE))?;
                        match row.rung.as_str() {
                            RETRACTED => Topic::RetractedMissingReports { regime, period },
                            RETURN_DUE => Topic::OverdueReturns { regime, period },
                            _ => Topic::MissingReports { regime, period },
                        }
                    }
                    _ => Topic::OverdueDossiers,
                };
                let mut subjects = subjects.remove(&row.id).unwrap_or_default();
                subjects.sort_unstable();
                Ok(Notice {
                    id: row.id,
                    recipient: UnitId::from_uuid(row.recipient),
                    topic,
                    rung: row.rung,
                    detect_time: from_us(TABLE, row.detect_us)?,
                    subjects,
                    text: row.body,
                })
            })
            .collect()
    }
}

/// Who was told that an obligation is missing, and when.
type Accusers = HashMap<String, BTreeMap<UnitId, DateTime<Utc>>>;

fn subject_notice() -> RelationDef {
    subject::Entity::belongs_to(notice::Entity)
        .from(subject::Column::NoticeId)
        .to(notice::Column::Id)
        .into()
}

fn of_period(telling: &Telling<'_>) -> Condition {
    Condition::all()
        .add(digest::Column::Regime.eq(telling.regime.id.id()))
        .add(digest::Column::Period.eq(telling.period.to_string()))
}

fn topic(task: Task, (regime, period): (RegimeId, Period)) -> Topic {
    match task {
        Task::TellMissing => Topic::MissingReports { regime, period },
        Task::Retract => Topic::RetractedMissingReports { regime, period },
        Task::TellReturn => Topic::OverdueReturns { regime, period },
    }
}

/// Whether something was told of an obligation since it was read.
fn is_told(was: &Obligation, is: &Obligation) -> bool {
    (was.told, was.retracted, was.return_told) != (is.told, is.retracted, is.return_told)
}

/// What is to be told of an obligation: to whoever receives it, and where that is taken back to whoever was told.
fn claims_of(
    obligation: &Obligation,
    since: DateTime<Utc>,
    task: Task,
    accusers: &Accusers,
    telling: &Telling<'_>,
) -> Vec<Claim> {
    let name = obligation.name.to_string();
    let due = match task {
        Task::TellReturn => obligation.returned.map(|returned| returned.due),
        Task::TellMissing | Task::Retract => obligation.due,
    };
    let told = accusers.get(&name).filter(|_| task == Task::Retract);
    let mut recipients: BTreeMap<UnitId, Option<DateTime<Utc>>> = BTreeMap::new();
    for (recipient, told) in told.into_iter().flatten() {
        recipients.insert(telling.in_place_of(*recipient), Some(*told));
    }
    if recipients.is_empty() {
        recipients.insert(telling.recipient(obligation), None);
    }
    let claim = |(recipient, told)| {
        let named = telling.named(obligation, task, told);
        let subject = Subject {
            name: name.clone(),
            due_generation: obligation.telling(task),
            words: named.words.clone(),
        };
        Claim { key: (task, recipient, due.map_or(0, us)), since, subject, named }
    };
    recipients.into_iter().map(claim).collect()
}

impl digest::Model {
    fn read(self) -> Result<(DigestKey, (Uuid, Digest)), Error> {
        let task = match self.rung.as_str() {
            DUE => Task::TellMissing,
            RETRACTED => Task::Retract,
            RETURN_DUE => Task::TellReturn,
            other => return Err(unreadable(DIGEST)(format!("rung {other}"))),
        };
        let recipient = UnitId::from_uuid(self.recipient);
        let digest = Digest {
            task,
            recipient,
            due: (self.due_us != 0).then(|| from_us(DIGEST, self.due_us)).transpose()?,
            since: from_us(DIGEST, self.since_us)?,
            count: usize::try_from(self.subject_count).map_err(unreadable(DIGEST))?,
            named: serde_json::from_str(&self.named).map_err(unreadable(DIGEST))?,
        };
        Ok(((task, recipient, self.due_us), (self.notice_id, digest)))
    }
}
