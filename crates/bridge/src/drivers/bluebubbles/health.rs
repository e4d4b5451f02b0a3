//! How the server is, and what can be done by it now.
//!
//! That a helper is connected is believed once it has answered: the server counts any program on the helper's port, one
//! that knows nothing of Messages too, and what is sent by that is never heard of again.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use switchboard_model::{
    Handle,
    line::{Capability, OfflineReason},
    link::CarriedLine,
};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{BlueBubbles, api::ApiError, outcome::Method};
use crate::{
    connector::{Context, Health},
    driver::LineStatus,
};

/// How long the server may take to say how it is.
const ASK_WITHIN: Duration = Duration::from_secs(15);
/// The oldest version that speaks this protocol.
const OLDEST: (u32, u32) = (1, 9);
/// The versions that this driver was held against.
const TRIED: (u32, u32) = (1, 9);
/// The first macOS on which scripts find neither groups nor new contacts.
const SCRIPTS_BROKEN: u32 = 26;
/// The first macOS on which a reply is taken and never delivered.
const REPLIES_STALL: (u32, u32) = (26, 5);
/// How often a helper that gave no answer is asked again.
const PROBE_AGAIN: Duration = Duration::from_secs(60);

/// What the server says of itself.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    os_version: String,
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    private_api: Option<bool>,
    #[serde(default)]
    helper_connected: Option<bool>,
    #[serde(default)]
    detected_icloud: Option<String>,
    #[serde(default)]
    detected_imessage: Option<String>,
}

/// The Mac and its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mac {
    /// The version of macOS.
    pub(super) os: (u32, u32),
    version: (u32, u32),
    /// The private API is switched on.
    wants_helper: bool,
    /// Its helper answers.
    helper: bool,
    /// The accounts that Messages seems to be signed in with.
    accounts: Vec<Handle>,
}

impl Mac {
    /// How messages are sent now.
    pub(super) fn method(&self) -> Method {
        if self.helper { Method::PrivateApi } else { Method::AppleScript }
    }

    fn is_outdated(&self) -> bool {
        self.version != (0, 0) && self.version < OLDEST
    }

    /// What lines can do now.
    pub(super) fn capabilities(&self) -> Vec<Capability> {
        let scripts = self.os.0 < SCRIPTS_BROKEN;
        let able = [
            (Capability::Attachments, true),
            (Capability::NewChats, self.helper || scripts),
            (Capability::Groups, self.helper || scripts),
            (Capability::AudioMessages, self.helper),
            (Capability::Replies, self.helper && self.os < REPLIES_STALL),
            (Capability::Reactions, self.helper),
            // To end it takes the server's socket: its route for that begins it.
            (Capability::Typing, self.helper),
            (Capability::ReadReceipts, self.helper),
            (Capability::DeliveryState, true),
        ];
        able.into_iter().filter_map(|(one, can)| can.then_some(one)).collect()
    }

    /// What is not as it should be, though messages go out.
    fn warning(&self, line: &Handle) -> Option<OfflineReason> {
        if self.wants_helper && !self.helper {
            return Some(OfflineReason::HelperMissing);
        }
        let is_another = !self.accounts.is_empty() && !self.accounts.contains(line);
        is_another.then_some(OfflineReason::WrongAccount)
    }
}

/// What was met that the server does not tell of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Troubles {
    /// It gives no answer, or none that can be used.
    pub(super) away: Option<OfflineReason>,
    /// Messages' database can't be read.
    pub(super) locked: bool,
    /// Scripts may not control Messages.
    pub(super) no_permission: bool,
    /// News come of which the webhook says nothing.
    pub(super) silent: bool,
}

/// What is known of the helper.
#[derive(Default)]
struct Helper {
    answers: bool,
    /// When it was last asked in vain.
    asked: Option<Instant>,
    aliases: Vec<Handle>,
}

/// Before anything is known.
pub(super) fn starting() -> LineStatus {
    offline(OfflineReason::Starting)
}

fn offline(reason: OfflineReason) -> LineStatus {
    LineStatus { online: false, capabilities: Vec::new(), reason: Some(reason) }
}

impl BlueBubbles {
    /// Asks the server how it is, once in a while and whenever something says that it has changed.
    pub(super) async fn keep_health(&self, context: &Context) {
        let mut lines = context.lines.clone();
        let mut troubles = self.troubles.subscribe();
        let mut helper = Helper::default();
        loop {
            self.ask(&mut helper).await;
            let pause = match self.troubles.borrow().away {
                Some(_) => self.pace().away,
                None => self.pace().health,
            };
            let asked_again = Instant::now() + pause;
            // What is known is told anew with each change, without asking.
            loop {
                self.tell(&lines.borrow_and_update());
                tokio::select! {
                    () = self.look.notified() => break,
                    () = tokio::time::sleep_until(asked_again) => break,
                    Ok(()) = lines.changed() => {}
                    Ok(()) = troubles.changed() => {}
                }
            }
            // However often something asks for it.
            sleep(self.pace().unsettled).await;
        }
    }

    async fn ask(&self, helper: &mut Helper) {
        let asked = self.api.get::<Info>(&["server", "info"], &[], ASK_WITHIN).await;
        let away = match asked {
            Ok(info) => {
                self.take(info, helper).await;
                None
            }
            Err(error) => Some(match &error {
                ApiError::Refused(refused) if refused.status == 401 => OfflineReason::Unauthorized,
                _ => OfflineReason::Unreachable,
            }),
        };
        let was = self.troubles.borrow().away;
        self.trouble(|troubles| troubles.away = away);
        if away.is_none() && was.is_some() {
            // Much may have happened meanwhile.
            self.news.notify_one();
        }
    }

    async fn take(&self, info: Info, helper: &mut Helper) {
        let wants_helper = info.private_api == Some(true);
        if !wants_helper || info.helper_connected != Some(true) {
            *helper = Helper::default();
        } else {
            self.probe(helper).await;
        }
        let named = [info.detected_imessage, info.detected_icloud].into_iter().flatten();
        let named = named.filter(|name| !name.trim().is_empty());
        let mut accounts: Vec<Handle> = named.map(|name| Handle::received(&name)).collect();
        accounts.extend(helper.aliases.iter().cloned());
        let mac = Mac {
            os: version(&info.os_version),
            version: version(&info.server_version),
            wants_helper,
            helper: helper.answers,
            accounts,
        };
        let before = self.mac.borrow().clone();
        if before.as_deref() == Some(&mac) {
            return;
        }
        if before.is_none() && mac.version != TRIED {
            warn!(version = info.server_version, "this driver was not tried with this BlueBubbles");
        }
        if before.is_some_and(|before| before.os != mac.os) {
            // A new system may have given all chats other guids.
            self.chats.forget();
        }
        info!(
            version = info.server_version,
            os = info.os_version,
            helper = mac.helper,
            "BlueBubbles"
        );
        self.mac.send_replace(Some(Arc::new(mac)));
        self.news.notify_one();
    }

    /// Asks the helper for something that only it can answer.
    async fn probe(&self, helper: &mut Helper) {
        let doubted = self.heard.helper_is_doubted();
        if doubted {
            *helper = Helper::default();
        }
        let asked_of_late = helper.asked.is_some_and(|at| at.elapsed() < PROBE_AGAIN);
        if helper.answers || asked_of_late {
            return;
        }
        let asked = self.api.get::<Value>(&["icloud", "account"], &[], self.pace().probe).await;
        match asked {
            Ok(account) => {
                helper.answers = true;
                helper.aliases = aliases(&account);
            }
            // It has answered that it can't.
            Err(ApiError::Refused(refused))
                if refused.status == 500
                    && refused.text != "Transaction timeout"
                    && !refused.text.contains("Private API") =>
            {
                helper.answers = true;
            }
            Err(_) => {
                warn!("a helper is connected to BlueBubbles, and does not answer");
                helper.asked = Some(Instant::now());
            }
        }
    }

    fn tell(&self, lines: &[CarriedLine]) {
        let (mac, troubles) = (self.mac.borrow().clone(), *self.troubles.borrow());
        let status = |line: Option<&Handle>| -> LineStatus {
            let Some(mac) = &mac else {
                return offline(troubles.away.unwrap_or(OfflineReason::Starting));
            };
            if let Some(away) = troubles.away {
                return offline(away);
            }
            if mac.is_outdated() {
                return offline(OfflineReason::ProgramOutdated);
            }
            if troubles.locked {
                return offline(OfflineReason::DatabaseLocked);
            }
            let permission = troubles.no_permission && mac.method() == Method::AppleScript;
            let reason = permission
                .then_some(OfflineReason::Permission)
                .or_else(|| troubles.silent.then_some(OfflineReason::SilentWatch))
                .or_else(|| mac.warning(line?));
            LineStatus { online: true, capabilities: mac.capabilities(), reason }
        };
        let now = Health {
            all: status(None),
            lines: lines
                .iter()
                .map(|one| (one.handle.clone(), status(Some(&one.handle))))
                .collect(),
        };
        self.health.send_if_modified(|told| {
            let is_new = *told != now;
            *told = now;
            is_new
        });
    }

    /// Notes what was met.
    pub(super) fn trouble(&self, change: impl FnOnce(&mut Troubles)) {
        self.troubles.send_if_modified(|troubles| {
            let before = *troubles;
            change(troubles);
            *troubles != before
        });
    }

    /// Something failed as it does when the server or its helper is away.
    pub(super) fn lost(&self, error: &ApiError) {
        match error {
            ApiError::Unreachable => {
                self.trouble(|troubles| troubles.away = Some(OfflineReason::Unreachable));
            }
            ApiError::Refused(refused) if refused.status == 401 => {
                self.trouble(|troubles| troubles.away = Some(OfflineReason::Unauthorized));
            }
            _ => {}
        }
        self.look.notify_one();
    }

    /// The helper is away or says nothing: until it was asked again, nothing goes by it.
    pub(super) fn lost_helper(&self) {
        self.heard.doubt_helper();
        self.mac.send_if_modified(|mac| match mac {
            Some(mac) if mac.helper => {
                *mac = Arc::new(Mac { helper: false, ..Mac::clone(mac) });
                true
            }
            _ => false,
        });
        self.look.notify_one();
    }

    pub(super) fn has_helper(&self) -> bool {
        self.mac.borrow().as_ref().is_some_and(|mac| mac.helper)
    }
}

/// The addresses of the account that Messages is signed in with, as the helper tells them.
fn aliases(account: &Value) -> Vec<Handle> {
    let listed = account["vetted_aliases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = listed.iter().filter_map(|one| one["Alias"].as_str().or(one.as_str()));
    named
        .chain(account["apple_id"].as_str())
        .filter(|name| !name.trim().is_empty())
        .map(Handle::received)
        .collect()
}

/// The two numbers of a version that count.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.trim_start_matches('v').split(['.', '-']).map(|part| part.parse());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        (Some(Ok(major)), _) => (major, 0),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(os: &str, helper: bool) -> Mac {
        let (os, version) = (version(os), version("1.9.9"));
        Mac { os, version, wants_helper: helper, helper, accounts: Vec::new() }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(!mac("15.5.0", true).is_outdated());
        for (text, outdated) in
            [("1.8.0", true), ("1.10.2", false), ("2.0.0", false), ("dev", false)]
        {
            let mac = Mac { version: version(text), ..mac("15.5.0", true) };
            assert_eq!(mac.is_outdated(), outdated, "{text}");
        }
    }

    #[test]
    fn what_can_be_done_depends_on_the_helper_and_the_system() {
        use Capability::{Attachments, DeliveryState, Groups, NewChats, Replies};
        let scripts = [Attachments, NewChats, Groups, DeliveryState];
        assert_eq!(mac("15.5.0", false).capabilities(), scripts);
        assert_eq!(mac("26.1.0", false).capabilities(), [Attachments, DeliveryState]);
        assert!(Capability::are_advanced(&mac("15.5.0", true).capabilities()));
        assert!(mac("26.4.1", true).capabilities().contains(&Replies));
        assert!(!mac("26.5.0", true).capabilities().contains(&Replies));
    }

    #[test]
    fn a_line_that_is_none_of_the_account_s_is_told_beside() {
        let account = serde_json::json!({
            "apple_id": "Bot@Example.com", "vetted_aliases": [{"Alias": "+15550999999", "Status": 3}],
        });
        let mac = Mac { accounts: aliases(&account), ..mac("15.5.0", true) };
        assert_eq!(mac.warning(&"+15550999999".parse().unwrap()), None);
        assert_eq!(mac.warning(&"bot@example.com".parse().unwrap()), None);
        let another = mac.warning(&"+15550999998".parse().unwrap());
        assert_eq!(another, Some(OfflineReason::WrongAccount));
    }
}
