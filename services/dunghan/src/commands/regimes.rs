//! `regimes`: the rules by which reports are owed, and the families of rules that they follow.

mod import;

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_calendar::zone::date_vi;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::family_due_rule::DueRule as FamilyDue;
use dunghan_proto::compliance::level_due_rule::DueRule as LevelDue;
use dunghan_proto::compliance::onward_tier::DueRule as OnwardDue;
use dunghan_proto::compliance::regime::DueRule;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use crate::cli::{Regimes, RegimesVerb};
use crate::client::{Client, Lookup, PAGE};
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Column, Rows, plain, show_date, word};

pub(crate) use import::create;

#[derive(Serialize)]
struct Regime {
    name: String,
    display_name: String,
    legal_basis: String,
    illustrative: bool,
    family: String,
    form: String,
    receiving_unit: String,
    receiving_level: String,
    report_kind: String,
    sending_means: Vec<String>,
    frequency: String,
    once_period: String,
    window_family: String,
    cut_off_as_declared: bool,
    #[serde(flatten)]
    due: Due,
    level_due_rules: Vec<LevelDueView>,
    onward_tiers: Vec<TierView>,
    move_due_date_off_days_off: bool,
    early_due_reason: String,
    grace_working_days: i32,
    review_levels: i32,
    debtors: DebtorsView,
    from_date: Option<NaiveDate>,
    through_date: Option<NaiveDate>,
    amends: String,
    tell_from_date: Option<NaiveDate>,
    create_time: Option<DateTime<FixedOffset>>,
    overlaps: Vec<OverlapView>,
}

/// By when: one of them, or none.
#[derive(Default, Serialize)]
struct Due {
    working_days_after_cut_off: Option<i32>,
    day_of_month: Option<DayOfMonth>,
    due_date: Option<NaiveDate>,
}

#[derive(Serialize)]
struct DayOfMonth {
    day: i32,
    month: i32,
}

#[derive(Serialize)]
struct LevelDueView {
    level: String,
    #[serde(flatten)]
    due: Due,
}

#[derive(Serialize)]
struct TierView {
    receiving_unit: String,
    receiving_level: String,
    receiving_agency: String,
    form: String,
    #[serde(flatten)]
    due: Due,
}

#[derive(Serialize)]
struct DebtorsView {
    subtree: String,
    levels: Vec<String>,
    kinds: Vec<String>,
    units: Vec<String>,
    except_subtrees: Vec<String>,
}

#[derive(Serialize)]
struct OverlapView {
    regime: String,
    indicators: Vec<String>,
    unit_count: i32,
}

impl Due {
    fn days(days: i32) -> Self {
        Self { working_days_after_cut_off: Some(days), ..Self::default() }
    }

    fn day(pb::DayOfMonth { day, month }: pb::DayOfMonth) -> Self {
        Self { day_of_month: Some(DayOfMonth { day, month }), ..Self::default() }
    }

    /// For people; nothing where there is no due date.
    fn text(&self) -> Option<String> {
        let days = |days: i32| {
            let unit = if days == 1 { "working day" } else { "working days" };
            format!("cut-off + {days} {unit}")
        };
        let day = |DayOfMonth { day, month }: &DayOfMonth| match month {
            0 => format!("{day} of the last month"),
            month => format!("{day:02}/{month:02}"),
        };
        let working = self.working_days_after_cut_off.map(days);
        working
            .or_else(|| self.day_of_month.as_ref().map(day))
            .or_else(|| self.due_date.map(date_vi))
    }
}

impl From<Option<DueRule>> for Due {
    fn from(rule: Option<DueRule>) -> Self {
        match rule {
            None => Self::default(),
            Some(DueRule::WorkingDaysAfterCutOff(days)) => Self::days(days),
            Some(DueRule::DayOfMonth(day)) => Self::day(day),
            Some(DueRule::DueDate(date)) => {
                Self { due_date: output::date(Some(&date)), ..Self::default() }
            }
        }
    }
}

impl From<pb::LevelDueRule> for LevelDueView {
    fn from(rule: pb::LevelDueRule) -> Self {
        let due = match rule.due_rule {
            None => Due::default(),
            Some(LevelDue::WorkingDaysAfterCutOff(days)) => Due::days(days),
            Some(LevelDue::DayOfMonth(day)) => Due::day(day),
        };
        Self { level: rule.level, due }
    }
}

impl From<pb::OnwardTier> for TierView {
    fn from(tier: pb::OnwardTier) -> Self {
        Self {
            receiving_unit: tier.receiving_unit,
            receiving_level: tier.receiving_level,
            receiving_agency: tier.receiving_agency,
            form: tier.form,
            due: match tier.due_rule {
                None => Due::default(),
                Some(OnwardDue::WorkingDaysAfterCutOff(days)) => Due::days(days),
                Some(OnwardDue::DayOfMonth(day)) => Due::day(day),
            },
        }
    }
}

impl From<pb::Regime> for Regime {
    fn from(regime: pb::Regime) -> Self {
        let debtors = regime.debtors.clone().unwrap_or_default();
        let means = |means| word(pb::SendingMeans::as_str_name(&means), "SENDING_MEANS_");
        Self {
            report_kind: word(regime.report_kind().as_str_name(), "REPORT_KIND_"),
            sending_means: regime.sending_means().map(means).collect(),
            frequency: word(regime.frequency().as_str_name(), "FREQUENCY_"),
            window_family: word(regime.window_family().as_str_name(), "WINDOW_FAMILY_"),
            from_date: output::date(regime.from_date.as_ref()),
            through_date: output::date(regime.through_date.as_ref()),
            tell_from_date: output::date(regime.tell_from_date.as_ref()),
            create_time: output::time(regime.create_time.as_ref()),
            due: regime.due_rule.into(),
            level_due_rules: regime.level_due_rules.into_iter().map(Into::into).collect(),
            onward_tiers: regime.onward_tiers.into_iter().map(Into::into).collect(),
            name: regime.name,
            display_name: regime.display_name,
            legal_basis: regime.legal_basis,
            illustrative: regime.illustrative,
            family: regime.family,
            form: regime.form,
            receiving_unit: regime.receiving_unit,
            receiving_level: regime.receiving_level,
            once_period: regime.once_period,
            cut_off_as_declared: regime.cut_off_as_declared,
            move_due_date_off_days_off: regime.move_due_date_off_days_off,
            early_due_reason: regime.early_due_reason,
            grace_working_days: regime.grace_working_days,
            review_levels: regime.review_levels,
            debtors: DebtorsView {
                subtree: debtors.subtree,
                levels: debtors.levels,
                kinds: debtors.kinds,
                units: debtors.units,
                except_subtrees: debtors.except_subtrees,
            },
            amends: regime.amends,
            overlaps: regime
                .overlaps
                .into_iter()
                .map(|overlap| OverlapView {
                    regime: overlap.regime,
                    indicators: overlap.indicators,
                    unit_count: overlap.unit_count,
                })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct List {
    regimes: Vec<Regime>,
}

#[derive(Serialize)]
struct Family {
    family: String,
    legal_basis: String,
    from_date: Option<NaiveDate>,
    through_date: Option<NaiveDate>,
    window_family: String,
    cut_off_as_declared: bool,
    due_rules: Vec<FamilyDueView>,
    note: String,
}

#[derive(Serialize)]
struct FamilyDueView {
    frequency: String,
    tier: i32,
    level: String,
    #[serde(flatten)]
    due: Due,
}

impl From<pb::RegimeFamily> for Family {
    fn from(family: pb::RegimeFamily) -> Self {
        let rule = |rule: pb::FamilyDueRule| FamilyDueView {
            frequency: word(rule.frequency().as_str_name(), "FREQUENCY_"),
            tier: rule.tier,
            due: match rule.due_rule {
                None => Due::default(),
                Some(FamilyDue::WorkingDaysAfterCutOff(days)) => Due::days(days),
                Some(FamilyDue::DayOfMonth(day)) => Due::day(day),
            },
            level: rule.level,
        };
        Self {
            window_family: word(family.window_family().as_str_name(), "WINDOW_FAMILY_"),
            from_date: output::date(family.from_date.as_ref()),
            through_date: output::date(family.through_date.as_ref()),
            family: family.family,
            legal_basis: family.legal_basis,
            cut_off_as_declared: family.cut_off_as_declared,
            due_rules: family.due_rules.into_iter().map(rule).collect(),
            note: family.note,
        }
    }
}

#[derive(Serialize)]
struct Families {
    families: Vec<Family>,
}

pub(super) async fn regimes(args: Regimes) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        RegimesVerb::List { as_of } => {
            let client = Client::of(&args.client)?;
            let regimes = all(&client, as_of).await?;
            let list = List { regimes: regimes.into_iter().map(Regime::from).collect() };
            output::print(format, &list, table)
        }
        RegimesVerb::Show { name } => {
            let client = Client::of(&args.client)?;
            let request = pb::GetRegimeRequest { name: input::regime_name(&name) };
            let found = client.compliance().get_regime(request).await?.into_inner();
            let regime = Regime::from(found);
            let labels = Labels::of(&client, &regime).await;
            output::print(format, &regime, |regime| shown(regime, &labels))
        }
        RegimesVerb::Families => {
            let client = Client::of(&args.client)?;
            let request = pb::ListRegimeFamiliesRequest {};
            let found = client.compliance().list_regime_families(request).await?.into_inner();
            let families = found.families.into_iter().map(Family::from).collect();
            output::print(format, &Families { families }, |families| {
                let each: Vec<_> = families.families.iter().map(shown_family).collect();
                each.join("\n\n")
            })
        }
        RegimesVerb::Import { file, bundled: _, dry_run } => {
            let regimes = match &file {
                Some(file) => input::in_file(file, input::regimes(&input::read(file)?))?,
                None => input::bundled_regimes().map_err(Failure::Input)?,
            };
            let client = Client::of(&args.client)?;
            import::import(&client, regimes, dry_run, format).await
        }
    }
}

async fn all(client: &Client, as_of: Option<NaiveDate>) -> Result<Vec<pb::Regime>, Failure> {
    let as_of_date = as_of.map(pb_date);
    let mut request =
        pb::ListRegimesRequest { page_size: PAGE, page_token: String::new(), as_of_date };
    let mut regimes = Vec::new();
    loop {
        let page = client.compliance().list_regimes(request.clone()).await?.into_inner();
        regimes.extend(page.regimes);
        if page.next_page_token.is_empty() {
            return Ok(regimes);
        }
        request.page_token = page.next_page_token;
    }
}

fn id(name: &str) -> &str {
    name.trim_start_matches("regimes/")
}

fn table(list: &List) -> String {
    use Column::{Text, Whole};
    let mut rows =
        Rows::new(&[Whole("Regime"), Text("What"), Text("Due"), Whole("From"), Whole("Through")]);
    for regime in &list.regimes {
        let first = regime.level_due_rules.iter().map(|rule| &rule.due);
        let first: Vec<_> = first.chain(Some(&regime.due)).filter_map(Due::text).collect();
        // Each tier owes by a day of its own.
        let onward = regime.onward_tiers.iter().filter_map(|tier| tier.due.text());
        let tiers = Some(first.join(" or ")).filter(|first| !first.is_empty());
        let due: Vec<_> = tiers.into_iter().chain(onward).collect();
        rows.row([
            id(&regime.name).to_owned(),
            regime.display_name.clone(),
            if due.is_empty() { "–".to_owned() } else { due.join(", then ") },
            show_date(regime.from_date),
            show_date(regime.through_date),
        ]);
    }
    rows.text()
}

/// The units that a regime names, for people.
struct Labels {
    receiving: String,
    onward: Vec<String>,
    subtree: String,
    units: Vec<String>,
    except: Vec<String>,
}

impl Labels {
    async fn of(client: &Client, regime: &Regime) -> Self {
        let mut lookup = Lookup::new(client);
        let on = regime.from_date;
        let mut label = async |name: &String| match name.as_str() {
            "" => String::new(),
            name => lookup.label(name, on).await,
        };
        let mut labels = Self {
            receiving: label(&regime.receiving_unit).await,
            subtree: label(&regime.debtors.subtree).await,
            onward: Vec::new(),
            units: Vec::new(),
            except: Vec::new(),
        };
        for tier in &regime.onward_tiers {
            labels.onward.push(label(&tier.receiving_unit).await);
        }
        for unit in &regime.debtors.units {
            labels.units.push(label(unit).await);
        }
        for unit in &regime.debtors.except_subtrees {
            labels.except.push(label(unit).await);
        }
        labels
    }
}

/// One who receives: a unit, the level above, or an agency.
fn receiver(unit: &str, level: &str, agency: &str) -> String {
    match level {
        "" if unit.is_empty() => agency.to_owned(),
        "" => unit.to_owned(),
        "parent" => "whoever stands directly above".to_owned(),
        level => format!("the {level} above"),
    }
}

fn due_text(due: &Due) -> String {
    due.text().unwrap_or_else(|| "no due date".to_owned())
}

fn shown(regime: &Regime, labels: &Labels) -> String {
    let debtors = &regime.debtors;
    let mut owes = Vec::new();
    if !labels.units.is_empty() {
        owes.push(labels.units.join(", "));
    }
    let which: Vec<_> = [&debtors.levels, &debtors.kinds]
        .into_iter()
        .filter(|words| !words.is_empty())
        .map(|words| words.join(", "))
        .collect();
    owes.push(which.join(" of kind "));
    if debtors.units.is_empty() {
        let place = if labels.subtree.is_empty() { "everywhere" } else { &labels.subtree };
        owes.push(format!("in {place}").replace("in everywhere", "everywhere"));
    }
    if !labels.except.is_empty() {
        owes.push(format!("except {}", labels.except.join(", ")));
    }
    owes.retain(|part| !part.is_empty());
    let mut pairs = vec![
        ("Regime", regime.name.clone()),
        ("What", regime.display_name.clone()),
        ("Legal basis", regime.legal_basis.clone()),
        ("Family", regime.family.clone()),
        ("Illustrative", if regime.illustrative { "yes" } else { "" }.to_owned()),
        ("Kind", plain(&regime.report_kind)),
        ("Form", regime.form.clone()),
        (
            "How often",
            format!("{} {}", plain(&regime.frequency), output::show_period(&regime.once_period)),
        ),
        ("Window", window(&regime.window_family, regime.cut_off_as_declared)),
        ("Who owes", owes.join(" ")),
        ("Receives", receiver(&labels.receiving, &regime.receiving_level, "")),
    ];
    let otherwise = regime.due.text();
    let levels = regime.level_due_rules.iter();
    let mut due: Vec<_> =
        levels.map(|rule| format!("{}: {}", rule.level, due_text(&rule.due))).collect();
    let several = !due.is_empty();
    due.extend(otherwise.map(|rule| if several { format!("others: {rule}") } else { rule }));
    pairs.push(("Due", if due.is_empty() { "no due date".to_owned() } else { due.join("; ") }));
    for (tier, unit) in regime.onward_tiers.iter().zip(&labels.onward) {
        let to = receiver(unit, &tier.receiving_level, &tier.receiving_agency);
        let form = match tier.form.as_str() {
            "" => String::new(),
            form => format!(", by {form}"),
        };
        pairs.push(("Sent on", format!("to {to}: {}{form}", due_text(&tier.due))));
    }
    let means: Vec<_> = regime.sending_means.iter().map(|means| plain(means)).collect();
    let some = |count: i32| if count == 0 { String::new() } else { count.to_string() };
    let moves =
        if regime.move_due_date_off_days_off { "moves to the next working day" } else { "" };
    pairs.extend([
        ("Due on a day off", moves.to_owned()),
        ("Due early because", regime.early_due_reason.clone()),
        ("Grace (working days)", some(regime.grace_working_days)),
        ("Review levels", some(regime.review_levels)),
        ("Sent by", means.join(", ")),
        ("From", show_date(regime.from_date)),
        ("Through", show_date(regime.through_date)),
        ("Amends", regime.amends.clone()),
        ("Tells from", show_date(regime.tell_from_date)),
        ("Put in force", output::show_time(regime.create_time)),
    ]);
    let text = output::pairs(&pairs);
    if regime.overlaps.is_empty() {
        return text;
    }
    let hints: Vec<_> = regime.overlaps.iter().map(|overlap| hint("", overlap)).collect();
    format!("{text}\n\n{}", hints.join("\n"))
}

fn window(family: &str, as_declared: bool) -> String {
    let cut_off = if as_declared { ", cut off as each report declares" } else { "" };
    format!("{}{cut_off}", plain(family))
}

/// That another regime collects the same: lawful, and perhaps not meant.
fn hint(indent: &str, overlap: &OverlapView) -> String {
    let units = usize::try_from(overlap.unit_count).unwrap_or_default();
    let text = format!(
        "{} asks {} for the same over the same days: {}",
        overlap.regime,
        output::many(units, "unit", "units"),
        overlap.indicators.join(", ")
    );
    output::hang(indent, &format!("{indent}  "), &text)
}

fn shown_family(family: &Family) -> String {
    let text = output::pairs(&[
        ("Family", family.family.clone()),
        ("Legal basis", family.legal_basis.clone()),
        ("From", show_date(family.from_date)),
        ("Through", show_date(family.through_date)),
        ("Window", window(&family.window_family, family.cut_off_as_declared)),
        ("Note", family.note.clone()),
    ]);
    if family.due_rules.is_empty() {
        return text;
    }
    // Most documents say one day for several frequencies or tiers.
    let mut days: Vec<((&str, String), Vec<&FamilyDueView>)> = Vec::new();
    for rule in &family.due_rules {
        let key = (rule.level.as_str(), due_text(&rule.due));
        match days.iter_mut().find(|(of, _)| *of == key) {
            Some((_, rules)) => rules.push(rule),
            None => days.push((key, vec![rule])),
        }
    }
    let mut rows = Rows::new(&[
        Column::Text("How often"),
        Column::Text("Tier"),
        Column::Text("Level"),
        Column::Text("Due"),
    ]);
    for ((level, due), rules) in days {
        let frequencies = distinct(rules.iter().map(|rule| plain(&rule.frequency)));
        let tiers = distinct(rules.iter().map(|rule| rule.tier.to_string()));
        let level = if level.is_empty() { "any" } else { level };
        if rules.len() == frequencies.len() * tiers.len() {
            rows.row([&frequencies.join(", "), &tiers.join(", "), level, &due]);
        } else {
            for rule in rules {
                rows.row([&plain(&rule.frequency), &rule.tier.to_string(), level, &due]);
            }
        }
    }
    format!("{text}\n\n{}", rows.text())
}

/// Each once, in the order in which they come.
fn distinct(words: impl Iterator<Item = String>) -> Vec<String> {
    words.fold(Vec::new(), |mut seen, word| {
        if !seen.contains(&word) {
            seen.push(word);
        }
        seen
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_to_people_fits_80_columns() {
        let long = "Báo cáo hằng quý về công tác thanh tra, tiếp công dân và giải quyết khiếu nại ";
        let mut regime = pb::Regime {
            display_name: long.repeat(3),
            legal_basis: long.repeat(2),
            grace_working_days: 2,
            review_levels: 1,
            level_due_rules: vec![pb::LevelDueRule {
                level: "commune".to_owned(),
                due_rule: Some(LevelDue::WorkingDaysAfterCutOff(1)),
            }],
            overlaps: vec![pb::RegimeOverlap {
                regime: "regimes/khac".to_owned(),
                indicators: vec!["dossiers_received_online".to_owned(); 10],
                unit_count: 3321,
            }],
            ..import::tests::there()
        };
        regime.set_frequency(pb::Frequency::NineMonths);
        let regime = Regime::from(regime);
        let labels = Labels {
            receiving: String::new(),
            onward: vec![String::new()],
            subtree: "24 Tỉnh Bắc Ninh".to_owned(),
            units: Vec::new(),
            except: vec!["07210 Phường Bắc Giang".to_owned(); 8],
        };
        let text = shown(&regime, &labels);
        for part in [
            "nine months",
            "in 24 Tỉnh Bắc Ninh except 07210",
            "commune: cut-off + 1 working day; others: 17 of the last month",
            "to Thanh tra Chính phủ: 20 of the last month",
            "regimes/khac asks 3321 units for the same",
        ] {
            // Long values wrap: compared without what the wrapping puts between.
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(plain(&text).contains(part), "{part}: {text}");
        }
        let due = Due::days(3);
        let rule = |frequency: &str, tier| FamilyDueView {
            frequency: frequency.to_owned(),
            tier,
            level: String::new(),
            due: Due::day(pb::DayOfMonth { day: 6, month: 0 }),
        };
        assert_eq!(due.text().as_deref(), Some("cut-off + 3 working days"));
        let family = Family {
            family: "tt02-2023-btttt".to_owned(),
            legal_basis: long.repeat(2),
            from_date: None,
            through_date: None,
            window_family: "ND09".to_owned(),
            cut_off_as_declared: true,
            due_rules: vec![
                rule("QUARTER", 1),
                rule("QUARTER", 2),
                rule("YEAR", 1),
                rule("YEAR", 2),
                FamilyDueView { level: "province".to_owned(), ..rule("MONTH", 1) },
                FamilyDueView { level: "province".to_owned(), ..rule("YEAR", 2) },
            ],
            note: long.repeat(4),
        };
        let family = shown_family(&family);
        // What holds for several frequencies and tiers stands in one line, and only that.
        for line in ["quarter, year 1, 2 any", "month 1 province", "year 2 province"] {
            let found = family
                .lines()
                .any(|of| of.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(line));
            assert!(found, "{line}: {family}");
        }
        let list = table(&List { regimes: vec![regime] });
        assert!(list.contains("cut-off + 1 working") && list.contains("thanh-tra"), "{list}");
        for text in [text, family, list] {
            let widest = text.lines().map(output::width).max().unwrap_or(0);
            assert!(widest <= 80, "{widest}: {text}");
        }
    }
}
