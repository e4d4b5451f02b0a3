//! Whether the child can do its work, and what.

use std::time::Duration;

use serde_json::json;
use switchboard_model::line::{Capability, OfflineReason};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    Imsg,
    child::Life,
    rpc::{RpcError, Status},
};
use crate::{connector::Health, driver::LineStatus};

/// How often the child is asked how it is.
const ASK_EVERY: Duration = Duration::from_secs(20);
/// The same while the database can't be read.
const ASK_AWAY: Duration = Duration::from_secs(2);
/// How long it may take to say so: it probes its helper.
const ASK_WITHIN: Duration = Duration::from_secs(15);
/// How long a child may say nothing before it is begun anew.
const SILENT_FOR: u32 = 3;
/// The oldest version that speaks this protocol.
const OLDEST: (u32, u32) = (0, 14);
/// From this macOS on AppleScript finds no group. There is none between 15 and 26, and 26 calls itself 16 to older programs.
const NO_GROUPS_BY_SCRIPT: u32 = 16;

/// What the child can do now.
#[derive(Debug, Clone, Default)]
pub(super) struct Readiness {
    pub(super) status: Status,
    /// The lane that sends is stuck until a new child runs.
    pub(super) poisoned: Option<Life>,
}

impl Readiness {
    /// Whether this can be asked with a chance to work. Some methods are named whether they can work or not.
    pub(super) fn can(&self, method: &str) -> bool {
        let needs_helper = matches!(method, "typing" | "read");
        self.status.has(method) && (!needs_helper || self.status.bridge.ready)
    }

    fn has_emoji(&self) -> bool {
        let features = &self.status.capabilities.features;
        features.get("tapback.emoji").and_then(serde_json::Value::as_i64) >= Some(2)
    }

    fn capabilities(&self, macos: Option<u32>) -> Vec<Capability> {
        let helper = self.status.bridge.ready;
        let scripts_find_groups = macos.is_none_or(|macos| macos < NO_GROUPS_BY_SCRIPT);
        let able = [
            (Capability::Attachments, true),
            // Without its helper a new contact is tried by AppleScript, which newer systems refuse for many.
            (Capability::NewChats, true),
            (Capability::Groups, helper || scripts_find_groups),
            (Capability::AudioMessages, helper && self.can("send.attachment")),
            (Capability::Replies, helper && self.can("send.rich")),
            (Capability::Reactions, helper && self.can("tapback")),
            (Capability::EmojiReactions, helper && self.can("tapback") && self.has_emoji()),
            (Capability::Typing, self.can("typing")),
            (Capability::TypingOff, self.can("typing")),
            (Capability::ReadReceipts, self.can("read")),
            (Capability::DeliveryState, self.can("message.send_status")),
        ];
        able.into_iter().filter_map(|(one, can)| can.then_some(one)).collect()
    }
}

/// Before anything is known.
pub(super) fn starting() -> LineStatus {
    offline(OfflineReason::Starting)
}

fn offline(reason: OfflineReason) -> LineStatus {
    LineStatus { online: false, capabilities: Vec::new(), reason: Some(reason) }
}

impl Imsg {
    /// Asks the child how it is, at each of its starts and once in a while.
    pub(super) async fn keep_status(&self) {
        let mut life = self.child.life();
        let mut silent = 0;
        loop {
            let now = *life.borrow_and_update();
            let status = match now {
                Life::Missing => offline(OfflineReason::ProgramMissing),
                Life::Down => offline(OfflineReason::Starting),
                Life::Up(_) => match self.ask_status().await {
                    Ok(status) => {
                        silent = 0;
                        self.take(status)
                    }
                    Err(RpcError::Said { code: -32601, .. }) => {
                        offline(OfflineReason::ProgramOutdated)
                    }
                    Err(error) => {
                        silent += 1;
                        warn!(%error, "imsg does not say how it is");
                        if silent >= SILENT_FOR {
                            silent = 0;
                            self.child.begin_anew(now);
                        }
                        offline(OfflineReason::Unreachable)
                    }
                },
            };
            let (online, unreadable) =
                (status.online, status.reason == Some(OfflineReason::Permission));
            self.tell(status);
            let mut health = self.health.subscribe();
            let turns_away = async { drop(health.wait_for(|health| !health.all.online).await) };
            tokio::select! {
                // At once when a child comes or goes, and soon where somebody may mend what is missing.
                _ = timeout(if unreadable { ASK_AWAY } else { ASK_EVERY }, life.changed()) => {}
                () = turns_away, if online => {}
            }
        }
    }

    async fn ask_status(&self) -> Result<Status, RpcError> {
        self.child.ask("status", json!({}), ASK_WITHIN).await
    }

    /// Asks now, because something that was refused says that it has changed.
    pub(super) async fn ask_again(&self) {
        if let Ok(status) = self.ask_status().await {
            let status = self.take(status);
            self.tell(status);
        }
    }

    fn take(&self, status: Status) -> LineStatus {
        let readiness = Readiness { status, poisoned: self.readiness.borrow().poisoned };
        let is_poisoned = self.is_poisoned();
        let line = if version(&readiness.status.version) < OLDEST {
            offline(OfflineReason::ProgramOutdated)
        } else if !readiness.status.database.ready {
            // Nearly always it may not read it: nobody can tell the two apart from here.
            offline(OfflineReason::Permission)
        } else if is_poisoned {
            offline(OfflineReason::Poisoned)
        } else {
            LineStatus {
                online: true,
                capabilities: readiness.capabilities(self.macos),
                reason: None,
            }
        };
        self.readiness.send_replace(readiness);
        line
    }

    fn tell(&self, mut status: LineStatus) {
        self.health.send_if_modified(|health| {
            if status.online && health.all.online && health.all.reason.is_some() {
                // A warning stays until whoever gave it takes it back.
                status.reason = health.all.reason;
            }
            let is_new = health.all != status;
            if is_new {
                info!(online = status.online, reason = ?status.reason, "imsg");
            }
            *health = Health::of_all(status);
            is_new
        });
    }

    /// Warns beside a line that is online.
    pub(super) fn warn_of(&self, reason: OfflineReason) {
        self.change_warning(|_| Some(reason));
    }

    /// Takes this warning back, if it is the one that stands.
    pub(super) fn take_back(&self, reason: OfflineReason) {
        self.change_warning(|stands| stands.filter(|one| *one != reason));
    }

    fn change_warning(&self, change: impl FnOnce(Option<OfflineReason>) -> Option<OfflineReason>) {
        self.health.send_if_modified(|health| {
            let stands = health.all.reason;
            if health.all.online {
                health.all.reason = change(stands);
            }
            health.all.reason != stands
        });
    }

    /// Whether the lane of the child that runs now is stuck.
    pub(super) fn is_poisoned(&self) -> bool {
        let poisoned = self.readiness.borrow().poisoned;
        poisoned.is_some_and(|of| of == *self.child.life().borrow())
    }

    /// The lane is stuck: nothing more is sent until a new child runs.
    pub(super) fn poisoned(&self) {
        warn!("imsg's lane is stuck behind a send of which nobody knows; it is begun anew");
        let now = *self.child.life().borrow();
        self.readiness.send_modify(|readiness| readiness.poisoned = Some(now));
        self.tell(offline(OfflineReason::Poisoned));
        self.child.begin_anew(now);
    }
}

/// The two numbers of a version that count.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.trim_start_matches('v').split(['.', '-']).map(|part| part.parse());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("0.15.10") >= OLDEST && version("0.14.0") >= OLDEST);
        assert!(version("0.13.4") < OLDEST && version("0.9.1") < OLDEST && version("") < OLDEST);
        assert!(version("1.0.0-beta.1") >= OLDEST);
    }
}
