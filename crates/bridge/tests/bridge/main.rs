//! The bridge through its front door: a real WebSocket listener on one side, a driver on the other.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod fake_driver;
mod fake_server;
mod inbound;
mod items;
mod journal;
mod sockets;
mod virtual_phones;

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use switchboard_model::{
    Chat, Line, OutboxItem, Timestamp,
    id::Id,
    link::{CarriedLine, Content, SendItem},
    time::Clock,
};

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(10);

/// What must come within the deadline.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it must come soon")
}

/// Asks again and again, for what nobody announces.
async fn eventually(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn line() -> CarriedLine {
    CarriedLine {
        id: Id::generate(),
        handle: "+15550100001".parse().expect("a handle"),
        position: None,
    }
}

fn item(line: &CarriedLine, chat: Id<Chat>, to: &str, text: &str) -> SendItem {
    SendItem {
        id: Id::<OutboxItem>::generate(),
        line_id: Id::<Line>::clone(&line.id),
        chat_id: chat,
        identifier: to.to_owned(),
        is_group: false,
        content: Content::Message { text: text.to_owned(), reply_to_guid: None },
    }
}

/// A clock of its own: a millisecond later at each look.
#[derive(Debug, Default)]
struct Ticks(AtomicI64);

#[async_trait::async_trait]
impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }

    async fn sleep_until(&self, _until: Timestamp) {}
}
