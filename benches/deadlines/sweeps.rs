//! Sweeps: among few obligations and among many, and one by which very many fall due.

use super::watched::Watched;
use super::{Size, TURNS};
use crate::{Figure, Ground, many as number, median};

pub(super) async fn measure(
    ground: &Ground,
    size: Size,
    tell: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Vec<Figure>> {
    let Size { few, many, due, .. } = size;
    let among_few = Watched::over(ground, few, few / 10, size, tell).await?;
    let among_many = Watched::over(ground, many, many / 10, size, tell).await?;
    let (mut millis, mut ratios) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let [few, many] = [among_few.sweep(due).await?, among_many.sweep(due).await?];
        // The first turn warms both up.
        if turn > 0 {
            millis.push(few * 1e3);
            ratios.push(many / few);
        }
    }
    among_few.stop(ground).await?;
    among_many.stop(ground).await?;
    let [few, many, due] = [few, many, due].map(number);
    Ok(vec![
        Figure::of(format!("sweep, {due} of {few} fall due"), median(millis), "ms"),
        Figure::below(format!("sweep, {due} of {many} ÷ of {few}"), median(ratios), 1.5, "×"),
    ])
}

pub(super) async fn all_at_once(ground: &Ground, size: Size) -> anyhow::Result<Vec<Figure>> {
    let watched = Watched::over(ground, size.few, size.few, size, &|_| {}).await?;
    let seconds = watched.sweep(size.few).await?;
    watched.stop(ground).await?;
    Ok(vec![Figure::below(
        format!("sweep, {} fall due at once", number(size.few)),
        seconds,
        60.0,
        "s",
    )])
}
