//! Signed receipts: what they say, who can check them, and that nothing of one can be changed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::TimeDelta;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Place, Testing, fields, refusal, start_at};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::world::{
    Client, accept, bac_ninh, binh_duong, client, count, create, gia_lai, grant, may, now, of,
    reporter, send_back, start, submit, suite, tri_qua, withdraw,
};

async fn receipt(
    client: &mut Client,
    name: &str,
    revision: i32,
) -> Result<pb::SignedReceipt, Status> {
    let request = pb::GetSignedReceiptRequest { name: name.to_owned(), revision };
    Ok(client.get_signed_receipt(request).await?.into_inner())
}

async fn verify(client: &mut Client, token: &str) -> Result<pb::VerifyReceiptResponse, Status> {
    let request = pb::VerifyReceiptRequest { token: token.to_owned() };
    Ok(client.verify_receipt(request).await?.into_inner())
}

/// Whether the report says the same here, and whether it counts as received since then.
async fn found(client: &mut Client, token: &str) -> (bool, bool) {
    let answer = verify(client, token).await.unwrap();
    (answer.matches, answer.stands)
}

async fn keys(testing: &Testing) -> Vec<pb::ReceiptKey> {
    let mut reader = client(testing, &["reader"]);
    let request = pb::ListReceiptKeysRequest {};
    reader.list_receipt_keys(request).await.unwrap().into_inner().keys
}

/// A report of Trí Quả that was handed over, by the client that did it.
async fn handed_over(testing: &Testing) -> (Client, pb::Report) {
    let mut client = reporter(testing, tri_qua());
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    let report = submit(&mut client, &draft.name).await.unwrap();
    (client, report)
}

#[tokio::test]
async fn a_receipt_says_what_was_received_when_and_of_whom() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let (mut own, report) = handed_over(&testing).await;
        testing.clock.advance(TimeDelta::hours(1));
        let signed = receipt(&mut own, &report.name, 0).await.unwrap();
        let content = signed.content.unwrap();
        let expected = pb::ReceiptContent {
            report: report.name.clone(),
            unit: tri_qua().to_string(),
            unit_display_name: "Phường Trí Quả".to_owned(),
            regime: "regimes/cds-month".to_owned(),
            period: "202605".to_owned(),
            revision: 1,
            receive_time: report.receive_time,
            revision_receive_time: report.receive_time,
            sha256: content.sha256.clone(),
            key_id: keys(&testing).await[0].key_id.clone(),
            sign_time: Some(field::pb_time(now() + TimeDelta::hours(1))),
        };
        assert_eq!(content, expected, "{engine:?}");
        assert_eq!(content.sha256.len(), 64);
        assert!(signed.token.len() < 2000, "{}", signed.token.len());

        // Its header and what is signed are plain to read.
        let parts: Vec<_> = signed.token.split('.').collect();
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap()
        };
        let header = serde_json::json!({
            "alg": "EdDSA", "typ": "dunghan-receipt+jws", "kid": content.key_id,
        });
        assert_eq!((parts.len(), json(parts[0])), (3, header));
        let said = json(parts[1]);
        assert_eq!(said["report"], content.report);
        assert_eq!(said["unitDisplayName"], "Phường Trí Quả");
        assert_eq!(said["receiveTime"], "2026-11-22T02:00:00Z");
        assert_eq!(said["sha256"], content.sha256);

        let mut anyone = client(&testing, &[&grant(Role::Reader, gia_lai())]);
        let checked = verify(&mut anyone, &signed.token).await.unwrap();
        let holds =
            pb::VerifyReceiptResponse { content: Some(content), matches: true, stands: true };
        assert_eq!(checked, holds);
    }
}

#[tokio::test]
async fn each_revision_has_its_receipt_and_it_holds_whatever_is_done_later() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut own = reporter(&testing, tri_qua());
        let draft = create(&mut own, tri_qua(), of("review-one", "202605")).await.unwrap();
        let name = &draft.name;
        let mut supervisor = client(&testing, &["supervisor"]);
        let refused = refusal(&receipt(&mut own, name, 0).await.unwrap_err());
        assert_eq!(refused, (Code::FailedPrecondition, "NOT_SUBMITTED".to_owned()));

        let first = submit(&mut own, name).await.unwrap();
        let one = receipt(&mut own, name, 0).await.unwrap().token;
        // Signing, and the level of review that it has reached, change nothing of what it says.
        let mut other = crate::world::somebody(&testing, "hoa", &["supervisor"]);
        accept(&mut other, &first).await.unwrap();
        assert_eq!(found(&mut own, &one).await, (true, true), "{engine:?}");
        testing.clock.advance(TimeDelta::hours(1));
        send_back(&mut supervisor, name, "2026-11-25").await.unwrap();
        // Sent back it counts as received, and the unit may have its receipt again.
        assert_eq!(found(&mut own, &one).await, (true, true));
        let again = receipt(&mut own, name, 0).await.unwrap().content.unwrap();
        assert_eq!((again.revision, again.receive_time), (1, first.receive_time));

        let changed =
            pb::Report { name: name.clone(), values: vec![count("portal_posts", 5)], ..may() };
        let request = pb::UpdateReportRequest { report: Some(changed), update_mask: None };
        own.update_report(request).await.unwrap();
        assert_eq!(found(&mut own, &one).await, (true, true));
        submit(&mut own, name).await.unwrap();
        let signed = receipt(&mut own, name, 0).await.unwrap();
        let (two, content) = (signed.token, signed.content.unwrap());
        assert_eq!((content.revision, content.receive_time), (2, first.receive_time));
        let later = field::pb_time(now() + TimeDelta::hours(1));
        assert_eq!(content.revision_receive_time, Some(later));
        let earlier = receipt(&mut own, name, 1).await.unwrap().content.unwrap();
        assert_ne!(earlier.sha256, content.sha256);
        assert_eq!(earlier.sha256, again.sha256);
        assert_eq!(found(&mut own, &one).await, (true, true));
        assert_eq!(found(&mut own, &two).await, (true, true));

        // Taken back it says what it said, and counts as received no more.
        withdraw(&mut own, name).await.unwrap();
        for token in [&one, &two] {
            assert_eq!(found(&mut own, token).await, (true, false));
        }
        let refused = refusal(&receipt(&mut own, name, 0).await.unwrap_err());
        assert_eq!(refused, (Code::FailedPrecondition, "NOT_SUBMITTED".to_owned()));
        assert_eq!(receipt(&mut own, name, 2).await.unwrap().content.unwrap().revision, 2);
        testing.clock.advance(TimeDelta::hours(1));
        submit(&mut own, name).await.unwrap();
        let three = receipt(&mut own, name, 3).await.unwrap().token;
        assert_eq!(found(&mut own, &one).await, (true, false));
        assert_eq!(found(&mut own, &three).await, (true, true));

        for (revision, reason) in [(4, "UNKNOWN_REVISION"), (-1, "UNKNOWN_REVISION")] {
            let refused = receipt(&mut own, name, revision).await.unwrap_err();
            assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()));
            assert_eq!(fields(&refused), ["revision"]);
        }
        let mut elsewhere = reporter(&testing, binh_duong());
        let refused = refusal(&receipt(&mut elsewhere, name, 1).await.unwrap_err());
        assert_eq!(refused, (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
        let mut above = client(&testing, &[&grant(Role::Reader, bac_ninh())]);
        receipt(&mut above, name, 1).await.unwrap();
    }
}

#[tokio::test]
async fn a_receipt_that_differs_by_one_byte_is_refused() {
    let testing = start(Engine::Sqlite).await;
    let (mut own, report) = handed_over(&testing).await;
    let token = receipt(&mut own, &report.name, 0).await.unwrap().token;
    let altered = (Code::InvalidArgument, "RECEIPT_ALTERED".to_owned());
    let must_be_refused = async |client: &mut Client, token: &str, what: String| {
        let refused = verify(client, token).await.unwrap_err();
        assert_eq!(refusal(&refused), altered, "{what}");
        assert_eq!(fields(&refused), ["token"]);
    };
    for at in 0..token.len() {
        // Each of its bits, as far as the text stays one.
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let other = String::from_utf8(bytes).unwrap();
            must_be_refused(&mut own, &other, format!("bit {bit} of byte {at}")).await;
        }
    }
    // All that the last character could be: of it four bits alone count.
    for last in 0..=127_u8 {
        let (all_but, was) = token.split_at(token.len() - 1);
        if was.as_bytes()[0] != last {
            let other = format!("{all_but}{}", char::from(last));
            must_be_refused(&mut own, &other, format!("{last} at the end")).await;
        }
    }
    for (at, _) in token.match_indices('.') {
        let shorter = format!("{}{}", &token[..at - 1], &token[at..]);
        must_be_refused(&mut own, &shorter, format!("without the byte before {at}")).await;
    }
    for odd in [
        token[1..].to_owned(),
        token[..token.len() - 1].to_owned(),
        format!("{token}="),
        format!("{token}."),
        format!(" {token}"),
        format!("{token}\n"),
        "báo cáo".to_owned(),
        ".".repeat(8000),
    ] {
        must_be_refused(&mut own, &odd, odd.clone()).await;
    }
    // A token of the issuer is no receipt.
    let issued = testing.token(&["operator"]);
    must_be_refused(&mut own, &issued, "a token".to_owned()).await;
    for (odd, reason) in [("", "REQUIRED_FIELD_MISSING"), (&*"a".repeat(8001), "TOO_LONG")] {
        let refused = refusal(&verify(&mut own, odd).await.unwrap_err());
        assert_eq!(refused, (Code::InvalidArgument, reason.to_owned()));
    }
    assert_eq!(found(&mut own, &token).await, (true, true));
}

#[tokio::test]
async fn a_receipt_is_checked_elsewhere_by_the_key_that_is_given_out() {
    let testing = start(Engine::Sqlite).await;
    let (mut own, report) = handed_over(&testing).await;
    let signed = receipt(&mut own, &report.name, 0).await.unwrap();
    let [key] = keys(&testing).await.try_into().unwrap();
    let jwk: serde_json::Value = serde_json::from_str(&key.jwk).unwrap();
    assert_eq!((&jwk["kty"], &jwk["crv"]), (&"OKP".into(), &"Ed25519".into()));
    assert_eq!(jwk["kid"], key.key_id);
    let x = jwk["x"].as_str().unwrap();
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    assert_eq!(key.key_id, BASE64.encode(Sha256::digest(members)));
    let public: [u8; 32] = BASE64.decode(x).unwrap().try_into().unwrap();
    let public = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
    let (said, signature) = signed.token.rsplit_once('.').unwrap();
    let signature = BASE64.decode(signature).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    public.verify_strict(said.as_bytes(), &signature).unwrap();
}

/// The service again over the same data, with these files for keys.
async fn with_keys(place: Place, keys: &[(&str, &str)]) -> Testing {
    let keys: Vec<_> =
        keys.iter().map(|(key, file)| (format!("submission.{key}"), *file)).collect();
    let keys: Vec<_> = keys.iter().map(|(key, file)| (key.as_str(), *file)).collect();
    start_at(suite(), place, now(), &keys).await
}

#[tokio::test]
async fn a_new_key_signs_and_what_an_earlier_one_signed_is_checked_where_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (old, new) = (file("cũ.pem"), file("mới.pem"));
    let testing = with_keys(Place::new(Engine::Sqlite).await, &[("receipt_key", &old)]).await;
    let (mut own, report) = handed_over(&testing).await;
    let [old_key] = keys(&testing).await.try_into().unwrap();
    let earlier = receipt(&mut own, &report.name, 0).await.unwrap().token;

    // The key is for its owner's eyes alone, and stays: the same signs after a new start.
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&old).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let testing = with_keys(testing.stop().await, &[("receipt_key", &old)]).await;
    assert_eq!(keys(&testing).await, std::slice::from_ref(&old_key));
    let mut own = reporter(&testing, tri_qua());
    assert_eq!(found(&mut own, &earlier).await, (true, true));

    let testing = with_keys(testing.stop().await, &[("receipt_key", &new)]).await;
    let mut own = reporter(&testing, tri_qua());
    let refused = refusal(&verify(&mut own, &earlier).await.unwrap_err());
    assert_eq!(refused, (Code::InvalidArgument, "RECEIPT_ALTERED".to_owned()));
    let [new_key] = keys(&testing).await.try_into().unwrap();
    let later = receipt(&mut own, &report.name, 0).await.unwrap();
    assert_eq!(later.content.unwrap().key_id, new_key.key_id);

    let public = file("cũ.pub.pem");
    let pem = std::fs::read_to_string(&old).unwrap();
    use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
    let pem = ed25519_dalek::SigningKey::from_pkcs8_pem(&pem).unwrap().verifying_key();
    std::fs::write(&public, pem.to_public_key_pem(Default::default()).unwrap()).unwrap();
    let both = [("receipt_key", &*new), ("earlier_receipt_keys", &*public)];
    let testing = with_keys(testing.stop().await, &both).await;
    let mut own = reporter(&testing, tri_qua());
    assert_eq!(keys(&testing).await, [new_key, old_key]);
    for token in [&earlier, &later.token] {
        assert_eq!(found(&mut own, token).await, (true, true));
    }
}

#[tokio::test]
async fn a_receipt_of_a_report_that_is_not_here_is_genuine_and_matches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("receipt.pem").display().to_string();
    let first = with_keys(Place::new(Engine::Sqlite).await, &[("receipt_key", &key)]).await;
    let (mut own, report) = handed_over(&first).await;
    let token = receipt(&mut own, &report.name, 0).await.unwrap().token;
    // Another installation by the same key, or one whose data was lost.
    let other = with_keys(Place::new(Engine::Sqlite).await, &[("receipt_key", &key)]).await;
    let mut own = reporter(&other, tri_qua());
    let answer = verify(&mut own, &token).await.unwrap();
    assert_eq!(answer.content.unwrap().report, report.name);
    assert_eq!((answer.matches, answer.stands), (false, false));
}
