//! What the line's owner writes on another device, and what turns out or comes later: from the bridge to who asks.

use serde_json::{Value, json};
use switchboard_client::SendMessage;
use switchboard_model::{
    Code, File, Message, Scope,
    id::Id,
    link::ReconciledState,
    outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::{LINE, Setup, Tenant, TestServer};

use crate::{
    bridge::{Link, Mac},
    call::{Call, assert_refused, query},
    fixtures::Sample,
    live::Live,
    metrics::{figure, watched},
    newer::acknowledged,
    told::{taken, tell, text},
    world::{CONTACT, MAC, STRANGER, THEIRS, key, settled},
};

/// A tenant with a line on a Mac, linked, and what hears of it: all events of its own key, of a key for its other line,
/// and of another account.
struct Desk {
    server: TestServer,
    tenant: Tenant,
    mac: Mac,
    link: Link,
    live: Live,
    /// A key for the tenant's other line only, and its stream.
    restricted: (String, Live),
    other: (Tenant, Live),
}

const ALL: &str =
    "?event=message.received&event=message.sent&event=message.failed&event=message.updated";

impl Desk {
    async fn open() -> Self {
        let server = watched(Setup::new()).start().await;
        let tenant = server.tenant(LINE).await;
        let other = server.tenant(THEIRS).await;
        let mac = Mac::make(&server, &tenant, MAC).await;
        let mut link = mac.dial(&server).await;
        link.take(&mac.line, &ReconciledState::NeverStarted).await;
        let restricted =
            key(&server, tenant.account, &Scope::ALL, &[&tenant.line_id.to_string()]).await;
        let live = Live::open(&server, &tenant.key, ALL).await;
        let restricted = (restricted.clone(), Live::open(&server, &restricted, ALL).await);
        let others = Live::open(&server, &other.key, ALL).await;
        Self { server, tenant, mac, link, live, restricted, other: (other, others) }
    }

    async fn tell(&mut self, position: &str, entries: &[Value]) -> Vec<Option<Id<Message>>> {
        tell(&mut self.link, &self.mac.line, position, entries).await;
        taken(&mut self.link).await.iter().map(|one| one.message_id).collect()
    }

    async fn event(&mut self, name: &str) -> Value {
        let (_, heard, data) = self.live.next().await;
        assert_eq!(heard, name, "{data}");
        assert_eq!(data["line_handle"], MAC);
        data
    }

    async fn shown(&self) -> Vec<Message> {
        self.tenant.client.messages(MAC, CONTACT).all(100).await.unwrap()
    }

    /// Sends a text of which the bridge says that it does not know what became of it.
    async fn unknown(&mut self, text: &str) -> Id<switchboard_model::OutboxItem> {
        let send = SendMessage::text(MAC, CONTACT, text);
        let id = self.tenant.client.send_message(&send).await.unwrap().value.id;
        self.link.items().await;
        self.says("report", id, json!({ "outcome": "unknown" })).await;
        settled(&self.tenant, id, OutboxStatus::Failed).await;
        let told = self.event("message.failed").await;
        assert_eq!(told["error"], MAY_HAVE_BEEN_HANDED_OVER);
        id
    }

    /// What came of an item, acknowledged.
    async fn says(&mut self, frame: &str, id: Id<switchboard_model::OutboxItem>, outcome: Value) {
        let mut report = outcome;
        report["id"] = id.to_string().into();
        self.link.say_text(&json!({ "type": frame, "reports": [report] }).to_string()).await;
        acknowledged(&mut self.link, id).await;
    }

    /// Nobody else has heard anything: what each hears first is of its own line.
    async fn close(mut self) {
        for (line, live) in [(LINE, &mut self.restricted.1), (THEIRS, &mut self.other.1)] {
            self.server.text(line, CONTACT, "the first").await;
            let (_, name, data) = live.next().await;
            assert_eq!(
                (name.as_str(), data["line_handle"].as_str()),
                ("message.received", Some(line))
            );
        }
        let list = query("/v1/messages", &[("from", MAC), ("to", CONTACT)]);
        let answer = Call::get(&list).key(&self.restricted.0).send(&self.server.url).await;
        assert_refused(&list, &answer, Code::LineNotAccessible, None);
        let answer = Call::get(&list).key(&self.other.0.key).send(&self.server.url).await;
        assert_refused(&list, &answer, Code::LineNotFound, Some("from"));
        drop(self.link);
        self.server.stop().await;
    }
}

pub(crate) fn own(guid: &str) -> Value {
    json!({
        "kind": "own", "guid": guid, "text": format!("own {guid}"), "sent_at": 1_700_000_000_000_i64,
        "chat": { "chat": "contact", "handle": CONTACT }, "service": "iMessage", "reply_to_guid": null,
    })
}

fn sent(guid: &str) -> Value {
    json!({ "outcome": "sent", "guid": guid, "sent_at": 1_700_000_000_000_i64, "service": "iMessage" })
}

#[tokio::test]
async fn what_the_owner_writes_elsewhere_is_sent_and_never_received() {
    let mut desk = Desk::open().await;
    let ids = desk.tell("1", &[own("o1"), text("g1", "from ann"), own("o1"), own("o2")]).await;
    assert_eq!(ids[0], ids[2]);
    for (guid, name) in [("o1", "message.sent"), ("g1", "message.received"), ("o2", "message.sent")]
    {
        let data = desk.event(name).await;
        assert_eq!(
            (&data["guid"], &data["is_from_me"]),
            (&json!(guid), &json!(name == "message.sent"))
        );
        assert_eq!((&data["outbox_id"], data["line_handle"].as_str()), (&Value::Null, Some(MAC)));
    }
    let shown = desk.shown().await;
    let all: Vec<_> = shown.iter().map(|one| (one.guid.as_str(), one.sender.as_str())).collect();
    assert_eq!(all, [("o2", MAC), ("g1", CONTACT), ("o1", MAC)]);
    // Told again after a new link, nothing is new.
    desk.link = desk.mac.dial(&desk.server).await;
    desk.link.take(&desk.mac.line, &ReconciledState::NeverStarted).await;
    assert_eq!(desk.tell("2", &[own("o1"), own("o2")]).await, [ids[0], ids[3]]);
    // The echo of an item may come before its report: one message, which has its item in the end.
    let send = SendMessage::text(MAC, CONTACT, "hello");
    let item = desk.tenant.client.send_message(&send).await.unwrap().value.id;
    desk.link.items().await;
    let early = desk.tell("3", &[own("s1")]).await[0].unwrap();
    assert_eq!(desk.event("message.sent").await["outbox_id"], Value::Null);
    desk.says("report", item, sent("s1")).await;
    let joined = desk.event("message.sent").await;
    assert_eq!((&joined["id"], &joined["outbox_id"]), (&json!(early), &json!(item)));
    assert_eq!(desk.shown().await.len(), 4);
    desk.close().await;
}

#[tokio::test]
async fn what_turns_out_later_is_told_once() {
    let mut desk = Desk::open().await;
    let (was_sent, failed) = (desk.unknown("one").await, desk.unknown("two").await);
    for _ in 0..2 {
        // Repeated after a reconnect, it is acknowledged again.
        desk.says("resolved", was_sent, sent("s1")).await;
        desk.says("resolved", failed, json!({ "outcome": "failed", "error": "no such number" }))
            .await;
        desk.link = desk.mac.dial(&desk.server).await;
        assert!(desk.link.reconcile.is_empty());
        desk.link.take(&desk.mac.line, &ReconciledState::NeverStarted).await;
    }
    let told = desk.event("message.sent").await;
    assert_eq!((&told["guid"], &told["outbox_id"]), (&json!("s1"), &json!(was_sent)));
    let told = desk.event("message.failed").await;
    assert_eq!((&told["id"], &told["error"]), (&json!(failed), &json!("no such number")));
    let item = desk.tenant.client.outbox(was_sent).await.unwrap().value;
    assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
    assert_eq!(desk.shown().await[0].id, item.message_id.unwrap());
    let item = desk.tenant.client.outbox(failed).await.unwrap().value;
    assert_eq!((item.status, item.message_id), (OutboxStatus::Failed, None));
    // Neither has happened twice: what comes next is the next.
    let last = desk.unknown("three").await;
    desk.tell("1", &[own("s3")]).await;
    desk.event("message.sent").await;
    desk.says("resolved", last, sent("s3")).await;
    assert_eq!(desk.event("message.sent").await["outbox_id"], json!(last));
    assert_eq!(desk.shown().await.len(), 2);
    let counts = async |name: &str| figure(&desk.server, name).await;
    let all = [counts("messages_unknown_total").await, counts("messages_resolved_total").await];
    assert_eq!(all, [3.0, 3.0]);
    desk.close().await;
}

#[tokio::test]
async fn what_becomes_of_a_message_late_is_told_and_shown() {
    let mut desk = Desk::open().await;
    desk.tell("1", &[own("o1"), text("g1", "from ann")]).await;
    desk.event("message.sent").await;
    desk.event("message.received").await;
    let update = |guid: &str, what: &str, told: Value| {
        let chat = json!({ "chat": "contact", "handle": CONTACT });
        json!({ "kind": "update", "chat": chat, "message_guid": guid, what: told })
    };
    let error = format!("\u{1b}[31mnot delivered{}", "!".repeat(5000));
    let failed = update("o1", "failed", json!({ "error": error, "at": 1_700_000_000_500_i64 }));
    desk.tell("2", &[failed.clone(), failed]).await;
    let told = desk.event("message.updated").await;
    assert_eq!(told["failed_at"], 1_700_000_000_500_i64);
    let error = told["error"].as_str().unwrap();
    assert!(error.starts_with("[31mnot delivered!!") && error.len() <= 2000, "{}", error.len());
    desk.tell("3", &[update("o1", "service", json!("SMS"))]).await;
    assert_eq!(desk.event("message.updated").await["service"], "SMS");
    // A file that comes late is downloaded like any other.
    let sample = Sample::png();
    let upload = query("/bridge/v1/files", &[("line_id", &desk.mac.line.id.to_string())]);
    let call = Call::new(http::Method::POST, &upload).raw(sample.bytes.clone());
    let call = call.header("content-type", sample.mime_type).header("x-filename", sample.name);
    let file = call.key(&desk.mac.token).send(&desk.server.url).await;
    assert_eq!(file.status, 201, "{file:?}");
    let linked = |id: &Value| {
        json!([{ "file_id": id, "filename": sample.name, "mime_type": sample.mime_type,
                 "size": sample.bytes.len() }])
    };
    let late = update("g1", "attachments", linked(&file.body["id"]));
    // Nor does a file that nobody uploaded end anything.
    let odd = update("g1", "attachments", linked(&json!(Id::<File>::generate())));
    desk.tell("4", &[late.clone(), late, odd]).await;
    let told = desk.event("message.updated").await;
    assert_eq!(told["attachments"][0]["filename"], sample.name);
    let url = told["attachments"][0]["url"].as_str().unwrap();
    let bytes = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, sample.bytes);
    let shown = desk.shown().await;
    let own = shown.iter().find(|one| one.guid == "o1").unwrap();
    assert!(own.failed_at.is_some() && own.error.as_deref() == Some(error));
    assert_eq!(own.service.unwrap().as_str(), "SMS");
    assert_eq!(shown.iter().find(|one| one.guid == "g1").unwrap().attachments.len(), 1);
    desk.close().await;
}

#[tokio::test]
async fn a_group_is_as_it_was_last_told() {
    let mut desk = Desk::open().await;
    let group = |name: Value, who: &[&str]| {
        let chat =
            json!({ "chat": "group", "identifier": "any;+;1", "name": name, "participants": who });
        json!({ "kind": "group", "chat": chat })
    };
    let both = [CONTACT, STRANGER];
    let mut position = 0;
    for (name, who, expected_who) in [
        (json!("Friends"), &both[..], &both[..]),
        (json!("Best friends"), &both[..], &both[..]),
        (json!("Best friends"), &both[..1], &both[..1]),
        // Who is there is not known to this driver; that a name was taken away is.
        (Value::Null, &[], &both[..1]),
    ] {
        position += 1;
        desk.tell(&position.to_string(), &[group(name.clone(), who)]).await;
        let chats = desk.tenant.client.chats(MAC).all(10).await.unwrap();
        let [chat] = &chats[..] else { panic!("{chats:?}") };
        assert_eq!((json!(chat.name), chat.is_group), (name, Some(true)));
        assert_eq!(
            chat.participants.as_deref(),
            Some(&expected_who.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
    }
    drop(desk.link);
    desk.server.stop().await;
}
