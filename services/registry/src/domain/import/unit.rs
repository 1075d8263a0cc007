//! What rows and what is known make of one unit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use dunghan_hierarchy::{Identifier, Kind, Level, UnitHistory, UnitId, Validity, Version};

use super::Row;

/// A unit that rows speak of.
pub(super) struct Touched<'a> {
    /// The scheme under which it was first listed.
    pub(super) first_scheme: &'a str,
    /// What was known of it, ended where a row goes on or says so.
    pub(super) kept: Vec<Version>,
    /// The rows and the intervals that they have among the others.
    pub(super) rows: Vec<(&'a Row, Validity)>,
    /// The codes that it holds by all of that, each with the row that says so.
    pub(super) held: Vec<Held<'a>>,
    /// The same, one interval for each code that is held without a break.
    pub(super) identifiers: Vec<Identifier>,
}

/// A code held, or not, by what a row says, or by what was known.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) row: Option<&'a Row>,
    pub(super) scheme: &'a str,
    /// `None`: the row says that there is none.
    pub(super) value: Option<&'a str>,
    pub(super) validity: Validity,
}

impl<'a> Touched<'a> {
    pub(super) fn by(
        known: Option<&'a UnitHistory>,
        rows: &[&'a Row],
        first_scheme: &'a str,
    ) -> Self {
        let known: Vec<_> = known.into_iter().flat_map(statements).collect();
        let scheme_of =
            |held: Option<&'a Identifier>| held.map_or(first_scheme, |held| held.scheme.as_str());
        let mut ends: BTreeMap<&str, Ends> = BTreeMap::from([(first_scheme, Ends::default())]);
        for (_, validity, held) in &known {
            ends.entry(scheme_of(*held)).or_default().add(*validity);
        }
        for row in rows {
            ends.entry(&row.scheme).or_default().add(row.validity);
        }
        let of_code = |scheme: &str, validity: Validity| {
            let until = validity.until.or_else(|| ends.get(scheme)?.after(validity.from));
            Validity { until, ..validity }
        };
        let of_unit = |scheme: &str, validity: Validity| {
            let first = || ends.get(first_scheme)?.after(validity.from);
            let own = of_code(scheme, validity).until;
            let until = match validity.until {
                Some(until) => Some(until),
                None => own.into_iter().chain(first()).min(),
            };
            Validity { until, ..validity }
        };

        let kept: Vec<Version> = known
            .iter()
            .map(|(version, validity, held)| Version {
                validity: of_unit(scheme_of(*held), *validity),
                ..(*version).clone()
            })
            .collect();
        let settled: Vec<_> =
            rows.iter().map(|row| (*row, of_unit(&row.scheme, row.validity))).collect();

        let stretches = united(
            kept.iter()
                .map(|version| version.validity)
                .chain(settled.iter().map(|(_, validity)| *validity)),
        );
        // A code is not held beyond the unit's end, even if it comes back later.
        let within = |validity: Validity| {
            let begins = |stretch: &&Validity| match validity.from {
                Some(from) => stretch.contains(from),
                None => stretch.from.is_none(),
            };
            stretches
                .iter()
                .find(begins)
                .map_or(validity, |stretch| validity.intersection(*stretch))
        };
        let before = known.iter().filter_map(|(_, validity, held)| {
            let (scheme, value) = held.map(|held| (held.scheme.as_str(), held.value.as_str()))?;
            let validity = within(of_code(scheme, *validity));
            Some(Held { row: None, scheme, value: Some(value), validity })
        });
        let now = rows.iter().map(|row| {
            let (scheme, value) = (row.scheme.as_str(), row.value.as_deref());
            let validity = within(of_code(scheme, row.validity));
            Held { row: Some(*row), scheme, value, validity }
        });
        let held: Vec<Held<'a>> = before.chain(now).collect();
        let identifiers = joined(&held);
        Self { first_scheme, kept, rows: settled, held, identifiers }
    }
}

/// What is known of a unit as rows would say it: each of its versions, cut where a code begins or ends, once for each code
/// that it holds then. A stretch without any code stands there without one.
pub(crate) fn statements(
    history: &UnitHistory,
) -> impl Iterator<Item = (&Version, Validity, Option<&Identifier>)> {
    let held = &history.identifiers;
    let cuts: BTreeSet<NaiveDate> = held.iter().flat_map(|held| bounds(held.validity)).collect();
    history.versions.iter().flat_map(move |version| {
        pieces(version.validity, &cuts).into_iter().flat_map(move |piece| {
            let then = held.iter().filter(move |held| held.validity.overlaps(piece));
            let none = then.clone().next().is_none().then_some(None);
            then.map(Some).chain(none).map(move |held| (version, piece, held))
        })
    })
}

/// What a unit was before any of the rows that are about it.
pub(super) struct Before<'a> {
    history: &'a UnitHistory,
    first_scheme: &'a str,
    alone: (Vec<Version>, Vec<Identifier>),
}

impl<'a> Before<'a> {
    pub(super) fn of(history: &'a UnitHistory, first_scheme: &'a str) -> Self {
        let alone = Self::with(history, first_scheme, None);
        Self { history, first_scheme, alone }
    }

    fn with(
        history: &UnitHistory,
        first_scheme: &str,
        row: Option<(&Row, &Version)>,
    ) -> (Vec<Version>, Vec<Identifier>) {
        let (row, said) = row.unzip();
        let unit = Touched::by(Some(history), row.as_slice(), first_scheme);
        // The interval that the row has among all the others is not what it says by itself.
        let said = said.zip(unit.rows.first());
        let said =
            said.map(|(said, (_, validity))| Version { validity: *validity, ..said.clone() });
        (cut(unit.kept.iter().chain(&said)), unit.identifiers)
    }

    /// Whether a row, whose parent is found already, would change the unit if it were the only one.
    pub(super) fn changes_by(&self, row: &Row, said: &Version) -> bool {
        Self::with(self.history, self.first_scheme, Some((row, said))) != self.alone
    }
}

/// What a version says, beside when.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attributes<'a> {
    pub(super) display_name: &'a str,
    pub(super) kind: Kind,
    pub(super) level: Level,
    pub(super) parent: Option<UnitId>,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(version: &'a Version) -> Self {
        let Version { display_name, kind, level, parent, .. } = version;
        Self { display_name, kind: *kind, level: *level, parent: *parent }
    }
}

/// The versions that follow from what is said, in the order of time: one begins and ends wherever anything said does. Where
/// that contradicts itself it is left as it is.
pub(super) fn cut<'a>(said: impl Iterator<Item = &'a Version>) -> Vec<Version> {
    let said: Vec<&Version> = said.collect();
    let mut by_attributes: HashMap<Attributes<'_>, Vec<Validity>> = HashMap::new();
    for version in &said {
        by_attributes.entry(Attributes::of(version)).or_default().push(version.validity);
    }
    let mut stretches: Vec<(Validity, Attributes<'_>)> = by_attributes
        .into_iter()
        .flat_map(|(attributes, said)| {
            united(said.into_iter()).into_iter().map(move |stretch| (stretch, attributes))
        })
        .collect();
    stretches.sort_by_key(|(stretch, _)| stretch.from);
    let agrees = stretches.windows(2).all(|two| !two[0].0.overlaps(two[1].0));
    if !agrees {
        return said.into_iter().cloned().collect();
    }
    let bounds: BTreeSet<NaiveDate> =
        said.iter().flat_map(|version| bounds(version.validity)).collect();
    let versions = stretches.into_iter().flat_map(|(stretch, attributes)| {
        let Attributes { display_name, kind, level, parent } = attributes;
        pieces(stretch, &bounds).into_iter().map(move |validity| {
            let display_name = display_name.to_owned();
            Version { validity, display_name, kind, level, parent }
        })
    });
    versions.collect()
}

/// The days on which something that holds so long begins or is over, as far as they are known.
fn bounds(validity: Validity) -> impl Iterator<Item = NaiveDate> {
    [validity.from, validity.until].into_iter().flatten()
}

/// An interval, cut at all of `bounds` that lie in it.
fn pieces(whole: Validity, bounds: &BTreeSet<NaiveDate>) -> Vec<Validity> {
    use std::ops::Bound::{Excluded, Unbounded};
    let lower = whole.from.map_or(Unbounded, Excluded);
    let mut pieces = Vec::with_capacity(1);
    let mut from = whole.from;
    let cuts = bounds.range((lower, Unbounded)).copied();
    for cut in cuts.take_while(|cut| whole.until.is_none_or(|until| *cut < until)) {
        pieces.push(Validity { from, until: Some(cut) });
        from = Some(cut);
    }
    pieces.push(Validity { from, until: whole.until });
    pieces
}

/// The stretches of time that these make together, in order; what follows without a gap is one.
fn united(intervals: impl Iterator<Item = Validity>) -> Vec<Validity> {
    let mut intervals: Vec<Validity> = intervals.collect();
    intervals.sort_by_key(|interval| interval.from);
    let mut united: Vec<Validity> = Vec::with_capacity(1);
    for next in intervals {
        match united.last_mut() {
            Some(last) if last.until.is_none_or(|until| next.from <= Some(until)) => {
                last.until = last.until.zip(next.until).map(|(one, two)| one.max(two));
            }
            _ => united.push(next),
        }
    }
    united
}

/// Which first days and ends are stated of a unit.
#[derive(Default)]
struct Ends {
    firsts: BTreeSet<NaiveDate>,
    ends: BTreeSet<NaiveDate>,
}

impl Ends {
    fn add(&mut self, validity: Validity) {
        self.firsts.extend(validity.from);
        self.ends.extend(validity.until);
    }

    /// Where something ends that began on this day and knows of no end.
    fn after(&self, from: Option<NaiveDate>) -> Option<NaiveDate> {
        use std::ops::Bound::{Excluded, Unbounded};
        let lower = from.map_or(Unbounded, Excluded);
        let next = |days: &BTreeSet<NaiveDate>| days.range((lower, Unbounded)).next().copied();
        next(&self.firsts).into_iter().chain(next(&self.ends)).min()
    }
}

/// A code held over adjacent intervals is held over one.
fn joined(held: &[Held<'_>]) -> Vec<Identifier> {
    let mut of_code: BTreeMap<(&str, &str), Vec<Validity>> = BTreeMap::new();
    for held in held {
        let Some(value) = held.value else { continue };
        of_code.entry((held.scheme, value)).or_default().push(held.validity);
    }
    let joined = of_code.into_iter().flat_map(|((scheme, value), held)| {
        united(held.into_iter()).into_iter().map(move |validity| Identifier {
            scheme: scheme.to_owned(),
            value: value.to_owned(),
            validity,
        })
    });
    let mut joined: Vec<Identifier> = joined.collect();
    joined.sort_by(|one, two| {
        let key = |held: &Identifier| (held.validity.from, held.value.clone());
        one.scheme.cmp(&two.scheme).then_with(|| key(one).cmp(&key(two)))
    });
    joined
}
