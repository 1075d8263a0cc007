//! `reports receipt`: that a report was received, signed.

use anyhow::Context as _;
use chrono::{DateTime, FixedOffset};
use dunghan_proto::submission as pb;
use serde::Serialize;
use serde_json::Value;

use super::named;
use crate::cli::{ClientArgs, ReceiptVerb};
use crate::client::Client;
use crate::failure::Failure;
use crate::input;
use crate::output::{self, show_period, show_time};

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
            ("Report", self.report.clone()),
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
    /// The report is here, and that revision of it says the same.
    matches: bool,
    /// The report counts as received since then.
    stands: bool,
}

impl Verified {
    fn text(&self) -> String {
        let matches = if self.matches { "yes" } else { "no: the report is not here so" };
        let stands = if self.stands { "yes" } else { "no: it was taken back since" };
        let verdict = output::pairs(&[
            ("Signed here", "yes".to_owned()),
            ("Report is the same", matches.to_owned()),
            ("Still counts", stands.to_owned()),
        ]);
        format!("{verdict}\n\n{}", self.content.text())
    }
}

#[derive(Serialize)]
struct Keys {
    keys: Vec<Value>,
}

pub(super) async fn receipt(args: &ClientArgs, verb: ReceiptVerb) -> Result<(), Failure> {
    match verb {
        ReceiptVerb::Get { which, revision, file } => {
            let (client, name) = named(args, which).await?;
            let revision = revision.unwrap_or(0);
            let request = pb::GetSignedReceiptRequest { name, revision };
            let receipt = client.submission().get_signed_receipt(request).await?.into_inner();
            let Some(file) = file else { return output::write(&receipt.token) };
            std::fs::write(&file, format!("{}\n", receipt.token))
                .with_context(|| format!("{} cannot be written", file.display()))?;
            let content = Content::from(receipt.content.unwrap_or_default());
            output::print(args.output, &content, Content::text)
        }
        ReceiptVerb::Verify { file } => {
            let text = String::from_utf8(input::read(&file)?);
            let text = text.map_err(|_| Failure::input("is no receipt: it is not text"))?;
            let client = Client::of(args)?;
            let request = pb::VerifyReceiptRequest { token: text.trim().to_owned() };
            let found = client.submission().verify_receipt(request).await?.into_inner();
            let content = Content::from(found.content.unwrap_or_default());
            let verified = Verified { content, matches: found.matches, stands: found.stands };
            output::print(args.output, &verified, Verified::text)
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
