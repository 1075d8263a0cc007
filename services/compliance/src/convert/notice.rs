//! pb ⇄ domain: notices.

use dunghan_proto::compliance as pb;
use dunghan_rpc::field;

use crate::domain::notice::{Notice, Topic};

impl From<&Notice> for pb::Notice {
    fn from(notice: &Notice) -> Self {
        let (kind, regime, period) = match &notice.topic {
            Topic::MissingReports { regime, period } => {
                (pb::notice::Kind::MissingReports, regime.to_string(), period.to_string())
            }
            Topic::RetractedMissingReports { regime, period } => {
                (pb::notice::Kind::RetractedMissingReports, regime.to_string(), period.to_string())
            }
            Topic::OverdueReturns { regime, period } => {
                (pb::notice::Kind::OverdueReturns, regime.to_string(), period.to_string())
            }
            Topic::OverdueDossiers => {
                (pb::notice::Kind::OverdueDossiers, String::new(), String::new())
            }
        };
        Self {
            name: format!("{}/notices/{}", notice.recipient, notice.id),
            recipient: notice.recipient.to_string(),
            kind: kind.into(),
            rung: notice.rung.clone(),
            regime,
            period,
            subjects: notice.subjects.clone(),
            detect_time: Some(field::pb_time(notice.detect_time)),
            text: notice.text.clone(),
        }
    }
}
