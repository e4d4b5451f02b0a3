//! What the binary writes: data to stdout, talk to stderr. A reader that went away is no error.

use std::{
    io::{self, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use comfy_table::{Table, presets};
use serde::Serialize;
use switchboard_client::Answer;
use switchboard_model::{Timestamp, page::List, secret::Secret};

/// Writes a line of data.
pub(crate) fn data(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes a line of talk. Nobody can be told if that fails.
pub(crate) fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// How long the last words of a process may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The same for the last line of a process: a reader of stderr that has stalled does not keep it from ending.
pub(crate) fn last_words(line: String) {
    let (said, heard) = mpsc::channel();
    thread::spawn(move || {
        talk(&line);
        let _ = said.send(());
    });
    let _ = heard.recv_timeout(LAST_WORDS);
}

/// Whether the reader of our output has gone: `switchboard … | head`.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Writes rows as a table with aligned columns.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    data(&aligned(head, rows))
}

pub(crate) fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// How answers are shown: for people the one thing they need next, for scripts all of it.
pub(crate) struct Out {
    pub(crate) json: bool,
}

impl Out {
    pub(crate) fn one<T: Serialize>(
        &self,
        answer: &Answer<T>,
        plain: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let line =
            if self.json { serde_json::to_string(&answer.value)? } else { plain(&answer.value) };
        Ok(data(&line)?)
    }

    /// Something with a secret that is shown this once.
    pub(crate) fn secret(
        &self,
        row: &impl Serialize,
        name: &str,
        secret: &Secret,
    ) -> anyhow::Result<()> {
        if !self.json {
            return Ok(data(secret.reveal())?);
        }
        let mut row = serde_json::to_value(row)?;
        row[name] = secret.reveal().into();
        Ok(data(&row.to_string())?)
    }

    pub(crate) fn list<T: Serialize>(
        &self,
        answer: &Answer<List<T>>,
        head: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        let list = &answer.value;
        if self.json {
            return Ok(data(&serde_json::to_string(list)?)?);
        }
        Ok(table(head, &list.data.iter().map(row).collect::<Vec<_>>())?)
    }
}

/// An instant as people read it, in UTC.
pub(crate) fn time(at: Timestamp) -> String {
    const DAY: i64 = 86_400;
    let (day, second) = (at.seconds().div_euclid(DAY), at.seconds().rem_euclid(DAY));
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years that begin in March, in eras of 400.
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let rows = [["key_1", "日本", ""], ["key_22", "a much longer name than that", "x"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let lines = "ID      NAME                          STATE\n\
                     key_1   日本\n\
                     key_22  a much longer name than that  x";
        assert_eq!(aligned(&["ID", "NAME", "STATE"], &rows), lines);
        assert_eq!(aligned(&["ID", "NAME"], &[]), "ID  NAME");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_399_999, "2000-02-28 23:59:59Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_767_225_600_000, "2026-01-01 00:00:00Z"),
            (4_107_542_399_000, "2100-02-28 23:59:59Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
            (-1000, "1969-12-31 23:59:59Z"),
        ] {
            assert_eq!(time(Timestamp(millis)), text);
        }
    }
}
