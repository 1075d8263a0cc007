//! Why a rule does not hold, in the figures of a report, as an official would write it.

use cel::common::ast::{Expr, IdedExpr, operators};
use cel::{Context, Value};

use super::{Known, STATED, Source};
use crate::domain::wording;

/// A rule that does not hold, in figures.
pub(super) struct Shown<'a> {
    pub(super) known: &'a dyn Known,
    pub(super) context: &'a Context<'a, 'static>,
}

impl Shown<'_> {
    fn holds(&self, at: &IdedExpr) -> Option<bool> {
        match self.context.resolve(at) {
            Ok(Value::Bool(holds)) => Some(holds),
            _ => None,
        }
    }

    /// Why a condition does not hold.
    pub(super) fn failing(&self, at: &IdedExpr) -> String {
        self.told(at, false)
    }

    /// What makes a condition true or false.
    fn told(&self, at: &IdedExpr, is: bool) -> String {
        use operators as op;
        let call = match &at.expr {
            Expr::Select(select) => {
                let says = if is { "có số liệu" } else { "không có số liệu" };
                return format!("{}: {says}", self.label(&select.operand, &select.field));
            }
            Expr::Call(call) => call,
            _ => return String::new(),
        };
        let args = call.args.as_slice();
        match (call.func_name.as_str(), args) {
            (op::LOGICAL_NOT, [one]) => self.told(one, !is),
            (op::LOGICAL_AND | op::LOGICAL_OR, _) => {
                // Of a conjunction that fails what fails, and of one that holds all of it; the other way round of a disjunction.
                let parts = args.iter().filter(|part| self.holds(part) == Some(is));
                let parts: Vec<_> = parts.map(|part| self.told(part, is)).collect();
                parts.join("; ")
            }
            (op::CONDITIONAL, [condition, one, two]) => {
                let chosen = self.holds(condition) == Some(true);
                let why = self.told(condition, chosen);
                format!("{why}; {}", self.told(if chosen { one } else { two }, is))
            }
            (op::IN, [what, list]) => {
                let elements = match &list.expr {
                    Expr::List(list) => list.elements.iter().map(|one| self.side(one)).collect(),
                    _ => Vec::new(),
                };
                let says =
                    if is { "thuộc các giá trị" } else { "không thuộc các giá trị" };
                format!("{} {says}: {}", self.side(what), elements.join(", "))
            }
            (name, [one, two]) => {
                format!("{} {} {}", self.side(one), sign(name, is), self.side(two))
            }
            _ => String::new(),
        }
    }

    fn label(&self, operand: &IdedExpr, indicator: &str) -> String {
        let label = self.known.label(indicator);
        match &operand.expr {
            Expr::Ident(name) => match Source::of(name.trim_start_matches(STATED)) {
                Some(Source::Whole) => format!("mẫu số của “{label}”"),
                Some(Source::Previous) => format!("“{label}” kỳ trước"),
                Some(Source::Year) => format!("“{label}” lũy kế các kỳ trước trong năm"),
                _ => format!("“{label}”"),
            },
            _ => format!("“{label}”"),
        }
    }

    /// One side of a comparison: a number alone, or how it comes about, and what it comes to.
    fn side(&self, at: &IdedExpr) -> String {
        let result = self.number(at);
        match &at.expr {
            Expr::Call(call) if binding(&call.func_name).is_some() => {
                format!("{} = {result}", self.terms(at, 0))
            }
            _ => result,
        }
    }

    /// A calculation with its numbers; in brackets where what is around it binds as strongly.
    fn terms(&self, at: &IdedExpr, around: u8) -> String {
        let (text, binds) = self.calculated(at).unwrap_or_else(|| (self.number(at), u8::MAX));
        let binds = if text.starts_with(MINUS) { binds.min(SUM) } else { binds };
        if binds <= around { format!("({text})") } else { text }
    }

    /// Where it is a calculation, with how strongly it binds.
    fn calculated(&self, at: &IdedExpr) -> Option<(String, u8)> {
        let Expr::Call(call) = &at.expr else { return None };
        let [one, two] = call.args.as_slice() else { return None };
        let (sign, binds) = binding(&call.func_name)?;
        let text = if call.func_name == operators::MODULO {
            let (one, two) = (self.terms(one, PRODUCT), self.terms(two, PRODUCT));
            format!("số dư của phép chia {one} cho {two}")
        } else {
            format!("{} {sign} {}", self.terms(one, binds - 1), self.terms(two, binds))
        };
        Some((text, binds))
    }

    fn number(&self, at: &IdedExpr) -> String {
        match self.context.resolve(at) {
            // With the sign that calculations have.
            Ok(Value::Int(number)) => wording::number(number).replace('-', MINUS),
            Ok(Value::Float(number)) => {
                // In its shortest writing, which is the one of whoever stated it, however large or small.
                format!("{number} %").replace('.', ",").replace('-', MINUS)
            }
            Ok(Value::String(text)) => format!("“{text}”"),
            _ => String::new(),
        }
    }
}

const MINUS: &str = "−";
/// How strongly a calculation binds: words bind less than any sign.
const WORDS: u8 = 1;
const SUM: u8 = 2;
const PRODUCT: u8 = 3;

/// The sign of a calculation, and how strongly it binds.
fn binding(operator: &str) -> Option<(&'static str, u8)> {
    use operators as op;
    Some(match operator {
        op::ADD => ("+", SUM),
        op::SUBSTRACT => (MINUS, SUM),
        op::MULTIPLY => ("×", PRODUCT),
        op::DIVIDE => (":", PRODUCT),
        op::MODULO => ("", WORDS),
        _ => return None,
    })
}

/// The sign of a comparison that holds, or of what is so where it does not.
fn sign(operator: &str, holds: bool) -> &'static str {
    use operators as op;
    match (operator, holds) {
        (op::EQUALS, true) | (op::NOT_EQUALS, false) => "=",
        (op::EQUALS, false) | (op::NOT_EQUALS, true) => "≠",
        (op::LESS, true) | (op::GREATER_EQUALS, false) => "<",
        (op::LESS, false) | (op::GREATER_EQUALS, true) => "≥",
        (op::GREATER, true) | (op::LESS_EQUALS, false) => ">",
        _ => "≤",
    }
}
