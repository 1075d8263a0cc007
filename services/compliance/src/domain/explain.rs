//! Why an obligation stands as it does, in words that can be forwarded.

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Day, DueRule, Family, WorkingCalendar, zone};
use dunghan_hierarchy::Level;

use crate::domain::decision::{Decision, Outcome, Until};
use crate::domain::due_change::{Cause, DueChange};
use crate::domain::notice::{Notice, Topic};
use crate::domain::obligation::{CloseReason, Obligation, Standing};
use crate::domain::owed::{counted_after, is_original_estimated, last_day};
use crate::domain::regime::{Debtors, Regime, RuleFamily, Schedule};
use crate::domain::request::{Asked, ObligationRequest, State};
use crate::domain::wording;

/// Where a receive time was seen that somebody asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenIn {
    /// A document system.
    DocumentSystem,
    /// A digital signature.
    DigitalSignature,
    /// The receiving agency's register.
    Register,
}

/// What was done with a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// Handed over; when it was received may be asserted by what was seen elsewhere, under a number there.
    Submitted(Option<(SeenIn, String)>),
    /// Taken back by the unit.
    Withdrawn,
    /// Sent back, to be there again before then.
    Returned(Option<DateTime<Utc>>),
    /// Accepted at that level of review, from 1.
    Accepted(i32),
}

/// One thing that submission knows of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What.
    pub kind: ActKind,
    /// When; of what was handed over, when it was received.
    pub time: DateTime<Utc>,
    /// Which revision, from 1.
    pub revision: i32,
    /// Who: the subject of the token.
    pub author: String,
    /// Why; empty for what was handed over. Of what was accepted, what was said to it.
    pub reason: String,
}

impl Act {
    /// Why, or what an asserted receive time rests on.
    pub fn note(&self) -> String {
        match &self.kind {
            ActKind::Submitted(Some((seen, reference))) => {
                let seen = match seen {
                    SeenIn::DocumentSystem => "thời điểm đến trên hệ thống quản lý văn bản",
                    SeenIn::DigitalSignature => "thời điểm ký số",
                    SeenIn::Register => "sổ đăng ký văn bản đến của cơ quan nhận",
                };
                format!("{seen}: {reference}")
            }
            _ => self.reason.clone(),
        }
    }
}

/// All that an explanation rests on, as of the moment explained or later: what came after it is left out.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// What is explained.
    pub obligation: &'a Obligation,
    /// By which rule it is owed.
    pub regime: &'a Regime,
    /// The family of rules that the regime follows.
    pub family: Option<&'a RuleFamily>,
    /// The unit's name on the cut-off day.
    pub unit_name: &'a str,
    /// Its level on that day.
    pub level: Option<Level>,
    /// The name of the unit among whose subtree it owes; empty where it is not for that.
    pub scope_name: &'a str,
    /// The name of who receives it; empty where that is nobody.
    pub receiving_name: &'a str,
    /// The name of who came after the unit; empty where nobody did.
    pub passed_name: &'a str,
    /// The list of units does not know since when the unit exists.
    pub unit_uncertain: bool,
    /// The working days.
    pub calendar: &'a WorkingCalendar,
    /// Their version, with that of the office hours.
    pub calendar_version: &'a str,
    /// The name of the area whose own calendar that is; empty: the nation's.
    pub calendar_area: &'a str,
    /// Who was told, with their names.
    pub notices: &'a [(Notice, String)],
    /// The decisions that concern it, each with the name of whom it is on.
    pub decisions: &'a [(Decision, String)],
    /// What the unit asked for.
    pub requests: &'a [ObligationRequest],
    /// How its due time moved.
    pub due_changes: &'a [DueChange],
    /// What was done with its report.
    pub acts: &'a [Act],
    /// The moment explained.
    pub at: DateTime<Utc>,
}

fn date(day: NaiveDate) -> String {
    zone::date_vi(day)
}

/// A due time within a sentence: `hết ngày 19/05/2026`.
fn until(due: Option<DateTime<Utc>>) -> String {
    due.map_or_else(
        || "không có thời hạn".to_owned(),
        |due| format!("hết ngày {}", date(last_day(due))),
    )
}

/// `; lý do: …`, or nothing; without the full stop that somebody may have set.
fn because(reason: &str) -> String {
    match reason.trim().trim_end_matches('.') {
        "" => String::new(),
        reason => format!("; lý do: {reason}"),
    }
}

impl Grounds<'_> {
    /// The days that do not count, with why: those between cut-off and due date where working days are counted; those over
    /// which a fixed day was moved; none where a fixed day stays.
    pub fn skipped_days(&self) -> Vec<(NaiveDate, Day)> {
        let counts = matches!(self.rule(), Some(DueRule::WorkingDaysAfterCutOff(_)));
        // An extension of a fixed day is counted from where that was moved to.
        let due = if counts { self.obligation.due } else { self.obligation.original_due };
        self.skipped_through(due)
    }

    fn skipped_through(&self, due: Option<DateTime<Utc>>) -> Vec<(NaiveDate, Day)> {
        let after = counted_after(self.obligation, self.regime, self.calendar);
        let ends = after.zip(due.map(last_day));
        ends.map_or_else(Vec::new, |(after, through)| self.calendar.skipped(after, through))
    }

    /// By which rule the due date was fixed.
    fn rule(&self) -> Option<DueRule> {
        let tier = self.regime.tier(self.obligation.tier);
        tier.and_then(|tier| tier.due.of(self.obligation.level))
    }

    /// That what the regime does not say itself is its family's.
    fn family_line(&self) -> Option<String> {
        let Self { regime, obligation, .. } = *self;
        let family = self.family.filter(|family| family.legal_basis != regime.legal_basis)?;
        let due = match regime.schedule {
            Schedule::Every(frequency) => {
                let of = family.rule(frequency, obligation.tier, Some(obligation.level));
                of.is_some_and(|of| self.rule() == Some(of.rule))
            }
            Schedule::Once(_) => false,
        };
        let what = if due { " và thời hạn gửi" } else { "" };
        Some(format!("Thời gian chốt số liệu{what} áp dụng theo {}.", family.legal_basis))
    }

    /// What was done with the report by the moment explained.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        self.acts.iter().filter(|act| act.time <= self.at)
    }

    /// Whether that fixes the timeliness.
    pub fn is_first(&self, act: &Act) -> bool {
        let first = self.obligation.receipt.map(|receipt| receipt.time);
        let same =
            |other: &&Act| matches!(other.kind, ActKind::Submitted(_)) && first == Some(other.time);
        self.acts.iter().find(same).is_some_and(|first| std::ptr::eq(first, act))
    }

    /// The decisions as of the moment explained, each with the name of whom it is on.
    pub fn decisions(&self) -> impl Iterator<Item = (Decision, &str)> {
        let made = self.decisions.iter().filter(|(decision, _)| decision.create_time <= self.at);
        made.map(|(decision, on)| {
            let revoked = decision.revoked.clone().filter(|revoked| revoked.time <= self.at);
            (Decision { revoked, ..decision.clone() }, on.as_str())
        })
    }

    /// What was asked for, and how that stood, as of the moment explained.
    pub fn requests(&self) -> impl Iterator<Item = ObligationRequest> {
        let asked = self.requests.iter().filter(|request| request.create_time <= self.at);
        asked.map(|request| {
            let later = request.decided.as_ref().is_some_and(|decided| decided.time > self.at);
            let mut request = request.clone();
            if later {
                (request.state, request.decided, request.decision) = (State::Pending, None, None);
            }
            request
        })
    }

    /// How the due time had moved by the moment explained.
    pub fn due_changes(&self) -> impl Iterator<Item = &DueChange> {
        self.due_changes.iter().filter(|change| change.create_time <= self.at)
    }

    /// What was told by the moment explained.
    pub fn notices(&self) -> impl Iterator<Item = &(Notice, String)> {
        self.notices.iter().filter(|(notice, _)| notice.detect_time <= self.at)
    }

    /// Why the unit owes the report.
    pub fn owed_because(&self) -> String {
        let cut_off = date(self.regime.window(self.obligation.name.period).cut_off);
        if self.obligation.tier > 1 {
            return format!(
                "đơn vị nhận báo cáo của bước {:02}, tổng hợp và gửi tiếp (bước {:02}), xác định tại \
                 ngày {cut_off}",
                self.obligation.tier - 1,
                self.obligation.tier
            );
        }
        let level = self.level.map_or("đơn vị", wording::level);
        match self.regime.debtors {
            Debtors::Units(_) => {
                format!("được nêu đích danh trong yêu cầu báo cáo (xác định tại ngày {cut_off})")
            }
            Debtors::Subtree { .. } => {
                let scope = wording::within_sentence(self.scope_name);
                format!("{level} thuộc {scope}, xác định tại ngày {cut_off}")
            }
            Debtors::Everywhere { .. } => {
                format!("{level} trên phạm vi cả nước, xác định tại ngày {cut_off}")
            }
        }
    }

    /// The whole as a text in Vietnamese.
    pub fn text(&self) -> String {
        let regime = self.regime;
        let illustrative = if regime.illustrative {
            " (chế độ báo cáo minh họa, không do cơ quan nào ban hành)"
        } else {
            ""
        };
        let mut lines = vec![self.standing_line()];
        lines.extend(self.end_line());
        lines.push(format!("Căn cứ: {}{illustrative}.", regime.legal_basis));
        lines.extend(self.family_line());
        lines.push(format!("Đối tượng báo cáo: {}.", self.owed_because()));
        lines.push(self.window_line());
        lines.extend(self.due_lines());
        for section in [
            self.change_lines(),
            self.decision_lines(),
            self.request_lines(),
            self.act_lines(),
            self.notice_lines(),
        ] {
            lines.extend(section);
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
        let unit = wording::coded(self.unit_name, &obligation.unit_code);
        let period = obligation.name.period;
        let to = match self.receiving_name {
            "" => String::new(),
            name => format!(" về {}", wording::within_sentence(name)),
        };
        let period = wording::period(period, regime.window(period));
        let report = format!("“{}” kỳ {period}{to}", regime.display_name);
        let days = match obligation.working_days_late(at, self.calendar) {
            // Due on the eve of days off, and not yet the next working day.
            0 => String::new(),
            days => format!(" {} ngày làm việc", wording::count(days as usize)),
        };
        let there = match obligation.counted(at) {
            Standing::Late => format!("{unit} đã gửi {report}, chậm{days} so với thời hạn"),
            Standing::OnTime => format!("{unit} đã gửi {report}, đúng hạn"),
            _ => format!("{unit} đã gửi {report}"),
        };
        match obligation.standing(at) {
            Standing::Returned => {
                let again = obligation.returned.map(|returned| returned.due);
                let overdue = if again.is_some_and(|again| again <= at) {
                    ", đã quá hạn gửi lại"
                } else {
                    ""
                };
                let again = until(again);
                format!(
                    "{there}; báo cáo đã được trả lại để hoàn thiện, phải gửi lại trước khi {again}{overdue}."
                )
            }
            Standing::OnTime | Standing::Late | Standing::NoDueTime => format!("{there}."),
            Standing::Missing => format!("{unit} chưa gửi {report}; đã quá hạn{days}."),
            Standing::Open | Standing::DueSoon if obligation.due.is_none() => {
                format!("{unit} chưa gửi {report}.")
            }
            Standing::Open | Standing::DueSoon => {
                format!("{unit} chưa gửi {report}; chưa đến hạn.")
            }
            Standing::Waived => format!("{unit} được miễn gửi {report}."),
            Standing::Closed => format!("{unit} không còn phải gửi {report}."),
            Standing::NotYetOpen => {
                format!("{unit} chưa phải gửi {report}; kỳ báo cáo chưa bắt đầu.")
            }
        }
    }

    /// Why nobody owes it any more, or who sees to it in the place of the unit.
    fn end_line(&self) -> Option<String> {
        let Self { obligation, at, .. } = *self;
        let heir = wording::within_sentence(self.passed_name);
        let passed = obligation.passed.filter(|passed| passed.time <= at && !heir.is_empty());
        let Some(closed) = obligation.closed.filter(|closed| closed.time <= at) else {
            let day = date(zone::civil_date(passed?.time));
            return Some(format!(
                "Đơn vị đã kết thúc hoạt động từ ngày {day}, sau ngày chốt số liệu; đơn vị kế thừa là \
                 {heir} chịu trách nhiệm gửi báo cáo này."
            ));
        };
        let day = date(zone::civil_date(closed.time));
        Some(match closed.reason {
            CloseReason::UnitEnded => {
                let heir = passed.map_or_else(String::new, |_| {
                    format!(
                        " Đơn vị kế thừa là {heir} báo cáo cho cả kỳ, nếu thuộc đối tượng báo cáo."
                    )
                });
                format!(
                    "Lý do: đơn vị đã kết thúc hoạt động từ ngày {day}, không còn tại ngày chốt số \
                     liệu.{heir}"
                )
            }
            CloseReason::NoSuccessor => format!(
                "Lý do: từ ngày {day} đơn vị đã kết thúc hoạt động mà không có đơn vị kế thừa; đến khi \
                 đó chưa có báo cáo nào được gửi."
            ),
            CloseReason::NotADebtor => format!(
                "Lý do: tại ngày chốt số liệu, đơn vị không thuộc đối tượng báo cáo (xác định lại ngày \
                 {day})."
            ),
            CloseReason::RegimeAmended => format!(
                "Lý do: chế độ báo cáo này đã được thay thế, không còn áp dụng cho kỳ báo cáo (xác định \
                 lại ngày {day})."
            ),
        })
    }

    fn window_line(&self) -> String {
        let window = self.regime.window(self.obligation.name.period);
        let days = format!("từ ngày {} đến ngày {}", date(window.first), date(window.cut_off));
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

    /// By when it was due by the rule, and by when it is due since.
    fn due_lines(&self) -> Vec<String> {
        let obligation = self.obligation;
        let Some(original) = obligation.original_due else {
            return vec!["Thời hạn gửi: văn bản yêu cầu báo cáo không quy định.".to_owned()];
        };
        let after = counted_after(obligation, self.regime, self.calendar);
        let skipped = self.skipped_through(Some(original));
        let rule = self.rule().map(|rule| {
            let moved = match rule {
                DueRule::WorkingDaysAfterCutOff(_) => "",
                _ if skipped.is_empty() => "",
                _ => ", chuyển sang ngày làm việc tiếp theo",
            };
            format!(" ({}{moved})", wording::due_rule(rule))
        });
        let days: Vec<_> = skipped
            .iter()
            .map(|(day, what)| format!("{} - {}", date(*day), wording::day_off(*day, what)))
            .collect();
        let until_original = until(Some(original));
        let mut line = format!("Thời hạn gửi: {until_original}{}.", rule.unwrap_or_default());
        if !days.is_empty() {
            line += &format!(" Không tính các ngày nghỉ: {}.", days.join("; "));
        }
        if is_original_estimated(obligation, self.regime, self.calendar) {
            line += " Lịch nghỉ là dự kiến, chưa có quyết định.";
        }
        let mut lines = vec![line];
        if obligation.due != Some(original) {
            lines.push(format!("Thời hạn đang áp dụng: {}.", until(obligation.due)));
        }
        if after.is_some() {
            let whose = match self.calendar_area {
                "" => "lịch chung của cả nước".to_owned(),
                area => format!("lịch áp dụng tại {}", wording::within_sentence(area)),
            };
            lines.push(format!("Lịch làm việc: {whose}, phiên bản {}.", self.calendar_version));
        }
        lines
    }

    /// A decision, by its name.
    fn decision(&self, reference: &str) -> Option<&Decision> {
        let id = reference.strip_prefix("decisions/")?;
        let found = self.decisions.iter().find(|(decision, _)| decision.id.to_string() == id);
        found.map(|(decision, _)| decision)
    }

    fn change_lines(&self) -> Vec<String> {
        let line = |change: &DueChange| {
            let decision = self.decision(&change.reference);
            let by = decision.map_or_else(String::new, |one| format!(" theo {}", one.document));
            let waiver = decision.is_some_and(|one| one.outcome == Outcome::Waiver);
            let what = match change.cause {
                Cause::CalendarAmended => {
                    let number = change.reference.rsplit_once("/amendments/");
                    let number = number.map_or_else(String::new, |(_, number)| {
                        format!(" (lần điều chỉnh số {number})")
                    });
                    format!("do lịch làm việc được điều chỉnh{number}")
                }
                Cause::Extension => format!("do được gia hạn{by}"),
                Cause::ExtensionRevoked if waiver => {
                    format!("do thu hồi việc miễn gửi báo cáo{by}")
                }
                Cause::ExtensionRevoked => format!("do thu hồi việc gia hạn{by}"),
                Cause::UnitChanged => {
                    "do cấp hoặc địa bàn của đơn vị tại ngày chốt số liệu được xác định lại"
                        .to_owned()
                }
            };
            let old = if waiver && change.old.is_none() {
                "được miễn gửi báo cáo".to_owned()
            } else {
                until(change.old)
            };
            format!(
                "- Lúc {}: từ {old} thành {}, {what}{}.",
                zone::format_vi(change.create_time),
                until(change.new),
                because(&change.reason)
            )
        };
        section("Thời hạn gửi đã thay đổi:", self.due_changes().map(line))
    }

    fn decision_lines(&self) -> Vec<String> {
        let line = |(decision, on): (Decision, &str)| {
            let what = match decision.outcome {
                Outcome::Waiver => "miễn gửi báo cáo".to_owned(),
                Outcome::Extension { until: Until::Date(day), .. } => {
                    format!("gia hạn đến hết ngày {}", date(day))
                }
                Outcome::Extension { until: Until::WorkingDays(days), .. } => {
                    format!("gia hạn thêm {} ngày làm việc", wording::count(days.into()))
                }
            };
            let on = if decision.unit == self.obligation.name.unit {
                String::new()
            } else {
                format!(" cho các đơn vị thuộc {}", wording::within_sentence(on))
            };
            let revoked = decision.revoked.as_ref().map_or_else(String::new, |revoked| {
                format!(
                    " Đã thu hồi lúc {} theo {}{}.",
                    zone::format_vi(revoked.time),
                    revoked.document,
                    because(&revoked.reason)
                )
            });
            format!(
                "- {}: {what}{on}, ghi nhận lúc {}{}.{revoked}",
                decision.document,
                zone::format_vi(decision.create_time),
                because(&decision.reason)
            )
        };
        section("Quyết định liên quan:", self.decisions().map(line))
    }

    fn request_lines(&self) -> Vec<String> {
        let line = |request: ObligationRequest| {
            let what = match request.asked {
                Asked::Extension(day) => format!("đề nghị gia hạn đến hết ngày {}", date(day)),
                Asked::Explanation => "giải trình việc gửi báo cáo chậm".to_owned(),
                Asked::SystemFailure(day) => format!(
                    "đề nghị được tính đúng hạn đến hết ngày {} do sự cố hệ thống",
                    date(day)
                ),
            };
            let answer = match &request.decided {
                None => " Chưa có ý kiến trả lời.".to_owned(),
                Some(decided) => {
                    let (what, note) = match (request.state, request.asked) {
                        (State::Granted, Asked::Explanation) => {
                            ("Giải trình được chấp nhận", " (báo cáo vẫn tính là chậm)")
                        }
                        (State::Granted, _) => ("Được chấp thuận", ""),
                        (State::Withdrawn, _) => ("Đơn vị đã rút lại", ""),
                        (State::Refused | State::Pending, _) => ("Không được chấp thuận", ""),
                    };
                    let said = match decided.answer.trim().trim_end_matches('.') {
                        "" => String::new(),
                        said => format!("; ý kiến trả lời: {said}"),
                    };
                    format!(" {what} lúc {}{note}{said}.", zone::format_vi(decided.time))
                }
            };
            let asked = zone::format_vi(request.create_time);
            format!("- Lúc {asked}: {what}{}.{answer}", because(&request.reason))
        };
        section("Đề nghị của đơn vị:", self.requests().map(line))
    }

    fn act_lines(&self) -> Vec<String> {
        let line = |act: &Act| {
            let time = zone::format_vi(act.time);
            let revision = wording::count(usize::try_from(act.revision).unwrap_or_default());
            match &act.kind {
                ActKind::Submitted(asserted) => {
                    let seen = match asserted {
                        Some(_) => format!(" ({})", act.note()),
                        None => String::new(),
                    };
                    let first =
                        if self.is_first(act) { "; là căn cứ tính thời hạn" } else { "" };
                    format!("- Gửi lần {revision}: nhận lúc {time}{seen}{first}.")
                }
                ActKind::Withdrawn => {
                    format!(
                        "- Đơn vị rút lại bản gửi lần {revision} lúc {time}{}.",
                        because(&act.reason)
                    )
                }
                ActKind::Returned(again) => {
                    let again = again.map_or_else(String::new, |due| {
                        format!(", hạn gửi lại: {}", until(Some(due)))
                    });
                    format!(
                        "- Bản gửi lần {revision} được trả lại để hoàn thiện lúc {time}{again}{}.",
                        because(&act.reason)
                    )
                }
                ActKind::Accepted(level) => {
                    let said = match act.reason.trim().trim_end_matches('.') {
                        "" => String::new(),
                        said => format!("; ý kiến: {said}"),
                    };
                    format!(
                        "- Bản gửi lần {revision} được chấp nhận ở cấp duyệt thứ {level} lúc \
                         {time}{said}."
                    )
                }
            }
        };
        let mut lines = section("Quá trình gửi báo cáo:", self.acts().map(line));
        let known = self.obligation.receipt.filter(|receipt| receipt.time <= self.at);
        if let (Some(receipt), true) = (known, lines.is_empty()) {
            lines.push(format!("Nhận báo cáo lần đầu lúc {}.", zone::format_vi(receipt.time)));
        }
        lines
    }

    fn notice_lines(&self) -> Vec<String> {
        let line = |(notice, recipient): &(Notice, String)| {
            let to = wording::within_sentence(recipient);
            let time = zone::format_vi(notice.detect_time);
            match notice.topic {
                Topic::RetractedMissingReports { .. } => format!(
                    "- Lúc {time}: đính chính tới {to} rằng báo cáo đã được gửi đúng hạn, thay cho thông \
                     báo trước."
                ),
                Topic::OverdueReturns { .. } => {
                    format!("- Lúc {time}: thông báo tới {to} việc quá hạn gửi lại báo cáo.")
                }
                Topic::MissingReports { .. } | Topic::OverdueDossiers => {
                    format!("- Lúc {time}: thông báo tới {to} việc chưa gửi báo cáo.")
                }
            }
        };
        section("Đã thông báo:", self.notices().map(line))
    }
}

/// A heading over lines, or nothing where there are none.
fn section(heading: &str, lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut section = vec![heading.to_owned()];
    section.extend(lines);
    if section.len() > 1 { section } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::{DayOffPolicy, Frequency};
    use dunghan_hierarchy::UnitId;
    use uuid::Uuid;

    use super::*;
    use crate::domain::calendar::official;
    use crate::domain::decision::{Extent, Revocation};
    use crate::domain::notice::RETRACTED;
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::obligation::{Closed, Passed, Receipt, Returned, Waived};
    use crate::domain::regime::tests::{day, regime};
    use crate::domain::regime::{DueRules, FamilyDue};
    use crate::domain::request::{Decided, RequestName};

    const DUE: &str = "2026-05-20T00:00:00+07:00";
    const SENT: &str = "đã gửi “Báo cáo” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ";
    const NOT_SENT: &str = "chưa gửi “Báo cáo” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ";
    /// What stands in every text between where it stands and what was done.
    const GROUNDS: &str = "Căn cứ: Công văn số 1/VP (chế độ báo cáo minh họa, không do cơ quan nào ban hành).\n\
         Đối tượng báo cáo: được nêu đích danh trong yêu cầu báo cáo (xác định tại ngày 14/05/2026).\n\
         Thời gian chốt số liệu: từ ngày 15/04/2026 đến ngày 14/05/2026.\n\
         Thời hạn gửi: hết ngày 19/05/2026 (03 ngày làm việc sau ngày chốt số liệu). Không tính các \
         ngày nghỉ: 16/05/2026 - Thứ Bảy; 17/05/2026 - Chủ nhật.";
    const CALENDAR: &str = "Lịch làm việc: lịch chung của cả nước, phiên bản abc.";

    /// What some obligations have besides.
    #[derive(Default)]
    struct More<'a> {
        family: Option<&'a RuleFamily>,
        calendar_area: &'a str,
        to_nobody: bool,
        /// Due on that day, or on the next working day, and not some working days after the cut-off.
        fixed: Option<DueRule>,
        notices: &'a [(Notice, String)],
        decisions: &'a [(Decision, String)],
        requests: &'a [ObligationRequest],
        due_changes: &'a [DueChange],
        acts: &'a [Act],
    }

    fn text(obligation: &Obligation, at: &str, more: More<'_>) -> String {
        let calendar = official().unwrap();
        let mut regime = regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        if let Some(rule) = more.fixed {
            regime.tiers[0].due = DueRules::same(Some(rule));
            regime.day_off = DayOffPolicy::NextWorkingDay;
        }
        let grounds = Grounds {
            obligation,
            regime: &regime,
            family: more.family,
            unit_name: "Phường Trí Quả",
            level: Some(Level::Commune),
            scope_name: "",
            receiving_name: if more.to_nobody { "" } else { "Sở Khoa học và Công nghệ" },
            passed_name: "Phường Bắc Giang",
            unit_uncertain: false,
            calendar: &calendar,
            calendar_version: "abc",
            calendar_area: more.calendar_area,
            notices: more.notices,
            decisions: more.decisions,
            requests: more.requests,
            due_changes: more.due_changes,
            acts: more.acts,
            at: time(at),
        };
        grounds.text()
    }

    fn whole(lines: &[&str]) -> String {
        lines.join("\n")
    }

    fn notice(topic: Topic, at: &str) -> (Notice, String) {
        let notice = Notice {
            id: Uuid::nil(),
            recipient: UnitId::new("nso", "24", None),
            rung: topic.rung().to_owned(),
            topic,
            detect_time: time(at),
            subjects: Vec::new(),
            text: String::new(),
        };
        (notice, "Tỉnh Bắc Ninh".to_owned())
    }

    fn act(kind: ActKind, at: &str, revision: i32, reason: &str) -> Act {
        let (author, reason) = ("reporter".to_owned(), reason.to_owned());
        Act { kind, time: time(at), revision, author, reason }
    }

    fn received(at: &str, due: &str) -> Obligation {
        let receipt = Some(Receipt { report: Uuid::nil(), time: time(at) });
        Obligation { receipt, ..obligation(Some(due)) }
    }

    fn extension(until: Until, at: &str) -> Decision {
        let owed = obligation(Some(DUE)).name;
        Decision {
            id: Uuid::nil(),
            unit: owed.unit,
            subtree: false,
            below_only: false,
            regime: Some(owed.regime),
            extent: Extent::Period(owed.period),
            outcome: Outcome::Extension { until, afterwards: false },
            document: "Quyết định số 20/QĐ-UBND".to_owned(),
            reason: "mưa lũ.".to_owned(),
            author: "supervisor".to_owned(),
            create_time: time(at),
            revoked: None,
            request: None,
            concerned: 1,
        }
    }

    fn change(cause: Cause, reference: &str, reason: &str) -> DueChange {
        DueChange {
            name: obligation(None).name,
            due_generation: 2,
            old: Some(time(DUE)),
            new: Some(time("2026-05-23T00:00:00+07:00")),
            cause,
            reference: reference.to_owned(),
            reason: reason.to_owned(),
            author: "supervisor".to_owned(),
            create_time: time("2026-05-18T08:00:00+07:00"),
        }
    }

    #[test]
    fn a_missing_report_is_explained_with_its_days_off_and_who_was_told() {
        let topic = || {
            let name = obligation(None).name;
            Topic::MissingReports { regime: name.regime, period: name.period }
        };
        let notices = [
            notice(topic(), DUE),
            // Told after the moment explained.
            notice(topic(), "2026-05-21T00:00:00+07:00"),
        ];
        let found = text(
            &obligation(Some(DUE)),
            "2026-05-20T08:00:00+07:00",
            More { notices: &notices, ..More::default() },
        );
        let standing =
            format!("Phường Trí Quả (mã 09427) {NOT_SENT}; đã quá hạn 01 ngày làm việc.");
        let told =
            "- Lúc 00:00 ngày 20/05/2026: thông báo tới tỉnh Bắc Ninh việc chưa gửi báo cáo.";
        assert_eq!(found, whole(&[&standing, GROUNDS, CALENDAR, "Đã thông báo:", told]));
    }

    #[test]
    fn a_late_report_is_explained_with_each_revision_and_what_its_time_rests_on() {
        let owed = Obligation {
            returned: Some(Returned {
                time: time("2026-05-25T09:00:00+07:00"),
                due: time("2026-05-30T00:00:00+07:00"),
            }),
            ..received("2026-05-21T16:30:00+07:00", DUE)
        };
        let seen = (SeenIn::DocumentSystem, "321/CV-ĐT".to_owned());
        let again = Some(time("2026-05-30T00:00:00+07:00"));
        let acts = [
            act(ActKind::Submitted(None), "2026-05-18T08:00:00+07:00", 1, ""),
            act(ActKind::Withdrawn, "2026-05-18T09:00:00+07:00", 1, "gửi nhầm số liệu"),
            act(ActKind::Submitted(Some(seen)), "2026-05-21T16:30:00+07:00", 2, ""),
            act(ActKind::Returned(again), "2026-05-25T09:00:00+07:00", 2, "thiếu thuyết minh"),
            act(ActKind::Submitted(None), "2026-05-28T10:00:00+07:00", 3, ""),
        ];
        let acts: &[_] = &acts;
        let of = |owed: &Obligation, at| text(owed, at, More { acts, ..More::default() });
        let returned = format!(
            "Phường Trí Quả (mã 09427) {SENT}, chậm 02 ngày làm việc so với thời hạn; báo cáo đã được \
             trả lại để hoàn thiện, phải gửi lại trước khi hết ngày 29/05/2026."
        );
        let until_returned = [
            "Quá trình gửi báo cáo:",
            "- Gửi lần 01: nhận lúc 08:00 ngày 18/05/2026.",
            "- Đơn vị rút lại bản gửi lần 01 lúc 09:00 ngày 18/05/2026; lý do: gửi nhầm số liệu.",
            "- Gửi lần 02: nhận lúc 16:30 ngày 21/05/2026 (thời điểm đến trên hệ thống quản lý văn \
             bản: 321/CV-ĐT); là căn cứ tính thời hạn.",
            "- Bản gửi lần 02 được trả lại để hoàn thiện lúc 09:00 ngày 25/05/2026, hạn gửi lại: hết \
             ngày 29/05/2026; lý do: thiếu thuyết minh.",
        ];
        let expected =
            [&[returned.as_str(), GROUNDS, CALENDAR], until_returned.as_slice()].concat();
        assert_eq!(of(&owed, "2026-05-26T08:00:00+07:00"), whole(&expected));
        let overdue = of(&owed, "2026-05-30T00:00:00+07:00");
        let first = overdue.lines().next().unwrap();
        assert!(first.ends_with("hết ngày 29/05/2026, đã quá hạn gửi lại."), "{first}");
        // Handed over again, it is late as it was, and nothing more is to be done.
        let settled = Obligation { returned: None, ..owed };
        let late =
            format!("Phường Trí Quả (mã 09427) {SENT}, chậm 02 ngày làm việc so với thời hạn.");
        let again = "- Gửi lần 03: nhận lúc 10:00 ngày 28/05/2026.";
        let mut expected =
            [&[late.as_str(), GROUNDS, CALENDAR], until_returned.as_slice()].concat();
        expected.push(again);
        assert_eq!(of(&settled, "2026-06-01T08:00:00+07:00"), whole(&expected));
        // That it is accepted is told, and changes nothing else.
        let mut accepted = acts.to_vec();
        accepted.push(act(ActKind::Accepted(1), "2026-05-29T08:00:00+07:00", 3, ""));
        accepted.push(act(ActKind::Accepted(2), "2026-05-30T09:05:00+07:00", 3, "số liệu khớp."));
        let acts = accepted.as_slice();
        let told = text(&settled, "2026-06-01T08:00:00+07:00", More { acts, ..More::default() });
        expected
            .push("- Bản gửi lần 03 được chấp nhận ở cấp duyệt thứ 1 lúc 08:00 ngày 29/05/2026.");
        expected.push(
            "- Bản gửi lần 03 được chấp nhận ở cấp duyệt thứ 2 lúc 09:05 ngày 30/05/2026; ý kiến: số \
             liệu khớp.",
        );
        assert_eq!(told, whole(&expected));
    }

    #[test]
    fn a_report_on_time_that_was_told_as_missing_is_explained_with_what_was_taken_back() {
        let owed = received("2026-05-19T23:59:00+07:00", DUE);
        let name = obligation(None).name;
        let regime = || (name.regime.clone(), name.period);
        let (missing, retracted) = (regime(), regime());
        let notices = [
            notice(Topic::MissingReports { regime: missing.0, period: missing.1 }, DUE),
            notice(
                Topic::RetractedMissingReports { regime: retracted.0, period: retracted.1 },
                "2026-05-20T09:00:00+07:00",
            ),
        ];
        assert_eq!(notices[1].0.rung, RETRACTED);
        let found =
            text(&owed, "2026-05-21T08:00:00+07:00", More { notices: &notices, ..More::default() });
        let expected = [
            &*format!("Phường Trí Quả (mã 09427) {SENT}, đúng hạn."),
            GROUNDS,
            CALENDAR,
            "Nhận báo cáo lần đầu lúc 23:59 ngày 19/05/2026.",
            "Đã thông báo:",
            "- Lúc 00:00 ngày 20/05/2026: thông báo tới tỉnh Bắc Ninh việc chưa gửi báo cáo.",
            "- Lúc 09:00 ngày 20/05/2026: đính chính tới tỉnh Bắc Ninh rằng báo cáo đã được gửi đúng \
             hạn, thay cho thông báo trước.",
        ];
        assert_eq!(found, whole(&expected));
    }

    #[test]
    fn an_extension_is_explained_with_its_decision_and_the_request_that_it_answers() {
        let due = "2026-05-23T00:00:00+07:00";
        let owed = Obligation {
            due: Some(time(due)),
            extension: Some(Uuid::nil()),
            due_generation: 2,
            ..obligation(Some(DUE))
        };
        let asked = ObligationRequest {
            name: RequestName { obligation: owed.name.clone(), id: Uuid::nil() },
            asked: Asked::Extension(day("2026-05-29")),
            reason: "mất điện diện rộng".to_owned(),
            author: "reporter".to_owned(),
            create_time: time("2026-05-17T08:00:00+07:00"),
            state: State::Granted,
            decided: Some(Decided {
                author: "supervisor".to_owned(),
                time: time("2026-05-18T08:00:00+07:00"),
                answer: "đồng ý đến hết tuần.".to_owned(),
            }),
            decision: Some(Uuid::nil()),
        };
        let decision = extension(Until::WorkingDays(3), "2026-05-18T08:00:00+07:00");
        let changes = [change(Cause::Extension, &format!("decisions/{}", Uuid::nil()), "mưa lũ.")];
        let (decisions, requests, due_changes): (&[_], &[_], &[_]) =
            (&[(decision.clone(), "Phường Trí Quả".to_owned())], &[asked], &changes);
        let found = text(
            &owed,
            "2026-05-21T08:00:00+07:00",
            More { decisions, requests, due_changes, ..More::default() },
        );
        let standing = format!("Phường Trí Quả (mã 09427) {NOT_SENT}; chưa đến hạn.");
        let expected = [
            standing.as_str(),
            GROUNDS,
            "Thời hạn đang áp dụng: hết ngày 22/05/2026.",
            CALENDAR,
            "Thời hạn gửi đã thay đổi:",
            "- Lúc 08:00 ngày 18/05/2026: từ hết ngày 19/05/2026 thành hết ngày 22/05/2026, do được \
             gia hạn theo Quyết định số 20/QĐ-UBND; lý do: mưa lũ.",
            "Quyết định liên quan:",
            "- Quyết định số 20/QĐ-UBND: gia hạn thêm 03 ngày làm việc, ghi nhận lúc 08:00 ngày \
             18/05/2026; lý do: mưa lũ.",
            "Đề nghị của đơn vị:",
            "- Lúc 08:00 ngày 17/05/2026: đề nghị gia hạn đến hết ngày 29/05/2026; lý do: mất điện diện \
             rộng. Được chấp thuận lúc 08:00 ngày 18/05/2026; ý kiến trả lời: đồng ý đến hết tuần.",
        ];
        assert_eq!(found, whole(&expected));

        // Revoked, it is missing by the day that the rule gave.
        let revoked = Decision {
            revoked: Some(Revocation {
                time: time("2026-05-20T09:00:00+07:00"),
                author: "supervisor".to_owned(),
                document: "Quyết định số 22/QĐ-UBND".to_owned(),
                reason: "cấp nhầm đối tượng".to_owned(),
            }),
            ..decision
        };
        let decisions: &[_] = &[(revoked, "Phường Trí Quả".to_owned())];
        let due_changes: &[_] = &[DueChange {
            old: Some(time(due)),
            new: Some(time(DUE)),
            ..change(
                Cause::ExtensionRevoked,
                &format!("decisions/{}", Uuid::nil()),
                "cấp nhầm đối tượng",
            )
        }];
        let found = text(
            &obligation(Some(DUE)),
            "2026-05-21T08:00:00+07:00",
            More { decisions, due_changes, ..More::default() },
        );
        let standing =
            format!("Phường Trí Quả (mã 09427) {NOT_SENT}; đã quá hạn 02 ngày làm việc.");
        let expected = [
            standing.as_str(),
            GROUNDS,
            CALENDAR,
            "Thời hạn gửi đã thay đổi:",
            "- Lúc 08:00 ngày 18/05/2026: từ hết ngày 22/05/2026 thành hết ngày 19/05/2026, do thu hồi \
             việc gia hạn theo Quyết định số 20/QĐ-UBND; lý do: cấp nhầm đối tượng.",
            "Quyết định liên quan:",
            "- Quyết định số 20/QĐ-UBND: gia hạn thêm 03 ngày làm việc, ghi nhận lúc 08:00 ngày \
             18/05/2026; lý do: mưa lũ. Đã thu hồi lúc 09:00 ngày 20/05/2026 theo Quyết định số \
             22/QĐ-UBND; lý do: cấp nhầm đối tượng.",
        ];
        assert_eq!(found, whole(&expected));
    }

    #[test]
    fn a_waiver_over_a_subtree_says_over_whom_and_stands_in_the_first_line() {
        let waived =
            Some(Waived { decision: Uuid::nil(), time: time("2026-05-18T08:00:00+07:00") });
        let owed = Obligation { waived, ..obligation(Some(DUE)) };
        let decision = Decision {
            unit: UnitId::new("nso", "24", None),
            subtree: true,
            below_only: false,
            outcome: Outcome::Waiver,
            ..extension(Until::WorkingDays(1), "2026-05-18T08:00:00+07:00")
        };
        let decisions: &[_] = &[(decision, "Tỉnh Bắc Ninh".to_owned())];
        let found = text(&owed, "2026-05-21T08:00:00+07:00", More { decisions, ..More::default() });
        let expected = [
            "Phường Trí Quả (mã 09427) được miễn gửi “Báo cáo” kỳ tháng 5 năm 2026 về Sở Khoa học và \
             Công nghệ.",
            GROUNDS,
            CALENDAR,
            "Quyết định liên quan:",
            "- Quyết định số 20/QĐ-UBND: miễn gửi báo cáo cho các đơn vị thuộc tỉnh Bắc Ninh, ghi nhận \
             lúc 08:00 ngày 18/05/2026; lý do: mưa lũ.",
        ];
        assert_eq!(found, whole(&expected));
    }

    #[test]
    fn an_amended_calendar_is_explained_with_the_amendment_and_its_reason() {
        let owed = Obligation {
            original_due: Some(time("2026-05-23T00:00:00+07:00")),
            due: Some(time("2026-05-23T00:00:00+07:00")),
            due_generation: 2,
            ..obligation(Some(DUE))
        };
        let due_changes: &[_] = &[
            change(Cause::CalendarAmended, "calendars/vn/amendments/3", "nghỉ bù bão số 3"),
            change(Cause::UnitChanged, "", ""),
        ];
        let found = text(
            &owed,
            "2026-05-19T08:00:00+07:00",
            More { due_changes, calendar_area: "Tỉnh Bắc Ninh", ..More::default() },
        );
        for line in [
            "Lịch làm việc: lịch áp dụng tại tỉnh Bắc Ninh, phiên bản abc.",
            "- Lúc 08:00 ngày 18/05/2026: từ hết ngày 19/05/2026 thành hết ngày 22/05/2026, do lịch làm \
             việc được điều chỉnh (lần điều chỉnh số 3); lý do: nghỉ bù bão số 3.",
            "- Lúc 08:00 ngày 18/05/2026: từ hết ngày 19/05/2026 thành hết ngày 22/05/2026, do cấp hoặc \
             địa bàn của đơn vị tại ngày chốt số liệu được xác định lại.",
        ] {
            assert!(found.lines().any(|one| one == line), "{line}\n{found}");
        }
    }

    #[test]
    fn why_nobody_owes_it_or_who_sees_to_it_stands_in_the_second_line() {
        let end = time("2026-05-16T00:00:00+07:00");
        let heir = UnitId::new("nso", "07210", None);
        let passed = Some(Passed { time: end, to: heir });
        let closed = |reason| Some(Closed { time: end, reason });
        let second = |owed: Obligation| {
            let found = text(&owed, "2026-05-21T08:00:00+07:00", More::default());
            let mut lines = found.lines();
            let first = lines.next().unwrap();
            let is_closed = owed.closed.is_some();
            assert_eq!(first.contains("không còn phải gửi"), is_closed, "{first}");
            lines.next().unwrap().to_owned()
        };
        let of = |closed, passed| Obligation { closed, passed, ..obligation(Some(DUE)) };
        for (owed, line) in [
            (
                of(None, passed),
                "Đơn vị đã kết thúc hoạt động từ ngày 16/05/2026, sau ngày chốt số liệu; đơn vị kế \
                 thừa là phường Bắc Giang chịu trách nhiệm gửi báo cáo này.",
            ),
            (
                of(closed(CloseReason::UnitEnded), passed),
                "Lý do: đơn vị đã kết thúc hoạt động từ ngày 16/05/2026, không còn tại ngày chốt số \
                 liệu. Đơn vị kế thừa là phường Bắc Giang báo cáo cho cả kỳ, nếu thuộc đối tượng báo \
                 cáo.",
            ),
            (
                of(closed(CloseReason::UnitEnded), None),
                "Lý do: đơn vị đã kết thúc hoạt động từ ngày 16/05/2026, không còn tại ngày chốt số \
                 liệu.",
            ),
            (
                of(closed(CloseReason::NoSuccessor), None),
                "Lý do: từ ngày 16/05/2026 đơn vị đã kết thúc hoạt động mà không có đơn vị kế thừa; \
                 đến khi đó chưa có báo cáo nào được gửi.",
            ),
            (
                of(closed(CloseReason::NotADebtor), None),
                "Lý do: tại ngày chốt số liệu, đơn vị không thuộc đối tượng báo cáo (xác định lại ngày \
                 16/05/2026).",
            ),
            (
                of(closed(CloseReason::RegimeAmended), None),
                "Lý do: chế độ báo cáo này đã được thay thế, không còn áp dụng cho kỳ báo cáo (xác \
                 định lại ngày 16/05/2026).",
            ),
        ] {
            assert_eq!(second(owed), line);
        }
        // The day before it ends, nothing is said of it.
        let before = text(&of(None, passed), "2026-05-15T08:00:00+07:00", More::default());
        assert!(!before.contains("kết thúc hoạt động"), "{before}");
    }

    #[test]
    fn what_a_unit_asks_is_told_with_what_was_answered() {
        let asked = |asked, state, answer: Option<&str>| ObligationRequest {
            name: RequestName { obligation: obligation(None).name, id: Uuid::nil() },
            asked,
            reason: "lỗi đường truyền".to_owned(),
            author: "reporter".to_owned(),
            create_time: time("2026-05-20T08:00:00+07:00"),
            state,
            decided: answer.map(|answer| Decided {
                author: "supervisor".to_owned(),
                time: time("2026-05-21T08:00:00+07:00"),
                answer: answer.to_owned(),
            }),
            decision: None,
        };
        let requests: &[_] = &[
            asked(Asked::Explanation, State::Granted, Some("đã rõ")),
            asked(
                Asked::SystemFailure(day("2026-05-20")),
                State::Refused,
                Some("hệ thống hoạt động"),
            ),
            asked(Asked::Extension(day("2026-05-25")), State::Withdrawn, Some("")),
            asked(Asked::Explanation, State::Pending, None),
        ];
        let of = |at| {
            let found = text(&obligation(Some(DUE)), at, More { requests, ..More::default() });
            found
                .lines()
                .skip_while(|line| *line != "Đề nghị của đơn vị:")
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of("2026-05-22T08:00:00+07:00"),
            [
                "Đề nghị của đơn vị:",
                "- Lúc 08:00 ngày 20/05/2026: giải trình việc gửi báo cáo chậm; lý do: lỗi đường truyền. \
                 Giải trình được chấp nhận lúc 08:00 ngày 21/05/2026 (báo cáo vẫn tính là chậm); ý kiến \
                 trả lời: đã rõ.",
                "- Lúc 08:00 ngày 20/05/2026: đề nghị được tính đúng hạn đến hết ngày 20/05/2026 do sự cố \
                 hệ thống; lý do: lỗi đường truyền. Không được chấp thuận lúc 08:00 ngày 21/05/2026; ý \
                 kiến trả lời: hệ thống hoạt động.",
                "- Lúc 08:00 ngày 20/05/2026: đề nghị gia hạn đến hết ngày 25/05/2026; lý do: lỗi đường \
                 truyền. Đơn vị đã rút lại lúc 08:00 ngày 21/05/2026.",
                "- Lúc 08:00 ngày 20/05/2026: giải trình việc gửi báo cáo chậm; lý do: lỗi đường truyền. \
                 Chưa có ý kiến trả lời.",
            ]
        );
        // Before anybody had answered.
        let before = of("2026-05-20T12:00:00+07:00");
        assert!(before[1..].iter().all(|line| line.ends_with("Chưa có ý kiến trả lời.")));
        assert!(of("2026-05-19T12:00:00+07:00").is_empty());
    }

    #[test]
    fn who_sends_on_owes_for_having_received() {
        let owed = Obligation { tier: 2, ..obligation(Some(DUE)) };
        let family = family(Frequency::Month, 2, Level::Commune);
        let found = text(
            &owed,
            "2026-05-19T08:00:00+07:00",
            More { family: Some(&family), to_nobody: true, ..More::default() },
        );
        let lines: Vec<_> = found.lines().collect();
        assert_eq!(
            lines[0],
            "Phường Trí Quả (mã 09427) chưa gửi “Báo cáo” kỳ tháng 5 năm 2026; chưa đến hạn."
        );
        assert_eq!(
            lines[2],
            "Thời gian chốt số liệu và thời hạn gửi áp dụng theo Thông tư số 06/2025/TT-TTCP của Thanh \
             tra Chính phủ."
        );
        assert_eq!(
            lines[3],
            "Đối tượng báo cáo: đơn vị nhận báo cáo của bước 01, tổng hợp và gửi tiếp (bước 02), xác \
             định tại ngày 14/05/2026."
        );
    }

    /// A family in which reports of a level are due three working days after the cut-off.
    fn family(frequency: Frequency, tier: u8, level: Level) -> RuleFamily {
        let rule = DueRule::WorkingDaysAfterCutOff(3);
        let due = FamilyDue { frequency, tier, level: Some(level), rule, unless_stated: true };
        RuleFamily {
            id: "tt06-2025-ttcp".to_owned(),
            legal_basis: "Thông tư số 06/2025/TT-TTCP của Thanh tra Chính phủ".to_owned(),
            from: None,
            through: None,
            window: Family::Nd09,
            cut_off_as_declared: false,
            due: vec![due],
            note: String::new(),
        }
    }

    #[test]
    fn the_family_is_named_for_the_due_day_only_where_the_due_day_is_the_familys() {
        let owed = obligation(Some(DUE));
        let line = |family: &RuleFamily, fixed| {
            let more = More { family: Some(family), fixed, ..More::default() };
            let found = text(&owed, "2026-05-19T08:00:00+07:00", more);
            found.lines().nth(2).unwrap().to_owned()
        };
        let both = "Thời gian chốt số liệu và thời hạn gửi áp dụng theo Thông tư số 06/2025/TT-TTCP của \
                    Thanh tra Chính phủ.";
        let window_alone = both.replace(" và thời hạn gửi", "");
        let of = |tier, level| family(Frequency::Month, tier, level);
        assert_eq!(line(&of(1, Level::Commune), None), both);
        // It says nothing of this tier, of this level, of reports this often; or the regime says otherwise.
        assert_eq!(line(&of(2, Level::Commune), None), window_alone);
        assert_eq!(line(&of(1, Level::Province), None), window_alone);
        assert_eq!(line(&family(Frequency::Quarter, 1, Level::Commune), None), window_alone);
        let other = DueRule::WorkingDaysAfterCutOff(4);
        assert_eq!(line(&of(1, Level::Commune), Some(other)), window_alone);
        // What is the regime's own document is not named twice.
        let own =
            RuleFamily { legal_basis: "Công văn số 1/VP".to_owned(), ..of(1, Level::Commune) };
        assert!(line(&own, None).starts_with("Đối tượng báo cáo"));
    }

    #[test]
    fn a_fixed_day_that_falls_on_days_off_is_explained_with_the_days_that_it_was_moved_over() {
        let on = |day| DueRule::day_of_month(day, dunghan_calendar::DueMonth::Last).unwrap();
        let of = |day, due| {
            let more = More { fixed: Some(on(day)), ..More::default() };
            let found = text(&obligation(Some(due)), "2026-05-17T08:00:00+07:00", more);
            let lines: Vec<_> = found.lines().skip(4).map(str::to_owned).collect();
            lines
        };
        assert_eq!(
            of(16, "2026-05-19T00:00:00+07:00"),
            [
                "Thời hạn gửi: hết ngày 18/05/2026 (ngày 16 của tháng cuối kỳ báo cáo, chuyển sang ngày \
                 làm việc tiếp theo). Không tính các ngày nghỉ: 16/05/2026 - Thứ Bảy; 17/05/2026 - Chủ \
                 nhật.",
                CALENDAR,
            ]
        );
        // That the day is worked follows from the calendar too.
        assert_eq!(
            of(18, "2026-05-19T00:00:00+07:00"),
            ["Thời hạn gửi: hết ngày 18/05/2026 (ngày 18 của tháng cuối kỳ báo cáo).", CALENDAR]
        );
    }

    #[test]
    fn a_waiver_that_was_revoked_is_told_as_a_waiver() {
        let decision =
            Decision { outcome: Outcome::Waiver, ..extension(Until::WorkingDays(1), DUE) };
        let reference = decision.name();
        let decisions: &[_] = &[(decision, "Phường Trí Quả".to_owned())];
        let revoked = change(Cause::ExtensionRevoked, &reference, "cấp nhầm đối tượng");
        let due_changes: &[_] = &[DueChange { old: None, new: Some(time(DUE)), ..revoked }];
        let found = text(
            &obligation(Some(DUE)),
            "2026-05-21T08:00:00+07:00",
            More { decisions, due_changes, ..More::default() },
        );
        let line = "- Lúc 08:00 ngày 18/05/2026: từ được miễn gửi báo cáo thành hết ngày 19/05/2026, do \
                    thu hồi việc miễn gửi báo cáo theo Quyết định số 20/QĐ-UBND; lý do: cấp nhầm đối tượng.";
        assert!(found.lines().any(|one| one == line), "{found}");
    }
}
