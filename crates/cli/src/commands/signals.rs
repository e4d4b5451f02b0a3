//! Signals: none of them ends a running server without a word.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What other programs take as a wish to reload, to rotate logs and the like, and what the system sends when a file
/// may not grow: the write fails then, and that is told. A broken pipe is ignored by Rust's own start.
const IGNORED: [(&str, Number); 4] = [
    ("SIGHUP", Number::HUP),
    ("SIGUSR1", Number::USR1),
    ("SIGUSR2", Number::USR2),
    ("SIGXFSZ", Number::XFSZ),
];

/// How long after a signal others are part of it.
const SAME_WISH: Duration = Duration::from_millis(500);

/// SIGINT (Ctrl-C), SIGTERM and SIGQUIT. From the moment this is made no signal that can be caught, and that
/// people or supervisors send, ends the process by itself.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
}

impl StopSignals {
    pub(super) fn listen() -> anyhow::Result<Self> {
        for (name, number) in IGNORED {
            let signals = listen(name, SignalKind::from_raw(number.as_raw()))?;
            tokio::spawn(ignore(name, signals));
        }
        Ok(Self {
            interrupt: listen("SIGINT", SignalKind::interrupt())?,
            terminate: listen("SIGTERM", SignalKind::terminate())?,
            quit: listen("SIGQUIT", SignalKind::quit())?,
        })
    }

    /// Returns when one has come, with its name.
    pub(super) async fn come(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }

    /// Returns when another has come after the first. What comes right behind it is the same wish: `timeout`, npm
    /// and others signal a process and then its whole group.
    pub(super) async fn come_again(&mut self) -> &'static str {
        let same = async {
            loop {
                self.come().await;
            }
        };
        // It only ever runs out.
        let _ = tokio::time::timeout(SAME_WISH, same).await;
        self.come().await
    }
}

fn listen(name: &str, kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).with_context(|| format!("{name} can't be listened for"))
}

async fn ignore(name: &'static str, mut signals: Signal) {
    while signals.recv().await.is_some() {
        tracing::info!(
            signal = name,
            "a signal that changes nothing; settings are read at the start"
        );
    }
}
