//! SubmitReport by several clients at once; on PostgreSQL beside what `pgbench` reaches with the very same statements, as many
//! clients and the same server.

use std::time::Instant;

use anyhow::ensure;
use dunghan_store::Location;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, Statement};
use tokio::task::JoinSet;

use super::made_up::MadeUp;
use super::pgbench::{Pgbench, Script, find};
use super::submission::{Receiving, submit};
use super::wire::Wire;
use super::{CLIENTS, Size, TURNS};
use crate::place::Place;
use crate::{Figure, Ground, median};

pub(super) async fn measure(
    ground: &Ground,
    size: Size,
    tell: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Vec<Figure>> {
    let made_up = MadeUp::usual()?;
    let script =
        if ground.engine() == "postgres" { script(ground, &made_up, tell).await? } else { None };
    let receiving = Receiving::start(ground.place().await?, size.in_all()).await?;
    let drafts = receiving.begin(size.in_all(), &made_up).await?;
    tell(&format!("  {} reports are begun", crate::many(drafts.len())));
    let pgbench = match (script, &receiving.served.place.location) {
        (Some(script), Location::Postgres(url)) => {
            let database = receiving.served.database("submission").await?;
            let run = Pgbench::over(database, url, script, drafts.len()).await?;
            Some(run)
        }
        _ => None,
    };
    let (mut rates, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for (turn, names) in drafts.chunks(size.at_once()).enumerate() {
        let rate = submitted(&receiving, names).await?;
        let beside = match &pgbench {
            Some(pgbench) => Some(pgbench.run(turn * size.at_once(), size.each).await?),
            None => None,
        };
        // The first turn warms both up.
        if turn > 0 {
            rates.push(rate);
            bare.extend(beside);
            ratios.extend(beside.map(|beside| beside / rate));
        }
    }
    ensure!(rates.len() == TURNS, "{} turns were measured", rates.len());
    let database = receiving.served.database("submission").await?;
    let sql = "SELECT count(*) FROM report WHERE state = 'submitted'";
    let statement = Statement::from_string(database.engine(), sql);
    let row = database.reader().query_one_raw(statement).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    database.close().await?;
    ensure!(usize::try_from(count) == Ok(drafts.len()), "{count} reports are handed over");
    let mut figures =
        vec![Figure::of(format!("SubmitReport by {CLIENTS} at once"), median(rates), "/s")];
    if let Some(pgbench) = pgbench {
        pgbench.end(drafts.len()).await?;
        figures.push(Figure::of("pgbench, the same statements".to_owned(), median(bare), "/s"));
        let ratio = median(ratios);
        figures.push(Figure::below("pgbench ÷ SubmitReport".to_owned(), ratio, 1.25, "×"));
    }
    receiving.stop(ground).await?;
    Ok(figures)
}

/// Reports that are handed over in a second.
async fn submitted(receiving: &Receiving, names: &[String]) -> anyhow::Result<f64> {
    let mut clients = JoinSet::new();
    let begun = Instant::now();
    for first in 0..CLIENTS {
        let own: Vec<_> = names.iter().skip(first).step_by(CLIENTS).cloned().collect();
        let mut client = receiving.client();
        clients.spawn(async move {
            for name in own {
                submit(&mut client, name).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(f64::from(u32::try_from(names.len())?) / seconds)
}

/// What one SubmitReport has the server do, if pgbench can do that too.
async fn script(
    ground: &Ground,
    made_up: &MadeUp,
    tell: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Option<Script>> {
    let Some(program) = find() else {
        tell("  pgbench is not here: SubmitReport is compared with nothing");
        return Ok(None);
    };
    let place = ground.place().await?;
    let Location::Postgres(url) = &place.location else {
        anyhow::bail!("{:?} is no server", place.location);
    };
    if !Wire::reaches(url)? {
        tell("  The server is spoken to in secret: SubmitReport is compared with nothing");
        ground.clear(place).await?;
        return Ok(None);
    }
    let wire = Wire::to(url).await?;
    let location = Location::Postgres(wire.url().to_owned());
    let receiving = Receiving::start(Place { location, ..place }, SAMPLES).await?;
    let mut client = receiving.client();
    let mut last = None;
    let mut agreed = None;
    for name in receiving.begin(SAMPLES, made_up).await? {
        wire.take()?;
        submit(&mut client, name).await?;
        let statements = wire.take()?;
        let texts: Vec<_> = statements.iter().map(|one| one.text.clone()).collect();
        // What runs beside the calls is in one of them, and not in the next.
        if last.as_ref() == Some(&texts) {
            agreed = Some(statements);
            break;
        }
        last = Some(texts);
    }
    receiving.stop(ground).await?;
    let statements =
        agreed.ok_or_else(|| anyhow::anyhow!("no two calls have the server do the same"))?;
    Script::new(program, &statements).map(Some)
}

/// Calls of which two in a row have to have the server do the same.
const SAMPLES: usize = 20;
