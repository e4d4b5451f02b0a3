//! The figures for who is on duty: that they follow what happens, that a real parser takes them, and that the
//! dashboard and the alerts ask for what there is.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use http::Method;
use serde_json::{Value, json};
use switchboard_client::{SendMessage, SetFault};
use switchboard_model::{outbox::OutboxStatus, simulator::FaultMode};
use switchboard_testkit::{LINE, Receiver, Setup, TestServer, eventually, is_on_postgres};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    call::Call,
    deliveries::hook,
    live::Live,
    metrics::{figure, watched},
    wire::talk,
    world::{CONTACT, OPEN, SOON, settled},
};

/// In the format that `promtool` reads.
async fn classic(server: &TestServer) -> String {
    let call = Call::get("/metrics").header("accept", "text/plain");
    let answer = call.open(&server.metrics_url()).await;
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.text().await.unwrap()
}

/// Prometheus' own judge.
fn promtool(args: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is installed (Debian's package 'prometheus')");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{args:?}: {said:?}\n{input}");
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// Something of everything has happened on it.
async fn busy() -> TestServer {
    let server = watched(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "in").await;
    receiver.wait_for_count(1, SOON).await.unwrap();
    tenant.client.send_message(&SendMessage::text(LINE, CONTACT, "out")).await.unwrap();
    eventually("it is sent", async || {
        (figure(&server, "messages_sent_total").await == 1.0).then_some(())
    })
    .await;
    server
}

/// The requests that were answered so.
async fn requests(server: &TestServer, method: &str, route: &str, status: u16) -> f64 {
    let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
    figure(server, &format!("http_requests_total{{{labels}}}")).await
}

#[tokio::test]
async fn requests_are_counted_by_their_route_and_status() {
    let setup = watched(Setup::new().unlinked()).config(|config| config.rate_limit = 3);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    let send = Call::post("/v1/messages", &json!({ "from": OPEN, "to": CONTACT, "text": "x" }));
    assert_eq!(send.send(&server.url).await.status, 401);
    for status in [201, 201, 201, 429] {
        assert_eq!(send.clone().key(&tenant.key).send(&server.url).await.status, status);
    }
    let elsewhere = Call::new(Method::GET, "/v1/acc_secret");
    assert_eq!(elsewhere.send(&server.url).await.status, 404);
    for (method, status) in [(Method::POST, 405), (Method::OPTIONS, 204), (Method::HEAD, 401)] {
        assert_eq!(Call::new(method, "/v1/lines").send(&server.url).await.status, status);
    }
    let refused = talk(&server.url, b"GET /v1/lines?q=a b HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");

    for (method, route, status, wanted) in [
        ("POST", "/v1/messages", 401, 1.0),
        ("POST", "/v1/messages", 201, 3.0),
        ("POST", "/v1/messages", 429, 1.0),
        // There from the first request on, or the first error would be no increase.
        ("POST", "/v1/messages", 500, 0.0),
        ("other", "/v1/lines", 405, 1.0),
        ("other", "/v1/lines", 204, 1.0),
        ("GET", "/v1/lines", 401, 1.0),
        ("other", "other", 404, 1.0),
        ("other", "other", 400, 1.0),
    ] {
        let what = format!("{method} {route} {status}");
        assert_eq!(requests(&server, method, route, status).await, wanted, "{what}");
    }
    assert!(requests(&server, "GET", "/metrics", 200).await > 8.0);
    let labels = "{method=\"POST\",route=\"/v1/messages\"}";
    let times = format!("http_request_duration_seconds_count{labels}");
    assert_eq!(figure(&server, &times).await, 5.0);
    let sum = figure(&server, &format!("http_request_duration_seconds_sum{labels}")).await;
    assert!(sum > 0.0 && sum < 60.0, "{sum}");
    server.stop().await;
}

#[tokio::test]
async fn who_hangs_up_before_the_answer_is_counted() {
    let server = watched(Setup::new().unlinked()).start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    let body = json!({ "from": OPEN, "to": CONTACT, "text": "x" }).to_string();
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        tenant.key,
        body.len()
    );
    let held = server.hold_writes().await;
    let address = server.url.strip_prefix("http://").unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    eventually("it is under way", async || {
        (figure(&server, "http_requests_in_flight").await == 1.0).then_some(())
    })
    .await;
    drop(client);
    eventually("it is not any more", async || {
        (figure(&server, "http_requests_in_flight").await == 0.0).then_some(())
    })
    .await;
    drop(held);
    let labels = "{method=\"POST\",route=\"/v1/messages\"}";
    assert_eq!(figure(&server, &format!("http_requests_abandoned_total{labels}")).await, 1.0);
    server.stop().await;
}

#[tokio::test]
async fn streams_and_connections_are_shown_while_they_last() {
    let server = watched(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    assert_eq!(figure(&server, "event_streams").await, 0.0);
    let before = figure(&server, "http_connections").await;
    let stream = Live::open(&server, &tenant.key, "").await;
    for (name, wanted) in [("event_streams", 1.0), ("http_requests_in_flight", 1.0)] {
        assert_eq!(figure(&server, name).await, wanted, "{name}");
    }
    let open = figure(&server, "http_connections").await;
    assert!(open > before && open <= figure(&server, "http_connections_limit").await, "{open}");
    drop(stream);
    for name in ["event_streams", "http_requests_in_flight"] {
        eventually(&format!("{name} is 0"), async || {
            (figure(&server, name).await == 0.0).then_some(())
        })
        .await;
    }
    server.stop().await;
}

#[tokio::test]
async fn messages_that_fail_and_those_of_unknown_fate_are_told_apart() {
    let server = watched(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "in").await;
    for (mode, failed, unknown) in
        [(FaultMode::Reject, 1.0, 0.0), (FaultMode::LoseReport, 1.0, 1.0)]
    {
        let fault = SetFault { count: Some(1), ..SetFault::new(LINE, mode) };
        server.phones().fault(&fault).await.unwrap();
        let sent = tenant.client.send_message(&SendMessage::text(LINE, CONTACT, "out")).await;
        settled(&tenant, sent.unwrap().value.id, OutboxStatus::Failed).await;
        for (name, wanted) in
            [("messages_failed_total", failed), ("messages_unknown_total", unknown)]
        {
            eventually(&format!("{name} is {wanted}"), async || {
                (figure(&server, name).await == wanted).then_some(())
            })
            .await;
        }
    }
    assert_eq!(figure(&server, "messages_sent_total").await, 0.0);
    server.stop().await;
}

#[tokio::test]
async fn messages_lines_and_what_waits_are_shown() {
    let server = busy().await;
    let driver = "{driver=\"simulator\"}";
    for (name, wanted) in [
        ("messages_received_total".to_owned(), 1.0),
        ("messages_failed_total".to_owned(), 0.0),
        ("messages_unknown_total".to_owned(), 0.0),
        (format!("lines{driver}"), 1.0),
        (format!("lines_online{driver}"), 1.0),
        (format!("outbox_pending{driver}"), 0.0),
        (format!("lines_offline_with_pending{driver}"), 0.0),
        ("store_up".to_owned(), 1.0),
        ("store_writer_up".to_owned(), 1.0),
        ("http_requests_in_flight".to_owned(), 0.0),
        ("store_commit_failures_total".to_owned(), 0.0),
    ] {
        eventually(&format!("{name} is {wanted}"), async || {
            (figure(&server, &name).await == wanted).then_some(())
        })
        .await;
    }
    let sqlites = (!is_on_postgres()).then_some("store_wal_bytes");
    for name in ["store_database_bytes", "disk_free_bytes"].into_iter().chain(sqlites) {
        assert!(figure(&server, name).await >= 4096.0, "{name}");
    }
    assert!(figure(&server, "store_commit_duration_seconds_count").await > 3.0);
    let shown = classic(&server).await;
    // No label tells of an account, and none is made by a caller.
    for secret in ["acc_", "ln_", "obx_", "wh_", "brg_", LINE, CONTACT] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    server.stop().await;

    let server = watched(Setup::new().unlinked()).start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    for _ in 0..2 {
        tenant.client.send_message(&SendMessage::text(OPEN, CONTACT, "x")).await.unwrap();
    }
    for (name, wanted) in [("outbox_pending", 2.0), ("lines_offline_with_pending", 1.0)] {
        assert_eq!(figure(&server, &format!("{name}{driver}")).await, wanted, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn prometheus_takes_what_is_shown() {
    let server = busy().await;
    promtool(&["check", "metrics"], &classic(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn the_dashboard_the_alerts_and_the_manual_ask_for_what_there_is() {
    let server = busy().await;
    let shown = classic(&server).await;
    let there: BTreeSet<&str> =
        shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rules = docs("monitoring/alerts.yml");
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    let dashboard = std::fs::read_to_string(docs("monitoring/dashboard.json")).unwrap();
    let json: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(json["panels"].as_array().unwrap().len() > 10, "it is a dashboard");
    promtool(&["check", "rules", "/dev/stdin"], &queries(&json).to_string());
    let manual = std::fs::read_to_string(docs("monitoring.md")).unwrap();
    let in_manual = names(&manual);
    for (what, text) in [
        ("the dashboard", dashboard),
        ("the alerts", std::fs::read_to_string(rules).unwrap()),
        ("the manual", manual.clone()),
    ] {
        let asked = names(&text);
        assert!(asked.len() > 10, "{what} asks for {asked:?}");
        let missing: Vec<_> = asked.iter().filter(|name| !there.contains(&***name)).collect();
        assert!(missing.is_empty(), "{what} asks for what is not there: {missing:?}");
    }
    for name in there {
        // The manual names a limit with what it limits.
        let limited = name.strip_suffix("_limit");
        let is_told = in_manual.contains(name)
            || limited.is_some_and(|name| {
                in_manual.contains(name) || in_manual.contains(&format!("{name}_depth"))
            });
        assert!(is_told, "the manual says nothing of {name}");
    }
    server.stop().await;
}

/// The queries of a dashboard as rules, which promtool can parse: JSON is YAML.
fn queries(dashboard: &Value) -> Value {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules = targets.enumerate().map(|(number, target)| {
        let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
        json!({ "record": format!("query:{number}"), "expr": query })
    });
    json!({ "groups": [{ "name": "dashboard", "rules": rules.collect::<Vec<_>>() }] })
}

/// The names of metrics in a text; of a histogram, its own.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("switchboard_") || word.starts_with("process_"))
        // The crate, as the log names it.
        .filter(|word| *word != "switchboard_server")
        .map(|word| {
            let suffixes = ["_bucket", "_sum", "_count"];
            suffixes.iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word).to_owned()
        })
        .collect()
}
