//! The access log and the first line: who asked for what and how it ended, and never what was in it.

use std::fs;

use http::Method;
use serde_json::{Value, json};
use switchboard_client::{Client, CreateKey};
use switchboard_testkit::eventually;
use tokio::net::TcpStream;

use crate::{
    process::{ANY_PORT, Dev, run, switchboard},
    serve::Serve,
};

const HANDLE: &str = "+15550100077";
const SECRET: &str = "a-secret-that-nobody-may-log";

struct Asked {
    request_id: String,
    key: String,
    account: String,
    /// What must not be in the log.
    never: Vec<String>,
}

/// Asks for all kinds of things, the last of which is a message.
async fn ask(url: &str, operator: &str) -> Asked {
    let admin = Client::builder(url).key(operator).build_admin().unwrap();
    let account = admin.create_account("Access").await.unwrap().value;
    let key = admin.create_key(&CreateKey::new(account.id, "access")).await.unwrap().value;
    let secret = key.secret.reveal().to_owned();
    let client = Client::new(url, &secret).unwrap();
    let query = format!("/v1/messages?from=%2B15550100077&cursor={SECRET}");
    client.request(Method::GET, &query, None, &[]).await.unwrap();
    client.request(Method::GET, &format!("/v1/{SECRET}"), None, &[]).await.unwrap();
    let other = Method::from_bytes(SECRET.to_uppercase().as_bytes()).unwrap();
    client.request(other, "/v1/lines", None, &[]).await.unwrap();
    Client::new(url, SECRET).unwrap().request(Method::GET, "/v1/lines", None, &[]).await.unwrap();
    let body = json!({ "from": HANDLE, "to": HANDLE, "text": SECRET }).to_string();
    let sent = client.request(Method::POST, "/v1/messages", Some(body.into()), &[]).await.unwrap();
    assert_eq!(sent.status, 404, "{}", sent.body);
    admin.revoke_key(key.key.id).await.unwrap();
    Asked {
        request_id: sent.headers["x-request-id"].to_str().unwrap().to_owned(),
        key: key.key.id.to_string(),
        account: account.id.to_string(),
        never: vec![
            HANDLE.trim_start_matches('+').to_owned(),
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            secret,
            operator.to_owned(),
        ],
    }
}

#[tokio::test]
async fn each_request_has_one_line_in_text() {
    let dir = tempfile::tempdir().unwrap();
    let server = Serve::start(&mut Serve::command(dir.path())).await;
    let token = fs::read_to_string(dir.path().join("operator-token")).unwrap();
    let asked = ask(&server.url, token.trim()).await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let stderr = server.process.stop("TERM").await;

    let first = stderr.lines().next().unwrap();
    let data_dir = dir.path().display().to_string();
    for part in ["INFO", "starting", env!("CARGO_PKG_VERSION"), &*data_dir, &*address] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let of_it: Vec<_> = stderr.lines().filter(|line| line.contains(&asked.request_id)).collect();
    let [line] = of_it[..] else { panic!("{stderr}") };
    let (key, account) = (format!("key={}", asked.key), format!("account={}", asked.account));
    for part in [
        "INFO",
        "method=\"POST\"",
        "route=\"/v1/messages\"",
        "status=404",
        "duration_ms=",
        &*key,
        &*account,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    for action in ["accounts.create", "keys.create", "keys.revoke"] {
        let line = stderr.lines().find(|line| line.contains(action)).expect(action);
        assert!(line.contains("operator at 127.0.0.1:"), "{line}");
        assert!(line.contains(&asked.account), "{line}");
    }
    assert!(stderr.contains("route=\"other\"") && stderr.contains("method=\"other\""), "{stderr}");
    for never in asked.never {
        assert!(!stderr.contains(&never), "{never}: {stderr}");
    }
}

#[tokio::test]
async fn each_request_has_one_object_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Serve::command(dir.path());
    let server = Serve::start(command.args(["--log-format", "json"])).await;
    let token = fs::read_to_string(dir.path().join("operator-token")).unwrap();
    let asked = ask(&server.url, token.trim()).await;
    let stderr = server.process.stop("TERM").await;
    let lines: Vec<Value> =
        stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines[0]["fields"]["message"], "starting");
    assert_eq!(lines[0]["fields"]["version"], env!("CARGO_PKG_VERSION"));
    let is_it = |line: &&Value| line["span"]["request_id"] == *asked.request_id;
    let of_it: Vec<_> = lines.iter().filter(is_it).collect();
    let [line] = of_it[..] else { panic!("{stderr}") };
    let span = &line["span"];
    assert_eq!((&line["level"], &span["status"]), (&json!("INFO"), &json!(404)));
    assert_eq!((&span["method"], &span["route"]), (&json!("POST"), &json!("/v1/messages")));
    assert_eq!((&span["key"], &span["account"]), (&json!(asked.key), &json!(asked.account)));
    assert!(span["duration_ms"].as_f64().is_some_and(|millis| millis > 0.0), "{line}");
    for never in asked.never {
        assert!(!stderr.contains(&never), "{never}: {stderr}");
    }
}

#[tokio::test]
async fn a_full_house_is_said_once_on_every_listener() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Dev::command(dir.path(), ANY_PORT);
    command.args(["--json", "--rate-limit", "1000000"]);
    command.env("SWITCHBOARD_MAX_CONNECTIONS", "3");
    command.env("SWITCHBOARD_METRICS_LISTEN", "127.0.0.1:0");
    let dev = Dev::ready(command.args(["--log", "info"])).await;
    let metrics = eventually("it says where its metrics are", async || {
        let stderr = dev.process.stderr();
        let line = stderr.lines().find(|line| line.contains("listening for metrics"))?;
        line.split("addr=").nth(1).map(|address| address.trim().to_owned())
    })
    .await;
    let api = dev.ready.api_url.strip_prefix("http://").unwrap().to_owned();
    let mut open = Vec::new();
    for (address, most) in [(&api, 3), (&metrics, 64)] {
        for _ in 0..most + 2 {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        eventually("it is said", async || {
            let stderr = dev.process.stderr();
            let said = |line: &&str| {
                line.contains("as many connections")
                    && line.contains(&format!("listener={address}"))
            };
            stderr.lines().find(said).map(|line| {
                assert!(line.contains(&format!("max_connections={most}")), "{line}");
            })
        })
        .await;
    }
    drop(open);
    dev.ready.client().lines().await.unwrap();
    let stderr = dev.process.stop("TERM").await;
    assert_eq!(stderr.matches("as many connections").count(), 2, "{stderr}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_development_server_takes_more_than_a_thousand_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let address = dev.ready.api_url.strip_prefix("http://").unwrap();
    let mut open = Vec::new();
    for _ in 0..1_050 {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    dev.ready.client().lines().await.unwrap();
    dev.stop().await;
    drop(open);
}

#[tokio::test]
async fn a_wrong_operator_token_is_logged_with_its_address_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Serve::command(dir.path());
    command.args(["--admin-listen", "127.0.0.1:0"]);
    let server = Serve::start(&mut command).await;
    let line = eventually("it says where the operator's address is", async || {
        let stderr = server.process.stderr();
        stderr.lines().find(|line| line.contains("listening for the operator")).map(str::to_owned)
    })
    .await;
    let own = format!("http://{}", line.split("addr=").nth(1).unwrap().trim());
    let admin = |url: &str, token: &str| {
        let mut command = switchboard();
        command.args(["admin", "keys", "list", "--url", url]).arg("--data-dir").arg(dir.path());
        command.env("SWITCHBOARD_OPERATOR_TOKEN", token);
        command
    };
    let token = fs::read_to_string(dir.path().join("operator-token")).unwrap();
    run(&mut admin(&own, token.trim())).await.succeeded();
    run(&mut admin(&server.url, token.trim())).await.failed(1);
    run(&mut admin(&own, SECRET)).await.failed(1);
    let stderr = server.process.stop("TERM").await;
    let lines: Vec<_> =
        stderr.lines().filter(|line| line.contains("wrong operator token")).collect();
    let [line] = lines[..] else { panic!("{stderr}") };
    assert!(line.contains("WARN") && line.contains("address=127.0.0.1 "), "{line}");
    assert!(!stderr.contains(SECRET), "{stderr}");
}

#[tokio::test]
async fn an_address_for_the_operator_that_is_taken_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(ANY_PORT).unwrap();
    let mut command = Serve::command(dir.path());
    command.args(["--admin-listen", &taken.local_addr().unwrap().to_string()]);
    let said = run(&mut command).await.failed(1);
    assert!(said.contains("--admin-listen"), "{said}");
}
