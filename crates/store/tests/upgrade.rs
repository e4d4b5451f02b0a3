//! A database of an earlier release, opened by this one.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::{fs, path::Path};

use switchboard_model::{
    EventKind, Handle, Timestamp,
    chat::{Recipient, Service},
    link::{Inbound, InboundChat, InboundMessage},
    page::Limit,
};
use switchboard_store::{
    Bridges as _, Chats as _, EventPosition, Events as _, Files as _, Grant, Inbox as _, Keys as _,
    Messages as _, Webhooks as _,
    sqlite::{SqliteOptions, SqliteStore},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// As a client has it that was told it by that release.
fn position(text: &str) -> EventPosition {
    EventPosition::parse(text).unwrap()
}

const DATABASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/databases");

fn left_behind(version: u32, directory: &Path) -> SqliteStore {
    let path = directory.join("switchboard.db");
    let sql = rusqlite::Connection::open(&path).unwrap();
    let dump = fs::read_to_string(format!("{DATABASES}/version_{version}.sql")).unwrap();
    sql.execute_batch(&dump).unwrap();
    drop(sql);
    fs::copy(format!("{DATABASES}/version_{version}.key"), directory.join("secret-key")).unwrap();
    SqliteStore::open(&path, SqliteOptions::default()).unwrap()
}

#[tokio::test]
async fn version_13_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = left_behind(13, directory.path());
    let keys = store.keys().await.unwrap();
    let account = keys[0].account_id.unwrap();
    let line = keys[1].line_ids.as_ref().unwrap()[0];
    let limit = Limit::parse("3").unwrap();
    // Page by page, each chat's messages come newest first.
    let chats = store.chats(account, line, None, Limit::parse("50").unwrap()).await.unwrap().rows;
    assert_eq!(chats.len(), 3);
    let texts = {
        let chat = chats.iter().find(|chat| chat.identifier == "+15550100002").unwrap();
        let (mut texts, mut after) = (Vec::new(), None);
        loop {
            let page = store
                .messages(account, line, Recipient::Chat(chat.id), after, limit)
                .await
                .unwrap();
            texts.extend(page.rows.into_iter().map(|message| message.text));
            after = page.next;
            if after.is_none() {
                break texts;
            }
        }
    };
    let texts: Vec<_> = texts.iter().map(Option::as_deref).collect();
    let expected = ["see", "Answer 2", "Answer 1", "Answer 0"].map(Some);
    assert_eq!(texts[..4], expected);
    assert_eq!(texts[4..], [None, Some("Edited"), Some("Hello 1"), Some("Hello 0")]);
    // A place in the stream does not come twice, though the newest events are gone.
    let all = EventKind::ALL.to_vec();
    let events = store.events_after(account, EventPosition::START, None, all, 100).await.unwrap();
    assert!(events.events.len() > 15, "{}", events.events.len());
    assert_eq!(store.event_position(account, None).await.unwrap(), position("40"));
    // Sealed secrets can be read, and what a file is.
    let webhooks = store.webhooks(account, Timestamp(0)).await.unwrap();
    assert_eq!(webhooks.len(), 2);
    for webhook in &webhooks {
        let endpoint = store.endpoint(Grant::whole(account), webhook.id).await.unwrap();
        assert!(endpoint.url.starts_with("http://127.0.0.1"), "{endpoint:?}");
    }
    assert!(store.stored_bytes(account).await.unwrap() > 0);

    // What comes now is behind all that was there.
    let bridge = store.bridges().await.unwrap()[0].id;
    let link = store.open_link(bridge, NOW).await.unwrap().link;
    let contact: Handle = "+15550100002".parse().unwrap();
    let text = Inbound::Message(InboundMessage {
        guid: "new".to_owned(),
        chat: InboundChat::Contact { handle: contact.clone() },
        sender: contact.clone(),
        text: Some("after".to_owned()),
        sent_at: NOW,
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    });
    let received = store.receive(link, line, "after".to_owned(), vec![text], NOW).await.unwrap();
    assert_eq!(received.committed.events[0].position, position("41"));
    let page =
        store.messages(account, line, Recipient::Contact(contact), None, limit).await.unwrap();
    let texts: Vec<_> = page.rows.iter().map(|message| message.text.as_deref()).collect();
    assert_eq!(texts, ["after", "see", "Answer 2"].map(Some));
}
