//! `units export`: units as a file.

use std::fs::Permissions;
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chrono::NaiveDate;
use dunghan_hierarchy::Level;
use dunghan_proto::registry as pb;
use dunghan_registry::{CsvRows, XlsxRows};
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use super::pb_levels;
use crate::cli::{ExportFormat, Format};
use crate::client::Client;
use crate::failure::Failure;
use crate::input::UnitRef;
use crate::output;

/// Which units.
pub(super) struct What {
    pub(super) as_of: Option<NaiveDate>,
    pub(super) whole_history: bool,
    pub(super) within: Option<UnitRef>,
    pub(super) levels: Vec<Level>,
}

#[derive(Serialize)]
struct Exported {
    file: String,
    row_count: u64,
    hierarchy_version: i64,
}

/// Writes units to a file, or as CSV to standard output.
pub(super) async fn export(
    client: impl FnOnce() -> Result<Client, Failure>,
    file: Option<&Path>,
    written: Option<ExportFormat>,
    what: What,
    format: Format,
) -> Result<(), Failure> {
    let written = written_as(file, written)?;
    let client = client()?;
    let as_of = what.within.as_ref().map_or(what.as_of, |unit| unit.date(what.as_of));
    let request = pb::StreamUnitRowsRequest {
        as_of_date: as_of.map(pb_date),
        whole_history: what.whole_history,
        ancestor_unit: client.unit_name_or_all(what.within.as_ref(), as_of).await?,
        levels: pb_levels(&what.levels),
    };
    let Some(file) = file else {
        let mut rows = CsvRows::new(io::stdout()).map_err(failed)?;
        let copied = copy(&client, request, |row| rows.row(row)).await;
        let written = copied.and_then(|_| rows.finish().map_err(Stopped::Writing));
        return match written {
            // A reader that has gone away is no failure.
            Err(Stopped::Writing(e)) if e.kind() != io::ErrorKind::BrokenPipe => Err(failed(e)),
            Err(Stopped::Reading(failure)) => Err(failure),
            _ => Ok(()),
        };
    };
    let unwritable =
        |e: io::Error| Failure::input(format_args!("{} cannot be written: {e}", file.display()));
    // Beside the file that it becomes, so that nobody ever sees a part of that.
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let made = tempfile::Builder::new()
        .prefix(".dunghan-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(unwritable)?;
    let writer = BufWriter::new(made.as_file().try_clone().map_err(unwritable)?);
    let copied = match written {
        ExportFormat::Csv => {
            let mut rows = CsvRows::new(writer).map_err(unwritable)?;
            let copied = copy(&client, request, |row| rows.row(row)).await;
            copied.and_then(|copied| rows.finish().map(|()| copied).map_err(Stopped::Writing))
        }
        ExportFormat::Xlsx => {
            let mut rows = XlsxRows::new(writer).map_err(unwritable)?;
            let copied = copy(&client, request, |row| rows.row(row)).await;
            copied.and_then(|copied| rows.finish().map(|()| copied).map_err(Stopped::Writing))
        }
    };
    let (row_count, hierarchy_version) = copied.map_err(|stopped| match stopped {
        Stopped::Reading(failure) => failure,
        Stopped::Writing(e) => unwritable(e),
    })?;
    made.as_file().sync_all().map_err(unwritable)?;
    made.persist(file).map_err(|e| unwritable(e.error))?;
    let exported = Exported { file: file.display().to_string(), row_count, hierarchy_version };
    output::print(format, &exported, |exported| {
        output::pairs(&[
            ("File", exported.file.clone()),
            ("Rows", exported.row_count.to_string()),
            ("Hierarchy version", exported.hierarchy_version.to_string()),
        ])
    })
}

/// As what a file is written: as is said, or by its ending.
fn written_as(file: Option<&Path>, said: Option<ExportFormat>) -> Result<ExportFormat, Failure> {
    let Some(file) = file else {
        return match said {
            None | Some(ExportFormat::Csv) => Ok(ExportFormat::Csv),
            Some(ExportFormat::Xlsx) => {
                Err(Failure::input("an XLSX file needs a name; standard output takes CSV"))
            }
        };
    };
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match (said, ending.as_deref()) {
        (Some(said), _) => Ok(said),
        (None, Some("csv")) => Ok(ExportFormat::Csv),
        (None, Some("xlsx")) => Ok(ExportFormat::Xlsx),
        (None, _) => Err(Failure::input(format_args!(
            "{} ends in neither .csv nor .xlsx: say --format csv or xlsx",
            file.display()
        ))),
    }
}

/// Why rows could not be copied.
enum Stopped {
    Reading(Failure),
    Writing(io::Error),
}

fn failed(error: io::Error) -> Failure {
    Failure::Failed(anyhow::Error::new(error).context("the units cannot be written"))
}

/// Takes all rows as they come; how many there were, of which version.
async fn copy(
    client: &Client,
    request: pb::StreamUnitRowsRequest,
    mut take: impl FnMut(&pb::UnitRow) -> io::Result<()>,
) -> Result<(u64, i64), Stopped> {
    let read = |status: tonic::Status| Stopped::Reading(status.into());
    let mut stream = client.registry().stream_unit_rows(request).await.map_err(read)?.into_inner();
    let (mut count, mut version) = (0, 0);
    while let Some(some) = stream.message().await.map_err(read)? {
        version = some.hierarchy_version;
        for row in &some.rows {
            take(row).map_err(Stopped::Writing)?;
            count += 1;
        }
    }
    Ok((count, version))
}
