//! One report as a JSON file holds it.

use chrono::NaiveDate;
use dunghan_calendar::Period;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::declared_period::Place;
use dunghan_proto::submission::receipt_evidence::Kind;
use dunghan_proto::submission::value::{Figure, Qualifier, Role};
use dunghan_proto::r#type::Decimal;
use dunghan_rpc::field::{pb_date, pb_decimal, pb_time};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{UnitRef, json, word};

/// A report of a file: as the contract has it, with its unit as people name it.
#[derive(Clone, Debug)]
pub(crate) struct ReportFile {
    pub(crate) unit: UnitRef,
    pub(crate) report: pb::Report,
    /// The agency that hands it over, where that is not the unit itself.
    pub(crate) submitting_unit: Option<UnitRef>,
    /// When and where it was received, where that was elsewhere and earlier.
    pub(crate) receipt: Option<(prost_types::Timestamp, pb::ReceiptEvidence)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    unit: UnitRef,
    regime: String,
    period: Period,
    declared_cut_off_date: Option<NaiveDate>,
    submitting_unit: Option<UnitRef>,
    #[serde(default)]
    document: RawDocument,
    #[serde(default)]
    values: Vec<Value>,
    #[serde(default)]
    narrative: String,
    receipt: Option<RawReceipt>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDocument {
    number: String,
    symbol: String,
    document_date: Option<NaiveDate>,
    declared_periods: Vec<RawPeriod>,
    declared_units: Vec<RawDeclaredUnit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPeriod {
    period: Period,
    place: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeclaredUnit {
    display_name: String,
    place: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReceipt {
    receive_time: String,
    kind: String,
    reference: String,
}

/// Exactly one of count, ratio, percent, text, money and choice; null where it is not stated, which is not zero. Decimals are strings: a JSON number would lose what was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValue {
    indicator: String,
    #[serde(default)]
    category: String,
    #[serde(default = "actual")]
    role: String,
    start_date: Option<NaiveDate>,
    end_date: Option<NaiveDate>,
    /// For whoever fills the file in; not read.
    #[serde(default, rename = "label")]
    _label: String,
    #[serde(default, deserialize_with = "stated")]
    count: Stated<i64>,
    #[serde(default, deserialize_with = "stated")]
    ratio: Stated<RawRatio>,
    #[serde(default, deserialize_with = "stated")]
    percent: Stated<rust_decimal::Decimal>,
    #[serde(default, deserialize_with = "stated")]
    text: Stated<String>,
    /// In đồng.
    #[serde(default, deserialize_with = "stated")]
    money: Stated<i64>,
    #[serde(default, deserialize_with = "stated")]
    choice: Stated<String>,
    qualifier: Option<String>,
    stated_percent: Option<rust_decimal::Decimal>,
    #[serde(default)]
    quote: String,
}

/// A key of a file: not there, null, or with a figure.
type Stated<T> = Option<Option<T>>;

fn stated<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Stated<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl RawValue {
    /// One key is there, and null.
    fn is_open(&self) -> bool {
        fn key<T>(stated: &Stated<T>) -> Option<bool> {
            stated.as_ref().map(Option::is_none)
        }
        let keys = [
            key(&self.count),
            key(&self.ratio),
            key(&self.percent),
            key(&self.text),
            key(&self.money),
            key(&self.choice),
        ];
        let mut keys = keys.into_iter().flatten();
        (keys.next(), keys.next()) == (Some(true), None)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRatio {
    numerator: i64,
    denominator: i64,
}

fn actual() -> String {
    "actual".to_owned()
}

/// The report of a JSON file, or everything that is wrong with it.
pub(crate) fn report(bytes: &[u8]) -> Result<ReportFile, Vec<String>> {
    let raw: Raw = json::document(bytes)?;
    let values = json::elements("values", raw.values, value);
    let values = values.map(|values| values.into_iter().flatten().collect::<Vec<_>>());
    let mut problems = Vec::new();
    let mut place_of = |list: &str, index: usize, place: &str| {
        let known = word("PLACE_", place, Place::from_str_name);
        if known.is_none() {
            problems.push(format!("document.{list}[{index}]: there is no place {place:?}"));
        }
        known.unwrap_or_default().into()
    };
    let periods = raw.document.declared_periods.into_iter().enumerate();
    let periods = periods.map(|(index, RawPeriod { period, place })| pb::DeclaredPeriod {
        period: period.to_string(),
        place: place_of("declared_periods", index, &place),
    });
    let declared_periods = periods.collect();
    let units = raw.document.declared_units.into_iter().enumerate();
    let units = units.map(|(index, RawDeclaredUnit { display_name, place })| pb::DeclaredUnit {
        display_name,
        place: place_of("declared_units", index, &place),
    });
    let declared_units = units.collect();
    let receipt = raw.receipt.map(|raw| {
        let time = super::time(&raw.receive_time)?;
        let kind = word("KIND_", &raw.kind, Kind::from_str_name)
            .ok_or_else(|| format!("there is no kind {:?}", raw.kind))?;
        let evidence = pb::ReceiptEvidence { kind: kind.into(), reference: raw.reference };
        Ok::<_, String>((pb_time(time), evidence))
    });
    let receipt = receipt.transpose().map_err(|why| problems.push(format!("receipt: {why}"))).ok();
    let values = values.map_err(|mut bad| problems.append(&mut bad)).ok();
    let (Some(receipt), Some(values), true) = (receipt, values, problems.is_empty()) else {
        return Err(problems);
    };
    let document = pb::Document {
        number: raw.document.number,
        symbol: raw.document.symbol,
        document_date: raw.document.document_date.map(pb_date),
        declared_periods,
        declared_units,
    };
    Ok(ReportFile {
        unit: raw.unit,
        report: pb::Report {
            regime: super::regime_name(&raw.regime),
            period: raw.period.to_string(),
            document: Some(document),
            values,
            narrative: raw.narrative,
            declared_cut_off_date: raw.declared_cut_off_date.map(pb_date),
            ..Default::default()
        },
        submitting_unit: raw.submitting_unit,
        receipt,
    })
}

/// None for a figure that is null: nobody has stated it.
fn value(raw: RawValue) -> Result<Option<pb::Value>, String> {
    if raw.is_open() {
        return Ok(None);
    }
    let role = word("ROLE_", &raw.role, Role::from_str_name)
        .ok_or_else(|| format!("there is no role {:?}", raw.role))?;
    let qualifier = raw.qualifier.map(|text| {
        word("QUALIFIER_", &text, Qualifier::from_str_name)
            .ok_or_else(|| format!("there is no qualifier {text:?}"))
    });
    let qualifier = qualifier.transpose()?.unwrap_or_default();
    let figures = [
        raw.count.flatten().map(Figure::Count),
        raw.ratio.flatten().map(|RawRatio { numerator, denominator }| {
            Figure::Ratio(pb::Ratio { numerator, denominator })
        }),
        raw.percent.flatten().map(|percent| Figure::Percent(pb_decimal(percent))),
        raw.text.flatten().map(Figure::Text),
        raw.money.flatten().map(Figure::Money),
        raw.choice.flatten().map(Figure::Choice),
    ];
    let mut figures = figures.into_iter().flatten();
    let (Some(figure), None) = (figures.next(), figures.next()) else {
        return Err(
            "has not exactly one of count, ratio, percent, text, money and choice".to_owned()
        );
    };
    Ok(Some(pb::Value {
        indicator: raw.indicator,
        category: raw.category,
        role: role.into(),
        start_date: raw.start_date.map(pb_date),
        end_date: raw.end_date.map(pb_date),
        figure: Some(figure),
        qualifier: qualifier.into(),
        stated_percent: raw.stated_percent.map(|percent| Decimal { value: percent.to_string() }),
        quote: raw.quote,
        ..pb::Value::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""unit": "09427:2026-05-14", "regime": "cds", "period": "202605""#;

    fn read(rest: &str) -> Result<ReportFile, Vec<String>> {
        report(format!("{{{HEAD}, {rest}}}").as_bytes())
    }

    #[test]
    fn a_percentage_keeps_the_digits_that_were_written() {
        let file = read(r#""values": [{"indicator": "a", "percent": "84.50"}]"#).unwrap();
        let expected = Figure::Percent(Decimal { value: "84.50".to_owned() });
        assert_eq!(file.report.values[0].figure, Some(expected));
        assert_eq!(file.report.regime, "regimes/cds");
    }

    #[test]
    fn the_agency_that_hands_it_over_is_named_as_people_name_units() {
        let file = read(r#""submitting_unit": "x/1:2026-05-14""#).unwrap();
        assert_eq!(file.submitting_unit, Some("x/1:2026-05-14".parse().unwrap()));
        assert!(read(r#""narrative": """#).unwrap().submitting_unit.is_none());
        assert!(read(r#""submitting_unit": "units/1""#).unwrap_err()[0].contains("units/1"));
    }

    #[test]
    fn every_bad_value_is_named() {
        let problems = read(
            r#""values": [{"indicator": "a", "count": 1}, {"indicator": "a", "cuont": 1},
                {"indicator": "a"}, {"indicator": "a", "count": 1, "text": "x"}, {"indicator": "a", "count": 1, "role": "x"}],
               "document": {"declared_periods": [{"period": "202605", "place": "margin"}]},
               "receipt": {"receive_time": "yesterday", "kind": "register", "reference": "12"}"#,
        );
        let problems = problems.unwrap_err();
        let begins = [
            "document.declared_periods[0]: there is no place \"margin\"",
            "receipt: \"yesterday\"",
            "values[1]: unknown field `cuont`",
            "values[2]: has not exactly one",
            "values[3]: has not exactly one",
            "values[4]: there is no role \"x\"",
        ];
        assert_eq!(problems.len(), begins.len(), "{problems:#?}");
        for (problem, begin) in problems.iter().zip(begins) {
            assert!(problem.starts_with(begin), "{problem}");
        }
    }

    #[test]
    fn a_document_that_is_no_json_says_where() {
        assert!(report(b"{\n  \"unit\": 24").unwrap_err()[0].contains("line 2"));
        assert!(read(r#""perod": 1"#).unwrap_err()[0].contains("unknown field `perod`"));
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
        for (twice, key) in [
            (r#""narrative": "a", "narrative": "a""#, "narrative"),
            (
                r#""values": [{"indicator": "a", "count": 1}, {"count": 1, "indicator": "a", "count": 2}]"#,
                "count",
            ),
            (r#""document": {"number": "1", "number": "2"}"#, "number"),
        ] {
            let [problem] = read(twice).unwrap_err().try_into().unwrap();
            let begin = format!("the key `{key}` stands twice at line 1 column ");
            assert!(problem.starts_with(&begin), "{problem}");
        }
    }
}
