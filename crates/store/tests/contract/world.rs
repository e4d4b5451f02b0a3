//! The small world in which the promises are tried.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use switchboard_model::{
    Account, Bridge, Chat, EventKind, Handle, Line, OutboxItem, Timestamp, Webhook,
    chat::{Recipient, Service},
    delivery::{AttemptResult, DueDelivery},
    id::Id,
    line::{Capability, DriverKind, LineService},
    link::{Inbound, InboundChat, InboundMessage, Outcome, ReceivedEntry},
    page::Limit,
    secret::SecretHash,
    webhook::WebhookSecret,
};
use switchboard_store::{
    Accept, Accepted, Committed, CommittedEvent, DueQuery, Idempotent, Link, NewContent, NewLine,
    NewWebhook, Received, Refusal, Result, SettleReport, Store, StoreError, WaitingWebhook,
};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const LEASE: Timestamp = Timestamp(1_700_000_060_000);
pub(crate) const ANN: &str = "+15550111111";
pub(crate) const BOB: &str = "+15550122222";

/// Two accounts with a line each, both of the simulator's bridge.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) account: Id<Account>,
    pub(crate) line: Id<Line>,
    pub(crate) other_account: Id<Account>,
    pub(crate) other_line: Id<Line>,
    pub(crate) bridge: Id<Bridge>,
    pub(crate) link: Link,
}

pub(crate) fn handle(text: &str) -> Handle {
    Handle::received(text)
}

pub(crate) fn contact(text: &str) -> Recipient {
    Recipient::Contact(handle(text))
}

pub(crate) fn limit(rows: usize) -> Limit {
    Limit::parse(&rows.to_string()).unwrap()
}

pub(crate) fn later(millis: i64) -> Timestamp {
    Timestamp(NOW.0 + millis)
}

/// What a result that must be a refusal refuses.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T>) -> Refusal {
    match result {
        Err(StoreError::Refused(refusal)) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

/// What is there soon.
pub(crate) async fn soon<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let look_again = async || {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look_again()).await.expect("it comes soon")
}

/// What was done now.
pub(crate) fn take<T>(result: Result<Idempotent<T>>) -> Result<T> {
    result.map(|once| match once {
        Idempotent::Fresh(done) => done,
        Idempotent::Replayed(answer) => panic!("replayed: {answer:?}"),
    })
}

/// An event as its reader gets it.
pub(crate) fn data<T: serde::de::DeserializeOwned>(event: &CommittedEvent) -> T {
    serde_json::from_str(event.data.get()).unwrap()
}

pub(crate) fn kinds(committed: &Committed) -> Vec<EventKind> {
    committed.events.iter().map(|event| event.kind).collect()
}

pub(crate) fn new_line(account_id: Id<Account>, number: &str) -> NewLine {
    NewLine {
        account_id,
        handle: handle(number),
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

pub(crate) fn text_from(sender: &str, guid: &str) -> Inbound {
    text_in(chat_with(sender), sender, guid)
}

/// The chat with a contact, as a driver tells of it.
pub(crate) fn chat_with(contact: &str) -> InboundChat {
    InboundChat::Contact { handle: handle(contact) }
}

pub(crate) fn text_in(chat: InboundChat, sender: &str, guid: &str) -> Inbound {
    Inbound::Message(InboundMessage {
        guid: guid.into(),
        chat,
        sender: handle(sender),
        text: Some(format!("text of {guid}")),
        sent_at: later(-1000),
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    })
}

pub(crate) fn group(identifier: &str, participants: &[&str]) -> InboundChat {
    InboundChat::Group {
        identifier: identifier.into(),
        name: Some("Friends".into()),
        participants: participants.iter().map(|one| handle(one)).collect(),
    }
}

pub(crate) fn sent(guid: &str) -> Outcome {
    Outcome::Sent {
        guid: guid.into(),
        sent_at: later(500),
        service: Service::IMessage,
        delivered_at: None,
    }
}

impl World {
    pub(crate) async fn new(store: Arc<dyn Store>) -> Self {
        let bridge = store.ensure_simulator_bridge(SecretHash([1; 32]), NOW).await.unwrap().id;
        let account = store.create_account("ours".into(), NOW).await.unwrap().id;
        let other_account = store.create_account("theirs".into(), NOW).await.unwrap().id;
        let line = store.create_line(new_line(account, "+15550100001")).await.unwrap().line.id;
        let other_line =
            store.create_line(new_line(other_account, "+15550100002")).await.unwrap().line.id;
        let link = Link { bridge, epoch: 0 };
        Self { store, account, line, other_account, other_line, bridge, link }
    }

    pub(crate) fn draft(&self, to: Recipient, text: &str) -> Accept {
        let content =
            NewContent::Message { text: Some(text.into()), attachment: None, reply_to: None };
        let payload = serde_json::json!({"text": text}).to_string();
        Accept { payload: RawValue::from_string(payload).unwrap(), ..self.write(to, content) }
    }

    pub(crate) fn write(&self, to: Recipient, content: NewContent) -> Accept {
        Accept {
            id: Id::generate(),
            account_id: self.account,
            line_id: self.line,
            to,
            content,
            lines: None,
            payload: RawValue::from_string("{}".into()).unwrap(),
        }
    }

    /// Accepts what the line must be able to do, and can.
    pub(crate) async fn try_write(&self, to: &str, content: NewContent) -> Result<Accepted> {
        take(self.store.accept(self.write(contact(to), content), None, NOW).await)
    }

    /// Accepts and claims something, and settles it as done.
    pub(crate) async fn do_now(&self, to: &str, content: NewContent, at: Timestamp) -> Committed {
        let id = self.try_write(to, content).await.unwrap().id;
        assert_eq!(self.claim(1).await, [id]);
        let report = SettleReport { id, outcome: Outcome::Done { at }, counts_as_attempt: true };
        let now = later((at.0 - NOW.0).max(0));
        self.store.settle(self.link, vec![report], now).await.unwrap()
    }

    /// Lets the line do everything.
    pub(crate) async fn advance(&self) {
        let all = Capability::ALL.to_vec();
        self.store.set_capabilities(self.link, self.line, all).await.unwrap();
    }

    /// Takes what happens on the line at this moment.
    pub(crate) async fn receive_at(&self, entry: Inbound, now: Timestamp) -> Received {
        self.receive_all_at(vec![entry], now).await
    }

    async fn receive_all_at(&self, entries: Vec<Inbound>, now: Timestamp) -> Received {
        let received = self.store.receive(self.link, self.line, "1".into(), entries, now).await;
        let received = received.unwrap();
        self.readable(&received.committed).await;
        received
    }

    /// Waits until these events can be read, and their deliveries with them: it may be a moment after their commit, if
    /// something is still on its way that may come before them.
    pub(crate) async fn readable(&self, committed: &Committed) {
        let Some(last) = committed.events.last().map(|event| event.position) else { return };
        let read = async || self.store.event_position(self.account, None).await.unwrap();
        soon(async || (read().await >= last).then_some(())).await;
    }

    pub(crate) async fn accept(&self, to: &str, text: &str) -> Id<OutboxItem> {
        take(self.store.accept(self.draft(contact(to), text), None, NOW).await).unwrap().id
    }

    pub(crate) async fn claim(&self, limit: usize) -> Vec<Id<OutboxItem>> {
        self.claim_but(Vec::new(), limit).await
    }

    pub(crate) async fn claim_but(&self, full: Vec<Id<Chat>>, limit: usize) -> Vec<Id<OutboxItem>> {
        let items = self.store.claim(self.link, self.line, full, limit, LEASE).await.unwrap();
        items.into_iter().map(|item| item.id).collect()
    }

    /// Accepts an item and claims it.
    pub(crate) async fn claimed(&self, to: &str, text: &str) -> Id<OutboxItem> {
        let id = self.accept(to, text).await;
        assert_eq!(self.claim(1).await, [id]);
        id
    }

    pub(crate) async fn settle(&self, id: Id<OutboxItem>, outcome: Outcome) -> Committed {
        let report = SettleReport { id, outcome, counts_as_attempt: true };
        self.store.settle(self.link, vec![report], later(1000)).await.unwrap()
    }

    pub(crate) async fn item(&self, id: Id<OutboxItem>) -> OutboxItem {
        self.store.outbox_item(self.account, id).await.unwrap().unwrap()
    }

    pub(crate) async fn receive(&self, entries: Vec<Inbound>) -> Received {
        self.receive_all_at(entries, NOW).await
    }

    pub(crate) async fn receive_one(&self, entry: Inbound) -> ReceivedEntry {
        self.receive(vec![entry]).await.results[0]
    }

    /// The webhooks that have something to be delivered.
    pub(crate) async fn waiting(&self) -> Vec<WaitingWebhook> {
        let (webhooks, next) = self.store.waiting_webhooks(None).await.unwrap();
        assert_eq!(next, None);
        webhooks
    }

    /// What may be attempted now, of each webhook what was not attempted yet first; once all of it can be read.
    pub(crate) async fn due(&self, now: Timestamp) -> Vec<DueDelivery> {
        let query = |one: WaitingWebhook| DueQuery {
            webhook_id: one.webhook_id,
            from: 0,
            untried: 1000,
            retries: 1000,
        };
        let found = soon(async || {
            let of = self.waiting().await.into_iter().map(query).collect();
            let found = self.store.due_deliveries(of, now).await.unwrap();
            found.iter().all(|one| one.more_from.is_none()).then_some(found)
        });
        let found = found.await.into_iter();
        found.flat_map(|found| found.untried.into_iter().chain(found.retries)).collect()
    }

    pub(crate) async fn webhook(&self, events: &[EventKind]) -> Id<Webhook> {
        take(self.store.create_webhook(self.new_webhook(events), None, NOW).await).unwrap().id
    }

    pub(crate) fn new_webhook(&self, events: &[EventKind]) -> NewWebhook {
        NewWebhook {
            id: Id::generate(),
            account_id: self.account,
            line_ids: None,
            url: "https://example.com/hook".into(),
            events: events.to_vec(),
            secret: WebhookSecret::from_random([7; 32]),
            created_by: None,
        }
    }

    pub(crate) async fn chat(&self, id: Id<Chat>) -> Chat {
        let page = self.store.chats(self.account, self.line, None, limit(100)).await.unwrap();
        page.rows.into_iter().find(|chat| chat.id == id).unwrap()
    }
}

/// What came of one more attempt.
pub(crate) fn attempted(
    delivery: &DueDelivery,
    error: Option<&str>,
    next: Option<Timestamp>,
) -> AttemptResult {
    AttemptResult {
        seq: delivery.seq,
        delivery_id: delivery.id,
        webhook_id: delivery.webhook_id,
        url: Arc::clone(&delivery.url),
        attempts: delivery.attempts + 1,
        started_at: NOW,
        duration_ms: 10,
        status: Some(if error.is_some() { 500 } else { 200 }),
        answer: None,
        error: error.map(Into::into),
        next_attempt_at: next,
        cause: None,
        finished_at: later(10).into(),
    }
}
