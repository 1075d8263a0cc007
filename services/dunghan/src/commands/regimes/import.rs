//! `regimes import`: the regimes of a file put in force, all of them or, where one is refused, none.

use dunghan_proto::compliance as pb;
use serde::Serialize;

use super::{OverlapView, Regime, all, hint};
use crate::cli::Format;
use crate::client::Client;
use crate::failure::Failure;
use crate::input::RegimeFile;
use crate::output;

#[derive(Default, Serialize)]
struct Imported {
    /// Nothing was done: what is created would be.
    dry_run: bool,
    created: Vec<String>,
    unchanged: Vec<String>,
    overlaps: Vec<CreatedOverlap>,
    /// Those that amend one of the same file, in a dry run: that one is not in force, so that nobody can tell.
    unchecked: Vec<String>,
    /// The one that was refused after others were created.
    failed: Option<String>,
    /// Those that come after the one that failed.
    not_reached: Vec<String>,
}

/// That a regime which was put in force collects what another does.
#[derive(Serialize)]
struct CreatedOverlap {
    created: String,
    #[serde(flatten)]
    overlap: OverlapView,
}

impl Imported {
    fn created(&mut self, regime: pb::Regime) {
        let Regime { name, overlaps, .. } = regime.into();
        let of = |overlap| CreatedOverlap { created: name.clone(), overlap };
        self.overlaps.extend(overlaps.into_iter().map(of));
        self.created.push(name);
    }
}

/// Puts the regimes of a file in force, or says what would be, and prints it.
///
/// Each is tried before the first is created, and all that is refused is told. What only shows when another of the file is in
/// force ends it half-way: what is created by then stays, and is printed.
pub(super) async fn import(
    client: &Client,
    files: Vec<RegimeFile>,
    dry_run: bool,
    format: Format,
) -> Result<(), Failure> {
    let mut imported = Imported { dry_run, ..Imported::default() };
    let (mut wanted, mut refused) = (Vec::<pb::Regime>::new(), Vec::new());
    for file in files {
        let name = file.regime.name.clone();
        match tried(client, file, &wanted).await {
            Ok(Tried::There) => imported.unchanged.push(name),
            Ok(Tried::Alone { asked, answer }) => {
                wanted.push(asked);
                if dry_run {
                    imported.created(*answer);
                }
            }
            Ok(Tried::NotYet(asked)) => {
                wanted.push(asked);
                if dry_run {
                    imported.unchecked.push(name);
                }
            }
            Err(failure @ Failure::Unreachable { .. }) => return Err(failure),
            Err(failure) => refused.push((name, failure)),
        }
    }
    if !refused.is_empty() {
        return Err(Failure::Several(refused));
    }
    if dry_run {
        return output::print(format, &imported, text);
    }
    let mut wanted = wanted.into_iter();
    let mut ended = Ok(());
    for regime in wanted.by_ref() {
        match put_in_force(client, &regime, false).await {
            Ok(None) => imported.unchanged.push(regime.name),
            Ok(Some(created)) => imported.created(created),
            Err(failure) => {
                imported.failed = Some(regime.name.clone());
                ended = Err(Failure::Several(vec![(regime.name, failure)]));
                break;
            }
        }
    }
    imported.not_reached.extend(wanted.map(|regime| regime.name));
    output::print(format, &imported, text)?;
    ended
}

/// What a server says of a regime before it is put in force.
enum Tried {
    /// It is in force already, the same.
    There,
    /// It could be put in force beside what there is.
    Alone { asked: pb::Regime, answer: Box<pb::Regime> },
    /// It amends one that is still to be put in force.
    NotYet(pb::Regime),
}

/// `before` are those of the same file that are to be put in force first.
async fn tried(client: &Client, file: RegimeFile, before: &[pb::Regime]) -> Result<Tried, Failure> {
    let asked = contract(client, file).await?;
    if before.iter().any(|one| one.name == asked.amends) {
        return Ok(Tried::NotYet(asked));
    }
    Ok(match put_in_force(client, &asked, true).await? {
        None => Tried::There,
        Some(answer) => Tried::Alone { asked, answer: Box::new(answer) },
    })
}

/// Puts a regime in force; `false` where the same one was there already.
pub(crate) async fn create(client: &Client, file: RegimeFile) -> Result<bool, Failure> {
    let regime = contract(client, file).await?;
    Ok(put_in_force(client, &regime, false).await?.is_some())
}

/// Puts a regime in force, or only tries to; none where the same one was there already.
async fn put_in_force(
    client: &Client,
    regime: &pb::Regime,
    validate_only: bool,
) -> Result<Option<pb::Regime>, Failure> {
    let request_id = uuid::Uuid::new_v4().to_string();
    let request =
        pb::CreateRegimeRequest { regime: Some(regime.clone()), request_id, validate_only };
    let refused = match client.compliance().create_regime(request).await {
        Ok(created) => return Ok(Some(created.into_inner())),
        Err(status) => Failure::from(status),
    };
    if refused.reason().as_deref() != Some("REGIME_EXISTS") {
        return Err(refused);
    }
    let request = pb::GetRegimeRequest { name: regime.name.clone() };
    let there = client.compliance().get_regime(request).await?.into_inner();
    let mut wanted = as_put_in_force(regime, &there);
    if wanted.through_date.is_none() && there.through_date.is_some() {
        // It may be another that ended it, and not what it says itself.
        let amended = all(client, None).await?.iter().any(|other| other.amends == regime.name);
        wanted.through_date = there.through_date.filter(|_| amended);
    }
    if wanted == there { Ok(None) } else { Err(refused) }
}

/// What is asked for, with all that the server decides as it is on the one that is there: times, overlaps, and what is left to
/// the family.
fn as_put_in_force(asked: &pb::Regime, there: &pb::Regime) -> pb::Regime {
    let mut regime = pb::Regime {
        create_time: there.create_time,
        overlaps: there.overlaps.clone(),
        tell_from_date: asked.tell_from_date.or(there.tell_from_date),
        ..asked.clone()
    };
    if regime.report_kind == 0 {
        regime.report_kind = pb::ReportKind::Periodic.into();
    }
    if regime.family.is_empty() {
        if regime.window_family == 0 {
            regime.window_family = pb::WindowFamily::Nd09.into();
        }
        return regime;
    }
    if regime.window_family == 0 {
        regime.window_family = there.window_family;
    }
    regime.cut_off_as_declared |= there.cut_off_as_declared;
    regime.due_rule = regime.due_rule.or(there.due_rule);
    let stated = regime.level_due_rules.len();
    regime.level_due_rules.extend(there.level_due_rules.iter().skip(stated).cloned());
    for (tier, there) in regime.onward_tiers.iter_mut().zip(&there.onward_tiers) {
        tier.due_rule = tier.due_rule.or(there.due_rule);
    }
    regime
}

/// As the contract has it: the registry is asked for the units that the file gives by code.
pub(crate) async fn contract(client: &Client, file: RegimeFile) -> Result<pb::Regime, Failure> {
    let name = async |unit| client.unit_name_or_all(unit, None).await;
    let mut debtors = pb::Debtors {
        subtree: name(file.debtors.subtree.as_ref()).await?,
        levels: file.debtors.levels,
        kinds: file.debtors.kinds,
        ..Default::default()
    };
    for unit in &file.debtors.units {
        debtors.units.push(name(Some(unit)).await?);
    }
    for unit in &file.debtors.except_subtrees {
        debtors.except_subtrees.push(name(Some(unit)).await?);
    }
    let mut regime = file.regime;
    for (tier, unit) in regime.onward_tiers.iter_mut().zip(&file.onward_receiving_units) {
        tier.receiving_unit = name(unit.as_ref()).await?;
    }
    regime.receiving_unit = name(file.receiving_unit.as_ref()).await?;
    regime.debtors = Some(debtors);
    Ok(regime)
}

fn text(imported: &Imported) -> String {
    let put = if imported.dry_run { "would be put in force" } else { "put in force" };
    let mut lines = Vec::new();
    for name in &imported.created {
        lines.push(format!("{name}: {put}"));
        let of = imported.overlaps.iter().filter(|overlap| overlap.created == *name);
        lines.extend(of.map(|CreatedOverlap { overlap, .. }| hint("  ", overlap)));
    }
    let others = [
        (&imported.unchanged, "was there, the same"),
        (&imported.unchecked, "not checked, as what it amends is of this file too"),
    ];
    let failed: Vec<_> = imported.failed.iter().cloned().collect();
    let others =
        others.into_iter().chain([(&failed, "refused"), (&imported.not_reached, "not tried")]);
    for (names, what) in others {
        lines.extend(names.iter().map(|name| format!("{name}: {what}")));
    }
    lines.join("\n")
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::NaiveDate;
    use dunghan_proto::compliance::onward_tier::DueRule as OnwardDue;
    use dunghan_proto::compliance::regime::DueRule;
    use dunghan_rpc::field::pb_date;

    use super::*;

    fn asked() -> pb::Regime {
        pb::Regime {
            name: "regimes/thanh-tra".to_owned(),
            family: "tt06-2025-ttcp".to_owned(),
            onward_tiers: vec![pb::OnwardTier {
                receiving_agency: "Thanh tra Chính phủ".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn on(day: i32) -> pb::DayOfMonth {
        pb::DayOfMonth { day, month: 0 }
    }

    /// As a server answers it.
    pub(in super::super) fn there() -> pb::Regime {
        let mut there = pb::Regime {
            window_family: pb::WindowFamily::Nd09.into(),
            report_kind: pb::ReportKind::Periodic.into(),
            cut_off_as_declared: true,
            due_rule: Some(DueRule::DayOfMonth(on(17))),
            tell_from_date: Some(pb_date(NaiveDate::MIN)),
            create_time: Some(prost_types::Timestamp::default()),
            overlaps: vec![pb::RegimeOverlap::default()],
            ..asked()
        };
        there.onward_tiers[0].due_rule = Some(OnwardDue::DayOfMonth(on(20)));
        there
    }

    #[test]
    fn a_regime_whose_family_filled_it_in_is_the_same_and_one_that_says_otherwise_is_not() {
        assert_eq!(as_put_in_force(&asked(), &there()), there());
        assert_eq!(as_put_in_force(&there(), &there()), there());
        let otherwise: [fn(&mut pb::Regime); 6] = [
            |of| of.legal_basis = "Khác".to_owned(),
            |of| of.due_rule = Some(DueRule::WorkingDaysAfterCutOff(3)),
            |of| of.window_family = pb::WindowFamily::Calendar.into(),
            |of| of.tell_from_date = Some(pb_date(NaiveDate::MAX)),
            |of| of.onward_tiers[0].due_rule = Some(OnwardDue::DayOfMonth(on(21))),
            |of| of.onward_tiers.clear(),
        ];
        for change in otherwise {
            let mut other = asked();
            change(&mut other);
            assert_ne!(as_put_in_force(&other, &there()), there(), "{other:?}");
        }
        // Without a family nothing is left to it.
        let alone = pb::Regime { family: String::new(), ..asked() };
        let filled = pb::Regime { family: String::new(), ..there() };
        assert_ne!(as_put_in_force(&alone, &filled), filled);
    }

    #[test]
    fn what_an_import_says_fits_80_columns() {
        let overlap = OverlapView {
            regime: "regimes/khac".to_owned(),
            indicators: vec!["portal_posts".to_owned(); 12],
            unit_count: 1,
        };
        let name = |id: &str| format!("regimes/{id}");
        let imported = Imported {
            created: vec![name("a")],
            unchanged: vec![name("b")],
            overlaps: vec![CreatedOverlap { created: name("a"), overlap }],
            failed: Some(name("c")),
            not_reached: vec![name("d")],
            ..Imported::default()
        };
        let shown = text(&imported);
        assert!(
            shown.starts_with("regimes/a: put in force\n  regimes/khac asks 1 unit for"),
            "{shown}"
        );
        let end = "\nregimes/b: was there, the same\nregimes/c: refused\nregimes/d: not tried";
        assert!(shown.ends_with(end), "{shown}");
        let tried = Imported { dry_run: true, unchecked: vec![name("e")], ..imported };
        let tried = text(&tried);
        assert!(tried.starts_with("regimes/a: would be put in force\n"), "{tried}");
        assert!(
            tried.contains("\nregimes/e: not checked, as what it amends is of this file too\n")
        );
        for text in [shown, tried] {
            let widest = text.lines().map(output::width).max().unwrap_or(0);
            assert!(widest <= 80, "{widest}: {text}");
        }
    }
}
