//! The tables `notice` and `notice_subject`: the insert of a subject is the claim to tell it.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use dunghan_events::append;
use dunghan_hierarchy::UnitId;
use dunghan_proto::events::NoticeCreated;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Write, rows_per_insert};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, OnConflict};
use sea_orm::{QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};

use super::{DueGroup, Error, Store, from_us, unreadable, us};
use crate::domain::dossier::DossierName;
use crate::domain::notice::{DUE, Notice, STREAM, Subject, Topic};
use crate::domain::regime::RegimeId;

const TABLE: &str = "notice";

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

/// What a sweep wants to tell one recipient.
#[derive(Clone, Debug)]
pub enum Claim<'a> {
    /// Reports of one group that are missing.
    Missing {
        /// Which regime and period.
        group: &'a DueGroup,
        /// Who owes them, with what would be told.
        subjects: &'a [(UnitId, Subject)],
    },
    /// Dossiers that are overdue.
    Overdue {
        /// Which, with what would be told.
        subjects: &'a [(DossierName, Subject)],
    },
}

impl Store {
    /// Claims and tells, in one transaction: of the claim's subjects, those that are still due and that nobody has
    /// told this recipient of. `words` gives the text for them. None where nothing was left to tell.
    pub async fn notice_claim(
        &self,
        claim: Claim<'_>,
        recipient: UnitId,
        now: DateTime<Utc>,
        words: impl Fn(&[Subject]) -> String,
    ) -> Result<Option<Notice>, Error> {
        self.database
            .write(async |write| {
                let (topic, still_due) = match &claim {
                    Claim::Missing { group, subjects } => {
                        let units: Vec<_> = subjects.iter().map(|(unit, _)| *unit).collect();
                        let due = Self::obligation_checked(write, group, &units, now).await?;
                        let due: HashSet<_> = due.into_iter().collect();
                        let topic = Topic::MissingReports {
                            regime: group.regime.clone(),
                            period: group.period,
                        };
                        (topic, keep(subjects, &due))
                    }
                    Claim::Overdue { subjects } => {
                        let names: Vec<_> = subjects.iter().map(|(name, _)| name.clone()).collect();
                        let due = Self::dossier_checked(write, &names, now).await?;
                        let due: HashSet<_> = due.into_iter().collect();
                        (Topic::OverdueDossiers, keep(subjects, &due))
                    }
                };
                let id = Uuid::now_v7();
                let told = Self::subject_claim(write, still_due, recipient, id).await?;
                if told.is_empty() {
                    return Ok(None);
                }
                let notice = Notice {
                    id,
                    recipient,
                    topic,
                    rung: DUE.to_owned(),
                    detect_time: now,
                    text: words(&told),
                    subjects: told.into_iter().map(|subject| subject.name).collect(),
                };
                Self::notice_insert(write, &notice).await?;
                Ok(Some(notice))
            })
            .await
    }

    /// Inserts the claims, and returns the subjects whose claim was not there.
    async fn subject_claim(
        write: &Write<'_>,
        subjects: Vec<Subject>,
        recipient: UnitId,
        notice: Uuid,
    ) -> Result<Vec<Subject>, Error> {
        let mut claimed = HashSet::new();
        for chunk in subjects.chunks(rows_per_insert(6)) {
            let rows = chunk.iter().map(|subject| subject::ActiveModel {
                subject: Set(subject.name.clone()),
                rung: Set(DUE.to_owned()),
                due_generation: Set(subject.due_generation),
                recipient: Set(recipient.uuid()),
                channel: Set(STREAM.to_owned()),
                notice_id: Set(notice),
            });
            subject::Entity::insert_many(rows)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&**write)
                .await?;
        }
        let rows = subject::Entity::find()
            .filter(subject::Column::NoticeId.eq(notice))
            .all(&**write)
            .await?;
        claimed.extend(rows.into_iter().map(|row| (row.subject, row.due_generation)));
        Ok(subjects
            .into_iter()
            .filter(|subject| claimed.contains(&(subject.name.clone(), subject.due_generation)))
            .collect())
    }

    async fn notice_insert(write: &Write<'_>, notice: &Notice) -> Result<(), Error> {
        let (regime, period) = match &notice.topic {
            Topic::MissingReports { regime, period } => {
                (Some(regime.id().to_owned()), Some(period.to_string()))
            }
            Topic::OverdueDossiers => (None, None),
        };
        let row = notice::ActiveModel {
            id: Set(notice.id),
            recipient: Set(notice.recipient.uuid()),
            regime: Set(regime),
            period: Set(period),
            rung: Set(notice.rung.clone()),
            detect_us: Set(us(notice.detect_time)),
            body: Set(notice.text.clone()),
        };
        notice::Entity::insert(row).exec_without_returning(&**write).await?;
        let name = format!("{}/notices/{}", notice.recipient, notice.id);
        let told = Payload::NoticeCreated(NoticeCreated { notice: name });
        append(write, notice.detect_time, told).await?;
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
                    (Some(regime), Some(period)) => Topic::MissingReports {
                        regime: RegimeId::new(&regime).map_err(unreadable(TABLE))?,
                        period: period.parse().map_err(unreadable(TABLE))?,
                    },
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

fn keep<K: Eq + std::hash::Hash>(subjects: &[(K, Subject)], due: &HashSet<K>) -> Vec<Subject> {
    let still = subjects.iter().filter(|(key, _)| due.contains(key));
    still.map(|(_, subject)| subject.clone()).collect()
}
