//! Time as Vietnamese administrations count it: reporting periods and their windows, working days, terms and due
//! times.
//!
//! Everything here is a pure function of its arguments, `now` among them: no file is opened, no database asked, and
//! only [`SystemClock`] reads a clock. Which regime uses which window, due day or term is data that others keep;
//! this crate computes what follows from it.
//!
//! Instants are UTC, dates are civil dates in Viet Nam ([`zone`]). Nothing panics: where an answer would lie beyond
//! the last representable or known day, that day is the answer, and each function says so.

pub mod clock;
pub mod due;
pub mod lunar;
pub mod period;
mod statutory;
pub mod term;
pub mod working;
pub mod zone;

#[cfg(test)]
mod due_dates;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;

pub use clock::{Clock, ManualClock, SystemClock};
pub use due::{DayOffPolicy, DueMonth, DueRule, DueRuleError};
pub use lunar::LunarDate;
pub use period::{Family, Frequency, Period, PeriodError, Window};
pub use term::{Completion, Due, Granularity, OfficeHours, OfficeHoursError, Term, TermError};
pub use working::{
    Amended, CalendarError, Certainty, Day, DayKind, DayProblem, SpecialDay, SpecialKind,
    WorkingCalendar,
};
