//! Rules of a form: expressions of CEL that are true where all is well.
//!
//! A rule is held against everything that a report may say when its form is published: it is bounded in size and depth, it
//! names indicators that there are and joins only what goes together, and it neither holds nor fails whatever is reported. What
//! remains of CEL is small on purpose: no loops, no maps, no text but choices. A report is then judged by the interpreter.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::{Context, ExecutionError, Value};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use super::finding::Severity;
use super::form::{Indicator, Kind};
use super::value::MOST_DECIMALS;
use super::wording;

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
/// The largest percentage that can be stated.
const MOST_PERCENT: i128 = 1_000_000;

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

/// Goes through an expression once: what it is made of, and whether it goes together.
struct Checker<'a, 'f> {
    source: &'a str,
    places: &'a SourceInfo,
    indicator: &'a Indicators<'f>,
    references: Vec<(Source, String)>,
    asks: Vec<(Source, String)>,
    nodes: usize,
    links: usize,
}

impl Checker<'_, '_> {
    fn bad(&self, at: &IdedExpr, why: Why) -> BadRule {
        // A figure stands at the point before its indicator; it begins before that.
        let begins = match &at.expr {
            Expr::Select(select) => select.operand.id,
            _ => at.id,
        };
        BadRule { why, place: place_of(self.source, self.places, begins) }
    }

    fn wrong(&self, at: &IdedExpr, says: impl Into<String>) -> BadRule {
        self.bad(at, Why::WrongType(says.into()))
    }

    fn not_for_rules(&self, at: &IdedExpr, what: impl Into<String>) -> BadRule {
        self.bad(at, Why::NotForRules(what.into()))
    }

    fn typed(&mut self, at: &IdedExpr, level: usize) -> Result<Type, BadRule> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.bad(at, Why::TooMany));
        }
        if level > MOST_LEVELS {
            return Err(self.bad(at, Why::TooDeep));
        }
        match &at.expr {
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Select(select) => self.selected(at, &select.operand, &select.field, select.test),
            Expr::Call(call) => self.called(at, call, level),
            Expr::Ident(name) => {
                let what = format!(
                    "{name:?} alone: a figure is v.KEY, previous.KEY, year.KEY or whole.KEY"
                );
                Err(self.not_for_rules(at, what))
            }
            Expr::Comprehension(_) => Err(self.not_for_rules(at, "a loop")),
            Expr::List(_) => Err(self.not_for_rules(at, "a list but after in")),
            Expr::Map(_) | Expr::Struct(_) => Err(self.not_for_rules(at, "a map")),
            Expr::Unspecified => Err(self.not_for_rules(at, "nothing")),
        }
    }

    fn literal(&self, at: &IdedExpr, literal: &LiteralValue) -> Result<Type, BadRule> {
        match literal {
            LiteralValue::Boolean(_) => Ok(Type::Bool),
            LiteralValue::Int(_) => Ok(Type::Int),
            LiteralValue::Double(_) => Ok(Type::Percent),
            LiteralValue::String(_) => Ok(Type::Text),
            LiteralValue::UInt(_) => Err(self.not_for_rules(at, "a number with u")),
            LiteralValue::Bytes(_) => Err(self.not_for_rules(at, "bytes")),
            LiteralValue::Null => Err(self.not_for_rules(at, "null")),
        }
    }

    fn selected(
        &mut self,
        at: &IdedExpr,
        operand: &IdedExpr,
        indicator: &str,
        test: bool,
    ) -> Result<Type, BadRule> {
        let source = match &operand.expr {
            Expr::Ident(name) => Source::of(name),
            _ => None,
        };
        let Some(source) = source else {
            let what = "a field of something else than v, previous, year and whole";
            return Err(self.not_for_rules(at, what));
        };
        let Some(kind) = (self.indicator)(indicator).map(|one| one.kind) else {
            return Err(self.bad(at, Why::UnknownIndicator(indicator.to_owned())));
        };
        let note = |list: &mut Vec<(Source, String)>| {
            if !list.iter().any(|(of, key)| *of == source && key == indicator) {
                list.push((source, indicator.to_owned()));
            }
        };
        note(&mut self.references);
        if test {
            note(&mut self.asks);
        }
        let has_whole = matches!(kind, Kind::Count | Kind::Stock | Kind::Ratio | Kind::Percent);
        let adds_up = matches!(kind, Kind::Count | Kind::Ratio | Kind::Money);
        match (source, kind) {
            (Source::Whole, _) if has_whole => Ok(if test { Type::Bool } else { Type::Int }),
            (Source::Whole, _) => {
                Err(self.wrong(at, format!("whole.{indicator} is none: it is no part")))
            }
            (Source::Year, _) if adds_up => Ok(if test { Type::Bool } else { Type::Int }),
            (Source::Year, _) => {
                let says = format!("year.{indicator} is none: it is not added up over periods");
                Err(self.wrong(at, says))
            }
            _ if test => Ok(Type::Bool),
            (_, Kind::Text) => {
                Err(self.wrong(at, format!("{indicator} is a text: only has() can ask for it")))
            }
            (_, Kind::Choice) => Ok(Type::Text),
            (_, Kind::Percent) => Ok(Type::Percent),
            (_, Kind::Count | Kind::Stock | Kind::Ratio | Kind::Money | Kind::Years) => {
                Ok(Type::Int)
            }
        }
    }

    fn called(&mut self, at: &IdedExpr, call: &CallExpr, level: usize) -> Result<Type, BadRule> {
        use operators as op;
        let name = call.func_name.as_str();
        if call.target.is_some() {
            return Err(self.not_for_rules(at, format!("the method {name}")));
        }
        if name == op::IN {
            return self.is_in(at, call, level);
        }
        let known = [
            op::CONDITIONAL,
            op::LOGICAL_AND,
            op::LOGICAL_OR,
            op::LOGICAL_NOT,
            op::SUBSTRACT,
            op::ADD,
            op::MULTIPLY,
            op::DIVIDE,
            op::MODULO,
            op::EQUALS,
            op::NOT_EQUALS,
            op::GREATER_EQUALS,
            op::LESS_EQUALS,
            op::GREATER,
            op::LESS,
            op::NEGATE,
            "abs",
            "min",
            "max",
        ];
        if !known.contains(&name) {
            return Err(self.not_for_rules(at, format!("the function {name}")));
        }
        // a + b + c is a chain, and no deeper than a + b.
        let chains = matches!(name, op::ADD | op::LOGICAL_AND | op::LOGICAL_OR);
        let is_link = |arg: &IdedExpr| matches!(&arg.expr, Expr::Call(inner) if chains && inner.func_name == name);
        let mut types = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            let link = is_link(arg);
            self.links += usize::from(link);
            if self.links > MOST_LINKS {
                return Err(self.bad(at, Why::TooMany));
            }
            types.push(self.typed(arg, level + usize::from(!link))?);
            self.links -= usize::from(link);
        }
        let all = |wanted: Type, count: usize| {
            types.len() == count && types.iter().all(|found| *found == wanted)
        };
        match (name, types.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR, _) if all(Type::Bool, 2) => Ok(Type::Bool),
            (op::LOGICAL_NOT, _) if all(Type::Bool, 1) => Ok(Type::Bool),
            (op::CONDITIONAL, [Type::Bool, one, two]) if one == two => Ok(*one),
            (op::EQUALS | op::NOT_EQUALS, [one, two])
                if self.comparable(call, *one, *two) && *one != Type::Bool =>
            {
                if let [one, two] = call.args.as_slice() {
                    self.can_be(one, two)?;
                    self.can_be(two, one)?;
                }
                Ok(Type::Bool)
            }
            (op::GREATER_EQUALS | op::LESS_EQUALS | op::GREATER | op::LESS, [one, two])
                if self.comparable(call, *one, *two)
                    && !matches!(*one, Type::Bool | Type::Text) =>
            {
                Ok(Type::Bool)
            }
            (
                op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO | "min" | "max",
                _,
            ) if all(Type::Int, 2) => Ok(Type::Int),
            (op::NEGATE | "abs", _) if all(Type::Int, 1) => Ok(Type::Int),
            _ => {
                let joined: Vec<_> = types.iter().map(|found| found.word()).collect();
                let says =
                    format!("{} does not go with {}", shown_name(name), joined.join(" and "));
                Err(self.wrong(at, says))
            }
        }
    }

    /// Two of a kind, or a percentage and a constant.
    fn comparable(&self, call: &CallExpr, one: Type, two: Type) -> bool {
        let constant =
            |at: usize| call.args.get(at).is_some_and(|arg| matches!(arg.expr, Expr::Literal(_)));
        one == two
            || (one, two) == (Type::Percent, Type::Int) && constant(1)
            || (one, two) == (Type::Int, Type::Percent) && constant(0)
    }

    /// Refuses a text that is none of the choices of the figure that it is held against.
    fn can_be(&self, figure: &IdedExpr, text: &IdedExpr) -> Result<(), BadRule> {
        let (Expr::Select(select), Expr::Literal(LiteralValue::String(literal))) =
            (&figure.expr, &text.expr)
        else {
            return Ok(());
        };
        let choices = (self.indicator)(&select.field).map(|one| one.choices.as_slice());
        let (text_of, key) = (normal(literal.inner()), &select.field);
        if choices.unwrap_or_default().contains(&text_of) {
            return Ok(());
        }
        Err(self.wrong(text, format!("{text_of:?} is none of the choices of {key},")))
    }

    fn is_in(&mut self, at: &IdedExpr, call: &CallExpr, level: usize) -> Result<Type, BadRule> {
        let [what, list] = call.args.as_slice() else {
            return Err(self.not_for_rules(at, "in without a list"));
        };
        let is = self.typed(what, level + 1)?;
        let Expr::List(list) = &list.expr else {
            return Err(self.not_for_rules(at, "in without a list of constants"));
        };
        for element in &list.elements {
            let Expr::Literal(literal) = &element.expr else {
                return Err(self.not_for_rules(element, "in with something else than constants"));
            };
            self.nodes += 1;
            let of = self.literal(element, literal)?;
            if of != is || !matches!(is, Type::Int | Type::Text) {
                let says = format!("{} is never among what is {}", is.word(), of.word());
                return Err(self.wrong(element, says));
            }
            self.can_be(what, element)?;
        }
        if self.nodes > MOST_NODES {
            return Err(self.bad(at, Why::TooMany));
        }
        Ok(Type::Bool)
    }
}

/// As it is written.
fn shown_name(operator: &str) -> String {
    match operator {
        operators::CONDITIONAL => "?:".to_owned(),
        operators::IN => "in".to_owned(),
        _ => operator.trim_matches('_').to_owned(),
    }
}

/// What a part of a rule can be, whatever is reported.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Range {
    /// Always so, or either.
    Bool(Option<bool>),
    /// From the one to the other, both included; percentages in millionths, rounded outwards.
    Number(i128, i128),
    /// A choice.
    Text,
}

/// As large as a number of a report can be.
const MOST: i128 = i64::MAX as i128;
const MICRO: i128 = 1_000_000;

/// What a part of a rule can be where figures are of these indicators.
///
/// Errors: the part that divides by zero, whatever is reported.
fn range(at: &IdedExpr, indicator: &Indicators<'_>) -> Result<Range, u64> {
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

/// A rule that does not hold, in figures.
struct Shown<'a> {
    known: &'a dyn Known,
    context: &'a Context<'a, 'static>,
}

impl Shown<'_> {
    fn holds(&self, at: &IdedExpr) -> Option<bool> {
        match self.context.resolve(at) {
            Ok(Value::Bool(holds)) => Some(holds),
            _ => None,
        }
    }

    /// Why a condition does not hold.
    fn failing(&self, at: &IdedExpr) -> String {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn indicator(key: &str) -> Option<&'static Indicator> {
        static ALL: LazyLock<Vec<Indicator>> = LazyLock::new(|| {
            let of = |(key, kind): (&str, &str)| {
                let choices =
                    if kind == "choice" { "['Có', 'Không', 'Một phần']" } else { "[]" };
                let text =
                    format!("key='{key}'\ndisplay_name='X'\nkind='{kind}'\nchoices={choices}");
                toml::from_str(&text).unwrap()
            };
            let kinds = [
                ("a", "count"),
                ("b", "count"),
                ("c", "count"),
                ("part", "ratio"),
                ("stock", "stock"),
                ("p", "percent"),
                ("q", "percent"),
                ("money", "money"),
                ("text", "text"),
                ("choice", "choice"),
            ];
            kinds.into_iter().map(of).collect()
        });
        ALL.iter().find(|one| one.key == key)
    }

    fn text(expression: &str) -> RuleText {
        RuleText {
            key: "rule".to_owned(),
            expression: expression.to_owned(),
            severity: Severity::Error,
            message: "Sai.".to_owned(),
            message_en: String::new(),
            table: None,
        }
    }

    fn compile(expression: &str) -> Result<Rule, BadRule> {
        Rule::compile(&text(expression), &indicator)
    }

    #[derive(Default)]
    struct Report(Vec<(Source, &'static str, Number)>);

    impl Known for Report {
        fn figure(&self, source: Source, indicator: &str) -> Option<Number> {
            let of = |one: &&(Source, &str, Number)| one.0 == source && one.1 == indicator;
            self.0.iter().find(of).map(|(_, _, number)| number.clone())
        }

        fn states(&self, source: Source, indicator: &str) -> bool {
            self.figure(source, indicator).is_some()
        }

        fn label<'a>(&'a self, indicator: &'a str) -> &'a str {
            match indicator {
                "a" => "Hồ sơ",
                other => other,
            }
        }
    }

    fn counts(figures: &[(&'static str, i64)]) -> Report {
        let counts = figures.iter();
        Report(counts.map(|(key, count)| (Source::This, *key, Number::Count(*count))).collect())
    }

    fn fails(expression: &str, report: &Report) -> String {
        match compile(expression).unwrap().judge(report) {
            Judgement::Fails { evidence } => evidence,
            other => panic!("{expression}: {other:?}"),
        }
    }

    #[test]
    fn a_rule_holds_fails_with_its_figures_or_is_not_judged() {
        let report = counts(&[("a", 1270), ("b", 126), ("c", 0)]);
        for (expression, evidence) in [
            ("v.a == v.b + v.c", "1.270 ≠ 126 + 0 = 126"),
            ("v.b + v.c == v.a", "126 + 0 = 126 ≠ 1.270"),
            ("v.a <= 1000", "1.270 > 1.000"),
            ("v.a * 2 - (v.b - v.c) < 5", "1.270 × 2 − (126 − 0) = 2.414 ≥ 5"),
            ("(v.a - v.b) * 2 == 1", "(1.270 − 126) × 2 = 2.288 ≠ 1"),
            ("v.a == v.b && v.c == 0", "1.270 ≠ 126"),
            ("v.a == v.b || v.c > 0", "1.270 ≠ 126; 0 ≤ 0"),
            ("!(v.a > v.b)", "1.270 > 126"),
            ("v.a > 0 ? v.b == 0 : v.c == 0", "1.270 > 0; 126 ≠ 0"),
            ("!has(v.a) || has(v.money)", "“Hồ sơ”: có số liệu; “money”: không có số liệu"),
            ("v.a in [1, 2]", "1.270 không thuộc các giá trị: 1, 2"),
            ("!(v.a in [1270, 2])", "1.270 thuộc các giá trị: 1.270, 2"),
            ("abs(v.b - v.a) <= max(v.b, 100)", "1.144 > 126"),
        ] {
            assert_eq!(fails(expression, &report), evidence, "{expression}");
        }
        // One minus sign, and what is negative in brackets where it follows another sign.
        let report = counts(&[("a", 7), ("b", 3), ("c", 1)]);
        for (expression, evidence) in [
            ("v.c - (v.a - 12) == v.b", "1 − (7 − 12) = 6 ≠ 3"),
            ("v.c - -v.a == v.b", "1 − (−7) = 8 ≠ 3"),
            ("v.c - -5 == v.b", "1 − (−5) = 6 ≠ 3"),
            ("-5 + v.a == v.b", "−5 + 7 = 2 ≠ 3"),
            ("-5 * v.a == v.b", "(−5) × 7 = −35 ≠ 3"),
            ("(-5 + v.c) * v.a == v.b", "(−5 + 1) × 7 = −28 ≠ 3"),
            ("v.b == v.c - v.a", "3 ≠ 1 − 7 = −6"),
            ("v.a % v.b == 2", "số dư của phép chia 7 cho 3 = 1 ≠ 2"),
            ("(v.a + v.c) % v.b == 1", "số dư của phép chia (7 + 1) cho 3 = 2 ≠ 1"),
            ("v.a % v.b * 2 == 1", "(số dư của phép chia 7 cho 3) × 2 = 2 ≠ 1"),
        ] {
            assert_eq!(fails(expression, &report), evidence, "{expression}");
        }
        let report = counts(&[("a", 1270), ("b", 126), ("c", 0)]);
        for expression in ["v.a == v.b + v.c + 1144", "has(v.a) || v.p > 3", "v.a > v.b || v.p > 3"]
        {
            assert_eq!(
                compile(expression).unwrap().judge(&report),
                Judgement::Holds,
                "{expression}"
            );
        }
        for expression in ["v.a == v.b + v.part", "v.p <= 100", "previous.a <= v.a", "whole.a > 0"]
        {
            let judged = compile(expression).unwrap().judge(&report);
            assert_eq!(judged, Judgement::NotJudged, "{expression}");
        }
    }

    #[test]
    fn the_period_before_the_year_so_far_wholes_percentages_and_choices_are_told_apart() {
        let report = Report(vec![
            (Source::This, "a", Number::Count(5)),
            (Source::Previous, "a", Number::Count(9)),
            (Source::Year, "a", Number::Count(20)),
            (Source::Whole, "part", Number::Count(550)),
            (Source::This, "p", Number::Percent("100.01".parse().unwrap())),
            (Source::This, "choice", Number::Text("Không".to_owned())),
        ]);
        for (expression, evidence) in [
            ("v.a >= previous.a", "5 < 9"),
            ("v.a == year.a + v.a", "5 ≠ 20 + 5 = 25"),
            ("whole.part == v.a", "550 ≠ 5"),
            ("v.p <= 100", "100,01 % > 100"),
            ("v.p <= 100.0", "100,01 % > 100 %"),
            ("v.choice == 'Có'", "“Không” ≠ “Có”"),
            ("v.choice in ['Có', 'Một phần']", "“Không” không thuộc các giá trị: “Có”, “Một phần”"),
        ] {
            assert_eq!(fails(expression, &report), evidence, "{expression}");
        }
        let rule = compile("previous.b <= v.a && year.c > 0").unwrap();
        assert_eq!(rule.anchor(), "a");
        assert_eq!(rule.indicators().into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(
            rule.needs(Source::Previous) && rule.needs(Source::Year) && !rule.needs(Source::Whole)
        );
    }

    #[test]
    fn percentages_are_compared_with_any_that_can_be_written() {
        let report = |stated: &str| {
            Report(vec![(Source::This, "p", Number::Percent(stated.parse().unwrap()))])
        };
        // What is as small as nothing is more than nothing all the same.
        let rule = compile("v.p < 1e-40").unwrap();
        assert_eq!(rule.judge(&report("0")), Judgement::Holds);
        assert!(matches!(rule.judge(&report("0.0001")), Judgement::Fails { .. }));
        let evidence = "5,25 % ≠ 1000000000000000000000000000000 %; 5,25 % ≥ 5; 5,25 % ≥ −1,5 %";
        assert_eq!(fails("v.p == 1e30 || v.p < 5 || v.p < -1.5", &report("5.25")), evidence);
        for expression in ["v.p > 1e-300", "v.p == 12.3456", "v.p <= 99.99999", "v.p >= 5e3"] {
            assert!(compile(expression).is_ok(), "{expression}");
        }
    }

    #[test]
    fn a_choice_is_one_however_a_rule_encodes_its_letters() {
        let report = Report(vec![(Source::This, "choice", Number::Text("Có".to_owned()))]);
        for expression in ["v.choice == 'Co\u{301}'", "v.choice in ['Co\u{301}', 'Không']"] {
            assert_eq!(compile(expression).unwrap().judge(&report), Judgement::Holds);
        }
        assert_eq!(fails("v.choice != 'Co\u{301}'", &report), "“Có” = “Có”");
    }

    #[test]
    fn a_figure_is_looked_up_once_for_each_source_that_a_rule_names_it_with() {
        struct Counting(std::cell::RefCell<Vec<(Source, String)>>);
        impl Known for Counting {
            fn figure(&self, source: Source, indicator: &str) -> Option<Number> {
                self.0.borrow_mut().push((source, indicator.to_owned()));
                Some(Number::Count(1))
            }

            fn states(&self, _: Source, _: &str) -> bool {
                true
            }

            fn label<'a>(&'a self, indicator: &'a str) -> &'a str {
                indicator
            }
        }
        let known = Counting(std::cell::RefCell::default());
        let rule = compile("previous.b == v.b && v.a > v.b - previous.b || has(v.b)").unwrap();
        rule.judge(&known);
        let looked_up: Vec<_> =
            known.0.take().into_iter().map(|(of, key)| format!("{}.{key}", of.name())).collect();
        assert_eq!(looked_up, ["previous.b", "v.b", "v.a"]);
        assert_eq!(rule.anchor(), "b");
    }

    #[test]
    fn what_divides_by_zero_or_counts_too_far_has_no_answer() {
        let report = counts(&[("a", i64::MAX), ("b", 0)]);
        for (expression, why) in [
            ("v.a / v.b > 1", Undefined::DividesByZero),
            ("v.a % v.b == 1", Undefined::DividesByZero),
            ("v.a + v.a > 1", Undefined::Overflows),
            ("v.a * 2 > 1", Undefined::Overflows),
        ] {
            let judged = compile(expression).unwrap().judge(&report);
            assert_eq!(judged, Judgement::Undefined(why), "{expression}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_why_and_where() {
        for (expression, place, says) in [
            ("v.a ==", 7, "does not read"),
            ("", 1, "does not read"),
            ("v.a == v.d", 8, "names d, which is no indicator of the form,"),
            ("v.a + 1", 5, "is a number and not true or false,"),
            ("v.a == 'x'", 5, "== does not go with a number and a text"),
            ("v.p + v.q > 1.0", 5, "+ does not go with a percentage and a percentage"),
            ("v.p < v.a", 5, "< does not go with a percentage and a number"),
            ("v.a > 2.5", 5, "> does not go with a number and a percentage"),
            ("v.choice > 'Có'", 10, "> does not go with a text and a text"),
            ("v.a in ['x']", 9, "a number is never among what is a text"),
            ("v.text == 'x'", 1, "text is a text: only has() can ask for it"),
            ("v.choice == 'Co'", 13, "\"Co\" is none of the choices of choice,"),
            ("'có' != previous.choice", 1, "\"có\" is none of the choices of choice,"),
            ("v.choice in ['Có', '']", 20, "\"\" is none of the choices of choice,"),
            ("!has(whole.choice)", 6, "whole.choice is none: it is no part"),
            ("has(year.choice)", 5, "year.choice is none: it is not added up over periods"),
            ("v.a in [-1]", 5, "is false whatever is reported"),
            ("!(v.a in [-1, -2])", 1, "is true whatever is reported"),
            ("2 in [1, 2]", 3, "is true whatever is reported"),
            ("v.p == 12.34567", 5, "is false whatever is reported"),
            ("0.00001 != v.p", 9, "is true whatever is reported"),
            ("v.p < 1e23", 5, "is true whatever is reported"),
            ("v.p > 1e28", 5, "is false whatever is reported"),
            ("v.p < 1e300", 5, "is true whatever is reported"),
            ("v.p < -1e300", 5, "is false whatever is reported"),
            ("v.p < -1e-40", 5, "is false whatever is reported"),
            ("year.stock > 1", 1, "year.stock is none"),
            ("whole.money > 1", 1, "whole.money is none"),
            ("[1, 2].all(x, x > v.a)", 11, "a loop"),
            ("size('x') == v.a", 5, "the function size"),
            ("v.choice.startsWith('C')", 20, "the method startsWith"),
            ("a == 1", 1, "\"a\" alone"),
            ("w.a == 1", 1, "a field of something else"),
            ("v.a.b == 1", 1, "a field of something else"),
            ("v['a'] == 1", 1, "the function _[_]"),
            ("v.a == 1u", 8, "a number with u"),
            ("{'a': 1} == v", 1, "a map"),
            ("v.choice == 'C\\u1ee3'", 15, "a backslash"),
            ("v.a > 1 // or so", 9, "a comment"),
            ("v.choice == '''Có'''", 13, "a text in three quotes"),
            ("v.choice == r'Có'", 14, "a text with a letter before it"),
            ("v.choice == 'Có\n'", 13, "a text has no end in its line"),
            ("v.choice == 'Có", 13, "a text has no end"),
            ("v.a > 1)", 8, "a bracket closes none"),
            ("(v.a > 1] || v.b > 1)", 9, "a bracket closes none"),
            // Of several lines the character is the one of the whole.
            ("v.a > 1 &&\n v.choice == 'Không' &&\n v.b >", 42, "does not read"),
            ("v.a > 1 &&\r\n v.b > * 2", 20, "does not read"),
            ("v.choice == 'Một phần' && v.a > * 2", 33, "does not read"),
            ("v.choice == 'Một phần' && v.d > 2", 27, "names d"),
            ("1 == 1", 1, "is true whatever is reported"),
            ("v.a < 0", 1, "is false whatever is reported"),
            ("v.a >= 0", 1, "is true whatever is reported"),
            ("v.a + v.b < v.c && false", 1, "is false whatever is reported"),
            ("v.p > 1000000", 1, "is false whatever is reported"),
            ("v.a == v.a", 1, "is true whatever is reported"),
            ("v.a != v.a || 2 < 1", 1, "is false whatever is reported"),
            ("v.a in []", 1, "is false whatever is reported"),
            ("-v.a > 0", 1, "is false whatever is reported"),
            ("v.a / 0 == 1", 1, "divides by zero whatever is reported"),
            ("v.a % (3 - 3) == 1", 1, "divides by zero whatever is reported"),
        ] {
            let bad = match compile(expression) {
                Err(bad) => bad,
                Ok(_) => panic!("{expression} is taken"),
            };
            let told = bad.to_string();
            assert!(told.contains(says), "{expression}: {told}");
            if place != 1 {
                assert_eq!(bad.place, place, "{expression}: {told}");
            }
        }
    }

    #[test]
    fn a_rule_is_bounded_in_size_and_depth_before_it_is_read() {
        let deep = |count: usize| format!("{}v.a{} == 1", "(".repeat(count), ")".repeat(count));
        let sum = |count: usize| format!("{} == 1", vec!["v.a"; count].join("+"));
        let ternaries = |count: usize| format!("{}true", "v.a == 1 ? true : ".repeat(count));
        let small = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            for (expression, why) in [
                (deep(17), Why::TooDeep),
                (deep(990), Why::TooDeep),
                (sum(490), Why::TooMany),
                (sum(27), Why::TooMany),
                (format!("{}v.a{} == 1", "1 - (".repeat(16), ")".repeat(16)), Why::TooDeep),
                (ternaries(20), Why::TooDeep),
                (ternaries(100), Why::TooDeep),
                (format!("{}0", "1?1:".repeat(490)), Why::TooDeep),
                (format!("v.a == 1{}", " ".repeat(2000)), Why::TooLong),
                (format!("v.a in [{}1]", "1,".repeat(300)), Why::TooMany),
            ] {
                let shown: String = expression.chars().take(40).collect();
                assert_eq!(compile(&expression).unwrap_err().why, why, "{shown}");
            }
            // Signs before signs make nothing deep, however many they are.
            for expression in
                [format!("{}(v.a > 1)", "!".repeat(1900)), format!("v.a > {}v.b", "- ".repeat(900))]
            {
                assert!(compile(&expression).is_ok(), "{expression}");
            }
            // What is long but not nested in brackets, and what would hide them, is refused as well.
            for expression in [
                format!("v{} == 1", ".a".repeat(990)),
                format!("v{} == 1", "[1]".repeat(600)),
                format!("{}1", "1<".repeat(990)),
                format!("{}1", "1*".repeat(990)),
                format!("{}true", "true&&".repeat(320)),
                "!-".repeat(990),
                format!("{}1{}", "(1?1:".repeat(16), ")".repeat(16)),
                "[".repeat(1900),
                "(]".repeat(900),
                "((((]]]]".repeat(240),
                format!("'\\'' == v.choice && {}", "{".repeat(900)),
                format!("'''' == v.choice && {}", "(".repeat(900)),
                format!("r'\\' == v.choice && {}", "(".repeat(900)),
                format!("v.choice == '\n{}", "(".repeat(900)),
                format!("v.a > 1 // '\n && {}", "(".repeat(900)),
            ] {
                let shown: String = expression.chars().take(40).collect();
                assert!(compile(&expression).is_err(), "{shown}");
            }
            assert!(compile(&deep(15)).is_ok());
            let ones = counts(&[("a", 1)]);
            assert_eq!(
                compile(&sum(25)).unwrap().judge(&ones),
                Judgement::Fails { evidence: format!("{} = 25 ≠ 1", vec!["1"; 25].join(" + ")) }
            );
        });
        small.unwrap().join().unwrap();
    }

    fn number() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("v.a".to_owned()),
            Just("v.b".to_owned()),
            Just("v.c".to_owned()),
            Just("previous.a".to_owned()),
            (0_i64..5).prop_map(|number| number.to_string()),
        ];
        leaf.prop_recursive(3, 12, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone(), prop_oneof!["[+]", "-", "[*]", "/", "%"])
                    .prop_map(|(one, two, sign)| format!("({one} {sign} {two})")),
                (inner.clone(), inner.clone(), prop_oneof!["min", "max"])
                    .prop_map(|(one, two, name)| format!("{name}({one}, {two})")),
                inner.prop_map(|one| format!("abs({one})")),
            ]
        })
    }

    fn condition() -> impl Strategy<Value = String> {
        let sign = prop_oneof!["==", "!=", "<", "<=", ">", ">="];
        let leaf = prop_oneof![
            4 => (number(), sign, number()).prop_map(|(one, sign, two)| format!("({one} {sign} {two})")),
            1 => Just("has(v.c)".to_owned()),
        ];
        leaf.prop_recursive(2, 6, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone(), prop_oneof!["&&", "[|][|]"])
                    .prop_map(|(one, two, sign)| format!("({one} {sign} {two})")),
                inner.prop_map(|one| format!("!{one}")),
            ]
        })
    }

    fn values(a: i64, b: i64, c: Option<i64>, before: i64) -> Report {
        let mut report = counts(&[("a", a), ("b", b)]);
        report.0.extend(c.map(|c| (Source::This, "c", Number::Count(c))));
        report.0.push((Source::Previous, "a", Number::Count(before)));
        report
    }

    proptest! {
        #[test]
        fn what_is_said_to_be_the_same_whatever_is_reported_is(
            expression in condition(),
            (a, b, c, before) in (0_i64..6, 0_i64..6, prop::option::of(0_i64..6), 0_i64..6),
        ) {
            let Err(BadRule { why: Why::Constant(always), .. }) = compile(&expression) else {
                return Ok(());
            };
            // Judged all the same.
            let mut source = cel::parser::Parser::default().parse(&expression).unwrap();
            make_ready(&mut source);
            let mut references = vec![(Source::Previous, "a".to_owned())];
            references.extend(["a", "b", "c"].map(|key| (Source::This, key.to_owned())));
            let asks = vec![(Source::This, "c".to_owned())];
            let rule = Rule { text: text(&expression), expression: source, references, asks };
            match rule.judge(&values(a, b, c, before)) {
                Judgement::Holds => prop_assert!(always, "{}", expression),
                Judgement::Fails { .. } => prop_assert!(!always, "{}", expression),
                Judgement::NotJudged | Judgement::Undefined(_) => {}
            }
        }

        #[test]
        fn what_fails_is_told_in_figures_and_nothing_panics(
            expression in condition(),
            (a, b, c, before) in (0_i64..6, 0_i64..6, prop::option::of(0_i64..6), 0_i64..6),
        ) {
            let Ok(rule) = compile(&expression) else { return Ok(()) };
            if let Judgement::Fails { evidence } = rule.judge(&values(a, b, c, before)) {
                prop_assert!(!evidence.is_empty(), "{}", expression);
            }
        }

        #[test]
        fn any_text_is_a_rule_or_refused_with_a_place_in_it(expression in "[vpa-e.()!&|=<>+*/%?:\\[\\], 0-9'\"-]{0,60}|v[.]p (<|==|>=) -?[0-9]{1,3}([.][0-9]{1,9})?(e-?[0-9]{1,3})?|.{0,40}") {
            if let Err(bad) = compile(&expression) {
                prop_assert!((1..=expression.chars().count() + 1).contains(&bad.place), "{:?} {:?}", expression, bad);
            }
        }
    }
}
