//! `bridge run` and `bridge status`: a bridge as a process of its own, from its start to its end.

use std::time::Duration;

use serde_json::Value;
use switchboard_client::{Client, SendMessage};
use switchboard_testkit::{eventually, judge};

use super::{CONTACT, LINE, Site, mac};
use crate::{
    process::{Process, mode, run, run_args, switchboard},
    serve::Serve,
};

impl Site {
    pub(super) async fn key(&self) -> Client {
        let key = ["keys", "create", "--account", &self.account, "--name", "agent"];
        let made = self.admin(&[&key[..], &["--scopes", "all"]].concat()).await;
        let key = made["key"].as_str().unwrap();
        Client::builder(&self.server.url).key(key).observe(judge).build().unwrap()
    }

    /// What `status --json` says, and its exit code.
    async fn status(&self) -> (Option<i32>, Value) {
        let done = run(&mut self.bridge("status", &["--json"])).await;
        (done.code, serde_json::from_str(&done.stdout).unwrap())
    }

    async fn online(&self) -> Value {
        eventually("the line is online", async || {
            let (code, status) = self.status().await;
            let online = status["last"]["lines"][0]["online"] == true;
            (code == Some(0) && online).then_some(status)
        })
        .await
    }
}

#[tokio::test]
async fn texts_go_both_ways_and_the_log_holds_none_of_them() {
    let site = Site::new("imsg").await;
    let client = site.key().await;
    let mac = mac();
    let log = site.data_dir().join("bridge.log");
    let mut options = site.imsg(mac.program()).to_vec();
    options.extend(["--log-file", log.to_str().unwrap(), "--log", "debug", "--log-format", "json"]);
    let (code, status) = site.status().await;
    assert_eq!((code, &status["running"], &status["last"]), (Some(1), &false.into(), &Value::Null));

    let bridge = Process::spawn(&mut site.bridge("run", &options));
    let status = site.online().await;
    assert_eq!(status["last"]["driver"], "imsg");
    assert_eq!(status["last"]["lines"][0]["handle"], LINE);
    assert_eq!(mode(&site.data_dir().join("status.json")), 0o600);
    let shown = run(&mut site.bridge("status", &[])).await;
    assert!(shown.code == Some(0) && shown.stdout.contains("Linked   since"), "{}", shown.stdout);

    mac.contact(CONTACT).writes("a secret question");
    let item = eventually("the contact may be answered", async || {
        client.send_message(&SendMessage::text(LINE, CONTACT, "a secret answer")).await.ok()
    })
    .await;
    assert!(item.value.id.to_string().starts_with("obx_"));
    mac.until("the answer is on the phone", |mac| {
        mac.contact(CONTACT).times_received("a secret answer") == 1
    })
    .await;

    // The doctor looks on, and takes nothing from it.
    let linked = site.status().await.1["last"]["linked_since"].clone();
    let done = run(&mut site.bridge("doctor", &site.imsg(mac.program()))).await;
    assert!(done.code == Some(0) && done.stdout.contains("runs and is linked"), "{}", done.stdout);
    assert!(done.stdout.contains("the line +15…999 is online"), "{}", done.stdout);
    assert_eq!(site.status().await.1["last"]["linked_since"], linked);

    // Nor does a second one.
    let second = run(&mut site.bridge("run", &site.imsg(mac.program()))).await;
    assert_eq!(second.code, Some(1));
    assert!(
        second.stderr.contains("another bridge runs with the data directory"),
        "{}",
        second.stderr
    );

    assert_eq!(bridge.stop("TERM").await, "");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("linked to the server") && log.contains("stopping"), "{log}");
    for private in ["secret", CONTACT, LINE, site.bridge["token"].as_str().unwrap()] {
        assert!(!log.contains(private), "{private} stands in the log: {log}");
    }
    let (code, status) = site.status().await;
    assert_eq!((code, &status["running"]), (Some(1), &false.into()));
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn a_lost_server_is_told_and_found_again() {
    let site = Site::new("imsg").await;
    let mac = mac();
    let bridge = Process::spawn(&mut site.bridge("run", &site.imsg(mac.program())));
    site.online().await;
    let Site { server, dir, account, bridge: row } = site;
    let url = server.url.clone();
    server.process.stop("TERM").await;
    let address = url.strip_prefix("http://").unwrap();
    let folder = dir.path().join("bridge");
    let status = ["bridge", "status", "--data-dir", folder.to_str().unwrap()];
    eventually("it is told that there is no link", async || {
        let done = run_args(&status).await;
        (done.code == Some(1) && done.stdout.contains("Linked   no: ")).then_some(())
    })
    .await;
    let mut again = switchboard();
    again.args(["serve", "--listen", address]).arg("--data-dir").arg(dir.path().join("server"));
    let server = Serve::start(&mut again).await;
    let site = Site { server, dir, account, bridge: row };
    site.online().await;
    bridge.stop("INT").await;
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn a_standby_that_does_not_run_takes_nothing_over_unless_it_is_meant() {
    let site = Site::new("imsg").await;
    let spare = ["bridges", "create", "--name", "spare", "--driver", "imsg"];
    let spare = site.admin(&spare).await["id"].as_str().unwrap().to_owned();
    let line = site.admin(&["lines", "list"]).await["data"][0]["id"].as_str().unwrap().to_owned();
    let admin = async |args: &[&str]| {
        let mut command = switchboard();
        command.args(["admin", "lines"]).args(args).env("SWITCHBOARD_URL", &site.server.url);
        run(command.env("SWITCHBOARD_DATA_DIR", site.dir.path().join("server"))).await
    };
    let set = admin(&["standby", &line, "--bridge", &spare]).await.succeeded();
    assert!(set.trim_end().ends_with("(not ready)"), "{set}");
    let listed = site.admin(&["lines", "list"]).await;
    assert_eq!(listed["data"][0]["standby_ready"], false);
    let refused = admin(&["take-over", &line]).await.failed(1);
    assert!(refused.contains("is not ready") && refused.contains("--force"), "{refused}");
    let taken = admin(&["take-over", &line, "--force"]).await.succeeded();
    assert!(taken.contains(&format!("bridge {spare} standby")), "{taken}");
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn who_is_revoked_is_told_why_and_secrets_in_plain_are_warned_of() {
    let site = Site::new("imsg").await;
    let mac = mac();
    let token = site.bridge["token"].as_str().unwrap();
    let options = [&site.imsg(mac.program())[..], &["--token", token]].concat();
    let bridge = Process::spawn(&mut site.bridge("run", &options));
    site.online().await;
    assert!(bridge.stderr().contains("--token shows its secret"), "{}", bridge.stderr());
    site.admin(&["bridges", "revoke", site.bridge["id"].as_str().unwrap()]).await;
    let (status, _, stderr) = bridge.end().await;
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: the server refuses this bridge"), "{stderr}");
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn what_can_not_work_is_said_at_the_start() {
    let site = Site::new("imsg").await;
    let imsg = site.imsg(std::path::Path::new("imsg"));
    std::fs::remove_file(site.data_dir().join("token")).unwrap();
    let done = run(&mut site.bridge("run", &imsg)).await;
    assert!(done.code == Some(1) && done.stderr.contains("bridges create"), "{}", done.stderr);
    let wrong = [&imsg[..], &["--token", "sk_live_x"]].concat();
    let done = run(&mut site.bridge("run", &wrong)).await;
    assert!(
        done.code == Some(1) && done.stderr.contains("begins with brt_live_"),
        "{}",
        done.stderr
    );
    for wrong in [
        &["--driver", "pigeon"][..],
        &["--driver", "bluebubbles"],
        &["--driver", "android-sms", "--android-url", "http://phone:8080"],
        &["--driver", "imsg", "--history-since", "yesterday"],
        &["--driver", "imsg", "--history-since", "2999-01-01T00:00:00Z"],
        &["--driver", "imsg", "--token", "x", "--token-file", "y"],
        &["--driver", "imsg", "--android-line", "+15550100001"],
    ] {
        let done = run(&mut site.bridge("run", wrong)).await;
        assert_eq!(done.code, Some(2), "{wrong:?}: {}", done.stderr);
    }
    for (wrong, says) in [
        (
            &["--driver", "bluebubbles", "--bluebubbles-url", "127.0.0.1:1234"][..],
            "write http://127.0.0.1:1234",
        ),
        (
            &["--driver", "imsg", "--bluebubbles-url", "http://x"],
            "--bluebubbles-url: for --driver bluebubbles only",
        ),
    ] {
        for command in ["run", "doctor", "install"] {
            let done = run(&mut site.bridge(command, wrong)).await;
            assert!(
                done.code == Some(1) && done.stderr.contains(says),
                "{command}: {}",
                done.stderr
            );
        }
    }
    let mut command = switchboard();
    command.args(["bridge", "run", "--driver", "imsg", "--server", "http://u:p@localhost"]);
    let done = run(command.env("SWITCHBOARD_BRIDGE_DATA_DIR", site.data_dir())).await;
    assert!(done.code == Some(1) && done.stderr.contains("no user name"), "{}", done.stderr);
    tokio::time::timeout(Duration::from_secs(5), site.server.process.stop("TERM")).await.unwrap();
}
