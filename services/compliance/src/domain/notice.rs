//! What supervisors are told, and the words.

use chrono::{DateTime, Utc};
use dunghan_calendar::{Period, zone};
use dunghan_hierarchy::{Hierarchy, UnitId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::obligation::{Obligation, Task};
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::wording;

/// The rung of the ladder on which something is told when it falls due.
pub const DUE: &str = "due";
/// The rung on which it is taken back that a report was missing.
pub const RETRACTED: &str = "retracted";
/// The rung on which a report is told of that was sent back and is not there again.
pub const RETURN_DUE: &str = "return-due";
/// The channel by which notices are told: they are listed and watched.
pub const STREAM: &str = "stream";
/// How many subjects a text names; the rest are counted.
const NAMED: usize = 20;
/// How many subjects go into one answer: with names of 150 bytes they stay below the 4 MB that clients take.
const AT_ONCE: usize = 20_000;

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Reports that are missing.
    MissingReports {
        /// Under which regime.
        regime: RegimeId,
        /// For which period.
        period: Period,
    },
    /// Reports that were told as missing and were on time.
    RetractedMissingReports {
        /// Under which regime.
        regime: RegimeId,
        /// For which period.
        period: Period,
    },
    /// Reports that were sent back and are not there again by their due time.
    OverdueReturns {
        /// Under which regime.
        regime: RegimeId,
        /// For which period.
        period: Period,
    },
    /// Dossiers that are overdue.
    OverdueDossiers,
}

impl Topic {
    /// On which rung it is told.
    pub fn rung(&self) -> &'static str {
        match self {
            Self::MissingReports { .. } | Self::OverdueDossiers => DUE,
            Self::RetractedMissingReports { .. } => RETRACTED,
            Self::OverdueReturns { .. } => RETURN_DUE,
        }
    }
}

/// A dossier that fell due, to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// By name.
    pub name: String,
    /// Which of its due times this is: a new one can be told again.
    pub due_generation: i32,
    /// How the text calls it.
    pub words: String,
}

/// A digest to one recipient of what newly fell due. Its id is the claim's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Unique.
    pub id: Uuid,
    /// Who is told.
    pub recipient: UnitId,
    /// About what.
    pub topic: Topic,
    /// On which rung.
    pub rung: String,
    /// When it was found, which may be long after it fell due.
    pub detect_time: DateTime<Utc>,
    /// The subjects' names.
    pub subjects: Vec<String>,
    /// For people.
    pub text: String,
}

/// How many of these notices, and one at least, name no more subjects than fit into one answer.
pub fn fitting(notices: &[Notice]) -> usize {
    let mut subjects = 0;
    let fit = notices.iter().take_while(|notice| {
        subjects += notice.subjects.len();
        subjects <= AT_ONCE
    });
    fit.count().max(1)
}

/// The rung on which a sweep tells what it has to do about an obligation.
pub fn rung(task: Task) -> &'static str {
    match task {
        Task::TellMissing => DUE,
        Task::Retract => RETRACTED,
        Task::TellReturn => RETURN_DUE,
    }
}

/// A notice to one recipient that is being put together: all that is to be told of one regime and period and has the same due
/// time. It is told when a sweep has been through all of that period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// What is told.
    pub task: Task,
    /// Whom.
    pub recipient: UnitId,
    /// The due time: of the report, or by when what was sent back had to be there again. None: it has none any more.
    pub due: Option<DateTime<Utc>>,
    /// Since when it was to be told; of its subjects, the longest.
    pub since: DateTime<Utc>,
    /// How many subjects it has.
    pub count: usize,
    /// The first of them.
    pub named: Vec<Named>,
}

/// A subject in the text of a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// The unit's code: by it texts are ordered.
    pub code: String,
    /// How the text calls it.
    pub words: String,
}

impl Digest {
    /// Takes up one more subject. In the text are the first by their codes, in whatever order they come.
    pub fn add(&mut self, since: DateTime<Utc>, subject: Named) {
        self.since = self.since.min(since);
        self.count += 1;
        let at = self.named.partition_point(|named| *named <= subject);
        if at < NAMED {
            self.named.insert(at, subject);
            self.named.truncate(NAMED);
        }
    }
}

/// By what it is decided who is told of a period, and in which words.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// Under which regime.
    pub regime: &'a Regime,
    /// For which period.
    pub period: Period,
    /// Who is who.
    pub hierarchy: &'a Hierarchy,
    /// When it is told.
    pub at: DateTime<Utc>,
}

impl Telling<'_> {
    /// Who is told that a report is missing, or not there again: whoever receives it; where that is no unit here, the unit
    /// that has to see to it.
    pub fn recipient(&self, obligation: &Obligation) -> UnitId {
        let receiver = obligation.receiver;
        self.in_place_of(receiver.unwrap_or_else(|| obligation.responsible(self.at)))
    }

    /// Who is told what a unit would be told: the unit; where it has ended, who came after it; where nobody did, the nearest
    /// that was above it and is there, or that somebody came after. Nobody at all: the unit, whose notices can still be read.
    pub fn in_place_of(&self, unit: UnitId) -> UnitId {
        let today = zone::civil_date(self.at);
        let there = |unit: UnitId| {
            let is_there = self.hierarchy.unit(unit, today).map(|_| unit);
            is_there.or_else(|| self.hierarchy.succeeded_by(unit, today))
        };
        let above = self.hierarchy.ancestors(unit, self.hierarchy.known_on(unit, today));
        std::iter::once(unit).chain(above).find_map(there).unwrap_or(unit)
    }

    /// How the text calls an obligation. `told` is when the notice was told that is taken back.
    pub fn named(&self, obligation: &Obligation, task: Task, told: Option<DateTime<Utc>>) -> Named {
        let cut_off = self.regime.window(self.period).cut_off;
        let code = obligation.unit_code.clone();
        let mut words = match self.hierarchy.unit(obligation.name.unit, cut_off) {
            Some(view) => wording::unit(&view.version.display_name, &code),
            None => obligation.name.unit.to_string(),
        };
        let today = zone::civil_date(self.at);
        let passed = obligation.passed.filter(|passed| passed.time <= self.at);
        let heir = passed.and_then(|passed| {
            self.hierarchy.unit(passed.to, self.hierarchy.known_on(passed.to, today))
        });
        match (task, obligation.receipt, heir) {
            (Task::Retract, Some(receipt), _) => {
                words = format!("{words}, nhận lúc {}", zone::format_vi(receipt.time));
                if let Some(told) = told {
                    let told = zone::date_vi(zone::civil_date(told));
                    words = format!("{words}, đã thông báo ngày {told}");
                }
            }
            (_, _, Some(heir)) => {
                let heir = wording::within_sentence(&heir.version.display_name);
                words = format!("{words}, nay do {heir} chịu trách nhiệm");
            }
            _ => {}
        }
        Named { code, words }
    }

    /// The text of a digest.
    pub fn text(&self, digest: &Digest) -> String {
        let count = wording::count(digest.count);
        let report = &self.regime.display_name;
        let period = wording::period(self.period, self.regime.window(self.period));
        let named = named(&digest.named, digest.count);
        let term = |what: &str| {
            let due = digest.due.map(|due| format!("{what}: {}{}", until(due), self.found(digest)));
            due.map(|due| format!(" ({due})")).unwrap_or_default()
        };
        match digest.task {
            Task::TellMissing => format!(
                "Có {count} đơn vị chưa gửi “{report}” kỳ {period}{}: {named}.",
                term("thời hạn gửi")
            ),
            Task::Retract => format!(
                "Đính chính: {count} đơn vị đã được thông báo là chưa gửi “{report}” kỳ {period}{} nay được \
                 xác định là đã gửi đúng hạn: {named}.",
                term("thời hạn gửi")
            ),
            Task::TellReturn => format!(
                "Có {count} đơn vị chưa gửi lại “{report}” kỳ {period} sau khi được yêu cầu hoàn thiện{}: {named}.",
                term("thời hạn gửi lại")
            ),
        }
    }

    /// What is said where something is told on a later day than it was to be: since when it is overdue, and when that was
    /// found.
    fn found(&self, digest: &Digest) -> String {
        let today = zone::civil_date(self.at);
        let due = digest.due.filter(|_| digest.task != Task::Retract);
        let late = due.filter(|_| zone::civil_date(digest.since) < today);
        let since = late.map(|due| {
            format!(
                "; quá hạn từ ngày {}, đến ngày {} mới được phát hiện",
                zone::date_vi(zone::civil_date(due)),
                zone::date_vi(today)
            )
        });
        since.unwrap_or_default()
    }
}

/// A due time as texts have it: `hết ngày 19/05/2026`, or `trước 16:30 ngày 19/05/2026` within a day.
fn until(due: DateTime<Utc>) -> String {
    let day = zone::civil_date(due);
    match day.pred_opt().filter(|_| zone::start_of(day) == due) {
        Some(last) => format!("hết ngày {}", zone::date_vi(last)),
        None => format!("trước {}", zone::format_vi(due)),
    }
}

/// The text about overdue dossiers.
pub fn overdue_text(told: &[Subject]) -> String {
    let first = told
        .iter()
        .take(NAMED)
        .map(|subject| Named { code: String::new(), words: subject.words.clone() });
    format!(
        "Có {} hồ sơ quá hạn giải quyết, chưa ghi nhận kết quả: {}.",
        wording::count(told.len()),
        named(&first.collect::<Vec<_>>(), told.len())
    )
}

/// The first of `count`, and how many more there are.
fn named(first: &[Named], count: usize) -> String {
    let words: Vec<_> = first.iter().map(|named| named.words.as_str()).collect();
    match count.checked_sub(first.len()) {
        None | Some(0) => words.join("; "),
        Some(more) => {
            format!("{}; và {} trường hợp khác", words.join("; "), wording::count(more))
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::Frequency;
    use dunghan_hierarchy::{Edge, EdgeKind, Kind, Level, UnitHistory, Validity, Version};

    use super::*;
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::obligation::{Passed, Receipt, Returned};
    use crate::domain::regime::Schedule;
    use crate::domain::regime::tests::{day, regime};

    fn notice(subjects: usize) -> Notice {
        Notice {
            id: Uuid::nil(),
            recipient: UnitId::new("nso", "24", None),
            topic: Topic::OverdueDossiers,
            rung: DUE.to_owned(),
            detect_time: DateTime::UNIX_EPOCH,
            subjects: vec![String::new(); subjects],
            text: String::new(),
        }
    }

    const DUE_TIME: &str = "2026-05-20T00:00:00+07:00";

    fn told(told: impl Fn(&Telling<'_>) -> String, at: &str, units: Vec<UnitHistory>) -> String {
        told_after(told, at, units, Vec::new())
    }

    fn told_after(
        told: impl Fn(&Telling<'_>) -> String,
        at: &str,
        units: Vec<UnitHistory>,
        edges: Vec<Edge>,
    ) -> String {
        let regime = regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let hierarchy = Hierarchy::build_with_edges(1, units, edges).unwrap();
        let period = "202605".parse().unwrap();
        told(&Telling { regime: &regime, period, hierarchy: &hierarchy, at: time(at) })
    }

    fn nso(code: &str) -> UnitId {
        UnitId::new("nso", code, None)
    }

    fn unit(code: &str, name: &str, parent: Option<&str>, until: Option<&str>) -> UnitHistory {
        let validity = Validity { from: None, until: until.map(day) };
        let level = if parent.is_some() { Level::Commune } else { Level::Province };
        let version = Version {
            validity,
            kind: Kind::Other,
            level,
            display_name: name.to_owned(),
            parent: parent.map(nso),
        };
        UnitHistory { id: nso(code), versions: vec![version], identifiers: Vec::new() }
    }

    /// One commune under a province, as [`obligation`] has it.
    fn units() -> Vec<UnitHistory> {
        vec![
            unit("24", "Tỉnh Bắc Ninh", None, None),
            unit("09427", "Phường Trí Quả", Some("24"), None),
        ]
    }

    fn digest(task: Task, obligation: &Obligation, since: &str, telling: &Telling<'_>) -> String {
        let due = match task {
            Task::TellReturn => obligation.returned.map(|returned| returned.due),
            _ => obligation.due,
        };
        let (recipient, since) = (telling.recipient(obligation), time(since));
        let mut digest = Digest { task, recipient, due, since, count: 0, named: Vec::new() };
        let told = (task == Task::Retract).then(|| time(DUE_TIME));
        digest.add(since, telling.named(obligation, task, told));
        telling.text(&digest)
    }

    #[test]
    fn what_is_found_on_the_day_says_the_due_date_and_later_also_since_when_it_is_overdue() {
        let missing = |since, at| {
            let owed = obligation(Some(DUE_TIME));
            told(|telling| digest(Task::TellMissing, &owed, since, telling), at, units())
        };
        let text = |found: &str| {
            format!(
                "Có 01 đơn vị chưa gửi “Báo cáo” kỳ tháng 5 năm 2026 (thời hạn gửi: hết ngày \
                 19/05/2026{found}): Phường Trí Quả (09427)."
            )
        };
        assert_eq!(missing(DUE_TIME, DUE_TIME), text(""));
        assert_eq!(missing(DUE_TIME, "2026-05-20T23:59:59+07:00"), text(""));
        let late = "; quá hạn từ ngày 20/05/2026, đến ngày 21/05/2026 mới được phát hiện";
        assert_eq!(missing(DUE_TIME, "2026-05-21T00:00:00+07:00"), text(late));
        // A grace is no outage: it is told on the day on which it was to be.
        let graced = "2026-05-23T00:00:00+07:00";
        assert_eq!(missing(graced, graced), text(""));
    }

    #[test]
    fn what_is_taken_back_is_named_with_when_it_came_and_when_it_was_told() {
        let receipt = Receipt { report: Uuid::nil(), time: time("2026-05-19T23:59:59+07:00") };
        let owed = Obligation { receipt: Some(receipt), ..obligation(Some(DUE_TIME)) };
        let at = "2026-06-01T08:00:00+07:00";
        let since = "2026-05-19T23:59:59+07:00";
        assert_eq!(
            told(|telling| digest(Task::Retract, &owed, since, telling), at, units()),
            "Đính chính: 01 đơn vị đã được thông báo là chưa gửi “Báo cáo” kỳ tháng 5 năm 2026 (thời hạn gửi: hết \
             ngày 19/05/2026) nay được xác định là đã gửi đúng hạn: Phường Trí Quả (09427), nhận lúc 23:59 ngày \
             19/05/2026, đã thông báo ngày 20/05/2026."
        );
        // It has no due time any more.
        let owed = Obligation { due: None, ..owed };
        assert!(
            told(|telling| digest(Task::Retract, &owed, since, telling), at, units())
                .contains("kỳ tháng 5 năm 2026 nay được xác định")
        );
    }

    #[test]
    fn what_was_sent_back_is_told_with_the_term_that_it_was_given() {
        let text = |due: &str, term: &str| {
            let receipt = Receipt { report: Uuid::nil(), time: time("2026-05-18T08:00:00+07:00") };
            let returned = Returned { time: time("2026-05-19T08:00:00+07:00"), due: time(due) };
            let owed = Obligation {
                receipt: Some(receipt),
                returned: Some(returned),
                ..obligation(Some(DUE_TIME))
            };
            let text = told(|telling| digest(Task::TellReturn, &owed, due, telling), due, units());
            assert_eq!(
                text,
                format!(
                    "Có 01 đơn vị chưa gửi lại “Báo cáo” kỳ tháng 5 năm 2026 sau khi được yêu cầu hoàn thiện \
                     (thời hạn gửi lại: {term}): Phường Trí Quả (09427)."
                )
            );
        };
        text("2026-05-23T00:00:00+07:00", "hết ngày 22/05/2026");
        text("2026-05-22T16:30:00+07:00", "trước 16:30 ngày 22/05/2026");
    }

    #[test]
    fn a_unit_that_has_ended_is_named_with_who_sees_to_its_report() {
        let passed = Passed { time: time("2026-05-25T00:00:00+07:00"), to: nso("09430") };
        let owed = Obligation { passed: Some(passed), ..obligation(Some(DUE_TIME)) };
        let mut units = units();
        units.push(unit("09430", "Phường Song Liễu", Some("24"), None));
        let missing =
            |at| told(|telling| digest(Task::TellMissing, &owed, at, telling), at, units.clone());
        assert!(missing(DUE_TIME).ends_with(": Phường Trí Quả (09427)."));
        let heir = ": Phường Trí Quả (09427), nay do phường Song Liễu chịu trách nhiệm.";
        assert!(missing("2026-05-25T00:00:00+07:00").ends_with(heir));
    }

    #[test]
    fn the_receiver_is_told_or_who_came_after_it_or_who_was_above_it_or_else_the_unit_itself() {
        let at = DUE_TIME;
        let recipient = |owed: &Obligation, units: Vec<UnitHistory>, edges: Vec<Edge>| {
            told_after(|telling| telling.recipient(owed).to_string(), at, units, edges)
        };
        let to = |code: &str| nso(code).to_string();
        let owed = obligation(Some(DUE_TIME));
        assert_eq!(recipient(&owed, units(), Vec::new()), to("24"));
        // Nobody who is a unit here receives it.
        let to_nobody = Obligation { receiver: None, ..owed.clone() };
        assert_eq!(recipient(&to_nobody, units(), Vec::new()), to("09427"));
        let passed = Passed { time: time(at), to: nso("09430") };
        let mut grown = units();
        grown.push(unit("09430", "Phường Song Liễu", Some("24"), None));
        let inherited = Obligation { passed: Some(passed), ..to_nobody };
        assert_eq!(recipient(&inherited, grown.clone(), Vec::new()), to("09430"));
        // A commune received, and has ended on the day before.
        let to_commune = Obligation { receiver: Some(nso("09433")), ..owed };
        let ends = |until| {
            let mut units = grown.clone();
            units.push(unit("09433", "Phường Ninh Xá", Some("24"), Some(until)));
            units
        };
        assert_eq!(recipient(&to_commune, ends("2026-05-21"), Vec::new()), to("09433"));
        let merged = |date| {
            let edge = Edge {
                effective: day(date),
                predecessor: nso("09433"),
                successor: nso("09430"),
                kind: EdgeKind::Merged,
                reorganisation: "1".into(),
            };
            vec![edge]
        };
        assert_eq!(recipient(&to_commune, ends("2026-05-20"), merged("2026-05-20")), to("09430"));
        assert_eq!(recipient(&to_commune, ends("2026-05-20"), Vec::new()), to("24"));
        // One of which nothing is known.
        let unknown = Obligation { receiver: Some(nso("1")), ..to_commune };
        assert_eq!(recipient(&unknown, units(), Vec::new()), to("1"));
    }

    #[test]
    fn a_digest_names_the_first_by_their_codes_in_whatever_order_they_come_and_counts_all() {
        let new = || Digest {
            task: Task::TellMissing,
            recipient: nso("24"),
            due: None,
            since: time(DUE_TIME),
            count: 0,
            named: Vec::new(),
        };
        let (mut up, mut down) = (new(), new());
        let subject = |n: i64| Named { code: format!("{n:05}"), words: format!("Xã {n}") };
        for n in 0..50 {
            up.add(time(DUE_TIME) + TimeDelta::seconds(n), subject(n));
            down.add(time(DUE_TIME) + TimeDelta::seconds(49 - n), subject(49 - n));
        }
        assert_eq!(up, down);
        assert_eq!((up.count, up.named.len(), up.since), (50, NAMED, time(DUE_TIME)));
        assert_eq!(up.named, (0..20).map(subject).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_holds_as_many_notices_as_clients_take_and_one_at_least() {
        for (sizes, fit) in [
            (vec![3321; 10], 6),
            (vec![1; 50], 50),
            (vec![AT_ONCE, 1], 1),
            (vec![AT_ONCE - 1, 1, 1], 2),
            (vec![AT_ONCE + 1, 1], 1),
        ] {
            let notices: Vec<_> = sizes.iter().map(|size| notice(*size)).collect();
            assert_eq!(fitting(&notices), fit, "{sizes:?}");
        }
    }
}
