//! Opening a month for the nation, and a change of the hierarchy when three years of months are open.

use std::time::Instant;

use anyhow::ensure;
use chrono::{DateTime, NaiveTime, Utc};
use dunghan_hierarchy::{Edge, EdgeKind, Hierarchy, NSO, UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_rpc::field;

use super::watched::{Watched, regime};
use super::{Size, TURNS};
use crate::peers::{beginning, know, unit, units};
use crate::{Figure, Ground, day, many, median};

/// For how many months the communes have owed.
pub(super) const MONTHS: usize = 36;
const PROVINCES: usize = 34;

pub(super) async fn measure(ground: &Ground, size: Size) -> anyhow::Result<Vec<Figure>> {
    let nation = Nation { communes: size.communes };
    know(nation.build(1, None, None)?);
    let watched = Watched::empty(ground, at(0)).await?;
    let debtors = pb::Debtors { levels: vec!["commune".to_owned()], ..Default::default() };
    let nobody_is_told = Some(field::pb_date(day(2100, 1, 1)));
    watched
        .put_in_force(pb::Regime {
            receiving_level: "province".to_owned(),
            tell_from_date: nobody_is_told,
            ..regime("nation", debtors)
        })
        .await?;
    // What has begun is opened when a regime is put in force.
    sweep(&watched, 0).await?;
    let mut months = Vec::new();
    for month in 1..MONTHS {
        watched.clock.set(at(month));
        months.push(sweep(&watched, size.communes).await?);
    }
    let (mut version, mut renamed, mut merged) = (1, Vec::new(), Vec::new());
    for one in 0..TURNS {
        version += 1;
        know(nation.build(version, Some(one), None)?);
        renamed.push(sweep(&watched, 0).await? * 1e3);
    }
    for one in 0..TURNS {
        version += 1;
        know(nation.build(version, None, Some(one))?);
        merged.push(sweep(&watched, 0).await? * 1e3);
    }
    watched.stop(ground).await?;
    let communes = many(size.communes);
    Ok(vec![
        Figure::below(format!("open a month for {communes} communes"), median(months), 2.0, "s"),
        // Another name changes nothing of what is owed; a merger passes on all that a unit owes, month by month.
        Figure::below(format!("a unit renamed, {MONTHS} months"), median(renamed), 1000.0, "ms"),
        Figure::below(format!("a unit merged, {MONTHS} months"), median(merged), 1000.0, "ms"),
    ])
}

/// The time of a sweep that opens so many.
async fn sweep(watched: &Watched, opened: usize) -> anyhow::Result<f64> {
    let mut operator = watched.operator();
    let begun = Instant::now();
    let request = pb::RunSweepRequest { accept_clock: true };
    let swept = operator.run_sweep(request).await?.into_inner();
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(usize::try_from(swept.opened_count) == Ok(opened), "not {opened} opened: {swept:?}");
    Ok(seconds)
}

/// When the window of a month, counted from the first that is owed, has begun.
fn at(month: usize) -> DateTime<Utc> {
    let first = day(2026, 5, 16).and_time(NaiveTime::MIN).and_utc();
    first + chrono::Months::new(u32::try_from(month).unwrap_or(u32::MAX))
}

/// 34 provinces and their communes.
struct Nation {
    communes: usize,
}

impl Nation {
    /// One commune may have another name, and one may have ended in favour of its neighbour.
    fn build(
        &self,
        version: u64,
        renamed: Option<usize>,
        merged: Option<usize>,
    ) -> anyhow::Result<Hierarchy> {
        let since = Validity::since(beginning());
        let end = day(2029, 4, 1);
        let province = |n: usize| format!("{:02}", n % PROVINCES + 1);
        let commune = |n: usize| format!("{:05}", n + 1);
        let provinces = (0..PROVINCES).map(|n| unit(&province(n), "Tỉnh", None, since));
        let communes = (0..self.communes).map(|n| {
            let name = if renamed == Some(n) { "Xã Mới".to_owned() } else { format!("Xã {n}") };
            let ended = Validity { until: Some(end), ..since };
            let validity = if merged == Some(n) { ended } else { since };
            let above = UnitId::new(NSO, &province(n), None);
            unit(&commune(n), &name, Some(above), validity)
        });
        let edge = merged.map(|n| Edge {
            effective: end,
            predecessor: UnitId::new(NSO, &commune(n), None),
            successor: UnitId::new(NSO, &commune(n + 1), None),
            kind: EdgeKind::Merged,
            reorganisation: "bench".into(),
        });
        units(version, provinces.chain(communes).collect(), edge)
    }
}
