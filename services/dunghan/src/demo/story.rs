//! What happens when: the clock steps, files are handed in, sweeps run, and at the end the services are asked.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use dunghan_calendar::{Clock as _, ManualClock};
use dunghan_proto::compliance as pb;
use dunghan_proto::registry::{Level, ListUnitsRequest};
use dunghan_proto::submission::value::Figure;
use dunghan_proto::{aggregation, submission};
use dunghan_rpc::field::{pb_date, pb_time};
use dunghan_rpc::{Issuer, Peer};

use super::facts::{
    Counted, Explanation, Facts, Finding, FindingCounts, FormII06a, Notice, OverdueDossier,
    Recipient, Report, RollUp, Standing, UnitCounts,
};
use super::{data, ledger};
use crate::client::{self, Client, PAGE};
use crate::commands::{self, Lineage, Rate, SummaryRow};
use crate::failure::Failure;
use crate::input::{self, RegimeFile, ReportFile, UnitRef};
use crate::output::{self, word};

/// 24/11/2023 08:00 in Viet Nam.
pub(super) const BEGINNING: DateTime<Utc> = match DateTime::from_timestamp(1_700_787_600, 0) {
    Some(time) => time,
    None => DateTime::UNIX_EPOCH,
};

/// For whom, for which period and at which moment the reporting rate is asked, by regime.
const STANDINGS: [(&str, &str, &str, &str); 5] = [
    ("cds-11119-2023", "2023", "298:2023-12-14", "2023-12-15T08:00"),
    ("cds-93-2024s1", "2024S1", "93:2024-06-14", "2024-05-27T08:00"),
    ("cds-21733-2024", "2023-01-01--2024-05-31", "545:2024-05-31", "2024-06-25T08:00"),
    ("cds-27787-2024n9", "2024N9", "795:2024-09-14", "2024-09-19T08:00"),
    ("cds-24-202605", "202605", "24:2026-05-14", "2026-05-20T08:00"),
];

/// The columns of form II.06a that the report prints, by indicator.
type Cell = fn(&SummaryRow) -> i32;
const CELLS: [(&str, Cell); 8] = [
    ("dossiers_to_process_total", |row| row.to_process),
    ("dossiers_resolved_total", |row| row.resolved),
    ("dossiers_resolved_early", |row| row.resolved_early),
    ("dossiers_resolved_on_time", |row| row.resolved_on_time),
    ("dossiers_resolved_late", |row| row.resolved_overdue),
    ("dossiers_pending_total", |row| row.pending),
    ("dossiers_pending_in_time", |row| row.pending_in_time),
    ("dossiers_pending_overdue", |row| row.pending_overdue),
];

pub(super) struct Story {
    clock: ManualClock,
    issuer: Issuer,
    servers: Peer,
    /// Loads, sweeps and asks.
    operator: Client,
    regimes: HashMap<String, RegimeFile>,
    reports: HashMap<&'static str, ReportFile>,
    parameters: ledger::Parameters,
    /// As they were handed in.
    submitted: HashMap<&'static str, submission::Report>,
}

impl Story {
    pub(super) fn new(clock: ManualClock, issuer: Issuer, servers: Peer) -> Result<Self, Failure> {
        let operator = as_role(&issuer, &servers, "operator")?;
        let regimes = data::regimes()?.into_iter();
        Ok(Self {
            clock,
            issuer,
            servers,
            operator,
            regimes: regimes.map(|file| (file.regime.name.clone(), file)).collect(),
            reports: data::reports()?.into_iter().collect(),
            parameters: data::dossiers()?,
            submitted: HashMap::new(),
        })
    }

    /// From the first day to the last, and what the services then answer.
    pub(super) async fn tell(mut self) -> Result<Facts, Failure> {
        self.step("the units are loaded, and what became of them in 2025 and 2026");
        commands::import_bundled(&self.operator).await?;
        commands::import_units(&self.operator, data::departments()?).await?;

        let calendar =
            dunghan_compliance::official_calendar().map_err(|e| Failure::Failed(e.into()))?;
        let made =
            ledger::ledger(&self.parameters, &calendar).map_err(|e| Failure::Failed(e.into()))?;
        let mut batches = ledger::batches(&self.parameters, &made).into_iter();

        self.at("2023-11-24T09:00", "a letter asks one commune for a report")?;
        self.regime("cds-11119-2023").await?;
        self.at("2023-11-30T16:30", "report 003 is handed in")?;
        self.submit("003").await?;
        self.batch(&mut batches).await?;
        self.at("2024-01-02T08:00", "a regime asks the districts of Hậu Giang")?;
        self.regime("cds-93-2024s1").await?;
        self.batch(&mut batches).await?;
        self.sweep("2024-05-13T08:00").await?;
        self.batch(&mut batches).await?;
        self.at("2024-05-20T10:00", "report 004 is handed in")?;
        self.submit("004").await?;
        self.sweep("2024-05-27T08:00").await?;
        self.batch(&mut batches).await?;
        self.at("2024-06-13T08:00", "a supervision asks one township for a report")?;
        self.regime("cds-21733-2024").await?;
        self.at("2024-06-24T20:00", "report 002 is brought in, as signed that afternoon")?;
        self.submit("002").await?;
        self.at("2024-09-03T08:00", "a regime asks one ward for nine months")?;
        self.regime("cds-27787-2024n9").await?;
        self.at("2024-09-17T09:00", "report 000 is handed in")?;
        self.submit("000").await?;
        self.at("2026-05-04T08:00", "a regime asks the communes of Bắc Ninh every month")?;
        self.regime("cds-24-202605").await?;
        self.at("2026-05-18T16:00", "report 001 is handed in")?;
        self.submit("001").await?;
        self.sweep("2026-05-20T08:00").await?;
        let second_sweep_notices = self.sweep("2026-05-20T08:00").await?;

        self.step("the services are asked");
        let standings = self.standings().await?;
        Ok(Facts {
            registry: self.registry().await?,
            lineage: self.lineage().await?,
            reports: self.report_facts().await?,
            findings: self.findings(),
            form_ii06a: self.form_ii06a().await?,
            overdue_dossiers: self.overdue().await?,
            rollups: vec![self.roll_up().await?],
            notices: self.notices().await?,
            second_sweep_notices,
            explanation: self.explanation(&standings).await?,
            standings: standings.into_iter().map(|(standing, _)| standing).collect(),
        })
    }

    fn step(&self, what: &str) {
        let now = output::in_viet_nam(self.clock.now());
        output::step(&format!("{}  {what}", output::show_time(Some(now))));
    }

    fn at(&self, time: &str, what: &str) -> Result<(), Failure> {
        self.clock.set(input::time(time).map_err(Failure::input)?);
        self.step(what);
        Ok(())
    }

    /// A client that holds one role over the unit, as the unit's own people do.
    async fn over(&self, role: &str, unit: &UnitRef) -> Result<Client, Failure> {
        let unit = self.operator.unit_name(unit, None).await?;
        as_role(&self.issuer, &self.servers, &format!("{role}@{unit}"))
    }

    async fn regime(&mut self, name: &str) -> Result<(), Failure> {
        let file = self.regimes.get(&input::regime_name(name)).cloned();
        let file = file.ok_or_else(|| Failure::input(format_args!("there is no regime {name}")))?;
        commands::create_regime(&self.operator, file).await?;
        Ok(())
    }

    async fn submit(&mut self, seed: &'static str) -> Result<(), Failure> {
        let file = self.reports.get(seed).cloned();
        let file = file.ok_or_else(|| Failure::input(format_args!("there is no report {seed}")))?;
        // Who says when a report was received elsewhere is an importer.
        let role = if file.receipt.is_some() { "importer" } else { "reporter" };
        let client = self.over(role, &file.unit).await?;
        let report = commands::submit_report(&client, file).await?;
        self.submitted.insert(seed, report);
        Ok(())
    }

    async fn batch(
        &self,
        batches: &mut impl Iterator<Item = Vec<input::DossierRow>>,
    ) -> Result<(), Failure> {
        let Some(rows) = batches.next() else { return Ok(()) };
        let last =
            rows.iter().flat_map(|row| [Some(row.receive_time), row.record_time]).flatten().max();
        let at = self.parameters.batches.iter().find(|at| last.is_some_and(|last| last <= **at));
        if let Some(at) = at {
            self.clock.set(*at);
        }
        self.step(&format!("the desk's software hands over {} dossiers", rows.len()));
        let client = self.over("importer", &self.parameters.unit).await?;
        let unit = self.operator.unit_name(&self.parameters.unit, None).await?;
        commands::record(&client, unit, rows).await?;
        Ok(())
    }

    async fn sweep(&self, at: &str) -> Result<i32, Failure> {
        self.clock.set(input::time(at).map_err(Failure::input)?);
        // The story jumps from one year to another.
        let request = pb::RunSweepRequest { accept_clock: true };
        let swept = self.operator.compliance().run_sweep(request).await?.into_inner();
        self.step(&format!(
            "sweep: reports missing {}, dossiers overdue {}, notices {}",
            swept.missing_count, swept.overdue_count, swept.notice_count
        ));
        Ok(swept.notice_count)
    }

    async fn registry(&self) -> Result<std::collections::BTreeMap<NaiveDate, UnitCounts>, Failure> {
        let mut counts = std::collections::BTreeMap::new();
        for date in [(2025, 6, 30), (2025, 7, 1)] {
            let Some(date) = NaiveDate::from_ymd_opt(date.0, date.1, date.2) else { continue };
            let count = async |level: Level| {
                let request = ListUnitsRequest {
                    as_of_date: Some(pb_date(date)),
                    levels: vec![level.into()],
                    page_size: 1,
                    ..Default::default()
                };
                let page = self.operator.registry().list_units(request).await?;
                Ok::<_, Failure>(page.into_inner().total_size)
            };
            let found = UnitCounts {
                province: count(Level::Province).await?,
                district: count(Level::District).await?,
                commune: count(Level::Commune).await?,
            };
            counts.insert(date, found);
        }
        Ok(counts)
    }

    /// What became of a unit of which a report came in.
    async fn lineage(&self) -> Result<Lineage, Failure> {
        let unit: UnitRef = "27787:2024-09-30".parse().map_err(Failure::input)?;
        commands::lineage_of(&self.operator, &unit, None).await
    }

    async fn report_facts(&self) -> Result<Vec<Report>, Failure> {
        let mut reports = Vec::new();
        for (seed, _) in data::reports()? {
            let Some(submitted) = self.submitted.get(seed) else { continue };
            let name = submitted.name.clone();
            let request = submission::GetReportRequest { name };
            let report = self.operator.submission().get_report(request).await?.into_inner();
            let unit = report.name.split("/reports/").next().unwrap_or_default();
            let request = pb::ListObligationsRequest {
                scope: unit.to_owned(),
                regime: report.regime.clone(),
                period: report.period.clone(),
                ..Default::default()
            };
            let owed = self.operator.compliance().list_obligations(request).await?.into_inner();
            let owed = owed.obligations.into_iter().find(|obligation| obligation.unit == unit);
            let owed = owed.unwrap_or_default();
            let regime = self.regimes.get(&report.regime);
            reports.push(Report {
                seed: seed.to_owned(),
                timeliness: word(owed.standing().as_str_name(), "STANDING_"),
                due_time: output::time(owed.due_time.as_ref()),
                unit_code: owed.unit_code,
                unit_display_name: owed.unit_display_name,
                illustrative: regime.is_some_and(|file| file.regime.illustrative),
                state: word(report.state().as_str_name(), "STATE_"),
                receive_time: output::time(report.receive_time.as_ref()),
                receipt_evidence: report.receipt_evidence.as_ref().map(|e| e.reference.clone()),
                values: report.values.len(),
                findings: count(&report.findings),
                regime: report.regime,
                period: report.period,
            });
        }
        Ok(reports)
    }

    /// What matters most of what the checks say: errors, and every percentage that does not follow from its parts.
    fn findings(&self) -> Vec<Finding> {
        use submission::Discrepancy;
        use submission::finding::Severity;
        let mut seeds: Vec<_> = self.submitted.iter().collect();
        seeds.sort_by_key(|(seed, _)| **seed);
        let mut findings = Vec::new();
        for (seed, report) in seeds {
            let mattering = report.findings.iter().filter(|finding| {
                finding.severity() == Severity::Error
                    || finding.discrepancy() != Discrepancy::Unspecified
            });
            findings.extend(mattering.map(|finding| {
                Finding {
                    seed: (*seed).to_owned(),
                    severity: word(finding.severity().as_str_name(), "SEVERITY_"),
                    rule: finding.rule.clone(),
                    discrepancy: Some(finding.discrepancy())
                        .filter(|kind| *kind != Discrepancy::Unspecified)
                        .map(|kind| word(kind.as_str_name(), "DISCREPANCY_")),
                    field: finding.field.clone(),
                    indicator: value_at(report, &finding.field)
                        .map(|value| value.indicator.clone()),
                    message: finding.message.clone(),
                    evidence: finding.evidence.clone(),
                }
            }));
        }
        findings
    }

    async fn standings(&self) -> Result<Vec<(Standing, Rate)>, Failure> {
        let mut standings = Vec::new();
        for (regime, period, scope, at) in STANDINGS {
            let scope: UnitRef = scope.parse().map_err(Failure::input)?;
            let unit = self.operator.unit(&scope, None).await?;
            let at = input::time(at).map_err(Failure::input)?;
            let request = pb::GetReportingRateRequest {
                scope: unit.name.clone(),
                regime: input::regime_name(regime),
                period: period.to_owned(),
                read_time: Some(pb_time(at)),
            };
            let rate = self.operator.compliance().get_reporting_rate(request).await?.into_inner();
            let rate = Rate::from(rate);
            let missing = rate.exceptions.iter().filter(|one| one.standing == "MISSING");
            let standing = Standing {
                regime: rate.regime.clone(),
                period: rate.period.clone(),
                scope: unit.statistics_code,
                scope_display_name: unit.display_name,
                at: output::in_viet_nam(at),
                expected: rate.expected_reports,
                actual: rate.actual_reports,
                on_time: rate.actual_reports_on_time,
                late: rate.late_reports,
                missing: rate.missing_reports,
                open: rate.open_reports,
                waived: rate.waived_reports,
                missing_units: missing.map(|one| one.unit_code.clone()).collect(),
            };
            standings.push((standing, rate));
        }
        Ok(standings)
    }

    async fn form_ii06a(&self) -> Result<FormII06a, Failure> {
        let unit = self.operator.unit(&self.parameters.unit, None).await?;
        let Some(submitted) = self.submitted.get("002") else { return Ok(FormII06a::default()) };
        let request = pb::SummarizeDossiersRequest {
            parent: unit.name,
            period: submitted.period.clone(),
            fields: self.parameters.fields.iter().map(|field| field.field.clone()).collect(),
        };
        let found = self.operator.dossiers().summarize_dossiers(request).await?.into_inner();
        let counted = |rows: Vec<pb::SummaryRow>, total: Option<pb::SummaryRow>| Counted {
            rows: rows.into_iter().map(SummaryRow::from).collect(),
            total: total.unwrap_or_default().into(),
        };
        let recorded = counted(found.recorded_rows, found.recorded_total);
        let request = submission::GetReportRequest { name: submitted.name.clone() };
        let report = self.operator.submission().get_report(request).await?.into_inner();
        let (equal, compared_cells) = compare(&recorded, &report);
        Ok(FormII06a {
            unit_code: unit.statistics_code,
            period: found.period,
            equals_report: equal,
            compared_cells,
            in_fact: counted(found.in_fact_rows, found.in_fact_total),
            recorded,
        })
    }

    async fn overdue(&self) -> Result<Vec<OverdueDossier>, Failure> {
        let request = pb::ListOverdueDossiersRequest {
            scope: self.operator.unit_name(&self.parameters.unit, None).await?,
            read_time: Some(pb_time(input::time("2024-05-13T08:00").map_err(Failure::input)?)),
            page_size: PAGE,
            page_token: String::new(),
        };
        let found = self.operator.dossiers().list_overdue_dossiers(request).await?.into_inner();
        let dossiers = found.dossiers.into_iter().map(|dossier| OverdueDossier {
            number: dossier.name.rsplit('/').next().unwrap_or_default().to_owned(),
            due_time: output::time(dossier.due_time.as_ref()),
            field: dossier.field,
            working_days_late: dossier.working_days_late,
        });
        Ok(dossiers.collect())
    }

    async fn roll_up(&self) -> Result<RollUp, Failure> {
        let scope: UnitRef = "24:2026-05-14".parse().map_err(Failure::input)?;
        let unit = self.operator.unit(&scope, None).await?;
        let request = aggregation::GetRollUpRequest {
            scope: unit.name,
            regime: input::regime_name("cds-24-202605"),
            period: "202605".to_owned(),
            indicator: "dossiers_received_total".to_owned(),
            category: String::new(),
        };
        let found = self.operator.aggregation().get_roll_up(request).await?.into_inner();
        Ok(RollUp {
            scope: unit.statistics_code,
            period: found.period,
            indicator: found.indicator,
            total: found.total,
            counted: found.counted_count,
            expected: found.expected_count,
            missing: found.missing_units.len(),
        })
    }

    async fn notices(&self) -> Result<Vec<Notice>, Failure> {
        let request = pb::ListNoticesRequest { page_size: PAGE, ..Default::default() };
        let found = self.operator.notices().list_notices(request).await?.into_inner();
        let mut notices = Vec::new();
        for notice in found.notices {
            let detect_time = output::time(notice.detect_time.as_ref());
            let on = detect_time.map(|time| time.date_naive());
            let unit = self.operator.unit_named(&notice.recipient, on).await?;
            notices.push(Notice {
                to: Recipient { code: client::code(&unit).to_owned(), name: unit.display_name },
                kind: word(notice.kind().as_str_name(), "KIND_"),
                count: notice.subjects.len(),
                detect_time,
                regime: notice.regime,
                period: notice.period,
                text: notice.text,
            });
        }
        notices.sort_by_key(|notice| notice.detect_time);
        Ok(notices)
    }

    async fn explanation(&self, standings: &[(Standing, Rate)]) -> Result<Explanation, Failure> {
        let missing = standings
            .iter()
            .rev()
            .flat_map(|(_, rate)| &rate.exceptions)
            .find(|obligation| obligation.standing == "MISSING");
        let Some(missing) = missing else { return Ok(Explanation::default()) };
        let request = pb::ExplainObligationRequest { name: missing.name.clone(), read_time: None };
        let found = self.operator.compliance().explain_obligation(request).await?.into_inner();
        Ok(Explanation {
            obligation: missing.name.clone(),
            unit_code: missing.unit_code.clone(),
            unit_display_name: missing.unit_display_name.clone(),
            text: found.text,
        })
    }
}

fn as_role(issuer: &Issuer, servers: &Peer, grant: &str) -> Result<Client, Failure> {
    let grant = grant.parse().map_err(Failure::input)?;
    let token = client::sign(issuer, "demo", vec![grant], TimeDelta::minutes(30))?;
    Client::new(servers.clone(), &token)
}

fn count(findings: &[submission::Finding]) -> FindingCounts {
    use submission::finding::Severity;
    let of = |severity| findings.iter().filter(|finding| finding.severity() == severity).count();
    FindingCounts {
        error: of(Severity::Error),
        warning: of(Severity::Warning),
        info: of(Severity::Info),
    }
}

/// The value that a finding's field names, such as `values[12]` or `values[12].stated_percent`.
fn value_at<'a>(report: &'a submission::Report, field: &str) -> Option<&'a submission::Value> {
    let place = field.strip_prefix("values[")?.split(']').next()?;
    report.values.get(place.parse::<usize>().ok()?)
}

/// Whether every cell of the report's table is what was counted, and how many there are.
fn compare(counted: &Counted, report: &submission::Report) -> (bool, usize) {
    let rows: HashMap<_, _> =
        counted.rows.iter().chain([&counted.total]).map(|row| (row.field.as_str(), row)).collect();
    let cells = report.values.iter().filter(|value| !value.category.is_empty());
    let equal = cells.map(|value| {
        let cell = CELLS.iter().find(|(indicator, _)| *indicator == value.indicator);
        let found = rows.get(value.category.as_str()).zip(cell).map(|(row, (_, cell))| cell(row));
        matches!(value.figure, Some(Figure::Count(count)) if found.map(i64::from) == Some(count))
    });
    let equal: Vec<bool> = equal.collect();
    let whole = equal.len() == CELLS.len() * rows.len();
    (whole && equal.iter().all(|cell| *cell), equal.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_begins_on_the_day_of_the_letter() {
        assert_eq!(output::in_viet_nam(BEGINNING).to_rfc3339(), "2023-11-24T08:00:00+07:00");
    }

    #[test]
    fn one_wrong_or_missing_cell_is_no_equality() {
        let row = SummaryRow {
            field: "Tổng số".to_owned(),
            to_process: 3,
            resolved: 3,
            ..Default::default()
        };
        let counted = Counted { rows: Vec::new(), total: row.clone() };
        let value = |(indicator, cell): &(&str, Cell)| submission::Value {
            indicator: (*indicator).to_owned(),
            category: "Tổng số".to_owned(),
            figure: Some(Figure::Count(cell(&row).into())),
            ..Default::default()
        };
        let mut report =
            submission::Report { values: CELLS.iter().map(value).collect(), ..Default::default() };
        assert_eq!(compare(&counted, &report), (true, 8));
        report.values[0].figure = Some(Figure::Count(4));
        assert!(!compare(&counted, &report).0);
        report.values.remove(0);
        assert_eq!(compare(&counted, &report), (false, 7));
    }
}
