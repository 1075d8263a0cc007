//! pb ⇄ domain: forms.

use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_rpc::field;
use tonic::Status;

use super::finding::severity_of;
use crate::domain::finding::Severity;
use crate::domain::form::{
    Column, Flaws, Form, FormText, Indicator, Kind, RollUp, Scope, Section, Table, Wrong,
};
use crate::domain::rule::{RuleText, Why};
use crate::error::{Problems, Why as Reason};

/// A form that is to be published, as far as it reads. What is in it is for [`Form::new`] to judge.
///
/// Errors: INVALID_ARGUMENT, with all that does not read.
pub(crate) fn form_text(pb: pb::Form) -> Result<FormText, Status> {
    let mut problems = Problems::default();
    let key = match pb.name.as_str() {
        "" => {
            problems.add("form.name", Common::RequiredFieldMissing, "is missing");
            String::new()
        }
        name => name.strip_prefix("forms/").map(str::to_owned).unwrap_or_else(|| {
            problems.add("form.name", Common::InvalidField, "must be forms/{form}");
            String::new()
        }),
    };
    let sections = pb.sections.into_iter();
    let sections =
        sections.map(|section| Section { key: section.key, display_name: section.display_name });
    let indicators = pb.indicators.into_iter().enumerate();
    let indicators: Vec<_> =
        indicators.filter_map(|(at, one)| indicator(at, one, &mut problems)).collect();
    let rules = pb.rules.into_iter().enumerate();
    let rules: Vec<_> = rules.map(|(at, one)| rule(at, one, &mut problems)).collect();
    problems.refused()?;
    Ok(FormText {
        key,
        display_name: pb.display_name.trim().to_owned(),
        legal_basis: pb.legal_basis.trim().to_owned(),
        sections: sections.collect(),
        indicators,
        tables: pb.tables.into_iter().map(table).collect(),
        rules,
    })
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn indicator(at: usize, pb: pb::Indicator, problems: &mut Problems) -> Option<Indicator> {
    use pb::indicator::{Kind as PbKind, RollUp as PbRollUp, Scope as PbScope};
    let within = |part: &str| format!("form.indicators[{at}].{part}");
    let kind = match PbKind::try_from(pb.kind) {
        Ok(PbKind::Count) => Some(Kind::Count),
        Ok(PbKind::Percent) => Some(Kind::Percent),
        Ok(PbKind::Years) => Some(Kind::Years),
        Ok(PbKind::Stock) => Some(Kind::Stock),
        Ok(PbKind::Ratio) => Some(Kind::Ratio),
        Ok(PbKind::Money) => Some(Kind::Money),
        Ok(PbKind::Text) => Some(Kind::Text),
        Ok(PbKind::Choice) => Some(Kind::Choice),
        Ok(PbKind::Unspecified) => {
            problems.add(within("kind"), Common::RequiredFieldMissing, "is missing");
            None
        }
        Err(_) => {
            problems.add(within("kind"), Common::InvalidField, "is no kind");
            None
        }
    };
    let scope = match PbScope::try_from(pb.scope) {
        Ok(PbScope::Unspecified | PbScope::Own) => Scope::Own,
        Ok(PbScope::Subtree) => Scope::Subtree,
        Err(_) => {
            problems.add(within("scope"), Common::InvalidField, "is no scope");
            Scope::Own
        }
    };
    let roll_up = match PbRollUp::try_from(pb.roll_up) {
        Ok(PbRollUp::Unspecified) => None,
        Ok(PbRollUp::Sum) => Some(RollUp::Sum),
        Ok(PbRollUp::SumOfLast) => Some(RollUp::SumOfLast),
        Ok(PbRollUp::RatioOfSums) => Some(RollUp::RatioOfSums),
        Ok(PbRollUp::None) => Some(RollUp::None),
        Err(_) => {
            problems.add(within("roll_up"), Common::InvalidField, "is no way to roll up");
            None
        }
    };
    Some(Indicator {
        kind: kind?,
        key: pb.key,
        display_name: pb.display_name.trim().to_owned(),
        whole: given(pb.denominator_indicator),
        section: given(pb.section),
        required: pb.required,
        scope,
        roll_up,
        choices: pb.choices,
        unit_of_measure: pb.unit_of_measure.trim().to_owned(),
    })
}

fn table(pb: pb::Table) -> Table {
    let columns = pb.columns.into_iter();
    let columns = columns.map(|one| Column { number: one.number, indicator: one.indicator });
    Table {
        key: pb.key,
        display_name: pb.display_name.trim().to_owned(),
        columns: columns.collect(),
        total_category: pb.total_category,
        categories: pb.categories,
        open: pb.open,
    }
}

fn rule(at: usize, pb: pb::Rule, problems: &mut Problems) -> RuleText {
    let severity = match pb::finding::Severity::try_from(pb.severity) {
        Ok(pb::finding::Severity::Blocking) => Severity::Blocking,
        Ok(pb::finding::Severity::Unspecified | pb::finding::Severity::Error) => Severity::Error,
        Ok(pb::finding::Severity::Warning) => Severity::Warning,
        Ok(pb::finding::Severity::Info) => Severity::Info,
        Err(_) => {
            let field = format!("form.rules[{at}].severity");
            problems.add(field, Common::InvalidField, "is no severity");
            Severity::Error
        }
    };
    RuleText {
        key: pb.key,
        expression: pb.expression,
        severity,
        message: pb.message.trim().to_owned(),
        message_en: pb.message_en.trim().to_owned(),
        table: given(pb.table),
    }
}

/// INVALID_ARGUMENT, with all that is wrong with a form.
pub(crate) fn flawed(flaws: Flaws) -> Result<(), Status> {
    let mut problems = Problems::default();
    for flaw in flaws.0 {
        let reason: Reason = match &flaw.what {
            Wrong::Missing => Common::RequiredFieldMissing.into(),
            Wrong::NotAKey(_) | Wrong::Unfit(_) => Common::InvalidField.into(),
            Wrong::TooLong(_) | Wrong::TooMany(_) => ErrorReason::TooLong.into(),
            Wrong::UnknownIndicator(_) => ErrorReason::UnknownIndicator.into(),
            Wrong::Duplicate(_) => ErrorReason::DuplicateKey.into(),
            Wrong::Rule(bad) => match &bad.why {
                Why::Unreadable(_) | Why::NotForRules(_) => ErrorReason::InvalidRule,
                Why::TooLong | Why::TooMany | Why::TooDeep => ErrorReason::RuleTooLarge,
                Why::UnknownIndicator(_) => ErrorReason::UnknownIndicator,
                Why::WrongType(_) => ErrorReason::RuleWrongType,
                Why::Constant(_) | Why::DividesByZero => ErrorReason::RuleConstant,
            }
            .into(),
        };
        problems.add(format!("form.{}", flaw.field), reason, flaw.what);
    }
    problems.refused()
}

fn indicator_of(indicator: &Indicator) -> pb::Indicator {
    let kind = match indicator.kind {
        Kind::Count => pb::indicator::Kind::Count,
        Kind::Percent => pb::indicator::Kind::Percent,
        Kind::Years => pb::indicator::Kind::Years,
        Kind::Stock => pb::indicator::Kind::Stock,
        Kind::Ratio => pb::indicator::Kind::Ratio,
        Kind::Money => pb::indicator::Kind::Money,
        Kind::Text => pb::indicator::Kind::Text,
        Kind::Choice => pb::indicator::Kind::Choice,
    };
    let scope = match indicator.scope {
        Scope::Own => pb::indicator::Scope::Own,
        Scope::Subtree => pb::indicator::Scope::Subtree,
    };
    let roll_up = match indicator.rolls_up() {
        RollUp::Sum => pb::indicator::RollUp::Sum,
        RollUp::SumOfLast => pb::indicator::RollUp::SumOfLast,
        RollUp::RatioOfSums => pb::indicator::RollUp::RatioOfSums,
        RollUp::None => pb::indicator::RollUp::None,
    };
    pb::Indicator {
        key: indicator.key.clone(),
        display_name: indicator.display_name.clone(),
        kind: kind.into(),
        denominator_indicator: indicator.whole.clone().unwrap_or_default(),
        section: indicator.section.clone().unwrap_or_default(),
        required: indicator.required,
        scope: scope.into(),
        roll_up: roll_up.into(),
        choices: indicator.choices.clone(),
        unit_of_measure: indicator.unit_of_measure.clone(),
    }
}

fn table_of(table: &Table) -> pb::Table {
    let columns = table.columns.iter();
    let columns = columns.map(|column| pb::Column {
        number: column.number.clone(),
        indicator: column.indicator.clone(),
    });
    pb::Table {
        key: table.key.clone(),
        display_name: table.display_name.clone(),
        columns: columns.collect(),
        total_category: table.total_category.clone(),
        categories: table.categories.clone(),
        open: table.open,
    }
}

fn rule_of(rule: &RuleText) -> pb::Rule {
    pb::Rule {
        key: rule.key.clone(),
        expression: rule.expression.clone(),
        severity: severity_of(rule.severity).into(),
        message: rule.message.clone(),
        message_en: rule.message_en.clone(),
        table: rule.table.clone().unwrap_or_default(),
    }
}

impl From<&Form> for pb::Form {
    fn from(form: &Form) -> Self {
        let FormText { key, display_name, legal_basis, sections, indicators, tables, rules } =
            form.text();
        let sections = sections.iter().map(|section| pb::Section {
            key: section.key.clone(),
            display_name: section.display_name.clone(),
        });
        let (published, retired) = (form.published.as_ref(), form.retired.as_ref());
        Self {
            name: format!("forms/{key}"),
            display_name: display_name.clone(),
            legal_basis: legal_basis.clone(),
            indicators: indicators.iter().map(indicator_of).collect(),
            tables: tables.iter().map(table_of).collect(),
            rules: rules.iter().map(rule_of).collect(),
            sections: sections.collect(),
            create_time: published.map(|published| field::pb_time(published.at)),
            author: published.map(|published| published.author.clone()).unwrap_or_default(),
            retire_time: retired.map(|retired| field::pb_time(retired.at)),
            retire_reason: retired.map(|retired| retired.reason.clone()).unwrap_or_default(),
        }
    }
}
