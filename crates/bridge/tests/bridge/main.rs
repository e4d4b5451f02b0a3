//! The bridge through its front door: a real WebSocket listener on one side, a driver on the other.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod contacts;
mod fake_driver;
mod fake_files;
mod fake_program;
mod fake_server;
mod files;
mod harness;
mod inbound;
mod items;
mod journal;
mod late_files;
mod ledgered;
mod reconcile;
mod sending;
mod sockets;
mod virtual_phones;

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use switchboard_bridge::{Asked, BridgeConfig, FileClient};
use switchboard_model::{
    Chat, Line, OutboxItem, Timestamp,
    id::Id,
    line::LineService,
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

/// These items, as a driver is asked for them.
fn asked(ids: &[Id<OutboxItem>]) -> Vec<Asked> {
    ids.iter().map(|id| Asked { id: *id, claimed: Some(1) }).collect()
}

fn line() -> CarriedLine {
    CarriedLine {
        id: Id::generate(),
        handle: "+15550100001".parse().expect("a handle"),
        service: LineService::Auto,
        position: None,
        role: switchboard_model::link::LineRole::Active,
        since: None,
    }
}

fn item(line: &CarriedLine, chat: Id<Chat>, to: &str, text: &str) -> SendItem {
    let content = Content::Message {
        text: Some(text.to_owned()),
        attachments: Vec::new(),
        is_audio_message: false,
        reply_to_guid: None,
    };
    item_of(line, chat, to, content)
}

fn item_of(line: &CarriedLine, chat: Id<Chat>, to: &str, content: Content) -> SendItem {
    static ORDER: AtomicI64 = AtomicI64::new(1);
    SendItem {
        id: Id::<OutboxItem>::generate(),
        order: ORDER.fetch_add(1, Ordering::Relaxed),
        line_id: Id::<Line>::clone(&line.id),
        chat_id: chat,
        identifier: to.to_owned(),
        is_group: false,
        content,
    }
}

/// A clock of its own: a millisecond later at each look.
#[derive(Debug, Default)]
struct Ticks(AtomicI64);

impl Ticks {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn steady(&self) -> Timestamp {
        self.now()
    }

    fn boot(&self) -> Option<String> {
        None
    }

    async fn sleep(&self, _pause: Duration) {}

    async fn sleep_until(&self, _until: Timestamp) {}
}

/// Files of a server that is not there.
fn no_files() -> FileClient {
    // Nobody listens on the discard port of this machine.
    let config = BridgeConfig::new("ws://127.0.0.1:9/bridge/v1/link", "t").unwrap();
    config.files().clone()
}
