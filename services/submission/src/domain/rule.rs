//! Rules of a form: expressions of CEL that are true where all is well.
//!
//! A rule is held against everything that a report may say when its form is published: it is bounded in size and depth, it
//! names indicators that there are and joins only what goes together, and it neither holds nor fails whatever is reported. What
//! remains of CEL is small on purpose: no loops, no maps, no text but choices. A report is then judged by the interpreter.

mod checker;
mod evidence;
mod range;

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, SourceInfo};
use cel::{Context, ExecutionError, Value};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use self::checker::Checker;
use self::evidence::Shown;
use self::range::{Range, range};
use super::finding::Severity;
use super::form::Indicator;

/// Bounds of one rule.
const MOST_BYTES: usize = 2000;
const MOST_NODES: usize = 200;
const MOST_LEVELS: usize = 16;
/// Links of a chain, a + b + c: the interpreter goes as deep as it is long.
const MOST_LINKS: usize = 24;
/// Brackets within brackets: the parser goes as deep as they do, before anything can be counted.
const MOST_BRACKETS: usize = 16;
/// Conditions within conditions are as deep, without brackets; of either the parser itself goes no deeper than this.
const MOST_RECURSION: u16 = 2 * MOST_BRACKETS as u16;
/// The parser goes through some ten functions for each bracket: more than the stack of a worker holds.
const PARSER_STACK: usize = 16 << 20;

/// A rule as its form states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// Within the form.
    pub key: String,
    /// In CEL.
    pub expression: String,
    /// How bad it is where it does not hold.
    #[serde(default = "error")]
    pub severity: Severity,
    /// What is wrong then, in Vietnamese.
    pub message: String,
    /// The same in English; may be empty.
    #[serde(default)]
    pub message_en: String,
    /// The table whose rows it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

fn error() -> Severity {
    Severity::Error
}

/// What is stated is asked of other names than what it is: of what is stated, but not exactly, only the one is known. No
/// expression can name them, for the blank.
const STATED: &str = "stated ";

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The report.
    This,
    /// The whole that it states with a part.
    Whole,
    /// The report for the period before.
    Previous,
    /// The reports for the periods of the year before this one, added up.
    Year,
}

impl Source {
    const ALL: [(&'static str, Self); 4] = [
        ("v", Self::This),
        ("whole", Self::Whole),
        ("previous", Self::Previous),
        ("year", Self::Year),
    ];

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(own, _)| *own == name).map(|(_, source)| source)
    }

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, source)| *source == self).map_or("", |(name, _)| name)
    }

    /// By what has() asks.
    fn stated(self) -> String {
        format!("{STATED}{}", self.name())
    }
}

/// What is stated exactly of an indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// A number of things, or an amount.
    Count(i64),
    /// A percentage.
    Percent(Decimal),
    /// One of the choices, or a text.
    Text(String),
}

/// What a rule is judged by.
pub trait Known {
    /// What is stated exactly, and once; none where it is missing.
    fn figure(&self, source: Source, indicator: &str) -> Option<Number>;
    /// Whether it is stated at all: exactly or not, once or more than once.
    fn states(&self, source: Source, indicator: &str) -> bool;
    /// What people call an indicator.
    fn label<'a>(&'a self, indicator: &'a str) -> &'a str;
}

/// What a rule says of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Holds,
    /// A figure that it needs is missing.
    NotJudged,
    /// It does not hold.
    Fails {
        /// The figures, as an official writes them.
        evidence: String,
    },
    /// There is no answer.
    Undefined(Undefined),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// It divides by zero.
    #[error("divides by zero")]
    DividesByZero,
    /// It is about more than 9,223,372,036,854,775,807 things.
    #[error("is about more than can be counted")]
    Overflows,
}

/// Why an expression is no rule, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} at character {place}")]
pub struct BadRule {
    /// Why.
    pub why: Why,
    /// The character of the expression, from 1.
    pub place: usize,
}

/// Why an expression is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is none.
    #[error("does not read: {0}")]
    Unreadable(String),
    /// It uses what rules cannot.
    #[error("uses {0}, which rules cannot")]
    NotForRules(String),
    /// It is longer than 2,000 bytes.
    #[error("is longer than {MOST_BYTES} bytes,")]
    TooLong,
    /// It has more than 200 nodes, or a chain of more than 24 links.
    #[error("has more than {MOST_NODES} parts, or a chain of more than {MOST_LINKS},")]
    TooMany,
    /// It is nested more than 16 levels deep.
    #[error("is nested more than {MOST_LEVELS} levels deep")]
    TooDeep,
    /// The form has no such indicator.
    #[error("names {0}, which is no indicator of the form,")]
    UnknownIndicator(String),
    /// It joins what does not go together.
    #[error("{0}")]
    WrongType(String),
    /// It is the same whatever a report says.
    #[error("is {0} whatever is reported")]
    Constant(bool),
    /// It divides by zero whatever a report says.
    #[error("divides by zero whatever is reported")]
    DividesByZero,
}

/// What a part of a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Bool,
    Int,
    Percent,
    Text,
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Bool => "a condition",
            Self::Int => "a number",
            Self::Percent => "a percentage",
            Self::Text => "a text",
        }
    }
}

/// A rule that can be judged.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As the form states it.
    pub text: RuleText,
    expression: IdedExpr,
    /// The figures that it names, each where it does so first.
    references: Vec<(Source, String)>,
    /// Those of them that it asks for by has().
    asks: Vec<(Source, String)>,
}

/// The indicators of a form, by their keys.
type Indicators<'a> = dyn Fn(&str) -> Option<&'a Indicator> + 'a;

impl Rule {
    /// Reads a rule of a form that has these indicators.
    ///
    /// Errors: the first thing that is wrong, with its place.
    pub fn compile(text: &RuleText, indicator: &Indicators<'_>) -> Result<Self, BadRule> {
        let source = text.expression.as_str();
        bounded(source)?;
        let (mut expression, places) = parsed(source)?;
        let (references, asks) = (Vec::new(), Vec::new());
        let mut checker =
            Checker { source, places: &places, indicator, references, asks, nodes: 0, links: 0 };
        let is = checker.typed(&expression, 1)?;
        if is != Type::Bool {
            let why = Why::WrongType(format!("is {} and not true or false,", is.word()));
            return Err(checker.bad(&expression, why));
        }
        match range(&expression, indicator) {
            Ok(Range::Bool(Some(always))) => {
                return Err(checker.bad(&expression, Why::Constant(always)));
            }
            Ok(_) => {}
            Err(at) => {
                let place = place_of(source, &places, at);
                return Err(BadRule { why: Why::DividesByZero, place });
            }
        }
        let Checker { references, asks, .. } = checker;
        make_ready(&mut expression);
        Ok(Self { text: text.clone(), expression, references, asks })
    }

    /// The first indicator that it names: for each of its figures the rule is judged.
    pub fn anchor(&self) -> &str {
        let own = self.references.iter().find(|(source, _)| *source == Source::This);
        own.or_else(|| self.references.first()).map_or("", |(_, indicator)| indicator)
    }

    /// The indicators that it names, each once.
    pub fn indicators(&self) -> BTreeSet<&str> {
        self.references.iter().map(|(_, indicator)| indicator.as_str()).collect()
    }

    /// Whether it needs figures of one of these sources.
    pub fn needs(&self, source: Source) -> bool {
        self.references.iter().any(|(own, _)| *own == source)
    }

    /// What it says of what is known.
    pub fn judge(&self, known: &dyn Known) -> Judgement {
        let context = self.context(known);
        match context.resolve(&self.expression) {
            Ok(Value::Bool(true)) => Judgement::Holds,
            Ok(Value::Bool(false)) => {
                let shown = Shown { known, context: &context };
                Judgement::Fails { evidence: shown.failing(&self.expression) }
            }
            Err(ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_)) => {
                Judgement::Undefined(Undefined::DividesByZero)
            }
            Err(ExecutionError::Overflow(..) | ExecutionError::FunctionError { .. }) => {
                Judgement::Undefined(Undefined::Overflows)
            }
            // A figure is not there. Nothing else is left: what the rule joins was checked.
            Ok(_) | Err(_) => Judgement::NotJudged,
        }
    }

    /// What is stated of what it names.
    fn context<'a>(&self, known: &dyn Known) -> Context<'a, 'static> {
        let mut of_name = HashMap::<String, HashMap<String, Value>>::new();
        for (source, indicator) in &self.references {
            let Some(number) = known.figure(*source, indicator) else { continue };
            let value = match number {
                Number::Count(count) => Value::Int(count),
                // Of at most six digits before the point and four after it: what is as large is the same number.
                Number::Percent(percent) => Value::Float(percent.to_f64().unwrap_or(f64::NAN)),
                Number::Text(text) => Value::from(text),
            };
            of_name.entry(source.name().to_owned()).or_default().insert(indicator.clone(), value);
        }
        for (source, indicator) in &self.asks {
            let stated = of_name.entry(source.stated()).or_default();
            if known.states(*source, indicator) {
                stated.insert(indicator.clone(), Value::Bool(true));
            }
        }
        let mut context = functions();
        for (name, values) in of_name {
            context.add_variable_from_value(name, values);
        }
        context
    }
}

/// A part of a rule that was checked, as it is judged: texts in the one encoding that those of reports have.
fn make_ready(at: &mut IdedExpr) {
    match &mut at.expr {
        Expr::Literal(LiteralValue::String(text)) => *text = normal(text.inner()).into(),
        Expr::Select(select) if select.test => {
            if let Expr::Ident(name) = &mut select.operand.expr {
                name.insert_str(0, STATED);
            }
        }
        Expr::Call(call) => call.args.iter_mut().for_each(make_ready),
        Expr::List(list) => list.elements.iter_mut().for_each(make_ready),
        _ => {}
    }
}

fn normal(text: &str) -> String {
    text.nfc().collect()
}

/// What rules can call, beside the operators.
fn functions() -> Context<'static, 'static> {
    static ENV: LazyLock<std::sync::Arc<cel::Env>> =
        LazyLock::new(|| std::sync::Arc::new(cel::Env::stdlib()));
    let mut context = Context::with_env(ENV.clone());
    // None of these names is of the standard library, so none is refused.
    let _ = context.add_function("abs", |n: i64| n.saturating_abs());
    let _ = context.add_function("min", |one: i64, two: i64| one.min(two));
    let _ = context.add_function("max", |one: i64, two: i64| one.max(two));
    context
}

/// Refuses what the parser would take too long or go too deep for. Where texts end has to be plain for that: what makes it
/// less so, no rule needs.
fn bounded(source: &str) -> Result<(), BadRule> {
    if source.len() > MOST_BYTES {
        return Err(BadRule { why: Why::TooLong, place: 1 });
    }
    let characters: Vec<char> = source.chars().collect();
    let (mut brackets, mut text) = (Vec::new(), None);
    for (at, character) in characters.iter().copied().enumerate() {
        let bad = |why: Why| Err(BadRule { why, place: at + 1 });
        let not_for_rules = |what: &str| bad(Why::NotForRules(what.to_owned()));
        if character == '\\' {
            return not_for_rules("a backslash");
        }
        if let Some((end, begin)) = text {
            if character == '\n' || character == '\r' {
                return Err(unreadable("a text has no end in its line", begin));
            }
            text = text.filter(|_| character != end);
            continue;
        }
        let follows = |what: &[char]| characters[at + 1..].starts_with(what);
        match character {
            '"' | '\'' if follows(&[character, character]) => {
                return not_for_rules("a text in three quotes");
            }
            '"' | '\'' if at > 0 && characters[at - 1].is_alphanumeric() => {
                return not_for_rules("a text with a letter before it");
            }
            '"' | '\'' => text = Some((character, at + 1)),
            '/' if follows(&['/']) => return not_for_rules("a comment"),
            '{' | '}' => return not_for_rules("a map"),
            '(' | '[' if brackets.len() == MOST_BRACKETS => return bad(Why::TooDeep),
            '(' => brackets.push(')'),
            '[' => brackets.push(']'),
            ')' | ']' if brackets.pop() != Some(character) => {
                return Err(unreadable("a bracket closes none", at + 1));
            }
            _ => {}
        }
    }
    text.map_or(Ok(()), |(_, begin)| Err(unreadable("a text has no end", begin)))
}

fn unreadable(says: impl Into<String>, place: usize) -> BadRule {
    BadRule { why: Why::Unreadable(says.into()), place }
}

/// Reads an expression whose size is bounded.
fn parsed(source: &str) -> Result<(IdedExpr, SourceInfo), BadRule> {
    let parser = || cel::parser::Parser::default().max_recursion_depth(MOST_RECURSION);
    let read = std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(PARSER_STACK);
        let read = || parser().parse_with_source_info(source);
        let reader = reader.spawn_scoped(scope, read).map_err(|error| error.to_string())?;
        reader.join().map_err(|_| "the parser gave up".to_owned())
    });
    read.map_err(|says| unreadable(says, 1))?.map_err(|errors| {
        let Some(first) = errors.errors.first() else { return unreadable("", 1) };
        let place = place_in(source, first.pos);
        // It has no other word for its own limit.
        if first.msg.contains("Recursion limit") {
            return BadRule { why: Why::TooDeep, place };
        }
        unreadable(first.msg.clone(), place)
    })
}

/// The character at a line and a column, both from 1.
fn place_in(source: &str, (line, column): (isize, isize)) -> usize {
    let count = |number: isize| usize::try_from(number).unwrap_or(0);
    let before = source.split('\n').take(count(line - 1)).map(|line| line.chars().count() + 1);
    (before.sum::<usize>() + count(column)).clamp(1, source.chars().count() + 1)
}

/// The character at which a part begins, from 1.
fn place_of(source: &str, places: &SourceInfo, id: u64) -> usize {
    let offset = places.offset_for(id).map_or(0, |(start, _)| start as usize);
    source.char_indices().take_while(|(at, _)| *at < offset).count() + 1
}

#[cfg(test)]
mod tests;
