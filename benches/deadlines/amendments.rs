//! Amending the nation's calendar, by which every open obligation moves; and what a reader waits meanwhile.

use std::pin::pin;
use std::time::Instant;

use anyhow::ensure;
use dunghan_proto::compliance as pb;
use dunghan_rpc::field;
use sea_orm_migration::sea_orm::DbBackend;

use super::Size;
use super::watched::{Watched, numbers, unit_of};
use crate::peers::{know, one_province};
use crate::{Figure, Ground, day, many, median, now};

/// Regimes of which something is open.
pub(super) const REGIMES: usize = 30;
/// One more day off each, all in the days in which May's reports fall due.
const DAYS: [u32; 5] = [15, 18, 19, 20, 21];

pub(super) async fn measure(ground: &Ground, size: Size) -> anyhow::Result<Vec<Figure>> {
    know(one_province()?);
    let watched = Watched::empty(ground, now()).await?;
    for number in 0..REGIMES {
        watched.create(&format!("amended-{number}")).await?;
    }
    // One of each regime's units is opened with it; the others are like it, in a hundred provinces.
    watched.run(&copies(watched.database.engine(), size.owing)).await?;
    watched.analyze().await?;
    let may = "SELECT count(*) FROM obligation WHERE period = '202605'";
    let rows = watched.count(may).await?;
    ensure!(usize::try_from(rows) == Ok(REGIMES * (size.owing + 1)), "{rows} obligations are open");
    let (mut seconds, mut reads) = (Vec::new(), Vec::new());
    for day_of_month in DAYS {
        let day_off = pb::CalendarDay {
            date: Some(field::pb_date(day(2026, 5, day_of_month))),
            kind: pb::calendar_day::Kind::InLieu.into(),
            ..pb::CalendarDay::default()
        };
        let request = pb::AmendCalendarRequest {
            name: "calendars/vn".to_owned(),
            days: vec![day_off],
            legal_basis: "Công điện số 1".to_owned(),
            reason: "Bão".to_owned(),
            ..pb::AmendCalendarRequest::default()
        };
        let mut operator = watched.calendar_operator();
        let begun = Instant::now();
        let mut amending = pin!(operator.amend_calendar(request));
        let made = loop {
            tokio::select! {
                made = &mut amending => break made?.into_inner(),
                read = watched.read("amended-0") => reads.push(read? * 1e3),
            }
        };
        seconds.push(begun.elapsed().as_secs_f64());
        let moved = usize::try_from(made.moved_count).unwrap_or_default();
        ensure!(moved >= REGIMES * size.owing, "{moved} due times moved");
    }
    watched.stop(ground).await?;
    let open = many(REGIMES * size.owing);
    let slowest = reads.iter().copied().fold(0.0, f64::max);
    let read = if reads.is_empty() { 0.0 } else { median(reads) };
    Ok(vec![
        Figure::below(format!("amend a calendar, {open} open"), median(seconds), 10.0, "s"),
        Figure::of("a read meanwhile".to_owned(), read, "ms"),
        Figure::below("the slowest read meanwhile".to_owned(), slowest, 1000.0, "ms"),
    ])
}

/// Has so many units owe as the one that each regime was opened with does.
fn copies(engine: DbBackend, owing: usize) -> String {
    let numbers = numbers(engine, 1, owing);
    let [unit, area] = ["n", "n % 100"].map(|number| unit_of(engine, number));
    format!(
        "INSERT INTO obligation (regime, period, unit_id, unit_code, path, tier, level, receiver_id, area_id, open_us, \
         original_due_us, due_us, due_generation, tell_us, sequence, hierarchy_version, next_check_us) \
         {numbers} SELECT regime, period, {unit}, unit_code, path, tier, level, receiver_id, {area}, open_us, \
         original_due_us, due_us, due_generation, tell_us, sequence, hierarchy_version, next_check_us \
         FROM obligation CROSS JOIN numbers WHERE regime LIKE 'amended-%' AND period = '202605'"
    )
}
