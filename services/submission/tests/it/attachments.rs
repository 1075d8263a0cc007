//! Files of reports: through the rpcs, in a folder and in a store that speaks S3.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_host::Suite;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::attachment_service_client::AttachmentServiceClient;
use dunghan_proto::submission::download_attachment_response as answer;
use dunghan_proto::submission::upload_attachment_request::{Header, Message};
use dunghan_rpc::Peer;
use dunghan_store::{Database, Location};
use dunghan_submission::domain::attachment::Erasure;
use dunghan_submission::store::Store;
use dunghan_telemetry::{Format, Settings, init_with_logs_to};
use dunghan_testkit::{
    Collector, ENGINES, Engine, Front, Place, Point, S3, Testing, eventually, fields, refusal,
    start_at,
};
use futures::future::join_all;
use futures::{Stream, StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::world::{
    Client, acts, binh_duong, create, gia_lai, grant, may, metadata, new_request_id, now, of,
    reporter, send_back, start, submit, suite, tri_qua, withdraw,
};

pub(crate) type Files = AttachmentServiceClient<Peer>;

const MIB: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(20);

fn files(testing: &Testing, grants: &[&str]) -> Files {
    AttachmentServiceClient::new(testing.channel(grants))
}

pub(crate) fn files_of_reporter(testing: &Testing) -> Files {
    files(testing, &[&grant(Role::Reporter, tri_qua())])
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A PDF as far as anybody looks, of so many bytes, 5 at least. No two MiB of it are alike.
pub(crate) fn pdf(size: usize) -> Vec<u8> {
    let mut bytes = b"%PDF-".repeat(size.div_ceil(5));
    bytes.truncate(size);
    for (number, mib) in bytes.chunks_mut(MIB).enumerate().skip(1) {
        mib[0] = number.try_into().unwrap();
    }
    bytes
}

fn header(report: &str, name: &str, bytes: &[u8]) -> Header {
    Header {
        parent: report.to_owned(),
        file_name: name.to_owned(),
        size_bytes: bytes.len().try_into().unwrap(),
        sha256: hex(bytes),
        ..Header::default()
    }
}

fn message(message: Message) -> pb::UploadAttachmentRequest {
    pb::UploadAttachmentRequest { message: Some(message) }
}

/// A header, and then the bytes in chunks of 1 MiB, none of which is made before it is sent.
fn sent(header: Header, bytes: Vec<u8>) -> impl Stream<Item = pb::UploadAttachmentRequest> {
    let count = bytes.len().div_ceil(MIB);
    let chunks = (0..count).map(move |number| {
        let end = bytes.len().min((number + 1) * MIB);
        message(Message::Chunk(bytes[number * MIB..end].to_vec()))
    });
    stream::iter(std::iter::once(message(Message::Header(header))).chain(chunks))
}

async fn upload_with(
    files: &mut Files,
    header: Header,
    bytes: &[u8],
) -> Result<pb::Attachment, Status> {
    Ok(files.upload_attachment(sent(header, bytes.to_vec())).await?.into_inner())
}

pub(crate) async fn upload(
    files: &mut Files,
    report: &str,
    name: &str,
    bytes: &[u8],
) -> Result<pb::Attachment, Status> {
    upload_with(files, header(report, name, bytes), bytes).await
}

/// What is known of a file, and what it holds.
pub(crate) async fn download(
    files: &mut Files,
    name: &str,
) -> Result<(pb::Attachment, Vec<u8>), Status> {
    let request = pb::DownloadAttachmentRequest { name: name.to_owned() };
    let mut answers = files.download_attachment(request).await?.into_inner();
    let first = answers.message().await?.unwrap().message;
    let Some(answer::Message::Attachment(attachment)) = first else { panic!("{first:?}") };
    let mut bytes = Vec::new();
    while let Some(next) = answers.message().await? {
        let Some(answer::Message::Chunk(chunk)) = next.message else { panic!("{next:?}") };
        assert!((1..=256 << 10).contains(&chunk.len()), "{}", chunk.len());
        bytes.extend(chunk);
    }
    Ok((attachment, bytes))
}

async fn list(files: &mut Files, report: &str) -> Vec<pb::Attachment> {
    let request = pb::ListAttachmentsRequest { parent: report.to_owned(), ..Default::default() };
    files.list_attachments(request).await.unwrap().into_inner().attachments
}

pub(crate) async fn detach(files: &mut Files, name: &str) -> Result<pb::Attachment, Status> {
    let request = pb::DetachAttachmentRequest { name: name.to_owned() };
    Ok(files.detach_attachment(request).await?.into_inner())
}

async fn erase(files: &mut Files, name: &str) -> Result<pb::Attachment, Status> {
    let request = pb::EraseAttachmentRequest {
        name: name.to_owned(),
        reason: "Gửi nhầm tài liệu.".to_owned(),
    };
    Ok(files.erase_attachment(request).await?.into_inner())
}

async fn get(client: &mut Client, name: &str) -> pb::Report {
    client.get_report(pb::GetReportRequest { name: name.to_owned() }).await.unwrap().into_inner()
}

/// A draft of Trí Quả, and who may write to it.
async fn drafted(engine: Engine) -> (Testing, Files, Client, pb::Report) {
    let testing = start(engine).await;
    let (files, mut client) = (files_of_reporter(&testing), reporter(&testing, tri_qua()));
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    (testing, files, client, draft)
}

/// The files in a place's own folder for attachments.
fn stored(place: &Place) -> Vec<PathBuf> {
    stored_in(place.folder())
}

fn stored_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(inner) = fs::read_dir(folder.join("attachments")) else { return Vec::new() };
    let inner = inner.map(|folder| folder.unwrap().path()).filter(|path| path.is_dir());
    let files = inner.flat_map(|folder| fs::read_dir(folder).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

fn id(attachment: &pb::Attachment) -> Uuid {
    attachment.name.rsplit('/').next().unwrap().parse().unwrap()
}

pub(crate) fn on_report(attachment: &pb::Attachment) -> pb::AttachedFile {
    pb::AttachedFile {
        attachment: attachment.name.clone(),
        file_name: attachment.file_name.clone(),
        size_bytes: attachment.size_bytes,
        sha256: attachment.sha256.clone(),
    }
}

fn reason(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

#[tokio::test]
async fn a_file_comes_onto_a_report_and_is_given_out_as_it_came() {
    for engine in ENGINES {
        let (testing, mut files, mut client, draft) = drafted(engine).await;
        testing.clock.advance(TimeDelta::minutes(1));
        let bytes = pdf(3 * MIB + 7);
        let name = "Ba\u{301}o ca\u{301}o.PDF";
        let shouting =
            Header { sha256: hex(&bytes).to_uppercase(), ..header(&draft.name, name, &bytes) };
        let attachment = upload_with(&mut files, shouting, &bytes).await.unwrap();
        let expected = pb::Attachment {
            name: attachment.name.clone(),
            file_name: "Báo cáo.PDF".to_owned(),
            media_type: "application/pdf".to_owned(),
            size_bytes: 3 * 1024 * 1024 + 7,
            sha256: hex(&bytes),
            create_time: attachment.create_time,
            author: "tester".to_owned(),
            ..pb::Attachment::default()
        };
        assert_eq!(attachment, expected);
        assert!(attachment.name.starts_with(&format!("{}/attachments/", draft.name)));
        assert_eq!(list(&mut files, &draft.name).await, std::slice::from_ref(&attachment));
        let (known, came) = download(&mut files, &attachment.name).await.unwrap();
        assert!(known == attachment && came == bytes);

        let report = get(&mut client, &draft.name).await;
        assert_eq!(report.attached_files, [on_report(&attachment)]);
        assert_eq!((draft.etag.as_str(), report.etag.as_str()), ("\"1\"", "\"2\""));
        assert_eq!(report.update_time, attachment.create_time);
        let unchanged = pb::Report {
            etag: draft.etag.clone(),
            update_time: draft.update_time,
            attached_files: Vec::new(),
            ..report
        };
        assert_eq!(unchanged, draft);
    }
}

/// Files of the least and the largest size come and go, and one byte more does not.
async fn sizes(testing: &Testing) {
    let (mut files, mut client) = (files_of_reporter(testing), reporter(testing, tri_qua()));
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    for (bytes, media_type) in [
        (b"x".to_vec(), "text/plain"),
        (pdf(MIB), "application/pdf"),
        (pdf(50 * MIB), "application/pdf"),
    ] {
        let attachment = upload(&mut files, &draft.name, "a", &bytes).await.unwrap();
        assert_eq!(attachment.media_type, media_type);
        let (known, came) = download(&mut files, &attachment.name).await.unwrap();
        assert!(known == attachment && came == bytes);
    }
    let before = get(&mut client, &draft.name).await;
    for (size, why) in [
        (0, "INVALID_FIELD"),
        (-1, "INVALID_FIELD"),
        (50 * 1024 * 1024 + 1, "ATTACHMENT_TOO_LARGE"),
        (i64::MAX, "ATTACHMENT_TOO_LARGE"),
    ] {
        let header = Header { size_bytes: size, ..header(&draft.name, "a.pdf", b"") };
        let refused = upload_with(&mut files, header, &pdf(3 * MIB)).await.unwrap_err();
        let expected = reason(Code::InvalidArgument, why);
        assert_eq!(
            (refusal(&refused), fields(&refused)),
            (expected, vec!["header.size_bytes".to_owned()])
        );
    }
    // What was announced to be as large as may be, and is larger.
    let bytes = pdf(50 * MIB + 1);
    let header = header(&draft.name, "a.pdf", &bytes[..50 * MIB]);
    let refused = upload_with(&mut files, header, &bytes).await.unwrap_err();
    assert_eq!(refusal(&refused), reason(Code::InvalidArgument, "LENGTH_MISMATCH"));
    assert_eq!(get(&mut client, &draft.name).await, before);
}

#[tokio::test]
async fn a_file_has_from_one_byte_to_50_mib_in_a_folder() {
    for engine in ENGINES {
        let testing = start(engine).await;
        sizes(&testing).await;
        assert_eq!(stored(&testing.stop().await).len(), 3);
    }
}

/// The keys of the blobs in a store, without what else submission keeps or tries there.
fn blobs(s3: &S3) -> Vec<String> {
    let beside = |key: &String| key.ends_with("/owner") || key.contains("/try-");
    s3.objects().into_iter().filter(|key| !beside(key)).collect()
}

async fn with_s3(engine: Engine, s3: &S3, now: DateTime<Utc>) -> Testing {
    over_s3(Place::new(engine).await, s3, now).await
}

async fn over_s3(place: Place, s3: &S3, now: DateTime<Utc>) -> Testing {
    let keys = s3.keys("dunghan");
    let keys: Vec<_> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
    start_at(suite(), place, now, &keys).await
}

#[tokio::test]
async fn a_file_has_from_one_byte_to_50_mib_in_a_store_that_speaks_s3() {
    for engine in ENGINES {
        let s3 = S3::new();
        let testing = with_s3(engine, &s3, now()).await;
        sizes(&testing).await;
        assert_eq!((blobs(&s3).len(), s3.unfinished()), (3, 0));
        assert!(stored(&testing.stop().await).is_empty());
    }
}

fn docx(paragraph: &str) -> Vec<u8> {
    const DOCX: &str =
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        (
            "[Content_Types].xml",
            format!(
                "<Types><Override PartName=\"/word/document.xml\" ContentType=\"{DOCX}\"/></Types>"
            ),
        ),
        ("word/document.xml", format!("<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>")),
    ] {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn what_is_not_to_be_taken_is_refused_by_name_and_nothing_of_it_is_kept() {
    for engine in ENGINES {
        let (testing, mut files, mut client, draft) = drafted(engine).await;
        let good = pdf(2 * MIB);
        let as_sent = || header(&draft.name, "a.pdf", &good);
        let named = |name: &str| Header { file_name: name.to_owned(), ..as_sent() };
        let holding = |bytes: &[u8]| header(&draft.name, "a.pdf", bytes);
        let (stamped, bomb) = (docx("TUYỆT MẬT"), docx(&" ".repeat(8 * MIB)));
        let program = [b"MZ\x90\0", &good[..]].concat();
        let text = "Số: 12/BC\nMẬT\nBáo cáo\n".as_bytes();
        let exact = |reason: &'static str, field: &'static str| (reason, field);
        let cases: Vec<(Header, &[u8], _)> = vec![
            (
                Header { parent: String::new(), ..as_sent() },
                &good,
                exact("INVALID_FIELD", "header.parent"),
            ),
            (named(""), &good, exact("REQUIRED_FIELD_MISSING", "header.file_name")),
            (named("../a.pdf"), &good, exact("INVALID_FIELD", "header.file_name")),
            (named("a\u{7}.pdf"), &good, exact("INVALID_FIELD", "header.file_name")),
            (named(&"á".repeat(128)), &good, exact("TOO_LONG", "header.file_name")),
            (named("12-BC (MẬT).pdf"), &good, exact("SECRECY_REFUSED", "header.file_name")),
            (
                Header { secrecy_level: "Mật".to_owned(), ..as_sent() },
                &good,
                exact("SECRECY_REFUSED", "header.secrecy_level"),
            ),
            (holding(text), text, exact("SECRECY_REFUSED", "chunk")),
            (holding(&stamped), &stamped, exact("SECRECY_REFUSED", "chunk")),
            (holding(&bomb), &bomb, exact("MEDIA_TYPE_REFUSED", "chunk")),
            (holding(&program), &program, exact("MEDIA_TYPE_REFUSED", "chunk")),
            (
                Header { sha256: String::new(), ..as_sent() },
                &good,
                exact("REQUIRED_FIELD_MISSING", "header.sha256"),
            ),
            (
                Header { sha256: "x".repeat(64), ..as_sent() },
                &good,
                exact("INVALID_FIELD", "header.sha256"),
            ),
            (
                Header { sha256: hex(b""), ..as_sent() },
                &good,
                exact("HASH_MISMATCH", "header.sha256"),
            ),
            (as_sent(), &good[..good.len() - 1], exact("LENGTH_MISMATCH", "header.size_bytes")),
            (as_sent(), &[], exact("LENGTH_MISMATCH", "header.size_bytes")),
            (holding(&good[..MIB]), &good, exact("LENGTH_MISMATCH", "header.size_bytes")),
            (
                Header { request_id: "1".to_owned(), ..as_sent() },
                &good,
                exact("INVALID_FIELD", "header.request_id"),
            ),
        ];
        for (header, bytes, (why, field)) in cases {
            let what = format!("{header:?}");
            let refused = upload_with(&mut files, header, bytes).await.unwrap_err();
            assert_eq!(refusal(&refused), reason(Code::InvalidArgument, why), "{what}");
            assert_eq!(fields(&refused), [field], "{what}");
        }
        let nowhere =
            Header { parent: format!("{}/reports/{}", tri_qua(), Uuid::nil()), ..as_sent() };
        let refused = upload_with(&mut files, nowhere, &good).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::NotFound, "REPORT_NOT_FOUND"));
        assert_eq!(get(&mut client, &draft.name).await, draft);
        assert!(list(&mut files, &draft.name).await.is_empty());
        assert!(stored(&testing.stop().await).is_empty());
    }
}

#[tokio::test]
async fn a_stream_that_is_no_header_and_chunks_is_refused() {
    let (testing, mut files, mut client, draft) = drafted(Engine::Sqlite).await;
    let bytes = pdf(100);
    let head = || message(Message::Header(header(&draft.name, "a.pdf", &bytes)));
    let chunk = |bytes: &[u8]| message(Message::Chunk(bytes.to_vec()));
    let empty = || pb::UploadAttachmentRequest { message: None };
    for (what, stream, why, field) in [
        ("nothing", vec![], "HEADER_MISSING", "header"),
        ("an empty message", vec![empty()], "HEADER_MISSING", "header"),
        ("no header", vec![chunk(&bytes)], "HEADER_MISSING", "header"),
        ("two headers", vec![head(), head(), chunk(&bytes)], "INVALID_FIELD", "chunk"),
        ("an empty one later", vec![head(), chunk(&bytes), empty()], "INVALID_FIELD", "chunk"),
        (
            "more after the end",
            vec![head(), chunk(&bytes), chunk(b"x")],
            "LENGTH_MISMATCH",
            "header.size_bytes",
        ),
        ("an empty chunk", vec![head(), chunk(b""), chunk(&bytes)], "INVALID_FIELD", "chunk"),
        ("a large chunk", vec![head(), chunk(&pdf(MIB + 1))], "TOO_LONG", "chunk"),
        ("a very large chunk", vec![head(), chunk(&pdf(5 * MIB))], "TOO_LONG", "chunk"),
    ] {
        let refused = files.upload_attachment(stream::iter(stream)).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::InvalidArgument, why), "{what}");
        assert_eq!(fields(&refused), [field], "{what}");
    }
    let pieces = [head(), chunk(&bytes[..1]), chunk(&bytes[1..])];
    files.upload_attachment(stream::iter(pieces)).await.unwrap();
    assert_eq!(get(&mut client, &draft.name).await.attached_files.len(), 1);
    drop(testing);
}

#[tokio::test]
async fn an_upload_whose_sender_is_gone_half_way_leaves_nothing() {
    let (testing, mut files, mut client, draft) = drafted(Engine::Sqlite).await;
    let front = Front::new();
    front.add(testing.url("submission").trim_start_matches("http://").parse().unwrap());
    let bytes = pdf(10 * MIB);
    let reporter = grant(Role::Reporter, tri_qua());
    let mut gone = AttachmentServiceClient::new(testing.channel_to(&front.url(), &[&reporter]));
    let (half, cut) = tokio::sync::oneshot::channel();
    // More than is on its way while the server takes none of it.
    let begun = sent(header(&draft.name, "a.pdf", &bytes), bytes[..9 * MIB].to_vec());
    let waiting = stream::once(async move {
        half.send(()).unwrap();
        std::future::pending().await
    });
    let uploading = gone.upload_attachment(begun.chain(waiting));
    let cutting = async {
        cut.await.unwrap();
        front.cut();
    };
    let (uploaded, ()) = tokio::join!(uploading, cutting);
    uploaded.unwrap_err();
    assert_eq!(get(&mut client, &draft.name).await, draft);
    let attachment = upload(&mut files, &draft.name, "a.pdf", b"x").await.unwrap();
    let stored = stored(&testing.stop().await);
    assert_eq!(stored.len(), 1);
    assert!(stored[0].ends_with(id(&attachment).to_string()));
}

#[tokio::test]
async fn uploads_at_once_all_come_onto_the_report_up_to_50() {
    for engine in ENGINES {
        let (testing, _, mut client, draft) = drafted(engine).await;
        let uploading = (0..53).map(|number: usize| {
            let (mut files, report) = (files_of_reporter(&testing), draft.name.clone());
            async move {
                upload(&mut files, &report, &format!("{number}.pdf"), &pdf(1000 + number)).await
            }
        });
        let (taken, refused): (Vec<_>, Vec<_>) =
            join_all(uploading).await.into_iter().partition(Result::is_ok);
        let refused: Vec<_> = refused.into_iter().map(|one| refusal(&one.unwrap_err())).collect();
        assert_eq!(refused, vec![reason(Code::InvalidArgument, "TOO_MANY_ATTACHMENTS"); 3]);
        let report = get(&mut client, &draft.name).await;
        assert_eq!(report.etag, "\"51\"");
        let mut expected: Vec<_> =
            taken.iter().map(|one| on_report(one.as_ref().unwrap())).collect();
        let mut on = report.attached_files;
        for files in [&mut expected, &mut on] {
            files.sort_by(|one, other| one.attachment.cmp(&other.attachment));
        }
        assert_eq!(on, expected);
        assert_eq!(stored(&testing.stop().await).len(), 50, "of what was refused nothing is kept");
    }
}

#[tokio::test]
async fn the_same_request_again_is_answered_as_it_was_and_at_once_as_one() {
    for engine in ENGINES {
        let (testing, mut files, mut client, draft) = drafted(engine).await;
        let bytes = pdf(2 * MIB);
        let header =
            Header { request_id: new_request_id(), ..header(&draft.name, "a.pdf", &bytes) };
        let at_once = (0..4).map(|_| {
            let (mut files, header, bytes) =
                (files_of_reporter(&testing), header.clone(), bytes.clone());
            async move { upload_with(&mut files, header, &bytes).await.unwrap() }
        });
        let answers = join_all(at_once).await;
        assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
        submit(&mut client, &draft.name).await.unwrap();
        let again = upload_with(&mut files, header.clone(), &bytes).await.unwrap();
        assert_eq!(again, answers[0]);
        assert_eq!(list(&mut files, &draft.name).await, [again]);
        let other = Header { file_name: "b.pdf".to_owned(), ..header };
        let refused = upload_with(&mut files, other, &bytes).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::InvalidArgument, "REQUEST_ID_REUSED"));
        assert_eq!(fields(&refused), ["header.request_id"]);
    }
}

#[tokio::test]
async fn files_come_and_go_only_while_the_report_can_be_edited_and_revisions_keep_theirs() {
    for engine in ENGINES {
        let (testing, mut files, mut client, draft) = drafted(engine).await;
        let supervisor = grant(Role::Supervisor, crate::world::bac_ninh());
        let mut above = crate::world::client(&testing, &[&supervisor]);
        let [first, second] = [pdf(10), pdf(20)];
        let first = upload(&mut files, &draft.name, "1.pdf", &first).await.unwrap();
        submit(&mut client, &draft.name).await.unwrap();

        let refused = upload(&mut files, &draft.name, "2.pdf", &second).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::FailedPrecondition, "ALREADY_SUBMITTED"));
        let refused = detach(&mut files, &first.name).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::FailedPrecondition, "ALREADY_SUBMITTED"));

        send_back(&mut above, &draft.name, "2026-11-30").await.unwrap();
        let second = upload(&mut files, &draft.name, "2.pdf", &second).await.unwrap();
        testing.clock.advance(TimeDelta::minutes(1));
        let off = detach(&mut files, &first.name).await.unwrap();
        assert!(off.detach_time.is_some());
        assert_eq!(pb::Attachment { detach_time: None, ..off.clone() }, first);
        let etag = get(&mut client, &draft.name).await.etag;
        testing.clock.advance(TimeDelta::minutes(1));
        assert_eq!(detach(&mut files, &first.name).await.unwrap(), off, "twice is harmless");
        let report = submit(&mut client, &draft.name).await.unwrap();
        assert_eq!(detach(&mut files, &first.name).await.unwrap(), off, "also later");
        assert_ne!(report.etag, etag);
        assert_eq!(report.attached_files, [on_report(&second)]);
        assert_eq!(list(&mut files, &draft.name).await, [off, second.clone()]);

        let revisions: Vec<_> = acts(&mut client, &draft.name)
            .await
            .into_iter()
            .filter_map(|act| act.report)
            .map(|report| report.attached_files)
            .collect();
        assert_eq!(revisions, [[on_report(&first)], [on_report(&second)]]);
        let (_, bytes) = download(&mut files, &first.name).await.unwrap();
        assert!(bytes == pdf(10), "the revision that had it has it");

        withdraw(&mut client, &draft.name).await.unwrap();
        detach(&mut files, &second.name).await.unwrap();
        assert!(get(&mut client, &draft.name).await.attached_files.is_empty());
    }
}

#[tokio::test]
async fn files_stay_on_a_report_that_says_that_nothing_occurred() {
    for engine in ENGINES {
        let (testing, mut files, mut client, draft) = drafted(engine).await;
        let first = upload(&mut files, &draft.name, "biểu.pdf", &pdf(9)).await.unwrap();
        submit(&mut client, &draft.name).await.unwrap();
        let mut supervisor = crate::world::client(&testing, &["supervisor"]);
        send_back(&mut supervisor, &draft.name, "2026-11-25").await.unwrap();
        let second = upload(&mut files, &draft.name, "phụ lục.pdf", &pdf(10)).await.unwrap();
        testing.clock.advance(TimeDelta::hours(1));
        let request = pb::SubmitNilReportRequest {
            parent: tri_qua().to_string(),
            regime: draft.regime,
            period: draft.period,
            ..pb::SubmitNilReportRequest::default()
        };
        let nil = client.submit_nil_report(request).await.unwrap().into_inner();
        assert_eq!((nil.nil, nil.attached_files.len()), (true, 2), "{engine:?}");
        let listed = list(&mut files, &draft.name).await;
        assert_eq!(listed, [first.clone(), second.clone()], "{engine:?}");
        assert_eq!(download(&mut files, &first.name).await.unwrap().1, pdf(9));
        assert_eq!(download(&mut files, &second.name).await.unwrap().1, pdf(10));
        let kept = acts(&mut client, &draft.name).await;
        let attached = kept.iter().filter_map(|act| act.report.as_ref());
        let attached: Vec<_> = attached.map(|report| report.attached_files.len()).collect();
        assert_eq!(attached, [1, 2]);
    }
}

#[tokio::test]
async fn what_is_erased_is_gone_for_good_and_leaves_its_name_length_and_hash() {
    for engine in ENGINES {
        let (testing, mut files, mut client, draft) = drafted(engine).await;
        let mut operator = self::files(&testing, &["operator"]);
        let bytes = pdf(1000);
        let attachment = upload(&mut files, &draft.name, "a.pdf", &bytes).await.unwrap();
        let report = submit(&mut client, &draft.name).await.unwrap();
        testing.clock.advance(TimeDelta::minutes(1));
        let erased = erase(&mut operator, &attachment.name).await.unwrap();
        assert!(erased.erase_time.is_some());
        let expected = pb::Attachment {
            erase_time: erased.erase_time,
            eraser: "tester".to_owned(),
            erase_reason: "Gửi nhầm tài liệu.".to_owned(),
            ..attachment.clone()
        };
        assert_eq!(erased, expected);
        testing.clock.advance(TimeDelta::minutes(1));
        assert_eq!(
            erase(&mut operator, &attachment.name).await.unwrap(),
            erased,
            "twice is harmless"
        );
        let refused = download(&mut files, &attachment.name).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::FailedPrecondition, "ATTACHMENT_ERASED"));
        assert!(metadata(&refused, "erase_time").starts_with("2026-11-22T02:01:00"));
        assert_eq!(list(&mut files, &draft.name).await, [erased]);
        assert_eq!(get(&mut client, &draft.name).await, report, "what was handed over stays");
        let without_reason =
            pb::EraseAttachmentRequest { name: attachment.name, reason: " ".to_owned() };
        let refused = operator.erase_attachment(without_reason).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::InvalidArgument, "REQUIRED_FIELD_MISSING"));
        assert!(stored(&testing.stop().await).is_empty());
    }
}

#[tokio::test]
async fn files_are_for_those_who_may_read_the_report_and_erased_by_those_above() {
    for engine in ENGINES {
        let (testing, mut files, mut client, draft) = drafted(engine).await;
        let bytes = pdf(1000);
        let attachment = upload(&mut files, &draft.name, "a.pdf", &bytes).await.unwrap();
        let denied = |status: &Status, why: &str| {
            assert_eq!(refusal(status), reason(Code::PermissionDenied, why));
        };
        let elsewhere = [binh_duong(), gia_lai()];
        for unit in elsewhere {
            let mut reader = self::files(&testing, &[&grant(Role::Reader, unit)]);
            denied(&download(&mut reader, &attachment.name).await.unwrap_err(), "OUT_OF_SCOPE");
            let request =
                pb::ListAttachmentsRequest { parent: draft.name.clone(), ..Default::default() };
            denied(&reader.list_attachments(request).await.unwrap_err(), "OUT_OF_SCOPE");
            let mut reporter = self::files(&testing, &[&grant(Role::Reporter, unit)]);
            denied(
                &upload(&mut reporter, &draft.name, "a.pdf", &bytes).await.unwrap_err(),
                "OUT_OF_SCOPE",
            );
            denied(&detach(&mut reporter, &attachment.name).await.unwrap_err(), "OUT_OF_SCOPE");
            let mut above = self::files(&testing, &[&grant(Role::Supervisor, unit)]);
            denied(&erase(&mut above, &attachment.name).await.unwrap_err(), "OUT_OF_SCOPE");
            // They are not told whether there is such a file.
            let nothing = format!("{}/attachments/{}", draft.name, Uuid::nil());
            denied(&download(&mut reader, &nothing).await.unwrap_err(), "OUT_OF_SCOPE");
        }
        let mut reader = self::files(&testing, &[&grant(Role::Reader, tri_qua())]);
        denied(
            &upload(&mut reader, &draft.name, "a.pdf", &bytes).await.unwrap_err(),
            "ROLE_MISSING",
        );
        denied(&erase(&mut files, &attachment.name).await.unwrap_err(), "ROLE_MISSING");
        assert!(download(&mut reader, &attachment.name).await.is_ok());
        let mut department = self::files(&testing, &["supervisor@regimes/cds-month"]);
        assert!(download(&mut department, &attachment.name).await.is_ok());
        let mut another = self::files(&testing, &["supervisor@regimes/other-month"]);
        denied(&erase(&mut another, &attachment.name).await.unwrap_err(), "OUT_OF_SCOPE");
        erase(&mut department, &attachment.name).await.unwrap();
        assert_eq!(get(&mut client, &draft.name).await.attached_files.len(), 1);
    }
}

#[tokio::test]
async fn an_attachment_is_found_by_its_own_name_alone() {
    let (testing, mut files, mut client, draft) = drafted(Engine::Sqlite).await;
    let other = create(&mut client, tri_qua(), of("cds-month", "202604")).await.unwrap();
    let attachment = upload(&mut files, &draft.name, "a.pdf", &pdf(10)).await.unwrap();
    let mut operator = self::files(&testing, &["operator"]);
    let id = id(&attachment);
    let gone = format!("{}/reports/{}/attachments/{id}", tri_qua(), Uuid::nil());
    for name in [
        format!("{}/attachments/{}", draft.name, Uuid::nil()),
        format!("{}/attachments/{id}", other.name),
        gone,
    ] {
        for refused in [
            download(&mut files, &name).await.map(drop),
            detach(&mut files, &name).await.map(drop),
            erase(&mut operator, &name).await.map(drop),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refusal(&refused), reason(Code::NotFound, "ATTACHMENT_NOT_FOUND"));
            assert_eq!(metadata(&refused, "attachment"), name);
        }
    }
    let refused = download(&mut files, &draft.name).await.unwrap_err();
    assert_eq!(refusal(&refused), reason(Code::InvalidArgument, "INVALID_FIELD"));
}

#[tokio::test]
async fn files_are_listed_in_pages_the_first_taken_in_first() {
    for engine in ENGINES {
        let (testing, mut files, _, draft) = drafted(engine).await;
        let mut expected = Vec::new();
        for number in 0..5 {
            // Some at one moment, and some after the clock went back.
            testing.clock.advance(TimeDelta::seconds(1 - number / 2));
            expected.push(upload(&mut files, &draft.name, "a.pdf", &pdf(10)).await.unwrap());
        }
        let mut request = pb::ListAttachmentsRequest {
            parent: draft.name.clone(),
            page_size: 2,
            ..Default::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = files.list_attachments(request.clone()).await.unwrap().into_inner();
            assert!((1..=2).contains(&page.attachments.len()));
            listed.extend(page.attachments);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(listed, expected);
        let nowhere = format!("{}/reports/{}", tri_qua(), Uuid::nil());
        let request = pb::ListAttachmentsRequest { parent: nowhere, ..Default::default() };
        let refused = files.list_attachments(request).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::NotFound, "REPORT_NOT_FOUND"));
    }
}

#[tokio::test]
async fn a_file_that_was_damaged_in_its_store_is_never_given_out_as_whole() {
    for engine in ENGINES {
        let s3 = S3::new();
        let testing = with_s3(engine, &s3, now()).await;
        let (mut files, mut client) = (files_of_reporter(&testing), reporter(&testing, tri_qua()));
        let draft = create(&mut client, tri_qua(), may()).await.unwrap();
        let bytes = pdf(MIB);
        let attachment = upload(&mut files, &draft.name, "a.pdf", &bytes).await.unwrap();
        let key = blobs(&s3).remove(0);
        let mut altered = bytes.clone();
        altered[MIB / 2] ^= 1;
        for stored in [&altered[..], &bytes[..MIB - 1], b""] {
            s3.put(&key, stored);
            let refused = download(&mut files, &attachment.name).await.unwrap_err();
            assert_eq!(refusal(&refused), reason(Code::DataLoss, "ATTACHMENT_DAMAGED"));
            assert_eq!(metadata(&refused, "attachment"), attachment.name);
        }
        s3.put(&key, &bytes);
        assert!(download(&mut files, &attachment.name).await.unwrap().1 == bytes);
    }
}

#[tokio::test]
async fn while_the_store_is_away_reports_go_on_and_files_wait() {
    let s3 = S3::new();
    let testing = with_s3(Engine::Sqlite, &s3, now()).await;
    let (mut files, mut client) = (files_of_reporter(&testing), reporter(&testing, tri_qua()));
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    let bytes = pdf(100);
    let attachment = upload(&mut files, &draft.name, "a.pdf", &bytes).await.unwrap();
    let health = async |expected: ServingStatus| {
        let mut client = HealthClient::new(testing.anonymous());
        eventually(LIMIT, async || {
            let request = HealthCheckRequest { service: "submission/attachments".to_owned() };
            let said = client.check(request).await.unwrap().into_inner().status();
            (said == expected).then_some(())
        })
        .await;
    };
    health(ServingStatus::Serving).await;
    s3.go_away();
    health(ServingStatus::NotServing).await;
    let away = reason(Code::Unavailable, "UNAVAILABLE");
    let refused = upload(&mut files, &draft.name, "b.pdf", &bytes).await.unwrap_err();
    assert_eq!(refusal(&refused), away);
    let refused = download(&mut files, &attachment.name).await.unwrap_err();
    assert_eq!(refusal(&refused), away);
    let mut operator = self::files(&testing, &["operator"]);
    let erased = erase(&mut operator, &attachment.name).await.unwrap();
    assert!(erased.erase_time.is_some());
    submit(&mut client, &draft.name).await.unwrap();
    assert_eq!(blobs(&s3).len(), 1, "what could not be reached is still there");
    s3.come_back();
    health(ServingStatus::Serving).await;
    // What is left to erase is erased by whoever begins, if not before.
    let place = testing.stop().await;
    let _testing = over_s3(place, &s3, now()).await;
    eventually(LIMIT, async || blobs(&s3).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_service_begins_while_the_store_is_away_and_not_over_one_that_is_of_no_use() {
    let s3 = S3::new();
    s3.go_away();
    let testing = with_s3(Engine::Sqlite, &s3, now()).await;
    let mut client = reporter(&testing, tri_qua());
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    s3.come_back();
    upload(&mut files_of_reporter(&testing), &draft.name, "a.pdf", &pdf(10)).await.unwrap();
    assert_eq!(blobs(&s3).len(), 1);

    let mut keys = s3.keys("");
    keys[0].1 = "s3://khong-co".to_owned();
    let refused = start_refused(Suite::new().with::<dunghan_submission::Submission>(), &keys).await;
    assert!(refused.contains("submission.attachments"), "{refused}");
    let folder = vec![("submission.attachments.location", "/proc/attachments".to_owned())];
    let refused =
        start_refused(Suite::new().with::<dunghan_submission::Submission>(), &folder).await;
    assert!(refused.contains("the folder /proc/attachments is of no use"), "{refused}");
}

/// Why a suite does not get ready.
async fn start_refused(suite: Suite, keys: &[(&str, String)]) -> String {
    let place = Place::new(Engine::Sqlite).await;
    let mut overrides: Vec<_> = ["server.listen", "peers.registry", "peers.compliance"]
        .into_iter()
        .zip(["127.0.0.1:0", "http://127.0.0.1:9", "http://127.0.0.1:9"])
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    overrides.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let sources = dunghan_host::Sources {
        data_dir: place.folder().to_owned(),
        overrides,
        ..dunghan_host::Sources::default()
    };
    let names = ["registry", "submission", "compliance"];
    let config = dunghan_host::Config::read(&sources, &names).unwrap();
    let suite = self::suite().only(&suite.names()).unwrap();
    let mut started = suite.start(&config, dunghan_host::Clocks::default()).await.unwrap();
    format!("{:#}", started.ready().await.unwrap_err())
}

#[tokio::test]
async fn a_blob_that_a_crash_left_without_a_row_is_collected_after_a_day() {
    for engine in ENGINES {
        let (testing, mut files, _, draft) = drafted(engine).await;
        let kept = upload(&mut files, &draft.name, "a.pdf", &pdf(10)).await.unwrap();
        let place = testing.stop().await;
        for file in stored(&place) {
            age(&file, TimeDelta::hours(25));
        }
        let lay = |hours: i64| {
            let file = orphan(&place);
            age(&file, TimeDelta::hours(hours));
            file
        };
        let (old, young) = (lay(25), lay(23));
        let testing = start_at(suite(), place, SystemClock.now(), &[]).await;
        eventually(LIMIT, async || (!old.exists()).then_some(())).await;
        assert!(young.exists(), "it may be one that is being taken in");
        let mut files = files_of_reporter(&testing);
        assert_eq!(download(&mut files, &kept.name).await.unwrap().1, pdf(10));
    }
}

/// A blob that no row knows.
fn orphan(place: &Place) -> PathBuf {
    let id = Uuid::new_v4().to_string();
    let inner = place.folder().join("attachments").join(&id[..2]);
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join(&id), "...").unwrap();
    inner.join(id)
}

/// Has a file be so old.
fn age(file: &Path, age: TimeDelta) {
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_modified((SystemClock.now() - age).into()).unwrap();
}

#[tokio::test]
async fn an_erasure_that_a_crash_cut_off_before_the_blob_was_gone_is_finished() {
    for engine in ENGINES {
        let (testing, mut files, _, draft) = drafted(engine).await;
        let attachment = upload(&mut files, &draft.name, "a.pdf", &pdf(10)).await.unwrap();
        let place = testing.stop().await;
        let (at, author) = (now(), "lan".to_owned());
        let erasure = Erasure { at, author, reason: "Gửi nhầm.".to_owned() };
        let store = store(&place).await;
        store.attachment_erase(attachment.name.parse().unwrap(), &erasure).await.unwrap();
        store.database().close().await.unwrap();
        assert_eq!(stored(&place).len(), 1);
        let blob = stored(&place).remove(0);
        let testing = start_at(suite(), place, now(), &[]).await;
        eventually(LIMIT, async || (!blob.exists()).then_some(())).await;
        let mut files = files_of_reporter(&testing);
        let refused = download(&mut files, &attachment.name).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::FailedPrecondition, "ATTACHMENT_ERASED"));
    }
}

async fn store(place: &Place) -> Store {
    let location: &Location = &place.location;
    Store::new(Database::open(location, "submission").await.unwrap())
}

#[tokio::test]
async fn what_was_taken_off_before_any_revision_had_it_is_forgotten_after_a_day() {
    for engine in ENGINES {
        // What is old by one clock alone, the store's or the service's, is not.
        let now = SystemClock.now() - TimeDelta::days(2);
        let testing = start_at(suite(), Place::new(engine).await, now, &[]).await;
        let (mut files, mut client) = (files_of_reporter(&testing), reporter(&testing, tri_qua()));
        let draft = create(&mut client, tri_qua(), may()).await.unwrap();
        let mut came = Vec::new();
        for number in 0..4 {
            came.push(upload(&mut files, &draft.name, "a.pdf", &pdf(10 + number)).await.unwrap());
            if number == 1 {
                // The first was off before, the second is in the revision.
                detach(&mut files, &came[0].name).await.unwrap();
                submit(&mut client, &draft.name).await.unwrap();
                withdraw(&mut client, &draft.name).await.unwrap();
                detach(&mut files, &came[1].name).await.unwrap();
            }
        }
        // The third came after the revision, and the fourth is on the report.
        detach(&mut files, &came[2].name).await.unwrap();
        let before: Vec<_> = list(&mut files, &draft.name).await.iter().map(id).collect();
        assert_eq!(before.len(), 4);
        let place = testing.stop().await;
        let testing = start_at(suite(), place, now + TimeDelta::hours(23), &[]).await;
        assert_eq!(list(&mut files_of_reporter(&testing), &draft.name).await.len(), 4);
        let place = testing.stop().await;
        let folder = place.folder().to_owned();
        for file in stored(&place) {
            age(&file, TimeDelta::hours(25));
        }
        let testing = start_at(suite(), place, SystemClock.now(), &[]).await;
        let mut files = files_of_reporter(&testing);
        eventually(LIMIT, async || {
            let there = list(&mut files, &draft.name).await;
            let blobs = stored_in(&folder);
            (there.len() == 2 && blobs.len() == 2).then_some(())
        })
        .await;
        let left: Vec<_> = list(&mut files, &draft.name).await.iter().map(id).collect();
        assert!(left.contains(&id(&came[1])) && left.contains(&id(&came[3])));
        let refused = download(&mut files, &came[0].name).await.unwrap_err();
        assert_eq!(refusal(&refused), reason(Code::NotFound, "ATTACHMENT_NOT_FOUND"));
        assert_eq!(download(&mut files, &came[1].name).await.unwrap().1, pdf(11));
        assert_eq!(download(&mut files, &came[3].name).await.unwrap().1, pdf(13));
    }
}

#[tokio::test]
async fn what_is_removed_is_counted_by_why() {
    let collector = Collector::start().await;
    let settings = Settings {
        otlp_endpoint: Some(collector.endpoint.clone()),
        ..Settings::logs(Format::Json, "off")
    };
    let telemetry = init_with_logs_to(&settings, std::io::sink).unwrap();
    let (testing, mut files, _, draft) = drafted(Engine::Sqlite).await;
    let attachment = upload(&mut files, &draft.name, "a.pdf", &pdf(10)).await.unwrap();
    let place = testing.stop().await;
    age(&orphan(&place), TimeDelta::hours(25));
    let testing = start_at(suite(), place, SystemClock.now(), &[]).await;
    let tells = async |name: &str, attributes: &[(&str, &str)], value: f64| {
        let attributes = attributes.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let wanted = Point { attributes: attributes.collect(), value };
        // With a flush before each look: what is counted after one is not sent until the next.
        eventually(LIMIT, async || {
            telemetry.flush().await;
            collector.points(name).contains(&wanted).then_some(())
        })
        .await;
    };
    tells("dunghan.attachments.collected", &[("kind", "orphan")], 1.0).await;
    erase(&mut self::files(&testing, &["operator"]), &attachment.name).await.unwrap();
    tells("dunghan.attachments.collected", &[("kind", "erased")], 1.0).await;
    tells("dunghan.attachments.owned", &[], 1.0).await;
    tells("dunghan.attachments.erasures_due", &[], 0.0).await;
    let there = [("dependency", "attachments"), ("service", "submission")];
    tells("dunghan.dependency.up", &there, 1.0).await;
    telemetry.shutdown().await;
}
