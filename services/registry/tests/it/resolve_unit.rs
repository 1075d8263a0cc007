//! GetUnit and ResolveUnit.

use dunghan_proto::registry as pb;
use dunghan_testkit::{ENGINES, fields, refusal};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{by_code, by_name, city, client, codes, date, imported, name, start, tree};

#[tokio::test]
async fn a_unit_is_what_it_is_on_the_date() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut rows = tree();
        rows.push(city());
        imported(&testing, rows).await;
        let mut reader = client(&testing, "reader");
        let bac_ninh = name("24", "2025-07-01");
        let get =
            |as_of: &str| pb::GetUnitRequest { name: bac_ninh.clone(), as_of_date: date(as_of) };

        let province = reader.get_unit(get("2026-09-19")).await.unwrap().into_inner();
        assert_eq!(
            province,
            pb::Unit {
                name: bac_ninh.clone(),
                display_name: "Tỉnh Bắc Ninh".to_owned(),
                kind: pb::Kind::Tinh.into(),
                level: pb::Level::Province.into(),
                parent_unit: String::new(),
                statistics_code: "24".to_owned(),
                identifiers: vec![pb::Identifier {
                    scheme: "nso".to_owned(),
                    value: "24".to_owned()
                }],
                valid_from_date: date("2025-07-01"),
                valid_through_date: date("2026-09-19"),
                uncertain: false,
                hierarchy_version: 1,
            }
        );
        // Without a date: today, by the clock of Viet Nam.
        let city = reader.get_unit(get("")).await.unwrap().into_inner();
        assert_eq!((city.name.as_str(), city.kind()), (bac_ninh.as_str(), pb::Kind::ThanhPho));
        testing.clock.set("2026-09-19T16:59:59Z".parse().unwrap());
        assert_eq!(reader.get_unit(get("")).await.unwrap().into_inner().kind(), pb::Kind::Tinh);
        testing.clock.set("2026-09-19T17:00:00Z".parse().unwrap());
        assert_eq!(reader.get_unit(get("")).await.unwrap().into_inner().kind(), pb::Kind::ThanhPho);

        let legacy = pb::GetUnitRequest { name: name("09421", ""), as_of_date: date("2025-06-30") };
        let legacy = reader.get_unit(legacy).await.unwrap().into_inner();
        assert!(legacy.uncertain);
        assert_eq!(legacy.parent_unit, name("262", ""));
    }
}

#[tokio::test]
async fn a_unit_that_is_not_there_is_told_from_one_that_is_on_other_dates() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut reader = client(&testing, "reader");
        let unknown = pb::GetUnitRequest { name: name("99", ""), as_of_date: None };
        let unknown = reader.get_unit(unknown).await.unwrap_err();
        assert_eq!(refusal(&unknown), (Code::NotFound, "UNIT_NOT_FOUND".to_owned()));

        let early =
            pb::GetUnitRequest { name: name("24", "2025-07-01"), as_of_date: date("2025-06-30") };
        let early = reader.get_unit(early).await.unwrap_err();
        assert_eq!(refusal(&early), (Code::NotFound, "UNIT_NOT_VALID_ON_DATE".to_owned()));
        let info = early.get_details_error_info().unwrap();
        assert_eq!(info.domain, "dunghan.registry");
        assert_eq!(info.metadata["valid"], "2025-07-01/..");
        assert_eq!(info.metadata["as_of_date"], "2025-06-30");

        for (bad, field) in [("24", "name"), ("", "name"), ("units/24", "name")] {
            let request = pb::GetUnitRequest { name: bad.to_owned(), as_of_date: None };
            let refused = reader.get_unit(request).await.unwrap_err();
            assert_eq!(
                (refused.code(), fields(&refused)),
                (Code::InvalidArgument, vec![field.to_owned()])
            );
        }
        let mut request =
            pb::GetUnitRequest { name: name("24", ""), as_of_date: date("2025-06-30") };
        request.as_of_date.as_mut().unwrap().day = 31;
        let refused = reader.get_unit(request).await.unwrap_err();
        assert_eq!(fields(&refused), ["as_of_date"]);
    }
}

#[tokio::test]
async fn a_code_means_another_unit_on_another_date() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut reader = client(&testing, "reader");
        let before = by_code(&mut reader, "09427", "2025-06-30").await.unwrap();
        let after = by_code(&mut reader, "09427", "2025-07-01").await.unwrap();
        assert_eq!(
            (before.display_name.as_str(), before.name),
            ("Phường Thanh Khương", name("09427", ""))
        );
        assert_eq!(
            (after.display_name.as_str(), after.name),
            ("Phường Trí Quả", name("09427", "2025-07-01"))
        );

        let ended = by_code(&mut reader, "262", "2025-07-01").await.unwrap_err();
        assert_eq!(refusal(&ended), (Code::NotFound, "CODE_NOT_VALID_ON_DATE".to_owned()));
        let metadata = ended.get_details_error_info().unwrap().metadata;
        assert_eq!(metadata["held"], format!("{} ../2025-06-30", name("262", "")));
        let unknown = by_code(&mut reader, "99999", "").await.unwrap_err();
        assert_eq!(refusal(&unknown), (Code::NotFound, "CODE_NOT_FOUND".to_owned()));
    }
}

#[tokio::test]
async fn a_code_and_a_name_can_be_looked_for_below_a_unit() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut reader = client(&testing, "reader");
        let bac_ninh = name("24", "2025-07-01");

        // Accents tell the names apart; without them both come, and other schemes' units are there too.
        assert_eq!(codes(&by_name(&mut reader, "Đại Đồng", "", "").await)[0], "09430");
        assert_eq!(
            codes(&by_name(&mut reader, "dai dong", "", &bac_ninh).await),
            ["09430", "09433"]
        );
        let found = by_name(&mut reader, "sở khcn bắc ninh", "", "").await;
        assert_eq!(found, []);
        let found = by_name(&mut reader, "khoa học và công nghệ", "", &bac_ninh).await;
        assert_eq!((found.len(), codes(&found)), (1, vec![""]));
        // The unit itself is not below itself, and what is elsewhere is not either.
        assert_eq!(by_name(&mut reader, "Tỉnh Bắc Ninh", "", &bac_ninh).await, []);
        assert_eq!(by_name(&mut reader, "Trí Quả", "2025-06-30", &name("24", "")).await, []);

        let code = |code: &str, below: &str| pb::ResolveUnitRequest {
            query: Some(pb::resolve_unit_request::Query::Identifier(pb::Identifier {
                scheme: "nso".to_owned(),
                value: code.to_owned(),
            })),
            as_of_date: None,
            ancestor_unit: below.to_owned(),
        };
        let found = reader.resolve_unit(code("09427", &bac_ninh)).await.unwrap().into_inner();
        assert_eq!(found.units.len(), 1);
        for (value, below, reason) in [
            ("24", bac_ninh.as_str(), "CODE_NOT_FOUND"),
            ("24", &name("09427", "2025-07-01"), "CODE_NOT_FOUND"),
            ("09427", &name("27", ""), "UNIT_NOT_VALID_ON_DATE"),
        ] {
            let refused = reader.resolve_unit(code(value, below)).await.unwrap_err();
            assert_eq!(refusal(&refused), (Code::NotFound, reason.to_owned()));
        }
    }
}

#[tokio::test]
async fn what_is_not_asked_for_rightly_is_refused_by_field() {
    let testing = start(ENGINES[0]).await;
    let mut reader = client(&testing, "reader");
    use pb::resolve_unit_request::Query;
    let identifier = |scheme: &str, value: &str| {
        let identifier = pb::Identifier { scheme: scheme.to_owned(), value: value.to_owned() };
        Some(Query::Identifier(identifier))
    };
    for (query, field) in [
        (None, "query"),
        (Some(Query::DisplayName(" ".to_owned())), "display_name"),
        (Some(Query::DisplayName("x".repeat(201))), "display_name"),
        (identifier("", "24"), "identifier.scheme"),
        (identifier("nso", ""), "identifier.value"),
    ] {
        let request = pb::ResolveUnitRequest { query, ..Default::default() };
        let refused = reader.resolve_unit(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
}

#[tokio::test]
async fn an_answer_says_how_many_fit_equally_well_and_which_version_it_is_of() {
    let testing = start(ENGINES[0]).await;
    imported(&testing, tree()).await;
    let homonyms = (1..=25).map(|number| {
        let code = format!("100{number:02}");
        crate::row(&code, "Xã Tân Lập", "24", "2025-07-01", "")
    });
    imported(&testing, homonyms.collect()).await;
    let mut reader = client(&testing, "reader");
    use pb::resolve_unit_request::Query;
    let by_name = |name: &str| Some(Query::DisplayName(name.to_owned()));
    let code = pb::Identifier { scheme: "nso".to_owned(), value: "09427".to_owned() };
    for (query, best, found) in [
        // With its accents one of two fits better, without them both do alike.
        (by_name("Xã Đại Đồng"), 1, 2),
        (by_name("xa dai dong"), 2, 2),
        // More homonyms than an answer has room for.
        (by_name("Tân Lập"), 20, 20),
        (by_name("Không Có Đâu"), 0, 0),
        (Some(Query::Identifier(code)), 1, 1),
    ] {
        let request = pb::ResolveUnitRequest { query: query.clone(), ..Default::default() };
        let answer = reader.resolve_unit(request).await.unwrap().into_inner();
        assert_eq!((answer.best_count, answer.units.len()), (best, found), "{query:?}");
        assert_eq!(answer.hierarchy_version, 2);
        assert!(answer.units.iter().all(|unit| unit.hierarchy_version == 2));
    }
}
