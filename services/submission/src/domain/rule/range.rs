//! What a rule can be, whatever is reported: one that always holds, or never, is a mistake.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::Indicators;
use crate::domain::form::Kind;
use crate::domain::value::MOST_DECIMALS;

/// What a part of a rule can be, whatever is reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Range {
    /// Always so, or either.
    Bool(Option<bool>),
    /// From the one to the other, both included; percentages in millionths, rounded outwards.
    Number(i128, i128),
    /// A choice.
    Text,
}

/// The largest percentage that can be stated.
const MOST_PERCENT: i128 = 1_000_000;
/// As large as a number of a report can be.
const MOST: i128 = i64::MAX as i128;
const MICRO: i128 = 1_000_000;

/// What a part of a rule can be where figures are of these indicators.
///
/// Errors: the part that divides by zero, whatever is reported.
pub(super) fn range(at: &IdedExpr, indicator: &Indicators<'_>) -> Result<Range, u64> {
    use operators as op;
    let call = match &at.expr {
        Expr::Literal(literal) => return Ok(literal_range(literal)),
        Expr::Select(select) if select.test => return Ok(Range::Bool(None)),
        Expr::Select(select) => {
            let own = matches!(&select.operand.expr, Expr::Ident(name) if name != "whole");
            return Ok(match indicator(&select.field).map(|one| one.kind) {
                Some(Kind::Choice | Kind::Text) if own => Range::Text,
                Some(Kind::Percent) if own => Range::Number(0, MOST_PERCENT * MICRO),
                _ => Range::Number(0, MOST * MICRO),
            });
        }
        Expr::Call(call) => call,
        _ => return Ok(Range::Text),
    };
    let parts: Vec<_> =
        call.args.iter().map(|arg| range(arg, indicator)).collect::<Result<_, _>>()?;
    let same = matches!(call.args.as_slice(), [one, two] if alike(one, two));
    let bool_of = |at: usize| match parts.get(at) {
        Some(Range::Bool(known)) => *known,
        _ => None,
    };
    Ok(match (call.func_name.as_str(), parts.as_slice()) {
        (op::LOGICAL_NOT, _) => Range::Bool(bool_of(0).map(|known| !known)),
        (op::LOGICAL_AND, _) => Range::Bool(match (bool_of(0), bool_of(1)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }),
        (op::LOGICAL_OR, _) => Range::Bool(match (bool_of(0), bool_of(1)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }),
        (op::CONDITIONAL, [condition, one, two]) => match condition {
            Range::Bool(Some(true)) => *one,
            Range::Bool(Some(false)) => *two,
            _ => either(*one, *two),
        },
        (op::EQUALS | op::GREATER_EQUALS | op::LESS_EQUALS, _) if same => Range::Bool(Some(true)),
        (op::NOT_EQUALS | op::GREATER | op::LESS, _) if same => Range::Bool(Some(false)),
        (op::EQUALS, _) if is_never_stated(&call.args) => Range::Bool(Some(false)),
        (op::NOT_EQUALS, _) if is_never_stated(&call.args) => Range::Bool(Some(true)),
        (name, [Range::Number(a, b), Range::Number(c, d)]) => {
            let (a, b, c, d) = (*a, *b, *c, *d);
            match name {
                op::EQUALS => Range::Bool(if b < c || d < a {
                    Some(false)
                } else {
                    (a == b && c == d && a == c).then_some(true)
                }),
                op::NOT_EQUALS => Range::Bool(if b < c || d < a {
                    Some(true)
                } else {
                    (a == b && c == d && a == c).then_some(false)
                }),
                op::LESS => Range::Bool(less(a, b, c, d)),
                op::GREATER => Range::Bool(less(c, d, a, b)),
                op::LESS_EQUALS => Range::Bool(less(c, d, a, b).map(|known| !known)),
                op::GREATER_EQUALS => Range::Bool(less(a, b, c, d).map(|known| !known)),
                op::ADD => clamped(a.saturating_add(c), b.saturating_add(d)),
                op::SUBSTRACT => clamped(a.saturating_sub(d), b.saturating_sub(c)),
                op::MULTIPLY => {
                    let corners = [(a, c), (a, d), (b, c), (b, d)]
                        .map(|(one, two)| (one / MICRO).saturating_mul(two));
                    spanned(&corners)
                }
                op::DIVIDE | op::MODULO if c == 0 && d == 0 => return Err(at.id),
                op::DIVIDE if c > 0 => {
                    let corners =
                        [(a, c), (a, d), (b, c), (b, d)].map(|(one, two)| one / two * MICRO);
                    spanned(&corners)
                }
                "min" => Range::Number(a.min(c), b.min(d)),
                "max" => Range::Number(a.max(c), b.max(d)),
                // The rest of a division, and by what may be zero.
                _ => Range::Number(-MOST * MICRO, MOST * MICRO),
            }
        }
        (op::NEGATE, [Range::Number(a, b)]) => Range::Number(-b, -a),
        ("abs", [Range::Number(a, b)]) => {
            let least = if *a <= 0 && 0 <= *b { 0 } else { a.abs().min(b.abs()) };
            Range::Number(least, a.abs().max(b.abs()))
        }
        (op::IN, [what, ..]) => Range::Bool(is_among(*what, call.args.get(1))),
        _ => Range::Bool(None),
    })
}

/// Whether a part that can be that is one of a list of constants; none where it can be either.
fn is_among(what: Range, list: Option<&IdedExpr>) -> Option<bool> {
    let Some(Expr::List(list)) = list.map(|list| &list.expr) else { return None };
    let equal = |element: &IdedExpr| match (what, &element.expr) {
        (Range::Number(a, b), Expr::Literal(literal)) => match literal_range(literal) {
            Range::Number(c, _) if c < a || b < c => Some(false),
            Range::Number(c, _) => (a == b && a == c).then_some(true),
            _ => None,
        },
        _ => None,
    };
    let all: Vec<_> = list.elements.iter().map(equal).collect();
    if all.contains(&Some(true)) {
        Some(true)
    } else {
        all.iter().all(|one| *one == Some(false)).then_some(false)
    }
}

/// Whether a percentage is held against one with more decimals than can be stated.
fn is_never_stated(args: &[IdedExpr]) -> bool {
    let [one, two] = args else { return false };
    [(one, two), (two, one)].into_iter().any(|(figure, constant)| {
        let Expr::Literal(LiteralValue::Double(number)) = &constant.expr else { return false };
        let digits = number.inner().to_string();
        let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        matches!(figure.expr, Expr::Select(_)) && decimals > MOST_DECIMALS as usize
    })
}

/// Whether two parts read the same.
fn alike(one: &IdedExpr, two: &IdedExpr) -> bool {
    match (&one.expr, &two.expr) {
        (Expr::Select(one), Expr::Select(two)) => {
            (&one.field, one.test) == (&two.field, two.test) && alike(&one.operand, &two.operand)
        }
        (Expr::Call(one), Expr::Call(two)) => {
            one.func_name == two.func_name
                && one.args.len() == two.args.len()
                && one.args.iter().zip(&two.args).all(|(one, two)| alike(one, two))
        }
        (one, two) => one == two,
    }
}

fn literal_range(literal: &LiteralValue) -> Range {
    match literal {
        LiteralValue::Boolean(known) => Range::Bool(Some(*known.inner())),
        LiteralValue::Int(number) => {
            let number = i128::from(*number.inner()) * MICRO;
            Range::Number(number, number)
        }
        LiteralValue::Double(number) => {
            // However large or small: what is no millionth lies between two.
            let millionths = *number.inner() * MICRO as f64;
            let bounded = |number: f64| (number as i128).clamp(-i128::MAX / 2, i128::MAX / 2);
            Range::Number(bounded(millionths.floor()), bounded(millionths.ceil()))
        }
        _ => Range::Text,
    }
}

/// Whether every number from the first two is less than every one from the others; none where some are.
fn less(a: i128, b: i128, c: i128, d: i128) -> Option<bool> {
    if b < c { Some(true) } else { (a >= d).then_some(false) }
}

fn clamped(least: i128, most: i128) -> Range {
    Range::Number(least.max(-MOST * MICRO), most.min(MOST * MICRO))
}

fn spanned(corners: &[i128]) -> Range {
    let least = corners.iter().min().copied().unwrap_or(0);
    let most = corners.iter().max().copied().unwrap_or(0);
    clamped(least, most)
}

fn either(one: Range, two: Range) -> Range {
    match (one, two) {
        (Range::Number(a, b), Range::Number(c, d)) => Range::Number(a.min(c), b.max(d)),
        (Range::Bool(one), Range::Bool(two)) => Range::Bool(one.filter(|_| one == two)),
        _ => Range::Text,
    }
}
