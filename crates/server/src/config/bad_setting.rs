//! A setting that can't be understood.

use clap::error::{ContextKind, ContextValue};

/// The environment holds a setting that can't be understood. Says which and why on one line, and not
/// the value: it may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("{variable} can't be understood: {reason}")]
pub struct BadSetting {
    variable: String,
    reason: String,
}

impl BadSetting {
    pub(super) fn of(error: &clap::Error) -> Self {
        // `--max-body <BYTES>`
        let flag = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(flag)) => flag.split(' ').next().unwrap_or_default(),
            _ => "a setting in the environment",
        };
        let variable = match flag.strip_prefix("--") {
            Some(name) => format!("SWITCHBOARD_{}", name.to_uppercase().replace('-', "_")),
            None => flag.to_owned(),
        };
        let reason = std::error::Error::source(error)
            .map_or_else(|| "its value is missing or unknown".to_owned(), ToString::to_string);
        Self { variable, reason }
    }
}
