//! The live stream (§9): in order, without a gap or a repeat, only what the key may see.

use std::time::Duration;

use switchboard_client::SendMessage;
use switchboard_model::{Code, EventKind, Scope, outbox::OutboxStatus, simulator::FaultMode};
use switchboard_testkit::{LINE, Setup, TestServer};

use crate::{
    call::{Call, assert_refused, query},
    fixtures::{reacts, types},
    live::{Heard, Live},
    world::{CONTACT, SECOND, SOON, STRANGER, THEIRS, add_line, key, settled},
};

fn received(text: &str) -> (String, String) {
    ("message.received".to_owned(), text.to_owned())
}

#[tokio::test]
async fn what_happens_is_heard_in_order_by_who_may() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(THEIRS).await;
    let second = add_line(&server, tenant.account, SECOND).await;
    let narrow = key(&server, tenant.account, &Scope::ALL, &[&second.id.to_string()]).await;
    let read = [Scope::ReactionsRead, Scope::MessagesRead];
    let only = |scope| key(&server, tenant.account, std::slice::from_ref(scope), &[]);
    let (reactions, messages) = (only(&read[0]).await, only(&read[1]).await);

    let line = |handle: &str| {
        query("/v1/events", &[("line", handle)]).strip_prefix("/v1/events").unwrap().to_owned()
    };
    let mut all = Live::open(&server, &tenant.key, "").await;
    let mut of_second = Live::open(&server, &tenant.key, &line(SECOND)).await;
    let mut restricted = Live::open(&server, &narrow, "").await;
    let mut sent = Live::open(&server, &tenant.key, "?event=message.sent").await;
    let mut of_reactions = Live::open(&server, &reactions, "").await;
    let mut of_messages = Live::open(&server, &messages, "").await;
    let mut foreign = Live::open(&server, &other.key, "").await;

    let guid = server.text(LINE, CONTACT, "one").await.guid;
    server.text(SECOND, CONTACT, "two").await;
    types(&server, LINE, CONTACT, "on").await;
    reacts(&server, LINE, CONTACT, (&guid, "love"), false).await;
    let send = SendMessage::text(LINE, CONTACT, "three");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    settled(&tenant, item, OutboxStatus::Sent).await;
    server.text(SECOND, STRANGER, "four").await;
    server.text(THEIRS, CONTACT, "theirs").await;

    let reaction = ("reaction.added".to_owned(), String::new());
    let three = ("message.sent".to_owned(), "three".to_owned());
    assert_eq!(
        all.texts(5).await,
        [received("one"), received("two"), reaction.clone(), three.clone(), received("four")]
    );
    assert_eq!(of_second.texts(2).await, [received("two"), received("four")]);
    assert_eq!(restricted.texts(2).await, [received("two"), received("four")]);
    assert_eq!(sent.texts(1).await, std::slice::from_ref(&three));
    assert_eq!(of_reactions.texts(1).await, [reaction]);
    assert_eq!(
        of_messages.texts(4).await,
        [received("one"), received("two"), three, received("four")]
    );
    assert_eq!(foreign.texts(1).await, [received("theirs")]);
    // The ids rise, so that what has been seen can be told from what has not.
    server.text(LINE, CONTACT, "five").await;
    let (before, ..) = all.next().await;
    server.text(LINE, CONTACT, "six").await;
    let (after, ..) = all.next().await;
    assert!(before.parse::<u64>().unwrap() < after.parse::<u64>().unwrap());
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_may_not_be_is_refused() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let second = add_line(&server, tenant.account, SECOND).await;
    let narrow = key(&server, tenant.account, &Scope::ALL, &[&second.id.to_string()]).await;
    let messages = key(&server, tenant.account, &[Scope::MessagesRead], &[]).await;
    let files = key(&server, tenant.account, &[Scope::FilesRead], &[]).await;
    use Code::{InsufficientScope, InvalidParameterValue, LineNotAccessible, LineNotFound};
    let own = &tenant.key;
    for (key, query, code, param) in [
        (&files, "", InsufficientScope, None),
        (&messages, "?event=message.sent&event=reaction.added", InsufficientScope, None),
        (&messages, "?event=typing.started", InsufficientScope, None),
        (&messages, "?event=line.status", InsufficientScope, None),
        (own, "?event=message.lost", InvalidParameterValue, Some("event")),
        (own, "?since=-1", InvalidParameterValue, Some("since")),
        (own, "?since=1.5", InvalidParameterValue, Some("since")),
        (own, "?line=bob", InvalidParameterValue, Some("line")),
        (own, "?line=+15550100077", LineNotFound, Some("line")),
        (own, "?line=ln_x", LineNotFound, Some("line")),
        (&narrow, "?line=+15550100001", LineNotAccessible, None),
    ] {
        let call = Call::get(format!("/v1/events{query}")).key(key);
        assert_refused(query, &call.send(&server.url).await, code, param);
    }
    // Beyond the newest event nothing could ever come: a database that was put back, most likely.
    for last in ["x", "-1", "1.5", "999999999999999999"] {
        let call = Call::get("/v1/events").key(own).header("last-event-id", last);
        let answer = call.send(&server.url).await;
        assert_refused(last, &answer, InvalidParameterValue, Some("Last-Event-ID"));
    }
    server.stop().await;
}

#[tokio::test]
async fn there_are_only_so_many_streams() {
    let server = Setup::new().config(|config| config.quotas.max_streams = 2).start().await;
    let tenant = server.tenant(LINE).await;
    let open = || Live::open(&server, &tenant.key, "");
    let (first, _second) = (open().await, open().await);
    let third = Call::get("/v1/events").key(&tenant.key);
    assert_refused("full", &third.send(&server.url).await, Code::ServiceUnavailable, None);
    drop(first);
    switchboard_testkit::eventually("there is room again", async || {
        (third.send(&server.url).await.status == 200).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_stream_resumes_behind_what_was_heard() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "0").await;
    let mut live = Live::open(&server, &tenant.key, "").await;
    for number in 1..=5 {
        server.text(LINE, CONTACT, &number.to_string()).await;
    }
    let mut lost = Live::resume(&server, &tenant.key, "", live.place()).await;
    assert_eq!(lost.texts(1).await, [received("1")], "also before the first event was heard");
    let (first, _, one) = live.next().await;
    assert_eq!(one["text"], "1", "from now on, not from the beginning");
    drop(live);
    let mut resumed = Live::resume(&server, &tenant.key, "", &first).await;
    assert_eq!(resumed.texts(4).await, ["2", "3", "4", "5"].map(received));
    // Last-Event-ID is newer than any `since`.
    let mut both = Live::resume(&server, &tenant.key, "?since=0", &first).await;
    assert_eq!(both.texts(1).await, [received("2")]);
    let mut since = Live::open(&server, &tenant.key, "?since=0").await;
    assert_eq!(since.texts(6).await, ["0", "1", "2", "3", "4", "5"].map(received));
    let synced = one["synced_at"].as_i64().unwrap();
    let mut since = Live::open(&server, &tenant.key, &format!("?since={synced}")).await;
    assert_eq!(since.texts(1).await, [received("1")]);
    let mut future = Live::open(&server, &tenant.key, "?since=99999999999999").await;
    server.text(LINE, CONTACT, "6").await;
    assert_eq!(future.texts(1).await, [received("6")], "from the end, if that is all there is");
    // With a filter, the place stays one in the whole order.
    let mut none = Live::resume(&server, &tenant.key, "?event=message.sent", &first).await;
    let send = SendMessage::text(LINE, CONTACT, "7");
    tenant.client.send_message(&send).await.unwrap();
    let (_, name, _) = none.next().await;
    assert_eq!(name, "message.sent");
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_missed_or_repeated_over_restarts_under_load() {
    let mut server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mut heard = Vec::new();
    let mut last = "0".to_owned();
    let mut count = 0;
    for _ in 0..3 {
        let mut live = Live::resume(&server, &tenant.key, "", &last).await;
        for _ in 0..20 {
            count += 1;
            server.text(LINE, CONTACT, &count.to_string()).await;
        }
        // Only some of it is read before the server stops.
        for _ in 0..7 {
            let (id, _, data) = live.next().await;
            heard.push(data["text"].as_str().unwrap().parse::<u32>().unwrap());
            last = id;
        }
        let stopping = tokio::spawn(async move { server.restart().await });
        let (rest, reason) = live.closed(SOON).await;
        assert_eq!(reason, "server_stopping");
        for (id, data) in rest {
            heard.push(data["text"].as_str().unwrap().parse().unwrap());
            last = id;
        }
        server = stopping.await.unwrap();
    }
    let mut live = Live::resume(&server, &tenant.key, "", &last).await;
    while heard.len() < count as usize {
        let (_, _, data) = live.next().await;
        heard.push(data["text"].as_str().unwrap().parse().unwrap());
    }
    assert_eq!(heard, (1..=count).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn the_ext_events_come_to_who_names_them() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let named = "?event=message.failed&event=line.status";
    let mut live = Live::open(&server, &tenant.key, named).await;
    let mut plain = Live::open(&server, &tenant.key, "").await;
    let fault = |mode| switchboard_client::SetFault::new(LINE, mode);
    server.phones().fault(&fault(FaultMode::Reject)).await.unwrap();
    let send = SendMessage::text(LINE, CONTACT, "fails");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    let (_, name, data) = live.next().await;
    assert_eq!((name.as_str(), data["id"].as_str()), ("message.failed", Some(&*item.to_string())));
    assert_eq!(
        (data["status"].as_str(), data["payload"]["text"].as_str()),
        (Some("failed"), Some("fails"))
    );
    for (mode, online) in [(FaultMode::Offline, false), (FaultMode::None, true)] {
        server.phones().fault(&fault(mode)).await.unwrap();
        let (_, name, data) = live.next().await;
        assert_eq!((name.as_str(), data["online"].as_bool()), ("line.status", Some(online)));
        assert_eq!(data["id"], tenant.line_id.to_string());
    }
    server.text(LINE, CONTACT, "after").await;
    assert_eq!(plain.texts(1).await, [received("after")], "nothing else came before it");
    assert_eq!(EventKind::ALL.len(), 10, "a new event needs its test");
    server.stop().await;
}

#[tokio::test]
async fn a_comment_keeps_a_quiet_stream_open() {
    let server = Setup::new().unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    let mut live = Live::open(&server, &tenant.key, "").await;
    // From here on nobody waits for anything but time, which passes at once.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    for beat in 1..=3 {
        assert_eq!(live.hear().await, Heard::Comment);
        let passed = began.elapsed();
        let due = Duration::from_secs(15 * beat);
        assert!(passed.abs_diff(due) < Duration::from_secs(1), "{passed:?}");
    }
    tokio::time::resume();
    server.stop().await;
}
