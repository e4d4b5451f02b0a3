//! Clients that hang up between a commit and what follows it change nothing: whatever is committed is also made known,
//! caches forget, links and streams are told, and a request stays in flight until its write is there.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use switchboard_client::{CreateKey, Deliveries, SendMessage};
use switchboard_model::{
    Code, delivery::DeliveryStatus, link::ReconciledState, outbox::OutboxStatus, retry::SCHEDULE,
    time::Clock,
};
use switchboard_testkit::{
    LINE, Receiver, Setup, TestClock, TestServer, eventually, receiver::Behaviour,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    attempts::{hook, only},
    bridge::Mac,
    call::{Call, assert_refused},
    deliveries::planned,
    world::{CONTACT, MAC, OPEN, SECOND, SOON, add_line},
};

/// A POST whose client is gone before the store has answered.
struct Post<'a> {
    server: &'a TestServer,
    token: &'a str,
    path: &'static str,
    body: Value,
    idempotency_key: Option<&'static str>,
}

impl Post<'_> {
    /// Sends it and hangs up once the server has handed the write to the store, which waits meanwhile. Answers what
    /// `while_held` finds before the write goes on.
    async fn hang_up<T>(&self, while_held: impl AsyncFn() -> T) -> T {
        let body = self.body.to_string();
        let key = self.idempotency_key.map(|key| format!("idempotency-key: {key}\r\n"));
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             {}content-length: {}\r\n\r\n{body}",
            self.path,
            self.token,
            key.unwrap_or_default(),
            body.len()
        );
        let held = self.server.hold_writes().await;
        let address = self.server.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // No condition to wait for: the command waits in the store's queue. It is there within this time, or the test
        // finds that nothing was written and fails.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "", "it hung up before it was answered");
        let found = while_held().await;
        drop(held);
        found
    }
}

async fn nothing() {}

#[tokio::test]
async fn a_revoked_key_is_refused_though_nobody_heard_of_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let made = server.admin().create_key(&CreateKey::new(tenant.account, "gone")).await.unwrap();
    let key = made.value.secret.reveal().to_owned();
    let client = server.client(&key);
    // Both are known to the server's cache from here on.
    client.lines().await.unwrap();
    tenant.client.lines().await.unwrap();
    let mut stream = client.events().open().await.unwrap();
    let post = Post {
        server: &server,
        token: server.operator_token(),
        path: "/admin/v1/keys/revoke",
        body: json!({ "id": made.value.key.id }),
        idempotency_key: None,
    };
    post.hang_up(nothing).await;
    eventually("the key is refused", async || {
        let answer = Call::get("/v1/lines").key(&key).send(&server.url).await;
        (answer.status == 401).then_some(())
    })
    .await;
    let ended =
        tokio::time::timeout(SOON, async { while let Some(Ok(_)) = stream.next().await {} });
    ended.await.expect("its stream ends");
    tenant.client.lines().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn the_link_of_a_revoked_bridge_ends_though_nobody_heard_of_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    let post = Post {
        server: &server,
        token: server.operator_token(),
        path: "/admin/v1/bridges/revoke",
        body: json!({ "id": mac.id }),
        idempotency_key: None,
    };
    post.hang_up(nothing).await;
    assert_eq!(link.bye().await, ("this bridge was revoked".to_owned(), false));
    server.stop().await;
}

#[tokio::test]
async fn a_new_line_can_be_used_though_nobody_heard_of_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    // The list without it is known to the server's cache from here on.
    assert_eq!(tenant.client.lines().await.unwrap().value.data.len(), 1);
    let body = json!({ "account_id": tenant.account, "handle": OPEN, "driver": "simulator",
                       "contact_first": false });
    let post = Post {
        server: &server,
        token: server.operator_token(),
        path: "/admin/v1/lines",
        body,
        idempotency_key: None,
    };
    post.hang_up(nothing).await;
    let send = SendMessage::text(OPEN, CONTACT, "hello");
    let item = eventually("the line takes a message", async || {
        tenant.client.send_message(&send).await.ok().map(|sent| sent.value.id)
    })
    .await;
    eventually("its bridge sends it", async || {
        let item = tenant.client.outbox(item).await.unwrap().value;
        (item.status == OutboxStatus::Sent).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn an_accepted_message_goes_out_at_once_though_nobody_heard_of_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::Running).await;
    let send = |text: &str| json!({ "from": MAC, "to": CONTACT, "text": text });
    // The link has just looked for items when this has come: the next time that it looks unasked is 5 s later.
    Call::post("/v1/messages", &send("first")).key(&tenant.key).send(&server.url).await;
    assert_eq!(link.items().await.len(), 1);
    let asked = tokio::time::Instant::now();
    let post = Post {
        server: &server,
        token: &tenant.key,
        path: "/v1/messages",
        body: send("second"),
        idempotency_key: None,
    };
    post.hang_up(nothing).await;
    assert_eq!(link.items().await.len(), 1);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(4), "it waited for the next look: {took:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_request_stays_in_flight_until_its_write_is_there() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let (message, webhook) = (
        json!({ "from": LINE, "to": CONTACT, "text": "once" }),
        json!({ "from": LINE, "url": "http://127.0.0.1:1999/", "events": ["message.sent"] }),
    );
    for (path, body) in
        [("/v1/messages", message), ("/v1/webhooks", webhook), ("/v1/sandbox", Value::Null)]
    {
        if path == "/v1/sandbox" {
            server.sandbox_line(SECOND).await;
        }
        let again = Call::new(http::Method::POST, path).raw(body.to_string()).key(&tenant.key);
        let again = again.header("content-type", "application/json").header("idempotency-key", "k");
        let post =
            Post { server: &server, token: &tenant.key, path, body, idempotency_key: Some("k") };
        let busy = post
            .hang_up(async || tokio::time::timeout(SOON / 3, again.send(&server.url)).await)
            .await
            .expect("the repetition is answered while the first one waits");
        assert_refused(path, &busy, Code::IdempotencyInProgress, None);
        let replayed = eventually("the first answer is there", async || {
            let answer = again.send(&server.url).await;
            (answer.status != 409).then_some(answer)
        })
        .await;
        assert_eq!(replayed.header("idempotent-replayed"), Some("true"), "{path}: {replayed:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_was_asked_of_a_webhook_happens_though_nobody_heard_of_it() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::status(500)]);
    let since = clock.now();
    let (webhook, _) = hook(&tenant, &receiver).await;
    server.text(LINE, CONTACT, "hello").await;
    planned(&server, &clock, SCHEDULE[0]).await;
    let due = only(&tenant, DeliveryStatus::Due, 1).await;
    let post = |path, body| Post {
        server: &server,
        token: &tenant.key,
        path,
        body,
        idempotency_key: None,
    };
    // The clock stands still: nobody looks for what is due unless he is told.
    post("/v1/deliveries/retry", json!({ "id": due.id })).hang_up(nothing).await;
    receiver.wait_for(2, SOON).await.unwrap();
    only(&tenant, DeliveryStatus::Delivered, 2).await;
    let replay = json!({ "id": webhook.id, "since": since.0 - 1, "until": since.0 + 1,
                         "include_delivered": true });
    post("/v1/webhooks/replay", replay).hang_up(nothing).await;
    receiver.wait_for(3, SOON).await.unwrap();
    let all = tenant.client.deliveries(&Deliveries::default()).send().await.unwrap().value.data;
    assert_eq!(all.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn whenever_it_hangs_up_a_revoked_key_is_refused() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let address = server.url.strip_prefix("http://").unwrap();
    for step in 0..40_u32 {
        let made =
            server.admin().create_key(&CreateKey::new(tenant.account, "gone")).await.unwrap();
        let (id, key) = (made.value.key.id, made.value.secret.reveal().to_owned());
        server.client(&key).lines().await.unwrap();
        let body = json!({ "id": id }).to_string();
        let request = format!(
            "POST /admin/v1/keys/revoke HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            server.operator_token(),
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // No condition to wait for: each next client hangs up a little later in the work.
        tokio::time::sleep(Duration::from_micros(100) * step).await;
        drop(stream);
        // Either nothing has happened, and never will, or all of it.
        eventually("the key is as the store has it", async || {
            let keys = server.admin().keys().await.unwrap().value.data;
            let is_revoked = keys.iter().find(|one| one.id == id).unwrap().revoked_at.is_some();
            let answer = Call::get("/v1/lines").key(&key).send(&server.url).await;
            (is_revoked == (answer.status == 401)).then_some(())
        })
        .await;
    }
    add_line(&server, tenant.account, SECOND).await;
    server.stop().await;
}
