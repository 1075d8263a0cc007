//! The bundle as it is.

use prost::Message as _;

use super::*;
use crate::convert::reorganisation::{reorganisation, reorganisation_id};

fn stated(request: &pb::CreateReorganisationRequest) -> &pb::Reorganisation {
    request.reorganisation.as_ref().unwrap()
}

fn changes<'a>(
    requests: impl IntoIterator<Item = &'a pb::CreateReorganisationRequest>,
) -> Vec<&'a Change> {
    let all = requests.into_iter().flat_map(|request| &stated(request).changes);
    all.map(|change| change.change.as_ref().unwrap()).collect()
}

#[test]
fn all_of_it_reads_and_fits_into_one_call() {
    let Bundle { version, reorganisations, .. } = bundle().unwrap();
    let ids: BTreeSet<_> = reorganisations.iter().map(|one| &one.reorganisation_id).collect();
    assert_eq!((ids.len(), reorganisations.len()), (39, 39));
    let mut last = None;
    for request in &reorganisations {
        let id = reorganisation_id("id", &request.reorganisation_id).unwrap();
        let read = reorganisation("", stated(request).clone()).unwrap();
        assert!(id.is_some() && Some(read.effective) >= last, "{}", request.reorganisation_id);
        // What is kept is what is stated: loading it again finds the same.
        assert_eq!(read.stated, *stated(request));
        last = Some(read.effective);
    }
    assert_eq!(last.unwrap().to_string(), version);
    let size = pb::BatchCreateReorganisationsRequest { requests: reorganisations }.encoded_len();
    assert!(size < 1 << 20, "{size} bytes of the {} of a request", dunghan_host::LARGEST_REQUEST);
}

#[test]
fn every_confirmed_line_is_a_change_and_every_other_one_is_reported() {
    let Bundle { rows, reorganisations, .. } = bundle().unwrap();
    assert_eq!(rows.len(), 10_794 + 11);
    assert!(rows.iter().zip(1..).all(|(row, number)| row.row == number));
    assert!(rows.iter().all(|row| row.valid_through_date.is_none()));

    let all = changes(&reorganisations);
    let count = |is: fn(&Change) -> bool| all.iter().filter(|change| is(change)).count();
    let shares = all.iter().filter_map(|change| match change {
        Change::Merge(merge) => Some(&merge.shares),
        _ => None,
    });
    let mut kinds: BTreeMap<i32, usize> = BTreeMap::new();
    for share in shares.flatten() {
        *kinds.entry(share.kind).or_default() += 1;
    }
    let kind = |kind: EdgeKind| kinds[&pb_edge_kind(kind).into()];
    assert_eq!(kind(EdgeKind::Merged), 9_430 + 29 + 23 + 5);
    assert_eq!((kind(EdgeKind::SplitMain), kind(EdgeKind::SplitPart)), (469, 530));
    // All units of since but those that are the same ones.
    assert_eq!(count(|change| matches!(change, Change::Merge(_))), 3_355 - 121 - 11 - 11);
    assert_eq!(count(|change| matches!(change, Change::Transfer(_))), 121 + 11);
    // Eight have another name, two are of another kind, and three became cities later; the eleventh is called as before.
    let named = count(|change| matches!(change, Change::Rename(_) | Change::Retype(_)));
    assert_eq!(named, 11 + 3);
    assert_eq!(count(|change| matches!(change, Change::Split(_) | Change::Recode(_))), 0);
    let split: BTreeSet<String> = {
        let reform = Reform::read().unwrap();
        let parts = reform.confirmed.iter().filter(|(_, split)| **split);
        parts.map(|(code, _)| code.clone()).collect()
    };
    let abolished = count(|change| matches!(change, Change::Abolish(_)));
    assert_eq!(abolished, (696 - 5) + split.len() + 2);

    let unconfirmed = reorganisations.iter().map(|request| stated(request).unconfirmed.len());
    assert_eq!(unconfirmed.sum::<usize>(), 36);
}

#[test]
fn each_province_has_a_record_of_its_communes() {
    let Bundle { reorganisations, .. } = bundle().unwrap();
    let bac_ninh = reorganisations.iter().find(|one| one.reorganisation_id == "cap-xa-2025-24");
    let bac_ninh = stated(bac_ninh.unwrap());
    assert_eq!(bac_ninh.title, "Sắp xếp đơn vị hành chính cấp xã của tỉnh Bắc Ninh năm 2025");
    assert_eq!(bac_ninh.effective_date, Some(pb_date(REFORM)));
    let made: Vec<_> = bac_ninh
        .changes
        .iter()
        .filter_map(|change| match change.change.as_ref()? {
            Change::Merge(merge) => merge.into.as_ref()?.target.as_ref(),
            _ => None,
        })
        .collect();
    let names: Vec<_> = made
        .iter()
        .map(|target| match target {
            Target::NewUnit(unit) => unit.display_name.as_str(),
            Target::Existing(_) => "",
        })
        .collect();
    assert!(names.contains(&"Phường Trí Quả") && !names.contains(&""), "{names:?}");
    let last = stated(&reorganisations[38]);
    assert_eq!(last.title, "Thành lập thành phố Bắc Ninh");
    assert_eq!(last.legal_basis, "Nghị quyết số 39/2026/QH16");
}
