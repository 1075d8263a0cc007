//! What a receipt says: as it is signed, and as the contract writes it.

use chrono::{DateTime, Utc};
use dunghan_proto::submission as pb;
use dunghan_rpc::{Jws, JwsKey, NotSigned, field};
use serde::{Deserialize, Serialize};

use crate::domain::receipt::Received;
use crate::domain::report::Asked;

/// By which receipts are told from other signed texts.
const TYPE: &str = "dunghan-receipt+jws";

/// What a receipt says that one of these keys signed: no server is asked. Whether the report still says the same, and counts as
/// received, it does not tell.
///
/// Errors: none of them signed it, or it was altered since.
pub fn signed_receipt(keys: &[JwsKey], token: &str) -> Result<pb::ReceiptContent, NotSigned> {
    Said::verified(keys, token).map(pb::ReceiptContent::from)
}

/// What is signed, in JSON as the contract's JSON has it. What a later program adds is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Said {
    report: String,
    unit: String,
    unit_display_name: String,
    regime: String,
    period: String,
    revision: i32,
    receive_time: DateTime<Utc>,
    revision_receive_time: DateTime<Utc>,
    sha256: String,
    key_id: String,
    sign_time: DateTime<Utc>,
}

impl Said {
    pub(crate) fn new(
        received: &Received,
        asked: &Asked,
        unit_display_name: String,
        key_id: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            report: received.report.to_string(),
            unit: received.report.unit.to_string(),
            unit_display_name,
            regime: format!("regimes/{}", asked.regime),
            period: asked.period.to_string(),
            revision: received.revision,
            receive_time: received.first,
            revision_receive_time: received.last,
            sha256: received.sha256.clone(),
            key_id,
            sign_time: now,
        }
    }

    pub(crate) fn sign(&self, key: &Jws) -> Result<String, serde_json::Error> {
        key.sign(TYPE, self)
    }

    pub(crate) fn verified(keys: &[JwsKey], token: &str) -> Result<Self, NotSigned> {
        JwsKey::verified(keys, TYPE, token).map(|(said, _)| said)
    }

    /// What is to be compared with what is here; none where the name is none.
    pub(crate) fn received(&self) -> Option<Received> {
        Some(Received {
            report: self.report.parse().ok()?,
            revision: self.revision,
            first: self.receive_time,
            last: self.revision_receive_time,
            sha256: self.sha256.clone(),
        })
    }
}

impl From<Said> for pb::ReceiptContent {
    fn from(said: Said) -> Self {
        Self {
            report: said.report,
            unit: said.unit,
            unit_display_name: said.unit_display_name,
            regime: said.regime,
            period: said.period,
            revision: said.revision,
            receive_time: Some(field::pb_time(said.receive_time)),
            revision_receive_time: Some(field::pb_time(said.revision_receive_time)),
            sha256: said.sha256,
            key_id: said.key_id,
            sign_time: Some(field::pb_time(said.sign_time)),
        }
    }
}
