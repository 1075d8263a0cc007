//! What happened elsewhere: reports by the thousand, and arrivals of documents.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use dunghan_proto::submission as pb;
use dunghan_proto::submission::import_reports_request::{Header, Message};
use dunghan_proto::submission::intake_service_server::IntakeService;
use dunghan_rpc::read_away;
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tonic::Streaming;

use super::stream::{GRACE, Pace, next};
use super::*;
use crate::LARGEST_MESSAGE;
use crate::convert::{ReadRow, ToldRow};
use crate::domain::arrival::{AGENCY_CODE, Arrival, Voiding, keys};
use crate::domain::finding::Severity;
use crate::domain::intake::{
    Counts, ImportName, ImportState, Outcome, Refusal, ReportImport, Seen, Step, Subject, Verdict,
};
use crate::domain::report::Stage;
use crate::error::{
    import_refused, in_header, no_import, stream_broken, too_many_imports, too_many_rows,
};
use crate::store::{ArrivalKey, JudgedRows, Noted, Planned};

/// The most rows of one import, and the most bytes of all of them.
const MOST_ROWS: usize = 20_000;
const MOST_BYTES: usize = 64 << 20;
/// The most arrivals of one call.
const MOST_ARRIVALS: usize = 1000;
/// Rows that are checked by one turn on a thread of its own.
const CHECKED_AT_ONCE: usize = 200;
/// How long an import waits for the one before it.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// How many bytes of rows have to come in a second.
const LEAST_RATE: u32 = 128 << 10;

/// Whose turn it is: an import is held in memory several times over, as it came, as it reads and as it is to be written. So
/// one is received, judged or applied at a time, and others wait.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    one: Arc<Semaphore>,
    limit: Duration,
}

impl Default for Turns {
    fn default() -> Self {
        Self { one: Arc::new(Semaphore::new(1)), limit: WAIT_LIMIT }
    }
}

impl Turns {
    /// Errors: UNAVAILABLE (TOO_MANY_IMPORTS).
    async fn wait(&self) -> Result<OwnedSemaphorePermit, Status> {
        let turn = tokio::time::timeout(self.limit, self.one.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| too_many_imports(self.limit))
    }
}

/// Runs what takes some milliseconds beside the calls, so that it holds none of them up.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    spawn_blocking(work).await.map_err(|error| internal("judging rows", &error))
}

/// All rows of a call.
#[derive(Debug)]
struct Received {
    _turn: OwnedSemaphorePermit,
    parent: UnitId,
    request_id: Option<Uuid>,
    validate_only: bool,
    /// Each as it came.
    contents: Arc<Vec<Vec<u8>>>,
}

impl Received {
    /// The same rows, for the same, are the same request.
    async fn key(&self, caller: &Caller) -> Result<Option<RequestKey>, Status> {
        let Some(id) = self.request_id else { return Ok(None) };
        let (contents, subject) = (self.contents.clone(), caller.subject().to_owned());
        let asked = format!("{} {}", self.parent, self.validate_only);
        let key = move || {
            let rows = contents.iter().map(Vec::as_slice);
            let parts = std::iter::once(asked.as_bytes()).chain(rows);
            RequestKey::in_parts(&subject, "ImportReports", id, parts)
        };
        aside(key).await.map(Some)
    }
}

/// What comes of rows, by what is there.
#[derive(Debug)]
struct Judgement {
    verdicts: Vec<Verdict>,
    /// What is to be written; nothing where a row is refused.
    planned: Vec<Planned>,
}

/// Under what rows are judged: all of it was read before the first of them.
struct Ground {
    caller: Caller,
    parent: UnitId,
    hierarchy: Arc<Hierarchy>,
    forms: Arc<Forms>,
    regimes: HashMap<String, Result<Regime, Refusal>>,
    now: DateTime<Utc>,
}

/// A row that reads, and what it has to do.
struct Prepared {
    name: ReportName,
    asked: Asked,
    form: Arc<Form>,
    before: Option<Report>,
    step: Step,
    changes: Changes,
    /// Its document is not the one that the report has so far.
    other_document: bool,
    submit: bool,
    asserted: Option<Asserted>,
}

/// What rows before have handed over, in the place of what is kept.
type Ahead = HashMap<Subject, Earlier>;

impl Ground {
    /// What a row about a unit within reach has to do to the report that is there, or why it cannot.
    fn prepared(&self, row: ToldRow, before: Option<Report>) -> Result<Prepared, Refusal> {
        let ToldRow { unit, draft, submit, asserted } = row;
        let refusal = |status: Status| convert::refusal(&status);
        let (name, asked, form) = match &before {
            Some(there) => {
                let form = self.forms.get(&there.asked.form).cloned();
                let gone = || {
                    let says = "asked for a form that there is not any more";
                    convert::refused_row("report.regime", ErrorReason::UnknownForm, says)
                };
                let form = form.ok_or_else(gone)?;
                let cut_off = there.asked.window.cut_off;
                draft.changes.must_suit(&form).map_err(refusal)?;
                must_name_its_agency(&draft.changes, unit, cut_off, &self.hierarchy)
                    .map_err(refusal)?;
                (there.name, there.asked.clone(), form)
            }
            None => {
                let unknown = || {
                    let says = "is no regime in force";
                    Err(convert::refused_row("report.regime", ErrorReason::UnknownRegime, says))
                };
                let regime = self.regimes.get(&draft.regime).cloned().unwrap_or_else(unknown)?;
                let (hierarchy, today) = (&self.hierarchy, zone::civil_date(self.now));
                let (asked, form) =
                    asked(unit, &draft, &regime, &self.forms, hierarchy, today).map_err(refusal)?;
                (ReportName { unit, report: Uuid::new_v4() }, asked, form)
            }
        };
        let changes = draft.changes;
        let there = before.as_ref().map(|there| there.content.clone());
        let documents = there.as_ref().map(|there| keys(unit, there));
        let content = changes.clone().apply(there.unwrap_or_default());
        let step = Step::of(before.as_ref(), &content, submit)
            .map_err(|already| refusal(already.into()))?;
        let other_document = documents != Some(keys(unit, &content));
        Ok(Prepared { name, asked, form, before, step, changes, other_document, submit, asserted })
    }

    /// Errors: UNIT_OUT_OF_SCOPE, UNKNOWN_UNIT.
    fn must_be_below(&self, unit: UnitId) -> Result<(), Refusal> {
        let (hierarchy, today) = (&self.hierarchy, zone::civil_date(self.now));
        let outside = || {
            let says =
                format!("{unit} is not below {}, or the caller has no right over it", self.parent);
            convert::refused_row("unit", ErrorReason::UnitOutOfScope, says)
        };
        self.caller.must_write_under(unit, None, hierarchy, today).map_err(|_| outside())?;
        must_exist(unit, hierarchy).map_err(|status| convert::refusal(&status))?;
        hierarchy.covers(self.parent, unit, today).map(drop).ok_or_else(outside)
    }

    /// The report that a row makes, handed over if it asks for that.
    fn checked(
        &self,
        prepared: Prepared,
        earlier: Vec<Earlier>,
        arrival: Option<Arrived>,
        ahead: &Ahead,
    ) -> Result<Report, Refusal> {
        let Prepared { name, asked, form, before, step, changes, .. } = prepared;
        let (period, now) = (asked.period, self.now);
        let history = History::new(period, beside(earlier, name.unit, &asked, ahead));
        let (unit, hierarchy) = (name.unit, Arc::clone(&self.hierarchy));
        let basis = Basis { form, unit, hierarchy, history };
        let made = match (step, before) {
            (Step::Edit, Some(there)) => edited(there, &changes, &basis, now),
            (Step::HandOver | Step::Nothing, Some(there)) => Ok(there),
            (_, None) | (Step::Begin, _) => begun(name, asked, &changes, &basis, now),
        };
        let report = made.map_err(|status| convert::refusal(&status))?;
        let report = Report { arrival, ..report };
        if step == Step::Nothing || !prepared.submit {
            return Ok(report);
        }
        let submitted = report.submit(&basis, prepared.asserted, self.caller.subject(), now);
        submitted.map_err(|refused| convert::refusal(&refused.into()))
    }
}

/// What a unit handed over before, by what is kept and by the rows before this one.
fn beside(kept: Vec<Earlier>, unit: UnitId, asked: &Asked, ahead: &Ahead) -> Vec<Earlier> {
    if ahead.is_empty() {
        return kept;
    }
    let of = |period: Period| (unit, asked.regime.clone(), period);
    let periods = History::before(asked.period).into_iter();
    let periods: BTreeSet<Period> = periods.chain(History::year_so_far(asked.period)).collect();
    let by_rows: Vec<Earlier> =
        periods.into_iter().filter_map(|period| ahead.get(&of(period)).cloned()).collect();
    let others = kept.into_iter().filter(|one| !ahead.contains_key(&of(one.period)));
    others.chain(by_rows).collect()
}

/// A row that is to be judged.
struct Row<T> {
    number: i32,
    unit: String,
    /// The report that is there.
    there: Option<ReportName>,
    /// What it has to do, or why it cannot.
    to_do: Result<T, Refusal>,
}

/// Each row with what it has to do; of rows about the same report all but the first are refused.
fn prepare(
    ground: &Ground,
    rows: Vec<ReadRow>,
    mut there: HashMap<Subject, Report>,
) -> Vec<Row<Prepared>> {
    let mut seen = Seen::default();
    let prepared = rows.into_iter().map(|row| {
        let ReadRow { number, unit, whose, subject, told } = row;
        // Before anything else: what there is of other units is not for everybody to find out.
        if let Some(Err(outside)) = whose.map(|unit| ground.must_be_below(unit)) {
            return Row { number, unit, there: None, to_do: Err(outside) };
        }
        let twice = subject.as_ref().and_then(|subject| seen.note(subject.clone(), number));
        let before = subject.and_then(|subject| there.remove(&subject));
        let there = before.as_ref().map(|there| there.name);
        let to_do = match twice {
            None => told.and_then(|told| ground.prepared(told, before)),
            Some(first) => {
                let says = format!("row {first} is about the same unit, regime and period");
                Err(convert::refused_row("unit", ErrorReason::DuplicateRow, says))
            }
        };
        Row { number, unit, there, to_do }
    });
    prepared.collect()
}

impl Prepared {
    /// As the report is to be matched with an arrival, where that is to be looked for.
    fn awaited(&self) -> Option<Awaited> {
        if !self.other_document || self.step == Step::Nothing {
            return None;
        }
        let there = self.before.as_ref().map(|there| there.content.clone()).unwrap_or_default();
        let content = self.changes.clone().apply(there);
        Some(Awaited {
            report: self.name.report,
            keys: keys(self.name.unit, &content),
            receivers: self.asked.receivers.clone(),
            first: self.before.as_ref().and_then(Report::first).cloned(),
        })
    }
}

/// What comes of rows, one after the other.
struct Judging {
    ground: Ground,
    arrivals: HashMap<Uuid, Arrived>,
    ahead: Ahead,
    judged: Judgement,
}

impl Judging {
    fn judge(&mut self, rows: Vec<Row<(Prepared, Vec<Earlier>)>>) {
        for Row { number, unit, there, to_do } in rows {
            match to_do.and_then(|(prepared, earlier)| self.made(prepared, earlier)) {
                Ok((step, before, report)) => {
                    let verdict = judged(number, unit, step, &report);
                    self.note(&verdict, before, report);
                    self.judged.verdicts.push(verdict);
                }
                Err(refusal) => self.judged.verdicts.push(Verdict {
                    number,
                    unit,
                    outcome: Outcome::Refused,
                    submitted: false,
                    report: there,
                    refusal,
                    errors: 0,
                    warnings: 0,
                }),
            }
        }
    }

    /// What a row makes of what is there.
    fn made(
        &mut self,
        prepared: Prepared,
        earlier: Vec<Earlier>,
    ) -> Result<(Step, Option<Report>, Report), Refusal> {
        let arrival = match (&prepared.before, prepared.other_document) {
            (Some(there), false) => there.arrival.clone(),
            _ => self.arrivals.remove(&prepared.name.report),
        };
        let (step, before) = (prepared.step, prepared.before.clone());
        let report = self.ground.checked(prepared, earlier, arrival, &self.ahead)?;
        Ok((step, before, report))
    }

    fn note(&mut self, verdict: &Verdict, before: Option<Report>, report: Report) {
        if verdict.submitted {
            let Asked { regime, period, .. } = &report.asked;
            let values = (!report.content.nil).then(|| report.content.values.clone());
            let subject = (report.name.unit, regime.clone(), *period);
            self.ahead.insert(subject, Earlier { period: *period, values });
        }
        if verdict.outcome != Outcome::Unchanged {
            let event = verdict.submitted.then(|| convert::told(&report));
            self.judged.planned.push(Planned { before, report, event });
        }
    }
}

/// What comes of a row that is not refused.
fn judged(number: i32, unit: String, step: Step, report: &Report) -> Verdict {
    let outcome = match step {
        Step::Begin => Outcome::Created,
        Step::Edit | Step::HandOver => Outcome::Updated,
        Step::Nothing => Outcome::Unchanged,
    };
    let count = |severity| report.findings.iter().filter(|one| one.severity == severity).count();
    Verdict {
        number,
        unit,
        outcome,
        submitted: step != Step::Nothing && report.stage() == Stage::Submitted,
        report: Some(report.name),
        refusal: Refusal::default(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
    }
}

impl Service {
    /// What comes of rows, by what is there now.
    async fn judge(
        &self,
        caller: &Caller,
        parent: UnitId,
        contents: &Arc<Vec<Vec<u8>>>,
    ) -> Result<Judgement, Status> {
        let of = contents.clone();
        let read = |(at, content): (usize, &Vec<u8>)| convert::read_row(at, content);
        let rows: Vec<_> = aside(move || of.iter().enumerate().map(read).collect()).await?;
        let subjects: HashSet<Subject> =
            rows.iter().filter_map(|row| row.subject.clone()).collect();
        let subjects: Vec<Subject> = subjects.into_iter().collect();
        let there = self.store.reports_about(&subjects).await?;
        let ground = Ground {
            caller: caller.clone(),
            parent,
            hierarchy: self.knowing_all(parent, &rows).await?,
            forms: self.forms.follow(&self.store).await?,
            regimes: self.regimes(&rows, &there).await?,
            now: self.clock.now(),
        };
        let prepare = move || {
            let prepared = prepare(&ground, rows, there);
            let all = prepared.iter().filter_map(|row| row.to_do.as_ref().ok());
            let awaited: Vec<Awaited> = all.filter_map(Prepared::awaited).collect();
            (ground, prepared, awaited)
        };
        let (ground, prepared, awaited) = aside(prepare).await?;
        let arrivals = self.store.arrivals_of(&awaited).await?;
        let judged = Judgement { verdicts: Vec::new(), planned: Vec::new() };
        let mut judging = Judging { ground, arrivals, ahead: Ahead::new(), judged };
        let mut prepared = prepared.into_iter();
        loop {
            let rows: Vec<_> = prepared.by_ref().take(CHECKED_AT_ONCE).collect();
            if rows.is_empty() {
                break;
            }
            let rows = self.with_earlier(rows).await?;
            let check = move || {
                judging.judge(rows);
                judging
            };
            judging = aside(check).await?;
        }
        let mut judged = judging.judged;
        if judged.verdicts.iter().any(|verdict| verdict.outcome == Outcome::Refused) {
            judged.planned.clear();
        }
        Ok(judged)
    }

    /// Rows with what their units handed over before, where their forms' rules ask for that: asked for together.
    async fn with_earlier(
        &self,
        rows: Vec<Row<Prepared>>,
    ) -> Result<Vec<Row<(Prepared, Vec<Earlier>)>>, Status> {
        let periods = |row: &Row<Prepared>| {
            let one = row.to_do.as_ref().ok().filter(|one| one.step != Step::Nothing);
            one.map(|one| compared_with(&one.asked, &one.form)).unwrap_or_default()
        };
        let periods: Vec<_> = rows.iter().map(periods).collect();
        let mut units: BTreeMap<(&str, &[Period]), Vec<UnitId>> = BTreeMap::new();
        for (row, periods) in rows.iter().zip(&periods) {
            if let (Ok(one), [_, ..]) = (&row.to_do, periods.as_slice()) {
                units.entry((&one.asked.regime, periods)).or_default().push(one.name.unit);
            }
        }
        let mut earlier = HashMap::new();
        for ((regime, periods), units) in units {
            for (unit, before) in self.store.report_earlier(&units, regime, periods).await? {
                earlier.insert((unit, regime.to_owned(), periods.to_vec()), before);
            }
        }
        let rows = rows.into_iter().zip(periods).map(|(row, periods)| {
            let Row { number, unit, there, to_do } = row;
            let to_do = to_do.map(|one| {
                let which = (one.name.unit, one.asked.regime.clone(), periods);
                let before = earlier.remove(&which).unwrap_or_default();
                (one, before)
            });
            Row { number, unit, there, to_do }
        });
        Ok(rows.collect())
    }

    /// The units, with all that rows name as far as there are such. The registry is asked once.
    async fn knowing_all(
        &self,
        parent: UnitId,
        rows: &[ReadRow],
    ) -> Result<Arc<Hierarchy>, Status> {
        let hierarchy = self.units.knowing(parent).await?;
        let mut named = rows.iter().flat_map(|row| {
            let told = row.told.as_ref().ok();
            let agency = told.and_then(|told| told.draft.changes.submitting_unit());
            [row.whose, agency].into_iter().flatten()
        });
        if named.any(|unit| hierarchy.get(unit).is_none()) {
            return self.units.fresh().await;
        }
        Ok(hierarchy)
    }

    /// The regimes of the reports that are to be begun, each asked for once.
    async fn regimes(
        &self,
        rows: &[ReadRow],
        there: &HashMap<Subject, Report>,
    ) -> Result<HashMap<String, Result<Regime, Refusal>>, Status> {
        let new = |row: &&ReadRow| row.subject.as_ref().is_some_and(|one| !there.contains_key(one));
        let told = rows.iter().filter(new).filter_map(|row| row.told.as_ref().ok());
        let names: BTreeSet<&str> = told.map(|row| row.draft.regime.as_str()).collect();
        let mut regimes = HashMap::new();
        for name in names {
            let regime = match self.regime(name).await {
                Ok(regime) => Ok(regime),
                Err(status) if convert::is_of_row(&status) => Err(convert::refusal(&status)),
                Err(status) => return Err(status),
            };
            regimes.insert(name.to_owned(), regime);
        }
        Ok(regimes)
    }

    /// Reads the stream to its end. Nothing is written before: a stream that breaks leaves nothing. tonic shows one that its
    /// client has cancelled as one that is complete, so it is by the number of its rows that it is known to be whole.
    async fn receive(
        &self,
        caller: &Caller,
        stream: &mut Streaming<pb::ImportReportsRequest>,
    ) -> Result<Received, Status> {
        let first = next(stream, row_too_large).await?;
        let Some(Message::Header(header)) = first.and_then(|first| first.message) else {
            let says = "is missing: the first message says below which unit the rows are";
            return Err(bad("header", ErrorReason::HeaderMissing, says));
        };
        let Header { parent, row_count, validate_only, request_id } = header;
        let parent = convert::unit("header.parent", &parent)?;
        let hierarchy = self.units.knowing(parent).await?;
        caller.must_write_under(parent, None, &hierarchy, self.today())?;
        must_exist(parent, &hierarchy)?;
        let request_id = field::request_id(&request_id).map_err(in_header)?;
        let announced = usize::try_from(row_count)
            .map_err(|_| bad("header.row_count", Common::InvalidField, "must not be negative"))?;
        if announced > MOST_ROWS {
            return Err(too_many_rows("header.row_count", MOST_ROWS, MOST_BYTES));
        }
        let turn = self.imports.wait().await?;
        let (mut contents, mut bytes, mut pace) = (Vec::new(), 0, Pace::new(GRACE, LEAST_RATE));
        while let Some(message) = pace.in_time(next(stream, row_too_large)).await?? {
            let Some(Message::Row(row)) = message.message else {
                let says = "is missing: only the first message is a header";
                return Err(bad("row", Common::RequiredFieldMissing, says));
            };
            let content = row.encode_to_vec();
            bytes += content.len();
            pace.came(content.len());
            if contents.len() == MOST_ROWS || bytes > MOST_BYTES {
                return Err(too_many_rows("row", MOST_ROWS, MOST_BYTES));
            }
            contents.push(content);
        }
        if contents.len() != announced {
            let came = contents.len();
            return Err(stream_broken(&format!(
                "{came} rows came where {announced} are announced"
            )));
        }
        let contents = Arc::new(contents);
        Ok(Received { _turn: turn, parent, request_id, validate_only, contents })
    }

    async fn take_in_rows(
        &self,
        caller: &Caller,
        mut stream: Streaming<pb::ImportReportsRequest>,
    ) -> Result<pb::ImportReportsResponse, Status> {
        let received = match self.receive(caller, &mut stream).await {
            Ok(received) => received,
            Err(refused) => {
                read_away(&mut stream).await;
                return Err(refused);
            }
        };
        let key = received.key(caller).await?;
        loop {
            if let Some(before) = self.answered(key.as_ref()).await.map_err(in_header)? {
                return Ok(before);
            }
            let judged = self.judge(caller, received.parent, &received.contents).await?;
            match self.keep_import(caller, &received, judged, key.as_ref()).await {
                // Something else was written first; the rows are judged by what it left.
                Err(Error::Overtaken) => {}
                Ok(answer) => return Ok(answer),
                // Two of the same request at once: the one that lost finds the answer when it has failed.
                Err(failed) => {
                    let before = self.answered(key.as_ref()).await.map_err(in_header)?;
                    return before.ok_or_else(|| failed.into());
                }
            }
        }
    }

    async fn keep_import(
        &self,
        caller: &Caller,
        received: &Received,
        judged: Judgement,
        key: Option<&RequestKey>,
    ) -> Result<pb::ImportReportsResponse, Error> {
        let Judgement { mut verdicts, planned } = judged;
        let (counts, now) = (Counts::of(&verdicts), self.clock.now());
        let state = match (counts.refused, received.validate_only) {
            (0, false) => ImportState::Committed,
            (0, true) => ImportState::Staged,
            _ => ImportState::Refused,
        };
        let applies = state == ImportState::Committed;
        let report_import = ReportImport {
            name: ImportName { parent: received.parent, id: Uuid::new_v4() },
            state,
            counts,
            creator: caller.subject().to_owned(),
            create_time: now,
            committed: applies.then(|| (caller.subject().to_owned(), now)),
        };
        if !applies {
            without_new(&mut verdicts);
        }
        let answer = convert::imported(&report_import, &verdicts);
        let contents: &[Vec<u8>] = match state {
            ImportState::Staged => &received.contents,
            ImportState::Refused | ImportState::Committed => &[],
        };
        let rows = JudgedRows { verdicts: &verdicts, contents };
        let planned = if applies { planned.as_slice() } else { &[] };
        let reply = key.map(|key| Reply { key, response: &answer });
        Box::pin(self.store.import_insert(&report_import, rows, planned, reply)).await?;
        log(caller, &report_import);
        Ok(answer)
    }

    async fn commit(&self, caller: &Caller, name: ImportName) -> Result<ReportImport, Status> {
        let _turn = self.imports.wait().await?;
        loop {
            let mut report_import = self.import(name).await?;
            match report_import.state {
                ImportState::Committed => return Ok(report_import),
                ImportState::Refused => return Err(import_refused(&report_import)),
                ImportState::Staged => {}
            }
            let contents = Arc::new(self.store.import_contents(name.id).await?);
            if contents.len() != report_import.counts.received {
                // It was forgotten or applied in between.
                self.import(name).await?;
                continue;
            }
            let Judgement { mut verdicts, planned } =
                self.judge(caller, name.parent, &contents).await?;
            let now = self.clock.now();
            report_import.counts = Counts::of(&verdicts);
            if report_import.counts.refused == 0 {
                report_import.state = ImportState::Committed;
                report_import.committed = Some((caller.subject().to_owned(), now));
            } else {
                report_import.state = ImportState::Refused;
                without_new(&mut verdicts);
            }
            let settle = self.store.import_settle(&report_import, &verdicts, &planned, now);
            match Box::pin(settle).await {
                // Something else was written first, or this one was applied by somebody else.
                Err(Error::Overtaken) => {}
                settled => {
                    settled?;
                    log(caller, &report_import);
                    if report_import.state == ImportState::Refused {
                        return Err(import_refused(&report_import));
                    }
                    return Ok(report_import);
                }
            }
        }
    }

    async fn import(&self, name: ImportName) -> Result<ReportImport, Status> {
        self.store.import_fetch(name).await?.ok_or_else(|| no_import(name))
    }

    /// Arrivals as they read, or all that is wrong with them.
    async fn read_arrivals(
        &self,
        recipient: UnitId,
        arrivals: &[pb::Arrival],
        author: &str,
    ) -> Result<Result<Vec<Arrival>, Vec<pb::ArrivalProblem>>, Status> {
        let (mut read, mut problems) = (Vec::new(), Vec::new());
        let now = self.clock.now();
        for (at, arrival) in arrivals.iter().enumerate() {
            match convert::arrival(recipient, arrival, author, now) {
                Ok(arrival) => read.push((at, arrival)),
                Err(bad) => problems.extend(bad.into_iter().map(|one| (at, one))),
            }
        }
        let mut hierarchy = self.units.knowing(recipient).await?;
        let sender = |arrival: &Arrival, hierarchy: &Hierarchy| {
            let day = zone::civil_date(arrival.at);
            hierarchy.by_code(AGENCY_CODE, &arrival.sender_code, day).map_err(|_| day)
        };
        if read.iter().any(|(_, arrival)| sender(arrival, &hierarchy).is_err()) {
            // Nobody is told that a code is unknown by a copy that is behind.
            hierarchy = self.units.fresh().await?;
        }
        let mut entries = HashSet::new();
        for (at, arrival) in &mut read {
            match sender(arrival, &hierarchy) {
                Ok(unit) => arrival.sender = unit,
                Err(day) => {
                    let says = format!("is held by no unit on {day}: {}", arrival.sender_code);
                    let reason = ErrorReason::UnknownAgencyCode;
                    problems.push((*at, ("sender_agency_code", reason, says)));
                }
            }
            if !entries.insert(arrival.entry()) {
                let says = "stands there twice for that year".to_owned();
                problems.push((*at, ("arrival_number", ErrorReason::DuplicateRow, says)));
            }
        }
        if problems.is_empty() {
            return Ok(Ok(read.into_iter().map(|(_, arrival)| arrival).collect()));
        }
        problems.sort_by_key(|(at, _)| *at);
        let told = problems.into_iter().map(|(at, one)| convert::arrival_problem(at, one));
        Ok(Err(told.collect()))
    }
}

fn row_too_large() -> Status {
    bad(
        "row",
        ErrorReason::TooLong,
        format!("must not be larger than {} MiB", LARGEST_MESSAGE >> 20),
    )
}

/// Of what is not applied no report is there yet.
fn without_new(verdicts: &mut [Verdict]) {
    for verdict in verdicts.iter_mut().filter(|one| one.outcome == Outcome::Created) {
        verdict.report = None;
    }
}

fn log(caller: &Caller, report_import: &ReportImport) {
    let Counts { received, created, updated, submitted, refused, .. } = report_import.counts;
    let (by, state) = (caller.subject(), report_import.state.word());
    tracing::info!(
        by,
        state,
        received,
        created,
        updated,
        submitted,
        refused,
        "reports came as rows"
    );
}

#[tonic::async_trait]
impl IntakeService for Service {
    async fn import_reports(
        &self,
        request: Request<Streaming<pb::ImportReportsRequest>>,
    ) -> Result<Response<pb::ImportReportsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Box::pin(self.take_in_rows(&caller, request.into_inner())).await.map(Response::new)
    }

    async fn commit_report_import(
        &self,
        request: Request<pb::CommitReportImportRequest>,
    ) -> Result<Response<pb::ReportImport>, Status> {
        let caller = Caller::of(&request)?;
        let name = convert::import_name("name", &request.get_ref().name)?;
        let hierarchy = self.units.knowing(name.parent).await?;
        caller.must_write_under(name.parent, None, &hierarchy, self.today())?;
        let committed = Box::pin(self.commit(&caller, name)).await?;
        Ok(Response::new(convert::import(&committed)))
    }

    async fn get_report_import(
        &self,
        request: Request<pb::GetReportImportRequest>,
    ) -> Result<Response<pb::ReportImport>, Status> {
        let caller = Caller::of(&request)?;
        let name = convert::import_name("name", &request.get_ref().name)?;
        let hierarchy = self.units.knowing(name.parent).await?;
        caller.must_read(name.parent, None, &hierarchy, self.today())?;
        Ok(Response::new(convert::import(&self.import(name).await?)))
    }

    async fn list_report_import_rows(
        &self,
        request: Request<pb::ListReportImportRowsRequest>,
    ) -> Result<Response<pb::ListReportImportRowsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = convert::import_name("parent", &request.parent)?;
        let asked = ("ListReportImportRows", name);
        let mut page = Page::<i64>::new(request.page_size, &request.page_token, &asked)?;
        let hierarchy = self.units.knowing(name.parent).await?;
        caller.must_read(name.parent, None, &hierarchy, self.today())?;
        self.import(name).await?;
        let found = self.store.import_row_page(name.id, page.after, page.size + 1).await?;
        let found: Vec<_> =
            found.iter().map(|(place, verdict)| (*place, convert::import_row(verdict))).collect();
        page.size = page.size.min(fitting(&found));
        let (found, next_page_token) = page.cut(found, |(place, _)| *place);
        let rows = found.into_iter().map(|(_, row)| row).collect();
        Ok(Response::new(pb::ListReportImportRowsResponse { rows, next_page_token }))
    }

    async fn record_arrivals(
        &self,
        request: Request<pb::RecordArrivalsRequest>,
    ) -> Result<Response<pb::RecordArrivalsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let recipient = convert::unit("parent", &request.parent)?;
        let hierarchy = self.units.knowing(recipient).await?;
        caller.must_write_under(recipient, None, &hierarchy, self.today())?;
        must_exist(recipient, &hierarchy)?;
        if request.arrivals.len() > MOST_ARRIVALS {
            let says = format!("must not be more than {MOST_ARRIVALS}");
            return Err(bad("arrivals", ErrorReason::TooManyRows, says));
        }
        let refused = |problems| {
            let refused = pb::RecordArrivalsResponse { problems, ..Default::default() };
            Ok(Response::new(refused))
        };
        let read = self.read_arrivals(recipient, &request.arrivals, caller.subject()).await?;
        let arrivals = match read {
            Ok(arrivals) => arrivals,
            Err(problems) => return refused(problems),
        };
        let unchanged = match Box::pin(self.store.arrivals_note(&arrivals)).await? {
            Noted::All { unchanged } => unchanged,
            Noted::Differ(differ) => {
                let problem = |(at, field): (usize, &'static str)| {
                    let says = "is not what was noted under this arrival number".to_owned();
                    convert::arrival_problem(at, (field, ErrorReason::ArrivalDiffers, says))
                };
                return refused(differ.into_iter().map(problem).collect());
            }
        };
        let entries: Vec<_> = arrivals.iter().map(Arrival::entry).collect();
        let noted = self.store.arrivals_fetch(recipient, &entries).await?;
        Ok(Response::new(pb::RecordArrivalsResponse {
            arrivals: noted.iter().map(convert::noted_arrival).collect(),
            unchanged_count: i32::try_from(unchanged).unwrap_or(i32::MAX),
            problems: Vec::new(),
        }))
    }

    async fn void_arrival(
        &self,
        request: Request<pb::VoidArrivalRequest>,
    ) -> Result<Response<pb::Arrival>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = convert::arrival_name("name", &request.name)?;
        let reason = convert::reason(&request.reason)?;
        let hierarchy = self.units.knowing(name.recipient).await?;
        caller.must_write_under(name.recipient, None, &hierarchy, self.today())?;
        let author = caller.subject().to_owned();
        let voiding = Voiding { at: self.clock.now(), author, reason };
        let void = Box::pin(self.store.arrival_void(name, &voiding)).await?;
        Ok(Response::new(convert::noted_arrival(&void)))
    }

    async fn list_arrivals(
        &self,
        request: Request<pb::ListArrivalsRequest>,
    ) -> Result<Response<pb::ListArrivalsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let recipient = convert::unit("parent", &request.parent)?;
        let asked = ("ListArrivals", recipient, request.unmatched_only);
        let page = Page::<ArrivalKey>::new(request.page_size, &request.page_token, &asked)?;
        let hierarchy = self.units.knowing(recipient).await?;
        caller.must_read(recipient, None, &hierarchy, self.today())?;
        must_exist(recipient, &hierarchy)?;
        let (unmatched, limit) = (request.unmatched_only, page.size + 1);
        let found =
            self.store.arrival_page(recipient, unmatched, page.after.clone(), limit).await?;
        let (found, next_page_token) = page.cut(found, |one| ArrivalKey::of(&one.arrival));
        let arrivals = found.iter().map(convert::noted_arrival).collect();
        Ok(Response::new(pb::ListArrivalsResponse { arrivals, next_page_token }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_import_waits_for_the_one_before_it_and_not_for_ever() {
        let at_once = Turns { limit: Duration::ZERO, ..Turns::default() };
        let first = at_once.clone().wait().await.unwrap();
        let refused = at_once.wait().await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(convert::refusal(&refused).reason, "ERROR_REASON_TOO_MANY_IMPORTS");
        let patient = Turns { limit: WAIT_LIMIT, ..at_once.clone() };
        let (second, ()) = tokio::join!(patient.wait(), async { drop(first) });
        drop(second.unwrap());
        assert!(at_once.wait().await.is_ok());
    }
}
