//! The bridge's log: as the server's on standard error, or in files that take no more room than they may.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};
use switchboard_server::{config::LogFormat, telemetry};

use super::options;

/// How large a file of the log becomes, in bytes, and how many older ones are kept.
const MAX_FILE: usize = 10 * 1024 * 1024;
const OLDER: usize = 5;

#[derive(Debug, Clone, Args)]
pub(super) struct Log {
    /// What to log: error, warn, info, debug, trace, or a filter such as switchboard_bridge=debug. No message, no number
    /// and no secret stands in it
    #[arg(long, env = "SWITCHBOARD_LOG", default_value = "info", value_name = "FILTER")]
    pub(super) log: String,

    /// How to write the log
    #[arg(long, env = "SWITCHBOARD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: LogFormat,

    /// Write the log there instead of to standard error: files of 10 MiB, the newest six of them
    #[arg(long, env = "SWITCHBOARD_BRIDGE_LOG_FILE", value_name = "FILE")]
    pub(super) log_file: Option<PathBuf>,
}

impl Log {
    pub(super) fn start(&self) -> anyhow::Result<()> {
        let Some(file) = &self.log_file else {
            return Ok(telemetry::init(&self.log, self.log_format)?);
        };
        let file = options::absolute(file)?;
        Ok(telemetry::init_into(&self.log, self.log_format, rotating(&file, MAX_FILE)?)?)
    }
}

/// A file that is begun anew when it is full.
fn rotating(file: &Path, max: usize) -> anyhow::Result<FileRotate<AppendCount>> {
    let cannot = || format!("the log can't be written to {}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true).mode(0o600);
    // Once before, for an error that can be told: what rotates says nothing of it.
    options.open(file).with_context(cannot)?;
    let limit = ContentLimit::BytesSurpassed(max);
    let count = AppendCount::new(OLDER);
    Ok(FileRotate::new(file, count, limit, Compression::None, Some(options)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_log_takes_no_more_room_than_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = rotating(&dir.path().join("logs/bridge.log"), 1000).unwrap();
        for number in 0..1000 {
            writeln!(log, "line {number:050}").unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(dir.path().join("logs")).unwrap().collect();
        assert_eq!(files.len(), 1 + OLDER);
        for file in files {
            let found = file.unwrap().metadata().unwrap();
            assert!(found.len() < 1100, "{}", found.len());
            assert_eq!(std::os::unix::fs::MetadataExt::mode(&found) & 0o777, 0o600);
        }
    }
}
