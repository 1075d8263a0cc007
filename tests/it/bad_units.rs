//! Reorganisations and lists of units that nobody should send: each is refused with its reason and by the field or the row
//! that is at fault, and nothing of it is applied.

use std::collections::BTreeSet;

use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::affected_obligation::Consequence;
use dunghan_proto::compliance::obligation::CloseReason;
use dunghan_proto::registry::RowOutcome;
use dunghan_proto::registry::change::Change;
use dunghan_proto::registry::unit_import::State;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::{compliance, registry as pb};
use dunghan_rpc::field;
use dunghan_testkit::{Testing, fields, import_row};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::bad_input::{busy, now, told, unfinished};
use crate::changes::{
    abolish, batch, existing, merge, named, new, on, preview, recode, rename, reorganisations,
    reorganise, split, transfer, under, version,
};
use crate::roll_up::{INDICATOR, add_up};
use crate::setting::{Setting, everywhere};
use crate::world::{
    BAC_NINH, Everything, PERIOD, REGIME, day, due, import, nowhere, obligation, put_in_force,
    regime, registry, report, row, start, start_over, submit, unit,
};

everywhere!(
    a_bad_reorganisation_is_refused_by_field_and_reason_and_changes_nothing,
    a_reorganisation_that_does_not_read_is_refused_by_its_field,
    a_batch_applies_all_or_none,
    a_day_in_a_closed_period_is_allowed_and_its_consequences_are_told_before,
    a_bad_list_is_refused_row_by_row_and_kept_with_its_outcomes,
    a_dry_run_changes_nothing_until_it_is_committed,
    a_list_that_has_become_bad_since_it_was_judged_is_not_committed,
    a_request_id_serves_one_list_of_rows,
    a_list_that_is_cut_off_is_not_even_kept,
);

/// When what these tests state takes effect: some days from now.
const DAY: &str = "2026-06-01";

fn merged(share: Option<pb::UnitReference>, into: Option<pb::Target>) -> Change {
    let shares = vec![pb::Share { unit: share, kind: 0 }];
    Change::Merge(pb::Merge { shares, into })
}

/// What is wrong, the changes, the reason, the code of the refusal, and the fields at fault.
type BadChanges = (&'static str, Vec<Change>, &'static str, Code, Vec<&'static str>);

fn bad_changes() -> Vec<BadChanges> {
    // Whatever the units are; and as they are.
    const ALONE: Code = Code::InvalidArgument;
    const AGAINST: Code = Code::FailedPrecondition;
    let [one, two, three, four, _] = BAC_NINH;
    vec![
        (
            "a merger into itself",
            vec![merge(&[two, one], existing(one))],
            "CHANGE_INTO_ITSELF",
            ALONE,
            vec!["changes[0].merge.shares[1].unit"],
        ),
        (
            "a part that becomes the whole",
            vec![split(one, vec![new("07211", "24"), existing(one)])],
            "CHANGE_INTO_ITSELF",
            ALONE,
            vec!["changes[0].split.portions[1].into.existing"],
        ),
        (
            "a unit under itself",
            vec![transfer("24", "24")],
            "CHANGE_INTO_ITSELF",
            ALONE,
            vec!["changes[0].transfer.parent"],
        ),
        (
            "a unit that there is not, by name",
            vec![merged(named(&nowhere()), existing(one))],
            "CHANGE_UNIT_NOT_VALID",
            AGAINST,
            vec!["changes[0].merge.shares[0].unit"],
        ),
        (
            "units that there are not, by code",
            vec![
                rename("99999", "Xã Không Có"),
                abolish("99998", ""),
                merge(&[one], existing("98")),
            ],
            "CHANGE_UNIT_NOT_VALID",
            AGAINST,
            vec![
                "changes[0].rename.unit",
                "changes[1].abolish.unit",
                "changes[2].merge.into.existing",
            ],
        ),
        (
            "a unit that has ended",
            vec![merge(&["09421"], existing(one))],
            "CHANGE_UNIT_NOT_VALID",
            AGAINST,
            vec!["changes[0].merge.shares[0].unit"],
        ),
        (
            "a parent that there is not",
            vec![transfer(one, "98"), merge(&[two], new("07211", "97"))],
            "PARENT_NOT_VALID",
            AGAINST,
            vec!["changes[0].transfer.parent", "changes[1].merge.into.new_unit.parent"],
        ),
        (
            "a parent that ends on the day",
            vec![abolish(two, ""), transfer(one, two)],
            "PARENT_NOT_VALID",
            AGAINST,
            vec!["changes[1].transfer.parent"],
        ),
        (
            "a unit that is merged twice",
            vec![merge(&[one], existing(two)), merge(&[one], existing(three))],
            "CHANGES_CONTRADICT",
            ALONE,
            vec!["changes[1].merge.shares[0].unit"],
        ),
        (
            "a unit that is merged twice in one merger",
            vec![merge(&[one, one], existing(two))],
            "CHANGES_CONTRADICT",
            ALONE,
            vec!["changes[0].merge.shares[1].unit"],
        ),
        (
            "two names at once",
            vec![rename(one, "Phường Một"), rename(one, "Phường Hai")],
            "CHANGES_CONTRADICT",
            ALONE,
            vec!["changes[1].rename.unit"],
        ),
        (
            "a name for a unit that ends",
            vec![rename(one, "Phường Một"), merge(&[one], existing(two))],
            "CHANGES_CONTRADICT",
            ALONE,
            vec!["changes[0].rename.unit"],
        ),
        (
            "two new units of one code",
            vec![merge(&[one], new("07211", "24")), merge(&[two], new("07211", "52"))],
            "CHANGES_CONTRADICT",
            ALONE,
            vec!["changes[1].merge.into.new_unit.identifier"],
        ),
        (
            "communes left under a province that ends",
            vec![abolish("52", "")],
            "CHILDREN_LEFT",
            AGAINST,
            vec!["changes[0].abolish.children_to"],
        ),
        (
            "communes left under a province that is split",
            vec![split("52", vec![new("53", ""), new("54", "")])],
            "CHILDREN_LEFT",
            AGAINST,
            vec!["changes[0].split.children_to"],
        ),
        (
            "a province under its commune",
            vec![transfer("24", one)],
            "CYCLE",
            AGAINST,
            vec!["changes[0].transfer.parent"],
        ),
        (
            "two provinces under each other",
            vec![transfer("24", "52"), transfer("52", "24")],
            "CYCLE",
            AGAINST,
            vec!["changes[0].transfer.parent", "changes[1].transfer.parent"],
        ),
        (
            "the code of another unit",
            vec![recode(one, two)],
            "CODE_TAKEN",
            AGAINST,
            vec!["changes[0].recode.value"],
        ),
        (
            "a new unit with the code of another",
            vec![merge(&[one], new(two, "24"))],
            "CODE_TAKEN",
            AGAINST,
            vec!["changes[0].merge.into.new_unit.identifier"],
        ),
        (
            "the end of a unit that changes later",
            vec![merge(&[four], existing(one))],
            "CHANGED_LATER",
            AGAINST,
            vec!["changes[0].merge.shares[0].unit"],
        ),
        (
            "the name that a unit has",
            vec![rename(one, "Đơn vị 07210")],
            "CHANGE_WITHOUT_EFFECT",
            AGAINST,
            vec!["changes[0].rename.unit"],
        ),
    ]
}

async fn a_bad_reorganisation_is_refused_by_field_and_reason_and_changes_nothing(setting: Setting) {
    let testing = busy(setting).await;
    let later = on("2026-09-01", vec![rename(BAC_NINH[3], "Xã Tam Tiến Mới")]);
    reorganise(&testing, "doi-ten", later).await.unwrap();
    let before = Everything::of(&testing).await;
    for (what, changes, reason, code, expected) in bad_changes() {
        let stated = on(DAY, changes);
        let refused = reorganise(&testing, "ban-sai", stated.clone()).await.unwrap_err();
        assert_eq!(told(&refused), (code, reason.to_owned()), "{what}: {refused:?}");
        let named = |place: &str| -> Vec<String> {
            expected.iter().map(|field| format!("{place}.{field}")).collect()
        };
        assert_eq!(fields(&refused), named("reorganisation"), "{what}: {refused:?}");
        // A preview says the same, and says it as an answer.
        let answer = preview(&testing, stated.clone()).await;
        let problems: Vec<_> = answer.problems.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(problems, expected, "{what}: {:?}", answer.problems);
        for problem in &answer.problems {
            assert_eq!(problem.reason().as_str_name(), format!("ERROR_REASON_{reason}"), "{what}");
            assert!(!problem.message.is_empty(), "{what}");
        }
        assert_eq!((answer.effects, answer.edges), (vec![], vec![]), "{what}");
        // So it does after a good one in a batch, which is not recorded either.
        let good = on(DAY, vec![rename(BAC_NINH[4], "Phường Trí Quả Mới")]);
        let both = vec![under("ban-dung", good), under("ban-sai", stated)];
        let refused = batch(&testing, both).await.unwrap_err();
        assert_eq!(told(&refused), (code, reason.to_owned()), "{what}: {refused:?}");
        assert_eq!(fields(&refused), named("requests[1].reorganisation"), "{what}");
    }
    before.must_be_all_of(&testing).await;
}

async fn a_reorganisation_that_does_not_read_is_refused_by_its_field(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let good = || on(DAY, vec![rename(BAC_NINH[0], "Phường Mới")]);
    let with = |change: fn(&mut pb::Reorganisation)| {
        let mut stated = good();
        change(&mut stated);
        stated
    };
    let missing = "REQUIRED_FIELD_MISSING";
    let invalid = "INVALID_FIELD";
    for (stated, reason, named) in [
        (with(|one| one.title.clear()), missing, "title"),
        (with(|one| one.title = " \n".to_owned()), missing, "title"),
        (with(|one| one.title = "T".repeat(501)), invalid, "title"),
        (with(|one| one.legal_basis.clear()), missing, "legal_basis"),
        (with(|one| one.effective_date = None), missing, "effective_date"),
        (
            with(|one| {
                let date = one.effective_date.as_mut().unwrap();
                (date.month, date.day) = (2, 30);
            }),
            invalid,
            "effective_date",
        ),
        (with(|one| one.source = "N".repeat(4001)), invalid, "source"),
        (with(|one| one.changes.clear()), missing, "changes"),
        (with(|one| one.changes.push(pb::Change::default())), missing, "changes[1].change"),
        (with(|one| one.corrects = "doi-ten".to_owned()), invalid, "corrects"),
        (
            on(DAY, vec![merged(named("units/07210"), existing(BAC_NINH[1]))]),
            invalid,
            "changes[0].merge.shares[0].unit.unit",
        ),
        (
            on(DAY, vec![merged(None, existing(BAC_NINH[1]))]),
            missing,
            "changes[0].merge.shares[0].unit",
        ),
        (
            on(DAY, vec![merge(&[BAC_NINH[0]], new("7211", "24"))]),
            invalid,
            "changes[0].merge.into.new_unit.identifier.value",
        ),
        (on(DAY, vec![rename(BAC_NINH[0], " ")]), missing, "changes[0].rename.display_name"),
    ] {
        let expected = (Code::InvalidArgument, reason.to_owned());
        let refused = reorganise(&testing, "ban-sai", stated.clone()).await.unwrap_err();
        assert_eq!(told(&refused), expected, "{named}: {refused:?}");
        assert_eq!(fields(&refused), [format!("reorganisation.{named}")]);
        let refused = batch(&testing, vec![under("ban-sai", stated)]).await.unwrap_err();
        assert_eq!(told(&refused), expected, "{named}: {refused:?}");
        assert_eq!(fields(&refused), [format!("requests[0].reorganisation.{named}")]);
    }

    let mut operator = reorganisations(&testing, &["operator"]);
    let long = "a".repeat(64);
    for id in ["abc", "Doi-ten", "doi_ten", "-doi-ten", "doi-ten-", "đổi-tên", &long] {
        let refused = reorganise(&testing, id, good()).await.unwrap_err();
        assert_eq!(told(&refused), (Code::InvalidArgument, invalid.to_owned()), "{id}");
        assert_eq!(fields(&refused), ["reorganisation_id"], "{id}");
        let name = format!("reorganisations/{id}");
        let get = pb::GetReorganisationRequest { name };
        let refused = operator.get_reorganisation(get).await.unwrap_err();
        assert_eq!(fields(&refused), ["name"], "{id}");
    }
    for request_id in ["1", "00000000-0000-0000-0000-000000000000"] {
        let request_id = request_id.to_owned();
        let request = pb::CreateReorganisationRequest { request_id, ..under("", good()) };
        let refused = operator.create_reorganisation(request).await.unwrap_err();
        assert_eq!(told(&refused), (Code::InvalidArgument, invalid.to_owned()));
        assert_eq!(fields(&refused), ["request_id"]);
    }
    let correcting =
        pb::Reorganisation { corrects: "reorganisations/khong-co".to_owned(), ..good() };
    let refused = reorganise(&testing, "sua-gi", correcting).await.unwrap_err();
    assert_eq!(told(&refused), (Code::NotFound, "REORGANISATION_NOT_FOUND".to_owned()));
    before.must_be_all_of(&testing).await;
}

async fn a_batch_applies_all_or_none(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let numbered = |number: usize| {
        let name = format!("Phường Số {number}");
        let stated = on(DAY, vec![rename(BAC_NINH[0], &name)]);
        let day = field::pb_date(day(DAY) + chrono::Days::new(number as u64));
        under(
            &format!("so-{number:03}"),
            pb::Reorganisation { effective_date: Some(day), ..stated },
        )
    };
    let numbered = |count: usize| (0..count).map(numbered).collect::<Vec<_>>();
    let refused = |requests| async {
        let refused = batch(&testing, requests).await.unwrap_err();
        (told(&refused), fields(&refused))
    };
    let by = |code, reason: &str, field: &str| ((code, reason.to_owned()), vec![field.to_owned()]);
    let (invalid, missing) = ("INVALID_FIELD", "REQUIRED_FIELD_MISSING");
    let alone = Code::InvalidArgument;
    assert_eq!(refused(numbered(201)).await, by(alone, invalid, "requests"));

    // The last one of many is about a unit that has ended by then.
    let mut last_bad = numbered(40);
    let bad = on("2027-01-01", vec![rename("09421", "Phường Đã Hết")]);
    last_bad.push(under("ban-sai", bad));
    let field = "requests[40].reorganisation.changes[0].rename.unit";
    let against = Code::FailedPrecondition;
    assert_eq!(refused(last_bad).await, by(against, "CHANGE_UNIT_NOT_VALID", field));

    let change = |change: fn(&mut pb::CreateReorganisationRequest)| {
        let mut requests = numbered(3);
        change(&mut requests[2]);
        requests
    };
    let without_id = change(|one| one.reorganisation_id.clear());
    assert_eq!(refused(without_id).await, by(alone, missing, "requests[2].reorganisation_id"));
    let twice = change(|one| one.reorganisation_id = "so-000".to_owned());
    assert_eq!(refused(twice).await, by(alone, invalid, "requests[2].reorganisation_id"));
    let nothing = change(|one| one.reorganisation = None);
    assert_eq!(refused(nothing).await, by(alone, missing, "requests[2].reorganisation"));
    let own_id = change(|one| one.request_id = Uuid::new_v4().to_string());
    assert_eq!(refused(own_id).await, by(alone, invalid, "requests[2].request_id"));
    before.must_be_all_of(&testing).await;

    let whole = batch(&testing, numbered(200)).await.unwrap();
    assert_eq!((whole.created_count, whole.reorganisations.len()), (200, 200));
    assert_eq!(version(&testing).await, before.hierarchy_version + 200);
    // Sent again with one that is another by now, nothing is recorded either.
    let mut another = numbered(200);
    another[199].reorganisation.as_mut().unwrap().title = "Khác".to_owned();
    let refused = batch(&testing, another).await.unwrap_err();
    assert_eq!(told(&refused), (Code::AlreadyExists, "REORGANISATION_EXISTS".to_owned()));
    assert_eq!(batch(&testing, numbered(200)).await.unwrap().created_count, 0);
    assert_eq!(version(&testing).await, before.hierarchy_version + 200);
}

/// What a reorganisation would mean for what is owed, asked as its preview says: the units and periods by consequence.
async fn consequences(
    testing: &Testing,
    stated: &pb::Reorganisation,
) -> Vec<(String, String, Consequence)> {
    use pb::UnitEffectKind::{Changed, Ended, PassedAlong};
    let answer = preview(testing, stated.clone()).await;
    assert_eq!(answer.problems, []);
    assert!(answer.retroactive);
    let of = |kinds: &[pb::UnitEffectKind]| -> Vec<String> {
        let effects = answer.effects.iter().filter(|one| kinds.contains(&one.kind()));
        effects.map(|one| one.before.as_ref().unwrap().name.clone()).collect()
    };
    let request = compliance::ListAffectedObligationsRequest {
        units: of(&[Ended]),
        changed_units: of(&[Changed, PassedAlong]),
        effective_date: stated.effective_date,
        ..Default::default()
    };
    let mut operator = crate::world::compliance(testing, &["operator"]);
    let listed = operator.list_affected_obligations(request).await.unwrap().into_inner();
    assert_eq!(listed.hierarchy_version, answer.hierarchy_version);
    let listed = listed.affected_obligations.into_iter().map(|one| {
        let obligation = one.obligation.as_ref().unwrap();
        (obligation.unit_code.clone(), obligation.period.clone(), one.consequence())
    });
    listed.collect()
}

async fn a_day_in_a_closed_period_is_allowed_and_its_consequences_are_told_before(
    setting: Setting,
) {
    let testing = start(setting, now()).await;
    put_in_force(&testing, regime()).await.unwrap();
    let [one, two, three, ..] = BAC_NINH;
    let of_one = submit(&testing, one, report(INDICATOR, Figure::Count(30))).await;
    submit(&testing, two, report(INDICATOR, Figure::Count(40))).await;
    let province = unit("24");
    testing.clock.set(due());

    // The cut-off of May was the 14th: by then these two would have been one, and the third elsewhere.
    let changes = vec![merge(&[one, two], new("07211", "24")), transfer(three, "52")];
    let stated = on("2026-05-10", changes);
    let before = Everything::of(&testing).await;
    let closed = [one, two, three].map(|code| (code, PERIOD, Consequence::ClosedPeriod));
    let gone = [one, two].map(|code| (code, "202606", Consequence::NoLongerOwed));
    let expected: BTreeSet<_> = closed
        .into_iter()
        .chain(gone)
        .map(|(code, period, what)| (code.to_owned(), period.to_owned(), what))
        .collect();
    let said = consequences(&testing, &stated).await;
    assert_eq!(said.len(), expected.len());
    assert_eq!(said.into_iter().collect::<BTreeSet<_>>(), expected);
    before.must_be_all_of(&testing).await;

    let rate = async || {
        let request = compliance::GetReportingRateRequest {
            scope: province.clone(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            read_time: None,
        };
        let mut operator = crate::world::compliance(&testing, &["operator"]);
        let rate = operator.get_reporting_rate(request).await.unwrap().into_inner();
        (rate.expected_reports, rate.actual_reports, rate.hierarchy_version)
    };
    let known = before.hierarchy_version;
    assert_eq!(rate().await, (5, 2, known));
    assert_eq!(add_up(&testing, "operator", &province).await.total, 70);
    let recorded = reorganise(&testing, "sap-nhap", stated).await.unwrap();
    assert_eq!(recorded.hierarchy_version, known + 1);
    // Answered anew: the merged one owes, the two do not and neither does the one that is elsewhere.
    assert_eq!(rate().await, (3, 0, known + 1));
    let sum = add_up(&testing, "operator", &province).await;
    assert_eq!((sum.total, sum.expected_count, sum.contributions.len()), (0, 3, 0));
    // What was handed in is kept all the same.
    let kept: Vec<_> = Everything::of(&testing).await.reports.into_iter().map(|r| r.name).collect();
    assert!(kept.contains(&of_one), "{kept:?}");
    let name = obligation(one);
    let request = compliance::ExplainObligationRequest { name, read_time: None };
    let mut operator = crate::world::compliance(&testing, &["operator"]);
    let explained = operator.explain_obligation(request).await.unwrap().into_inner();
    let gone = explained.obligation.unwrap();
    let why = (gone.standing(), gone.close_reason());
    assert_eq!(why, (Standing::Closed, CloseReason::UnitEnded));
    testing.stop().await;
}

/// What is wrong, the rows, and which of them are at fault by which field and for which reason.
type BadRows = (&'static str, Vec<pb::UnitRow>, Vec<(i32, &'static str, &'static str)>);

fn bad_rows() -> Vec<BadRows> {
    let from = |date: &str, row: pb::UnitRow| pb::UnitRow {
        valid_from_date: Some(field::pb_date(day(date))),
        ..row
    };
    let through = |date: &str, row: pb::UnitRow| pb::UnitRow {
        valid_through_date: Some(field::pb_date(day(date))),
        ..row
    };
    let called =
        |name: &str, row: pb::UnitRow| pb::UnitRow { display_name: name.to_owned(), ..row };
    let district = |code: &str, parent: &str| pb::UnitRow {
        kind: pb::Kind::Huyen.into(),
        level: pb::Level::District.into(),
        ..row(code, parent)
    };
    let school = |code: &str, parent: &str| pb::UnitRow {
        scheme: "truong".to_owned(),
        parent_scheme: "nso".to_owned(),
        kind: pb::Kind::School.into(),
        level: pb::Level::School.into(),
        ..row(code, parent)
    };
    let later_version = |row: pb::UnitRow| pb::UnitRow {
        origin_code: row.code.clone(),
        origin_date: Some(field::pb_date(day("2025-07-01"))),
        ..from(DAY, row)
    };
    vec![
        (
            "a parent that is missing three levels down",
            vec![
                row("30", ""),
                district("301", "30"),
                row("10001", "302"),
                school("TH.1", "10001"),
            ],
            vec![(3, "parent_code", "PARENT_NOT_VALID")],
        ),
        (
            "a parent that is missing three levels up",
            vec![school("TH.1", "10001"), row("10001", "301"), district("301", "97")],
            vec![(3, "parent_code", "PARENT_NOT_VALID")],
        ),
        (
            "districts in a ring",
            vec![
                district("301", "302"),
                district("302", "303"),
                district("303", "301"),
                row("10001", "303"),
            ],
            vec![
                (1, "parent_code", "CYCLE"),
                (2, "parent_code", "CYCLE"),
                (3, "parent_code", "CYCLE"),
            ],
        ),
        (
            "a province under its own commune",
            vec![later_version(row("24", BAC_NINH[0]))],
            vec![(1, "parent_code", "CYCLE")],
        ),
        (
            "two names on the same days",
            vec![
                through("2025-12-31", row("10001", "24")),
                called("Xã Một", later_version(row("10001", "24"))),
                pb::UnitRow {
                    origin_code: "10001".to_owned(),
                    origin_date: Some(field::pb_date(day("2025-07-01"))),
                    ..called(
                        "Xã Hai",
                        through("2026-06-30", from("2026-01-01", row("10001", "24"))),
                    )
                },
            ],
            vec![
                (2, "valid_from_date", "VALIDITY_OVERLAPS"),
                (3, "valid_from_date", "VALIDITY_OVERLAPS"),
            ],
        ),
        (
            "another name than is known of those days",
            vec![called("Xã Khác", row(BAC_NINH[1], "24"))],
            vec![(1, "valid_from_date", "VALIDITY_OVERLAPS")],
        ),
        (
            "a code on the same days twice",
            vec![row("10001", "24"), from("2025-08-01", row("10001", "52"))],
            vec![(1, "code", "CODE_TAKEN"), (2, "code", "CODE_TAKEN")],
        ),
        (
            "children that outlive their parent",
            vec![
                through("2025-12-31", district("301", "24")),
                row("10001", "301"),
                through("2025-12-31", row("10002", "301")),
            ],
            vec![(2, "parent_code", "PARENT_NOT_VALID")],
        ),
        (
            "the end of a province whose communes go on",
            vec![through("2026-05-31", row("52", ""))],
            vec![(1, "valid_through_date", "PARENT_NOT_VALID")],
        ),
    ]
}

async fn commit(testing: &Testing, name: &str) -> Result<pb::UnitImport, Status> {
    let request = pb::CommitUnitImportRequest { name: name.to_owned() };
    Ok(registry(testing, &["operator"]).commit_unit_import(request).await?.into_inner())
}

async fn fetch(testing: &Testing, name: &str) -> Result<pb::UnitImport, Status> {
    let request = pb::GetUnitImportRequest { name: name.to_owned() };
    Ok(registry(testing, &["operator"]).get_unit_import(request).await?.into_inner())
}

/// What became of each row of an import: where it stands, its outcome, the fields at fault.
async fn judged(testing: &Testing, name: &str) -> Vec<(i32, RowOutcome, Vec<String>)> {
    let request = pb::ListUnitImportRowsRequest {
        unit_import: name.to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    let mut operator = registry(testing, &["operator"]);
    let listed = operator.list_unit_import_rows(request).await.unwrap().into_inner();
    assert_eq!(listed.next_page_token, "");
    let rows = listed.rows.into_iter().map(|judged| {
        let outcome = judged.outcome();
        let fields = judged.problems.into_iter().map(|problem| problem.field).collect();
        (judged.row.unwrap().row, outcome, fields)
    });
    rows.collect()
}

async fn imports(testing: &Testing) -> Vec<pb::UnitImport> {
    let request = pb::ListUnitImportsRequest { page_size: 1000, ..Default::default() };
    let mut operator = registry(testing, &["operator"]);
    operator.list_unit_imports(request).await.unwrap().into_inner().unit_imports
}

/// Sends rows only to be judged, or under the id of a request.
async fn send(
    testing: &Testing,
    rows: Vec<pb::UnitRow>,
    request_id: &str,
    validate_only: bool,
) -> Result<pb::ImportUnitsResponse, Status> {
    let mut messages: Vec<_> = rows.into_iter().map(import_row).collect();
    messages[0].request_id = request_id.to_owned();
    messages[0].validate_only = validate_only;
    let mut operator = registry(testing, &["operator"]);
    Ok(operator.import_units(tokio_stream::iter(messages)).await?.into_inner())
}

async fn a_bad_list_is_refused_row_by_row_and_kept_with_its_outcomes(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    for (what, rows, expected) in bad_rows() {
        for validate_only in [true, false] {
            let count = i32::try_from(rows.len()).unwrap();
            let answer = send(&testing, rows.clone(), "", validate_only).await.unwrap();
            let problems: Vec<_> = answer
                .problems
                .iter()
                .map(|one| (one.row, one.field.as_str(), one.reason().as_str_name()))
                .map(|(row, field, reason)| (row, field, &reason["ERROR_REASON_".len()..]))
                .collect();
            assert_eq!(problems, expected, "{what}: {:#?}", answer.problems);
            assert!(answer.problems.iter().all(|one| !one.message.is_empty()), "{what}");
            assert_eq!((answer.received_count, answer.created_count), (count, 0), "{what}");

            let kept = fetch(&testing, &answer.unit_import).await.unwrap();
            let refused = expected.iter().map(|(row, ..)| row).collect::<BTreeSet<_>>().len();
            assert_eq!(kept.state(), State::Refused, "{what}");
            assert_eq!(kept.refused_count, i32::try_from(refused).unwrap(), "{what}");
            let judged = judged(&testing, &answer.unit_import).await;
            assert_eq!(judged.len(), rows.len(), "{what}");
            for (row, outcome, fields) in judged {
                let bad = expected.iter().filter(|(bad, ..)| *bad == row);
                let bad: Vec<_> = bad.map(|(_, field, _)| (*field).to_owned()).collect();
                assert_eq!(outcome == RowOutcome::Refused, !bad.is_empty(), "{what}: {row}");
                assert_eq!(fields, bad, "{what}: {row}");
            }
            let again = commit(&testing, &answer.unit_import).await.unwrap_err();
            let expected = (Code::FailedPrecondition, "UNIT_IMPORT_REFUSED".to_owned());
            assert_eq!(told(&again), expected, "{what}");
        }
    }
    before.must_be_all_of(&testing).await;
}

async fn a_dry_run_changes_nothing_until_it_is_committed(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let known = before.hierarchy_version;
    let rows = vec![row("10001", "24"), row(BAC_NINH[0], "24")];
    let answer = send(&testing, rows, "", true).await.unwrap();
    let counts = (answer.created_count, answer.unchanged_count, answer.hierarchy_version);
    assert_eq!((counts, &answer.problems), ((1, 1, known), &vec![]));
    before.must_be_all_of(&testing).await;
    let staged = fetch(&testing, &answer.unit_import).await.unwrap();
    assert_eq!((staged.state(), staged.commit_time), (State::Staged, None));
    let expected = [(1, RowOutcome::Creates, vec![]), (2, RowOutcome::Unchanged, vec![])];
    assert_eq!(judged(&testing, &answer.unit_import).await, expected);

    let committed = commit(&testing, &answer.unit_import).await.unwrap();
    assert_eq!((committed.state(), committed.hierarchy_version), (State::Committed, known + 1));
    assert_eq!(version(&testing).await, known + 1);
    let get = pb::GetUnitRequest { name: unit("10001"), as_of_date: None };
    registry(&testing, &["reader"]).get_unit(get).await.unwrap();
    // Once more it is as it is.
    assert_eq!(commit(&testing, &answer.unit_import).await.unwrap(), committed);
    assert_eq!(version(&testing).await, known + 1);

    let operator = || registry(&testing, &["operator"]);
    let nobody = format!("unitImports/{}", Uuid::new_v4());
    let not_found = (Code::NotFound, "UNIT_IMPORT_NOT_FOUND".to_owned());
    assert_eq!(told(&commit(&testing, &nobody).await.unwrap_err()), not_found);
    assert_eq!(told(&fetch(&testing, &nobody).await.unwrap_err()), not_found);
    let rows = |unit_import: &str| pb::ListUnitImportRowsRequest {
        unit_import: unit_import.to_owned(),
        ..Default::default()
    };
    let refused = operator().list_unit_import_rows(rows(&nobody)).await.unwrap_err();
    assert_eq!(told(&refused), not_found);
    let invalid = (Code::InvalidArgument, "INVALID_FIELD".to_owned());
    for bad in ["unitImports/1", "units/1", "unitImports/", &nobody.to_uppercase()] {
        for (refused, named) in [
            (commit(&testing, bad).await.unwrap_err(), "name"),
            (fetch(&testing, bad).await.unwrap_err(), "name"),
            (operator().list_unit_import_rows(rows(bad)).await.unwrap_err(), "unit_import"),
        ] {
            assert_eq!((told(&refused), fields(&refused)), (invalid.clone(), vec![named.into()]));
        }
    }
    let missing = told(&commit(&testing, "").await.unwrap_err());
    assert_eq!(missing.0, Code::InvalidArgument);
}

async fn a_list_that_has_become_bad_since_it_was_judged_is_not_committed(setting: Setting) {
    let testing = busy(setting).await;
    let rows = vec![row("10001", "24"), row("10002", "52")];
    let staged = send(&testing, rows, "", true).await.unwrap();
    assert_eq!(staged.problems, []);
    // Meanwhile somebody else gives the code to another unit.
    let other = pb::UnitRow {
        valid_from_date: Some(field::pb_date(day("2025-08-01"))),
        ..row("10002", "24")
    };
    assert_eq!(import(&testing, vec![other]).await.unwrap().problems, []);
    let before = Everything::of(&testing).await;
    for _ in 0..2 {
        let refused = commit(&testing, &staged.unit_import).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "UNIT_IMPORT_REFUSED".to_owned());
        assert_eq!(told(&refused), expected);
        let kept = fetch(&testing, &staged.unit_import).await.unwrap();
        assert_eq!((kept.state(), kept.refused_count), (State::Refused, 1));
        let expected =
            [(1, RowOutcome::Creates, vec![]), (2, RowOutcome::Refused, vec!["code".to_owned()])];
        assert_eq!(judged(&testing, &staged.unit_import).await, expected);
    }
    before.must_be_all_of(&testing).await;
}

async fn a_request_id_serves_one_list_of_rows(setting: Setting) {
    let testing = busy(setting).await;
    let id = Uuid::new_v4().to_string();
    let rows = || vec![row("10001", "24"), row("10002", "24")];
    let first = send(&testing, rows(), &id, false).await.unwrap();
    assert_eq!((first.created_count, &first.problems), (2, &vec![]));
    let before = Everything::of(&testing).await;
    let kept = imports(&testing).await;
    assert_eq!(send(&testing, rows(), &id, false).await.unwrap(), first);
    let mut turned = rows();
    turned.reverse();
    for (what, others, validate_only) in [
        ("other rows", vec![row("10003", "24")], false),
        ("more rows", [rows(), vec![row("10003", "24")]].concat(), false),
        ("in another order", turned, false),
        ("only to be judged", rows(), true),
    ] {
        let refused = send(&testing, others, &id, validate_only).await.unwrap_err();
        let expected = (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned());
        assert_eq!(
            (told(&refused), fields(&refused)),
            (expected, vec!["request_id".to_owned()]),
            "{what}"
        );
    }
    let refused = send(&testing, rows(), "1", false).await.unwrap_err();
    let expected = (Code::InvalidArgument, "INVALID_FIELD".to_owned());
    assert_eq!((told(&refused), fields(&refused)), (expected, vec!["request_id".to_owned()]));
    before.must_be_all_of(&testing).await;
    assert_eq!(imports(&testing).await, kept);
}

async fn a_list_that_is_cut_off_is_not_even_kept(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let kept = imports(&testing).await;
    for validate_only in [true, false] {
        let mut messages = [row("10001", "24"), row("10002", "24")].map(import_row).to_vec();
        messages[0].validate_only = validate_only;
        messages[0].request_id = Uuid::new_v4().to_string();
        let (rows, sent) = unfinished(messages);
        let mut operator = registry(&testing, &["operator"]);
        let mut importing = operator.clone();
        let call = tokio::spawn(Box::pin(async move { importing.import_units(rows).await }));
        sent.notified().await;
        // On the same connection, so the rows are there before this is answered.
        operator.list_units(pb::ListUnitsRequest::default()).await.unwrap();
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    // Stopping waits for calls in flight.
    let testing = start_over(setting, testing.stop().await, now()).await;
    before.must_be_all_of(&testing).await;
    assert_eq!(imports(&testing).await, kept);
}
