//! What a unit owes, at an address that calendars subscribe to.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dunghan_host::{FeedToken, feed_refused};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_rpc::Peer;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

/// A calendar is asked for some times a day; whoever asks again at once need not be told again.
const KEPT: &str = "private, max-age=900";
/// Lines that say when they were asked for, or count what may have moved due dates anywhere.
const NO_NEWS: [&str; 2] = ["DTSTAMP:", "SEQUENCE:"];

/// The pages, which ask `compliance` as the guard lets whoever reads them.
pub(crate) fn pages(compliance: ComplianceServiceClient<Peer>) -> Router {
    Router::new().route("/units/{unit}/owed.ics", get(owed)).with_state(compliance)
}

async fn owed(
    State(mut compliance): State<ComplianceServiceClient<Peer>>,
    Path(unit): Path<String>,
    token: FeedToken,
    asked: HeaderMap,
) -> Response {
    let unit = format!("units/{unit}");
    let request = pb::ExportOwedCalendarRequest { unit, ..Default::default() };
    match compliance.export_owed_calendar(token.call(request)).await {
        Ok(answer) => calendar(answer.into_inner().content, &asked),
        Err(status) => feed_refused(&status),
    }
}

/// The calendar, or that it is still what the client has.
fn calendar(content: String, asked: &HeaderMap) -> Response {
    let tag = tag(&content);
    let kept = [(CACHE_CONTROL, KEPT), (ETAG, &tag)];
    match is_known(&tag, asked) {
        true => (StatusCode::NOT_MODIFIED, kept).into_response(),
        false => (kept, [(CONTENT_TYPE, "text/calendar; charset=utf-8")], content).into_response(),
    }
}

/// The same for calendars that say the same. It is a weak one: their bytes differ.
fn tag(content: &str) -> String {
    let mut hash = Sha256::new();
    for line in content.split_inclusive('\n') {
        // Neither is ever folded, and a line that goes on from the one before begins with a space.
        if !NO_NEWS.iter().any(|name| line.starts_with(name)) {
            hash.update(line);
        }
    }
    format!("W/\"{:x}\"", hash.finalize())
}

/// Whether a client says that it has what has this tag.
fn is_known(tag: &str, asked: &HeaderMap) -> bool {
    let lists = asked.get_all(IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|one| one == "*" || opaque(one) == opaque(tag))
}

/// A tag, whether it is a strong one or weak: what stands between may have made it either.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALENDAR: &str = "BEGIN:VEVENT\r\nDESCRIPTION:Căn cứ:\r\n DTSTAMP:là chữ\r\n\
                            DTSTAMP:20260518T010000Z\r\nSEQUENCE:1\r\nEND:VEVENT\r\n";

    #[test]
    fn a_tag_is_of_what_a_calendar_says_and_not_of_when_it_was_asked() {
        let same = |from: &str, to: &str| tag(CALENDAR) == tag(&CALENDAR.replace(from, to));
        assert!(same("20260518T010000Z", "20260519T020000Z"));
        assert!(same("SEQUENCE:1", "SEQUENCE:20"));
        assert!(!same("là chữ", "là chữ khác"), "it goes on from the line before");
        assert!(!same("END", "X-END"));
        assert!(!same("\r\nEND", "\r\n\r\nEND"));
    }

    #[test]
    fn what_a_client_has_is_known_by_any_of_the_tags_that_it_sends() {
        let tag = tag(CALENDAR);
        let strong = &tag[2..];
        let both = [r#""a", W/"b""#.to_owned(), format!("\"c\",{tag}")];
        for (sent, known) in [
            (vec![], false),
            (vec![tag.clone()], true),
            (vec![strong.to_owned()], true),
            (vec!["*".to_owned()], true),
            (both.to_vec(), true),
            (both[..1].to_vec(), false),
            (vec![strong.trim_matches('"').to_owned()], false),
            (vec![r#""""#.to_owned()], false),
        ] {
            let mut asked = HeaderMap::new();
            for list in &sent {
                asked.append(IF_NONE_MATCH, list.parse().unwrap());
            }
            assert_eq!(is_known(&tag, &asked), known, "{sent:?}");
        }
    }
}
