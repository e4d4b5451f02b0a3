//! `switchboard dev`: what a person sees in the first minute, and what goes wrong in it.

use std::os::unix::fs::PermissionsExt as _;
use std::{fs, net::TcpListener, path::Path, time::Duration};

use serde_json::Value;
use switchboard_client::{ContactText, CreateWebhook, SendMessage};
use switchboard_model::{EventKind, Line, id::Id, outbox::OutboxStatus, simulator::NEVER_ANSWERS};
use switchboard_testkit::{LINE, Receiver, eventually, receiver::Behaviour};
use tokio::{io::AsyncWriteExt, net::TcpStream, process::Command};

use crate::process::{ANY_PORT, Dev, Done, Process, mode, run, run_args, switchboard};

/// The last line of what a person is told.
const WELCOME_ENDS: &str = "Ctrl-C stops it.";

/// Where SQLite keeps a database's `user_version`, as four bytes, highest first.
const USER_VERSION_AT: usize = 60;

#[tokio::test]
async fn a_script_gets_one_line_and_the_same_at_every_start() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("made/by/dev");
    let mut process = Process::spawn(Dev::command(&dir, ANY_PORT).arg("--json"));
    let line = process.line().await;
    let printed: Value = serde_json::from_str(&line).unwrap();
    let names: Vec<_> = printed.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["api_key", "api_url", "line", "operator_token", "sandbox_line", "simulator_url"]
    );
    // It answers as soon as it has said so; and stop() finds nothing more on stdout.
    let ready: crate::process::Ready = serde_json::from_str(&line).unwrap();
    assert_eq!(ready.simulator_url, format!("{}/simulator/v1", ready.api_url));
    let lines = ready.client().lines().await.unwrap().value.data;
    // Its own and the shared one.
    assert_eq!((lines.len(), lines[0].handle.as_str()), (2, LINE));
    assert_eq!(ready.line, LINE);
    for name in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&dir.join(format!("switchboard.db{name}"))), 0o600, "{name}");
    }
    assert_eq!(process.stop("TERM").await, "", "a start in peace says nothing");

    assert_eq!((mode(&dir), mode(&dir.join("dev.json"))), (0o700, 0o600));
    assert_eq!(mode(&dir.join("simulator.jsonl")), 0o600);

    let again = Dev::start(&dir, ANY_PORT).await;
    assert_eq!(again.ready.api_key, ready.api_key);
    assert_eq!(again.ready.line, ready.line);
    assert_eq!(again.ready.operator_token, ready.operator_token);
    let same = again.ready.client().lines().await.unwrap().value.data;
    assert_eq!(same[0].id, lines[0].id);
    // Its own and the one that the shared line belongs to.
    assert_eq!(again.ready.admin().accounts().await.unwrap().value.data.len(), 2);
    assert_eq!(again.ready.admin().keys().await.unwrap().value.data.len(), 1);
    again.stop().await;
}

#[tokio::test]
async fn a_person_gets_three_commands_that_work() {
    let dir = tempfile::tempdir().unwrap();
    let first = Dev::start(dir.path(), ANY_PORT).await;
    let ready = first.ready.clone();
    first.stop().await;
    let mut process = Process::spawn(&mut Dev::command(dir.path(), ANY_PORT));
    let mut welcome = vec![process.line().await];
    while welcome.last().unwrap() != WELCOME_ENDS {
        welcome.push(process.line().await);
    }
    let text = welcome.join("\n");
    for shown in [&ready.api_key, &ready.line, "http://127.0.0.1:", "/v1"] {
        assert!(text.contains(shown), "{shown} is missing: {text}");
    }
    let commands: Vec<String> = text
        .split("\n\n")
        .filter(|paragraph| paragraph.trim_start().starts_with("curl"))
        .map(str::to_owned)
        .collect();
    assert_eq!(commands.len(), 3, "{text}");

    let texted = paste(&commands[0]).await;
    assert!(texted["message_id"].is_string(), "{texted}");
    let accepted = paste(&commands[1]).await;
    assert_eq!(accepted["status"], "pending");
    let phone = eventually("the phone shows the answer", async || {
        let phone = paste(&commands[2]).await;
        (phone["messages"] != Value::Array(vec![])).then_some(phone)
    })
    .await;
    assert_eq!(phone["messages"][0]["text"], "Hello back");
    process.stop("INT").await;
}

async fn paste(command: &str) -> Value {
    let mut shell = Command::new("sh");
    // A proxy of the machine that runs the tests is not on the way to loopback.
    shell.args(["-c", command]).env("NO_PROXY", "*");
    serde_json::from_str(&run(&mut shell).await.succeeded()).unwrap()
}

/// A proxy would dial for the server, past its guard.
#[tokio::test]
async fn deliveries_go_by_no_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = TcpListener::bind(ANY_PORT).unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = Dev::command(dir.path(), ANY_PORT);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env(name, &url);
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY").arg("--json");
    let dev = Dev::ready(&mut command).await;
    let receiver = Receiver::start().await;
    let wanted = CreateWebhook::new(&dev.ready.line, receiver.url(), [EventKind::MessageReceived]);
    dev.ready.client().create_webhook(&wanted).await.unwrap();
    let text = ContactText {
        line: dev.ready.line.clone(),
        from: "+15550100002".into(),
        text: Some("hello".into()),
        ..ContactText::default()
    };
    dev.ready.phones().text(&text).await.unwrap();
    receiver.wait_for(1, Duration::from_secs(10)).await.unwrap();
    assert!(proxy.accept().is_err(), "nobody has asked the proxy");
    dev.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(ANY_PORT).unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let said = refused(dir.path(), &listen).await;
    for part in [&*listen, "--listen", "in use"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_said() {
    // A file in its place: permissions would not stop root.
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "mine").unwrap();
    for dir in [file.clone(), file.join("below")] {
        let said = refused(&dir, ANY_PORT).await;
        assert!(said.contains(dir.to_str().unwrap()), "{said}");
        assert!(said.contains("data directory"), "{said}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_said_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    Dev::start(dir.path(), ANY_PORT).await.stop().await;
    let path = dir.path().join("switchboard.db");
    assert!(!dir.path().join("switchboard.db-wal").exists(), "a good stop leaves no log");
    let mut database = fs::read(&path).unwrap();
    database[USER_VERSION_AT..][..4].copy_from_slice(&999u32.to_be_bytes());
    fs::write(&path, &database).unwrap();
    let said = refused(dir.path(), ANY_PORT).await;
    for part in [path.to_str().unwrap(), "999", "newer"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fs::read(&path).unwrap(), database);
}

#[tokio::test]
async fn files_that_are_something_else_are_said_and_left_alone() {
    for name in ["switchboard.db", "dev.json", "simulator.jsonl"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let text = "something else\n".repeat(1000);
        fs::write(&path, &text).unwrap();
        // Private already: what is open is told of too.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let said = refused(dir.path(), ANY_PORT).await;
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_damaged_key_is_replaced_as_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let first = Dev::start(dir.path(), ANY_PORT).await;
    let (ready, line) = (first.ready.clone(), the_line(&first).await);
    first.stop().await;
    let path = dir.path().join("dev.json");
    let damaged = fs::read_to_string(&path).unwrap().replace("sk_live_", "sk_dead_");
    fs::write(&path, damaged).unwrap();
    let said = refused(dir.path(), ANY_PORT).await;
    assert!(said.contains("dev.json") && said.contains("delete it"), "{said}");

    fs::remove_file(path).unwrap();
    for _ in 0..2 {
        let dev = Dev::start(dir.path(), ANY_PORT).await;
        assert_ne!(dev.ready.api_key, ready.api_key);
        assert_eq!(the_line(&dev).await, line);
        assert_eq!(dev.ready.admin().accounts().await.unwrap().value.data.len(), 2);
        assert_eq!(dev.ready.admin().keys().await.unwrap().value.data.len(), 2);
        dev.stop().await;
    }
}

async fn the_line(dev: &Dev) -> Id<Line> {
    let lines = dev.ready.client().lines().await.unwrap().value.data;
    assert_eq!(lines.len(), 2);
    lines[0].id
}

#[tokio::test]
async fn the_environment_has_no_say_in_what_dev_decides() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Dev::command(dir.path(), ANY_PORT);
    command.arg("--json");
    for name in ["LISTEN", "RATE_LIMIT", "OPERATOR_TOKEN", "SIMULATOR", "WEBHOOK_ALLOW_HTTP"] {
        command.env(format!("SWITCHBOARD_{name}"), "zzz");
    }
    command.env("SWITCHBOARD_DATA_DIR", "").env("SWITCHBOARD_LOG_FORMAT", "zzz");
    Dev::ready(&mut command).await.stop().await;

    // In all else it has, and a mistake is said in one line.
    for (value, reason) in [("0", "0 is not in 1..=3600"), ("zzz", "invalid digit")] {
        let mut command = Dev::command(dir.path(), ANY_PORT);
        let said = run(command.env("SWITCHBOARD_CLAIM_LEASE", value)).await.failed(1);
        assert!(said.starts_with("error: SWITCHBOARD_CLAIM_LEASE "), "{said}");
        assert!(said.contains(reason) && said.lines().count() == 1, "{said}");
        assert_eq!(said.matches("error").count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_directory_in_use_is_said_and_the_user_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = Dev::start(dir.path(), ANY_PORT).await;
    let said = refused(dir.path(), ANY_PORT).await;
    assert!(said.contains("in use by another switchboard"), "{said}");
    first.ready.client().lines().await.unwrap();
    first.stop().await;
}

/// `dev` refuses to start: exit code 1, nothing on stdout, one line on stderr.
async fn refused(dir: &Path, listen: &str) -> String {
    let said = run(Dev::command(dir, listen).arg("--json")).await.failed(1);
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
    said
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    for args in [
        &["dev", "--rate-limit", "0"][..],
        &["dev", "--listen", "nowhere"],
        &["dev", "--simulator"],
        &["frobnicate"],
        &[],
    ] {
        let said = run_args(args).await.failed(2);
        assert!(said.contains("--help") || said.contains("Usage:"), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn it_stops_in_time_whatever_is_open() {
    for signal in ["TERM", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Dev::command(dir.path(), ANY_PORT);
        command.args(["--json", "--rate-limit", "1000000"]).env("SWITCHBOARD_STOP_TIMEOUT", "1");
        let dev = Dev::ready(&mut command).await;
        let (ready, client) = (&dev.ready, dev.ready.client());

        // A webhook whose receiver never answers, and an item that the driver never finishes.
        let receiver = Receiver::start().await;
        receiver.set(Behaviour::Stall);
        let events = [EventKind::MessageReceived];
        let webhook = CreateWebhook::new(LINE, receiver.url(), events);
        client.create_webhook(&webhook).await.unwrap();
        ready.phones().text(&ContactText::new(LINE, NEVER_ANSWERS, "Hi")).await.unwrap();
        receiver.wait_for_count(1, Duration::from_secs(10)).await.unwrap();
        let text = SendMessage::text(LINE, NEVER_ANSWERS, "Hello?");
        let item = client.send_message(&text).await.unwrap().value.id;
        eventually("the driver has the item", async || {
            let item = client.outbox(item).await.unwrap().value;
            (item.status == OutboxStatus::Claimed).then_some(())
        })
        .await;

        // Connections that are idle, in a head, in a body.
        let address = ready.api_url.strip_prefix("http://").unwrap();
        let mut open = Vec::new();
        let head = format!("Host: x\r\nAuthorization: Bearer {}\r\n", ready.api_key);
        for begun in [
            String::new(),
            format!("GET /v1/lines HTTP/1.1\r\n{head}"),
            format!("POST /v1/messages HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\n{{"),
        ] {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(begun.as_bytes()).await.unwrap();
            open.push(connection);
        }
        dev.process.stop(signal).await;
        receiver.set(Behaviour::ok());

        // What was in the driver's hands is explained after the next start, and nothing is lost.
        let dev = Dev::start(dir.path(), ANY_PORT).await;
        dev.ready.client().outbox(item).await.unwrap();
        dev.stop().await;
        drop(open);
    }
}

#[tokio::test]
async fn a_reader_that_went_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut dev = Dev::command(dir.path(), ANY_PORT);
    dev.arg("--json");
    let (mut config, mut help) = (switchboard(), switchboard());
    config.args(["serve", "--print-config"]);
    help.arg("--help");
    for command in [&mut dev, &mut config, &mut help] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = command.stdout(writer).spawn().unwrap();
        let output = child.wait_with_output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let done = Done { code: output.status.code(), stdout: String::new(), stderr };
        done.succeeded();
    }
}
