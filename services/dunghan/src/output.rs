//! Standard output: one JSON value, or text and tables for people, 80 columns wide. Nothing else here writes to it.

use std::io::{self, IsTerminal as _, Write as _};

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table,
    TableStyle,
};
use dunghan_calendar::zone;
use dunghan_proto::r#type::Date;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use prost_types::Timestamp;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::cli::Format;
use crate::failure::Failure;

/// How wide anything for people is.
pub(crate) const WIDTH: u16 = 80;

/// Prints `value`, as JSON or as `text` makes it.
pub(crate) fn print<T: Serialize>(
    format: Format,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    match format {
        Format::Table => write(&text(value)),
        Format::Json => {
            let json =
                serde_json::to_string_pretty(value).map_err(|e| Failure::Failed(e.into()))?;
            write(&json)
        }
    }
}

/// Prints a text with a line end.
///
/// A reader that has gone away (`dunghan units list | head`) is no failure.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(e.into())),
        _ => Ok(()),
    }
}

/// A line about what is being done, on standard error.
pub(crate) fn step(text: &str) {
    // Nobody to tell is no reason to stop.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Why a command failed, on standard error; broken at blanks for people alone.
pub(crate) fn failure(failure: &Failure) {
    let text = failure.to_string();
    step(&if io::stderr().is_terminal() { wrap(&text) } else { text });
}

/// A bar over so many things, on standard error, where that is a terminal.
pub(crate) fn progress(what: &'static str, length: usize) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(u64::try_from(length).ok(), target);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
        bar.set_style(style);
    }
    bar.with_message(what).with_finish(ProgressFinish::AndClear)
}

/// Columns side by side with a blank between, a line under the header.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction(' '))
    .content_lines(ContentLineStyle::none().junction(' '));

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Left-aligned.
    Text(&'static str),
    /// Right-aligned.
    Number(&'static str),
    /// Left-aligned and never broken, to be copied.
    Whole(&'static str),
}

/// A column of keys: whole, to be copied, unless the longest leaves other columns no room.
pub(crate) fn keys<'a>(name: &'static str, keys: impl IntoIterator<Item = &'a str>) -> Column {
    const WIDEST: usize = 50;
    let fits = keys.into_iter().all(|key| width(key) <= WIDEST);
    if fits { Column::Whole(name) } else { Column::Text(name) }
}

/// A resource name in lines of two parts each, which fit 80 columns: `units/UUID`, then `/reports/UUID`.
pub(crate) fn show_name(name: &str) -> String {
    let mut lines = String::new();
    for (at, part) in name.split('/').enumerate() {
        match at {
            0 => {}
            _ if at % 2 == 0 => lines.push_str("\n/"),
            _ => lines.push('/'),
        }
        lines.push_str(part);
    }
    lines
}

/// Rows under a header, at most 80 columns wide; long texts wrap.
#[derive(Debug)]
pub(crate) struct Rows {
    table: Table,
    empty: bool,
}

impl Rows {
    pub(crate) fn new(columns: &[Column]) -> Self {
        let mut table = Table::new();
        table
            .load_style(STYLE)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH)
            .set_header(columns.iter().map(|column| match column {
                Column::Text(name) | Column::Number(name) | Column::Whole(name) => Cell::new(name),
            }));
        for (place, column) in columns.iter().enumerate() {
            if let Some(found) = table.column_mut(place) {
                found.set_padding((0, 0));
                match column {
                    Column::Text(_) => {}
                    Column::Number(_) => {
                        found.set_cell_alignment(CellAlignment::Right);
                    }
                    Column::Whole(_) => {
                        found.set_constraint(ColumnConstraint::ContentWidth);
                    }
                }
            }
        }
        Self { table, empty: true }
    }

    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.empty = false;
        self.table.add_row(cells.into_iter().map(|cell| Cell::new(cell.into())));
    }

    /// The table, or that there is nothing.
    pub(crate) fn text(&self) -> String {
        if self.empty { "Nothing.".to_owned() } else { self.table.trim_fmt() }
    }
}

/// Names and values, one pair a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([Cell::new(name), Cell::new(value)]);
    }
    // Nothing after the values: the last of a line may be as wide as a SHA-256.
    for (column, after) in table.column_iter_mut().zip([2, 0]) {
        column.set_padding((0, after));
    }
    table.trim_fmt()
}

/// A text broken into lines of 80 columns at blanks; its own line ends stay.
pub(crate) fn wrap(text: &str) -> String {
    let paragraphs = text.lines().map(|paragraph| {
        let indent = paragraph.chars().take_while(|c| *c == ' ' || *c == '-').count();
        hang(&" ".repeat(leading_blanks(paragraph)), &" ".repeat(indent), paragraph)
    });
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// One paragraph broken into lines of 80 columns at blanks, with `first` before the first line and `rest` before each
/// other.
pub(crate) fn hang(first: &str, rest: &str, text: &str) -> String {
    let most = usize::from(WIDTH);
    let (mut lines, mut line) = (Vec::new(), first.to_owned());
    let (mut wide, mut empty) = (width(first), true);
    for word in text.split_whitespace() {
        let long = wide + usize::from(!empty) + width(word) > most;
        if long && !empty {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            (wide, empty) = (width(rest), true);
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        wide += usize::from(!empty) + width(word);
        empty = false;
    }
    lines.push(line.trim_end().to_owned());
    lines.join("\n")
}

/// How many columns a text takes on a terminal: an accent that is a character of its own takes none.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

fn leading_blanks(text: &str) -> usize {
    text.chars().take_while(|c| *c == ' ').count()
}

/// An instant in Viet Nam, as JSON shows it.
pub(crate) fn time(time: Option<&Timestamp>) -> Option<DateTime<FixedOffset>> {
    let instant = dunghan_rpc::field::instant("time", time).ok().flatten()?;
    Some(in_viet_nam(instant))
}

/// As JSON shows it.
pub(crate) fn in_viet_nam(instant: DateTime<Utc>) -> DateTime<FixedOffset> {
    const OFFSET_S: i32 = 7 * 3600;
    let offset = FixedOffset::east_opt(OFFSET_S).unwrap_or_else(|| chrono::Offset::fix(&Utc));
    instant.with_timezone(&offset)
}

/// A date, as JSON shows it.
pub(crate) fn date(date: Option<&Date>) -> Option<NaiveDate> {
    dunghan_rpc::field::date("date", date).ok().flatten()
}

/// An instant for people: 20/05/2026 08:00.
pub(crate) fn show_time(time: Option<DateTime<FixedOffset>>) -> String {
    time.map_or_else(String::new, |time| time.format("%d/%m/%Y %H:%M").to_string())
}

/// A date for people: 20/05/2026.
pub(crate) fn show_date(date: Option<NaiveDate>) -> String {
    date.map_or_else(String::new, zone::date_vi)
}

/// The last day before an exclusive due time, for people; with the time of day where that is not midnight.
pub(crate) fn show_due(due: Option<DateTime<FixedOffset>>) -> String {
    let Some(due) = due else { return "–".to_owned() };
    if due.time() == chrono::NaiveTime::MIN {
        return show_date(due.date_naive().pred_opt());
    }
    show_time(Some(due))
}

/// A period for people: an interval as its two dates, any other by its name.
pub(crate) fn show_period(period: &str) -> String {
    let dates = period.split_once("--").and_then(|(first, last)| {
        let date = |text: &str| text.parse::<NaiveDate>().ok().map(zone::date_vi);
        Some(format!("{} – {}", date(first)?, date(last)?))
    });
    dates.unwrap_or_else(|| period.to_owned())
}

/// The word of an enum of the contract without its prefix, as JSON shows it: `ON_TIME`.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_owned()
}

/// So many of something: `1 row`, `2 rows`.
pub(crate) fn many(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Such a word as people read it: `on time`.
pub(crate) fn plain(word: &str) -> String {
    word.to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widest(text: &str) -> usize {
        text.lines().map(width).max().unwrap_or(0)
    }

    #[test]
    fn a_table_fits_80_columns_whatever_its_texts() {
        let mut rows = Rows::new(&[Column::Text("Unit"), Column::Number("Total")]);
        rows.row(["Ủy ban nhân dân ".repeat(20), "3.524".to_owned()]);
        rows.row(["x".repeat(200), "4".to_owned()]);
        let text = rows.text();
        assert!(widest(&text) <= 80, "{text}");
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
        assert_eq!(Rows::new(&[Column::Text("Unit")]).text(), "Nothing.");
    }

    #[test]
    fn a_hash_beside_a_long_name_stays_whole() {
        let hash = "0".repeat(64);
        let text = pairs(&[("Received first", "now".to_owned()), ("SHA-256", hash.clone())]);
        assert_eq!(text.lines().last(), Some(format!("SHA-256         {hash}").as_str()));
    }

    #[test]
    fn a_name_is_broken_between_its_parts_and_a_key_not_at_all_where_there_is_room() {
        assert_eq!(show_name("units/1/reports/2"), "units/1\n/reports/2");
        assert_eq!(show_name("units/1"), "units/1");
        assert!(matches!(keys("Key", ["a", &"a".repeat(50)]), Column::Whole("Key")));
        assert!(matches!(keys("Key", ["a", &"a".repeat(51)]), Column::Text("Key")));
    }

    #[test]
    fn a_text_wraps_at_blanks_and_keeps_its_lines() {
        let text = format!("Một\n{}\nBa", "hai ".repeat(40));
        let wrapped = wrap(&text);
        assert!(widest(&wrapped) <= 80);
        assert!(wrapped.starts_with("Một\nhai") && wrapped.ends_with("\nBa"), "{wrapped}");
    }

    #[test]
    fn what_hangs_from_a_branch_keeps_its_prefix_and_counts_accents_as_nothing() {
        // Decomposed: five letters and as many accents, five columns.
        let word = "e\u{302}".repeat(5);
        assert_eq!(width(&word), 5);
        let hung = hang("├─ ", "│  ", &format!("{word} ").repeat(20));
        assert_eq!(hung.lines().map(width).collect::<Vec<_>>(), [80, 44], "{hung}");
        assert!(hung.lines().skip(1).all(|line| line.starts_with("│  ")), "{hung}");
        assert_eq!(hang("├─ ", "│  ", ""), "├─");
    }

    #[test]
    fn instants_and_dates_are_viet_nams() {
        let instant = "2026-05-19T17:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let shown = in_viet_nam(instant);
        assert_eq!(shown.to_rfc3339(), "2026-05-20T00:00:00+07:00");
        assert_eq!(show_due(Some(shown)), "19/05/2026");
        assert_eq!(show_time(Some(shown)), "20/05/2026 00:00");
        assert_eq!(show_period("2023-01-01--2024-05-31"), "01/01/2023 – 31/05/2024");
        assert_eq!(show_period("202605"), "202605");
        assert_eq!(show_due(Some(shown + chrono::TimeDelta::hours(17))), "20/05/2026 17:00");
    }
}
