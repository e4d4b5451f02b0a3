//! Changes of one webhook at the same moment: each answer is what some order of them, one after another, would have
//! answered, and a repetition has the first one's.

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard_client::RawAnswer;
use switchboard_testkit::{LINE, Receiver, TestServer};

use crate::{attempts::hook, call::Call};

/// What a PATCH changes, and what its answer shows.
#[derive(Debug, Clone, PartialEq)]
struct State {
    url: Value,
    events: Value,
    is_active: Value,
}

impl State {
    fn of(body: &Value) -> Self {
        let [url, events, is_active] =
            ["url", "events", "is_active"].map(|name| body[name].clone());
        Self { url, events, is_active }
    }

    fn after(&self, change: &Value) -> Self {
        let change = |name: &str, old: &Value| change.get(name).unwrap_or(old).clone();
        Self {
            url: change("url", &self.url),
            events: change("events", &self.events),
            is_active: change("is_active", &self.is_active),
        }
    }
}

/// Whether the changes that are left, in some order from this state on, give these answers and this end.
fn explains(from: &State, left: &[(Value, RawAnswer)], end: &State) -> bool {
    if left.is_empty() {
        return from == end;
    }
    (0..left.len()).any(|next| {
        let mut left = left.to_vec();
        let (change, answer) = left.swap_remove(next);
        let then = from.after(&change);
        // Enabled anew, it says so: whether something was missed depends on the order too.
        let enabled = from.is_active == json!(false) && then.is_active == json!(true);
        State::of(&answer.body) == then
            && answer.body.get("missed_since").is_some() == enabled
            && answer.body.get("disabled_at").is_some() == (then.is_active == json!(false))
            && explains(&then, &left, end)
    })
}

#[tokio::test]
async fn the_answers_of_changes_at_once_agree_with_some_order() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = hook(&tenant, &receiver).await;
    let shown = async || {
        let listed = Call::get("/v1/webhooks?from=").key(&tenant.key).send(&server.url).await;
        State::of(&listed.body["data"][0])
    };
    for round in 0..20 {
        let before = shown().await;
        let url = |number: usize| format!("{}{round}-{number}", receiver.url());
        let changes = [
            json!({ "url": url(1) }),
            json!({ "is_active": false }),
            json!({ "events": ["message.sent"] }),
            json!({ "is_active": true }),
            json!({ "url": url(2), "events": ["message.received"] }),
        ];
        let calls: Vec<_> = changes
            .iter()
            .enumerate()
            .map(|(number, change)| {
                let mut body = change.clone();
                body["id"] = json!(webhook.id);
                let call = Call::new(http::Method::PATCH, "/v1/webhooks").json(&body);
                call.key(&tenant.key).header("idempotency-key", format!("{round}-{number}"))
            })
            .collect();
        let answers = join_all(calls.iter().map(|call| call.send(&server.url))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let all: Vec<_> = changes.into_iter().zip(answers).collect();
        assert!(explains(&before, &all, &shown().await), "no order explains {all:#?}");
        for (call, (_, first)) in calls.iter().zip(&all) {
            let again = call.send(&server.url).await;
            assert_eq!(again.bytes, first.bytes, "{call:?}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn of_rotations_at_once_each_has_the_secret_that_it_was_told() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = hook(&tenant, &receiver).await;
    let off = json!({ "id": webhook.id, "is_active": false });
    let off = Call::new(http::Method::PATCH, "/v1/webhooks").json(&off).key(&tenant.key);
    let rotate = Call::post("/v1/webhooks/rotate", &json!({ "id": webhook.id })).key(&tenant.key);
    let same = rotate.clone().header("idempotency-key", "same");
    let (one, two, three, off) = tokio::join!(
        same.send(&server.url),
        same.send(&server.url),
        rotate.send(&server.url),
        off.send(&server.url)
    );
    // Of the same request twice, one may have come while the other was in flight.
    let done: Vec<_> = [&one, &two].into_iter().filter(|answer| answer.status == 200).collect();
    assert!(!done.is_empty() && done.iter().all(|answer| answer.bytes == done[0].bytes));
    assert_eq!((three.status, off.status), (200, 200));
    assert_ne!(three.body["secret"], done[0].body["secret"]);
    let again = same.send(&server.url).await;
    assert_eq!(again.bytes, done[0].bytes);
    server.stop().await;
}
