//! Receipts that units keep: signed, and checked when they are shown again.

use std::path::Path;
use std::sync::Arc;

use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_rpc::{Jws, JwsKey, KeyError, internal};
use tokio::task::spawn_blocking;
use tonic::Status;

use super::Service;
use crate::Config;
use crate::convert::receipt::Said;
use crate::domain::receipt::Received;
use crate::domain::report::{NotHandedOver, Report, Stage};
use crate::error::bad;
use crate::store::Error;

const MOST_TOKEN_BYTES: usize = 8000;
const TOKEN: &str = "token";

/// The key that signs receipts, and those by which they are checked.
#[derive(Clone, Debug)]
pub(crate) struct Receipts {
    own: Jws,
    /// The one that signs first.
    keys: Arc<[JwsKey]>,
}

impl Receipts {
    /// Makes the key where it is not there.
    pub(crate) fn open(config: &Config, data_folder: &Path) -> Result<Self, KeyError> {
        let own = Jws::open(&config.receipt_key_file(data_folder))?;
        let earlier = config.earlier_receipt_keys.split(',').map(str::trim);
        let earlier = earlier.filter(|file| !file.is_empty());
        let earlier = earlier.map(|file| JwsKey::read(Path::new(file)));
        let earlier = earlier.filter(|key| key.as_ref().ok() != Some(own.public()));
        let keys = [Ok(own.public().clone())].into_iter().chain(earlier);
        Ok(Self { keys: keys.collect::<Result<_, _>>()?, own: own.clone() })
    }

    fn sign(&self, said: &Said) -> Result<String, Status> {
        said.sign(&self.own).map_err(|e| internal("signing a receipt", &e))
    }

    /// Errors: INVALID_ARGUMENT (RECEIPT_ALTERED).
    fn verified(&self, token: &str) -> Result<Said, Status> {
        let altered = |e| bad(TOKEN, ErrorReason::ReceiptAltered, e);
        Said::verified(&self.keys, token).map_err(altered)
    }
}

/// What a receipt says of a revision; none where it was not handed over.
async fn received(revision: Report) -> Result<Option<Received>, Status> {
    // Of texts of some megabytes.
    let hashing = spawn_blocking(move || Received::of(&revision));
    hashing.await.map_err(|e| internal("hashing a report", &e))
}

impl Service {
    /// A revision of a report, as it was handed over.
    ///
    /// Errors: INVALID_ARGUMENT (UNKNOWN_REVISION) naming the field.
    pub(super) async fn revision(
        &self,
        report: &Report,
        field: &str,
        revision: i32,
    ) -> Result<Report, Status> {
        let unknown = || {
            let says = match report.revision {
                0 => "is no revision: it was never handed over".to_owned(),
                last => format!("is no revision: they go from 1 to {last}"),
            };
            bad(field, ErrorReason::UnknownRevision, says)
        };
        if !(1..=report.revision).contains(&revision) {
            return Err(unknown());
        }
        self.store.report_revision(report, revision).await?.ok_or_else(unknown)
    }

    pub(super) async fn signed_receipt(
        &self,
        report: Report,
        revision: i32,
    ) -> Result<pb::SignedReceipt, Status> {
        let revision = match (revision, report.stage()) {
            (0, Stage::Draft) => return Err(NotHandedOver { name: report.name }.into()),
            (0, Stage::Submitted | Stage::Accepted | Stage::Returned) => report.revision,
            (revision, _) => revision,
        };
        let handed_over = self.revision(&report, "revision", revision).await?;
        let unit = report.name.unit;
        let hierarchy = self.units.knowing(unit).await?;
        let unit = hierarchy.unit(unit, report.asked.window.cut_off);
        let unit_name = unit.map(|unit| unit.version.display_name.clone()).unwrap_or_default();
        let received = received(handed_over).await?;
        let received = received.ok_or_else(|| {
            let odd = std::io::Error::other(format!("revision {revision} of {}", report.name));
            internal("reading what was handed over", &odd)
        })?;
        let key = self.receipts.own.public().id().to_owned();
        let said = Said::new(&received, &report.asked, unit_name, key, self.clock.now());
        let token = self.receipts.sign(&said)?;
        Ok(pb::SignedReceipt { token, content: Some(said.into()) })
    }

    pub(super) async fn verify(&self, token: &str) -> Result<pb::VerifyReceiptResponse, Status> {
        if token.is_empty() {
            return Err(bad(TOKEN, Common::RequiredFieldMissing, "is missing"));
        }
        if token.len() > MOST_TOKEN_BYTES {
            let says = format!("must not be longer than {MOST_TOKEN_BYTES} bytes");
            return Err(bad(TOKEN, ErrorReason::TooLong, says));
        }
        let said = self.receipts.verified(token)?;
        let told = said.received();
        let content = Some(said.into());
        // Signed here, but by a program that names reports otherwise.
        let gone = pb::VerifyReceiptResponse { content, matches: false, stands: false };
        let Some(told) = told else { return Ok(gone) };
        let report = match self.store.report_fetch(told.report).await {
            Err(Error::NotFound(_)) => return Ok(gone),
            found => found?,
        };
        let here = match self.store.report_revision(&report, told.revision).await? {
            None => None,
            Some(revision) => received(revision).await?,
        };
        let (matches, stands) = (here.as_ref() == Some(&told), told.stands(&report));
        Ok(pb::VerifyReceiptResponse { matches, stands, ..gone })
    }

    pub(super) fn receipt_keys(&self) -> pb::ListReceiptKeysResponse {
        let keys = self.receipts.keys.iter();
        let keys = keys.map(|key| pb::ReceiptKey { key_id: key.id().to_owned(), jwk: key.jwk() });
        pb::ListReceiptKeysResponse { keys: keys.collect() }
    }
}
