//! Two programs that answer each other: each hears what the other says and nothing that it has said itself; and a line with a
//! limit is stopped, its people are not.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};
use switchboard_client::{CreateLine, RawAnswer};
use switchboard_model::{
    Code, Line,
    id::Id,
    line::{DriverKind, LoopLimit},
    outbox::OutboxStatus,
    time::Clock,
};
use switchboard_testkit::{LINE, Setup, Tenant, TestClock, TestServer};

use crate::{
    call::{Call, assert_refused, query},
    live::Live,
    metrics::{figure, watched},
    world::{CONTACT, SECOND, STRANGER, THEIRS, settled},
};

const FIVE: &str = "5/60";
const ROUNDS: u32 = 12;

/// A program that answers whatever its line receives.
struct Agent<'a> {
    server: &'a TestServer,
    tenant: &'a Tenant,
    handle: &'a str,
    live: Live,
}

impl<'a> Agent<'a> {
    async fn of(server: &'a TestServer, tenant: &'a Tenant, handle: &'a str) -> Self {
        let events = "?event=message.received&event=message.sent";
        let live = Live::open(server, &tenant.key, events).await;
        Self { server, tenant, handle, live }
    }

    /// Hears of this message, which is the contact's or the line's own, of this line.
    async fn hears(&mut self, name: &str, line: &str, sender: &str, text: &str) {
        let (_, heard, data) = self.live.next().await;
        let said = (&data["line_handle"], &data["sender"], &data["text"]);
        assert_eq!(said, (&json!(line), &json!(sender), &json!(text)), "{data}");
        assert_eq!(heard, name, "{data}");
        assert_eq!(data["is_from_me"], json!(name == "message.sent"), "{data}");
    }
}

/// What a line says to a contact.
fn message(from: &str, to: &str, text: &str) -> Call {
    Call::post("/v1/messages", &json!({ "from": from, "to": to, "text": text }))
}

async fn send(server: &TestServer, key: &str, from: &str, to: &str) -> RawAnswer {
    message(from, to, "x").key(key).send(&server.url).await
}

async fn limit(server: &TestServer, line: Id<Line>, limit: &str) {
    let limit = (limit != "off").then(|| limit.parse().unwrap());
    let line = server.admin().set_loop_limit(line, limit).await.unwrap().value;
    assert_eq!(line.loop_limit, limit);
}

/// Somebody writes and is answered at once; what the answer was.
async fn round(server: &TestServer, tenant: &Tenant, contact: &str) -> RawAnswer {
    server.text(LINE, contact, "hello").await;
    send(server, &tenant.key, LINE, contact).await
}

async fn rounds(server: &TestServer, tenant: &Tenant, contact: &str, count: u32) {
    for number in 0..count {
        let answer = round(server, tenant, contact).await;
        assert_eq!(answer.status, 201, "answer {number} to {contact}: {answer:?}");
    }
}

#[track_caller]
fn assert_must_rest(answer: &RawAnswer, seconds: u64) {
    assert_refused("a loop", answer, Code::RateLimitExceeded, Some("to"));
    assert_eq!(answer.retry_after(), Some(seconds), "{answer:?}");
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("its loop_limit is 5/60"), "{message}");
}

fn still(clock: &Arc<TestClock>) -> Setup {
    watched(Setup::new()).clock(Arc::clone(clock) as Arc<dyn Clock>)
}

/// A server with a line of this limit whose clock stands still.
async fn limited(clock: &Arc<TestClock>) -> (TestServer, Tenant) {
    let server = still(clock).start().await;
    let tenant = server.tenant(LINE).await;
    limit(&server, tenant.line_id, FIVE).await;
    (server, tenant)
}

/// Lets the two answer each other; how often the first did, and what its last answer came to. If both are one account's, each
/// hears of both lines.
async fn converse(first: &mut Agent<'_>, second: &mut Agent<'_>, is_one: bool) -> (u32, RawAnswer) {
    let mut text = "hello".to_owned();
    first.server.text(first.handle, second.handle, &text).await;
    let mut answered = 0;
    loop {
        first.hears("message.received", first.handle, second.handle, &text).await;
        if is_one {
            second.hears("message.received", first.handle, second.handle, &text).await;
        }
        text = format!("first {answered}");
        let call = message(first.handle, second.handle, &text).key(&first.tenant.key);
        let answer = call.send(&first.server.url).await;
        if answer.status != 201 || answered == ROUNDS {
            return (answered, answer);
        }
        answered += 1;
        first.hears("message.sent", first.handle, first.handle, &text).await;
        if is_one {
            second.hears("message.sent", first.handle, first.handle, &text).await;
        }
        // The network carries it to the other one's phone.
        second.server.text(second.handle, first.handle, &text).await;
        if is_one {
            first.hears("message.received", second.handle, first.handle, &text).await;
        }
        second.hears("message.received", second.handle, first.handle, &text).await;
        text = format!("second {answered}");
        let call = message(second.handle, first.handle, &text).key(&second.tenant.key);
        let answer = call.send(&second.server.url).await;
        assert_eq!(answer.status, 201, "it has no limit: {answer:?}");
        second.hears("message.sent", second.handle, second.handle, &text).await;
        if is_one {
            first.hears("message.sent", second.handle, second.handle, &text).await;
        }
        first.server.text(first.handle, second.handle, &text).await;
    }
}

#[tokio::test]
async fn two_lines_of_one_account_hear_each_other_once_and_never_themselves() {
    let server = Setup::new().start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, SECOND).await;
    let mut first = Agent::of(&server, &tenant, LINE).await;
    let mut second = Agent::of(&server, &tenant, SECOND).await;
    let (answered, last) = converse(&mut first, &mut second, true).await;
    // No line has a limit unless somebody asks for one.
    assert_eq!((answered, last.status), (ROUNDS, 201));
    for line in server.admin().lines().await.unwrap().value.data {
        assert_eq!(line.loop_limit, None);
    }
    drop((first, second));
    server.stop().await;
}

#[tokio::test]
async fn two_agents_are_stopped_on_one_server_and_on_two() {
    let clock = TestClock::now();
    let (server, tenant) = limited(&clock).await;
    let theirs = server.tenant(THEIRS).await;
    let mut first = Agent::of(&server, &tenant, LINE).await;
    let mut second = Agent::of(&server, &theirs, THEIRS).await;
    let (answered, last) = converse(&mut first, &mut second, false).await;
    assert_eq!(answered, 5);
    assert_must_rest(&last, 60);
    assert_eq!(figure(&server, "loops_stopped_total").await, 1.0);
    drop((first, second));

    let other = Setup::new().start().await;
    let theirs = other.tenant(SECOND).await;
    let mut first = Agent::of(&server, &tenant, LINE).await;
    let mut second = Agent::of(&other, &theirs, SECOND).await;
    let (answered, last) = converse(&mut first, &mut second, false).await;
    assert_eq!(answered, 5);
    assert_must_rest(&last, 60);
    assert_eq!(figure(&server, "loops_stopped_total").await, 2.0);
    drop((first, second));
    other.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_person_is_answered_for_as_long_as_it_takes() {
    let clock = TestClock::now();
    let (server, tenant) = limited(&clock).await;
    for _ in 0..20 {
        rounds(&server, &tenant, CONTACT, 1).await;
        // An answer in several messages is one.
        for _ in 0..2 {
            assert_eq!(send(&server, &tenant.key, LINE, CONTACT).await.status, 201);
        }
        clock.advance(Duration::from_secs(15));
    }
    // Many messages without a word of the contact are no loop.
    for _ in 0..20 {
        assert_eq!(send(&server, &tenant.key, LINE, CONTACT).await.status, 201);
    }
    assert_eq!(figure(&server, "loops_stopped_total").await, 0.0);
    server.stop().await;
}

#[tokio::test]
async fn only_this_chat_rests_and_only_from_messages_and_only_for_a_while() {
    let clock = TestClock::now();
    let (server, tenant) = limited(&clock).await;
    let key = &tenant.key;
    rounds(&server, &tenant, CONTACT, 4).await;
    let text = server.text(LINE, CONTACT, "hello").await;
    let once = message(LINE, CONTACT, "once").key(key).header("idempotency-key", "once");
    let first = once.clone().send(&server.url).await;
    assert_eq!(first.status, 201);
    assert_must_rest(&round(&server, &tenant, CONTACT).await, 60);
    // What was accepted is answered as it was.
    let again = once.send(&server.url).await;
    assert_eq!((again.status, &again.body["id"]), (201, &first.body["id"]));
    let audio = json!({ "from": LINE, "to": CONTACT, "audio_message": "file_x" });
    let answer = Call::post("/v1/audio-messages", &audio).key(key).send(&server.url).await;
    assert_refused(
        "what comes before in the order",
        &answer,
        Code::FileNotFound,
        Some("audio_message"),
    );
    // By its id it is the same chat.
    let chat = text.chat_id.unwrap().to_string();
    assert_must_rest(&send(&server, key, LINE, &chat).await, 60);
    // It may be seen that it reads, types and likes.
    for (path, body) in [
        (
            "/v1/reactions",
            json!({ "from": LINE, "to": CONTACT, "message_id": text.guid, "type": "love" }),
        ),
        ("/v1/typing", json!({ "from": LINE, "to": CONTACT, "state": "on" })),
        ("/v1/receipts", json!({ "from": LINE, "to": CONTACT })),
    ] {
        let answer = Call::post(path, &body).key(key).send(&server.url).await;
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
    }
    rounds(&server, &tenant, STRANGER, 5).await;
    assert_eq!(figure(&server, "loops_stopped_total").await, 2.0, "refusals are not counted");

    clock.advance(Duration::from_millis(59_500));
    assert_must_rest(&send(&server, key, LINE, CONTACT).await, 1);
    clock.advance(Duration::from_millis(500));
    rounds(&server, &tenant, CONTACT, 5).await;
    assert_must_rest(&round(&server, &tenant, CONTACT).await, 60);
    // A clock that is set back makes no rest of a year.
    clock.set_back(Duration::from_secs(3600));
    rounds(&server, &tenant, CONTACT, 5).await;
    assert_must_rest(&round(&server, &tenant, CONTACT).await, 60);
    limit(&server, tenant.line_id, "off").await;
    rounds(&server, &tenant, CONTACT, ROUNDS).await;
    server.stop().await;
}

#[tokio::test]
async fn a_restart_and_another_server_forget_nothing() {
    let clock = TestClock::now();
    let setup = still(&clock).shared();
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    limit(&server, tenant.line_id, FIVE).await;
    rounds(&server, &tenant, CONTACT, 2).await;
    let beside = Setup::beside(&server).clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    for number in 0..3 {
        server.text(LINE, CONTACT, "hello").await;
        let answer = send(&beside, &tenant.key, LINE, CONTACT).await;
        assert_eq!(answer.status, 201, "answer {number}: {answer:?}");
    }
    for one in [&server, &beside] {
        assert_must_rest(&send(one, &tenant.key, LINE, CONTACT).await, 60);
    }
    // What the operator says to one holds on the other.
    limit(&beside, tenant.line_id, "6/60").await;
    rounds(&server, &tenant, CONTACT, 1).await;
    limit(&server, tenant.line_id, FIVE).await;
    beside.stop().await;
    let server = server.restart().await;
    assert_must_rest(&send(&server, &tenant.key, LINE, CONTACT).await, 60);
    server.stop().await;
}

#[tokio::test]
async fn only_the_operator_sets_it_and_accounts_do_not_see_it() {
    let clock = TestClock::now();
    let (server, tenant) = limited(&clock).await;
    let patch = |body: Value| Call::new(Method::PATCH, "/admin/v1/lines").json(&body);
    let right = json!({ "id": tenant.line_id, "loop_limit": "off" });
    let answer = patch(right.clone()).send(&server.admin_url()).await;
    assert_refused("no token", &answer, Code::MissingApiKey, None);
    let answer = patch(right.clone()).key(&tenant.key).send(&server.admin_url()).await;
    assert_refused("a key with all scopes", &answer, Code::InvalidApiKey, None);
    let operator = server.operator_token();
    for (body, code, param) in [
        (json!({}), Code::MissingRequiredParameter, "id"),
        (json!({ "id": tenant.line_id }), Code::MissingRequiredParameter, "loop_limit"),
        (
            json!({ "id": tenant.line_id, "loop_limit": null }),
            Code::MissingRequiredParameter,
            "loop_limit",
        ),
        (json!({ "id": tenant.account, "loop_limit": FIVE }), Code::InvalidParameterValue, "id"),
        (
            json!({ "id": tenant.line_id, "loop_limit": "5/0" }),
            Code::InvalidParameterValue,
            "loop_limit",
        ),
        (
            json!({ "id": tenant.line_id, "loop_limit": 5 }),
            Code::InvalidParameterValue,
            "loop_limit",
        ),
        (json!({ "id": Id::<Line>::generate(), "loop_limit": FIVE }), Code::LineNotFound, "id"),
    ] {
        let answer = patch(body.clone()).key(operator).send(&server.admin_url()).await;
        assert_refused(&body.to_string(), &answer, code, Some(param));
    }
    let lines = server.admin().lines().await.unwrap().value.data;
    assert_eq!(
        lines[0].loop_limit,
        Some(FIVE.parse::<LoopLimit>().unwrap()),
        "nothing was changed"
    );
    let mut line = CreateLine::new(tenant.account, SECOND, DriverKind::Simulator);
    line.loop_limit = Some("7/30".parse().unwrap());
    let made = server.admin().create_line(&line).await.unwrap().value;
    assert_eq!(made.loop_limit, line.loop_limit);
    let shown = Call::get("/v1/lines").key(&tenant.key).send(&server.url).await;
    assert_eq!(shown.body["data"][1]["handle"], SECOND);
    assert_eq!(shown.body["data"][1].get("loop_limit"), None);

    // A restricted key and another account's meet what they always met, before any limit.
    rounds(&server, &tenant, CONTACT, 5).await;
    let restricted =
        server.key(tenant.account, &switchboard_model::Scope::ALL, &[made.line.id]).await;
    let answer =
        restricted.send_message(&switchboard_client::SendMessage::text(LINE, CONTACT, "x")).await;
    assert!(answer.unwrap_err().to_string().contains("line_not_accessible"));
    let other = server.tenant(THEIRS).await;
    let answer = send(&server, &other.key, LINE, CONTACT).await;
    assert_refused("another account", &answer, Code::LineNotFound, Some("from"));
    let items = query("/v1/messages", &[("from", LINE), ("to", CONTACT)]);
    let read = Call::get(&items).key(&tenant.key).send(&server.url).await;
    assert_eq!(read.status, 200, "it can be read all the same");
    server.stop().await;
}

#[tokio::test]
async fn a_file_of_a_refused_message_is_not_taken_and_the_rest_goes_out() {
    let clock = TestClock::now();
    let (server, tenant) = limited(&clock).await;
    rounds(&server, &tenant, CONTACT, 4).await;
    let last = round(&server, &tenant, CONTACT).await;
    let file = crate::fixtures::Sample::png().uploaded(&server, &tenant.key).await;
    let body = json!({ "from": LINE, "to": CONTACT, "attachments": [file] });
    let refused = Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await;
    assert_must_rest(&refused, 60);
    let id = last.body["id"].as_str().unwrap().parse().unwrap();
    settled(&tenant, id, OutboxStatus::Sent).await;
    clock.advance(Duration::from_secs(60));
    let sent = Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    server.stop().await;
}
