//! A hundred rules over a hundred figures.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use dunghan_submission::domain::check::{Basis, Earlier, History, findings};
use dunghan_submission::domain::report::Content;

use super::Size;
use super::made_up::MadeUp;
use crate::peers::{commune, communes};
use crate::{Figure, median};

pub(super) fn measure(size: Size) -> anyhow::Result<Vec<Figure>> {
    let MadeUp { form, asked, content } = MadeUp::large()?;
    let (rules, figures) = (form.rules().len(), content.values.len());
    ensure!((rules, figures) == (100, 100), "{rules} rules and {figures} figures are there");
    let before = History::before(asked.period).into_iter();
    let periods = before.chain(History::year_so_far(asked.period));
    let earlier = |period| Earlier { period, values: Some(content.values.clone()) };
    let history = History::new(asked.period, periods.map(earlier).collect());
    let hierarchy = Arc::new(communes(1)?);
    let basis = Basis { form: Arc::new(form), unit: commune(0), hierarchy, history };
    let mut wrong = Content { values: MadeUp::all_wrong(), ..content.clone() };
    let found = findings(&basis, &asked, &mut wrong);
    let found: BTreeSet<_> = found.iter().map(|finding| finding.rule.as_str()).collect();
    let judged = basis.form.rules().iter().filter(|rule| found.contains(rule.text.key.as_str()));
    ensure!(judged.count() == rules, "not every rule is judged: {found:?}");
    let mut millis = Vec::new();
    for _ in 0..size.checks {
        let mut content = content.clone();
        let begun = Instant::now();
        let found = findings(&basis, &asked, &mut content);
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
        let found = black_box(found);
        ensure!(found.is_empty(), "what is right is found wrong: {:?}", found.first());
    }
    let what = "check 100 figures by 100 rules".to_owned();
    Ok(vec![Figure::below(what, median(millis), 2.0, "ms")])
}
