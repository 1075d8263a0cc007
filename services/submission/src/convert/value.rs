//! pb ⇄ domain: figures.

use std::collections::HashSet;

use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::r#type::Decimal;
use dunghan_rpc::field;

use super::finding::discrepancy_of;
use super::{date, limit, no_nul};
use crate::domain::value::{
    self, Figure, Key, NotAPercent, Percent, Qualifier, Ratio, Role, Value,
};
use crate::error::Problems;

const MOST_VALUES: usize = 2000;
const MOST_QUOTE_BYTES: usize = 2000;
const MOST_TEXT_BYTES: usize = 4000;
const MOST_CATEGORY_CHARS: usize = 200;

pub(super) fn values(values: Vec<pb::Value>, problems: &mut Problems) -> Vec<Value> {
    if values.len() > MOST_VALUES {
        let says = format!("must not be more than {MOST_VALUES}");
        problems.add("report.values", ErrorReason::TooLong, says);
        return Vec::new();
    }
    let mut seen = HashSet::with_capacity(values.len());
    let mut read = Vec::with_capacity(values.len());
    for (at, pb) in values.into_iter().enumerate() {
        let Some(value) = value(&format!("report.values[{at}]"), pb, problems) else { continue };
        if !seen.insert(value.key.clone()) {
            let says = "has the indicator, category, role and dates of another figure";
            problems.add(format!("report.values[{at}]"), ErrorReason::DuplicateValue, says);
        }
        read.push(value);
    }
    read
}

/// `None` where something was wrong with it.
fn value(field: &str, pb: pb::Value, problems: &mut Problems) -> Option<Value> {
    let within = |part: &str| format!("{field}.{part}");
    if pb.indicator.is_empty() {
        problems.add(within("indicator"), Common::RequiredFieldMissing, "is missing");
    }
    let category = value::category(&pb.category);
    if category.chars().count() > MOST_CATEGORY_CHARS {
        let says = format!("must not be longer than {MOST_CATEGORY_CHARS} characters");
        problems.add(within("category"), ErrorReason::TooLong, says);
    }
    no_nul(problems, within("indicator"), &pb.indicator);
    no_nul(problems, within("category"), &category);
    limit(problems, within("quote"), &pb.quote, MOST_QUOTE_BYTES);
    let start = date(problems, within("start_date"), pb.start_date.as_ref());
    let end = date(problems, within("end_date"), pb.end_date.as_ref());
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        let says = "must not lie before start_date";
        problems.add(within("end_date"), ErrorReason::DatesReversed, says);
    }
    let role = match pb::value::Role::try_from(pb.role) {
        Ok(pb::value::Role::Unspecified | pb::value::Role::Actual) => Role::Actual,
        Ok(pb::value::Role::Target) => Role::Target,
        Ok(pb::value::Role::Context) => Role::Context,
        Err(_) => {
            problems.add(within("role"), Common::InvalidField, "is no role");
            Role::Actual
        }
    };
    let qualifier = match pb::value::Qualifier::try_from(pb.qualifier) {
        Ok(pb::value::Qualifier::Unspecified) => Qualifier::Exact,
        Ok(pb::value::Qualifier::MoreThan) => Qualifier::MoreThan,
        Ok(pb::value::Qualifier::About) => Qualifier::About,
        Ok(pb::value::Qualifier::AboutMoreThan) => Qualifier::AboutMoreThan,
        Err(_) => {
            problems.add(within("qualifier"), Common::InvalidField, "is no qualifier");
            Qualifier::Exact
        }
    };
    let figure = figure(field, pb.figure, problems);
    let stated = pb.stated_percent.as_ref();
    let mut stated_percent =
        stated.and_then(|stated| percent(problems, within("stated_percent"), stated));
    if let (Some(figure), Some(stated)) = (&figure, stated_percent) {
        let beside = match figure {
            Figure::Count(_) | Figure::Ratio(_) | Figure::Money(_) => Ok(Some(stated)),
            Figure::Percent(figure) if *figure == stated => Ok(None),
            Figure::Percent(_) => Err("is another percentage than the figure itself"),
            Figure::Text(_) | Figure::Choice(_) => Err("stands beside what is no number"),
        };
        stated_percent = beside.unwrap_or_else(|says| {
            problems.add(within("stated_percent"), ErrorReason::InvalidValue, says);
            None
        });
    }
    let (figure, quote) = (figure?, pb.quote);
    let key = Key { indicator: pb.indicator, category, role, start, end };
    Some(Value { key, figure, qualifier, stated_percent, quote, discrepancy: None })
}

fn figure(
    field: &str,
    figure: Option<pb::value::Figure>,
    problems: &mut Problems,
) -> Option<Figure> {
    match figure {
        None => {
            problems.add(field, ErrorReason::InvalidValue, "carries no figure");
            None
        }
        Some(pb::value::Figure::Count(n)) => {
            count(problems, format!("{field}.count"), n).map(Figure::Count)
        }
        Some(pb::value::Figure::Ratio(ratio)) => {
            let part = count(problems, format!("{field}.ratio.numerator"), ratio.numerator);
            let whole = count(problems, format!("{field}.ratio.denominator"), ratio.denominator);
            let ratio = Ratio::new(part?, whole?);
            if ratio.is_none() {
                let says = "must not be greater than the denominator";
                problems.add(
                    format!("{field}.ratio.numerator"),
                    ErrorReason::PartExceedsWhole,
                    says,
                );
            }
            ratio.map(Figure::Ratio)
        }
        Some(pb::value::Figure::Percent(stated)) => {
            percent(problems, format!("{field}.percent"), &stated).map(Figure::Percent)
        }
        Some(pb::value::Figure::Money(amount)) => {
            count(problems, format!("{field}.money"), amount).map(Figure::Money)
        }
        Some(pb::value::Figure::Text(text)) => {
            let field = format!("{field}.text");
            limit(problems, field.clone(), &text, MOST_TEXT_BYTES);
            said(problems, field, text).map(Figure::Text)
        }
        Some(pb::value::Figure::Choice(choice)) => {
            let field = format!("{field}.choice");
            let choice = value::category(&choice);
            if choice.chars().count() > MOST_CATEGORY_CHARS {
                let says = format!("must not be longer than {MOST_CATEGORY_CHARS} characters");
                problems.add(field.clone(), ErrorReason::TooLong, says);
            }
            no_nul(problems, field.clone(), &choice);
            said(problems, field, choice).map(Figure::Choice)
        }
    }
}

/// A text that says something.
fn said(problems: &mut Problems, field: String, text: String) -> Option<String> {
    if text.trim().is_empty() {
        problems.add(field, ErrorReason::InvalidValue, "says nothing");
        return None;
    }
    Some(text)
}

fn count(problems: &mut Problems, field: String, n: i64) -> Option<u64> {
    let count = u64::try_from(n).ok();
    if count.is_none() {
        problems.add(field, ErrorReason::NegativeCount, "must not be negative");
    }
    count
}

fn percent(problems: &mut Problems, field: String, stated: &Decimal) -> Option<Percent> {
    match stated.value.parse() {
        Ok(percent) => Some(percent),
        Err(error) => {
            let reason = match error {
                NotAPercent::NotANumber => ErrorReason::NotANumber,
                NotAPercent::Negative => ErrorReason::NegativeCount,
            };
            problems.add(field, reason, error);
            None
        }
    }
}

fn decimal(percent: Percent) -> Decimal {
    field::pb_decimal(percent.decimal())
}

pub(super) fn value_of(value: &Value) -> pb::Value {
    let figure = match &value.figure {
        Figure::Count(count) => pb::value::Figure::Count(count.cast_signed()),
        Figure::Ratio(ratio) => pb::value::Figure::Ratio(pb::Ratio {
            numerator: ratio.part().cast_signed(),
            denominator: ratio.whole().cast_signed(),
        }),
        Figure::Percent(percent) => pb::value::Figure::Percent(decimal(*percent)),
        Figure::Money(amount) => pb::value::Figure::Money(amount.cast_signed()),
        Figure::Text(text) => pb::value::Figure::Text(text.clone()),
        Figure::Choice(choice) => pb::value::Figure::Choice(choice.clone()),
    };
    let role = match value.key.role {
        Role::Actual => pb::value::Role::Actual,
        Role::Target => pb::value::Role::Target,
        Role::Context => pb::value::Role::Context,
    };
    let qualifier = match value.qualifier {
        Qualifier::Exact => pb::value::Qualifier::Unspecified,
        Qualifier::MoreThan => pb::value::Qualifier::MoreThan,
        Qualifier::About => pb::value::Qualifier::About,
        Qualifier::AboutMoreThan => pb::value::Qualifier::AboutMoreThan,
    };
    pb::Value {
        indicator: value.key.indicator.clone(),
        category: value.key.category.clone(),
        role: role.into(),
        start_date: value.key.start.map(field::pb_date),
        end_date: value.key.end.map(field::pb_date),
        figure: Some(figure),
        qualifier: qualifier.into(),
        stated_percent: value.stated_percent.map(decimal),
        quote: value.quote.clone(),
        discrepancy: discrepancy_of(value.discrepancy).into(),
    }
}
