//! GET /health and GET /live on the main listener: for load balancers and supervisors, without a key.

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard_client::SendMessage;
use switchboard_testkit::{LINE, Setup, TestServer, eventually};

use crate::{
    call::Call,
    world::{CONTACT, OPEN},
};

async fn look(server: &TestServer, path: &str) -> (u16, Value) {
    let answer = Call::get(path).open(&server.url).await;
    assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn all_is_well_while_the_server_writes_and_reads() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let (status, body) = look(&server, "/health").await;
    assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
    assert_eq!((&body["reasons"], &body["warnings"]), (&json!([]), &json!([])), "{body}");
    assert_eq!(
        (&body["store"]["works"], &body["store"]["writer_alive"]),
        (&json!(true), &json!(true))
    );
    assert!(
        body["store"]["probe_ms"].is_u64() && body["disk"]["free_bytes"].as_u64() > Some(0),
        "{body}"
    );
    // It asks for no key, so it tells no secret.
    let text = body.to_string();
    let secrets = ["ln_", "acc_", "obx_", "wh_", LINE, CONTACT, &*tenant.key];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret}: {body}");
    }
    eventually("the line is told to be online", async || {
        let simulator = look(&server, "/health").await.1["drivers"]["simulator"].clone();
        (simulator["lines"] == 1 && simulator["online"] == 1).then_some(())
    })
    .await;
    assert_eq!(look(&server, "/live").await, (200, json!({ "status": "ok" })));
    server.stop().await;
}

#[tokio::test]
async fn a_line_that_is_away_while_something_waits_is_told_and_is_no_red() {
    let server = Setup::new().unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    tenant.client.send_message(&SendMessage::text(OPEN, CONTACT, "waits")).await.unwrap();
    let (status, body) = look(&server, "/health").await;
    assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
    assert_eq!(body["warnings"], json!(["lines_offline_with_pending"]));
    let simulator = &body["drivers"]["simulator"];
    let shown = ["lines", "online", "pending", "offline_with_pending"].map(|name| &simulator[name]);
    assert_eq!(shown, [&json!(2), &json!(0), &json!(1), &json!(1)], "{body}");
    assert!(simulator["oldest_pending_age_ms"].is_u64(), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn a_disk_with_little_room_is_red_before_it_is_full() {
    let setup = Setup::new().unlinked().config(|config| config.health_min_disk_free = u64::MAX);
    let server = setup.start().await;
    let (status, body) = look(&server, "/health").await;
    assert_eq!((status, &body["status"]), (503, &json!("disk_low")), "{body}");
    assert_eq!(body["reasons"], json!(["disk_low"]));
    assert_eq!(look(&server, "/live").await.0, 200, "a restart makes no room");
    server.stop().await;
}

#[tokio::test]
async fn without_a_writer_it_is_red_and_wants_a_restart() {
    let server = Setup::new().unlinked().start().await;
    assert_eq!(look(&server, "/live").await.0, 200);
    server.store.close().await;
    let (status, body) = look(&server, "/health").await;
    assert_eq!((status, &body["status"]), (503, &json!("store_unavailable")), "{body}");
    assert_eq!(body["reasons"], json!(["store_unavailable", "writer_stopped"]));
    assert_eq!(look(&server, "/live").await, (503, json!({ "status": "writer_stopped" })));
    server.stop_with_errors().await;
}

#[tokio::test]
async fn who_asks_all_the_time_does_not_load_the_store() {
    let server = Setup::new().unlinked().start().await;
    let before = server.store.stats().commands;
    let began = std::time::Instant::now();
    for _ in 0..10 {
        for (status, body) in join_all((0..50).map(|_| look(&server, "/health"))).await {
            assert_eq!(status, 200, "{body}");
        }
    }
    // One a second, beside the four jobs that write each second.
    let most = (began.elapsed().as_secs() + 2) * 8;
    let more = server.store.stats().commands - before;
    assert!((1..=most).contains(&more), "{more} commands");
    server.stop().await;
}
