//! `units export`: units as a file.

use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
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
        let out = Rows::Csv(CsvRows::new(io::stdout()).map_err(failed)?);
        return match copy(&client, request, out).await {
            Err(Stopped::Writing(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(stopped) => Err(stopped.into()),
            Ok(_) => Ok(()),
        };
    };
    // Beside the file that it becomes, so that nobody ever sees a part of that.
    let unwritable =
        |e: io::Error| Failure::input(format_args!("{} cannot be written: {e}", file.display()));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = tempfile::Builder::new()
        .prefix(".dunghan-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(unwritable)?;
    let writer = BufWriter::new(made.as_file().try_clone().map_err(unwritable)?);
    let rows = match written {
        ExportFormat::Csv => CsvRows::new(writer).map(Rows::Csv),
        ExportFormat::Xlsx => XlsxRows::new(writer).map(Rows::Xlsx),
    };
    let (row_count, hierarchy_version) =
        copy(&client, request, rows.map_err(unwritable)?).await.map_err(Failure::from)?;
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

/// A file that takes rows.
enum Rows<W: Write + Send> {
    Csv(CsvRows<W>),
    Xlsx(XlsxRows<W>),
}

/// Why rows could not be copied.
enum Stopped {
    Reading(Failure),
    Writing(io::Error),
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Reading(failure) => failure,
            Stopped::Writing(error) => failed(error),
        }
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::Failed(anyhow::Error::new(error).context("the units cannot be written"))
}

/// All rows as they come; how many there were, of which version.
async fn copy<W: Write + Send>(
    client: &Client,
    request: pb::StreamUnitRowsRequest,
    mut to: Rows<W>,
) -> Result<(u64, i64), Stopped> {
    let read = |status: tonic::Status| Stopped::Reading(status.into());
    let mut stream = client.registry().stream_unit_rows(request).await.map_err(read)?.into_inner();
    let (mut count, mut version) = (0, 0);
    while let Some(some) = stream.message().await.map_err(read)? {
        version = some.hierarchy_version;
        for row in &some.rows {
            count += 1;
            match &mut to {
                Rows::Csv(file) => file.row(row),
                Rows::Xlsx(file) => file.row(row),
            }
            .map_err(Stopped::Writing)?;
        }
    }
    match to {
        Rows::Csv(file) => file.finish(),
        Rows::Xlsx(file) => file.finish(),
    }
    .map_err(Stopped::Writing)?;
    Ok((count, version))
}
