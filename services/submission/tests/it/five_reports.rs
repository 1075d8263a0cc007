//! The figures of five real reports, and what the checks have to find in them: no less and no more.

use dunghan_hierarchy::UnitId;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::declared_period::Place;
use dunghan_rpc::field;
use dunghan_testkit::Engine;

use crate::world::{
    Client, client, count, create, dai_hop, date, decimal, percent, phong_phung_hiep, phung_hiep,
    phuong_1, ratio, start, town_of_binh_duong, tri_qua,
};

const FIGURES: &str = include_str!("five_reports.csv");

struct Head {
    report: &'static str,
    regime: &'static str,
    period: &'static str,
    number: &'static str,
    symbol: &'static str,
    date: &'static str,
    declared: &'static [(&'static str, Place)],
    unit: fn() -> UnitId,
    agency: Option<fn() -> UnitId>,
    units: &'static [(&'static str, Place)],
}

const HEADS: [Head; 5] = [
    Head {
        report: "000",
        regime: "cds-nine",
        period: "2024N9",
        number: "",
        symbol: "BC-UBND",
        date: "",
        declared: &[
            ("2024S1", Place::Opening),
            ("2024N9", Place::Body),
            ("2024N9", Place::Closing),
        ],
        unit: phuong_1,
        agency: None,
        units: &[
            ("Phường 9", Place::Title),
            ("UBND Phường 1", Place::Opening),
            ("Phường 9", Place::Closing),
        ],
    },
    Head {
        report: "001",
        regime: "cds-month",
        period: "202605",
        number: "103",
        symbol: "BC-UBND",
        date: "2026-05-18",
        declared: &[
            ("202605", Place::Title),
            ("202605", Place::Opening),
            ("202605", Place::Closing),
        ],
        unit: tri_qua,
        agency: None,
        units: &[],
    },
    Head {
        report: "002",
        regime: "supervision",
        period: "2023-01-01--2024-05-31",
        number: "",
        symbol: "BC-UBND",
        date: "",
        declared: &[("2023-01-01--2024-05-31", Place::Opening), ("2024S1", Place::Body)],
        unit: town_of_binh_duong,
        agency: None,
        units: &[
            ("UBND thị trấn Bình Dƣơng", Place::Title),
            ("UBND thị trấn Bình Dương", Place::Opening),
        ],
    },
    Head {
        report: "003",
        regime: "cds-year",
        period: "2023",
        number: "",
        symbol: "",
        date: "",
        declared: &[("2023", Place::Title), ("2023", Place::Opening)],
        unit: dai_hop,
        agency: None,
        units: &[("xã Đại Hợp", Place::Title), ("Ủy ban nhân dân xã Đại Hợp", Place::Opening)],
    },
    Head {
        report: "004",
        regime: "cds-six",
        period: "2024S1",
        number: "",
        symbol: "",
        date: "",
        declared: &[("2024S1", Place::Title), ("2024S1", Place::Closing)],
        unit: phung_hiep,
        agency: Some(phong_phung_hiep),
        units: &[("Phòng Văn hóa và Thông Tin huyên Phụng Hiệp", Place::Opening)],
    },
];

impl Head {
    fn report(&self, values: Vec<pb::Value>) -> pb::Report {
        let declared = self.declared.iter().map(|(period, place)| pb::DeclaredPeriod {
            period: (*period).to_owned(),
            place: (*place).into(),
        });
        let units = self.units.iter().map(|(display_name, place)| pb::DeclaredUnit {
            display_name: (*display_name).to_owned(),
            place: (*place).into(),
        });
        pb::Report {
            submitting_unit: self.agency.map(|unit| unit().to_string()).unwrap_or_default(),
            regime: format!("regimes/{}", self.regime),
            period: self.period.to_owned(),
            document: Some(pb::Document {
                number: self.number.to_owned(),
                symbol: self.symbol.to_owned(),
                document_date: self.date.parse().ok().map(field::pb_date),
                declared_periods: declared.collect(),
                declared_units: units.collect(),
            }),
            values,
            ..pb::Report::default()
        }
    }
}

/// The figures of one report, as this project keeps them.
fn figures(report: &str) -> Vec<pb::Value> {
    let rows = FIGURES.lines().skip(1).map(|line| line.split(';').collect::<Vec<_>>());
    let rows = rows.filter(|row| row[0] == report);
    rows.map(|row| {
        let [_, indicator, category, role, start, end, qualifier, n, part, whole, of_100, stated] =
            row[..]
        else {
            panic!("{row:?}")
        };
        let value = match (n, part, of_100) {
            (n, "", "") => count(indicator, n.parse().unwrap()),
            ("", part, "") => ratio(indicator, part.parse().unwrap(), whole.parse().unwrap()),
            _ => percent(indicator, of_100),
        };
        let day = |text: &str| (!text.is_empty()).then(|| field::pb_date(date(text)));
        let role = format!("ROLE_{}", role.to_uppercase());
        let qualifier = format!("QUALIFIER_{}", qualifier.to_uppercase());
        pb::Value {
            category: category.to_owned(),
            role: pb::value::Role::from_str_name(&role).unwrap().into(),
            start_date: day(start),
            end_date: day(end),
            qualifier: pb::value::Qualifier::from_str_name(&qualifier).unwrap_or_default().into(),
            stated_percent: (!stated.is_empty()).then(|| decimal(stated)),
            ..value
        }
    })
    .collect()
}

/// Each finding in short: how bad, the rule, what it is about, the kind of discrepancy, and the evidence.
async fn found(client: &mut Client, unit: UnitId, report: pb::Report) -> Vec<String> {
    let report = create(client, unit, report).await.unwrap();
    let short = |finding: &pb::Finding| {
        let at = finding.field.strip_prefix("values[").and_then(|at| at.strip_suffix(']'));
        let about = match at.map(|at| &report.values[at.parse::<usize>().unwrap()]) {
            Some(value) => &value.indicator,
            None => &finding.field,
        };
        let severity = finding.severity().as_str_name().trim_start_matches("SEVERITY_");
        let kind = finding.discrepancy().as_str_name().trim_start_matches("DISCREPANCY_");
        let kind = if kind == "UNSPECIFIED" { "" } else { kind };
        format!("{severity} {} {about} {kind}| {}", finding.rule, finding.evidence)
    };
    report.findings.iter().map(short).collect()
}

fn expected(report: &str) -> &'static [&'static str] {
    match report {
        "000" => &[
            "ERROR document.number_missing document.number | Số: …/BC-UBND",
            "ERROR document.date_missing document.document_date | ",
            "ERROR period.declared_disagrees document.declared_periods[0].period | \
             phần mở đầu ghi 6 tháng đầu năm 2024; kỳ báo cáo là 9 tháng đầu năm 2024",
            "ERROR unit.declared_disagrees document.declared_units[0].display_name | \
             tiêu đề ghi “Phường 9”; đơn vị báo cáo là Phường 1",
            "ERROR unit.declared_disagrees document.declared_units[2].display_name | \
             phần kết ghi “Phường 9”; đơn vị báo cáo là Phường 1",
            "INFO percent_without_denominator dossiers_of_published_procedures | báo cáo ghi 100 %",
            "WARNING percent_recomputed dossiers_resolved_late_actual UNDEFINED| \
             0/0; báo cáo ghi 0 %",
            "ERROR denominator_contradicts dossiers_resolved_late_actual | \
             mẫu số ghi 0; “Hồ sơ đã giải quyết” ghi 1.291",
            "WARNING percent_recomputed dossiers_overdue_total_actual UNDEFINED| \
             0/0; báo cáo ghi 0 %",
        ],
        "001" => &[
            "INFO percent_recomputed dossiers_received_online TRUNCATED| \
             465/550 = 84,55 %; báo cáo ghi 84,54 %",
            "INFO percent_recomputed dossiers_received_direct COMPLEMENT_ADJUSTED| \
             85/550 = 15,45 %; báo cáo ghi 15,46 %",
            "WARNING carry_over_missing dossiers_received_total | \
             “Hồ sơ tiếp nhận trong kỳ”: có số liệu; “Hồ sơ đã giải quyết”: có số liệu; \
             “Hồ sơ từ kỳ trước chuyển sang”: không có số liệu; \
             “Số hồ sơ cần giải quyết (gồm cả từ kỳ trước chuyển sang)”: không có số liệu",
            "WARNING window_mismatch documents_issued_total | \
             số liệu đến 15/05/2026; tháng 5 năm 2026 chốt ngày 14/05/2026",
        ],
        "002" => &[
            "ERROR document.number_missing document.number | Số: …/BC-UBND",
            "ERROR document.date_missing document.document_date | ",
            "WARNING period.declared_disagrees document.declared_periods[1].period | \
             phần nội dung ghi 6 tháng đầu năm 2024; \
             kỳ báo cáo là từ 01/01/2023 đến 31/05/2024",
            "INFO percent_recomputed people_with_eid_level2 TRUNCATED| \
             3.794/4.433 = 85,59 %; báo cáo ghi 85 %",
        ],
        "003" => &[
            "ERROR document.number_missing document.number | ",
            "ERROR document.date_missing document.document_date | ",
            "INFO percent_without_denominator staff_with_computer | báo cáo ghi 100 %",
            "INFO percent_without_denominator documents_issued_digitally_signed | \
             báo cáo ghi 100 %",
            "ERROR cut_offs_inconsistent portal_visits | \
             ngày chốt (số lượng số liệu): 28/11/2023 (6), 29/11/2023 (3), 30/11/2023 (3)",
            "WARNING window_mismatch portal_posts_digital_transformation | \
             số liệu từ 01/01/2023; năm 2023 tính từ 15/12/2022",
            "WARNING window_short portal_visits | \
             số liệu đến 30/11/2023; năm 2023 chốt ngày 14/12/2023",
        ],
        _ => &[
            "ERROR document.number_missing document.number | ",
            "ERROR document.date_missing document.document_date | ",
            "ERROR percent_recomputed documents_issued_digitally_signed WRONG| \
             17.236/17.307 = 99,59 %; báo cáo ghi 99,99 %",
            "ERROR percent_impossible computers_connected_internet | \
             báo cáo ghi khoảng trên 100 %",
            "WARNING window_short dossiers_received_online | \
             số liệu đến 18/05/2024; 6 tháng đầu năm 2024 chốt ngày 14/06/2024",
        ],
    }
}

#[tokio::test]
async fn the_checks_find_what_is_wrong_with_five_real_reports() {
    let testing = start(Engine::Sqlite).await;
    let mut client = client(&testing, &["importer"]);
    for head in HEADS {
        let report = head.report(figures(head.report));
        let found = found(&mut client, (head.unit)(), report).await;
        assert_eq!(found, expected(head.report), "{}", head.report);
    }
}

#[tokio::test]
async fn a_regime_that_leaves_the_cut_off_to_the_report_finds_none_short() {
    let testing = start(Engine::Sqlite).await;
    let mut client = client(&testing, &["importer"]);
    let head = Head { regime: "cds-six-declared", ..HEADS[4] };
    let report = pb::Report {
        declared_cut_off_date: Some(field::pb_date(date("2024-05-18"))),
        ..head.report(figures("004"))
    };
    let found = found(&mut client, (head.unit)(), report).await;
    let (_, but_the_last) = expected("004").split_last().unwrap();
    assert_eq!(found, but_the_last);
}

/// The labels that the figures were taken from, where the folder that holds them stands beside the project.
fn labels() -> Option<serde_json::Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/seeds/gold.json");
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        eprintln!("skipped: the labelled reports are not beside the project");
    }
    text.map(|text| serde_json::from_str(&text).unwrap())
}

/// The figures of one report as they were labelled, each with its sentence.
fn labelled(labels: &serde_json::Value, report: &str) -> Vec<pb::Value> {
    let mut values: Vec<pb::Value> = Vec::new();
    for label in labels["records"].as_array().unwrap() {
        let text = |key: &str| label[key].as_str().unwrap_or_default();
        if text("seed") != report {
            continue;
        }
        let day = |key: &str| text(key).parse().ok().map(field::pb_date);
        let indicator = text("indicator");
        let value = match (text("unit"), label["denominator"].as_i64()) {
            ("percent", _) => percent(indicator, &label["value"].to_string()),
            (_, Some(whole)) => ratio(indicator, label["numerator"].as_i64().unwrap(), whole),
            (_, None) => count(indicator, label["value"].as_i64().unwrap()),
        };
        let beside = label["stated_percent"].as_number().filter(|_| text("unit") != "percent");
        let role = format!("ROLE_{}", text("role").to_uppercase());
        let qualifier = match text("qualifier") {
            ">" => pb::value::Qualifier::MoreThan,
            "~" => pb::value::Qualifier::About,
            "~>" => pb::value::Qualifier::AboutMoreThan,
            _ => pb::value::Qualifier::Unspecified,
        };
        let category = match label["breakdown"]["field"].as_str().unwrap_or_default() {
            "TOTAL" => "Tổng số",
            "Bảo Trợ Xã Hội" => "Bảo trợ xã hội",
            row => row,
        };
        let value = pb::Value {
            category: category.to_owned(),
            role: pb::value::Role::from_str_name(&role).unwrap().into(),
            start_date: day("period_start"),
            end_date: day("period_end"),
            qualifier: qualifier.into(),
            stated_percent: beside.map(|stated| decimal(&stated.to_string())),
            quote: text("quote").to_owned(),
            ..value
        };
        // Two sentences may say the same; one of them may say it with a percentage.
        let same = values.iter_mut().find(|other| {
            let key = |value: &pb::Value| {
                let pb::Value { indicator, category, role, start_date, end_date, .. } =
                    value.clone();
                (indicator, category, role, start_date, end_date)
            };
            key(other) == key(&value)
        });
        match same {
            Some(same) if value.stated_percent.is_some() => *same = value,
            Some(_) => {}
            None => values.push(value),
        }
    }
    values
}

#[tokio::test]
async fn the_figures_kept_here_are_those_that_were_labelled() {
    let Some(labels) = labels() else { return };
    let testing = start(Engine::Sqlite).await;
    let mut client = client(&testing, &["importer"]);
    let mut count = 0;
    for head in HEADS {
        let labelled = labelled(&labels, head.report);
        count += labelled.len();
        let without_quotes = labelled.iter().cloned();
        let without_quotes: Vec<_> =
            without_quotes.map(|value| pb::Value { quote: String::new(), ..value }).collect();
        assert_eq!(without_quotes, figures(head.report), "{}", head.report);
        let found = found(&mut client, (head.unit)(), head.report(labelled)).await;
        assert_eq!(found, expected(head.report), "{}", head.report);
    }
    // 194, of which two are said twice.
    assert_eq!(count, 192);
}

/// What a careful reader found wrong with values and heads, and the finding that tells it: the reader's number for it, the rule, and
/// what it is about.
const FOUND: [(&str, &str, &str); 23] = [
    ("000-A01", "document.number_missing", "document.number"),
    ("000-A02", "document.date_missing", "document.document_date"),
    ("000-A03", "unit.declared_disagrees", "document.declared_units[0].display_name"),
    ("000-A04", "period.declared_disagrees", "document.declared_periods[0].period"),
    ("000-A06", "percent_recomputed", "dossiers_overdue_total_actual"),
    ("000-A07", "denominator_contradicts", "dossiers_resolved_late_actual"),
    ("000-A08", "percent_without_denominator", "dossiers_of_published_procedures"),
    ("001-A01", "percent_recomputed", "dossiers_received_online"),
    ("001-A02", "percent_recomputed", "dossiers_received_direct"),
    ("001-A04", "window_mismatch", "documents_issued_total"),
    ("001-A06", "carry_over_missing", "dossiers_received_total"),
    ("002-A01", "document.number_missing", "document.number"),
    ("002-A02", "document.date_missing", "document.document_date"),
    ("002-A04", "percent_recomputed", "people_with_eid_level2"),
    ("002-A08", "period.declared_disagrees", "document.declared_periods[1].period"),
    ("003-A01", "document.number_missing", "document.number"),
    ("003-A02", "cut_offs_inconsistent", "portal_visits"),
    ("003-A03", "window_short", "portal_visits"),
    ("003-A10", "percent_without_denominator", "staff_with_computer"),
    ("004-A01", "percent_recomputed", "documents_issued_digitally_signed"),
    ("004-A05", "percent_impossible", "computers_connected_internet"),
    ("004-A06", "window_short", "dossiers_received_online"),
    ("004-A07", "document.date_missing", "document.document_date"),
];

#[test]
fn what_a_careful_reader_found_in_values_and_heads_is_found() {
    for (id, rule, about) in FOUND {
        let report = id.split('-').next().unwrap_or_default();
        let told = format!(" {rule} {about} ");
        let found = expected(report).iter().any(|finding| finding.contains(&told));
        assert!(found, "{id} {told}");
    }
}

#[test]
fn no_error_of_the_careful_reader_is_left_out_unsaid() {
    let Some(labels) = labels() else { return };
    let text = |anomaly: &serde_json::Value, key: &str| anomaly[key].as_str().unwrap().to_owned();
    let anomalies = labels["anomalies"].as_array().unwrap();
    let errors = anomalies.iter().filter(|anomaly| text(anomaly, "severity") == "error");
    let errors: Vec<_> = errors.map(|anomaly| text(anomaly, "id")).collect();
    assert_eq!(errors.len(), 10);
    for id in &errors {
        assert!(FOUND.iter().any(|(own, ..)| own == id), "{id}");
    }
    for (id, ..) in FOUND {
        assert!(anomalies.iter().any(|anomaly| text(anomaly, "id") == id), "{id}");
    }
}

#[test]
fn no_arithmetic_error_is_invented_on_a_table_that_adds_up() {
    let rows = FIGURES.lines().filter(|line| line.starts_with("002;") && line.contains("Tổng số"));
    assert_eq!(rows.count(), 8);
    for finding in expected("002") {
        let of_form = ["table_total", "ii06a.", "dossiers_balance"];
        assert!(!of_form.iter().any(|rule| finding.contains(rule)), "{finding}");
    }
}
