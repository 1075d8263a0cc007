//! The same for minutes, of a release build, at moments that chance picks.

use std::time::Duration;

use super::Story;
use super::stage::{Blow, What, each};
use crate::suite;

/// Names the seed of an earlier run, to have the same blows again.
const SEED: &str = "DUNGHAN_SOAK_SEED";
const COMMUNES: usize = 1200;
/// Rolling restarts in each act that has no worse.
const ROLLING: usize = 3;
/// Blows in each of three acts that have worse.
const BLOWS: usize = 12;
/// Answers from one restart to the next.
const ANSWERS: usize = 200;
/// Calls a second that have to be reached: a slower machine would show less than this is run for.
const RATE: f64 = 95.0;

/// Processes and the database die, at any moment.
fn blows(random: &mut fastrand::Rng) -> Vec<Blow> {
    let services = suite().names();
    // Every process for certain, and others by chance.
    let mut blows: Vec<_> = services.iter().map(|service| What::Kill(service)).collect();
    blows.extend((blows.len()..BLOWS).map(|_| match random.usize(0..3) {
        0 => What::Outage(Duration::from_millis(random.u64(1..10_000))),
        1 => What::Kill(services[random.usize(0..services.len())]),
        _ => What::Replace(services[random.usize(0..services.len())]),
    }));
    random.shuffle(&mut blows);
    blows.into_iter().map(|what| Blow { what, answers: random.usize(1..400) }).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: make soak"]
async fn minutes_of_restarts_kills_and_outages_leave_everything_as_it_was() {
    let seed = std::env::var(SEED).ok().filter(|seed| !seed.is_empty());
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("a number"));
    eprintln!("{SEED}={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let rolling = || (0..ROLLING).flat_map(|_| each(What::Replace, ANSWERS)).collect();
    let story = Story {
        communes: COMMUNES,
        early: vec![rolling(), blows(&mut random)],
        due: blows(&mut random),
        late: vec![blows(&mut random), rolling()],
    };
    let record = story.play().await;
    assert!(record.rate() >= RATE, "{SEED}={seed}: {record}");
}
