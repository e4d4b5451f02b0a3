//! A wall clock that jumps, for one process: Debian's libfaketime, told by a file.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use switchboard_model::{Timestamp, signature::TOLERANCE_MS, webhook::WebhookSecret};
use switchboard_testkit::receiver::{Delivery, NotTrue};
use tokio::{process::Command, time::sleep};
use tokio_util::sync::CancellationToken;

/// How often the process looks at what time it is to have, in seconds.
const LOOK_EVERY: &str = "1";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Where the clock is set, one after another, in seconds from the true time. Further from each other than receivers
/// tolerate.
const JUMPS: [i64; 6] = [3 * DAY, -HOUR, 10 * MINUTE, -DAY, 0, -3 * HOUR];

/// The clock of a process that is started with [`Clock::set_up`].
pub(super) struct Clock {
    file: PathBuf,
}

impl Clock {
    pub(super) fn new(dir: &Path) -> Self {
        let clock = Self { file: dir.join("faketime") };
        clock.set(0);
        clock
    }

    /// Gives the process of this command this clock.
    pub(super) fn set_up(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_CACHE_DURATION", LOOK_EVERY)
            // What waits for a time to pass is not to see the jump.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    /// Jumps every so often; at the end the clock is right again.
    pub(super) fn jump_about(
        &self,
        every: Duration,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let clock = Self { file: self.file.clone() };
        async move {
            for jump in JUMPS.into_iter().cycle() {
                if stop.run_until_cancelled(sleep(every)).await.is_none() {
                    break;
                }
                clock.set(jump);
            }
            clock.set(0);
        }
    }

    fn set(&self, offset: i64) {
        let draft = self.file.with_extension("new");
        fs::write(&draft, format!("{offset:+}\n")).unwrap();
        fs::rename(&draft, &self.file).unwrap();
    }
}

/// Checks a delivery as who receives it would, by a clock that is set as the sender's was at some time.
pub(super) fn verify(delivery: &Delivery, secret: &WebhookSecret) -> Result<(), NotTrue> {
    let mut judged = Ok(());
    for jump in JUMPS {
        let now = Timestamp(delivery.wall.0 + jump * 1000);
        judged = delivery.verify_at(secret, now).map(drop);
        if judged.is_ok() {
            break;
        }
    }
    judged
}

/// Whether the sender's clock was further away than receivers tolerate.
pub(super) fn had_jumped(delivery: &Delivery) -> bool {
    delivery
        .timestamp()
        .is_some_and(|at| at.0.abs_diff(delivery.wall.0) > TOLERANCE_MS.unsigned_abs())
}

/// The library, wherever the machine's architecture has it.
fn library() -> PathBuf {
    let arch = env::consts::ARCH;
    let path = format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketimeMT.so.1");
    assert!(Path::new(&path).exists(), "{path} is missing: install the package faketime");
    path.into()
}
