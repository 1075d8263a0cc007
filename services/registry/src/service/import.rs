//! Imports of units: taken in and judged, and applied at once or later.

use std::sync::Arc;

use dunghan_hierarchy::Hierarchy;
use dunghan_proto::registry as pb;
use dunghan_rpc::{Caller, Page, field, read_away};
use dunghan_store::RequestKey;
use prost::Message as _;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::{Service, aside};
use crate::convert;
use crate::domain::import::{Merged, Staged, judge};
use crate::error;
use crate::store::{Error, ImportCounts, ImportKey, ImportRows, ImportState, UnitImport, Verdict};

/// The most rows of one import, and the most bytes of all of them; the nation with its history has some 14,000, of one and a
/// half million bytes.
const MOST_ROWS: usize = 200_000;
const MOST_BYTES: usize = 64 << 20;
/// Clients take 4 MiB unless told otherwise: a page of long rows ends earlier.
const LARGEST_PAGE_BYTES: usize = 3 << 20;

/// All rows of a call.
#[derive(Default)]
struct Received {
    request_id: Option<Uuid>,
    validate_only: bool,
    staged: Staged,
    /// As they came.
    contents: Vec<Vec<u8>>,
}

impl Received {
    async fn all_of(stream: &mut Streaming<pb::ImportUnitsRequest>) -> Result<Self, Status> {
        let (mut received, mut bytes) = (Self::default(), 0);
        while let Some(message) = stream.message().await.map_err(|e| error::stream_broken(&e))? {
            let position = received.contents.len();
            if position == 0 {
                received.request_id = field::request_id(&message.request_id)?;
                received.validate_only = message.validate_only;
            }
            bytes += message.row.as_ref().map_or(0, pb::UnitRow::encoded_len);
            if position == MOST_ROWS || bytes > MOST_BYTES {
                return Err(error::too_many_rows(MOST_ROWS, MOST_BYTES));
            }
            received.contents.push(convert::stage(&mut received.staged, position, message.row));
        }
        Ok(received)
    }

    /// The same rows, for the same, are the same request.
    fn key(&self, caller: &str) -> Option<RequestKey> {
        let id = self.request_id?;
        let asked: &[u8] = if self.validate_only { b"validate" } else { b"apply" };
        let parts = std::iter::once(asked).chain(self.contents.iter().map(Vec::as_slice));
        Some(RequestKey::in_parts(caller, "ImportUnits", id, parts))
    }
}

/// What rows make of the units as they are.
struct Judgement {
    /// Nothing where a row is bad.
    merged: Option<Merged>,
    /// As many as an answer has room for.
    problems: Vec<pb::RowProblem>,
    verdicts: Vec<Verdict>,
    counts: ImportCounts,
}

impl Judgement {
    fn of(current: &Arc<Hierarchy>, staged: &Staged, received: usize) -> Self {
        let judged = judge(current, staged);
        let verdicts = convert::verdicts(received, staged, &judged);
        let refused =
            verdicts.iter().filter(|verdict| verdict.outcome == pb::RowOutcome::Refused).count();
        let mut counts = ImportCounts { received, refused, ..ImportCounts::default() };
        match judged.merged {
            Ok(merged) => {
                counts.created = merged.created;
                counts.updated = merged.changed.len() - merged.created;
                counts.unchanged = merged.unchanged;
                Self { merged: Some(merged), problems: Vec::new(), verdicts, counts }
            }
            Err(problems) => {
                let problems = convert::row_problems(&problems);
                Self { merged: None, problems, verdicts, counts }
            }
        }
    }

    /// The version that it makes, if it makes one.
    fn version(&self) -> Option<u64> {
        let changing = self.merged.as_ref().filter(|merged| !merged.changed.is_empty());
        changing.map(|merged| merged.hierarchy.version())
    }
}

impl Service {
    pub(super) async fn take_in(
        &self,
        caller: &Caller,
        mut stream: Streaming<pb::ImportUnitsRequest>,
    ) -> Result<pb::ImportUnitsResponse, Status> {
        let received = match Received::all_of(&mut stream).await {
            Ok(received) => Arc::new(received),
            Err(refused) => {
                read_away(&mut stream).await;
                return Err(refused);
            }
        };
        // tonic shows a stream that its client has cancelled as one that is complete. The server drops a cancelled call
        // when it waits for something, so it is made to wait before anything is applied.
        tokio::task::yield_now().await;

        let (of, subject) = (received.clone(), caller.subject().to_owned());
        let key = aside(move || of.key(&subject)).await?;
        let _one_at_a_time = self.recording.lock().await;
        loop {
            if let Some(before) = self.answered(key.as_ref()).await? {
                return Ok(before);
            }
            let current = self.current.newest().await?.hierarchy.clone();
            let (of, version) = (received.clone(), current.version());
            let judging = move || Judgement::of(&current, &of.staged, of.contents.len());
            let judgement = aside(judging).await?;
            match self.keep(caller, &received, judgement, version, key.as_ref()).await {
                // Something else was recorded first; the rows are merged into what it left.
                Err(Error::Overtaken) => {}
                Ok(answer) => return Ok(answer),
                // Two of the same request at once: the one that lost finds the answer when it has failed.
                Err(failed) => {
                    return self.answered(key.as_ref()).await?.ok_or_else(|| failed.into());
                }
            }
        }
    }

    /// Writes an import that was judged by this version of the hierarchy to the tables, and what it changes then to the copy.
    async fn keep(
        &self,
        caller: &Caller,
        received: &Received,
        judgement: Judgement,
        judged_version: u64,
        key: Option<&RequestKey>,
    ) -> Result<pb::ImportUnitsResponse, Error> {
        let now = self.clock.now();
        let state = match (&judgement.merged, received.validate_only) {
            (None, _) => ImportState::Refused,
            (Some(_), true) => ImportState::Staged,
            (Some(_), false) => ImportState::Committed,
        };
        let by = || (caller.subject().to_owned(), now);
        let committed = (state == ImportState::Committed).then(by);
        let import = UnitImport {
            id: Uuid::new_v4(),
            state,
            counts: judgement.counts,
            creator: caller.subject().to_owned(),
            create_time: now,
            version: judgement.version().filter(|_| committed.is_some()),
            committed,
            judged_version,
        };
        let answer = convert::imported(&import, &judgement.problems);
        let units = changed(&import, judgement.merged.as_ref());
        let rows = ImportRows { contents: &received.contents, verdicts: &judgement.verdicts };
        let reply = key.map(|key| (key, &answer));
        self.store.import_insert(&import, rows, &units, reply).await?;
        self.applied(caller, &import, judgement.merged.as_ref());
        Ok(answer)
    }

    pub(super) async fn commit(&self, caller: &Caller, id: Uuid) -> Result<UnitImport, Status> {
        let _one_at_a_time = self.recording.lock().await;
        loop {
            let mut import = self.import(id).await?;
            match import.state {
                ImportState::Committed => return Ok(import),
                ImportState::Refused => return Err(error::import_refused(&import)),
                ImportState::Staged => {}
            }
            let (contents, before) = self.store.import_judged(id).await?;
            if contents.len() != import.counts.received {
                // It was forgotten in between.
                return Err(error::no_import(id));
            }
            let current = self.current.newest().await?.hierarchy.clone();
            import.judged_version = current.version();
            let judging = move || {
                let staged = staged(&contents)?;
                let judgement = Judgement::of(&current, &staged, contents.len());
                Ok::<_, Error>((contents, judgement))
            };
            let (contents, judgement) = aside(judging).await??;

            let now = self.clock.now();
            import.counts = judgement.counts;
            import.version = judgement.version();
            if judgement.merged.is_some() {
                import.state = ImportState::Committed;
                import.committed = Some((caller.subject().to_owned(), now));
            } else {
                import.state = ImportState::Refused;
            }
            let units = changed(&import, judgement.merged.as_ref());
            let rows = ImportRows { contents: &contents, verdicts: &judgement.verdicts };
            let rows = (judgement.verdicts != before).then_some(rows);
            match self.store.import_settle(&import, rows, &units, now).await {
                // Something else was recorded first, or this one by somebody else.
                Err(Error::Overtaken) => {}
                settled => {
                    settled?;
                    self.applied(caller, &import, judgement.merged.as_ref());
                    if import.state == ImportState::Refused {
                        return Err(error::import_refused(&import));
                    }
                    return Ok(import);
                }
            }
        }
    }

    /// Answers are made from what an import has changed in the tables.
    fn applied(&self, caller: &Caller, import: &UnitImport, merged: Option<&Merged>) {
        let (Some(version), Some(merged)) = (import.version, merged) else { return };
        self.current.replace(merged.hierarchy.clone());
        let ImportCounts { received: rows, created, updated, .. } = import.counts;
        let by = caller.subject();
        tracing::info!(by, rows, created, updated, version, "units were imported");
    }

    pub(super) async fn import(&self, id: Uuid) -> Result<UnitImport, Status> {
        self.store.import_fetch(id).await?.ok_or_else(|| error::no_import(id))
    }

    pub(super) async fn imports(
        &self,
        request: &pb::ListUnitImportsRequest,
    ) -> Result<pb::ListUnitImportsResponse, Status> {
        let filter = "ListUnitImports";
        let page = Page::<ImportKey>::new(request.page_size, &request.page_token, &filter)?;
        let found = self.store.import_page(page.after, page.size + 1).await?;
        let (found, next_page_token) = page.cut(found, UnitImport::key);
        let unit_imports = found.into_iter().map(convert::import).collect();
        Ok(pb::ListUnitImportsResponse { unit_imports, next_page_token })
    }

    pub(super) async fn import_rows(
        &self,
        request: &pb::ListUnitImportRowsRequest,
    ) -> Result<pb::ListUnitImportRowsResponse, Status> {
        let id = convert::import_id("unit_import", &request.unit_import)?;
        let outcomes = convert::outcomes(&request.outcomes)?;
        let filter = ("ListUnitImportRows", id, &outcomes);
        let mut page = Page::<i64>::new(request.page_size, &request.page_token, &filter)?;
        self.import(id).await?;
        let found = self.store.import_row_page(id, &outcomes, page.after, page.size + 1).await?;
        let judged = |(number, row, verdict)| (number, convert::judged_row(number, row, verdict));
        let found: Vec<(i64, pb::JudgedRow)> = found.into_iter().map(judged).collect();
        page.size = page.size.min(fitting(&found));
        let (found, next_page_token) = page.cut(found, |(number, _)| *number);
        let rows = found.into_iter().map(|(_, row)| row).collect();
        Ok(pb::ListUnitImportRowsResponse { rows, next_page_token })
    }
}

/// The units that an import stores: none unless it makes a version.
fn changed<'a>(
    import: &UnitImport,
    merged: Option<&'a Merged>,
) -> Vec<&'a dunghan_hierarchy::UnitHistory> {
    let merged = merged.filter(|_| import.version.is_some());
    let unit = |merged: &'a Merged, unit| merged.hierarchy.get(unit);
    let of = |merged: &'a Merged| merged.changed.iter().filter_map(move |id| unit(merged, *id));
    merged.into_iter().flat_map(of).collect()
}

/// Rows as they were kept.
fn staged(contents: &[Vec<u8>]) -> Result<Staged, Error> {
    let mut rows = Vec::with_capacity(contents.len());
    for content in contents {
        rows.push(pb::UnitRow::decode(content.as_slice())?);
    }
    Ok(convert::staged(rows))
}

/// How many of these rows an answer can carry: one at least.
fn fitting(rows: &[(i64, pb::JudgedRow)]) -> usize {
    let mut bytes = 0;
    let fit = rows.iter().take_while(|(_, row)| {
        bytes += row.encoded_len();
        bytes <= LARGEST_PAGE_BYTES
    });
    fit.count().max(1)
}
