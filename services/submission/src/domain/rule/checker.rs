//! What a rule is made of, and whether it goes together.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::{
    BadRule, Indicators, MOST_LEVELS, MOST_LINKS, MOST_NODES, Source, Type, Why, normal, place_of,
};
use crate::domain::form::Kind;

/// Goes through an expression once: what it is made of, and whether it goes together.
pub(super) struct Checker<'a, 'f> {
    pub(super) source: &'a str,
    pub(super) places: &'a SourceInfo,
    pub(super) indicator: &'a Indicators<'f>,
    pub(super) references: Vec<(Source, String)>,
    pub(super) asks: Vec<(Source, String)>,
    pub(super) nodes: usize,
    pub(super) links: usize,
}

impl Checker<'_, '_> {
    pub(super) fn bad(&self, at: &IdedExpr, why: Why) -> BadRule {
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

    pub(super) fn typed(&mut self, at: &IdedExpr, level: usize) -> Result<Type, BadRule> {
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
