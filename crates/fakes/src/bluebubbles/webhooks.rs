//! Webhooks as the server has them (`webhookService`): one POST, no signature, no retry, no order, no time-out.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Extract};
use serde_json::{Value, json};

use super::{
    envelope::{Answer, Refusal, done, success},
    input::Input,
    state::{Inner, State},
};
use crate::stamp::now_ms;

/// What can be asked for (`constants.webhookEventOptions`). The event of removed aliases stands there under a name
/// that never fires, so that only `*` gets it.
const EVENTS: &[&str] = &[
    "*",
    "new-message",
    "updated-message",
    "message-send-error",
    "group-name-change",
    "group-icon-changed",
    "group-icon-removed",
    "participant-added",
    "participant-removed",
    "participant-left",
    "chat-read-status-changed",
    "typing-indicator",
    "scheduled-message-error",
    "server-update",
    "new-server",
    "hello-world",
    "ft-call-status-changed",
    "new-findmy-location",
    "imessage-alias-removed",
    "theme-backup-created",
    "theme-backup-updated",
    "theme-backup-deleted",
    "settings-backup-created",
    "settings-backup-updated",
    "settings-backup-deleted",
];

/// Something to tell.
#[derive(Debug, Clone)]
pub(super) struct Event {
    kind: &'static str,
    data: Value,
}

impl Event {
    pub(super) fn new(kind: &'static str, data: Value) -> Self {
        Self { kind, data }
    }
}

#[derive(Debug, Clone)]
struct Webhook {
    id: i64,
    url: String,
    events: Vec<String>,
    created: i64,
}

impl Webhook {
    fn shown(&self) -> Value {
        json!({ "id": self.id, "url": self.url, "events": self.events,
                "created": crate::stamp::iso(self.created, 0).replace("+00:00", "Z") })
    }

    fn wants(&self, kind: &str) -> bool {
        self.events.iter().any(|event| event == "*" || event == kind)
    }
}

/// Who is told.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    hooks: Vec<Webhook>,
    last: i64,
}

/// Tells everybody who wants to know, each by a request of its own. Nobody looks at what comes of it.
pub(super) fn tell(inner: &Arc<Inner>, mut events: Vec<Event>) {
    let (posts, reversed) = inner.look(|state: &mut State| {
        if state.faults.webhooks_reversed {
            events.reverse();
        }
        let mut posts = Vec::new();
        for event in events {
            for hook in state.webhooks.hooks.iter().filter(|hook| hook.wants(event.kind)) {
                if state.faults.webhooks_lost {
                    continue;
                }
                if state.faults.lose_webhooks > 0 {
                    state.faults.lose_webhooks -= 1;
                    continue;
                }
                let body = json!({ "type": event.kind, "data": event.data });
                let times = if state.faults.webhooks_twice { 2 } else { 1 };
                posts.extend(std::iter::repeat_n((hook.url.clone(), body), times));
            }
        }
        (posts, state.faults.webhooks_reversed)
    });
    let post = |(url, body): (String, Value)| {
        inner.http.post(url).header("user-agent", "axios/1.7.9").json(&body).send()
    };
    if reversed {
        let posts: Vec<_> = posts.into_iter().map(post).collect();
        inner.spawn(async move {
            for post in posts {
                let _ = post.await;
            }
        });
        return;
    }
    for request in posts.into_iter().map(post) {
        inner.spawn(async move {
            let _ = request.await;
        });
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Which {
    url: Option<String>,
    id: Option<i64>,
}

pub(super) async fn list(
    Extract(inner): Extract<Arc<Inner>>,
    Query(which): Query<Which>,
) -> Answer {
    let hooks: Vec<Value> = inner.look(|state| {
        let wanted = |hook: &&Webhook| {
            which.url.as_ref().is_none_or(|url| *url == hook.url)
                && which.id.is_none_or(|id| id == hook.id)
        };
        state.webhooks.hooks.iter().filter(wanted).map(Webhook::shown).collect()
    });
    success("Successfully fetched webhooks!", &json!(hooks))
}

pub(super) async fn create(Extract(inner): Extract<Arc<Inner>>, input: Input) -> Answer {
    let url = input.required("url")?;
    if !url.starts_with("http") {
        return Err(Refusal::bad_request("Webhook URL must start with 'http'!"));
    }
    let Some(Value::Array(events)) = input.get("events") else {
        return Err(Refusal::bad_request("The events field is required."));
    };
    let mut names = Vec::new();
    for event in events {
        let Some(name) = event.as_str().filter(|name| EVENTS.contains(name)) else {
            return Err(Refusal::bad_request(format!("Invalid webhook event: {event}")));
        };
        names.push(name.to_owned());
    }
    let shown = inner.look(|state| {
        let webhooks = &mut state.webhooks;
        // The same url again is the same entry.
        if let Some(hook) = webhooks.hooks.iter_mut().find(|hook| hook.url == url) {
            hook.events = names;
            return hook.shown();
        }
        webhooks.last += 1;
        let hook = Webhook { id: webhooks.last, url, events: names, created: now_ms() };
        let shown = hook.shown();
        webhooks.hooks.push(hook);
        shown
    });
    success("Successfully created webhook!", &shown)
}

pub(super) async fn remove(Extract(inner): Extract<Arc<Inner>>, Path(id): Path<String>) -> Answer {
    let removed = inner.look(|state| {
        let hooks = &mut state.webhooks.hooks;
        let before = hooks.len();
        hooks.retain(|hook| Ok(hook.id) != id.parse());
        before != hooks.len()
    });
    if !removed {
        return Err(Refusal::not_found("Webhook does not exist!"));
    }
    done("Successfully deleted webhook!")
}
