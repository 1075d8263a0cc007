//! Why an obligation stands as it does, in words that can be forwarded.

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Certainty, Day, DayOffPolicy, DueRule, Family, WorkingCalendar, zone};
use dunghan_hierarchy::Level;

use crate::domain::notice::Notice;
use crate::domain::obligation::{Obligation, Standing};
use crate::domain::regime::{Debtors, Regime, Schedule};
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
    /// Its level on that day.
    pub level: Option<Level>,
    /// The name of the unit among whose subtree it owes; empty where units are named one by one.
    pub scope_name: &'a str,
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
        let counted =
            self.regime.due.is_some_and(|rule| matches!(rule, DueRule::WorkingDaysAfterCutOff(_)));
        match self.obligation.due_date() {
            Some(due) if counted => self.calendar.skipped(cut_off, due),
            _ => Vec::new(),
        }
    }

    /// The decision that excused at the moment explained.
    pub fn waiver_then(&self) -> Option<&Waiver> {
        self.waiver.filter(|waiver| waiver.create_time <= self.at)
    }

    /// Why the unit owes the report.
    pub fn owed_because(&self) -> String {
        let cut_off = zone::date_vi(self.regime.window(self.obligation.name.period).cut_off);
        match self.regime.debtors {
            Debtors::Units(_) => {
                format!("được nêu đích danh trong yêu cầu báo cáo (xác định tại ngày {cut_off})")
            }
            Debtors::Subtree { .. } => {
                let level = self.level.map_or("đơn vị", wording::level);
                let scope = wording::within_sentence(self.scope_name);
                format!("{level} thuộc {scope}, xác định tại ngày {cut_off}")
            }
        }
    }

    /// The whole as a text in Vietnamese.
    pub fn text(&self) -> String {
        let Self { obligation, regime, at, .. } = *self;
        let illustrative = if regime.illustrative {
            " (chế độ báo cáo minh họa, không do cơ quan nào ban hành)"
        } else {
            ""
        };
        let mut lines = vec![
            self.standing_line(),
            format!("Căn cứ: {}{illustrative}.", regime.legal_basis),
            format!("Đối tượng báo cáo: {}.", self.owed_because()),
            self.window_line(),
            self.due_line(),
        ];
        if let Some(receipt) = obligation.receipt.filter(|receipt| receipt.time <= at) {
            lines.push(format!("Nhận báo cáo lần đầu lúc {}.", zone::format_vi(receipt.time)));
        }
        if let Some(waiver) = self.waiver_then() {
            lines.push(format!(
                "Được miễn báo cáo theo {}; lý do: {}.",
                waiver.decision, waiver.reason
            ));
        }
        for (notice, recipient) in
            self.notices.iter().filter(|(notice, _)| notice.detect_time <= at)
        {
            lines.push(format!(
                "Đã thông báo việc chưa gửi báo cáo tới {} lúc {}.",
                wording::within_sentence(recipient),
                zone::format_vi(notice.detect_time)
            ));
        }
        if self.unit_uncertain {
            lines.push(
                "Lưu ý: danh mục đơn vị không ghi ngày thành lập của đơn vị này; việc đơn vị đã có \
                 vào ngày chốt số liệu là giả định."
                    .to_owned(),
            );
        }
        lines.join("\n")
    }

    /// Who stands how, with which report.
    fn standing_line(&self) -> String {
        let Self { obligation, regime, at, .. } = *self;
        let unit = match obligation.unit_code.as_str() {
            "" => self.unit_name.to_owned(),
            code => format!("{} (mã {code})", self.unit_name),
        };
        let period = obligation.name.period;
        let report = format!(
            "“{}” kỳ {} về {}",
            regime.display_name,
            wording::period(period, regime.window(period)),
            wording::within_sentence(self.receiving_name),
        );
        let days = match obligation.working_days_late(at, self.calendar) {
            // Due on the eve of days off, and not yet the next working day.
            0 => String::new(),
            days => format!(" {} ngày làm việc", wording::count(days as usize)),
        };
        match obligation.standing(at) {
            Standing::OnTime => format!("{unit} đã gửi {report}, đúng hạn."),
            Standing::Late => format!("{unit} đã gửi {report}, chậm{days} so với thời hạn."),
            Standing::Missing => format!("{unit} chưa gửi {report}; đã quá hạn{days}."),
            Standing::Open if obligation.due.is_none() => format!("{unit} chưa gửi {report}."),
            Standing::Open => format!("{unit} chưa gửi {report}; chưa đến hạn."),
            Standing::Waived => format!("{unit} không phải gửi {report}."),
            Standing::NoDueTime => format!("{unit} đã gửi {report}."),
        }
    }

    fn window_line(&self) -> String {
        let window = self.regime.window(self.obligation.name.period);
        let days = format!(
            "từ ngày {} đến ngày {}",
            zone::date_vi(window.first),
            zone::date_vi(window.cut_off)
        );
        let by_decree = self.regime.family == Family::Nd09
            && matches!(self.regime.schedule, Schedule::Every(_));
        match (self.regime.cut_off_as_declared, by_decree) {
            (false, _) => format!("Thời gian chốt số liệu: {days}."),
            (true, true) => format!(
                "Thời gian chốt số liệu: do báo cáo tự xác định (theo Nghị định số \
                 09/2019/NĐ-CP là {days})."
            ),
            (true, false) => {
                format!("Thời gian chốt số liệu: do báo cáo tự xác định (kỳ báo cáo {days}).")
            }
        }
    }

    /// Whether the due date rests on days off of which no decision is known. A working day can become a day off too.
    fn due_date_is_estimated(&self, due: NaiveDate) -> bool {
        let cut_off = self.regime.window(self.obligation.name.period).cut_off;
        let mut counted = match (self.regime.due, self.regime.day_off) {
            (Some(DueRule::WorkingDaysAfterCutOff(_)), _) => cut_off.iter_days(),
            (_, DayOffPolicy::NextWorkingDay) => due.iter_days(),
            (_, DayOffPolicy::Keep) => return false,
        }
        .take_while(|date| *date <= due);
        counted.any(|date| self.calendar.day(date).certainty == Certainty::Estimated)
    }

    fn due_line(&self) -> String {
        let Some(due) = self.obligation.due_date() else {
            return "Thời hạn gửi: văn bản yêu cầu báo cáo không quy định.".to_owned();
        };
        let rule = self.regime.due.map(wording::due_rule).unwrap_or_default();
        let skipped = self.skipped_days();
        let days: Vec<_> = skipped
            .iter()
            .map(|(date, day)| {
                format!("{} - {}", zone::date_vi(*date), wording::day_off(*date, day))
            })
            .collect();
        let mut line = format!("Thời hạn gửi: hết ngày {} ({rule}).", zone::date_vi(due));
        if !days.is_empty() {
            line += &format!(" Không tính các ngày nghỉ: {}.", days.join("; "));
        }
        if self.due_date_is_estimated(due) {
            line += " Lịch nghỉ là dự kiến, chưa có quyết định.";
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::Frequency;

    use super::*;
    use crate::domain::calendar::official;
    use crate::domain::obligation::tests::{obligation, time};
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
            level: Some(Level::Commune),
            scope_name: "",
            receiving_name: "Sở Khoa học và Công nghệ",
            unit_uncertain: false,
            calendar: &calendar,
            notices: &[],
            waiver: None,
            at: time("2026-05-20T08:00:00+07:00"),
        };
        let text = grounds.text();
        for words in [
            "Phường Trí Quả (mã 09427) chưa gửi “Báo cáo” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ; đã quá hạn 01 ngày làm việc.",
            "từ ngày 15/04/2026 đến ngày 14/05/2026",
            "hết ngày 19/05/2026 (03 ngày làm việc sau ngày chốt số liệu). Không tính các ngày nghỉ: 16/05/2026 - Thứ Bảy; 17/05/2026 - Chủ nhật.",
            "chế độ báo cáo minh họa",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }
}
