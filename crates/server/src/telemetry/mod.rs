//! The log: on standard error, colour only on a terminal; never a body, a phone number, a token.
//!
//! Logging never blocks and never panics: lines go through a bounded buffer, and those that find no room,
//! or that standard error does not take, are counted (`writer.rs`). A panic is a log line too (`panics.rs`).

mod panics;
mod writer;

use std::{
    io::{IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
pub(crate) use panics::watch as watch_panics;
use writer::LogWriter;

/// Where the lines of this process go, once [`init`] was called.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// The log filter can't be understood.
#[derive(Debug, thiserror::Error)]
#[error("the log filter '{filter}' can't be understood")]
pub struct BadFilter {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Starts the log of this process. A second call changes nothing.
///
/// # Errors
/// [`BadFilter`] if the filter can't be understood.
pub fn init(filter: &str, format: LogFormat) -> Result<(), BadFilter> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    start(filter, format, colour, || LogWriter::to_stderr(format))
}

/// The same, with the log going to `out` instead of standard error.
///
/// # Errors
/// [`BadFilter`] if the filter can't be understood.
pub fn init_into(
    filter: &str,
    format: LogFormat,
    out: impl Write + Send + 'static,
) -> Result<(), BadFilter> {
    start(filter, format, false, || LogWriter::start(out, format))
}

fn start(
    filter: &str,
    format: LogFormat,
    colour: bool,
    open: impl FnOnce() -> LogWriter,
) -> Result<(), BadFilter> {
    let parsed = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| BadFilter { filter: filter.to_owned(), source })?;
    let mut is_new = false;
    let writer = WRITER.get_or_init(|| {
        is_new = true;
        open()
    });
    if !is_new {
        return Ok(());
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(writer.clone())
        // Internal errors would be written to standard error directly, which blocks or panics.
        .log_internal_errors(false)
        .with_ansi(colour);
    let started = match format {
        LogFormat::Text => builder.try_init(),
        // The innermost span has all there is to know; a list of them would say it twice.
        LogFormat::Json => builder.json().with_span_list(false).try_init(),
    };
    // A log that is running already belongs to an embedding program, and so does its panic hook.
    if started.is_ok() {
        panics::log();
    }
    Ok(())
}

/// Waits until the lines so far are written, or `most` is over.
pub fn flush(most: Duration) {
    if let Some(writer) = WRITER.get() {
        writer.flush(most);
    }
}

/// How many log lines this process has lost.
pub fn dropped_lines() -> u64 {
    WRITER.get().map_or(0, LogWriter::dropped)
}

/// How many panics there were in this process since its first server started.
pub fn panics() -> u64 {
    panics::count()
}
