//! Two servers on one database: what one writes the other knows, and nothing is done twice.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::future::join_all;
use switchboard_client::{CreateKey, CreateWebhook, SendMessage};
use switchboard_model::{
    EventKind,
    link::{ReconciledState, ServerFrame},
    outbox::OutboxStatus,
};
use switchboard_testkit::{LINE, Receiver, Setup, TestServer, eventually};

use crate::{
    bridge::Mac,
    call::Call,
    live::Live,
    world::{CONTACT, SOON},
};

/// How long one server may not know what the other has done.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

async fn two() -> (TestServer, TestServer) {
    let first = Setup::new().shared().start().await;
    let second = Setup::beside(&first).start().await;
    (first, second)
}

async fn status(server: &TestServer, key: &str) -> u16 {
    Call::get("/v1/lines").key(key).send(&server.url).await.status
}

#[tokio::test]
async fn a_key_that_is_revoked_is_dead_on_both_within_a_second() {
    let (first, second) = two().await;
    let tenant = first.tenant(LINE).await;
    for (here, there) in [(&first, &second), (&second, &first)] {
        let key = CreateKey::new(tenant.account, "another");
        let made = here.admin().create_key(&key).await.unwrap().value;
        let secret = made.secret.reveal();
        for server in [here, there] {
            assert_eq!(status(server, secret).await, 200);
        }
        here.admin().revoke_key(made.key.id).await.unwrap();
        assert_eq!(status(here, secret).await, 401);
        tokio::time::timeout(KNOWN_WITHIN, async {
            while status(there, secret).await != 401 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the other server knows it");
    }
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn webhooks_made_on_one_are_served_for_events_of_the_other_once() {
    const WEBHOOKS: usize = 20;
    let (first, second) = two().await;
    let tenant = first.tenant(LINE).await;
    let receiver = Receiver::start().await;
    // Before and after each has its share of them.
    let there = second.client(&tenant.key);
    let webhook = CreateWebhook::new("", receiver.url(), [EventKind::MessageReceived]);
    for _ in 0..WEBHOOKS {
        there.create_webhook(&webhook).await.unwrap();
    }
    for number in 1..=40u64 {
        first.text(LINE, &format!("+155502000{:02}", number % 7), &number.to_string()).await;
        receiver.wait_for_count(number * WEBHOOKS as u64, SOON).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let received = receiver.received();
    let ids: HashSet<_> = received.iter().filter_map(|one| one.delivery_id()).collect();
    assert_eq!((received.len(), ids.len()), (40 * WEBHOOKS, 40 * WEBHOOKS), "each came once");
    // The one that goes leaves them to the other.
    second.stop().await;
    first.text(LINE, CONTACT, "last").await;
    receiver.wait_for_count(41 * WEBHOOKS as u64, SOON).await.unwrap();
    first.stop().await;
}

#[tokio::test]
async fn no_stream_of_one_skips_what_the_other_commits() {
    let (first, second) = two().await;
    let tenant = first.tenant(LINE).await;
    let mut streams =
        vec![Live::open(&first, &tenant.key, "").await, Live::open(&second, &tenant.key, "").await];
    let writers = (0..4).map(|writer| {
        let first = &first;
        async move {
            for number in 0..25 {
                let text = format!("{writer} {number}");
                first.text(LINE, &format!("+1555020000{writer}"), &text).await;
            }
        }
    });
    join_all(writers).await;
    for live in &mut streams {
        let mut next = HashMap::new();
        for _ in 0..100 {
            let data = live.next().await.2;
            let (writer, number) = data["text"].as_str().unwrap().split_once(' ').unwrap();
            let next = next.entry(writer.to_owned()).or_insert(0);
            assert_eq!(number.parse::<i32>().unwrap(), *next, "neither a gap nor a repeat");
            *next += 1;
        }
    }
    drop(streams);
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn what_either_accepts_is_sent_once() {
    const EACH: usize = 50;
    let (first, second) = two().await;
    let tenant = first.tenant(LINE).await;
    first.text(LINE, CONTACT, "hello").await;
    let clients = [first.client(&tenant.key), second.client(&tenant.key)];
    let sending = clients.iter().enumerate().map(|(server, client)| async move {
        let mut items = Vec::new();
        for number in 0..EACH {
            let text = format!("{server} {number}");
            let made = SendMessage::text(LINE, CONTACT, &text);
            items.push(client.send_message(&made).await.unwrap().value.id);
        }
        items
    });
    let items: Vec<_> = join_all(sending).await.into_iter().flatten().collect();
    for item in items {
        eventually("it is sent", async || {
            let item = clients[1].outbox(item).await.unwrap().value;
            (item.status == OutboxStatus::Sent).then_some(())
        })
        .await;
    }
    let shown = first.phones().phone(CONTACT).await.unwrap().value.messages;
    let texts: Vec<_> = shown.iter().filter_map(|one| one.text.as_deref()).collect();
    let once: HashSet<_> = texts.iter().collect();
    assert_eq!((texts.len(), once.len()), (2 * EACH, 2 * EACH));
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn a_link_to_one_takes_over_from_a_link_to_the_other() {
    let (first, second) = two().await;
    let tenant = first.tenant(LINE).await;
    let mac = Mac::make(&first, &tenant, "+15550100077").await;
    let send = async |text: &str| {
        let made = SendMessage::text("+15550100077", "+15550111111", text);
        tenant.client.send_message(&made).await.unwrap().value.id
    };
    let mut old = mac.dial(&first).await;
    old.take(&mac.line, &ReconciledState::NeverStarted).await;
    let claimed = send("one").await;
    assert_eq!(old.items().await[0].id, claimed);
    // The newer link is asked for what the older one was handed.
    let mut new = mac.dial(&second).await;
    assert_eq!(new.reconcile, [claimed]);
    let (reason, retry) = old.bye().await;
    assert!(reason.contains("newer link") && retry, "{reason}");
    new.take(&mac.line, &ReconciledState::NeverStarted).await;
    assert_eq!(new.items().await[0].id, claimed);
    // From now on the items come there, wherever they are accepted.
    let next = send("two").await;
    assert_eq!(new.items().await[0].id, next);
    while let Some(frame) = old.next().await {
        assert!(!matches!(frame, ServerFrame::Send { .. }), "{frame:?}");
    }
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn two_simulators_have_one_bridge_and_the_newer_its_link() {
    let first = Setup::new().shared().start().await;
    let tenant = first.tenant(LINE).await;
    first.text(LINE, CONTACT, "hello").await;
    let second = Setup::beside_with_simulator(&first).start().await;
    // It has the line now: what its contact says arrives.
    second.text(LINE, CONTACT, "hello again").await;
    let send = async |text: &str| {
        let made = SendMessage::text(LINE, CONTACT, text);
        let item = tenant.client.send_message(&made).await.unwrap().value.id;
        eventually("it is sent", async || {
            let item = tenant.client.outbox(item).await.unwrap().value;
            (item.status == OutboxStatus::Sent).then_some(())
        })
        .await;
    };
    let shown_by = async |server: &TestServer| -> Vec<Option<String>> {
        let messages = server.phones().phone(CONTACT).await.unwrap().value.messages;
        messages.into_iter().map(|one| one.text).collect()
    };
    send("one").await;
    assert_eq!(shown_by(&second).await, [Some("one".to_owned())]);
    assert_eq!(shown_by(&first).await, []);
    // The older one was not refused: it takes over when the newer one goes.
    second.stop().await;
    send("two").await;
    assert_eq!(shown_by(&first).await, [Some("two".to_owned())]);
    first.stop().await;
}

#[tokio::test]
async fn the_hour_of_a_key_is_one_for_both() {
    const LIMIT: u32 = 40;
    let (first, second) = two().await;
    let tenant = first.tenant(LINE).await;
    let mut key = CreateKey::new(tenant.account, "limited");
    key.rate_limit = Some(LIMIT);
    let made = first.admin().create_key(&key).await.unwrap().value;
    let secret = made.secret.reveal();
    let mut taken = 0;
    for request in 0..3 * LIMIT {
        let server = if request % 2 == 0 { &first } else { &second };
        match status(server, secret).await {
            200 => taken += 1,
            status => assert_eq!(status, 429),
        }
        // Each learns of the other's ten times a second.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!((LIMIT..LIMIT + 8).contains(&taken), "{taken} of {LIMIT}");
    for server in [&first, &second] {
        assert_eq!(status(server, secret).await, 429);
    }
    second.stop().await;
    first.stop().await;
}
