//! The page for people: what a supervisor needs, 80 columns wide.

use std::path::Path;

use super::facts::{Facts, Finding};
use crate::commands::{SummaryRow, summary_table};
use crate::output::{self, Column, Rows, plain, show_date, show_due, show_period, show_time, wrap};
use Column::{Number, Text};

/// All of it.
pub(super) fn page(facts: &Facts) -> String {
    [
        section("Units on either side of 1 July 2025", &units(facts)),
        section("What became of the unit of report 000", &facts.lineage.text()),
        section("Five reports, and whether they came in time", &reports(facts)),
        section("What is there, and what is missing", &standings(facts)),
        section("Percentages recomputed, and errors", &findings(facts)),
        section("Dossiers of thị trấn Bình Dương (form II.06a)", &dossiers(facts)),
        section("Who was told what, once", &notices(facts)),
        section("What it adds up to", &roll_up(facts)),
        section(
            &format!("Why {} is missing", facts.explanation.unit_display_name),
            &wrap(&facts.explanation.text),
        ),
    ]
    .join("\n\n")
}

/// Where it serves on, and how to ask it.
///
/// `program` is what this one was started as, so that the line can be copied.
pub(super) fn how_to_call(program: &str, address: &str, folder: &Path, token: &Path) -> String {
    let (folder, token) = (folder.display(), token.display());
    let method = "dunghan.registry.v1.RegistryService/ResolveUnit";
    format!(
        "\nServing on {address} until Ctrl-C.\nThe clock stands at 20/05/2026 08:00.\n\
         The token in {token} may do everything. For example:\n\n\
         \x20 {program} notices \\\n\
         \x20   --address {address} --data-dir {folder}\n\n\
         \x20 buf curl --protocol grpc --http2-prior-knowledge \\\n\
         \x20   -H \"authorization: Bearer $(cat {token})\" \\\n\
         \x20   -d '{{\"display_name\": \"tri qua\"}}' \\\n\
         \x20   {address}/{method}\n"
    )
}

fn section(title: &str, body: &str) -> String {
    let line = "═".repeat(usize::from(output::WIDTH).min(output::width(title)));
    format!("{title}\n{line}\n\n{}", body.trim_end())
}

fn units(facts: &Facts) -> String {
    let mut rows =
        Rows::new(&[Text("On"), Number("Provinces"), Number("Districts"), Number("Communes")]);
    for (date, counts) in &facts.registry {
        let numbers = [counts.province, counts.district, counts.commune];
        rows.row([show_date(Some(*date))].into_iter().chain(numbers.map(|n| n.to_string())));
    }
    rows.text()
}

fn reports(facts: &Facts) -> String {
    let mut rows = Rows::new(&[
        Text("No"),
        Text("Unit"),
        Text("Period"),
        Text("Due"),
        Text("Received"),
        Text("Stands"),
        Number("E"),
        Number("W"),
        Number("I"),
    ]);
    for report in &facts.reports {
        let mark = if report.illustrative { "*" } else { "" };
        rows.row([
            format!("{}{mark}", report.seed),
            format!("{} {}", report.unit_code, report.unit_display_name),
            show_period(&report.period),
            show_due(report.due_time),
            show_time(report.receive_time),
            plain(&report.timeliness),
            report.findings.error.to_string(),
            report.findings.warning.to_string(),
            report.findings.info.to_string(),
        ]);
    }
    let note = "E, W, I: findings that are errors, warnings, or for information. \
        * under an illustrative regime: made up to show something, issued by nobody. \
        A report without a due time was asked for by a letter or plan that states none; it cannot be late. \
        The receive time of 002 is that of its digital signature, brought in by an importer.";
    format!("{}\n\n{}", rows.text(), wrap(note))
}

fn standings(facts: &Facts) -> String {
    let mut rows = Rows::new(&[
        Text("Within"),
        Text("Period"),
        Text("At"),
        Number("Exp"),
        Number("Act"),
        Number("OnT"),
        Number("Late"),
        Number("Miss"),
        Number("Open"),
        Number("Wvd"),
    ]);
    for one in &facts.standings {
        let numbers =
            [one.expected, one.actual, one.on_time, one.late, one.missing, one.open, one.waived];
        let texts = [
            format!("{} {}", one.scope, one.scope_display_name),
            show_period(&one.period),
            show_time(Some(one.at)),
        ];
        rows.row(texts.into_iter().chain(numbers.map(|number| number.to_string())));
    }
    let mut text = format!(
        "{}\n\n{}",
        rows.text(),
        wrap(
            "Exp(ected) = OnT (on time) + Late + Miss(ing) + Open; Act(ual) = on time + late. \
             Wvd: waived, and so not expected."
        )
    );
    let missing = facts.standings.iter().filter(|one| one.missing > 0);
    for one in missing {
        let note = format!(
            "{} of {} are missing for {} because this demonstration has the report of only {} of them at hand; \
             it says nothing about the real units. Missing: {}.",
            one.missing,
            one.expected,
            one.period,
            one.actual,
            one.missing_units.join(", ")
        );
        text.push_str(&format!("\n\n{}", wrap(&note)));
    }
    text
}

fn findings(facts: &Facts) -> String {
    let mut rows =
        Rows::new(&[Text("No"), Text("Severity"), Text("Kind"), Text("Figure"), Text("Evidence")]);
    // Percentages first, the worst of them on top.
    let order = ["ERROR", "WARNING", "INFO"];
    let rank = |one: &&Finding| order.iter().position(|severity| *severity == one.severity);
    let mut sorted: Vec<_> = facts.findings.iter().collect();
    sorted.sort_by_key(|one| (one.discrepancy.is_none(), rank(one)));
    for finding in sorted {
        rows.row([
            finding.seed.clone(),
            plain(&finding.severity),
            plain(finding.discrepancy.as_ref().unwrap_or(&finding.rule)),
            finding.indicator.as_ref().unwrap_or(&finding.field).replace('_', " "),
            evidence(finding),
        ]);
    }
    let note = "A percentage that is cut off instead of rounded (truncated), or is 100 less its sibling \
        (complement adjusted), is told apart from one that is wrong.";
    format!("{}\n\n{}", rows.text(), wrap(note))
}

fn evidence(finding: &Finding) -> String {
    if finding.evidence.is_empty() { finding.message.clone() } else { finding.evidence.clone() }
}

fn dossiers(facts: &Facts) -> String {
    let form = &facts.form_ii06a;
    let mut overdue =
        Rows::new(&[Text("Dossier"), Text("Lĩnh vực"), Text("Due"), Number("Working days late")]);
    for dossier in &facts.overdue_dossiers {
        overdue.row([
            dossier.number.clone(),
            dossier.field.clone(),
            show_due(dossier.due_time),
            dossier.working_days_late.to_string(),
        ]);
    }
    let equal = if form.equals_report {
        format!("equals the table of report 002 in all {} cells", form.compared_cells)
    } else {
        "does NOT equal the table of report 002".to_owned()
    };
    let late = |total: &SummaryRow| total.resolved_overdue;
    let (recorded, in_fact) = (late(&form.recorded.total), late(&form.in_fact.total));
    let note = format!(
        "The dossiers are made up so that they count up to the report; the count by recorded completion {equal}. \
         As recorded {recorded} were late, in fact {in_fact}: they were finished in time and recorded after it."
    );
    format!(
        "Overdue on 13/05/2024 at 08:00\n\n{}\n\nCounted over the period of report 002, as recorded\n\n{}\n\n{}",
        overdue.text(),
        summary_table(&form.recorded.rows, &form.recorded.total),
        wrap(&note),
    )
}

fn notices(facts: &Facts) -> String {
    let mut rows =
        Rows::new(&[Text("Found"), Text("To"), Text("About"), Text("Period"), Number("Count")]);
    for notice in &facts.notices {
        rows.row([
            show_time(notice.detect_time),
            format!("{} {}", notice.to.code, notice.to.name),
            plain(&notice.kind),
            show_period(&notice.period),
            notice.count.to_string(),
        ]);
    }
    let texts = facts.notices.iter().map(|notice| wrap(&notice.text));
    let again = format!(
        "Notices that the last sweep wrote when run again: {}.",
        facts.second_sweep_notices
    );
    let parts: Vec<_> = [rows.text()].into_iter().chain(texts).chain([again]).collect();
    parts.join("\n\n")
}

fn roll_up(facts: &Facts) -> String {
    let mut rows = Rows::new(&[
        Text("Within"),
        Text("Period"),
        Text("Indicator"),
        Number("Total"),
        Number("Counted"),
        Number("Expected"),
        Number("Missing"),
    ]);
    for one in &facts.rollups {
        rows.row([
            one.scope.clone(),
            show_period(&one.period),
            one.indicator.clone(),
            one.total.to_string(),
            one.counted.to_string(),
            one.expected.to_string(),
            one.missing.to_string(),
        ]);
    }
    rows.text()
}
