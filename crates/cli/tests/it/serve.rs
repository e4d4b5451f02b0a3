//! `switchboard serve`: configured by flags and environment, and closed until the operator opens it.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use switchboard_client::Client;
use switchboard_model::Code;
use switchboard_testkit::{eventually, judge};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::process::{ANY_PORT, Process, mode, run, switchboard, without_settings};

/// A server as in production.
pub(crate) struct Serve {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Serve {
    pub(crate) fn command(dir: &Path) -> Command {
        let mut command = switchboard();
        command.args(["serve", "--listen", ANY_PORT]).arg("--data-dir").arg(dir);
        command
    }

    /// Starts one and waits until it says where it listens.
    pub(crate) async fn start(command: &mut Command) -> Self {
        let process = Process::spawn(command);
        let address = eventually("it listens", async || {
            let stderr = process.stderr();
            let listening = stderr.lines().find(|line| line.contains("listening"))?.to_owned();
            let text = listening.split("addr=").nth(1).map(str::trim);
            let json =
                listening.split(r#""addr":""#).nth(1).and_then(|rest| rest.split('"').next());
            text.or(json).map(str::to_owned)
        })
        .await;
        Self { process, url: format!("http://{address}") }
    }
}

/// The settings of an environment file.
fn settings(file: &str) -> BTreeMap<&str, &str> {
    let set = file.lines().filter(|line| !line.starts_with('#'));
    set.map(|line| line.split_once('=').unwrap()).collect()
}

#[tokio::test]
async fn flags_beat_the_environment_and_what_is_printed_means_the_same() {
    let mut command = switchboard();
    command
        .args(["serve", "--print-config", "--listen", "0.0.0.0:81", "--data-dir", "/from the/flag"])
        .args(["--webhook-allow-networks", "10.0.0.0/8,fd00::/8", "--simulator"])
        .args(["--webhook-ports", "443,8000-8999"])
        .env("SWITCHBOARD_LISTEN", "127.0.0.1:82")
        .env("SWITCHBOARD_RATE_LIMIT", "83")
        .env("SWITCHBOARD_WEBHOOK_ALLOW_HTTP", "true")
        .env("SWITCHBOARD_LOG_FORMAT", "json")
        .env("SWITCHBOARD_OPERATOR_TOKEN", "opt_a_secret_of_the_operator");
    let printed = run(&mut command).await.succeeded();
    assert!(!printed.contains("opt_a_secret"), "{printed}");
    let set = settings(&printed);
    for (name, value) in [
        ("LISTEN", "0.0.0.0:81"),
        ("DATA_DIR", "/from the/flag"),
        ("RATE_LIMIT", "83"),
        ("SIMULATOR", "true"),
        ("WEBHOOK_ALLOW_HTTP", "true"),
        ("WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/8,fd00::/8"),
        ("WEBHOOK_PORTS", "443,8000-8999"),
        ("LOG_FORMAT", "json"),
        ("LOG", "info"),
    ] {
        assert_eq!(set.get(&*format!("SWITCHBOARD_{name}")), Some(&value), "{name}");
    }

    // Also the defaults mean the same when they are written out.
    let defaults = run(switchboard().args(["serve", "--print-config"])).await.succeeded();
    assert_eq!(settings(&defaults)["SWITCHBOARD_SIMULATOR"], "false");
    for printed in [printed, defaults] {
        let mut again = switchboard();
        again.args(["serve", "--print-config"]).envs(settings(&printed));
        let token = "# SWITCHBOARD_OPERATOR_TOKEN=(set, not shown)\n";
        let bare = "# SWITCHBOARD_OPERATOR_TOKEN=\n";
        let again = run(&mut again).await.succeeded();
        assert_eq!(again, printed.replace(token, bare));
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_understood_is_wrong_usage() {
    for (name, value) in [
        ("SWITCHBOARD_LISTEN", "nowhere"),
        ("SWITCHBOARD_RATE_LIMIT", "0"),
        ("SWITCHBOARD_SIMULATOR", "perhaps"),
        ("SWITCHBOARD_WEBHOOK_ALLOW_NETWORKS", "10.0.0.0"),
        ("SWITCHBOARD_WEBHOOK_PORTS", "0"),
        ("SWITCHBOARD_WEBHOOK_PORTS", "443,9-8"),
        ("SWITCHBOARD_OPERATOR_TOKEN", "too short"),
        ("SWITCHBOARD_EVENT_RETENTION", "6"),
        ("SWITCHBOARD_EVENT_RETENTION", "213503982334602"),
        ("SWITCHBOARD_LOG_FORMAT", "xml"),
    ] {
        let mut command = switchboard();
        let said = run(command.args(["serve", "--print-config"]).env(name, value)).await.failed(2);
        let flag = name.strip_prefix("SWITCHBOARD_").unwrap().to_lowercase().replace('_', "-");
        assert!(said.contains(&format!("--{flag}")), "{name}: {said}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = Serve::command(dir.path());
    let said = run(command.args(["--log", "=="])).await.failed(1);
    assert!(said.starts_with("error: ") && said.contains("log filter"), "{said}");
}

#[tokio::test]
async fn yes_and_no_are_said_as_people_say_them() {
    for (value, meant) in [("1", "true"), ("yes", "true"), ("0", "false"), ("off", "false")] {
        let mut command = switchboard();
        command.args(["serve", "--print-config"]);
        command.env("SWITCHBOARD_SIMULATOR", value).env("SWITCHBOARD_WEBHOOK_ALLOW_HTTP", value);
        let printed = run(&mut command).await.succeeded();
        assert_eq!(settings(&printed)["SWITCHBOARD_SIMULATOR"], meant, "{value}");
        assert_eq!(settings(&printed)["SWITCHBOARD_WEBHOOK_ALLOW_HTTP"], meant, "{value}");
    }
}

#[tokio::test]
async fn white_space_round_a_setting_is_none_of_it_and_an_empty_one_is_not_set() {
    for (name, written, meant) in [
        ("LISTEN", "127.0.0.1:18110\n", "127.0.0.1:18110"),
        ("LISTEN", " 127.0.0.1:18110\r\n", "127.0.0.1:18110"),
        ("DATA_DIR", "/some where\n", "/some where"),
        ("RATE_LIMIT", "83\n", "83"),
        ("MAX_FILE", "\u{feff}1000 ", "1000"),
        ("LOG_FORMAT", "json\n", "json"),
        ("LOG", "debug\n", "debug"),
        ("SIMULATOR", "true\n", "true"),
        ("SIMULATOR", " 0", "false"),
        ("METRICS_LISTEN", "127.0.0.1:18111\t", "127.0.0.1:18111"),
        ("PUBLIC_URL", " https://example.org/\n", "https://example.org/"),
        ("WEBHOOK_RETRY_SCHEDULE", "1s,2s\n", "1s,2s"),
        ("WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/8, fd00::/8,\n", "10.0.0.0/8,fd00::/8"),
        ("WEBHOOK_PORTS", "443\n", "443"),
    ] {
        let mut command = switchboard();
        command.args(["serve", "--print-config"]).env(format!("SWITCHBOARD_{name}"), written);
        let printed = run(&mut command).await.succeeded();
        assert_eq!(settings(&printed)[&*format!("SWITCHBOARD_{name}")], meant, "{written:?}");
    }
    // The flag wins all the same.
    let mut command = switchboard();
    command.args(["serve", "--print-config", "--rate-limit", "7"]);
    let printed = run(command.env("SWITCHBOARD_RATE_LIMIT", "83\n")).await.succeeded();
    assert_eq!(settings(&printed)["SWITCHBOARD_RATE_LIMIT"], "7");

    // Every setting there is, as compose files write "not set".
    let defaults = run(switchboard().args(["serve", "--print-config"])).await.succeeded();
    let names =
        defaults.lines().map(|line| line.trim_start_matches("# ").split('=').next().unwrap());
    for empty in ["", " \n"] {
        let mut command = switchboard();
        command.args(["serve", "--print-config"]).envs(names.clone().map(|name| (name, empty)));
        assert_eq!(run(&mut command).await.succeeded(), defaults, "{empty:?}");
    }
    let mut command = switchboard();
    command.args(["serve", "--help"]).env("SWITCHBOARD_LISTEN", "");
    assert!(run(&mut command).await.succeeded().contains("[env: SWITCHBOARD_LISTEN="));
    // What is wrong is told as it is.
    let mut command = switchboard();
    let said = run(command.args(["serve"]).env("SWITCHBOARD_RATE_LIMIT", "0\n")).await.failed(2);
    assert!(said.contains("--rate-limit"), "{said}");
}

#[tokio::test]
async fn a_low_limit_of_open_files_is_said_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::command(dir.path());
    let serve = serve.as_std();
    let mut limited = without_settings("sh");
    limited.args(["-c", "ulimit -n 128 && exec \"$0\" \"$@\""]);
    limited.arg(serve.get_program()).args(serve.get_args());
    let server = Serve::start(&mut limited).await;
    let address = server.url.strip_prefix("http://").unwrap();
    let first = TcpStream::connect(address).await.unwrap();
    let mut idle = Vec::new();
    // More than there can be files, and few enough for the system to hold back.
    for _ in 0..120 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    // One of those that were accepted is served, also now.
    let token = fs::read_to_string(dir.path().join("operator-token")).unwrap();
    let head = format!("host: x\r\nauthorization: Bearer {}\r\nconnection: close", token.trim());
    let answer = ask(first, &format!("GET /admin/v1/accounts HTTP/1.1\r\n{head}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(idle);
    let stderr = server.process.stop("TERM").await;
    let warnings: Vec<_> = stderr.lines().filter(|line| line.contains("WARN")).collect();
    let of_files: Vec<_> = warnings.iter().filter(|line| line.contains("open files")).collect();
    assert_eq!(of_files.len(), 1, "{stderr}");
    assert!(!stderr.contains("can't be accepted"), "{stderr}");
}

async fn ask(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_operators_token_is_made_once_and_kept_for_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let file = dir.join("operator-token");
    let server = Serve::start(&mut Serve::command(&dir)).await;
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    let token = fs::read_to_string(&file).unwrap();
    let stderr = server.process.stop("INT").await;
    assert!(stderr.contains(file.to_str().unwrap()), "it says where the token is: {stderr}");
    assert!(!stderr.contains(token.trim()), "it does not say the token: {stderr}");

    let server = Serve::start(&mut Serve::command(&dir)).await;
    assert_eq!(fs::read_to_string(&file).unwrap(), token);
    let admin =
        Client::builder(&server.url).key(token.trim()).observe(judge).build_admin().unwrap();
    assert!(admin.accounts().await.unwrap().value.data.is_empty(), "nothing is made by itself");
    server.process.stop("TERM").await;

    // A configured one needs no file, and the one in the file is worth nothing then.
    let other = "opt_another_token_of_the_operator";
    let mut command = Serve::command(&dir);
    let server = Serve::start(command.env("SWITCHBOARD_OPERATOR_TOKEN", other)).await;
    assert_eq!(admin_code(&server.url, token.trim()).await, Some(Code::InvalidApiKey));
    assert_eq!(admin_code(&server.url, other).await, None);
    server.process.stop("TERM").await;
}

async fn admin_code(url: &str, token: &str) -> Option<Code> {
    let admin = Client::builder(url).key(token).observe(judge).build_admin().unwrap();
    admin.accounts().await.err().map(|error| error.code().unwrap())
}

#[tokio::test]
async fn there_are_no_virtual_phones_unless_they_are_asked_for() {
    for (simulator, status) in [(false, 404), (true, 200)] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Serve::command(dir.path());
        if simulator {
            command.arg("--simulator");
        }
        let server = Serve::start(&mut command).await;
        let token = fs::read_to_string(dir.path().join("operator-token")).unwrap();
        let client = Client::new(&server.url, token.trim()).unwrap();
        let path = "/simulator/v1/phones?handle=%2B15550100002";
        let answer = client.request(http::Method::GET, path, None, &[]).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(dir.path().join("simulator.jsonl").exists(), simulator);
        server.process.stop("TERM").await;
    }
}

#[tokio::test]
async fn without_its_secret_key_it_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    Serve::start(&mut Serve::command(dir.path())).await.process.stop("TERM").await;
    let key = dir.path().join("secret-key");
    assert_eq!(mode(&key), 0o600);
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let refused = async || {
        let said = run(&mut Serve::command(dir.path())).await;
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        assert!(said.stderr.contains(key.to_str().unwrap()), "{}", said.stderr);
        assert!(said.stderr.contains("--secret-key-file"), "{}", said.stderr);
        said.stderr
    };
    assert!(refused().await.contains("no such file"));
    assert!(!key.exists(), "none is made in its place");
    fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    assert!(refused().await.contains("another key"));
    fs::remove_file(&key).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().join("key");
    fs::write(&elsewhere, kept).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = Serve::command(dir.path());
    command.arg("--secret-key-file").arg(&elsewhere);
    let stderr = Serve::start(&mut command).await.process.stop("TERM").await;
    assert!(stderr.contains("others may read the key"), "{stderr}");
    assert!(!key.exists());
}
