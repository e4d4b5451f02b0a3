//! How the bridge with this data directory stands, for other processes: a lock says whether it runs, a small file the rest.
//!
//! The file is replaced as a whole, so a reader finds an old one or a new one and never a half. Without the lock it
//! tells of the past.

use std::{
    fs::{self, File, TryLockError},
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use switchboard_bridge::{Conversions, Driver, LineStatuses, LinkState};
use switchboard_model::{Timestamp, line::Capability, time::Clock as _};
use switchboard_server::SystemClock;
use tokio::sync::watch;

use crate::commands::host;

/// The file whose lock a running bridge holds.
const LOCK: &str = "bridge.lock";
/// What is told of it.
const STATUS: &str = "status.json";
/// How long a bridge that starts waits for whoever only looks whether one runs.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(50);
/// The pause between two writes: a line that comes and goes does not wear out a disk.
const WRITE_EVERY: Duration = Duration::from_millis(500);

/// The pause before what could not be written is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// That this data directory is this process's. It ends with it.
#[derive(Debug)]
pub(super) struct Held {
    _lock: File,
}

impl Held {
    /// Takes the data directory.
    pub(super) async fn take(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(LOCK);
        let open = File::options().create(true).append(true).open(&path);
        let lock = open.with_context(|| format!("{} can't be made", path.display()))?;
        for _ in 0..LOOKS {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { _lock: lock }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
                Err(TryLockError::Error(error)) => {
                    return Err(error)
                        .with_context(|| format!("{} can't be locked", path.display()));
                }
            }
        }
        bail!(
            "another bridge runs with the data directory {}: stop that one, or give this one its own --data-dir",
            dir.display()
        )
    }
}

/// Whether a bridge runs with this data directory.
pub(super) fn is_running(dir: &Path) -> bool {
    let Ok(lock) = File::open(dir.join(LOCK)) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) process: u32,
    pub(super) version: String,
    pub(super) driver: String,
    pub(super) server: String,
    pub(super) started_at: Timestamp,
    pub(super) written_at: Timestamp,
    /// None while there is no link.
    pub(super) linked_since: Option<Timestamp>,
    /// Why there is none.
    pub(super) problem: Option<String>,
    pub(super) lines: Vec<LineStanding>,
    /// Files since it began.
    #[serde(default)]
    pub(super) files: FilesStanding,
}

/// Files that not everybody can show or play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FilesStanding {
    pub(super) converted: u64,
    /// They went as they were, or did not go out.
    pub(super) not_converted: u64,
}

/// How a line stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LineStanding {
    pub(super) id: String,
    pub(super) handle: String,
    pub(super) online: bool,
    /// Why it is not; beside one that is, what is not as it should be.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// Since when it is, or is not.
    pub(super) since: Timestamp,
    pub(super) capabilities: Vec<String>,
}

/// What was told last; none if nothing ever was, or if it can't be read.
pub(super) fn read(dir: &Path) -> Option<Standing> {
    serde_json::from_slice(&fs::read(dir.join(STATUS)).ok()?).ok()
}

/// Tells how the bridge stands, now and at each change, until it is dropped.
pub(super) struct Teller {
    pub(super) dir: PathBuf,
    pub(super) driver: &'static str,
    pub(super) server: String,
    pub(super) link: watch::Receiver<LinkState>,
    pub(super) statuses: watch::Receiver<LineStatuses>,
    pub(super) conversions: Option<watch::Receiver<Conversions>>,
}

impl Teller {
    pub(super) fn new(
        dir: PathBuf,
        server: String,
        link: watch::Receiver<LinkState>,
        driver: &Arc<dyn Driver>,
    ) -> Self {
        Self {
            dir,
            driver: driver.kind().as_str(),
            server,
            link,
            statuses: driver.statuses(),
            conversions: driver.conversions(),
        }
    }

    pub(super) async fn tell(mut self) {
        let now = SystemClock.now();
        let mut standing = Standing {
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            driver: self.driver.to_owned(),
            server: self.server.clone(),
            started_at: now,
            written_at: now,
            linked_since: None,
            problem: None,
            lines: Vec::new(),
            files: FilesStanding::default(),
        };
        let mut is_told = true;
        loop {
            self.look(&mut standing);
            let (path, text) = (self.dir.join(STATUS), serde_json::to_string_pretty(&standing));
            if let Ok(text) = text {
                // It blocks, briefly; a bridge has threads for that.
                let written =
                    tokio::task::spawn_blocking(move || host::write_private(&path, &text)).await;
                let was_told = std::mem::replace(&mut is_told, !matches!(written, Ok(Err(_))));
                if let Ok(Err(error)) = written
                    && was_told
                {
                    tracing::warn!("what 'bridge status' shows is old: {error:#}");
                }
            }
            tokio::time::sleep(WRITE_EVERY).await;
            let changed = tokio::select! {
                changed = self.link.changed() => changed,
                changed = self.statuses.changed() => changed,
                () = converted(&mut self.conversions) => Ok(()),
                () = tokio::time::sleep(WRITE_AGAIN), if !is_told => Ok(()),
            };
            if changed.is_err() {
                return;
            }
        }
    }

    fn look(&mut self, standing: &mut Standing) {
        let link = self.link.borrow_and_update().clone();
        let statuses = self.statuses.borrow_and_update().clone();
        let now = SystemClock.now();
        let before = mem::take(&mut standing.lines);
        standing.written_at = now;
        standing.linked_since = link.linked_since;
        standing.problem = link.problem;
        if let Some(conversions) = &mut self.conversions {
            let Conversions { made, failed } = *conversions.borrow_and_update();
            standing.files = FilesStanding { converted: made, not_converted: failed };
        }
        let lines = link.lines.iter().map(|line| {
            let (id, status) = (line.id.to_string(), statuses.get(&line.id));
            let online = status.is_some_and(|status| status.online);
            let same = before.iter().find(|one| one.id == id && one.online == online);
            let capabilities = status.map(|status| status.capabilities.as_slice());
            LineStanding {
                since: same.map_or(now, |one| one.since),
                handle: line.handle.to_string(),
                online,
                reason: status.and_then(|status| status.reason).map(|why| why.as_str().to_owned()),
                capabilities: capabilities.unwrap_or_default().iter().map(name).collect(),
                id,
            }
        });
        standing.lines = lines.collect();
    }
}

/// Waits until a file was converted, or was to be.
async fn converted(conversions: &mut Option<watch::Receiver<Conversions>>) {
    let ended = match conversions {
        Some(conversions) => conversions.changed().await.is_err(),
        None => true,
    };
    if ended {
        std::future::pending::<()>().await;
    }
}

/// Its name in JSON.
fn name(capability: &Capability) -> String {
    serde_json::to_value(capability)
        .ok()
        .and_then(|name| Some(name.as_str()?.to_owned()))
        .unwrap_or_default()
}
