//! Which webhooks fail: one WARN when a webhook's deliveries begin to fail, one INFO when it works again.
//!
//! A webhook that does now this and now that is told of once a minute at most, and no more webhooks
//! are remembered than [`MOST`]. Neither its URL nor what was sent or answered gets into the log.

use std::{collections::HashMap, time::Duration};

use switchboard_model::{Timestamp, Webhook, delivery::AttemptResult, id::Id};

/// The most webhooks that are remembered. While so many fail, no more are told of.
const MOST: usize = 4096;
/// The shortest time between two warnings of one webhook.
const QUIET: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Health {
    webhooks: HashMap<Id<Webhook>, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    warned_at: Timestamp,
    /// Whether it has not worked since.
    fails: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum News {
    Fails,
    Works,
}

impl Health {
    /// Notes what came of an attempt, and logs it if it is news.
    pub(super) fn note(&mut self, webhook: Id<Webhook>, result: &AttemptResult) {
        let news = self.news(webhook, result.error.is_some(), result.finished_at.steady);
        let (status, error) = (result.status, result.error.as_deref());
        let cause = result.cause.as_deref();
        match news {
            Some(News::Fails) => {
                tracing::warn!(%webhook, status, error, cause, "deliveries of a webhook fail");
            }
            Some(News::Works) => tracing::info!(%webhook, status, "the webhook works again"),
            None => {}
        }
    }

    /// The webhook is gone.
    pub(super) fn forget(&mut self, webhook: Id<Webhook>) {
        self.webhooks.remove(&webhook);
    }

    fn news(&mut self, webhook: Id<Webhook>, failed: bool, now: Timestamp) -> Option<News> {
        match (self.webhooks.get_mut(&webhook), failed) {
            (Some(trouble), false) if trouble.fails => {
                trouble.fails = false;
                Some(News::Works)
            }
            (Some(trouble), true) if !trouble.fails && now.since(trouble.warned_at) >= QUIET => {
                *trouble = Trouble { warned_at: now, fails: true };
                Some(News::Fails)
            }
            (None, true) => {
                if self.webhooks.len() >= MOST {
                    self.webhooks.retain(|_, trouble| trouble.fails);
                }
                if self.webhooks.len() >= MOST {
                    return None;
                }
                self.webhooks.insert(webhook, Trouble { warned_at: now, fails: true });
                Some(News::Fails)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_and_not_every_minute_twice() {
        let (webhook, mut health) = (Id::generate(), Health::default());
        let told: Vec<_> = [
            (false, 0),
            (true, 1),
            (true, 2),
            (false, 3),
            (false, 4),
            (true, 5),
            (false, 6),
            (true, 60_000),
            (true, 60_001),
            (false, 60_002),
        ]
        .into_iter()
        .filter_map(|(failed, at)| Some((at, health.news(webhook, failed, Timestamp(at))?)))
        .collect();
        let wanted =
            [(1, News::Fails), (3, News::Works), (60_001, News::Fails), (60_002, News::Works)];
        assert_eq!(told, wanted);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut health = Health::default();
        let all: Vec<Id<Webhook>> = (0..=MOST).map(|_| Id::generate()).collect();
        for webhook in &all[..MOST] {
            assert_eq!(health.news(*webhook, true, Timestamp(0)), Some(News::Fails));
        }
        assert_eq!(health.news(all[MOST], true, Timestamp(0)), None);
        // One that works again makes room.
        assert_eq!(health.news(all[0], false, Timestamp(1)), Some(News::Works));
        assert_eq!(health.news(all[MOST], true, Timestamp(2)), Some(News::Fails));
        assert_eq!(health.webhooks.len(), MOST);
    }
}
