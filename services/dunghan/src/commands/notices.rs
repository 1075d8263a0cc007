//! `notices` and `sweep`: what supervisors were told, and telling them.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset};
use dunghan_proto::compliance as pb;
use serde::Serialize;

use crate::cli::{Notices, Sweep};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::output::{self, Column, Rows, plain, show_period, show_time, word};

#[derive(Serialize)]
struct Notice {
    name: String,
    recipient: String,
    recipient_label: String,
    kind: String,
    rung: String,
    regime: String,
    period: String,
    subjects: Vec<String>,
    detect_time: Option<DateTime<FixedOffset>>,
    text: String,
}

#[derive(Serialize)]
struct List {
    notices: Vec<Notice>,
}

#[derive(Serialize)]
struct Swept {
    sweep_time: Option<DateTime<FixedOffset>>,
    opened_count: i32,
    received_count: i32,
    missing_count: i32,
    overdue_count: i32,
    notice_count: i32,
    unverified_count: i32,
    retracted_count: i32,
    return_overdue_count: i32,
}

pub(super) async fn notices(args: Notices) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let mut request = pb::ListNoticesRequest {
        parent: client.unit_name_or_all(args.unit.as_ref(), args.as_of).await?,
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut names: HashMap<String, String> = HashMap::new();
    let mut list = List { notices: Vec::new() };
    loop {
        let page = client.notices().list_notices(request.clone()).await?.into_inner();
        for notice in page.notices {
            let detect_time = output::time(notice.detect_time.as_ref());
            if !names.contains_key(&notice.recipient) {
                let on = detect_time.map(|time| time.date_naive());
                let label = client.label(&notice.recipient, on).await;
                names.insert(notice.recipient.clone(), label);
            }
            list.notices.push(Notice {
                recipient_label: names.get(&notice.recipient).cloned().unwrap_or_default(),
                kind: word(notice.kind().as_str_name(), "KIND_"),
                detect_time,
                name: notice.name,
                recipient: notice.recipient,
                rung: notice.rung,
                regime: notice.regime,
                period: notice.period,
                subjects: notice.subjects,
                text: notice.text,
            });
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output::print(args.client.output, &list, |list| {
        use Column::{Number, Text};
        if args.text && !list.notices.is_empty() {
            let each = list.notices.iter().map(|notice| {
                let (found, to) = (show_time(notice.detect_time), &notice.recipient_label);
                output::wrap(&format!("{found}, {to}\n{}", notice.text))
            });
            return each.collect::<Vec<_>>().join("\n\n");
        }
        let mut rows = Rows::new(&[
            Text("Found"),
            Text("To"),
            Text("About"),
            Text("Regime"),
            Text("Period"),
            Number("Count"),
        ]);
        for notice in &list.notices {
            rows.row([
                show_time(notice.detect_time),
                notice.recipient_label.clone(),
                plain(&notice.kind),
                notice.regime.trim_start_matches("regimes/").to_owned(),
                show_period(&notice.period),
                notice.subjects.len().to_string(),
            ]);
        }
        rows.text()
    })
}

pub(super) async fn sweep(args: Sweep) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let request = pb::RunSweepRequest { accept_clock: args.accept_clock };
    let swept = client.compliance().run_sweep(request).await?.into_inner();
    let swept = Swept {
        sweep_time: output::time(swept.sweep_time.as_ref()),
        opened_count: swept.opened_count,
        received_count: swept.received_count,
        missing_count: swept.missing_count,
        overdue_count: swept.overdue_count,
        notice_count: swept.notice_count,
        unverified_count: swept.unverified_count,
        retracted_count: swept.retracted_count,
        return_overdue_count: swept.return_overdue_count,
    };
    output::print(args.client.output, &swept, |swept| {
        output::pairs(&[
            ("At", show_time(swept.sweep_time)),
            ("Obligations opened", swept.opened_count.to_string()),
            ("Receipts taken in", swept.received_count.to_string()),
            ("Reports found missing", swept.missing_count.to_string()),
            ("Taken back, as they were on time", swept.retracted_count.to_string()),
            ("Sent back and not there again", swept.return_overdue_count.to_string()),
            ("Dossiers found overdue", swept.overdue_count.to_string()),
            ("Notices written", swept.notice_count.to_string()),
            ("Not verified", swept.unverified_count.to_string()),
        ])
    })
}
