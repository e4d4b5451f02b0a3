//! What has come to the store, or has changed in it, since others may wait for it or remember it.

use std::collections::BTreeSet;

use switchboard_model::{Account, Line, Webhook, id::Id, secret::SecretHash};

/// What is read again and again and hardly ever changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// The key with this hash.
    Key(SecretHash),
    /// A line of this account, or it has one more.
    Lines(Id<Account>),
    /// The sandbox line, or there is one now.
    SandboxLine,
}

/// Where there is something new. Never the truth: whoever hears of it looks into the store, and whoever does not hear of it
/// looks now and then all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Accounts that have events which can be read now.
    pub events: BTreeSet<Id<Account>>,
    /// Webhooks that have deliveries which can be read now, or were made due.
    pub deliveries: BTreeSet<Id<Webhook>>,
    /// Webhooks that are not what they were: changed, disabled, deleted, with another secret.
    pub webhooks: BTreeSet<Id<Webhook>>,
    /// Lines that have items to claim.
    pub items: BTreeSet<Id<Line>>,
    /// What is to be read anew.
    pub changed: BTreeSet<Changed>,
    /// Whether bridges may carry other lines, or may not link any more, or have a newer link.
    pub bridges: bool,
    /// Whether there are replays to lead on.
    pub replays: bool,
}

impl News {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another one tells.
    pub fn add(&mut self, other: Self) {
        let Self { events, deliveries, webhooks, items, changed, bridges, replays } = other;
        self.events.extend(events);
        self.deliveries.extend(deliveries);
        self.webhooks.extend(webhooks);
        self.items.extend(items);
        self.changed.extend(changed);
        self.bridges |= bridges;
        self.replays |= replays;
    }
}
