//! `obligations`, `rates` and `explain`: who owes which report, what is there, and why.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::compliance as pb;
use dunghan_rpc::field::pb_time;
use serde::Serialize;

use crate::cli::{Explain, Obligations, Rates};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, Target};
use crate::output::{self, Column, Rows, plain, show_due, show_period, show_time, word};

/// One obligation.
#[derive(Debug, Serialize)]
pub(crate) struct Obligation {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) unit_display_name: String,
    pub(crate) unit_code: String,
    pub(crate) regime: String,
    pub(crate) period: String,
    pub(crate) due_time: Option<DateTime<FixedOffset>>,
    pub(crate) due_generation: i32,
    pub(crate) standing: String,
    pub(crate) receive_time: Option<DateTime<FixedOffset>>,
    pub(crate) report: String,
    pub(crate) working_days_late: i32,
}

impl From<pb::Obligation> for Obligation {
    fn from(obligation: pb::Obligation) -> Self {
        Self {
            standing: word(obligation.standing().as_str_name(), "STANDING_"),
            due_time: output::time(obligation.due_time.as_ref()),
            receive_time: output::time(obligation.receive_time.as_ref()),
            name: obligation.name,
            unit: obligation.unit,
            unit_display_name: obligation.unit_display_name,
            unit_code: obligation.unit_code,
            regime: obligation.regime,
            period: obligation.period,
            due_generation: obligation.due_generation,
            report: obligation.report,
            working_days_late: obligation.working_days_late,
        }
    }
}

/// A reporting rate, never without its parts and its lists.
#[derive(Debug, Serialize)]
pub(crate) struct Rate {
    pub(crate) scope: String,
    pub(crate) regime: String,
    pub(crate) period: String,
    pub(crate) read_time: Option<DateTime<FixedOffset>>,
    pub(crate) expected_reports: i32,
    pub(crate) actual_reports: i32,
    pub(crate) actual_reports_on_time: i32,
    pub(crate) late_reports: i32,
    pub(crate) missing_reports: i32,
    pub(crate) open_reports: i32,
    pub(crate) waived_reports: i32,
    pub(crate) no_due_time_reports: i32,
    pub(crate) reporting_rate: Option<String>,
    pub(crate) reporting_rate_on_time: Option<String>,
    pub(crate) exceptions: Vec<Obligation>,
}

impl From<pb::ReportingRate> for Rate {
    fn from(rate: pb::ReportingRate) -> Self {
        Self {
            scope: rate.scope,
            regime: rate.regime,
            period: rate.period,
            read_time: output::time(rate.read_time.as_ref()),
            expected_reports: rate.expected_reports,
            actual_reports: rate.actual_reports,
            actual_reports_on_time: rate.actual_reports_on_time,
            late_reports: rate.late_reports,
            missing_reports: rate.missing_reports,
            open_reports: rate.open_reports,
            waived_reports: rate.waived_reports,
            no_due_time_reports: rate.no_due_time_reports,
            reporting_rate: rate.reporting_rate.map(|rate| rate.value),
            reporting_rate_on_time: rate.reporting_rate_on_time.map(|rate| rate.value),
            exceptions: rate.exceptions.into_iter().map(Obligation::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct Explanation {
    obligation: Option<Obligation>,
    read_time: Option<DateTime<FixedOffset>>,
    owed_because: String,
    window_start_date: Option<NaiveDate>,
    cut_off_date: Option<NaiveDate>,
    due_date: Option<NaiveDate>,
    skipped_days: Vec<SkippedDay>,
    calendar_version: String,
    hierarchy_version: i64,
    unit_uncertain: bool,
    notices: Vec<String>,
    waiver: Option<Waiver>,
    text: String,
}

#[derive(Serialize)]
struct SkippedDay {
    date: Option<NaiveDate>,
    why: String,
    estimated: bool,
}

#[derive(Serialize)]
struct Waiver {
    decision: String,
    reason: String,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
}

impl From<pb::Explanation> for Explanation {
    fn from(explanation: pb::Explanation) -> Self {
        Self {
            obligation: explanation.obligation.map(Obligation::from),
            read_time: output::time(explanation.read_time.as_ref()),
            owed_because: explanation.owed_because,
            window_start_date: output::date(explanation.window_start_date.as_ref()),
            cut_off_date: output::date(explanation.cut_off_date.as_ref()),
            due_date: output::date(explanation.due_date.as_ref()),
            skipped_days: explanation
                .skipped_days
                .into_iter()
                .map(|day| SkippedDay {
                    date: output::date(day.date.as_ref()),
                    why: day.why,
                    estimated: day.estimated,
                })
                .collect(),
            calendar_version: explanation.calendar_version,
            hierarchy_version: explanation.hierarchy_version,
            unit_uncertain: explanation.unit_uncertain,
            notices: explanation.notices.into_iter().map(|notice| notice.name).collect(),
            waiver: explanation.waiver.map(|waiver| Waiver {
                create_time: output::time(waiver.create_time.as_ref()),
                decision: waiver.decision,
                reason: waiver.reason,
                author: waiver.author,
            }),
            text: explanation.text,
        }
    }
}

#[derive(Serialize)]
struct List {
    obligations: Vec<Obligation>,
}

pub(super) async fn obligations(args: Obligations) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let mut request = pb::ListObligationsRequest {
        scope: client.unit_name_or_all(args.unit.as_ref(), args.as_of).await?,
        regime: args.regime.as_deref().map_or_else(String::new, input::regime_name),
        period: args.period.map_or_else(String::new, |period| period.to_string()),
        standings: args.standings.into_iter().map(i32::from).collect(),
        read_time: args.at.map(pb_time),
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut list = List { obligations: Vec::new() };
    loop {
        let page = client.compliance().list_obligations(request.clone()).await?.into_inner();
        list.obligations.extend(page.obligations.into_iter().map(Obligation::from));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output::print(args.client.output, &list, |list| {
        use Column::{Number, Text};
        let mut rows = Rows::new(&[
            Text("Code"),
            Text("Unit"),
            Text("Regime"),
            Text("Period"),
            Text("Due"),
            Text("Stands"),
            Number("Days late"),
        ]);
        for obligation in &list.obligations {
            rows.row([
                obligation.unit_code.clone(),
                obligation.unit_display_name.clone(),
                obligation.regime.trim_start_matches("regimes/").to_owned(),
                show_period(&obligation.period),
                show_due(obligation.due_time),
                plain(&obligation.standing),
                days_late(obligation),
            ]);
        }
        rows.text()
    })
}

fn days_late(obligation: &Obligation) -> String {
    match obligation.working_days_late {
        0 => String::new(),
        days => days.to_string(),
    }
}

pub(super) async fn rates(args: Rates) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let request = pb::GetReportingRateRequest {
        scope: client.unit_name(&args.unit, args.as_of).await?,
        regime: input::regime_name(&args.regime),
        period: args.period.to_string(),
        read_time: args.at.map(pb_time),
    };
    let rate = client.compliance().get_reporting_rate(request).await?.into_inner();
    output::print(args.client.output, &Rate::from(rate), |rate| {
        use Column::{Number, Text};
        let percent = |rate: &Option<String>, part: i32, whole: i32| {
            let rate = rate.as_ref().and_then(|rate| rate.parse::<rust_decimal::Decimal>().ok());
            rate.map_or_else(
                || "nothing is expected".to_owned(),
                |rate| format!("{rate:.2} % ({part} of {whole})"),
            )
        };
        let (expected, actual) = (rate.expected_reports, rate.actual_reports);
        let mut text = output::pairs(&[
            ("At", show_time(rate.read_time)),
            ("Expected", expected.to_string()),
            ("Actual", actual.to_string()),
            ("  on time", rate.actual_reports_on_time.to_string()),
            ("  late", rate.late_reports.to_string()),
            ("Missing", rate.missing_reports.to_string()),
            ("Open", rate.open_reports.to_string()),
            ("Waived", rate.waived_reports.to_string()),
            ("Without due time", rate.no_due_time_reports.to_string()),
            ("Reporting rate", percent(&rate.reporting_rate, actual, expected)),
            (
                "Reporting rate on time",
                percent(&rate.reporting_rate_on_time, rate.actual_reports_on_time, expected),
            ),
        ]);
        if !rate.exceptions.is_empty() {
            let mut rows = Rows::new(&[
                Text("Code"),
                Text("Unit"),
                Text("Stands"),
                Text("Due"),
                Number("Days late"),
            ]);
            for obligation in &rate.exceptions {
                rows.row([
                    obligation.unit_code.clone(),
                    obligation.unit_display_name.clone(),
                    plain(&obligation.standing),
                    show_due(obligation.due_time),
                    days_late(obligation),
                ]);
            }
            text = format!("{text}\n\n{}", rows.text());
        }
        text
    })
}

pub(super) async fn explain(args: Explain) -> Result<(), Failure> {
    let regime = args.regime.as_deref();
    let target = input::target(args.target, "/obligations/", regime, args.period)?;
    let client = Client::of(&args.client)?;
    let name = match target {
        Target::Name(name) => name,
        Target::Of { unit, regime, period } => {
            let unit = client.unit_name(&unit, args.as_of).await?;
            format!("{unit}/obligations/{}~{period}", regime.trim_start_matches("regimes/"))
        }
    };
    let request = pb::ExplainObligationRequest { name, read_time: args.at.map(pb_time) };
    let found = client.compliance().explain_obligation(request).await?.into_inner();
    output::print(args.client.output, &Explanation::from(found), |explanation| {
        output::wrap(&explanation.text)
    })
}
