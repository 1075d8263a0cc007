//! domain → iCalendar (RFC 5545): what a unit owes, as a file that calendars read.

use icalendar::{Alarm, Calendar, Component as _, Event, EventLike as _, EventStatus, Property};

use crate::domain::owed::Entry;

/// Four times a day: due dates move by decisions, of which there are few.
const ASK_AGAIN: &str = "PT6H";

/// One event for each due date, all day long.
pub(crate) fn owed_calendar<'a>(
    unit_name: &str,
    entries: impl IntoIterator<Item = Entry<'a>>,
) -> String {
    let mut calendar = Calendar::empty();
    for (key, value) in
        [("VERSION", "2.0"), ("PRODID", "-//dunghan//compliance//VI"), ("CALSCALE", "GREGORIAN")]
    {
        calendar.append_property(Property::new(key, value));
    }
    calendar.name(&format!("Báo cáo phải gửi – {unit_name}"));
    // Whoever subscribes asks again after that: the standard's word for it, and the one that Outlook knows.
    calendar.append_property(
        Property::new("REFRESH-INTERVAL", ASK_AGAIN).add_parameter("VALUE", "DURATION").done(),
    );
    calendar.append_property(Property::new("X-PUBLISHED-TTL", ASK_AGAIN));
    calendar.extend(entries.into_iter().map(|entry| event(&entry)));
    calendar.to_string()
}

fn event(entry: &Entry<'_>) -> Event {
    let summary = entry.summary();
    let mut event = Event::new();
    event
        .uid(&entry.uid())
        .sequence(entry.sequence())
        // Of the answer, not of the last change: of a name or a contact nothing says when that was. The latest is taken.
        .timestamp(entry.at)
        .starts(entry.day)
        .summary(&summary)
        .description(&entry.description())
        // A due date takes nobody's day.
        .add_property("TRANSP", "TRANSPARENT")
        .status(if entry.estimated { EventStatus::Tentative } else { EventStatus::Confirmed });
    // The end is exclusive. Without one an event lasts for the day on which it starts.
    if let Some(next) = entry.day.succ_opt() {
        event.ends(next);
    }
    if !entry.is_overdue() {
        let mut alarm = Alarm::display(&summary, entry.reminder);
        // Otherwise the library makes up both, by a clock of its own.
        alarm.timestamp(entry.at).uid(&format!("alarm.{}", entry.uid()));
        event.alarm(alarm);
    }
    event.done()
}
