//! National standings for one period: what the database needs for the counts and for those that are not on time, and what the
//! store and the domain add to that.

use std::time::Instant;

use anyhow::ensure;
use dunghan_calendar::Period;
use dunghan_compliance::domain::rate::{Rate, Tally};
use dunghan_compliance::domain::regime::RegimeId;
use dunghan_compliance::domain::soon::Soon;
use dunghan_compliance::store::{Moment, RateFilter, Store, Within};
use dunghan_proto::compliance as pb;
use dunghan_rpc::field;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::Size;
use super::watched::Watched;
use crate::peers::province;
use crate::{Figure, Ground, many, median, now};

/// How often each question is asked.
const QUESTIONS: usize = 101;

pub(super) async fn measure(ground: &Ground, size: Size) -> anyhow::Result<Vec<Figure>> {
    let Size { units, periods, .. } = size;
    let watched = Watched::over(ground, units * periods, units, size, &|_| {}).await?;
    watched.run(&standings(watched.database.engine())).await?;
    let [counts, exceptions] = bare_statements();
    let at = now();
    let store = Store::new(watched.database.clone());
    let id = RegimeId::new("bench")?;
    let period: Period = "202605".parse()?;
    let moment = Moment { at, soon: &Soon::everywhere(at) };
    let filter = RateFilter {
        within: vec![Within::Subtree(province())],
        periods: vec![(id.clone(), vec![period])],
    };
    let mut operator = watched.operator();
    let mut measured: [Vec<f64>; 5] = Default::default();
    for turn in 0..=QUESTIONS {
        let bare_counts = bare(&watched, &[&counts]).await?;
        let begun = Instant::now();
        let tallies = store.tally_by_period(&filter, moment).await?;
        sum(tallies.into_iter().map(|(_, tally, count)| (tally, count)), units)?;
        let counts_only = begun.elapsed().as_secs_f64() * 1e3;

        let bare_all = bare(&watched, &[&counts, &exceptions]).await?;
        let begun = Instant::now();
        let found = store.tally_with_exceptions(province(), &id, period, moment, units).await?;
        let (tallies, listed) = found;
        let rate = sum(tallies.into_iter(), units)?;
        ensure!(listed.len() == rate.expected() - rate.on_time, "{} are listed", listed.len());
        let all = begun.elapsed().as_secs_f64() * 1e3;

        let request = pb::GetReportingRateRequest {
            scope: province().to_string(),
            regime: "regimes/bench".to_owned(),
            period: "202605".to_owned(),
            read_time: Some(field::pb_time(at)),
        };
        let begun = Instant::now();
        operator.get_reporting_rate(request).await?;
        let asked = begun.elapsed().as_secs_f64() * 1e3;
        // The first turn warms all up.
        if turn > 0 {
            // Each beside what came right before it: whatever else the machine does then, it does to both.
            let figures = [bare_counts, counts_only / bare_counts, bare_all, all / bare_all, asked];
            measured.iter_mut().zip(figures).for_each(|(all, one)| all.push(one));
        }
    }
    watched.stop(ground).await?;
    let [bare_counts, counts, bare_all, standings, asked] = measured.map(median);
    let units = many(units);
    Ok(vec![
        Figure::of(format!("count a period of {units} units, bare"), bare_counts, "ms"),
        Figure::below("national counts ÷ bare".to_owned(), counts, 1.5, "×"),
        Figure::of("the same, and list those not on time, bare".to_owned(), bare_all, "ms"),
        Figure::below("national standings ÷ bare".to_owned(), standings, 1.5, "×"),
        Figure::of("GetReportingRate of the nation".to_owned(), asked, "ms"),
    ])
}

/// Of twenty units, one is late, one missing and one open; three steps from the top to the unit.
fn standings(engine: DbBackend) -> String {
    let (hour, us) = (3_600_000_000_i64, now().timestamp_micros());
    let scope = province().uuid().simple();
    let unit = match engine {
        DbBackend::Postgres => "replace(unit_id::text, '-', '')",
        _ => "lower(hex(unit_id))",
    };
    format!(
        "UPDATE obligation SET path = '/{scope}/' || {unit} || '/' || {unit} || '/', due_us = {us}, \
         receive_us = CASE WHEN unit_code LIKE '%00' OR unit_code LIKE '%20' OR unit_code LIKE '%40' THEN {us} \
             WHEN unit_code LIKE '%5' THEN NULL ELSE {us} - {hour} END \
         WHERE regime = 'bench' AND period = '202605' AND unit_code > ''"
    )
}

/// What somebody who knows the tables would ask: the counts, and those that are not on time.
fn bare_statements() -> [String; 2] {
    let us = now().timestamp_micros();
    let scope = province().uuid().simple();
    let settled =
        format!("WHERE regime = 'bench' AND period = '202605' AND path LIKE '%/{scope}/%'");
    let counted = format!(
        "CASE WHEN close_us <= {us} THEN 0 WHEN waived_us <= {us} THEN 1 WHEN receive_us <= {us} AND due_us IS NULL THEN 2 \
         WHEN receive_us <= {us} AND receive_us < due_us THEN 3 WHEN receive_us <= {us} THEN 4 WHEN due_us <= {us} THEN 5 \
         WHEN open_us > {us} THEN 6 ELSE 7 END"
    );
    [
        format!("SELECT {counted} AS counted, count(*) FROM obligation {settled} GROUP BY 1"),
        format!(
            "SELECT * FROM obligation {settled} AND ({counted} NOT IN (2, 3, 6) OR (extension_id IS NOT NULL AND {counted} IN (2, 3))) \
             ORDER BY unit_code, unit_id"
        ),
    ]
}

/// The milliseconds that the database needs for these.
async fn bare(watched: &Watched, statements: &[&str]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut rows = 0;
    for sql in statements {
        let statement = Statement::from_string(watched.database.engine(), *sql);
        rows += watched.database.reader().query_all_raw(statement).await?.len();
    }
    let millis = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(rows > 2, "the database counts nothing");
    Ok(millis)
}

fn sum(tallies: impl Iterator<Item = (Tally, usize)>, units: usize) -> anyhow::Result<Rate> {
    let mut rate = Rate::default();
    tallies.for_each(|(tally, count)| rate.add(&tally, count));
    // The province itself owes too.
    ensure!(rate.expected() == units + 1, "{} units of {units} and one owe", rate.expected());
    Ok(rate)
}
