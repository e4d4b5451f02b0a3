//! What is asked of a bridge that comes back: page by page, and nothing goes out before all of it is answered.

use std::collections::HashSet;

use switchboard_client::{CreateLine, SendMessage};
use switchboard_model::{
    line::{Capability, DriverKind},
    link::{
        BridgeFrame, MAX_BATCH, Outcome, Reconciled, ReconciledState, ServerFrame, WINDOW_PER_CHAT,
        WINDOW_PER_LINE,
    },
    outbox::OutboxStatus,
};
use switchboard_testkit::{LINE, TestServer, eventually};

use crate::bridge::Mac;

const LINES: [&str; 2] = ["+15550100008", "+15550100009"];

/// Two lines whose bridge holds as many items as it ever may.
#[tokio::test]
async fn however_much_a_bridge_holds_it_is_asked_for_in_pages() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, LINES[0]).await;
    let mut other = CreateLine::new(tenant.account, LINES[1], DriverKind::Imsg);
    other.bridge_id = Some(mac.id.to_string());
    other.contact_first = Some(false);
    let other = server.admin().create_line(&other).await.unwrap().value.line;
    // One contact more than the windows take.
    let chats = WINDOW_PER_LINE / WINDOW_PER_CHAT + 1;
    for number in 0..chats * WINDOW_PER_CHAT {
        for line in LINES {
            let to = format!("+1555020{:04}", number % chats);
            let send = SendMessage::text(line, &to, "x");
            tenant.client.send_message(&send).await.unwrap();
        }
    }
    let mut link = mac.dial(&server).await;
    for line in [&mac.line, &other] {
        link.take(line, &ReconciledState::NeverStarted).await;
    }
    let mut held = HashSet::new();
    while held.len() < LINES.len() * WINDOW_PER_LINE {
        held.extend(link.items().await.into_iter().map(|item| item.id));
    }
    drop(link);

    let mut link = mac.dial_again(&server, true).await;
    for line_id in [mac.line.id, other.id] {
        let capabilities = Capability::ALL.to_vec();
        link.say(&BridgeFrame::Line { line_id, online: true, capabilities, reason: None }).await;
    }
    // An answer that nobody asked for settles nothing, and neither does one that says too much.
    let (mut asked, mut page) = (HashSet::new(), link.reconcile.clone());
    loop {
        assert_eq!(page.len(), MAX_BATCH, "{} were asked for", asked.len());
        assert!(page.iter().all(|id| held.contains(id) && asked.insert(*id)));
        let items = page.iter().map(|id| Reconciled {
            id: *id,
            state: ReconciledState::Finished {
                outcome: Outcome::Failed { error: "no".to_owned() },
            },
        });
        link.say(&BridgeFrame::Reconciled { items: items.collect() }).await;
        if asked.len() == held.len() {
            break;
        }
        page = loop {
            match link.next().await.expect("the link lives") {
                ServerFrame::Reconcile { items, .. } => break items,
                ServerFrame::Settled { .. } | ServerFrame::Lines { .. } => {}
                other => panic!("before all is reconciled: {other:?}"),
            }
        };
    }
    let next = link.items().await;
    assert!(!next.is_empty() && next.iter().all(|item| !held.contains(&item.id)));
    for id in held.iter().take(8) {
        let item = eventually("it is settled", async || {
            let item = tenant.client.outbox(*id).await.unwrap().value;
            (item.status == OutboxStatus::Failed).then_some(item)
        })
        .await;
        assert_eq!(item.error.as_deref(), Some("no"));
    }
    // Nothing is settled by an answer to no question.
    let items = vec![Reconciled { id: next[0].id, state: ReconciledState::NeverStarted }];
    link.say(&BridgeFrame::Reconciled { items }).await;
    drop(link);
    let link = mac.dial_again(&server, true).await;
    assert!(link.reconcile.contains(&next[0].id));
    drop(link);
    server.stop().await;
}
