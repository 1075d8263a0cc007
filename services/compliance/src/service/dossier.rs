//! Dossiers: bulk intake, the overdue list, form II.06a.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use dunghan_calendar::{Family, zone};
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::compliance::dossier_service_server::DossierService;
use dunghan_proto::compliance::record_dossiers_request::{Header, Message, Row};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_rpc::{Caller, Page, bad_field, bad_field_for, read_away, refuse};
use prost::Message as _;
use tonic::{Code, Request, Response, Status, Streaming};

use super::Service;
use crate::convert::{self, RowProblem, ShownDossier, count};
use crate::domain::calendar::{Calendars, area};
use crate::domain::dossier::{Basis, Dossier};
use crate::domain::summary::Summary;
use crate::store::{DossierChange, DossierKey, Store};

/// Rows of one stream.
const MOST_ROWS: usize = 200_000;
/// Bytes of one stream: a row has some hundred.
const MOST_BYTES: usize = 128 << 20;
/// Fields that a request may state.
const MOST_FIELDS: usize = 500;

/// A row with its place in the file.
type Numbered = (i32, Dossier);

impl Service {
    /// Reads the stream to its end. Nothing is written before: a stream that breaks leaves nothing.
    async fn read_rows(
        &self,
        stream: &mut Streaming<pb::RecordDossiersRequest>,
        header: &Header,
    ) -> Result<Vec<Row>, Status> {
        let announced = usize::try_from(header.row_count)
            .map_err(|_| bad_field("header.row_count", "must not be negative"))?;
        if announced > MOST_ROWS {
            read_away(stream).await;
            return Err(too_many_rows());
        }
        let (mut rows, mut bytes) = (Vec::with_capacity(announced), 0);
        while let Some(message) = stream.message().await.map_err(broken)? {
            let Some(Message::Row(row)) = message.message else {
                return Err(bad_field("row", "is missing: only the first message is a header"));
            };
            bytes += row.encoded_len();
            if rows.len() == MOST_ROWS || bytes > MOST_BYTES {
                read_away(stream).await;
                return Err(too_many_rows());
            }
            rows.push(row);
        }
        if rows.len() != announced {
            let message = format!(
                "the stream has {} rows where its header announces {announced}: nothing was applied",
                rows.len()
            );
            return Err(refuse(Code::Aborted, Common::StreamBroken, message, []));
        }
        Ok(rows)
    }

    /// The dossiers of the rows, or everything that is wrong with them.
    fn parse_rows(
        &self,
        unit: UnitId,
        rows: &[Row],
        hierarchy: &Hierarchy,
        calendars: &Calendars,
    ) -> (Vec<Numbered>, Vec<pb::DossierRowProblem>) {
        let now = self.reconciler.clock.now();
        let (mut dossiers, mut problems) = (Vec::with_capacity(rows.len()), Vec::new());
        let mut seen = HashSet::new();
        for (index, row) in rows.iter().enumerate() {
            let number = if row.row > 0 { row.row } else { count(index + 1) };
            let mut bad = |problem: RowProblem| {
                problems.push(pb::DossierRowProblem {
                    row: number,
                    field: problem.field.to_owned(),
                    reason: problem.reason.into(),
                    message: problem.message,
                });
            };
            if !seen.insert(row.dossier_id.as_str()) {
                bad(RowProblem {
                    field: "dossier_id",
                    reason: ErrorReason::DuplicateRow,
                    message: "stands twice in the stream".to_owned(),
                });
                continue;
            }
            let calendar = |day| calendars.in_area(area(unit, day, hierarchy));
            match convert::dossier(unit, row, now, calendar) {
                Err(row_problems) => row_problems.into_iter().for_each(bad),
                Ok(dossier) => {
                    let day = zone::civil_date(dossier.receive_time);
                    if hierarchy.unit(unit, day).is_none() {
                        bad(RowProblem {
                            field: "receive_time",
                            reason: ErrorReason::UnitNotValid,
                            message: format!("{unit} does not exist on {day}"),
                        });
                    }
                    dossiers.push((number, dossier));
                }
            }
        }
        (dossiers, problems)
    }
}

/// The dossiers due as the newest calendars say, where they were read by others.
fn by_newest<'a>(
    dossiers: &'a [Numbered],
    read_by: &Calendars,
    newest: &Calendars,
    hierarchy: &Hierarchy,
) -> Cow<'a, [Numbered]> {
    if newest.amendment() == read_by.amendment() {
        return Cow::Borrowed(dossiers);
    }
    let due = |(row, dossier): &Numbered| {
        let day = zone::civil_date(dossier.receive_time);
        let due = dossier.due_by(newest.in_area(area(dossier.name.unit, day, hierarchy)));
        (*row, Dossier { due, ..dossier.clone() })
    };
    dossiers.iter().map(due).collect()
}

/// What each row does to what is known, or why it cannot.
fn changes(
    rows: &[Numbered],
    known: Vec<Dossier>,
) -> (Vec<DossierChange>, Vec<pb::DossierRowProblem>) {
    let known: HashMap<_, _> =
        known.into_iter().map(|dossier| (dossier.name.number.clone(), dossier)).collect();
    let (mut changes, mut problems) = (Vec::with_capacity(rows.len()), Vec::new());
    for (number, row) in rows {
        let Some(before) = known.get(&row.name.number) else {
            changes.push(DossierChange::Create(row.clone()));
            continue;
        };
        match before.extended_by(row) {
            Ok(after) if after == *before => changes.push(DossierChange::Nothing),
            Ok(after) => changes.push(DossierChange::Update(after)),
            Err(conflict) => problems.push(pb::DossierRowProblem {
                row: *number,
                field: conflict.field.to_owned(),
                reason: ErrorReason::RecordIsFinal.into(),
                message: format!("{} {}", conflict.field, conflict),
            }),
        }
    }
    (changes, problems)
}

#[tonic::async_trait]
impl DossierService for Service {
    async fn record_dossiers(
        &self,
        request: Request<Streaming<pb::RecordDossiersRequest>>,
    ) -> Result<Response<pb::RecordDossiersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut stream = request.into_inner();
        let first = stream.message().await.map_err(broken)?.and_then(|first| first.message);
        let Some(Message::Header(header)) = first else {
            let why = "is missing: the first message says whose dossiers follow";
            return Err(bad_field_for(ErrorReason::HeaderMissing, "header", why));
        };
        let unit = convert::unit("header.parent", &header.parent)?;
        // What the unit did before it ended may be brought in after; the right over it has to be one to write.
        let hierarchy = self.writable(&caller, unit).await?;
        let rows = self.read_rows(&mut stream, &header).await?;
        let received_count = count(rows.len());
        let calendars = self.reconciler.calendars.follow(&self.reconciler.store).await?;
        let (dossiers, mut problems) = self.parse_rows(unit, &rows, &hierarchy, &calendars);

        let numbers: Vec<_> = dossiers.iter().map(|(_, d)| d.name.number.as_str()).collect();
        let database = self.reconciler.store.database();
        let applied = database
            .write(async |write| {
                Store::dossier_turn(write, unit).await?;
                let known = Store::dossier_known(&**write, unit, &numbers).await?;
                let newest = Store::calendars_locked(write, &calendars).await?;
                let dossiers = by_newest(&dossiers, &calendars, &newest, &hierarchy);
                let (changes, conflicts) = changes(&dossiers, known);
                problems.extend(conflicts);
                if problems.is_empty() {
                    Store::dossier_write(write, &changes).await?;
                }
                Ok::<_, crate::store::Error>(changes)
            })
            .await?;
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.row);
            let problems = convert::fitting(problems);
            let refused =
                pb::RecordDossiersResponse { received_count, problems, ..Default::default() };
            return Ok(Response::new(refused));
        }
        let tally =
            |of: fn(&DossierChange) -> bool| count(applied.iter().filter(|c| of(c)).count());
        Ok(Response::new(pb::RecordDossiersResponse {
            received_count,
            created_count: tally(|change| matches!(change, DossierChange::Create(_))),
            updated_count: tally(|change| matches!(change, DossierChange::Update(_))),
            unchanged_count: tally(|change| matches!(change, DossierChange::Nothing)),
            problems,
        }))
    }

    async fn get_dossier(
        &self,
        request: Request<pb::GetDossierRequest>,
    ) -> Result<Response<pb::Dossier>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = convert::dossier_name("name", &request.name)?;
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        let hierarchy = self.readable(&caller, name.unit, None).await?;
        let dossier = self.reconciler.store.dossier_fetch(&name).await?.ok_or_else(|| {
            let message = format!("{name} does not exist");
            let metadata = [("name", name.to_string())];
            refuse(Code::NotFound, ErrorReason::DossierNotFound, message, metadata)
        })?;
        let calendars = &*self.reconciler.calendars.follow(&self.reconciler.store).await?;
        let shown = ShownDossier { at, hierarchy: &hierarchy, calendars };
        let changes = self.reconciler.store.dossier_due_changes(&name).await?;
        let due_changes = changes.iter().map(pb::DossierDueChange::from).collect();
        Ok(Response::new(pb::Dossier { due_changes, ..shown.dossier(&dossier) }))
    }

    async fn list_overdue_dossiers(
        &self,
        request: Request<pb::ListOverdueDossiersRequest>,
    ) -> Result<Response<pb::ListOverdueDossiersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = convert::unit("scope", &request.scope)?;
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        let asked = (scope, &request.read_time);
        let page = Page::<DossierKey>::new(request.page_size, &request.page_token, &asked)?;
        let hierarchy = self.readable(&caller, scope, None).await?;
        // A unit that has ended still answers for what it left pending, and with it those that were below it.
        let day = hierarchy.known_on(scope, zone::civil_date(at));
        let below = hierarchy.descendants(scope, day);
        let units: Vec<_> = std::iter::once(scope).chain(below).collect();
        let limit = page.size as u64 + 1;
        let store = &self.reconciler.store;
        let found = store.dossier_overdue_page(&units, at, page.after.as_ref(), limit).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let calendars = &*self.reconciler.calendars.follow(&self.reconciler.store).await?;
        let shown = ShownDossier { at, hierarchy: &hierarchy, calendars };
        let dossiers = found.iter().map(|dossier| shown.dossier(dossier)).collect();
        let hierarchy_version = hierarchy.version().cast_signed();
        let page = pb::ListOverdueDossiersResponse { dossiers, next_page_token, hierarchy_version };
        Ok(Response::new(page))
    }

    async fn summarize_dossiers(
        &self,
        request: Request<pb::SummarizeDossiersRequest>,
    ) -> Result<Response<pb::DossierSummary>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let unit = convert::unit("parent", &request.parent)?;
        let period = convert::period("period", &request.period)?;
        if request.fields.len() > MOST_FIELDS {
            return Err(bad_field("fields", format!("must not be more than {MOST_FIELDS}")));
        }
        let fields: Vec<_> = request.fields.iter().map(|field| convert::normal(field)).collect();
        for (at, stated) in fields.iter().enumerate() {
            if !convert::is_field(stated) {
                let why = "must have from 1 to 200 characters, and not U+0000";
                return Err(bad_field(&format!("fields[{at}]"), why));
            }
        }
        self.readable(&caller, unit, None).await?;
        let window = period.window(Family::Nd09);
        let ledger = self.reconciler.store.dossier_in_window(unit, window).await?;
        let now = self.reconciler.clock.now();
        let by = |basis| Summary::of(&ledger, window, &fields, basis, now);
        let summary = convert::summary(unit, period, &by(Basis::Recorded), &by(Basis::InFact));
        Ok(Response::new(summary))
    }
}

fn too_many_rows() -> Status {
    let why = format!(
        "are more than {MOST_ROWS}, or than {} MiB together: send them in several streams",
        MOST_BYTES >> 20
    );
    bad_field_for(ErrorReason::TooManyRows, "row", why)
}

fn broken(status: Status) -> Status {
    let message = format!("the stream broke, and nothing was applied: {}", status.message());
    refuse(Code::Aborted, Common::StreamBroken, message, [])
}
