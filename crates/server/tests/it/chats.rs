//! Chats: one for each contact of a line, latest activity first, paged.

use switchboard_client::SendMessage;
use switchboard_model::{Chat, outbox::OutboxStatus::Sent};
use switchboard_testkit::{LINE, TestServer};

use crate::world::{CONTACT, OPEN, STRANGER, settled};

fn contact(n: usize) -> String {
    format!("+1555010{:04}", 3000 + n)
}

fn identifiers(chats: &[Chat]) -> Vec<&str> {
    chats.iter().map(|chat| chat.identifier.as_str()).collect()
}

#[tokio::test]
async fn the_chat_with_the_latest_activity_comes_first() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let list = async || tenant.client.chats(LINE).send().await.unwrap().value;
    let empty = list().await;
    assert!(empty.data.is_empty() && !empty.has_more && empty.next_cursor.is_none());
    let first = server.text(LINE, CONTACT, "1").await;
    let second = server.text(LINE, STRANGER, "2").await;
    let chats = list().await.data;
    assert_eq!(identifiers(&chats), [STRANGER, CONTACT]);
    assert_eq!([Some(chats[0].id), Some(chats[1].id)], [second.chat_id, first.chat_id]);

    // What is sent is activity too; the chat stays the same one, however it is named.
    let send = SendMessage::text(tenant.line_id.to_string(), chats[1].id.to_string(), "3");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    settled(&tenant, item, Sent).await;
    let again = list().await.data;
    assert_eq!(identifiers(&again), [CONTACT, STRANGER]);
    let chat = &again[0];
    assert_eq!((chat.id, chat.line_id), (chats[1].id, tenant.line_id));
    assert!(chat.has_received_inbound && chat.last_message_at >= chats[1].last_message_at);
    assert_eq!(
        (chat.is_group, chat.participants.as_deref()),
        (Some(false), Some(&[CONTACT.to_owned()][..]))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_first_message_makes_the_chat_where_the_line_lets_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    let send = SendMessage::text(OPEN, STRANGER, "hello");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    settled(&tenant, item, Sent).await;
    let chats = tenant.client.chats(OPEN).send().await.unwrap().value.data;
    assert_eq!(identifiers(&chats), [STRANGER]);
    assert!(!chats[0].has_received_inbound);
    server.text(OPEN, STRANGER, "hello yourself").await;
    let chats = tenant.client.chats(OPEN).send().await.unwrap().value.data;
    assert!(chats.len() == 1 && chats[0].has_received_inbound);
    assert!(tenant.client.chats(LINE).send().await.unwrap().value.data.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_walk_shows_each_chat_once_while_they_move() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    for n in 0..9 {
        server.text(LINE, &contact(n), "hello").await;
    }
    let expected: Vec<_> = (0..9).rev().map(contact).collect();
    let page = tenant.client.chats(LINE).limit(4).send().await.unwrap().value;
    assert_eq!(identifiers(&page.data), &expected[..4]);
    assert!(page.has_more);

    let mut walk = tenant.client.chats(LINE).limit(2).walk();
    let mut seen = Vec::new();
    while let Some(chat) = walk.next().await.unwrap() {
        // The last chats jump to the front, and new ones come before them.
        server.text(LINE, &contact(seen.len() % 3), "again").await;
        server.text(LINE, &contact(100 + seen.len()), "new").await;
        seen.push(chat);
    }
    // Chats that are new may come behind all that were there.
    let seen = identifiers(&seen);
    assert_eq!(seen[..9], expected);
    assert_eq!(seen.len(), seen.iter().collect::<std::collections::HashSet<_>>().len());
    server.stop().await;
}
