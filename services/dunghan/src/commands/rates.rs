//! `rates`: how many of the reports that are owed are there; period by period; and units beside each other.

use chrono::{DateTime, FixedOffset};
use dunghan_proto::compliance as pb;
use dunghan_rpc::field::{pb_date, pb_time};
use rust_decimal::Decimal;
use serde::Serialize;

use super::obligations::Obligation;
use crate::cli::{RankBy, Rates, RatesVerb};
use crate::client::Client;
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Column, Rows, show_due, show_period, show_time};

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
    pub(crate) due_soon_reports: i32,
    pub(crate) extended_reports: i32,
    pub(crate) returned_reports: i32,
    pub(crate) waived_reports: i32,
    pub(crate) closed_reports: i32,
    pub(crate) no_due_time_reports: i32,
    pub(crate) reporting_rate: Option<String>,
    pub(crate) reporting_rate_on_time: Option<String>,
    pub(crate) hierarchy_version: i64,
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
            due_soon_reports: rate.due_soon_reports,
            extended_reports: rate.extended_reports,
            returned_reports: rate.returned_reports,
            waived_reports: rate.waived_reports,
            closed_reports: rate.closed_reports,
            no_due_time_reports: rate.no_due_time_reports,
            reporting_rate: rate.reporting_rate.map(|rate| rate.value),
            reporting_rate_on_time: rate.reporting_rate_on_time.map(|rate| rate.value),
            hierarchy_version: rate.hierarchy_version,
            exceptions: rate.exceptions.into_iter().map(Obligation::from).collect(),
        }
    }
}

/// Period by period.
#[derive(Serialize)]
struct Trend {
    rates: Vec<Rate>,
    total: Option<Rate>,
}

#[derive(Serialize)]
struct Rank {
    rank: i32,
    tied_count: i32,
    unit: String,
    unit_display_name: String,
    unit_code: String,
    rate: Option<Rate>,
}

#[derive(Serialize)]
struct Ranks {
    ranks: Vec<Rank>,
    hierarchy_version: i64,
}

pub(super) async fn rates(args: Rates) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let format = args.client.output;
    if let Some(verb) = args.verb {
        let ranks = ranks(&client, verb).await?;
        return output::print(format, &ranks, ranks_text);
    }
    // The arguments require both, and one of the two ways to name periods.
    let (Some(unit), Some(regime)) = (args.unit, args.regime) else {
        return Err(Failure::input("give a unit and --regime"));
    };
    let scope = client.unit_name(&unit, args.as_of).await?;
    let regime = input::regime_name(&regime);
    let read_time = args.at.map(pb_time);
    match (args.period, args.from.zip(args.through)) {
        (Some(period), _) => {
            let period = period.to_string();
            let label = client.label(&scope, args.as_of).await;
            let request = pb::GetReportingRateRequest { scope, regime, period, read_time };
            let rate = client.compliance().get_reporting_rate(request).await?.into_inner();
            output::print(format, &Rate::from(rate), |rate| rate_text(rate, label))
        }
        (None, Some((first, last))) => {
            let request = pb::ListReportingRatesRequest {
                scope,
                regime,
                first_period: first.to_string(),
                last_period: last.to_string(),
                read_time,
            };
            let found = client.compliance().list_reporting_rates(request).await?.into_inner();
            let trend = Trend {
                rates: found.rates.into_iter().map(Rate::from).collect(),
                total: found.total.map(Rate::from),
            };
            output::print(format, &trend, trend_text)
        }
        (None, None) => Err(Failure::input("give --period, or --from and --through")),
    }
}

async fn ranks(client: &Client, verb: RatesVerb) -> Result<Ranks, Failure> {
    let RatesVerb::Rank { unit, regime, from, through, by, at, as_of } = verb;
    use pb::rank_reporting_rates_request::By;
    let by = match by {
        RankBy::OnTime => By::ReportingRateOnTime,
        RankBy::Reporting => By::ReportingRate,
    };
    let request = pb::RankReportingRatesRequest {
        scope: client.unit_name(&unit, as_of).await?,
        regime: regime.as_deref().map_or_else(String::new, input::regime_name),
        from_date: Some(pb_date(from)),
        through_date: Some(pb_date(through)),
        by: by.into(),
        read_time: at.map(pb_time),
    };
    let found = client.compliance().rank_reporting_rates(request).await?.into_inner();
    let ranks = found.ranks.into_iter().map(|rank| Rank {
        rank: rank.rank,
        tied_count: rank.tied_count,
        unit: rank.unit,
        unit_display_name: rank.unit_display_name,
        unit_code: rank.unit_code,
        rate: rank.rate.map(Rate::from),
    });
    Ok(Ranks { ranks: ranks.collect(), hierarchy_version: found.hierarchy_version })
}

fn rate_text(rate: &Rate, within: String) -> String {
    use Column::{Number, Text};
    let percent = |rate: &Option<String>, part: i32, whole: i32| {
        let rate = rate.as_ref().and_then(|rate| rate.parse::<Decimal>().ok());
        rate.map_or_else(
            || "nothing is expected".to_owned(),
            |rate| format!("{rate:.2} % ({part} of {whole})"),
        )
    };
    let (expected, actual) = (rate.expected_reports, rate.actual_reports);
    let text = output::pairs(&[
        ("Within", within),
        ("Regime", rate.regime.trim_start_matches("regimes/").to_owned()),
        ("Period", show_period(&rate.period)),
        ("At", show_time(rate.read_time)),
        ("Expected", expected.to_string()),
        ("Actual", actual.to_string()),
        ("  on time", rate.actual_reports_on_time.to_string()),
        ("  late", rate.late_reports.to_string()),
        ("Missing", rate.missing_reports.to_string()),
        ("Open", rate.open_reports.to_string()),
        ("  due soon", rate.due_soon_reports.to_string()),
        ("Waived", rate.waived_reports.to_string()),
        ("Closed", rate.closed_reports.to_string()),
        ("Extended", rate.extended_reports.to_string()),
        ("Sent back", rate.returned_reports.to_string()),
        ("Without due time", rate.no_due_time_reports.to_string()),
        ("Reporting rate", percent(&rate.reporting_rate, actual, expected)),
        (
            "Reporting rate on time",
            percent(&rate.reporting_rate_on_time, rate.actual_reports_on_time, expected),
        ),
    ]);
    if rate.exceptions.is_empty() {
        return text;
    }
    let mut rows = Rows::new(&[
        Text("Code"),
        Text("Unit"),
        Text("Stands"),
        Text("Due"),
        Number("Workdays late"),
    ]);
    for obligation in &rate.exceptions {
        rows.row([
            obligation.unit_code.clone(),
            obligation.unit_display_name.clone(),
            obligation.stands(),
            show_due(obligation.due_time),
            obligation.days_late(),
        ]);
    }
    format!("{text}\n\n{}", rows.text())
}

fn percent(rate: &Option<String>) -> String {
    let read = rate.as_ref().and_then(|rate| rate.parse::<Decimal>().ok());
    read.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.2}"))
}

const COUNTS: [Column; 7] = [
    Column::Number("Exp"),
    Column::Number("On time"),
    Column::Number("Late"),
    Column::Number("Miss"),
    Column::Number("Open"),
    Column::Number("Rate %"),
    Column::Number("On time %"),
];

fn counts(rate: &Rate) -> [String; 7] {
    [
        rate.expected_reports.to_string(),
        rate.actual_reports_on_time.to_string(),
        rate.late_reports.to_string(),
        rate.missing_reports.to_string(),
        rate.open_reports.to_string(),
        percent(&rate.reporting_rate),
        percent(&rate.reporting_rate_on_time),
    ]
}

fn trend_text(trend: &Trend) -> String {
    let waived = [Column::Number("Waived")];
    let mut rows =
        Rows::new(&[&[Column::Text("Period")], COUNTS.as_slice(), waived.as_slice()].concat());
    let periods = trend.rates.iter().map(|rate| (show_period(&rate.period), rate));
    let total = trend.total.iter().map(|rate| ("Total".to_owned(), rate));
    for (period, rate) in periods.chain(total) {
        let waived = rate.waived_reports.to_string();
        rows.row(std::iter::once(period).chain(counts(rate)).chain([waived]));
    }
    rows.text()
}

fn ranks_text(ranks: &Ranks) -> String {
    let first = [Column::Number("Rank"), Column::Text("Code"), Column::Text("Unit")];
    let mut rows = Rows::new(&[first.as_slice(), COUNTS.as_slice()].concat());
    for one in &ranks.ranks {
        let Some(rate) = &one.rate else { continue };
        let rank = match (one.rank, one.tied_count) {
            (0, _) => "–".to_owned(),
            (rank, 0) => rank.to_string(),
            (rank, _) => format!("={rank}"),
        };
        let names = [rank, one.unit_code.clone(), one.unit_display_name.clone()];
        rows.row(names.into_iter().chain(counts(rate)));
    }
    rows.text()
}
