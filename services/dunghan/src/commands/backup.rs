//! `backup` and `restore`: the SQLite files, the attached files where they are in a folder, and the keys, copied while the
//! services run and put back in a new place.
//!
//! A backup is a folder. Its manifest is written last: a folder without one is no backup.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, FixedOffset};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_host::Config;
use dunghan_store::{Location, back_up, take_into_use};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::cli::Backup;
use crate::failure::Failure;
use crate::output::{self, Column, Rows};
use crate::suite::suite;

const MANIFEST: &str = "backup.json";
const ISSUER_KEY: &str = "issuer.pem";
const RECEIPT_KEY: &str = "receipt.pem";
/// The folder of attached files.
const ATTACHMENTS: &str = "attachments";
/// Of the manifest; another means another way to restore.
const FORMAT: u32 = 1;
/// Before the name of a file that is not yet whole.
const PARTIAL: &str = "restoring-";
/// What a new file system has in its first folder.
const LOST_AND_FOUND: &str = "lost+found";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// Of the program that made it.
    version: String,
    /// What was acknowledged before is in it.
    begin_time: DateTime<FixedOffset>,
    /// What was acknowledged after is not.
    end_time: DateTime<FixedOffset>,
    files: Vec<Copied>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    name: String,
    size_bytes: u64,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Done {
    folder: PathBuf,
    #[serde(flatten)]
    manifest: Manifest,
}

/// Where what is backed up is found, and put back.
struct Places {
    data: PathBuf,
    keys: [(&'static str, PathBuf); 2],
    /// None: attached files are in a store elsewhere, which is backed up by its own means.
    attachments: Option<PathBuf>,
}

impl Places {
    fn of(config: &Config) -> Result<Self, Failure> {
        let data = data_folder(config)?;
        let submission: dunghan_submission::Config =
            config.service("submission").map_err(Failure::input)?;
        let folder = config.data_folder();
        let keys =
            [(ISSUER_KEY, config.issuer_key()), (RECEIPT_KEY, submission.receipt_key_file(folder))];
        Ok(Self { data, keys, attachments: submission.attachments.folder(folder) })
    }

    fn key(&self, name: &str) -> Option<&Path> {
        self.keys.iter().find(|(key, _)| *key == name).map(|(_, file)| file.as_path())
    }

    /// Where a file of a backup goes.
    fn target(&self, name: &str) -> PathBuf {
        let attached = self.attachments.as_deref().zip(attached(name));
        let attached = attached.map(|(folder, name)| folder.join(name));
        attached
            .or_else(|| self.key(name).map(Path::to_owned))
            .unwrap_or_else(|| self.data.join(name))
    }

    /// As [`Self::target`], before all that belongs to it is there.
    fn partial(&self, name: &str) -> PathBuf {
        let target = self.target(name);
        let file = target.file_name().unwrap_or_default().display().to_string();
        target.with_file_name(format!("{PARTIAL}{file}"))
    }
}

/// Of the name of an attached file in a backup that which comes after the folder; none: it is the name of something else.
fn attached(name: &str) -> Option<&str> {
    let within = name.strip_prefix(ATTACHMENTS)?.strip_prefix('/')?;
    let (folder, id) = within.split_once('/')?;
    let one = Uuid::try_parse(id).ok().filter(|one| one.hyphenated().to_string() == id);
    one.filter(|_| id.get(..2) == Some(folder)).map(|_| within)
}

/// The names that attached files have in a backup. What else is in the folder may be anybody's, and is not looked into.
fn attachments(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for inner in (0..=u8::MAX).map(|byte| format!("{byte:02x}")) {
        let files = match fs::read_dir(folder.join(&inner)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            files => files?,
        };
        for file in files {
            let name = format!("{ATTACHMENTS}/{inner}/{}", file?.file_name().display());
            // What is still being written has another name.
            names.extend(attached(&name).is_some().then_some(name));
        }
    }
    names.sort();
    Ok(names)
}

pub(super) async fn backup(args: Backup) -> Result<(), Failure> {
    let config = super::serve::read(&args.config)?;
    let places = Places::of(&config)?;
    let data = &places.data;
    let files = names().into_iter().map(|name| (data.join(&name), name));
    let files: Vec<_> = files.filter(|(file, _)| file.exists()).collect();
    if files.is_empty() {
        let data = data.display();
        return Err(Failure::input(format_args!("{data} holds no data: give its --data-dir")));
    }
    fresh(&args.folder)?;
    let begin_time = now();
    let mut copied = Vec::new();
    for (file, name) in files {
        let to = args.folder.join(&name);
        back_up(&file, &to).await.with_context(|| format!("{} was not copied", file.display()))?;
        copied.push(measure(&to, name)?);
    }
    for (name, key) in places.keys.iter().filter(|(_, key)| key.exists()) {
        copied.push(copy(key, &args.folder.join(name), (*name).to_owned())?);
    }
    // After the rows that know of them: a file is there before its row is.
    if let Some(folder) = &places.attachments {
        copied.extend(back_up_attachments(folder, &args.folder)?);
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let manifest = Manifest { format: FORMAT, version, begin_time, end_time: now(), files: copied };
    let text = serde_json::to_string_pretty(&manifest).map_err(anyhow::Error::from)?;
    // Under its name only when it is whole, and after all that it names.
    let partial = args.folder.join(format!("{PARTIAL}{MANIFEST}"));
    let mut file = create(&partial)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&partial))?;
    take_place(&partial, &args.folder.join(MANIFEST))?;
    sync(&args.folder)?;
    sync(parent(&args.folder))?;
    output::print(args.output, &Done { folder: args.folder, manifest }, show)
}

fn back_up_attachments(from: &Path, to: &Path) -> Result<Vec<Copied>, Failure> {
    let unreadable = |e| Failure::input(format_args!("{} cannot be read: {e}", from.display()));
    let (mut copied, mut folders) = (Vec::new(), BTreeSet::new());
    for name in attachments(from).map_err(unreadable)? {
        let Some(within) = attached(&name) else { continue };
        let (source, target) = (File::open(from.join(within)), to.join(&name));
        if source.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Erased meanwhile, or collected.
            continue;
        }
        private(parent(&target))?;
        folders.insert(parent(&target).to_owned());
        copied.push(copy_opened(source.map_err(unreadable)?, &target, name)?);
    }
    for folder in &folders {
        sync(folder)?;
        sync(parent(folder))?;
    }
    Ok(copied)
}

pub(super) async fn restore(args: Backup) -> Result<(), Failure> {
    let config = super::serve::read(&args.config)?;
    let places = Places::of(&config)?;
    let manifest = read_manifest(&args.folder)?;
    for file in &manifest.files {
        if let Some(key) = places.key(&file.name).filter(|key| key.exists()) {
            let key = key.display();
            let says = format_args!("{key} is there already: nothing was restored");
            return Err(Failure::input(says));
        }
    }
    let attached: Vec<_> =
        manifest.files.iter().filter(|file| attached(&file.name).is_some()).collect();
    if !attached.is_empty() && places.attachments.is_none() {
        return Err(Failure::input(
            "the backup holds attached files, and submission.attachments.location is no folder to put them back into",
        ));
    }
    fresh(&places.data)?;
    if let Some(folder) = places.attachments.as_deref().filter(|_| !attached.is_empty()) {
        fresh(folder)?;
    }
    for file in &manifest.files {
        // A key may be elsewhere than the data.
        private(parent(&places.target(&file.name)))?;
    }
    let placed = place(&args.folder, &manifest, &places).await;
    if let Err(failure) = placed {
        // The folders are as they were: the next attempt finds them empty.
        for file in &manifest.files {
            let _ = fs::remove_file(places.partial(&file.name));
        }
        for file in attached {
            let _ = fs::remove_dir(parent(&places.target(&file.name)));
        }
        if let Some(folder) = &places.attachments {
            let _ = fs::remove_dir(folder);
        }
        return Err(failure);
    }
    for file in &manifest.files {
        let target = places.target(&file.name);
        take_place(&places.partial(&file.name), &target)?;
        sync(parent(&target))?;
    }
    output::print(args.output, &Done { folder: places.data, manifest }, show)
}

/// Copies all files of a backup to where they belong, and readies them, so that only their names are not yet right.
async fn place(from: &Path, manifest: &Manifest, places: &Places) -> Result<(), Failure> {
    for file in &manifest.files {
        let to = places.partial(&file.name);
        let copied = copy(&from.join(&file.name), &to, file.name.clone())?;
        if copied != *file {
            let file = from.join(&file.name);
            return Err(Failure::input(format_args!(
                "{} is not the file that was backed up: its size or its SHA-256 differs from {MANIFEST}; nothing was \
                 restored",
                file.display()
            )));
        }
    }
    let databases = names();
    for file in manifest.files.iter().filter(|file| databases.contains(&file.name)) {
        let file = places.partial(&file.name);
        take_into_use(&file).await.with_context(|| format!("{} is of no use", file.display()))?;
        sync(&file)?;
    }
    Ok(())
}

fn read_manifest(folder: &Path) -> Result<Manifest, Failure> {
    let file = folder.join(MANIFEST);
    let bytes = fs::read(&file).map_err(|e| {
        let folder = folder.display();
        Failure::input(format_args!(
            "{folder} is no whole backup: its {MANIFEST} cannot be read: {e}"
        ))
    })?;
    let unreadable = |e| Failure::input(format_args!("{} does not read: {e}", file.display()));
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(unreadable)?;
    let known = [names(), vec![ISSUER_KEY.to_owned(), RECEIPT_KEY.to_owned()]].concat();
    let strange = |file: &&Copied| !known.contains(&file.name) && attached(&file.name).is_none();
    if manifest.format != FORMAT || manifest.files.iter().any(|file| strange(&file)) {
        let made_by = manifest.version;
        return Err(Failure::input(format_args!(
            "{} is of dunghan {made_by}, and this one does not know how to restore it",
            folder.display()
        )));
    }
    Ok(manifest)
}

/// The files of all services, those of consumers of events before those of the events' owners: copied in this order,
/// no consumer has an event that its owner's copy does not have.
fn names() -> Vec<String> {
    suite().names().into_iter().rev().map(|service| format!("{service}.db")).collect()
}

/// Where the files are.
fn data_folder(config: &Config) -> Result<PathBuf, Failure> {
    match config.location().map_err(Failure::input)? {
        Location::Sqlite(folder) => Ok(folder),
        Location::Postgres(_) => Err(Failure::input(
            "the data is in PostgreSQL: use pg_dump and pg_restore, as docs/OPERATIONS.md shows",
        )),
    }
}

/// Makes a folder for its owner alone, if it is not there.
fn private(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))
}

/// Makes a folder for its owner alone; one that is there has to be empty.
fn fresh(folder: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let entries = made.and_then(|()| fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(|e| {
        Failure::input(format_args!("{} cannot be made, or not read: {e}", folder.display()))
    })?;
    let name = entries.iter().map(|entry| entry.file_name()).find(|name| name != LOST_AND_FOUND);
    name.map_or(Ok(()), |name| {
        Err(Failure::input(format_args!(
            "{} has to be an empty folder and holds {}",
            folder.display(),
            name.display()
        )))
    })
}

/// Copies a file to one for its owner alone, and onto the disk.
fn copy(from: &Path, to: &Path, name: String) -> Result<Copied, Failure> {
    let source = File::open(from)
        .map_err(|e| Failure::input(format_args!("{} cannot be read: {e}", from.display())))?;
    copy_opened(source, to, name)
}

fn copy_opened(source: File, to: &Path, name: String) -> Result<Copied, Failure> {
    let mut target = create(to)?;
    let copied = digest(source, name, |bytes| target.write_all(bytes)).map_err(failed(to))?;
    target.sync_all().map_err(failed(to))?;
    Ok(copied)
}

fn measure(file: &Path, name: String) -> Result<Copied, Failure> {
    let digest = File::open(file).and_then(|source| digest(source, name, |_| Ok(())));
    digest.map_err(failed(file))
}

/// Reads a file through, and hands on what it reads.
fn digest(
    mut source: File,
    name: String,
    mut hand_on: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Copied> {
    let (mut hash, mut size_bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            let sha256 = format!("{:x}", hash.finalize());
            return Ok(Copied { name, size_bytes, sha256 });
        }
        hash.update(&buffer[..read]);
        hand_on(&buffer[..read])?;
        size_bytes += read as u64;
    }
}

fn create(file: &Path) -> Result<File, Failure> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    created.map_err(failed(file))
}

fn take_place(partial: &Path, file: &Path) -> Result<(), Failure> {
    fs::rename(partial, file).map_err(failed(file))
}

/// Has a file, or the names in a folder, on the disk.
fn sync(path: &Path) -> Result<(), Failure> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed(path))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent,
        _ => Path::new("."),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Failure + '_ {
    |error| {
        let context = format!("{} cannot be written", path.display());
        Failure::Failed(anyhow::Error::from(error).context(context))
    }
}

fn now() -> DateTime<FixedOffset> {
    output::in_viet_nam(SystemClock.now())
}

fn show(done: &Done) -> String {
    let mut rows = Rows::new(&[Column::Text("File"), Column::Number("Bytes")]);
    let (attached, others): (Vec<_>, Vec<_>) =
        done.manifest.files.iter().partition(|file| attached(&file.name).is_some());
    for file in others {
        rows.row([file.name.clone(), file.size_bytes.to_string()]);
    }
    if !attached.is_empty() {
        let bytes: u64 = attached.iter().map(|file| file.size_bytes).sum();
        rows.row([format!("{ATTACHMENTS}: {} files", attached.len()), bytes.to_string()]);
    }
    let about = output::pairs(&[
        ("Folder", done.folder.display().to_string()),
        ("As of", output::show_time(Some(done.manifest.begin_time))),
        ("Made by", format!("dunghan {}", done.manifest.version)),
    ]);
    format!("{about}\n\n{}", rows.text())
}
