//! The walk over chats, with rows that arrive between the pages: nothing is skipped or repeated,
//! and the order is that of the beginning.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::sync::Arc;

use proptest::prelude::*;
use switchboard_model::{
    Timestamp,
    chat::Service,
    line::{DriverKind, LineService},
    link::{Inbound, InboundChat, InboundMessage},
    page::Limit,
    secret::SecretHash,
};
use switchboard_store::{
    Link, NewLine, Store,
    sqlite::{SqliteOptions, SqliteStore},
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Something happens in a chat: a message, or only that a driver tells of it.
#[derive(Debug, Clone, Copy)]
struct Step {
    chat: u8,
    is_message: bool,
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..12, any::<bool>()).prop_map(|(chat, is_message)| Step { chat, is_message });
    proptest::collection::vec(step, 0..most)
}

fn entry(step: Step, number: usize) -> Inbound {
    let chat = InboundChat::Group {
        identifier: format!("group {}", step.chat),
        name: None,
        participants: Vec::new(),
    };
    if !step.is_message {
        return Inbound::Group { chat };
    }
    Inbound::Message(InboundMessage {
        guid: number.to_string(),
        chat,
        sender: "+15550111111".parse().unwrap(),
        text: None,
        sent_at: NOW,
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    })
}

async fn walk(before: Vec<Step>, between: Vec<Vec<Step>>, rows: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
    let bridge = store.ensure_simulator_bridge(SecretHash([1; 32]), NOW).await.unwrap().id;
    let account = store.create_account("ours".into(), NOW).await.unwrap().id;
    let line = NewLine {
        account_id: account,
        handle: "+15550100001".parse().unwrap(),
        label: None,
        service: LineService::Auto,
        driver: DriverKind::Simulator,
        bridge_id: None,
        standby_bridge_id: None,
        contact_first: false,
        loop_limit: None,
        is_sandbox: false,
    };
    let line = store.create_line(line).await.unwrap().line.id;
    let mut number = 0;
    let mut happen = async |steps: Vec<Step>| {
        let entries = steps
            .into_iter()
            .map(|step| {
                number += 1;
                entry(step, number)
            })
            .collect();
        store.receive(Link { bridge, epoch: 0 }, line, "1".into(), entries, NOW).await.unwrap();
    };
    happen(before).await;
    let all = Limit::parse("100").unwrap();
    let at_the_beginning: Vec<_> = store
        .chats(account, line, None, all)
        .await
        .unwrap()
        .rows
        .iter()
        .map(|chat| chat.id)
        .collect();
    let mut walked = Vec::new();
    let mut after = None;
    let mut between = between.into_iter();
    loop {
        let limit = Limit::parse(&rows.to_string()).unwrap();
        let page = store.chats(account, line, after, limit).await.unwrap();
        assert!(page.rows.len() <= rows);
        walked.extend(page.rows.iter().map(|chat| chat.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        happen(between.next().unwrap_or_default()).await;
    }
    let mut distinct = walked.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), walked.len(), "a chat came twice");
    // Chats that are newer than the walk may come too; the others come as they stood.
    walked.retain(|chat| at_the_beginning.contains(chat));
    assert_eq!(walked, at_the_beginning);
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_skipped_or_repeated(
        before in steps(30),
        between in proptest::collection::vec(steps(8), 0..8),
        rows in 1usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(walk(before, between, rows));
    }
}
