//! What holds when several transactions work on one PostgreSQL at the same moment, as those of several processes do.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::value::RawValue;
use switchboard_model::{
    Account, Handle, Line, Timestamp,
    chat::{Recipient, Service},
    id::Id,
    line::{DriverKind, LineService},
    link::{Content, Inbound, InboundChat, InboundMessage, Outcome},
    outbox::OutboxStatus,
    secret::SecretHash,
    time::Now,
};
use switchboard_store::{
    Accept, Accounts as _, Bridges as _, Idempotent, Inbox as _, Lines as _, Link, NewContent,
    NewLine, Outbox as _, SettleReport,
    postgres::{PostgresOptions, PostgresStore},
};
use switchboard_testpg::Database;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LEASE: Timestamp = Timestamp(1_700_000_060_000);
const CONTACTS: [&str; 3] = ["+15550111111", "+15550122222", "+15550133333"];
const WRITERS: usize = 3;
const EACH: usize = 40;

fn new_line(account_id: Id<Account>, number: &str) -> NewLine {
    NewLine {
        account_id,
        handle: Handle::received(number),
        label: None,
        service: LineService::Auto,
        driver: DriverKind::Simulator,
        bridge_id: None,
        standby_bridge_id: None,
        contact_first: false,
        loop_limit: None,
        is_sandbox: false,
    }
}

fn text_from(contact: &str, guid: String) -> Inbound {
    let handle = Handle::received(contact);
    Inbound::Message(InboundMessage {
        guid,
        chat: InboundChat::Contact { handle: handle.clone() },
        sender: handle,
        text: Some("in".into()),
        sent_at: NOW,
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    })
}

/// Writes to each contact in turn; the texts say who wrote what as which.
async fn write(store: Arc<PostgresStore>, account: Id<Account>, line: Id<Line>, writer: usize) {
    for number in 0..EACH {
        let text = Some(format!("{writer} {number}"));
        let accept = Accept {
            id: Id::generate(),
            account_id: account,
            line_id: line,
            to: Recipient::Contact(Handle::received(CONTACTS[number % CONTACTS.len()])),
            content: NewContent::Message { text, attachment: None, reply_to: None },
            lines: None,
            payload: RawValue::from_string("{}".into()).unwrap(),
        };
        let accepted = store.accept(accept, None, NOW).await.unwrap();
        assert!(matches!(accepted, Idempotent::Fresh(_)));
    }
}

/// Claims and settles all that is written on a line; some of it at the second time.
async fn carry(store: Arc<PostgresStore>, link: Link, line: Id<Line>) {
    let (mut sent, mut released) = (0, 0);
    let mut last: HashMap<(String, String), usize> = HashMap::new();
    while sent < WRITERS * EACH {
        let items = store.claim(link, line, Vec::new(), 7, LEASE).await.unwrap();
        assert!(items.is_sorted_by_key(|item| item.order));
        // All of a claim goes back or none: what goes back alone would be behind the next of its chat.
        let goes_back = released < 50 && (items.len() + released) % 3 == 0;
        let mut reports = Vec::new();
        for item in items {
            let Content::Message { text: Some(text), .. } = &item.content else { panic!() };
            let outcome = if goes_back {
                released += 1;
                Outcome::Released
            } else {
                sent += 1;
                let (writer, number) = text.split_once(' ').unwrap();
                let number: usize = number.parse().unwrap();
                let chat = (item.identifier.clone(), writer.to_owned());
                let before = last.insert(chat, number);
                assert!(before.is_none_or(|before| before < number), "{text} came after it");
                let guid = item.id.to_string();
                Outcome::Sent { guid, sent_at: NOW, service: Service::Sms, delivered_at: None }
            };
            reports.push(SettleReport { id: item.id, outcome, counts_as_attempt: false });
        }
        let reported = reports.len();
        let committed = store.settle(link, reports, NOW).await.unwrap();
        assert_eq!(committed.events.len(), if goes_back { 0 } else { reported });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_sent_twice_or_out_of_order() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let key_file = directory.path().join("secret-key");
    let options = PostgresOptions::default();
    let store = PostgresStore::connect(&database.url(), &key_file, options).await.unwrap();
    let store = Arc::new(store);
    let bridge = store.ensure_simulator_bridge(SecretHash([1; 32]), NOW).await.unwrap().id;
    let account = store.create_account("ours".into(), NOW).await.unwrap().id;
    let mut lines = Vec::new();
    for number in ["+15550100001", "+15550100002"] {
        lines.push(store.create_line(new_line(account, number)).await.unwrap().line.id);
    }
    let link = store.open_link(bridge, LEASE).await.unwrap().link;
    let (mut work, mut beside) = (JoinSet::new(), JoinSet::new());
    for line in lines.iter().copied() {
        for writer in 0..WRITERS {
            work.spawn(write(Arc::clone(&store), account, line, writer));
        }
        work.spawn(carry(Arc::clone(&store), link, line));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    for process in 0..2 {
        let (store, is_over, lines) = (Arc::clone(&store), Arc::clone(&is_over), lines.clone());
        beside.spawn(async move {
            for round in 0.. {
                if is_over.load(Relaxed) {
                    break;
                }
                let until = LEASE + Duration::from_millis(round);
                store.extend_claims(link, until).await.unwrap();
                if round % 5 == 0 {
                    store.renew_all_claims(until).await.unwrap();
                }
                let expired = store.expire(Now::from(NOW), 10).await.unwrap();
                assert!(expired.events.is_empty());
                let guid = format!("in {process} {round}");
                let entry = text_from(CONTACTS[round as usize % CONTACTS.len()], guid);
                let line = lines[round as usize % lines.len()];
                store.receive(link, line, "1".into(), vec![entry], NOW).await.unwrap();
            }
        });
    }
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    is_over.store(true, Relaxed);
    while let Some(done) = beside.join_next().await {
        done.unwrap();
    }
    for line in lines {
        assert!(store.claim(link, line, Vec::new(), 9, LEASE).await.unwrap().is_empty());
    }
    let (sql, connection) =
        tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let of = async |count: &str| sql.query_one(count, &[]).await.unwrap().get::<_, i64>(0);
    let all = (2 * WRITERS * EACH) as i64;
    let sent =
        format!("select count(*) from outbox where status = '{}'", OutboxStatus::Sent.as_str());
    assert_eq!(of(&sent).await, all);
    assert_eq!(of("select count(distinct outbox_id) from messages").await, all);
    assert_eq!(of("select count(*) from messages where outbox_id is not null").await, all);
    assert_eq!(of("select count(*) from events where kind = 'message.sent'").await, all);
    assert_eq!(of("select count(*) from chats").await, (2 * CONTACTS.len()) as i64);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(of(deadlocks).await, 0, "locks are taken in one order by all");
}
