//! A program that makes one file of another: started without a shell, and killed when it takes too long or writes too much.

use std::{ffi::OsStr, io, path::Path, process::Stdio, time::Duration};

use tokio::{
    process::Command,
    time::{Instant, MissedTickBehavior, interval_at},
};

/// How often it is looked how much was written.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Why there is no converted file. No text of it names the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the program is not there")]
    Missing,
    #[error("the program failed")]
    Failed,
    #[error("the program took too long and was killed")]
    Slow,
    #[error("the program took too long before, and is left alone for a while")]
    Resting,
    #[error("too much is converted at once")]
    Busy,
    #[error("the program made no file")]
    Nothing,
    #[error("the program made something else")]
    Wrong,
    #[error("the file is too large")]
    TooLarge,
    #[error("the disk can't be used")]
    Disk,
}

/// Runs it until `to` is written. Dropped, it kills the program.
pub(super) async fn run(
    program: &Path,
    args: &[&OsStr],
    to: &Path,
    within: Duration,
    most_bytes: u64,
) -> Result<(), Failure> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true);
    let mut process = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Failure::Missing,
        _ => Failure::Failed,
    })?;
    let begun = Instant::now();
    let mut looks = interval_at(begun + LOOK_EVERY, LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = tokio::time::sleep_until(begun + within);
    tokio::pin!(end);
    let failure = loop {
        tokio::select! {
            ended = process.wait() => {
                return match ended {
                    Ok(status) if status.success() => Ok(()),
                    _ => Err(Failure::Failed),
                };
            }
            () = &mut end => break Failure::Slow,
            _ = looks.tick() => {
                let written = tokio::fs::metadata(to).await.map_or(0, |found| found.len());
                if written > most_bytes {
                    break Failure::TooLarge;
                }
            }
        }
    };
    // It is reaped too: a child that nobody waits for stays in the table of processes.
    let _ = process.kill().await;
    Err(failure)
}
