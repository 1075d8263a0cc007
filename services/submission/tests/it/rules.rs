//! Rules of a form as a report meets them: what they block, what they know of earlier reports, and how a unit answers.

use dunghan_proto::submission as pb;
use dunghan_proto::submission::indicator::Kind;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use prost_types::FieldMask;
use tonic::{Code, Status};

use crate::world::{
    Client, client, count, create, decimal, forms, of, percent, ratio, reporter, send_back, start,
    submit, tri_qua, withdraw,
};

async fn publish(testing: &Testing, rules: &[(&str, pb::finding::Severity)]) {
    let indicators = ["a", "b", "c"].map(|key| pb::Indicator {
        key: key.to_owned(),
        display_name: format!("Chỉ tiêu {key}"),
        kind: Kind::Count.into(),
        required: key == "a",
        ..pb::Indicator::default()
    });
    let rules = rules.iter().enumerate().map(|(at, (expression, severity))| pb::Rule {
        key: format!("rule_{at}"),
        expression: (*expression).to_owned(),
        severity: (*severity).into(),
        message: "Số liệu không khớp.".to_owned(),
        message_en: "The figures do not fit.".to_owned(),
        ..pb::Rule::default()
    });
    let form = pb::Form {
        name: "forms/thu-1".to_owned(),
        display_name: "Báo cáo thử".to_owned(),
        legal_basis: "Công văn số 12/STTTT".to_owned(),
        indicators: indicators.into(),
        rules: rules.collect(),
        ..pb::Form::default()
    };
    let request = pb::CreateFormRequest { form: Some(form), ..pb::CreateFormRequest::default() };
    forms(testing, &["operator"]).create_form(request).await.unwrap();
}

fn report(period: &str, values: Vec<pb::Value>) -> pb::Report {
    pb::Report { values, ..of("on-thu-1", period) }
}

async fn update(client: &mut Client, report: pb::Report, path: &str) -> Result<pb::Report, Status> {
    let update_mask = Some(FieldMask { paths: vec![path.to_owned()] });
    let request = pb::UpdateReportRequest { report: Some(report), update_mask };
    Ok(client.update_report(request).await?.into_inner())
}

fn found(report: &pb::Report) -> Vec<(&str, &str)> {
    report.findings.iter().map(|one| (one.rule.as_str(), one.evidence.as_str())).collect()
}

use pb::finding::Severity::{Blocking, Warning};

#[tokio::test]
async fn what_blocks_keeps_a_report_from_being_handed_over_until_it_is_mended() {
    for engine in ENGINES {
        let testing = start(engine).await;
        publish(&testing, &[("v.a >= v.b", Blocking)]).await;
        let mut client = reporter(&testing, tri_qua());
        let sent = report("202605", vec![count("b", 2)]);
        let draft = create(&mut client, tri_qua(), sent).await.unwrap();
        assert_eq!(found(&draft), [("required_missing", "")]);
        let finding = &draft.findings[0];
        assert_eq!(finding.severity(), Blocking);
        assert_eq!(finding.message, "Thiếu số liệu bắt buộc “Chỉ tiêu a”.");
        assert_eq!(finding.message_en, "The required figure “Chỉ tiêu a” is missing.");
        let refused = submit(&mut client, &draft.name).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "BLOCKING_FINDINGS".to_owned());
        assert_eq!(refusal(&refused), expected);

        let low = pb::Report { values: vec![count("a", 1), count("b", 2)], ..draft.clone() };
        let edited = update(&mut client, low, "values").await.unwrap();
        assert_eq!(found(&edited), [("rule_0", "1 < 2")]);
        let refused = submit(&mut client, &draft.name).await.unwrap_err();
        assert_eq!(fields(&refused), ["values[0]"]);

        let mended = pb::Report { values: vec![count("a", 2), count("b", 2)], ..edited };
        update(&mut client, mended, "values").await.unwrap();
        submit(&mut client, &draft.name).await.unwrap();
    }
}

#[tokio::test]
async fn targets_and_figures_that_are_mentioned_block_nothing_and_approximate_ones_are_there() {
    use pb::value::{Qualifier, Role};
    let testing = start(Engine::Sqlite).await;
    publish(&testing, &[("!has(v.b) || has(v.c)", Blocking), ("v.a >= v.b", Blocking)]).await;
    let mut client = reporter(&testing, tri_qua());
    let values = vec![
        count("a", 1),
        pb::Value { role: Role::Target.into(), ..count("b", 5) },
        pb::Value { role: Role::Context.into(), ..count("b", 4) },
    ];
    let draft = create(&mut client, tri_qua(), report("202605", values)).await.unwrap();
    assert_eq!(found(&draft), []);
    let values = vec![
        count("a", 1),
        count("b", 1),
        pb::Value { qualifier: Qualifier::About.into(), ..count("c", 5) },
    ];
    let edited = pb::Report { values, ..draft.clone() };
    assert_eq!(found(&update(&mut client, edited, "values").await.unwrap()), []);
    submit(&mut client, &draft.name).await.unwrap();
}

#[tokio::test]
async fn a_choice_is_the_same_one_however_its_form_encodes_it() {
    let testing = start(Engine::Sqlite).await;
    let choice = pb::Indicator {
        key: "d".to_owned(),
        display_name: "Có triển khai".to_owned(),
        kind: Kind::Choice.into(),
        choices: vec!["Co\u{301}".to_owned(), "Kho\u{302}ng".to_owned()],
        ..pb::Indicator::default()
    };
    let rule = pb::Rule {
        key: "d".to_owned(),
        expression: "v.d == 'Co\u{301}'".to_owned(),
        severity: Blocking.into(),
        message: "Chưa triển khai.".to_owned(),
        ..pb::Rule::default()
    };
    let form = pb::Form {
        name: "forms/thu-1".to_owned(),
        display_name: "Báo cáo thử".to_owned(),
        legal_basis: "Công văn số 12/STTTT".to_owned(),
        indicators: vec![choice],
        rules: vec![rule],
        ..pb::Form::default()
    };
    let request = pb::CreateFormRequest { form: Some(form), ..pb::CreateFormRequest::default() };
    forms(&testing, &["operator"]).create_form(request).await.unwrap();
    let mut client = reporter(&testing, tri_qua());
    let chosen = |choice: &str| pb::Value {
        indicator: "d".to_owned(),
        figure: Some(pb::value::Figure::Choice(choice.to_owned())),
        ..pb::Value::default()
    };
    let draft = report("202605", vec![chosen("Có")]);
    let draft = create(&mut client, tri_qua(), draft).await.unwrap();
    assert_eq!(found(&draft), []);
    let other = report("202604", vec![chosen("Không")]);
    let other = create(&mut client, tri_qua(), other).await.unwrap();
    assert_eq!(found(&other), [("d", "“Không” ≠ “Có”")]);
}

#[tokio::test]
async fn nothing_is_asked_of_a_report_that_says_nothing_occurred() {
    let testing = start(Engine::Sqlite).await;
    publish(&testing, &[("has(v.a)", Blocking)]).await;
    let mut client = reporter(&testing, tri_qua());
    let nil = pb::SubmitNilReportRequest {
        parent: tri_qua().to_string(),
        regime: "regimes/on-thu-1".to_owned(),
        period: "202605".to_owned(),
        ..pb::SubmitNilReportRequest::default()
    };
    let report = client.submit_nil_report(nil).await.unwrap().into_inner();
    let rules: Vec<_> = found(&report).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, ["document.number_missing", "document.date_missing"]);
}

#[tokio::test]
async fn a_rule_knows_what_was_handed_over_for_earlier_periods_when_it_is_judged() {
    for engine in ENGINES {
        let testing = start(engine).await;
        publish(&testing, &[("v.a == previous.b", Warning), ("v.c == year.c + v.b", Blocking)])
            .await;
        let mut client = reporter(&testing, tri_qua());
        let figures = |a, b, c| vec![count("a", a), count("b", b), count("c", c)];
        let january = report("202601", figures(1, 2, 2));
        let january = create(&mut client, tri_qua(), january).await.unwrap();
        assert_eq!(found(&january), []);
        let february = report("202602", figures(3, 4, 6));
        let february = create(&mut client, tri_qua(), february).await.unwrap();
        // A draft says nothing yet.
        assert_eq!(found(&february), []);
        submit(&mut client, &january.name).await.unwrap();
        // Now it is known, at the next check.
        let edited = update(&mut client, february.clone(), "narrative").await.unwrap();
        assert_eq!(found(&edited), [("rule_0", "3 ≠ 2")]);
        assert_eq!(edited.findings[0].message_en, "The figures do not fit.");
        let february = submit(&mut client, &february.name).await.unwrap();
        assert_eq!(found(&february), [("rule_0", "3 ≠ 2")]);

        let march = report("202603", figures(4, 1, 8));
        let march = create(&mut client, tri_qua(), march).await.unwrap();
        // 2 and 6 before, and 1 now.
        assert_eq!(found(&march), [("rule_1", "8 ≠ 8 + 1 = 9")]);
        assert!(submit(&mut client, &march.name).await.is_err());
        // A year is added up whole, or not at all.
        withdraw(&mut client, &january.name).await.unwrap();
        let march = submit(&mut client, &march.name).await.unwrap();
        assert_eq!(found(&march), []);
        let mut supervisor = crate::world::client(&testing, &["supervisor"]);
        send_back(&mut supervisor, &march.name, "2026-12-01").await.unwrap();
        let april = report("202604", figures(9, 1, 1));
        let april = create(&mut client, tri_qua(), april).await.unwrap();
        // What was sent back is being mended.
        assert_eq!(found(&april), []);
    }
}

#[tokio::test]
async fn what_divides_by_zero_is_told_and_blocks_nothing() {
    let testing = start(Engine::Sqlite).await;
    publish(&testing, &[("v.a / v.b >= 2", Blocking)]).await;
    let mut client = reporter(&testing, tri_qua());
    let sent = report("202605", vec![count("a", 4), count("b", 0)]);
    let draft = create(&mut client, tri_qua(), sent).await.unwrap();
    assert_eq!(found(&draft), [("rule_0", "v.a / v.b >= 2")]);
    assert_eq!(draft.findings[0].severity(), Warning);
    submit(&mut client, &draft.name).await.unwrap();
}

#[tokio::test]
async fn a_finding_names_its_figures_with_their_sentences_and_keeps_its_key() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let quoted = |value: pb::Value, quote: &str| pb::Value { quote: quote.to_owned(), ..value };
    let signed = pb::Value {
        stated_percent: Some(decimal("99.99")),
        ..ratio("documents_issued_digitally_signed", 17_236, 17_307)
    };
    let signed = quoted(signed, "17.236/17.307 văn bản đạt 99,99 %");
    let total = quoted(count("documents_issued_total", 17_300), "17.300 văn bản");
    let sent =
        pb::Report { values: vec![signed.clone(), total.clone()], ..of("cds-month", "202605") };
    let draft = create(&mut client, tri_qua(), sent).await.unwrap();
    let rules: Vec<_> = draft.findings.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(rules, ["percent_recomputed", "denominator_contradicts"]);
    let involved: Vec<_> = draft.findings[1]
        .values
        .iter()
        .map(|one| (one.field.as_str(), one.figure.as_str(), one.quote.as_str()))
        .collect();
    assert_eq!(
        involved,
        [
            ("values[0]", "17.236/17.307 (99,99 %)", "17.236/17.307 văn bản đạt 99,99 %"),
            ("values[1]", "17.300", "17.300 văn bản"),
        ]
    );
    assert_ne!(draft.findings[0].key, draft.findings[1].key);
    // In another place, and with another figure.
    let mended = pb::Value { stated_percent: Some(decimal("99.9")), ..signed };
    let moved = pb::Report { values: vec![total, mended], ..draft.clone() };
    let edited = update(&mut client, moved, "values").await.unwrap();
    let keys = |report: &pb::Report| -> Vec<_> {
        report.findings.iter().map(|one| one.key.clone()).collect()
    };
    assert_eq!(keys(&edited), keys(&draft));
    assert_eq!(edited.findings[0].field, "values[1]");
    // A list leaves sentences out, wherever they stand.
    let listed = client.list_reports(pb::ListReportsRequest::default()).await.unwrap().into_inner();
    let quotes = listed.reports[0].findings.iter().flat_map(|one| &one.values);
    assert!(quotes.into_iter().all(|one| one.quote.is_empty()));
}

#[tokio::test]
async fn each_stated_percentage_says_how_it_stands_to_its_parts() {
    use pb::Discrepancy::{
        ComplementAdjusted, Exact, Rounded, Truncated, Undefined, Unspecified, Wrong,
    };
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let stated = |value: pb::Value, stated: &str| pb::Value {
        stated_percent: Some(decimal(stated)),
        ..value
    };
    let about = pb::Value {
        qualifier: pb::value::Qualifier::About.into(),
        ..stated(ratio("documents_outgoing_electronic", 1, 3), "33")
    };
    let values = [
        (count("dossiers_received_total", 550), Unspecified),
        (stated(ratio("dossiers_received_online", 465, 550), "84.54"), Truncated),
        (stated(ratio("dossiers_received_direct", 85, 550), "15.46"), ComplementAdjusted),
        (stated(ratio("feedback_handled", 5, 5), "100"), Exact),
        (stated(ratio("people_with_eid", 2, 3), "66.7"), Rounded),
        (stated(ratio("documents_issued_digitally_signed", 17_236, 17_307), "99.99"), Wrong),
        (stated(ratio("dossiers_overdue_total_actual", 0, 0), "0"), Undefined),
        // A count, and the whole that is stated elsewhere.
        (stated(count("dossiers_one_stop", 55), "10"), Exact),
        (percent("staff_with_computer", "100"), Unspecified),
        (about, Unspecified),
    ];
    let sent = values.iter().map(|(value, _)| value.clone()).collect();
    let sent = pb::Report { values: sent, ..of("cds-month", "202605") };
    let report = create(&mut client, tri_qua(), sent).await.unwrap();
    for (value, (_, expected)) in report.values.iter().zip(&values) {
        assert_eq!(value.discrepancy(), *expected, "{}", value.indicator);
    }
    let told = report.findings.iter().filter(|one| one.rule == "percent_recomputed");
    assert_eq!(told.count(), 4);
}

fn answer(finding_key: &str, text: &str) -> pb::Justification {
    pb::Justification { finding_key: finding_key.to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn an_answer_to_a_finding_travels_with_the_report_until_the_finding_is_mended() {
    for engine in ENGINES {
        let testing = start(engine).await;
        publish(&testing, &[("v.a >= v.b", Warning), ("v.a >= v.c", Warning)]).await;
        let mut client = reporter(&testing, tri_qua());
        let sent = report("202605", vec![count("a", 1), count("b", 2), count("c", 3)]);
        let draft = create(&mut client, tri_qua(), sent).await.unwrap();
        assert_eq!(draft.findings.len(), 2);
        let text = "Số liệu lấy từ hệ thống của tỉnh.";
        let justifications = draft.findings.iter().map(|one| answer(&one.key, text)).collect();
        let answered = pb::Report { justifications, ..draft.clone() };
        let answered = update(&mut client, answered, "justifications").await.unwrap();
        assert!(answered.findings.iter().all(|one| one.justification == text));
        assert_eq!(answered.values, draft.values);

        // One finding is mended, and both answers are sent again: what is moot goes with its finding.
        let values = vec![count("a", 2), count("b", 2), count("c", 3)];
        let mended = pb::Report { values, ..answered.clone() };
        let mended = update(&mut client, mended, "*").await.unwrap();
        assert_eq!(mended.findings.len(), 1);
        assert_eq!(mended.justifications, [answer(&answered.findings[1].key, text)]);
        assert_eq!(mended.findings[0].justification, text);
        // What another change leaves alone stays.
        let mended = update(&mut client, mended, "narrative").await.unwrap();
        assert_eq!(mended.justifications.len(), 1);

        let key = mended.findings[0].key.clone();
        for (sent, reason, field) in [
            (
                vec![answer(&key, text), answer("elsewhere", text)],
                "UNKNOWN_FINDING",
                "[1].finding_key",
            ),
            // Of a finding that was mended before.
            (vec![answer(&answered.findings[0].key, text)], "UNKNOWN_FINDING", "[0].finding_key"),
            (vec![answer("", text)], "REQUIRED_FIELD_MISSING", "[0].finding_key"),
            (vec![answer(&key, " ")], "REQUIRED_FIELD_MISSING", "[0].text"),
            (vec![answer(&key, &"ơ".repeat(2001))], "TOO_LONG", "[0].text"),
            (vec![answer(&key, "a\0")], "INVALID_FIELD", "[0].text"),
            (vec![answer(&key, text); 2], "DUPLICATE_VALUE", "[1].finding_key"),
            (vec![answer(&key, text); 201], "TOO_LONG", ""),
        ] {
            let wrong = pb::Report { justifications: sent, ..mended.clone() };
            let refused = update(&mut client, wrong, "justifications").await.unwrap_err();
            assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()), "{field}");
            assert_eq!(fields(&refused)[0], format!("report.justifications{field}"));
        }
        let submitted = submit(&mut client, &draft.name).await.unwrap();
        assert_eq!(submitted.justifications, mended.justifications);
        let none = create(
            &mut client,
            tri_qua(),
            pb::Report {
                justifications: vec![answer(&key, text)],
                ..report("202604", vec![count("a", 1)])
            },
        );
        assert_eq!(refusal(&none.await.unwrap_err()).1, "UNKNOWN_FINDING");
    }
}

#[tokio::test]
async fn a_report_of_two_thousand_figures_is_checked_by_five_hundred_rules() {
    let testing = start(Engine::Sqlite).await;
    let key = |at: usize| format!("k{at}");
    let indicators = (0..500).map(|at| pb::Indicator {
        key: key(at),
        display_name: key(at),
        kind: Kind::Count.into(),
        ..pb::Indicator::default()
    });
    let rules = (0..500).map(|at| pb::Rule {
        key: key(at),
        expression: format!("v.k{at} <= v.k{}", (at + 1) % 500),
        message: "Sai.".to_owned(),
        ..pb::Rule::default()
    });
    let form = pb::Form {
        name: "forms/thu-1".to_owned(),
        display_name: "Báo cáo thử".to_owned(),
        legal_basis: "Công văn số 12/STTTT".to_owned(),
        indicators: indicators.collect(),
        rules: rules.collect(),
        ..pb::Form::default()
    };
    let request = pb::CreateFormRequest { form: Some(form), ..pb::CreateFormRequest::default() };
    forms(&testing, &["operator"]).create_form(request).await.unwrap();
    let mut client = client(&testing, &["importer"]);
    let values = (0..2000).map(|at| pb::Value {
        category: format!("Dòng {}", at / 500),
        ..count(&key(at % 500), (at % 500).try_into().unwrap())
    });
    let report = report("202605", values.collect());
    let report = create(&mut client, tri_qua(), report).await.unwrap();
    // The last of each row is greater than the first.
    assert_eq!(found(&report), [("k499", "499 > 0"); 4]);
}
