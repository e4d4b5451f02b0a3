//! The log: on standard error, colour only on a terminal; never a body, a phone number, a token.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

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
    let parsed = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| BadFilter { filter: filter.to_owned(), source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // A log that is running already belongs to whoever started it: a test, an embedding program.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}
