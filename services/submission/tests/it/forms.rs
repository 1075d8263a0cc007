use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::submission as pb;
use dunghan_testkit::{Engine, fields, refusal};
use tonic::Code;

use crate::world::{client, forms, start};

#[tokio::test]
async fn forms_are_listed_by_name_and_read_one_by_one() {
    let testing = start(Engine::Sqlite).await;
    let mut reader = forms(&testing, &["reader"]);
    let page = pb::ListFormsRequest { page_size: 1, page_token: String::new() };
    let first = reader.list_forms(page).await.unwrap().into_inner();
    let page = pb::ListFormsRequest { page_size: 1, page_token: first.next_page_token };
    let second = reader.list_forms(page).await.unwrap().into_inner();
    let page = pb::ListFormsRequest { page_size: 1, page_token: second.next_page_token.clone() };
    let third = reader.list_forms(page).await.unwrap().into_inner();
    assert_eq!((first.forms.len(), second.forms.len(), third.forms.len()), (1, 1, 1));
    assert_eq!(first.forms[0].name, "forms/cds-1");
    assert_eq!(second.forms[0].name, "forms/ii06a-1");
    assert_eq!(third.forms[0].name, "forms/text-1");
    assert_eq!((third.forms[0].indicators.len(), third.next_page_token.as_str()), (0, ""));

    let name = "forms/cds-1".to_owned();
    let form = reader.get_form(pb::GetFormRequest { name }).await.unwrap().into_inner();
    assert_eq!(form, first.forms[0]);
    let online = form.indicators.iter().find(|i| i.key == "dossiers_received_online").unwrap();
    assert_eq!(online.denominator_indicator, "dossiers_received_total");
    assert_eq!(online.kind(), pb::indicator::Kind::Count);
    assert_eq!(
        (form.tables[0].key.as_str(), form.tables[0].total_category.as_str()),
        ("ii06a", "Tổng số")
    );
    let rules: Vec<_> = form.rules.iter().map(|rule| rule.key.as_str()).collect();
    assert_eq!(
        rules,
        [
            "ii06a.3.received",
            "ii06a.3.processed",
            "ii06a.7",
            "ii06a.11",
            "dossiers_balance",
            "dossiers_balance_at_least",
            "carry_over_missing",
            "carry_over_follows"
        ]
    );
    assert!(form.rules.iter().all(|rule| !rule.message_en.is_empty()));
    assert_eq!(form.sections.len(), 8);
    assert_eq!((online.section.as_str(), online.unit_of_measure.as_str()), ("dossiers", "hồ sơ"));
    assert_eq!(online.roll_up(), pb::indicator::RollUp::Sum);
    assert_eq!((form.create_time, form.retire_time), (None, None));
}

#[tokio::test]
async fn a_form_that_there_is_not_is_not_found() {
    let testing = start(Engine::Sqlite).await;
    let mut reader = forms(&testing, &["reader"]);
    for (name, code, reason) in [
        ("forms/cds-9", Code::NotFound, "UNKNOWN_FORM"),
        ("cds-1", Code::InvalidArgument, "INVALID_FIELD"),
        ("forms/", Code::InvalidArgument, "INVALID_FIELD"),
    ] {
        let request = pb::GetFormRequest { name: name.to_owned() };
        let refused = reader.get_form(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (code, reason.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn a_position_that_nobody_gave_is_refused() {
    let testing = start(Engine::Sqlite).await;
    let mut service = client(&testing, &["service"]);
    let request = ListEventsRequest { after: "x".to_owned(), ..ListEventsRequest::default() };
    let refused = service.list_events(request).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Code::InvalidArgument);
    assert_eq!(fields(&refused), ["after"]);
}
