use dunghan_calendar::Clock as _;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::indicator::{Kind, RollUp, Scope};
use dunghan_store::Database;
use dunghan_submission::domain::form::{Form, FormText, Published, Retired};
use dunghan_submission::store::{Reply, Store};
use dunghan_testkit::{ENGINES, Engine, Place, fields, refusal, start_at};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::world::{
    count, create, forms, metadata, new_request_id, now, of, percent, ratio, reporter, start,
    submit, suite, tri_qua,
};

fn indicator(key: &str, kind: Kind) -> pb::Indicator {
    pb::Indicator {
        key: key.to_owned(),
        display_name: format!("Chỉ tiêu {key}"),
        kind: kind.into(),
        ..pb::Indicator::default()
    }
}

fn rule(key: &str, expression: &str) -> pb::Rule {
    pb::Rule {
        key: key.to_owned(),
        expression: expression.to_owned(),
        message: "Số liệu không khớp.".to_owned(),
        ..pb::Rule::default()
    }
}

/// A form with an indicator of every kind, a closed table and a rule.
fn every_kind(name: &str) -> pb::Form {
    let column = |number: &str, indicator: &str| pb::Column {
        number: number.to_owned(),
        indicator: indicator.to_owned(),
    };
    pb::Form {
        name: name.to_owned(),
        display_name: "Báo cáo thử".to_owned(),
        legal_basis: "Công văn số 12/STTTT".to_owned(),
        sections: vec![pb::Section { key: "all".to_owned(), display_name: "Chung".to_owned() }],
        indicators: vec![
            pb::Indicator {
                section: "all".to_owned(),
                required: true,
                ..indicator("count", Kind::Count)
            },
            pb::Indicator {
                denominator_indicator: "count".to_owned(),
                ..indicator("part", Kind::Count)
            },
            indicator("stock", Kind::Stock),
            indicator("ratio", Kind::Ratio),
            indicator("percent", Kind::Percent),
            indicator("years", Kind::Years),
            pb::Indicator { scope: Scope::Subtree.into(), ..indicator("money", Kind::Money) },
            indicator("text", Kind::Text),
            pb::Indicator {
                choices: vec!["Có".to_owned(), "Không".to_owned()],
                ..indicator("choice", Kind::Choice)
            },
        ],
        tables: vec![pb::Table {
            key: "t".to_owned(),
            display_name: "Theo lĩnh vực".to_owned(),
            columns: vec![column("(1)", ""), column("(2)", "stock")],
            total_category: "Tổng số".to_owned(),
            categories: vec!["Hộ tịch".to_owned(), "Đất đai".to_owned()],
            open: false,
        }],
        rules: vec![rule("part", "v.part <= v.count")],
        ..pb::Form::default()
    }
}

fn request(form: pb::Form) -> pb::CreateFormRequest {
    pb::CreateFormRequest { form: Some(form), ..pb::CreateFormRequest::default() }
}

fn get(name: &str) -> pb::GetFormRequest {
    pb::GetFormRequest { name: name.to_owned() }
}

fn retire(name: &str) -> pb::RetireFormRequest {
    pb::RetireFormRequest {
        name: name.to_owned(),
        reason: "Có phiên bản mới.".to_owned(),
        ..pb::RetireFormRequest::default()
    }
}

fn figure(indicator: &str, figure: pb::value::Figure) -> pb::Value {
    let figure = Some(figure);
    pb::Value { indicator: indicator.to_owned(), figure, ..pb::Value::default() }
}

/// Each violation with its reason.
fn violations(status: &Status) -> Vec<(String, String)> {
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let short = |reason: &str| reason.trim_start_matches("ERROR_REASON_").to_owned();
    violations.into_iter().map(|one| (one.field, short(&one.reason))).collect()
}

#[tokio::test]
async fn a_form_that_is_published_is_read_and_reported_on_in_every_kind() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = forms(&testing, &["operator"]);
        let sent = every_kind("forms/thu-1");
        let made = operator.create_form(request(sent.clone())).await.unwrap().into_inner();
        assert_eq!(made.create_time, Some(dunghan_rpc::field::pb_time(now())));
        assert!(!made.author.is_empty());
        // What is not stated is as its kind says.
        let how = |key: &str| made.indicators.iter().find(|one| one.key == key).unwrap().roll_up();
        for (key, roll_up) in [
            ("count", RollUp::Sum),
            ("stock", RollUp::SumOfLast),
            ("ratio", RollUp::RatioOfSums),
            ("percent", RollUp::None),
            ("money", RollUp::Sum),
            ("text", RollUp::None),
        ] {
            assert_eq!(how(key), roll_up, "{key}");
        }
        assert_eq!((&made.tables, &made.sections), (&sent.tables, &sent.sections));
        assert_eq!(made.rules[0].severity(), pb::finding::Severity::Error);
        let mut reader = forms(&testing, &["reader"]);
        assert_eq!(reader.get_form(get("forms/thu-1")).await.unwrap().into_inner(), made);
        let listed = reader.list_forms(pb::ListFormsRequest::default()).await.unwrap().into_inner();
        let names: Vec<_> = listed.forms.iter().map(|form| form.name.as_str()).collect();
        assert_eq!(names, ["forms/cds-1", "forms/ii06a-1", "forms/text-1", "forms/thu-1"]);

        let mut client = reporter(&testing, tri_qua());
        let in_row = pb::Value { category: "Hộ tịch".to_owned(), ..count("stock", 4) };
        let values = vec![
            count("count", 10),
            count("part", 11),
            in_row,
            ratio("ratio", 1, 2),
            percent("percent", "12.50"),
            count("years", 5),
            figure("money", pb::value::Figure::Money(1_500_000)),
            figure("text", pb::value::Figure::Text("Chưa có kinh phí.".to_owned())),
            figure("choice", pb::value::Figure::Choice("Không".to_owned())),
        ];
        let report = pb::Report { values: values.clone(), ..of("on-thu-1", "202605") };
        let report = create(&mut client, tri_qua(), report).await.unwrap();
        let figures = |values: &[pb::Value]| -> Vec<_> {
            values.iter().map(|value| value.figure.clone()).collect()
        };
        assert_eq!(figures(&report.values), figures(&values));
        let found: Vec<_> = report.findings.iter().map(|one| one.rule.as_str()).collect();
        assert_eq!(found, ["part_exceeds_whole", "part"]);
        assert_eq!(report.findings[1].evidence, "11 > 10");
        submit(&mut client, &report.name).await.unwrap();
    }
}

#[tokio::test]
async fn a_figure_that_the_form_does_not_ask_for_is_refused_by_name() {
    let testing = start(Engine::Sqlite).await;
    forms(&testing, &["operator"]).create_form(request(every_kind("forms/thu-1"))).await.unwrap();
    let mut client = reporter(&testing, tri_qua());
    use pb::value::Figure::{Choice, Money, Text};
    for (value, reason, field) in [
        (figure("count", Text("mười".to_owned())), "WRONG_KIND", "text"),
        (figure("count", Money(10)), "WRONG_KIND", "money"),
        (figure("money", Money(-1)), "NEGATIVE_COUNT", "money"),
        (count("ratio", 1), "WRONG_KIND", "count"),
        (count("choice", 1), "WRONG_KIND", "count"),
        (percent("count", "1e308"), "NOT_A_NUMBER", "percent"),
        (percent("count", "10"), "WRONG_KIND", "percent"),
        (figure("choice", Choice("Có lẽ".to_owned())), "NOT_A_CHOICE", "choice"),
        (figure("choice", Choice(" ".to_owned())), "INVALID_VALUE", "choice"),
        (figure("choice", Choice("ơ".repeat(201))), "TOO_LONG", "choice"),
        (figure("text", Text(String::new())), "INVALID_VALUE", "text"),
        (figure("text", Text("a\0".to_owned())), "INVALID_FIELD", "text"),
        (
            pb::Value {
                stated_percent: Some(crate::world::decimal("5")),
                ..figure("text", Text("x".to_owned()))
            },
            "INVALID_VALUE",
            "stated_percent",
        ),
        (count("nothing", 1), "UNKNOWN_INDICATOR", "indicator"),
        (
            pb::Value { category: "Lâm nghiệp".to_owned(), ..count("stock", 1) },
            "UNKNOWN_CATEGORY",
            "category",
        ),
    ] {
        let report = pb::Report { values: vec![value], ..of("on-thu-1", "202605") };
        let refused = create(&mut client, tri_qua(), report).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&refused), [format!("report.values[0].{field}")], "{reason}");
    }
    // A choice is one however its letters are encoded.
    let choice = figure("choice", Choice(" Co\u{301} ".to_owned()));
    let report = pb::Report { values: vec![choice], ..of("on-thu-1", "202605") };
    let report = create(&mut client, tri_qua(), report).await.unwrap();
    assert_eq!(report.values[0].figure, Some(Choice("Có".to_owned())));
}

#[tokio::test]
async fn a_refusal_tells_the_first_of_many_choices() {
    let testing = start(Engine::Sqlite).await;
    let mut form = every_kind("forms/thu-1");
    form.indicators[8].choices = (1..=100).map(|at| format!("{}{at}", "ơ".repeat(190))).collect();
    forms(&testing, &["operator"]).create_form(request(form)).await.unwrap();
    let mut client = reporter(&testing, tri_qua());
    let choice = figure("choice", pb::value::Figure::Choice("Có".to_owned()));
    let report = pb::Report { values: vec![choice], ..of("on-thu-1", "202605") };
    let refused = create(&mut client, tri_qua(), report).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "NOT_A_CHOICE".to_owned()));
    let message = refused.message();
    assert!(message.contains("ơ1, ơ") && message.ends_with('…'), "{message}");
}

#[tokio::test]
async fn all_that_is_wrong_with_a_form_is_told_together_each_with_its_place() {
    let testing = start(Engine::Sqlite).await;
    let mut operator = forms(&testing, &["operator"]);
    let mut form = every_kind("forms/thu-1");
    form.indicators.push(indicator("count", Kind::Count));
    form.indicators[1].denominator_indicator = "whole".to_owned();
    form.indicators[4].roll_up = RollUp::Sum.into();
    form.tables[0].columns[1].indicator = "b".to_owned();
    form.rules = vec![
        rule("one", "v.count >"),
        rule("two", "v.count > 0 && v.nothing > 0"),
        rule("three", "v.count > v.choice"),
        rule("four", "v.count >= 0"),
        rule("five", &format!("v.count > 0 || v.count == {}", "1".repeat(2000))),
        rule("six", "[v.count].all(x, x > 0)"),
        rule("seven", "v.count"),
        rule("seven", "v.count > 1"),
        rule("eight", "v.percent < 1e23"),
        rule("nine", "v.choice == 'Co'"),
        rule("ten", &format!("'\\'' == v.choice && {}", "{".repeat(900))),
        rule("eleven", "v.count > 1 &&\n  v.part >"),
    ];
    for validate_only in [true, false] {
        let asked = pb::CreateFormRequest { validate_only, ..request(form.clone()) };
        let refused = operator.create_form(asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let told = violations(&refused);
        let told: Vec<_> =
            told.iter().map(|(field, reason)| (field.as_str(), reason.as_str())).collect();
        assert_eq!(
            told,
            [
                ("form.indicators[9].key", "DUPLICATE_KEY"),
                ("form.indicators[1].denominator_indicator", "UNKNOWN_INDICATOR"),
                ("form.indicators[4].roll_up", "INVALID_FIELD"),
                ("form.tables[0].columns[1].indicator", "UNKNOWN_INDICATOR"),
                ("form.rules[7].key", "DUPLICATE_KEY"),
                ("form.rules[0].expression", "INVALID_RULE"),
                ("form.rules[1].expression", "UNKNOWN_INDICATOR"),
                ("form.rules[2].expression", "RULE_WRONG_TYPE"),
                ("form.rules[3].expression", "RULE_CONSTANT"),
                ("form.rules[4].expression", "RULE_TOO_LARGE"),
                ("form.rules[5].expression", "INVALID_RULE"),
                ("form.rules[6].expression", "RULE_WRONG_TYPE"),
                ("form.rules[8].expression", "RULE_CONSTANT"),
                ("form.rules[9].expression", "RULE_WRONG_TYPE"),
                ("form.rules[10].expression", "INVALID_RULE"),
                ("form.rules[11].expression", "INVALID_RULE"),
            ]
        );
        let message = refused.message();
        assert!(
            message.contains("names nothing, which is no indicator of the form, at character 16"),
            "{message}"
        );
    }
    let none = operator.get_form(get("forms/thu-1")).await.unwrap_err();
    assert_eq!(refusal(&none), (Code::NotFound, "UNKNOWN_FORM".to_owned()));
}

#[tokio::test]
async fn what_does_not_read_is_refused_by_name() {
    type Spoil = fn(&mut pb::Form);
    const BAD: [(Spoil, &str, &str); 12] = [
        (|f| f.name.clear(), "REQUIRED_FIELD_MISSING", "form.name"),
        (|f| f.name = "thu-1".into(), "INVALID_FIELD", "form.name"),
        (|f| f.name = "forms/thu".into(), "INVALID_FIELD", "form.name"),
        (|f| f.name = "forms/Thu-1".into(), "INVALID_FIELD", "form.name"),
        (|f| f.display_name.clear(), "REQUIRED_FIELD_MISSING", "form.display_name"),
        (|f| f.legal_basis = "a".repeat(2001), "TOO_LONG", "form.legal_basis"),
        (|f| f.legal_basis = "a\0".into(), "INVALID_FIELD", "form.legal_basis"),
        (|f| f.indicators[0].kind = 0, "REQUIRED_FIELD_MISSING", "form.indicators[0].kind"),
        (|f| f.indicators[0].kind = 99, "INVALID_FIELD", "form.indicators[0].kind"),
        (|f| f.indicators = vec![f.indicators[0].clone(); 1001], "TOO_LONG", "form.indicators"),
        (|f| f.rules = vec![f.rules[0].clone(); 501], "TOO_LONG", "form.rules"),
        (|f| f.rules[0].message.clear(), "REQUIRED_FIELD_MISSING", "form.rules[0].message"),
    ];
    let testing = start(Engine::Sqlite).await;
    let mut operator = forms(&testing, &["operator"]);
    for (spoil, reason, field) in BAD {
        let mut form = every_kind("forms/thu-1");
        spoil(&mut form);
        let refused = operator.create_form(request(form)).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&refused)[0], field, "{reason}");
    }
    let none = operator.create_form(pb::CreateFormRequest::default()).await.unwrap_err();
    assert_eq!(fields(&none), ["form"]);
}

#[tokio::test]
async fn a_version_is_published_once_and_validated_without_a_trace() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = forms(&testing, &["operator"]);
        let tried =
            pb::CreateFormRequest { validate_only: true, ..request(every_kind("forms/thu-1")) };
        let tried = operator.create_form(tried).await.unwrap().into_inner();
        assert_eq!((tried.name.as_str(), tried.create_time), ("forms/thu-1", None));
        assert!(operator.get_form(get("forms/thu-1")).await.is_err());

        let asked = pb::CreateFormRequest {
            request_id: new_request_id(),
            ..request(every_kind("forms/thu-1"))
        };
        let made = operator.create_form(asked.clone()).await.unwrap().into_inner();
        testing.clock.advance(chrono::TimeDelta::hours(1));
        assert_eq!(operator.create_form(asked.clone()).await.unwrap().into_inner(), made);
        for name in ["forms/thu-1", "forms/cds-1"] {
            for validate_only in [true, false] {
                let asked = pb::CreateFormRequest { validate_only, ..request(every_kind(name)) };
                let refused = operator.create_form(asked).await.unwrap_err();
                let expected = (Code::AlreadyExists, "FORM_EXISTS".to_owned());
                assert_eq!(refusal(&refused), expected, "{name}");
                assert_eq!(metadata(&refused, "form"), name);
            }
        }
        operator.create_form(request(every_kind("forms/thu-2"))).await.unwrap();
    }
}

#[tokio::test]
async fn of_many_at_once_one_publishes_a_version() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut calls = tokio::task::JoinSet::new();
        for at in 0..6 {
            let mut operator = forms(&testing, &["operator"]);
            let form =
                pb::Form { display_name: format!("Bản {at}"), ..every_kind("forms/thu-1") };
            calls.spawn(async move { operator.create_form(request(form)).await });
        }
        let answers = calls.join_all().await;
        let made: Vec<_> = answers.iter().flatten().map(|made| made.get_ref().clone()).collect();
        assert_eq!(made.len(), 1, "{engine:?}");
        for refused in answers.into_iter().filter_map(Result::err) {
            assert_eq!(refusal(&refused).1, "FORM_EXISTS");
        }
        let mut reader = forms(&testing, &["reader"]);
        assert_eq!(reader.get_form(get("forms/thu-1")).await.unwrap().into_inner(), made[0]);
    }
}

#[tokio::test]
async fn on_a_retired_form_no_report_is_begun_and_those_begun_are_finished() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = forms(&testing, &["operator"]);
        operator.create_form(request(every_kind("forms/thu-1"))).await.unwrap();
        let mut client = reporter(&testing, tri_qua());
        for (form, regime, values) in [
            ("forms/thu-1", "on-thu-1", vec![count("count", 1)]),
            // One that came with the program.
            ("forms/cds-1", "cds-month", vec![count("portal_posts", 1)]),
        ] {
            let report = pb::Report { values, ..of(regime, "202605") };
            let draft = create(&mut client, tri_qua(), report.clone()).await.unwrap();
            let asked = pb::RetireFormRequest { request_id: new_request_id(), ..retire(form) };
            let retired = operator.retire_form(asked.clone()).await.unwrap().into_inner();
            assert_eq!(retired.retire_reason, "Có phiên bản mới.");
            assert_eq!(retired.retire_time, Some(dunghan_rpc::field::pb_time(testing.clock.now())));
            testing.clock.advance(chrono::TimeDelta::hours(1));
            // Again, by the same request or another: it stays retired since then.
            assert_eq!(operator.retire_form(asked).await.unwrap().into_inner(), retired);
            let other = pb::RetireFormRequest { reason: "Khác.".to_owned(), ..retire(form) };
            assert_eq!(operator.retire_form(other).await.unwrap().into_inner(), retired);
            assert_eq!(operator.get_form(get(form)).await.unwrap().into_inner(), retired);

            let refused = create(
                &mut client,
                tri_qua(),
                pb::Report { period: "202604".to_owned(), ..report },
            )
            .await
            .unwrap_err();
            let expected = (Code::FailedPrecondition, "FORM_RETIRED".to_owned());
            assert_eq!(refusal(&refused), expected);
            assert_eq!(metadata(&refused, "form"), form);
            submit(&mut client, &draft.name).await.unwrap();
        }
        let unknown = operator.retire_form(retire("forms/thu-9")).await.unwrap_err();
        assert_eq!(refusal(&unknown), (Code::NotFound, "UNKNOWN_FORM".to_owned()));
        let without = pb::RetireFormRequest { reason: String::new(), ..retire("forms/thu-1") };
        assert_eq!(fields(&operator.retire_form(without).await.unwrap_err()), ["reason"]);
    }
}

/// A form that reads, with that name and no indicator but one.
fn text_of(key: &str) -> FormText {
    let text = format!(
        "key = '{key}'\ndisplay_name = 'Báo cáo thử'\nlegal_basis = 'Công văn số 12/STTTT'\n\
         [[indicator]]\nkey = 'count'\ndisplay_name = 'Số lượng'\nkind = 'count'\n"
    );
    Form::read(&text).unwrap().text().clone()
}

#[tokio::test]
async fn what_another_process_publishes_or_retires_is_known_here_at_once() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let location = place.location.clone();
        let testing = start_at(suite(), place, now(), &[]).await;
        let mut client = reporter(&testing, tri_qua());
        let report =
            |period: &str| pb::Report { values: vec![count("count", 1)], ..of("on-thu-1", period) };
        let early = create(&mut client, tri_qua(), report("202604")).await.unwrap_err();
        assert_eq!(refusal(&early).1, "UNKNOWN_FORM");

        let other = Store::new(Database::open(&location, "submission").await.unwrap());
        let published = Published { at: now(), author: "lan".to_owned() };
        let none: Option<Reply<'_, pb::Form>> = None;
        other.form_insert(&text_of("thu-1"), &published, none).await.unwrap();
        let draft = create(&mut client, tri_qua(), report("202604")).await.unwrap();
        let mut operator = forms(&testing, &["operator"]);
        let known = operator.get_form(get("forms/thu-1")).await.unwrap().into_inner();
        assert_eq!(known.author, "lan");
        let again = operator.create_form(request(every_kind("forms/thu-1"))).await.unwrap_err();
        assert_eq!(refusal(&again).1, "FORM_EXISTS");

        let retired = Retired { at: now(), reason: "Có phiên bản mới.".to_owned() };
        let kept = other.form_retire("thu-1", "lan", &retired, None, |_| pb::Form::default());
        kept.await.unwrap();
        let late = create(&mut client, tri_qua(), report("202605")).await.unwrap_err();
        assert_eq!(refusal(&late).1, "FORM_RETIRED");
        submit(&mut client, &draft.name).await.unwrap();
    }
}

#[tokio::test]
async fn only_an_operator_publishes_and_retires() {
    let testing = start(Engine::Sqlite).await;
    for role in ["reader", "reporter", "supervisor", "importer"] {
        let mut others = forms(&testing, &[role]);
        let refused = others.create_form(request(every_kind("forms/thu-1"))).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Code::PermissionDenied, "{role}");
        let refused = others.retire_form(retire("forms/cds-1")).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Code::PermissionDenied, "{role}");
    }
}
