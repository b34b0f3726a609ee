//! What people and scripts see: exit codes, failures, tables.
//!
//! Standard output carries data, standard error carries talk.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use cofferdam_schemas::{ErrorCode, WireError};
use serde::Serialize;

/// Exit codes, after sysexits.h where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything is as asked.
    Ok = 0,
    /// It failed.
    Failure = 1,
    /// A check found something: a document quarantined or dead, letters in the DLQ.
    Checks = 3,
    /// A scan found something that a person should look at.
    Review = 4,
    /// A scan reached a limit: something was not looked at.
    Incomplete = 5,
    /// A server that is needed does not answer.
    Unavailable = 69,
    /// It may work later.
    Temporary = 75,
    /// The configuration is wrong.
    Config = 78,
    /// Stopped by the user.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command failed: for the person, and as an exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What, where, and what to do next.
    pub error: anyhow::Error,
    /// The stable code, when a server gave one.
    pub code: Option<ErrorCode>,
}

impl Failure {
    /// With an exit code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
            code: None,
        }
    }
    /// With a text.
    pub fn text(exit: Exit, text: impl Into<String>) -> Self {
        Self::new(exit, anyhow::anyhow!(text.into()))
    }
    /// Writes it to standard error, or with `json` as one JSON object.
    pub fn print(&self, json: bool) {
        let mut err = std::io::stderr().lock();
        if json {
            let code = self.code.and_then(|code| serde_json::to_value(code).ok());
            let line = serde_json::json!({"error": {"message": format!("{:#}", self.error), "code": code, "exit": self.exit as u8}});
            let _ = writeln!(err, "{line}");
        } else {
            let _ = writeln!(err, "error: {:#}", self.error);
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Failure, error)
    }
}

impl From<&WireError> for Exit {
    fn from(error: &WireError) -> Exit {
        match error.code {
            ErrorCode::Unavailable => Exit::Unavailable,
            ErrorCode::Backpressure | ErrorCode::NotReady => Exit::Temporary,
            ErrorCode::Quarantined | ErrorCode::NotQuarantined => Exit::Checks,
            ErrorCode::InvalidRequest
            | ErrorCode::UnknownCommand
            | ErrorCode::NotFound
            | ErrorCode::Forbidden
            | ErrorCode::InvalidRange
            | ErrorCode::LimitExceeded
            | ErrorCode::Damaged
            | ErrorCode::CannotOpen
            | ErrorCode::Internal => Exit::Failure,
        }
    }
}

/// A failure out of an error on the wire.
pub fn refused(error: &WireError) -> Failure {
    let code = serde_json::to_value(error.code)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default();
    let mut failure = Failure::text(
        Exit::from(error),
        format!("{} ({code}, request {})", error.message, error.request_id),
    );
    failure.code = Some(error.code);
    failure
}

/// One JSON line on standard output.
pub fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Whether progress bars make sense.
pub fn on_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// A table of left-aligned columns; a column whose name begins with `>` is right-aligned.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these column names.
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }
    /// Adds a row. Control characters in cells are shown escaped, so that a key cannot write to the terminal.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }
}

/// A text with what a terminal would obey escaped: control characters, and those that are not seen or turn the direction of writing.
pub fn printable(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .head
            .iter()
            .map(|name| name.trim_start_matches('>').to_owned())
            .collect();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .chain(names.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..names.len()).map(width).collect();
        for row in std::iter::once(&names).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let room = widths.get(column).copied().unwrap_or(0);
                let right = self.head.get(column).is_some_and(|name| name.starts_with('>'));
                let gap = " ".repeat(room.saturating_sub(cell.chars().count()));
                let (before, after) = if right { (gap.as_str(), "") } else { ("", gap.as_str()) };
                line.push_str(&format!("{before}{cell}{after}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Bytes for people: `1.5 MB`, powers of ten.
pub fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ if value < 9.95 => format!("{value:.1} {}", units[unit]),
        _ => format!("{value:.0} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_short() {
        for (count, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_549, "1.5 kB"),
            (99_960, "100 kB"),
            (5_368_709_120, "5.4 GB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn tables_align_and_escape() {
        let mut table = Table::new(&["name", ">size"]);
        table.row(["a\u{1b}[31m".to_owned(), "5".to_owned()]);
        table.row(["longer name here".to_owned(), "12345".to_owned()]);
        assert_eq!(
            table.to_string(),
            "name               size\na\\u{1b}[31m           5\nlonger name here  12345\n"
        );
    }
}
