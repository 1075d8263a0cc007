//! Reorganisations that stand in the place of others: everything is built again from the record.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dunghan_proto::registry as pb;
use tonic::Status;

use super::current::Known;
use super::reorganisation::{Edges, New, Tried};
use super::{Service, aside};
use crate::convert;
use crate::convert::reorganisation::{Happens, reorganisation};
use crate::domain::record::{self, Conflict, Entry, Refused, Said};
use crate::store::{Error, Recorded};

/// An import that is an entry of the record.
struct Imported {
    version: u64,
    name: String,
    rows: Vec<pb::UnitRow>,
}

/// The entries of the record that are there already, by the version that each made.
type Names = BTreeMap<u64, String>;

impl Service {
    /// What would follow from new reorganisations of which some correct others.
    pub(super) async fn corrected(
        &self,
        known: Arc<Known>,
        new: Vec<Arc<New>>,
    ) -> Result<Result<Tried, Refused>, Status> {
        if let Some(refused) = self.not_to_be_corrected(&known, &new).await? {
            return Ok(Err(refused));
        }
        let recorded = self.store.reorganisation_all().await?;
        let imported = self.recorded_imports().await?;
        aside(move || rebuilt(known, &new, recorded, imported)).await
    }

    /// Whether one of these corrects what is not there, or is corrected already.
    async fn not_to_be_corrected(
        &self,
        known: &Known,
        new: &[Arc<New>],
    ) -> Result<Option<Refused>, Status> {
        // Of those before it in the batch, which one corrects what.
        let mut by: HashMap<&Arc<str>, &Arc<str>> = HashMap::new();
        for (at, one) in new.iter().enumerate() {
            let Some(id) = &one.corrects else { continue };
            if let Some(by) = by.insert(id, one.id()) {
                let (id, by) = (id.clone(), by.clone());
                return Ok(Some(Refused::CorrectedAlready { at, id, by }));
            }
            let before = new.iter().take(at).any(|before| before.id() == id);
            if before || known.reorganisations.contains_key(&**id) {
                continue;
            }
            let id = id.clone();
            match self.store.reorganisation_fetch(&id).await? {
                None => return Ok(Some(Refused::NotFound { at, id })),
                Some(Recorded { corrected_by: Some(by), .. }) => {
                    return Ok(Some(Refused::CorrectedAlready { at, id, by: by.into() }));
                }
                // Another process has just recorded it: this one will be overtaken, and see it then.
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// The imports that are entries of the record, each with the version that it made and its name.
    async fn recorded_imports(&self) -> Result<Vec<Imported>, Error> {
        let mut imported = Vec::new();
        for (version, id) in self.store.imports_committed().await? {
            let name = format!("unitImports/{id}");
            imported.push(Imported { version, name, rows: self.store.import_rows(id).await? });
        }
        Ok(imported)
    }
}

/// Builds everything again from the record with the new ones in it.
fn rebuilt(
    known: Arc<Known>,
    new: &[Arc<New>],
    recorded: Vec<Recorded>,
    imported: Vec<Imported>,
) -> Result<Tried, Refused> {
    // What stands in the way of correcting is told where the first correction is.
    let at = new.iter().position(|one| one.corrects.is_some()).unwrap_or_default();
    let version = known.hierarchy.version();
    let mut names = Names::new();
    let entries = entries(recorded, imported, &mut names);
    let mut entries = entries.map_err(|problems| Refused::LaterEntry { at, problems })?;
    // What another process has just recorded: this one will be overtaken.
    entries.retain(|entry| entry.version <= version);
    if !record::is_whole(&entries, version) {
        return Err(Refused::RecordIncomplete { at });
    }
    entries.extend((version + 1..).zip(new).map(|(version, one)| Entry {
        version,
        corrects: one.corrects.clone(),
        said: Said::Reorganisation(one.says.clone()),
    }));
    let rebuilt = record::rebuild(&known.hierarchy, entries);
    let rebuilt = rebuilt.map_err(|conflict| in_the_way(at, version, &names, conflict))?;
    Ok(Tried {
        known,
        hierarchy: rebuilt.hierarchy,
        changed: rebuilt.effects.iter().map(|(unit, ..)| *unit).collect(),
        edges: Edges::Rewritten,
        effects: rebuilt
            .effects
            .into_iter()
            .map(|(unit, effect, day)| Happens { unit, effect, before: day, after: day })
            .collect(),
    })
}

/// The entries of the record, and the name of each; or which of them do not read any more.
fn entries(
    recorded: Vec<Recorded>,
    imported: Vec<Imported>,
    names: &mut Names,
) -> Result<Vec<Entry>, Vec<String>> {
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    for one in recorded {
        let name = convert::reorganisation::named(&one.id);
        match reorganisation("", one.stated) {
            Ok(read) => entries.push(Entry {
                version: one.version,
                corrects: read.corrects.clone(),
                said: Said::Reorganisation(read.under(one.id.into())),
            }),
            Err(status) => unreadable.push(format!("{name}: {}", status.message())),
        }
        names.insert(one.version, name);
    }
    for Imported { version, name, rows } in imported {
        let mut read = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            match convert::row(at, row) {
                Ok(row) => read.push(row),
                Err(bad) => unreadable.extend(
                    bad.problems
                        .into_iter()
                        .map(|one| format!("{name}, row {}: {}", one.row, one.message)),
                ),
            }
        }
        entries.push(Entry { version, corrects: None, said: Said::Import(read) });
        names.insert(version, name);
    }
    if unreadable.is_empty() { Ok(entries) } else { Err(unreadable) }
}

/// Whether the new ones are at fault themselves, or what came after the one to correct.
fn in_the_way(at: usize, version: u64, names: &Names, conflict: Conflict) -> Refused {
    let name = |version: u64| names.get(&version).map(String::as_str).unwrap_or_default();
    let problems = match conflict {
        Conflict::Rows { version, problems } => problems
            .into_iter()
            .map(|one| format!("{}, row {}: {}", name(version), one.row, one.message))
            .collect(),
        Conflict::Changes(problems) => {
            let of_new = problems.iter().filter(|(made, _)| *made > version);
            let of_new: Vec<_> = of_new
                .map(|(made, problem)| {
                    let mut problem = problem.clone();
                    let nth = made - version - 1;
                    problem.reorganisation = usize::try_from(nth).unwrap_or_default();
                    problem
                })
                .collect();
            if !of_new.is_empty() {
                return Refused::Changes(of_new);
            }
            problems
                .into_iter()
                .map(|(made, one)| format!("{}, {}: {}", name(made), one.field, one.message))
                .collect()
        }
        Conflict::Tree(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    Refused::LaterEntry { at, problems }
}
