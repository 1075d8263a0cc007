//! `units reorganise`: recording what happened to units, and saying before what that does.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use dunghan_proto::compliance as duty;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::UnitEffectKind;
use dunghan_rpc::field::pb_date;
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::moved::Moved;
use crate::cli::Format;
use crate::client::{Client, Lookup, PAGE};
use crate::commands::contacts::Contact;
use crate::commands::grants::Grant;
use crate::commands::obligations::Obligation;
use crate::failure::Failure;
use crate::input::{self, ReorganisationFile};
use crate::output::{self, Column, Rows, hang, plain, show_date, show_period, word};

/// The most units of one question about obligations.
const UNITS_AT_ONCE: usize = 1000;
/// How many of a kind are listed where not all are asked for.
const LISTED: usize = 20;

/// What the reorganisations of a file would do.
#[derive(Serialize)]
struct DryRun {
    reorganisations: Vec<Preview>,
}

#[derive(Serialize)]
struct Preview {
    reorganisation_id: String,
    title: String,
    legal_basis: String,
    effective_date: Option<NaiveDate>,
    /// With any there is nothing else.
    problems: Vec<Problem>,
    effects: Vec<Effect>,
    edges: Vec<Edge>,
    /// Those that end with their units.
    contacts: Vec<Contact>,
    /// Those over units that end: they only read on.
    grants: Vec<Grant>,
    obligations: Vec<Affected>,
    retroactive: bool,
    hierarchy_version: i64,
}

#[derive(Serialize)]
struct Problem {
    /// Where in the file.
    field: String,
    reason: String,
    message: String,
}

#[derive(Serialize)]
struct Effect {
    effect: String,
    #[serde(flatten)]
    moved: Moved,
}

#[derive(Serialize)]
struct Edge {
    kind: String,
    predecessor: String,
    predecessor_label: String,
    successor: String,
    successor_label: String,
}

#[derive(Serialize)]
struct Affected {
    consequence: String,
    #[serde(flatten)]
    obligation: Obligation,
}

#[derive(Serialize)]
struct Applied {
    reorganisations: Vec<Recorded>,
    /// How many of them were not there before.
    created_count: i32,
}

#[derive(Serialize)]
struct Recorded {
    name: String,
    title: String,
    effective_date: Option<NaiveDate>,
    hierarchy_version: i64,
}

/// Applies a file of reorganisations, or says what it would do.
pub(super) async fn reorganise(
    client: impl FnOnce() -> Result<Client, Failure>,
    file: &Path,
    dry_run: bool,
    all: bool,
    format: Format,
) -> Result<(), Failure> {
    let read = input::in_file(file, input::reorganisations(&input::read(file)?))?;
    let client = client()?;
    if !dry_run {
        let applied = apply(&client, &read).await;
        return output::print(format, &in_file(file, &read, 0, applied)?, applied_text);
    }
    let mut lookup = Lookup::new(&client);
    let (mut previews, mut texts) = (Vec::new(), Vec::new());
    for at in 0..read.requests.len() {
        let preview = preview(&client, &mut lookup, &read, at).await;
        let preview = in_file(file, &read, at, preview)?;
        texts.push(preview.text(&mut lookup, all).await);
        previews.push(preview);
    }
    let problems: usize = previews.iter().map(|preview| preview.problems.len()).sum();
    output::print(format, &DryRun { reorganisations: previews }, |_| {
        let head = format!("Dry run of {}; nothing was changed.", file.display());
        let mut parts = vec![output::wrap(&head)];
        if texts.len() > 1 {
            let note = "Each is tried by itself on the units as they are recorded now; \
                        what those before it in the file would do is not counted in.";
            parts.push(output::wrap(note));
        }
        parts.extend(texts);
        parts.join("\n\n")
    })?;
    if problems == 0 {
        return Ok(());
    }
    let (file, problems) = (file.display(), output::many(problems, "problem", "problems"));
    Err(Failure::input(format_args!("{file}: {problems}; nothing would be applied")))
}

/// A refusal of fields of the file, or of its `at`th reorganisation, as what is wrong with the file, each with its place in it.
fn in_file<T>(
    file: &Path,
    read: &ReorganisationFile,
    at: usize,
    answer: Result<T, Failure>,
) -> Result<T, Failure> {
    let status = match answer {
        Err(Failure::Refused(status)) => status,
        other => return other,
    };
    let found: Vec<_> =
        violations(&status).map(|(field, why)| (read.place(at, &field), why)).collect();
    if found.is_empty() {
        return Err(Failure::Refused(status));
    }
    let file = file.display();
    Err(Failure::Input(found.into_iter().map(|(at, why)| format!("{file}: {at}: {why}")).collect()))
}

fn violations(status: &Status) -> impl Iterator<Item = (String, String)> {
    let request = status.get_details_bad_request().into_iter();
    request.flat_map(|request| request.field_violations).map(|one| (one.field, one.description))
}

async fn apply(client: &Client, file: &ReorganisationFile) -> Result<Applied, Failure> {
    let recorded = |one: pb::Reorganisation| Recorded {
        effective_date: output::date(one.effective_date.as_ref()),
        name: one.name,
        title: one.title,
        hierarchy_version: one.hierarchy_version,
    };
    match file.requests.as_slice() {
        [one] if one.reorganisation_id.is_empty() => {
            let request_id = uuid::Uuid::new_v4().to_string();
            let request = pb::CreateReorganisationRequest { request_id, ..one.clone() };
            let created = client.reorganisations().create_reorganisation(request).await?;
            let reorganisations = vec![recorded(created.into_inner())];
            Ok(Applied { reorganisations, created_count: 1 })
        }
        requests => {
            let request = pb::BatchCreateReorganisationsRequest { requests: requests.to_vec() };
            let answer = client.reorganisations().batch_create_reorganisations(request).await?;
            let answer = answer.into_inner();
            Ok(Applied {
                created_count: answer.created_count,
                reorganisations: answer.reorganisations.into_iter().map(recorded).collect(),
            })
        }
    }
}

fn applied_text(applied: &Applied) -> String {
    let mut rows = Rows::new(&[
        Column::Text("Effective"),
        Column::Text("Reorganisation"),
        Column::Number("Version"),
    ]);
    for one in &applied.reorganisations {
        rows.row([
            show_date(one.effective_date),
            format!("{} ({})", one.title, super::reorganisations::id(&one.name)),
            one.hierarchy_version.to_string(),
        ]);
    }
    let there = applied.reorganisations.len() - usize::try_from(applied.created_count).unwrap_or(0);
    format!("{}\n\n{} applied, {there} recorded before.", rows.text(), applied.created_count)
}

async fn preview(
    client: &Client,
    lookup: &mut Lookup<'_>,
    file: &ReorganisationFile,
    at: usize,
) -> Result<Preview, Failure> {
    let request = file.requests[at].clone();
    let stated = request.reorganisation.clone().unwrap_or_default();
    let effective = output::date(stated.effective_date.as_ref());
    let mut preview = Preview {
        reorganisation_id: request.reorganisation_id,
        title: stated.title,
        legal_basis: stated.legal_basis,
        effective_date: effective,
        problems: Vec::new(),
        effects: Vec::new(),
        edges: Vec::new(),
        contacts: Vec::new(),
        grants: Vec::new(),
        obligations: Vec::new(),
        retroactive: false,
        hierarchy_version: 0,
    };
    let asked = pb::PreviewReorganisationRequest { reorganisation: request.reorganisation };
    let found = match client.reorganisations().preview_reorganisation(asked).await {
        Ok(found) => found.into_inner(),
        Err(status) => {
            let failure = Failure::from(status);
            let Failure::Refused(status) = &failure else { return Err(failure) };
            let reason = failure.reason().unwrap_or_default();
            let problems = violations(status).map(|(field, message)| Problem {
                field: file.place(at, &field),
                reason: reason.clone(),
                message,
            });
            preview.problems = problems.collect();
            let fields = status.code() == Code::InvalidArgument && !preview.problems.is_empty();
            return if fields { Ok(preview) } else { Err(failure) };
        }
    };
    let problems = found.problems.into_iter().map(|problem| Problem {
        reason: word(problem.reason().as_str_name(), "ERROR_REASON_"),
        field: file.place(at, &problem.field),
        message: problem.message,
    });
    preview.problems = problems.collect();
    preview.hierarchy_version = found.hierarchy_version;
    preview.retroactive = found.retroactive;
    let eve = effective.and_then(|date| date.pred_opt());
    for effect in &found.effects {
        for (unit, day) in [(&effect.before, eve), (&effect.after, effective)] {
            if let Some(unit) = unit {
                lookup.note(unit, day);
            }
        }
        preview.effects.push(Effect {
            effect: word(effect.kind().as_str_name(), "UNIT_EFFECT_KIND_"),
            moved: Moved::of(effect.before.as_ref(), effect.after.as_ref()),
        });
    }
    for edge in found.edges {
        preview.edges.push(Edge {
            kind: word(edge.kind().as_str_name(), "EDGE_KIND_"),
            predecessor_label: lookup.label(&edge.predecessor, eve).await,
            successor_label: lookup.label(&edge.successor, effective).await,
            predecessor: edge.predecessor,
            successor: edge.successor,
        });
    }
    preview.edges.sort_by(|one, other| {
        let key = |edge: &Edge| (edge.successor_label.clone(), edge.predecessor_label.clone());
        key(one).cmp(&key(other))
    });
    preview.contacts = found.contacts.into_iter().map(Contact::from).collect();
    preview.grants = found.grants.into_iter().map(Grant::from).collect();
    if let Some(effective) = effective.filter(|_| preview.problems.is_empty()) {
        preview.obligations = obligations(client, &found.effects, effective).await?;
    }
    Ok(preview)
}

/// What becomes of the obligations of units that end or change.
async fn obligations(
    client: &Client,
    effects: &[pb::UnitEffect],
    effective: NaiveDate,
) -> Result<Vec<Affected>, Failure> {
    let concerned = effects.iter().filter(|effect| effect.kind() != UnitEffectKind::Created);
    let concerned = concerned.filter_map(|effect| {
        let unit = effect.before.as_ref().or(effect.after.as_ref())?;
        Some((unit.name.clone(), effect.after.is_none()))
    });
    let concerned: BTreeMap<String, bool> = concerned.collect();
    let concerned: Vec<_> = concerned.into_iter().collect();
    let mut affected = Vec::new();
    for some in concerned.chunks(UNITS_AT_ONCE) {
        let of = |wanted: bool| {
            let units = some.iter().filter(|(_, ends)| *ends == wanted);
            units.map(|(unit, _)| unit.clone()).collect()
        };
        let mut request = duty::ListAffectedObligationsRequest {
            units: of(true),
            changed_units: of(false),
            effective_date: Some(pb_date(effective)),
            page_size: PAGE,
            page_token: String::new(),
        };
        loop {
            let page = client.compliance().list_affected_obligations(request.clone()).await?;
            let page = page.into_inner();
            affected.extend(page.affected_obligations.into_iter().map(|one| Affected {
                consequence: word(one.consequence().as_str_name(), "CONSEQUENCE_"),
                obligation: one.obligation.unwrap_or_default().into(),
            }));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
    }
    Ok(affected)
}

impl Preview {
    async fn text(&self, lookup: &mut Lookup<'_>, all: bool) -> String {
        let effective = show_date(self.effective_date);
        let mut parts = vec![format!(
            "{}\n{}",
            output::wrap(&self.title),
            output::wrap(&format!("{}, effective {effective}", self.legal_basis))
        )];
        if !self.problems.is_empty() {
            let problems = self.problems.iter().map(|problem| {
                let text = format!("{}: {} ({})", problem.field, problem.message, problem.reason);
                hang("  ", "    ", &text)
            });
            let problems: Vec<_> = problems.collect();
            parts.push(format!("Problems: {}\n{}", problems.len(), problems.join("\n")));
            return parts.join("\n\n");
        }
        if self.retroactive {
            let note = format!(
                "{effective} lies before today: whatever is asked for dates since then is answered anew, also for \
                 periods that are closed."
            );
            parts.push(output::wrap(&note));
        }
        parts.extend(self.effects(lookup, all).await);
        let edges = self.edges.iter().map(|edge| {
            let how = match edge.kind.as_str() {
                "SPLIT_MAIN" => "the main part of it",
                "SPLIT_PART" => "a part of it",
                _ => "all of it",
            };
            format!("{} → {}, {how}", edge.predecessor_label, edge.successor_label)
        });
        parts.extend(group("What passes to whom", edges.collect(), all));
        let eve = self.effective_date.and_then(|date| date.pred_opt());
        let mut contacts = Vec::new();
        for contact in &self.contacts {
            let unit = lookup.label(contact.unit(), eve).await;
            contacts.push(format!("{unit}: {}, {}", plain(&contact.role), contact.display_name));
        }
        parts.extend(group("Contacts that end with their units", contacts, all));
        let mut grants = Vec::new();
        for grant in &self.grants {
            let unit = lookup.label(&grant.unit, eve).await;
            grants.push(format!("{}: {} over {unit}", grant.subject, plain(&grant.role)));
        }
        parts.extend(group(
            "Grants that only read on; what comes after is not covered",
            grants,
            all,
        ));
        parts.push(self.owed());
        parts.join("\n\n")
    }

    async fn effects(&self, lookup: &mut Lookup<'_>, all: bool) -> Vec<String> {
        let (date, eve) =
            (self.effective_date, self.effective_date.and_then(|date| date.pred_opt()));
        let mut parts = Vec::new();
        for (effect, title) in [
            ("CREATED", "Units that begin"),
            ("ENDED", "Units that end"),
            ("CHANGED", "Units that change"),
            ("TAKEN_BACK", "Units that never existed"),
            ("REWRITTEN", "Units that are told anew"),
        ] {
            let mut lines = Vec::new();
            for Effect { moved, .. } in self.effects.iter().filter(|one| one.effect == effect) {
                let (code, name) = if moved.name_before.is_empty() {
                    (&moved.code, &moved.name)
                } else {
                    (&moved.code_before, &moved.name_before)
                };
                let rest = match effect {
                    "CREATED" => under(lookup, &moved.parent_unit, date).await,
                    "ENDED" => under(lookup, &moved.parent_unit_before, eve).await,
                    "CHANGED" => format!(": {}", moved.words(lookup, date).await),
                    "REWRITTEN" if moved.name.is_empty() => ": ends".to_owned(),
                    "REWRITTEN" if moved.name_before.is_empty() => ": goes on".to_owned(),
                    "REWRITTEN" if !moved.changed.is_empty() => {
                        format!(": {}", moved.words(lookup, date).await)
                    }
                    _ => String::new(),
                };
                lines.push(format!("{code} {name}{rest}"));
            }
            parts.extend(group(title, lines, all));
        }
        // Many at a time, from one parent to another.
        let mut along: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Effect { moved, .. } in self.effects.iter().filter(|one| one.effect == "PASSED_ALONG") {
            let words = moved.words(lookup, date).await;
            along.entry(words).or_default().push(format!("{} {}", moved.code, moved.name));
        }
        for (words, lines) in along {
            let title = format!("Units that pass along, {words}: {}", lines.len());
            let lines = if all { lines } else { vec![some(&lines, 3).join(", ")] };
            parts.push(listed(&title, &lines));
        }
        parts
    }

    /// The obligations by regime, period and what becomes of them.
    fn owed(&self) -> String {
        if self.obligations.is_empty() {
            return "No obligation is concerned.".to_owned();
        }
        let mut groups: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for Affected { consequence, obligation } in &self.obligations {
            let key = (&obligation.regime, &obligation.period, consequence);
            let label = format!("{} {}", obligation.unit_code, obligation.unit_display_name);
            groups.entry(key).or_default().push(label.trim().to_owned());
        }
        let mut rows = Rows::new(&[
            Column::Text("Regime"),
            Column::Text("Period"),
            Column::Number("Count"),
            Column::Text("Units"),
            Column::Text("What becomes of it"),
        ]);
        for ((regime, period, consequence), mut units) in groups {
            units.sort();
            let what = match consequence.as_str() {
                "NO_LONGER_OWED" => "no longer owed",
                "STILL_OWED" => "still owed: whoever comes after sees to it, or it is waived",
                "CLOSED_PERIOD" => "closed already: its rate and roll-ups are answered anew",
                other => other,
            };
            rows.row([
                regime.trim_start_matches("regimes/").to_owned(),
                show_period(period),
                units.len().to_string(),
                some(&units, 3).join(", "),
                what.to_owned(),
            ]);
        }
        format!("Obligations concerned: {}\n\n{}", self.obligations.len(), rows.text())
    }
}

/// Under whom, after a unit's name; nothing at the top.
async fn under(lookup: &mut Lookup<'_>, parent: &str, on: Option<NaiveDate>) -> String {
    if parent.is_empty() {
        return String::new();
    }
    format!(", under {}", lookup.label(parent, on).await)
}

/// Lines under a title with their number; nothing for none.
fn group(title: &str, lines: Vec<String>, all: bool) -> Option<String> {
    let most = if all { usize::MAX } else { LISTED };
    let head = format!("{title}: {}", lines.len());
    (!lines.is_empty()).then(|| listed(&head, &some(&lines, most)))
}

fn listed(title: &str, lines: &[String]) -> String {
    let lines = lines.iter().map(|line| hang("  ", "      ", line));
    [output::wrap(title)].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

/// So many at the most, and how many more there are.
fn some(texts: &[String], most: usize) -> Vec<String> {
    // One more takes no more room than saying so.
    if texts.len() <= most.saturating_add(1) {
        return texts.to_vec();
    }
    let more = format!("… {} more", texts.len() - most);
    texts[..most].iter().cloned().chain([more]).collect()
}
