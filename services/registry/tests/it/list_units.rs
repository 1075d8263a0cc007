//! ListUnits and ListDescendants.

use dunghan_proto::registry as pb;
use dunghan_testkit::{ENGINES, fields, refusal};
use tonic::Code;

use crate::{Client, city, client, codes, date, imported, name, start, tree};

async fn list(client: &mut Client, request: pb::ListUnitsRequest) -> pb::ListUnitsResponse {
    client.list_units(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn units_are_listed_by_code_level_and_parent_as_of_a_date() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut reader = client(&testing, "reader");
        let all = list(&mut reader, pb::ListUnitsRequest::default()).await;
        assert_eq!(codes(&all.units), ["09427", "09430", "09433", "24", ""]);
        assert_eq!((all.total_size, all.hierarchy_version), (5, 1));
        assert_eq!(all.next_page_token, "");

        let before = pb::ListUnitsRequest {
            as_of_date: date("2025-06-30"),
            levels: vec![pb::Level::Province.into(), pb::Level::District.into()],
            ..Default::default()
        };
        assert_eq!(codes(&list(&mut reader, before).await.units), ["24", "262", "27"]);
        let children =
            pb::ListUnitsRequest { parent_unit: name("24", "2025-07-01"), ..Default::default() };
        assert_eq!(
            codes(&list(&mut reader, children).await.units),
            ["09427", "09430", "09433", ""]
        );
        let children = pb::ListUnitsRequest {
            parent_unit: name("27", ""),
            as_of_date: date("2025-06-30"),
            ..Default::default()
        };
        assert_eq!(codes(&list(&mut reader, children).await.units), ["262"]);

        let below = pb::ListDescendantsRequest {
            name: name("27", ""),
            as_of_date: date("2025-06-30"),
            ..Default::default()
        };
        let below_all = reader.list_descendants(below.clone()).await.unwrap().into_inner();
        assert_eq!(codes(&below_all.units), ["09421", "09427", "262"]);
        let communes =
            pb::ListDescendantsRequest { levels: vec![pb::Level::Commune.into()], ..below };
        let communes = reader.list_descendants(communes).await.unwrap().into_inner();
        assert_eq!((communes.total_size, codes(&communes.units)), (2, vec!["09421", "09427"]));
    }
}

#[tokio::test]
async fn pages_follow_one_another_and_serve_their_own_call_only() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut reader = client(&testing, "reader");
        let request = pb::ListUnitsRequest { page_size: 2, ..Default::default() };
        let first = list(&mut reader, request.clone()).await;
        assert_eq!((codes(&first.units), first.total_size), (vec!["09427", "09430"], 5));
        let next =
            pb::ListUnitsRequest { page_token: first.next_page_token.clone(), ..request.clone() };

        // A listing that is under way at midnight, or while the day's news comes in, goes on as of the day on which it began.
        imported(&testing, vec![city()]).await;
        testing.clock.set("2025-06-30T00:00:00Z".parse().unwrap());
        let second = list(&mut reader, next.clone()).await;
        assert_eq!(codes(&second.units), ["09433", "24"]);
        let last = pb::ListUnitsRequest { page_token: second.next_page_token, ..request.clone() };
        let last = list(&mut reader, last).await;
        assert_eq!((codes(&last.units), last.next_page_token.as_str()), (vec![""], ""));

        let other =
            pb::ListUnitsRequest { levels: vec![pb::Level::Commune.into()], ..next.clone() };
        let nonsense = pb::ListUnitsRequest { page_token: "abc".to_owned(), ..request.clone() };
        for bad in [other, nonsense] {
            let refused = reader.list_units(bad).await.unwrap_err();
            assert_eq!(refusal(&refused), (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned()));
        }
        let another_call = pb::ListDescendantsRequest {
            name: name("24", "2025-07-01"),
            page_token: next.page_token,
            ..Default::default()
        };
        let refused = reader.list_descendants(another_call).await.unwrap_err();
        assert_eq!(fields(&refused), ["page_token"]);
        let negative = pb::ListUnitsRequest { page_size: -1, ..Default::default() };
        assert_eq!(fields(&reader.list_units(negative).await.unwrap_err()), ["page_size"]);
    }
}

#[tokio::test]
async fn what_cannot_be_listed_is_refused() {
    let testing = start(ENGINES[0]).await;
    imported(&testing, tree()).await;
    let mut reader = client(&testing, "reader");
    for levels in [vec![0], vec![99]] {
        let request = pb::ListUnitsRequest { levels: levels.clone(), ..Default::default() };
        assert_eq!(fields(&reader.list_units(request).await.unwrap_err()), ["levels"]);
        let request =
            pb::ListDescendantsRequest { name: name("24", ""), levels, ..Default::default() };
        assert_eq!(fields(&reader.list_descendants(request).await.unwrap_err()), ["levels"]);
    }
    // The same level again and again asks for nothing more, and costs nothing more.
    let repeated = pb::ListUnitsRequest { levels: vec![3; 100_000], ..Default::default() };
    let once = pb::ListUnitsRequest { levels: vec![3], page_size: 1, ..Default::default() };
    let token = reader.list_units(once).await.unwrap().into_inner().next_page_token;
    let next = pb::ListUnitsRequest { page_token: token, ..repeated };
    assert_eq!(reader.list_units(next).await.unwrap().into_inner().total_size, 3);
    let parent = pb::ListUnitsRequest { parent_unit: "24".to_owned(), ..Default::default() };
    assert_eq!(fields(&reader.list_units(parent).await.unwrap_err()), ["parent_unit"]);
    for (unit, reason) in
        [(name("99", ""), "UNIT_NOT_FOUND"), (name("24", ""), "UNIT_NOT_VALID_ON_DATE")]
    {
        let request = pb::ListUnitsRequest { parent_unit: unit.clone(), ..Default::default() };
        let refused = reader.list_units(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, reason.to_owned()));
        let request = pb::ListDescendantsRequest { name: unit, ..Default::default() };
        let refused = reader.list_descendants(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, reason.to_owned()));
    }
}
