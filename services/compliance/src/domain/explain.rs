//! Why an obligation stands as it does, in words that can be forwarded.

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Certainty, Day, WorkingCalendar, zone};

use crate::domain::notice::Notice;
use crate::domain::obligation::{Obligation, Standing};
use crate::domain::regime::{Debtors, Regime};
use crate::domain::wording;

/// A decision by which a unit need not report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Number and symbol.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub author: String,
    /// When.
    pub create_time: DateTime<Utc>,
}

/// All that an explanation rests on.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// What is explained.
    pub obligation: &'a Obligation,
    /// By which rule it is owed.
    pub regime: &'a Regime,
    /// The unit's name on the cut-off day.
    pub unit_name: &'a str,
    /// The name of who receives it.
    pub receiving_name: &'a str,
    /// The list of units does not know since when the unit exists.
    pub unit_uncertain: bool,
    /// The working days.
    pub calendar: &'a WorkingCalendar,
    /// Who was told, with their names.
    pub notices: &'a [(Notice, String)],
    /// The decision that excuses, where there is one.
    pub waiver: Option<&'a Waiver>,
    /// The moment explained.
    pub at: DateTime<Utc>,
}

impl Grounds<'_> {
    /// The days between cut-off and due date that do not count, with why; none where the due date is a fixed one.
    pub fn skipped_days(&self) -> Vec<(NaiveDate, Day)> {
        let cut_off = self.regime.window(self.obligation.name.period).cut_off;
        let counted = self.regime.due.is_some_and(|rule| {
            matches!(rule, dunghan_calendar::DueRule::WorkingDaysAfterCutOff(_))
        });
        match self.obligation.due_date() {
            Some(due) if counted => self.calendar.skipped(cut_off, due),
            _ => Vec::new(),
        }
    }

    /// Why the unit owes the report.
    pub fn owed_because(&self) -> String {
        let cut_off = zone::date_vi(self.regime.window(self.obligation.name.period).cut_off);
        match &self.regime.debtors {
            Debtors::Units(_) => format!("đơn vị được yêu cầu đích danh, tại ngày {cut_off}"),
            Debtors::Subtree { .. } => {
                format!("đơn vị thuộc diện phải báo cáo trong phạm vi áp dụng, tại ngày {cut_off}")
            }
        }
    }

    /// The whole as a text in Vietnamese.
    pub fn text(&self) -> String {
        let Self { obligation, regime, at, .. } = *self;
        let window = regime.window(obligation.name.period);
        let code = if obligation.unit_code.is_empty() {
            String::new()
        } else {
            format!(" (mã {})", obligation.unit_code)
        };
        let mut lines = vec![format!(
            "{}{code} {} báo cáo «{}» kỳ {}, gửi {}.",
            self.unit_name,
            self.stands(),
            regime.display_name,
            wording::period(obligation.name.period, window),
            self.receiving_name,
        )];
        let illustrative = if regime.illustrative {
            " (chế độ báo cáo minh họa, chưa cơ quan nào ban hành)"
        } else {
            ""
        };
        lines.push(format!("Căn cứ: {}{illustrative}.", regime.legal_basis));
        lines.push(format!("Đối tượng: {}.", self.owed_because()));
        if regime.cut_off_as_declared {
            lines.push(format!(
                "Số liệu: ngày chốt số liệu do báo cáo tự xác định; kỳ theo Nghị định 09/2019/NĐ-CP từ ngày {} đến ngày {}.",
                zone::date_vi(window.first),
                zone::date_vi(window.cut_off)
            ));
        } else {
            lines.push(format!(
                "Số liệu: từ ngày {} đến ngày {} (ngày chốt số liệu).",
                zone::date_vi(window.first),
                zone::date_vi(window.cut_off)
            ));
        }
        lines.push(self.due_line());
        if let Some(receipt) = obligation.receipt.filter(|receipt| receipt.time <= at) {
            lines.push(format!("Nhận lần đầu: {}.", zone::format_vi(receipt.time)));
        }
        if let Some(waiver) = self.waiver.filter(|waiver| waiver.create_time <= at) {
            lines.push(format!("Được miễn: {}, lý do: {}.", waiver.decision, waiver.reason));
        }
        for (notice, recipient) in
            self.notices.iter().filter(|(notice, _)| notice.detect_time <= at)
        {
            lines.push(format!(
                "Đã thông báo cho {recipient} lúc {}.",
                zone::format_vi(notice.detect_time)
            ));
        }
        if self.unit_uncertain {
            lines.push(
                "Lưu ý: danh mục đơn vị được lập sau ngày chốt số liệu, không ghi đơn vị có từ khi nào."
                    .to_owned(),
            );
        }
        lines.join("\n")
    }

    fn stands(&self) -> String {
        let late = self.obligation.working_days_late(self.at, self.calendar);
        match self.obligation.standing(self.at) {
            Standing::OnTime => "đã gửi đúng hạn".to_owned(),
            Standing::Late => format!("đã gửi chậm {late} ngày làm việc"),
            Standing::Missing => format!("chưa gửi, đã quá hạn {late} ngày làm việc,"),
            Standing::Open => "chưa gửi, chưa đến hạn,".to_owned(),
            Standing::Waived => "không phải gửi".to_owned(),
            Standing::NoDueTime => "đã gửi (không quy định thời hạn)".to_owned(),
        }
    }

    fn due_line(&self) -> String {
        let Some(due) = self.obligation.due_date() else {
            return "Thời hạn gửi: văn bản yêu cầu không quy định.".to_owned();
        };
        let rule = self.regime.due.map(wording::due_rule).unwrap_or_default();
        let skipped = self.skipped_days();
        let estimated = skipped.iter().any(|(_, day)| day.certainty == Certainty::Estimated);
        let days: Vec<_> = skipped
            .iter()
            .map(|(date, day)| {
                format!("{} ({})", zone::date_vi(*date), wording::day_off(*date, day))
            })
            .collect();
        let skipped = if days.is_empty() {
            String::new()
        } else {
            format!("; không tính {}", days.join(", "))
        };
        let estimated = if estimated { "; lịch nghỉ là dự kiến" } else { "" };
        format!("Thời hạn gửi: hết ngày {} ({rule}{skipped}{estimated}).", zone::date_vi(due))
    }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::Frequency;

    use super::*;
    use crate::domain::calendar::official;
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::regime::Schedule;
    use crate::domain::regime::tests::regime;

    #[test]
    fn a_missing_report_is_explained_with_its_days_off() {
        let calendar = official().unwrap();
        let regime = regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let obligation = obligation(Some("2026-05-20T00:00:00+07:00"));
        let grounds = Grounds {
            obligation: &obligation,
            regime: &regime,
            unit_name: "Phường Trí Quả",
            receiving_name: "Sở Khoa học và Công nghệ",
            unit_uncertain: false,
            calendar: &calendar,
            notices: &[],
            waiver: None,
            at: time("2026-05-20T08:00:00+07:00"),
        };
        let text = grounds.text();
        for words in [
            "Phường Trí Quả (mã 09427) chưa gửi, đã quá hạn 1 ngày làm việc, báo cáo «Báo cáo» kỳ tháng 5 năm 2026",
            "từ ngày 15/04/2026 đến ngày 14/05/2026",
            "hết ngày 19/05/2026 (03 ngày làm việc sau ngày chốt số liệu; không tính 16/05/2026 (Thứ Bảy), 17/05/2026 (Chủ nhật))",
            "chế độ báo cáo minh họa",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }
}
