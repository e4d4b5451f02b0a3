//! The link's door: who may come in, and how the server ends what it can't understand.

use serde_json::json;
use switchboard_model::{
    line::DriverKind,
    link::{BridgeFrame, PROTOCOL, RecallState},
};
use switchboard_testkit::{LINE, TestServer};

use crate::bridge::{Link, Mac};

const MAC: &str = "+15550100008";

fn hello(protocol: u32, driver: DriverKind) -> BridgeFrame {
    BridgeFrame::Hello { protocol, driver, software: "a test".to_owned() }
}

#[tokio::test]
async fn a_bridge_that_is_not_what_its_token_says_is_sent_away() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    for (frame, word, helps) in [
        (hello(PROTOCOL + 1, DriverKind::Imsg), "version", false),
        (hello(PROTOCOL, DriverKind::Bluebubbles), "driver", false),
        (BridgeFrame::Recalled { items: Vec::new() }, "hello", false),
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
    link.say_text(&json!({ "type": "nonsense" }).to_string()).await;
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
    let (_, retry) = older.bye().await;
    assert!(retry && older.next().await.is_none());
    newer.take(&mac.line, &RecallState::NeverStarted).await;
    let send = switchboard_client::SendMessage::text(MAC, "+15550100002", "x");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    assert_eq!(newer.items().await[0].id, item);
    drop(newer);
    server.stop().await;
}
