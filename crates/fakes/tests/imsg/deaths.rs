//! What a child's death leaves behind: what was dispatched goes on, what was queued never happens.

use serde_json::json;
use switchboard_fakes::imsg::{Fault, Mac, Stage};

use crate::program::Imsg;

const ANN: &str = "+15550100001";

#[tokio::test]
async fn a_death_before_the_dispatch_leaves_nothing() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.hold(Stage::Started);
    imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await;
    imsg.request("send", json!({ "chat_id": chat, "text": "two" })).await;
    mac.until("one is held", |mac| mac.held() == 1).await;
    imsg.kill().await;
    mac.until("the Mac knows", |mac| mac.running() == 0 && mac.held() == 0).await;
    mac.release();
    let mut imsg = Imsg::start(&mac);
    imsg.ok("send", json!({ "chat_id": chat, "text": "three" })).await;
    assert_eq!(mac.received_by(ANN).len(), 1);
    assert_eq!(mac.children(), 2);
}

#[tokio::test]
async fn what_a_dead_child_had_dispatched_completes_and_its_queue_does_not() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.hold(Stage::Dispatched);
    let attempt = "5F0C1D2E-0000-5000-8000-000000000001";
    imsg.request("send.tracked", json!({ "chat_id": chat, "text": "one", "attempt_id": attempt }))
        .await;
    imsg.request("send", json!({ "chat_id": chat, "text": "two" })).await;
    mac.until("one is held", |mac| mac.held() == 1).await;
    imsg.kill().await;
    mac.until("the Mac knows", |mac| mac.running() == 0).await;

    // Reserved and not yet in the database: pending without fields proves nothing.
    let mut imsg = Imsg::start(&mac);
    let status = imsg.ok("message.send_status", json!({ "guid": attempt })).await;
    assert_eq!(
        (&status["send_state"], &status["status_fields"]),
        (&json!("pending"), &json!(null))
    );
    let again = json!({ "chat_id": chat, "text": "one", "attempt_id": attempt });
    assert_eq!(imsg.error("send.tracked", again).await["data"]["disposition"], "not_started");

    mac.release();
    mac.until("it has arrived", |mac| mac.contact(ANN).times_received("one") == 1).await;
    assert_eq!(mac.contact(ANN).times_received("two"), 0);
    let status = imsg.ok("message.send_status", json!({ "guid": attempt })).await;
    assert_eq!(status["guid"], attempt.to_lowercase());
}

#[tokio::test]
async fn a_death_after_the_send_and_before_the_answer_leaves_the_message() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.hold(Stage::Done);
    imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await;
    mac.until("one is held", |mac| mac.held() == 1).await;
    imsg.kill().await;
    mac.until("the Mac knows", |mac| mac.running() == 0 && mac.held() == 0).await;
    mac.release();
    assert_eq!(mac.contact(ANN).times_received("one"), 1);
}

#[tokio::test]
async fn a_child_can_die_by_itself_before_and_after_sending() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    for (fault, sent) in [(Fault::DiesBefore, 0), (Fault::DiesAfter, 1)] {
        let mut imsg = Imsg::start(&mac);
        mac.fault("send", fault);
        imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await;
        assert_eq!(imsg.line().await, None);
        assert_ne!(imsg.ended().await, Some(0));
        assert_eq!(mac.contact(ANN).times_received("one"), sent);
    }
}

#[tokio::test]
async fn a_death_while_stdin_is_closed_ends_the_queue() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.hold(Stage::Started);
    imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await;
    mac.until("one is held", |mac| mac.held() == 1).await;
    imsg.close();
    imsg.kill().await;
    mac.until("the Mac knows", |mac| mac.running() == 0).await;
    mac.release();
    assert_eq!(mac.received_by(ANN).len(), 0);
}

#[tokio::test]
async fn an_update_in_progress_lets_no_child_start() {
    let mac = Mac::start();
    mac.set_broken(true);
    assert_eq!(Imsg::start(&mac).ended().await, Some(1));
    mac.set_broken(false);
    Imsg::start(&mac).ok("status", json!({})).await;
}

#[tokio::test]
async fn deaths_at_any_moment_send_nothing_twice() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let (mut sent, mut lost) = (0, 0);
    for round in 0..30_u128 {
        let mut imsg = Imsg::start(&mac);
        let mut guids = Vec::new();
        for n in 0..10 {
            let guid = uuid::Uuid::from_u128(round * 10 + n + 1).to_string();
            imsg.request(
                "send.tracked",
                json!({ "chat_id": chat, "text": guid, "attempt_id": guid }),
            )
            .await;
            guids.push(guid);
        }
        let until = usize::try_from(round % 10).unwrap();
        mac.until("some are sent", |mac| mac.contact(ANN).times_received(&guids[until]) == 1).await;
        imsg.kill().await;
        mac.until("the Mac knows", |mac| mac.running() == 0).await;
        // What was dispatched, the helper has claimed: one more try is refused, whenever it is done.
        let mut next = Imsg::start(&mac);
        for guid in &guids {
            let again = json!({ "chat_id": chat, "text": guid, "attempt_id": guid });
            let id = next.request("send.tracked", again).await;
            let answer = next.answer(&id).await;
            let refused = answer["error"]["data"]["disposition"] == "not_started";
            assert!(refused || answer["result"]["guid"] == **guid, "{answer}");
            *(if refused { &mut sent } else { &mut lost }) += 1;
        }
    }
    mac.until("all are sent", |mac| mac.received_by(ANN).len() == 300).await;
    for row in mac.rows() {
        assert_eq!(mac.contact(ANN).times_received(&row.text), 1);
    }
    assert!(sent > 30 && lost > 30, "{sent} {lost}");
}
