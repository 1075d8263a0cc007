//! What a reorganisation means for what units owe.
//!
//! Who owes is decided by the hierarchy on the cut-off day, so the cut-off and the effective date decide what a
//! reorganisation touches, and not the due time.

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::obligation::{Obligation, Standing};

/// What becomes of a unit on the effective date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The day before is its last.
    Ends,
    /// It goes on with another parent, kind, level, name or code.
    GoesOn,
}

/// What a reorganisation means for an obligation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consequence {
    /// The unit will not be there at its cut-off, and nothing has come of it yet.
    NoLongerOwed,
    /// It was owed before, and is not settled: whoever comes after has to see to it, or it is waived.
    StillOwed,
    /// Its period is closed already; the rate and the roll-ups of that will be answered anew.
    ClosedPeriod,
}

/// What a reorganisation of that effective date means for an obligation of a unit with that fate, as of `at`; none where
/// it is not affected.
pub fn consequence(
    obligation: &Obligation,
    cut_off: NaiveDate,
    fate: Fate,
    effective: NaiveDate,
    at: DateTime<Utc>,
) -> Option<Consequence> {
    let standing = obligation.standing(at);
    // Nobody owes it any more, by this reorganisation or for another reason.
    if standing == Standing::Closed {
        return None;
    }
    if cut_off < effective {
        let unsettled =
            matches!(standing, Standing::Open | Standing::NotYetOpen | Standing::Missing);
        return (fate == Fate::Ends && unsettled).then_some(Consequence::StillOwed);
    }
    // A waiver closes no period: it is of an obligation that would not have been there.
    let submitted = obligation.receipt.is_some_and(|receipt| receipt.time <= at);
    let closed = submitted || obligation.due.is_some_and(|due| due <= at);
    match fate {
        _ if closed => Some(Consequence::ClosedPeriod),
        Fate::Ends => Some(Consequence::NoLongerOwed),
        Fate::GoesOn => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::obligation::{CloseReason, Closed, Receipt, Waived};
    use crate::domain::regime::tests::day;

    /// The window of May 2026 is closed on the 14th.
    const CUT_OFF: &str = "2026-05-14";
    const DUE: &str = "2026-05-20T00:00:00+07:00";
    /// The day before the cut-off, the cut-off, and the day after.
    const EFFECTIVE: [&str; 3] = ["2026-05-13", "2026-05-14", "2026-05-15"];

    use Consequence::{ClosedPeriod, NoLongerOwed, StillOwed};

    /// What is said for each of [`EFFECTIVE`].
    type Said = [Option<Consequence>; 3];
    const NOTHING: Said = [None; 3];

    #[test]
    fn the_cut_off_the_due_time_and_the_receipt_decide_each_to_the_boundary() {
        let due = time(DUE);
        let (before, after) = (due - TimeDelta::microseconds(1), due + TimeDelta::microseconds(1));
        let open = [Some(NoLongerOwed), Some(NoLongerOwed), Some(StillOwed)];
        let missing = [Some(ClosedPeriod), Some(ClosedPeriod), Some(StillOwed)];
        let settled = [Some(ClosedPeriod), Some(ClosedPeriod), None];
        // Received, waived, asked at; what that means for a unit that ends, and for one that goes on.
        let cases: [(Option<_>, Option<_>, _, Said, Said); 9] = [
            (None, None, before, open, NOTHING),
            (None, None, due, missing, [Some(ClosedPeriod), Some(ClosedPeriod), None]),
            (Some(before), None, before, settled, settled),
            (Some(due), None, due, settled, settled),
            // What came after the moment asked for is not known at that moment.
            (Some(due), None, before, open, NOTHING),
            (None, Some(before), before, [Some(NoLongerOwed), Some(NoLongerOwed), None], NOTHING),
            (None, Some(before), due, settled, settled),
            (None, Some(due), before, open, NOTHING),
            (None, Some(after), due, missing, [Some(ClosedPeriod), Some(ClosedPeriod), None]),
        ];
        for (received, waived, at, ends, goes_on) in cases {
            let receipt = received.map(|time| Receipt { report: Uuid::nil(), time });
            let waived = waived.map(|time| Waived { decision: Uuid::nil(), time });
            let owed = Obligation { receipt, waived, ..obligation(Some(DUE)) };
            for (fate, expected) in [(Fate::Ends, ends), (Fate::GoesOn, goes_on)] {
                let said = EFFECTIVE
                    .map(|effective| consequence(&owed, day(CUT_OFF), fate, day(effective), at));
                assert_eq!(said, expected, "{received:?} {waived:?} {at} {fate:?}");
            }
        }
    }

    #[test]
    fn what_is_closed_is_not_touched_and_what_will_be_closed_is() {
        let due = time(DUE);
        let closed = Some(Closed { time: due, reason: CloseReason::NotADebtor });
        let owed = Obligation { closed, ..obligation(Some(DUE)) };
        let said = |at| {
            EFFECTIVE
                .map(|effective| consequence(&owed, day(CUT_OFF), Fate::Ends, day(effective), at))
        };
        assert_eq!(said(due), NOTHING);
        let before = due - TimeDelta::microseconds(1);
        assert_eq!(said(before), [Some(NoLongerOwed), Some(NoLongerOwed), Some(StillOwed)]);
    }

    #[test]
    fn without_a_due_time_only_a_report_closes_a_period() {
        let far = time("2030-01-01T00:00:00+07:00");
        let said = |owed: &Obligation| {
            EFFECTIVE
                .map(|effective| consequence(owed, day(CUT_OFF), Fate::Ends, day(effective), far))
        };
        let open = [Some(NoLongerOwed), Some(NoLongerOwed), Some(StillOwed)];
        assert_eq!(said(&obligation(None)), open);
        let receipt = Some(Receipt { report: Uuid::nil(), time: time(DUE) });
        let submitted = Obligation { receipt, ..obligation(None) };
        assert_eq!(said(&submitted), [Some(ClosedPeriod), Some(ClosedPeriod), None]);
    }
}
