//! What one process tells the others, as a text in a notification.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use switchboard_model::{Account, Line, Webhook, id::Id, secret::SecretHash};

use crate::{Changed, News};

/// The channel.
pub(in crate::postgres) const CHANNEL: &str = "switchboard";
/// As long as a notification may be, in bytes; PostgreSQL's own limit is 8000.
const MAX_BYTES: usize = 7900;

/// A number of this process, by which it knows its own notices.
pub(super) fn node() -> u64 {
    // An id is random enough, and unlike a process's number it is no other machine's.
    (Id::<Account>::generate().to_bits() & u128::from(u64::MAX)) as u64
}

/// What was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Who tells it.
    pub(super) node: u64,
    /// What; none if that was too much to say.
    pub(super) news: Option<News>,
}

/// Its text. Fields that a later version adds are passed over by this one; what this one does not find is empty.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Text {
    node: u64,
    #[serde(skip_serializing_if = "is_default")]
    all: bool,
    #[serde(skip_serializing_if = "is_default")]
    events: BTreeSet<Id<Account>>,
    #[serde(skip_serializing_if = "is_default")]
    deliveries: BTreeSet<Id<Webhook>>,
    #[serde(skip_serializing_if = "is_default")]
    webhooks: BTreeSet<Id<Webhook>>,
    #[serde(skip_serializing_if = "is_default")]
    items: BTreeSet<Id<Line>>,
    #[serde(skip_serializing_if = "is_default")]
    keys: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    lines_of: Vec<Id<Account>>,
    #[serde(skip_serializing_if = "is_default")]
    sandbox_line: bool,
    #[serde(skip_serializing_if = "is_default")]
    bridges: bool,
    #[serde(skip_serializing_if = "is_default")]
    replays: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Notice {
    pub(super) fn new(node: u64, news: News) -> Self {
        Self { node, news: Some(news) }
    }

    pub(super) fn to_text(&self) -> String {
        let all = || serde_json::json!({ "node": self.node, "all": true }).to_string();
        let Some(news) = self.news.clone() else { return all() };
        let News { events, deliveries, webhooks, items, changed, bridges, replays } = news;
        let mut text = Text {
            node: self.node,
            events,
            deliveries,
            webhooks,
            items,
            bridges,
            replays,
            ..Text::default()
        };
        for changed in changed {
            match changed {
                Changed::Key(SecretHash(hash)) => text.keys.push(HEXLOWER.encode(&hash)),
                Changed::Lines(account) => text.lines_of.push(account),
                Changed::SandboxLine => text.sandbox_line = true,
            }
        }
        match serde_json::to_string(&text) {
            Ok(text) if text.len() <= MAX_BYTES => text,
            _ => all(),
        }
    }

    /// None if it can't be read: then it may be about anything.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text: Text = serde_json::from_str(text).ok()?;
        let Text { node, all, events, deliveries, webhooks, items, keys, .. } = text;
        if all {
            return Some(Self { node, news: None });
        }
        let mut changed = BTreeSet::new();
        for key in keys {
            let hash = HEXLOWER.decode(key.as_bytes()).ok()?.try_into().ok()?;
            changed.insert(Changed::Key(SecretHash(hash)));
        }
        changed.extend(text.lines_of.into_iter().map(Changed::Lines));
        changed.extend(text.sandbox_line.then_some(Changed::SandboxLine));
        let (bridges, replays) = (text.bridges, text.replays);
        let news = News { events, deliveries, webhooks, items, changed, bridges, replays };
        Some(Self { node, news: Some(news) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let notice = Notice::new(
            7,
            News {
                events: BTreeSet::from([Id::generate()]),
                deliveries: BTreeSet::from([Id::generate(), Id::generate()]),
                webhooks: BTreeSet::from([Id::generate()]),
                items: BTreeSet::from([Id::generate()]),
                changed: BTreeSet::from([
                    Changed::Key(SecretHash([9; 32])),
                    Changed::Lines(Id::generate()),
                    Changed::SandboxLine,
                ]),
                bridges: true,
                replays: true,
            },
        );
        assert_eq!(Notice::parse(&notice.to_text()), Some(notice));
        assert_eq!(Notice::parse("nonsense"), None);
    }

    #[test]
    fn what_is_too_much_to_say_may_be_anything() {
        let items = (0..1000).map(|_| Id::generate()).collect();
        let text = Notice::new(u64::MAX, News { items, ..News::default() }).to_text();
        assert!(text.len() <= MAX_BYTES);
        assert_eq!(Notice::parse(&text), Some(Notice { node: u64::MAX, news: None }));
    }
}
