//! `reports receipt`: that a report was received, signed.

use std::path::Path;

use chrono::{DateTime, FixedOffset};
use dunghan_proto::submission as pb;
use dunghan_rpc::JwsKey;
use dunghan_submission::signed_receipt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{keep, named};
use crate::cli::{ClientArgs, ReceiptVerb};
use crate::client::Client;
use crate::failure::Failure;
use crate::input;
use crate::output::{self, show_name, show_period, show_time};

/// What a receipt says.
#[derive(Serialize)]
struct Content {
    report: String,
    unit: String,
    unit_display_name: String,
    regime: String,
    period: String,
    revision: i32,
    receive_time: Option<DateTime<FixedOffset>>,
    revision_receive_time: Option<DateTime<FixedOffset>>,
    sha256: String,
    key_id: String,
    sign_time: Option<DateTime<FixedOffset>>,
}

impl From<pb::ReceiptContent> for Content {
    fn from(content: pb::ReceiptContent) -> Self {
        Self {
            receive_time: output::time(content.receive_time.as_ref()),
            revision_receive_time: output::time(content.revision_receive_time.as_ref()),
            sign_time: output::time(content.sign_time.as_ref()),
            report: content.report,
            unit: content.unit,
            unit_display_name: content.unit_display_name,
            regime: content.regime,
            period: content.period,
            revision: content.revision,
            sha256: content.sha256,
            key_id: content.key_id,
        }
    }
}

impl Content {
    fn text(&self) -> String {
        output::pairs(&[
            ("Unit", self.unit_display_name.clone()),
            ("Report", show_name(&self.report)),
            ("Regime", self.regime.clone()),
            ("Period", show_period(&self.period)),
            ("Revision", self.revision.to_string()),
            ("Received first", show_time(self.receive_time)),
            ("This revision", show_time(self.revision_receive_time)),
            ("SHA-256", self.sha256.clone()),
            ("Signed", show_time(self.sign_time)),
            ("By the key", self.key_id.clone()),
        ])
    }
}

#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    content: Content,
    /// The report is here, and that revision of it says the same. None where no server was asked.
    matches: Option<bool>,
    /// The report counts as received since then. None where no server was asked.
    stands: Option<bool>,
}

impl Verified {
    fn text(&self) -> String {
        let answer = |asked: Option<bool>, no: &str| match asked {
            None => "not asked: only the signature was checked".to_owned(),
            Some(true) => "yes".to_owned(),
            Some(false) => format!("no: {no}"),
        };
        let by = if self.matches.is_some() { "Signed here" } else { "Signed by these keys" };
        let verdict = output::pairs(&[
            (by, "yes".to_owned()),
            ("Report is the same", answer(self.matches, OTHER)),
            ("Still counts", answer(self.stands, GONE)),
        ]);
        format!("{verdict}\n\n{}", self.content.text())
    }

    /// Errors: the server says that something is not so.
    fn must_hold(&self) -> Result<(), Failure> {
        let wrong = [(self.matches, OTHER), (self.stands, GONE)];
        let wrong = wrong.into_iter().filter(|(asked, _)| *asked == Some(false));
        let wrong: Vec<_> = wrong.map(|(_, why)| why).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::Failed(anyhow::anyhow!("the receipt does not hold: {}", wrong.join("; "))))
    }
}

const OTHER: &str = "the report is not here, or not as the receipt says";
const GONE: &str = "the report does not count as received since then";

#[derive(Serialize, Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

/// The keys of a JWK set as `keys` prints it. What is no key of Ed25519 is passed over: a set may hold others.
fn keys(file: &Path) -> Result<Vec<JwsKey>, Failure> {
    let set = serde_json::from_slice::<Keys>(&input::read(file)?);
    let set = set.map_err(|e| vec![format!("is no JWK set: {e}")]);
    let keys = set.and_then(|set| {
        let keys = set.keys.iter().filter_map(|key| JwsKey::of_jwk(&key.to_string()).ok());
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() { Err(vec!["has no key of Ed25519".to_owned()]) } else { Ok(keys) }
    });
    input::in_file(file, keys)
}

pub(super) async fn receipt(args: &ClientArgs, verb: ReceiptVerb) -> Result<(), Failure> {
    match verb {
        ReceiptVerb::Get { which, revision, file } => {
            let (client, name) = named(args, which).await?;
            let revision = revision.unwrap_or(0);
            let request = pb::GetSignedReceiptRequest { name, revision };
            let receipt = client.submission().get_signed_receipt(request).await?.into_inner();
            let Some(file) = file else { return output::write(&receipt.token) };
            keep(&file, &receipt.token)?;
            let content = Content::from(receipt.content.unwrap_or_default());
            output::print(args.output, &content, Content::text)
        }
        ReceiptVerb::Verify { file, keys: by } => {
            let text = String::from_utf8(input::read(&file)?);
            let text = text.map_err(|_| Failure::input("is no receipt: it is not text"))?;
            let token = text.trim();
            let verified = match by {
                Some(by) => {
                    let content = signed_receipt(&keys(&by)?, token);
                    let content = content.map_err(|e| anyhow::anyhow!("the receipt {e}"))?;
                    Verified { content: content.into(), matches: None, stands: None }
                }
                None => {
                    let client = Client::of(args)?;
                    let request = pb::VerifyReceiptRequest { token: token.to_owned() };
                    let found = client.submission().verify_receipt(request).await?.into_inner();
                    let content = Content::from(found.content.unwrap_or_default());
                    let (matches, stands) = (Some(found.matches), Some(found.stands));
                    Verified { content, matches, stands }
                }
            };
            output::print(args.output, &verified, Verified::text)?;
            verified.must_hold()
        }
        ReceiptVerb::Keys => {
            let client = Client::of(args)?;
            let request = pb::ListReceiptKeysRequest {};
            let found = client.submission().list_receipt_keys(request).await?;
            let keys = found.into_inner().keys.into_iter();
            let keys = keys.map(|key| serde_json::from_str(&key.jwk)).collect::<Result<_, _>>();
            let keys = Keys { keys: keys.map_err(anyhow::Error::from)? };
            // A JWK set is JSON, whatever is asked for: it is for other programs.
            let text = serde_json::to_string_pretty(&keys).map_err(anyhow::Error::from)?;
            output::write(&text)
        }
    }
}
