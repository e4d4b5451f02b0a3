//! A bridge of another release: which version is spoken, and what of its words costs only itself.

use serde_json::{Value, json};
use switchboard_client::SendMessage;
use switchboard_model::{
    line::{Capability, DriverKind, OfflineReason},
    link::{OLDEST_PROTOCOL, PROTOCOL, ReconciledState, ServerFrame},
    outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::{LINE, Setup, TestServer, eventually};

use crate::{
    bridge::{Link, Mac},
    metrics::{figure, watched},
    told::{taken, tell, text},
    world::{CONTACT, MAC, settled},
};

fn hello(newest: u32, oldest: Option<u32>) -> String {
    let mut hello = json!({
        "type": "hello", "protocol": newest, "driver": "imsg", "software": "of another release",
        "accounts": ["+15550100008", 7, null], "feels": "fine",
    });
    if let Some(oldest) = oldest {
        hello["oldest_protocol"] = oldest.into();
    }
    hello.to_string()
}

#[tokio::test]
async fn the_newest_version_that_both_speak_is_spoken() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut epochs = Vec::new();
    for (newest, oldest) in [(PROTOCOL, None), (PROTOCOL + 5, Some(1)), (PROTOCOL, Some(PROTOCOL))]
    {
        let mut link = Link::open(&server, &mac.token).await.unwrap();
        link.say_text(&hello(newest, oldest)).await;
        let welcome = link.next().await;
        let Some(ServerFrame::Welcome { protocol, epoch, lines, .. }) = welcome else {
            panic!("{welcome:?}")
        };
        assert_eq!((protocol, lines[0].service), (PROTOCOL, mac.line.service));
        epochs.push(epoch);
    }
    assert_eq!(epochs, [epochs[0], epochs[0] + 1, epochs[0] + 2]);
    for (newest, oldest) in [(OLDEST_PROTOCOL - 1, Some(1)), (PROTOCOL + 5, Some(PROTOCOL + 1))] {
        let mut link = Link::open(&server, &mac.token).await.unwrap();
        link.say_text(&hello(newest, oldest)).await;
        let (reason, retry) = link.bye().await;
        assert!(reason.contains(&format!("version {} to {newest}", oldest.unwrap())), "{reason}");
        assert!(!retry);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_known_here_is_passed_over_and_counted() {
    let server = watched(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    link.say_text(&json!({ "type": "hologram", "line_id": 7, "entries": {} }).to_string()).await;
    link.say_text(&json!({ "type": "unreadable" }).to_string()).await;
    let line = json!({
        "type": "line", "line_id": mac.line.id, "online": true, "capabilities": ["replies", "teleport", 7],
        "reason": "homesick",
    });
    link.say_text(&line.to_string()).await;
    let odd = json!({
        "type": "line", "line_id": mac.line.id, "online": true, "capabilities": ["replies", "attachments"],
        "reason": ["homesick"],
    });
    link.say_text(&odd.to_string()).await;
    // Times out of range, senders that are no handle, and parts that are something else, in each kind that is new.
    let chat = json!({ "chat": "contact", "handle": CONTACT });
    let own = |guid: &str, sent_at: Value| {
        json!({ "kind": "own", "guid": guid, "chat": chat, "text": guid, "sent_at": sent_at,
                "service": "iMessage", "reply_to_guid": null })
    };
    let nobody = json!({ "chat": "contact", "handle": "\u{0}" });
    let mut of_nobody = own("of nobody", 1.into());
    of_nobody["chat"] = nobody.clone();
    let update = |what: &str, told: Value| {
        let mut update = json!({ "kind": "update", "chat": chat, "message_guid": "first" });
        update[what] = told;
        update
    };
    let entries = [
        own("first", 1_700_000_000_000_i64.into()),
        own("late", json!(1e300)),
        own("far", i64::MAX.into()),
        own("before", i64::MIN.into()),
        of_nobody,
        update("failed", json!({ "error": "no", "at": 1e300 })),
        update("failed", json!("no")),
        update("service", json!("pigeon")),
        update("attachments", json!([{ "file_id": "x" }])),
        json!({ "kind": "own" }),
        json!({ "kind": "hologram" }),
        text("last", "last"),
    ];
    tell(&mut link, &mac.line, "1", &entries).await;
    let known: Vec<_> = taken(&mut link).await.iter().map(|one| one.message_id.is_some()).collect();
    let expected = [true, false, true, true, true, false, false, false, false, false, false, true];
    assert_eq!(known, expected);
    let send = SendMessage::text(MAC, CONTACT, "x");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    link.items().await;
    let unknown = json!({ "type": "report", "reports": [{ "id": item, "outcome": "unknown" }] });
    link.say_text(&unknown.to_string()).await;
    settled(&tenant, item, OutboxStatus::Failed).await;
    // No truth at all, and still acknowledged: it would be said for ever.
    for told in [
        json!({ "outcome": "teleported" }),
        json!({ "outcome": "unknown" }),
        json!({ "outcome": "released" }),
    ] {
        let mut report = told;
        report["id"] = item.to_string().into();
        let resolved = json!({ "type": "resolved", "reports": [null, report] });
        link.say_text(&resolved.to_string()).await;
        acknowledged(&mut link, item).await;
    }
    let failed = tenant.client.outbox(item).await.unwrap().value;
    assert_eq!(failed.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    let line = server.admin().lines().await.unwrap().value.data;
    let line = line.into_iter().find(|one| one.line.id == mac.line.id).unwrap();
    assert_eq!(line.line.capabilities, [Capability::Replies, Capability::Attachments]);
    eventually("all of it is counted", async || {
        let mut counts = Vec::new();
        for what in ["frame", "entry", "report", "capability"] {
            let name = format!("link_skipped_total{{what=\"{what}\"}}");
            counts.push(figure(&server, &name).await);
        }
        // Of the reports three are nothing, and one has an outcome that is not known.
        (counts == [2.0, 7.0, 4.0, 3.0]).then_some(())
    })
    .await;
    drop(link);
    server.stop().await;
}

/// Waits until the server has acknowledged what was told of an item.
pub(crate) async fn acknowledged(
    link: &mut Link,
    item: switchboard_model::id::Id<switchboard_model::OutboxItem>,
) {
    loop {
        match link.next().await.expect("the link lives") {
            ServerFrame::Settled { ids } if ids.contains(&item) => return,
            ServerFrame::Bye { reason, .. } => panic!("the server ends the link: {reason}"),
            _ => {}
        }
    }
}

#[test]
fn a_driver_and_a_reason_have_one_name_everywhere() {
    for driver in DriverKind::ALL {
        assert_eq!(serde_json::to_value(driver).unwrap(), driver.as_str());
        assert_eq!(DriverKind::from_name(driver.as_str()), Some(driver));
    }
    for capability in Capability::ALL {
        assert!(!capability.deed().is_empty());
    }
    assert_eq!(OfflineReason::from_name("silent_watch"), Some(OfflineReason::SilentWatch));
}
