//! The outbox (§8): what was accepted goes out once, in order, or fails with a reason.

use std::{sync::Arc, time::Duration};

use switchboard_bridge::SimulatorOptions;
use switchboard_client::{SendMessage, SetFault};
use switchboard_model::{
    OutboxItem,
    id::Id,
    link::ReconciledState,
    outbox::{ATTEMPTS_USED_UP, EXPIRED, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
    simulator::{ALWAYS_FAILS, ECHOES, FaultMode, NEVER_ANSWERS},
    time::Clock,
};
use switchboard_testkit::{LINE, Setup, Tenant, TestClock, TestServer, eventually};

use crate::{
    bridge::Mac,
    world::{CONTACT, OPEN, STRANGER, settled},
};
use OutboxStatus::{Claimed, Failed, Pending, Sent};

const MAC: &str = "+15550100008";

async fn send(tenant: &Tenant, from: &str, to: &str, text: &str) -> Id<OutboxItem> {
    let accepted = tenant.client.send_message(&SendMessage::text(from, to, text)).await.unwrap();
    assert_eq!(accepted.value.status, Pending);
    accepted.value.id
}

async fn fault(server: &TestServer, mode: FaultMode) {
    server.phones().fault(&SetFault::new(LINE, mode)).await.unwrap();
}

/// The texts on a phone, oldest first.
async fn shown(server: &TestServer, handle: &str) -> Vec<String> {
    let messages = server.phones().phone(handle).await.unwrap().value.messages;
    messages.into_iter().map(|message| message.text.unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_lost_report_fails_and_is_never_sent_again() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    fault(&server, FaultMode::LoseReport).await;
    let item = send(&tenant, LINE, CONTACT, "lost").await;
    let failed = settled(&tenant, item, Failed).await;
    assert_eq!(failed.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    assert_eq!((failed.attempts, failed.max_attempts, failed.message_id), (1, 3, None));
    assert!(failed.completed_at.is_some());
    assert_eq!(shown(&server, CONTACT).await, ["lost"], "the phone has it all the same");

    let server = server.restart().await;
    let tenant = Tenant { client: server.client(&tenant.key), ..tenant };
    // What would be sent again goes out before what comes after it in the same chat.
    let after = send(&tenant, LINE, CONTACT, "after").await;
    settled(&tenant, after, Sent).await;
    assert_eq!(shown(&server, CONTACT).await, ["lost", "after"]);
    assert_eq!(tenant.client.outbox(item).await.unwrap().value, failed);
    server.stop().await;
}

#[tokio::test]
async fn what_waits_for_an_absent_bridge_goes_out_in_order_when_it_is_back() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let chats = [CONTACT, STRANGER, "+15550100010", "bob@example.com"];
    for contact in chats {
        server.text(LINE, contact, "hello").await;
    }
    fault(&server, FaultMode::Offline).await;
    let mut items = Vec::new();
    for round in 0..5 {
        for contact in chats {
            items.push(send(&tenant, LINE, contact, &format!("{round}")).await);
        }
    }
    for &item in &items {
        let item = tenant.client.outbox(item).await.unwrap().value;
        assert!(matches!(item.status, Pending | Claimed), "{item:?}");
        assert_eq!((item.attempts, item.error, item.completed_at), (0, None, None));
    }
    settled(&tenant, items[0], Pending).await;
    fault(&server, FaultMode::None).await;
    for item in items {
        let item = settled(&tenant, item, Sent).await;
        assert_eq!(item.attempts, 1, "to be given back unbegun is no attempt");
    }
    for contact in chats {
        assert_eq!(shown(&server, contact).await, ["0", "1", "2", "3", "4"], "{contact}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_fails_and_a_delay_does_not() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let reject = SetFault { count: Some(1), ..SetFault::new(LINE, FaultMode::Reject) };
    server.phones().fault(&reject).await.unwrap();
    let refused = send(&tenant, LINE, CONTACT, "refused").await;
    let refused = settled(&tenant, refused, Failed).await;
    assert!(refused.error.as_ref().is_some_and(|why| why.contains("refused")), "{refused:?}");
    assert_eq!(refused.attempts, 1, "what Messages refused is not tried again");

    let slow = SetFault { ms: Some(100), ..SetFault::new(LINE, FaultMode::Slow) };
    server.phones().fault(&slow).await.unwrap();
    let slow = send(&tenant, LINE, CONTACT, "slow").await;
    settled(&tenant, slow, Sent).await;
    assert_eq!(shown(&server, CONTACT).await, ["slow"]);
    server.stop().await;
}

#[tokio::test]
async fn some_contacts_behave_in_their_own_way() {
    let send_timeout = Duration::from_millis(200);
    let options = SimulatorOptions { send_timeout, ..SimulatorOptions::default() };
    let server = Setup::new().simulator(options).start().await;
    let tenant = server.tenant(LINE).await;
    for contact in [ALWAYS_FAILS, NEVER_ANSWERS, ECHOES] {
        server.text(LINE, contact, "hello").await;
    }
    let fails = send(&tenant, LINE, ALWAYS_FAILS, "to the one who fails").await;
    let silent = send(&tenant, LINE, NEVER_ANSWERS, "to the one who is silent").await;
    let echoes = send(&tenant, LINE, ECHOES, "to the one who echoes").await;

    let item = settled(&tenant, fails, Failed).await;
    assert!(item.error.is_some_and(|why| why.contains(ALWAYS_FAILS)));
    let item = settled(&tenant, silent, Failed).await;
    assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    settled(&tenant, echoes, Sent).await;
    let echo = eventually("the echo has come in", async || {
        // It may come in before our own message is settled, or after.
        let newest = tenant.client.messages(LINE, ECHOES).limit(2).send().await.unwrap().value;
        newest.data.into_iter().find(|one| !one.is_from_me && one.text.as_deref() != Some("hello"))
    })
    .await;
    assert_eq!(echo.text.as_deref(), Some("to the one who echoes"));
    assert_eq!(echo.sender, ECHOES);
    assert!(shown(&server, ALWAYS_FAILS).await.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_keeps_the_order_of_acceptance_under_load() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    let senders = (0..5).map(|chat| {
        let (tenant, to) = (tenant.clone(), format!("+155501020{chat:02}"));
        tokio::spawn(async move {
            let mut last = None;
            for n in 0..40 {
                last = Some(send(&tenant, OPEN, &to, &n.to_string()).await);
            }
            (to, last.unwrap())
        })
    });
    let senders: Vec<_> = senders.collect();
    let expected: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    for sender in senders {
        let (to, last) = sender.await.unwrap();
        settled(&tenant, last, Sent).await;
        assert_eq!(shown(&server, &to).await, expected);
        let listed = tenant.client.messages(OPEN, &to).all(100).await.unwrap();
        let listed = listed.into_iter().rev().map(|message| message.text.unwrap_or_default());
        assert_eq!(listed.collect::<Vec<_>>(), expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_claim_of_a_bridge_that_never_comes_back_fails_with_its_lease() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let item = send(&tenant, MAC, STRANGER, "x").await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    assert_eq!(link.items().await[0].id, item);
    assert_eq!(settled(&tenant, item, Claimed).await.attempts, 0);
    drop(link);
    // The server may still hold the claim for the dying link: so more than once.
    let failed = eventually("the claim has failed", async || {
        clock.advance(Duration::from_secs(60));
        let item = tenant.client.outbox(item).await.unwrap().value;
        (item.status == Failed).then_some(item)
    })
    .await;
    assert_eq!(failed.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));

    // It is not handed out again, and what the bridge says of it now comes too late.
    let next = send(&tenant, MAC, STRANGER, "y").await;
    let mut link = mac.dial(&server).await;
    assert!(link.reconcile.is_empty());
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let items = link.items().await;
    assert_eq!(items.iter().map(|item| item.id).collect::<Vec<_>>(), [next]);
    assert_eq!(tenant.client.outbox(item).await.unwrap().value, failed);
    drop(link);
    server.stop().await;
}

#[tokio::test]
async fn an_item_is_given_back_only_if_nothing_was_handed_over_and_three_times_at_most() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let item = send(&tenant, MAC, STRANGER, "x").await;
    for lost in 0..3 {
        let mut link = mac.dial(&server).await;
        assert_eq!(link.reconcile.len(), usize::from(lost > 0));
        link.take(&mac.line, &ReconciledState::NeverStarted).await;
        assert_eq!(link.items().await[0].id, item);
        let shown = tenant.client.outbox(item).await.unwrap().value;
        assert_eq!((shown.status, shown.attempts), (Claimed, lost));
    }
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let failed = settled(&tenant, item, Failed).await;
    assert_eq!((failed.error.as_deref(), failed.attempts), (Some(ATTEMPTS_USED_UP), 3));

    // Of this one nobody knows.
    let item = send(&tenant, MAC, STRANGER, "y").await;
    assert_eq!(link.items().await[0].id, item);
    let mut link = mac.dial(&server).await;
    let unknown = switchboard_model::link::Outcome::Unknown;
    link.take(&mac.line, &ReconciledState::Finished { outcome: unknown }).await;
    let failed = settled(&tenant, item, Failed).await;
    assert_eq!((failed.error.as_deref(), failed.attempts), (Some(MAY_HAVE_BEEN_HANDED_OVER), 1));
    drop(link);
    server.stop().await;
}

#[tokio::test]
async fn what_was_not_handed_over_in_a_day_expires() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const HOUR: Duration = Duration::from_secs(3600);
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).unlinked();
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    let early = send(&tenant, OPEN, STRANGER, "early").await;
    clock.advance(HOUR);
    let late = send(&tenant, OPEN, STRANGER, "late").await;

    clock.advance(DAY - HOUR);
    let expired = settled(&tenant, early, Failed).await;
    assert_eq!((expired.error.as_deref(), expired.attempts), (Some(EXPIRED), 0));
    assert_eq!(expired.completed_at, Some(clock.now()));
    let waits = tenant.client.outbox(late).await.unwrap().value;
    assert_eq!((waits.status, waits.completed_at), (Pending, None));
    clock.advance(HOUR);
    settled(&tenant, late, Failed).await;
    server.stop().await;
}
