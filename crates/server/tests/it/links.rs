//! The link's door: who may come in, and how the server ends what it can't understand.

use std::time::Duration;

use switchboard_client::{CreateWebhook, SendMessage};
use switchboard_model::{
    EventKind, Timestamp,
    chat::Service,
    line::DriverKind,
    link::{
        BridgeFrame, Inbound, InboundChat, InboundMessage, MAX_FRAME_BYTES, Outcome, PROTOCOL,
        ReconciledState, Report, ServerFrame,
    },
    message::MAX_TEXT_CHARS,
    outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::{LINE, Receiver, Setup, TestServer, eventually};

use crate::bridge::{Link, Mac};

const MAC: &str = "+15550100008";

fn hello(protocol: u32, driver: DriverKind) -> BridgeFrame {
    BridgeFrame::Hello {
        protocol,
        oldest_protocol: None,
        driver,
        software: "a test".to_owned(),
        resumed: false,
        accounts: Vec::new(),
    }
}

#[tokio::test]
async fn a_bridge_that_is_not_what_its_token_says_is_sent_away() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    for (frame, word, helps) in [
        (hello(PROTOCOL + 1, DriverKind::Imsg), "version", false),
        (hello(PROTOCOL, DriverKind::Bluebubbles), "driver", false),
        (BridgeFrame::Reconciled { items: Vec::new() }, "hello", false),
    ] {
        let mut link = Link::open(&server, &mac.token).await.unwrap();
        link.say(&frame).await;
        let (reason, retry) = link.bye().await;
        assert!(reason.contains(word) && retry == helps, "{reason}");
        assert!(link.next().await.is_none());
    }
    let mut link = Link::open(&server, &mac.token).await.unwrap();
    link.say_text("{}").await;
    let (_, retry) = link.bye().await;
    assert!(retry, "a broken frame may have been broken on the way");

    // And what is no frame later on.
    let mut link = mac.dial(&server).await;
    link.say_text("nonsense").await;
    link.bye().await;
    server.stop().await;
}

#[tokio::test]
async fn of_two_links_of_a_bridge_the_newest_stays() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut older = mac.dial(&server).await;
    let mut newer = mac.dial(&server).await;
    let (reason, retry) = older.bye().await;
    assert!(retry && older.next().await.is_none());
    assert!(reason.contains("newer link"), "{reason}");
    newer.take(&mac.line, &ReconciledState::NeverStarted).await;
    let send = SendMessage::text(MAC, "+15550100002", "x");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    assert_eq!(newer.items().await[0].id, item);
    drop(newer);
    server.stop().await;
}

/// A frame must never be larger than the other side reads, however long the texts are.
#[tokio::test]
async fn the_longest_texts_come_in_frames_that_can_be_read() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let longest = "\u{1f600}".repeat(MAX_TEXT_CHARS);
    let count = 2 * MAX_FRAME_BYTES / longest.len();
    for _ in 0..count {
        let send = SendMessage::text(MAC, "+15550100002", &longest);
        tenant.client.send_message(&send).await.unwrap();
    }
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let mut came = 0;
    while came < count {
        let items = link.items().await;
        let bytes = serde_json::to_vec(&items).unwrap().len();
        assert!(bytes < MAX_FRAME_BYTES, "{bytes} bytes in a frame");
        came += items.len();
    }
    drop(link);
    server.stop().await;
}

/// The link may end in the moment between a commit and its becoming known.
#[tokio::test]
async fn what_is_committed_is_made_known_although_the_link_ends() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let receiver = Receiver::start().await;
    let events = [EventKind::MessageReceived];
    let webhook = CreateWebhook::new(MAC, receiver.url(), events);
    tenant.client.create_webhook(&webhook).await.unwrap();
    let inbound = |guid: String| {
        let handle: switchboard_model::Handle = "+15550100002".parse().unwrap();
        Inbound::Message(InboundMessage {
            guid,
            chat: InboundChat::Contact { handle: handle.clone() },
            sender: handle,
            text: Some("x".to_owned()),
            sent_at: Timestamp(0),
            service: Service::IMessage,
            reply_to_guid: None,
            attachments: Vec::new(),
            is_audio_message: false,
        })
    };
    for round in 0..40 {
        let mut link = mac.dial(&server).await;
        link.take(&mac.line, &ReconciledState::NeverStarted).await;
        let (position, entries) = (round.to_string(), vec![inbound(format!("guid {round}"))]);
        link.say(&BridgeFrame::Inbound { line_id: mac.line.id, position, entries }).await;
        // Not a wait for something: some links are to end before the commit, some in it, some after it.
        tokio::time::sleep(Duration::from_millis(round % 5)).await;
        drop(link);
    }
    // At least this one is kept, however slow the machine is.
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let (position, entries) = ("last".to_owned(), vec![inbound("the last guid".to_owned())]);
    link.say(&BridgeFrame::Inbound { line_id: mac.line.id, position, entries }).await;
    while !matches!(link.next().await.expect("the link lives"), ServerFrame::Received { .. }) {}
    drop(link);
    eventually("every message that is kept was told of", async || {
        let listed = tenant.client.messages(MAC, "+15550100002").limit(100).send().await.ok()?;
        (listed.value.data.len() as u64 == receiver.count()).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn what_a_link_holds_outlives_an_outage_of_the_store() {
    const LEASE: Duration = Duration::from_secs(2);
    let server = Setup::new().config(|config| config.claim_lease = LEASE.as_secs()).start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let made = SendMessage::text(MAC, "+15550100002", "x");
    let item = tenant.client.send_message(&made).await.unwrap().value.id;
    assert_eq!(link.items().await[0].id, item);
    // Longer than the lease, and longer than a write waits.
    let held = server.hold_writes().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    drop(held);
    tokio::time::sleep(2 * LEASE).await;
    let waits = tenant.client.outbox(item).await.unwrap().value;
    assert_eq!(waits.status, OutboxStatus::Claimed, "{:?}", waits.error);
    let outcome = Outcome::Failed { error: "no".to_owned() };
    link.say(&BridgeFrame::Report { reports: vec![Report { id: item, outcome }] }).await;
    let error =
        eventually("it is settled", async || tenant.client.outbox(item).await.unwrap().value.error)
            .await;
    assert_eq!(error, "no");
    drop(link);
    server.stop_with_errors().await;
}

#[tokio::test]
async fn only_the_death_of_a_bridge_is_an_attempt_and_silence_about_an_item_is_no_answer() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let send = SendMessage::text(MAC, "+15550100002", "x");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    let attempts = async || tenant.client.outbox(item).await.unwrap().value.attempts;

    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    assert_eq!(link.items().await[0].id, item);
    // Four times only the connection is lost; then the bridge itself.
    for resumed in [true, true, true, true, false] {
        drop(link);
        link = mac.dial_again(&server, resumed).await;
        assert_eq!(link.reconcile, [item]);
        link.take(&mac.line, &ReconciledState::NeverStarted).await;
        assert_eq!(link.items().await[0].id, item);
        assert_eq!(attempts().await, u32::from(!resumed));
    }
    drop(link);
    let mut link = mac.dial(&server).await;
    link.say(&BridgeFrame::Reconciled { items: Vec::new() }).await;
    let failed = eventually("nobody knows of the item", async || {
        let item = tenant.client.outbox(item).await.unwrap().value;
        (item.status == OutboxStatus::Failed).then_some(item)
    })
    .await;
    assert_eq!(failed.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    drop(link);
    server.stop().await;
}
