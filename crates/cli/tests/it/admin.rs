//! `switchboard admin …`: the operator's work, from nothing to a program that may send.

use std::path::Path;

use serde_json::Value;
use switchboard_client::{Client, CreateWebhook, SendMessage};
use switchboard_model::{Code, EventKind, webhook::CreatorState};
use switchboard_testkit::judge;
use tempfile::TempDir;

use crate::{
    process::{ANY_PORT, Dev, Done, run, run_args, switchboard},
    serve::Serve,
};

/// A server and the operator before it.
struct Operator {
    dir: TempDir,
    server: Serve,
}

impl Operator {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Serve::start(Serve::command(dir.path()).arg("--simulator")).await;
        Self { dir, server }
    }

    async fn run(&self, args: &[&str]) -> Done {
        let mut command = switchboard();
        // As on the server's machine: the token is in the data directory.
        command.arg("admin").args(args);
        command.env("SWITCHBOARD_URL", &self.server.url);
        command.env("SWITCHBOARD_DATA_DIR", self.dir.path());
        run(&mut command).await
    }

    /// The one line that a command prints.
    async fn line(&self, args: &[&str]) -> String {
        let printed = self.run(args).await.succeeded();
        let line = printed.strip_suffix('\n').unwrap();
        assert_eq!(line.lines().count(), 1, "{args:?}: {printed}");
        line.to_owned()
    }

    async fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--json"]].concat();
        serde_json::from_str(&self.line(&args).await).unwrap()
    }

    async fn refused(&self, args: &[&str], parts: &[&str]) {
        let said = self.run(args).await.failed(1);
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
        for part in parts {
            assert!(said.contains(part), "{args:?} does not say {part}: {said}");
        }
    }

    fn client(&self, key: &str) -> Client {
        Client::builder(&self.server.url).key(key).observe(judge).build().unwrap()
    }
}

#[tokio::test]
async fn from_nothing_to_a_key_that_works_where_it_may() {
    let operator = Operator::new().await;
    let account = operator.line(&["accounts", "create", "Acme"]).await;
    assert!(account.starts_with("acc_"), "{account}");
    let other = operator.json(&["accounts", "create", "Other"]).await;
    assert_eq!(other["name"], "Other");
    let listed = operator.run(&["accounts", "list"]).await.succeeded();
    let mut rows = listed.lines();
    assert_eq!(rows.next().unwrap().split_whitespace().collect::<Vec<_>>(), ["ID", "NAME"]);
    assert_eq!(rows.next(), Some(&*format!("{account}  Acme")));
    assert_eq!(operator.json(&["accounts", "list"]).await["data"].as_array().unwrap().len(), 2);

    let line = ["lines", "create", "--account", &account, "--driver", "simulator", "--handle"];
    let open = operator.line(&[&line[..], &["+15550100001"]].concat()).await;
    let closed = [&line[..], &["+15550100005", "--label", "Second", "--service", "sms"]].concat();
    let closed = operator.json(&closed).await;
    assert_eq!(closed["label"], "Second");
    let listed = operator.run(&["lines", "list"]).await.succeeded();
    assert!(listed.contains(&open) && listed.contains("+15550100005"), "{listed}");

    let key = ["keys", "create", "--account", &account, "--name", "agent", "--scopes", "all"];
    let whole = operator.line(&key).await;
    assert_eq!(operator.client(&whole).lines().await.unwrap().value.data.len(), 2);
    let restricted = operator.json(&[&key[..], &["--line", &open]].concat()).await;
    let client = operator.client(restricted["key"].as_str().unwrap());
    let seen = client.lines().await.unwrap().value.data;
    assert_eq!((seen.len(), seen[0].id.to_string()), (1, open));
    for (line, code) in
        [("+15550100001", Code::ContactHasNotMessaged), ("+15550100005", Code::LineNotAccessible)]
    {
        let message = SendMessage::text(line, "+15550100002", "Hi");
        let refusal = client.send_message(&message).await.unwrap_err();
        assert_eq!(refusal.code(), Some(code), "{line}");
    }

    let listed = operator.run(&["keys", "list"]).await.succeeded();
    assert!(!listed.contains(&whole), "a list shows no secret: {listed}");
    let id = restricted["id"].as_str().unwrap();
    assert_eq!(operator.line(&["keys", "revoke", id]).await, format!("{id} revoked"));
    let refusal = client.lines().await.unwrap_err();
    assert_eq!(refusal.status(), Some(401));
    let keys = operator.json(&["keys", "list"]).await;
    let revoked = |key: &&Value| !key["revoked_at"].is_null();
    assert_eq!(keys["data"].as_array().unwrap().iter().filter(revoked).count(), 1);
    operator.server.process.stop("TERM").await;
}

#[tokio::test]
async fn a_key_has_the_scopes_the_end_and_the_limit_it_was_given() {
    let operator = Operator::new().await;
    let account = operator.line(&["accounts", "create", "Acme"]).await;
    let key = ["keys", "create", "--account", &account, "--name", "agent", "--scopes"];
    let narrow = operator
        .json(&[&key[..], &["lines:read,messages:read", "--rate-limit", "2"]].concat())
        .await;
    assert_eq!(narrow["scopes"].as_array().unwrap().len(), 2);
    let client = operator.client(narrow["key"].as_str().unwrap());
    let limit = client.lines().await.unwrap().rate_limit.unwrap();
    assert_eq!((limit.limit, limit.remaining), (2, 1));
    let refusal = client.webhooks("+15550100001").await.unwrap_err();
    assert_eq!(refusal.status(), Some(403), "{refusal}");

    let far = "4102444800000";
    let ending = operator.json(&[&key[..], &["all", "--expires-at", far]].concat()).await;
    assert_eq!(ending["expires_at"].to_string(), far);
    // Of no account: it may exist, and reaches nothing.
    let homeless = operator.line(&["keys", "create", "--name", "x", "--scopes", "all"]).await;
    assert!(homeless.starts_with("sk_live_"), "the secret, and nothing else: {homeless}");
    operator.server.process.stop("TERM").await;
}

#[tokio::test]
async fn who_revokes_a_key_is_told_what_goes_on() {
    let operator = Operator::new().await;
    let account = operator.line(&["accounts", "create", "Acme"]).await;
    let line = ["lines", "create", "--account", &account, "--driver", "simulator", "--handle"];
    operator.line(&[&line[..], &["+15550100001"]].concat()).await;
    let key = ["keys", "create", "--account", &account, "--name", "agent", "--scopes", "all"];
    let made = operator.json(&key).await;
    let client = operator.client(made["key"].as_str().unwrap());
    let events = [EventKind::MessageReceived];
    let hook = CreateWebhook::new("", "https://example.com/hook", events);
    for _ in 0..2 {
        client.create_webhook(&hook).await.unwrap();
    }
    let id = made["id"].as_str().unwrap();
    let goes_on = operator.run(&["keys", "revoke", id]).await;
    assert_eq!((goes_on.code, &*goes_on.stdout), (Some(0), &*format!("{id} revoked\n")));
    assert!(goes_on.stderr.contains("2 webhooks") && goes_on.stderr.contains("--disable-webhooks"));
    let ends = operator.run(&["keys", "revoke", id, "--disable-webhooks"]).await;
    assert!(ends.stderr.contains("2 webhooks that it made are disabled"), "{}", ends.stderr);
    let again = operator.json(&["keys", "revoke", id]).await;
    assert_eq!((&again["active_webhooks"], &again["disabled_webhooks"]), (&0.into(), &0.into()));
    let other = operator.json(&key).await;
    let listed = operator.client(other["key"].as_str().unwrap()).webhooks("").await.unwrap();
    for webhook in listed.value.data {
        assert!(!webhook.is_active);
        assert_eq!(webhook.created_by.unwrap().state, CreatorState::Revoked);
    }
    operator.server.process.stop("TERM").await;
}

#[tokio::test]
async fn bridges_come_and_go() {
    let operator = Operator::new().await;
    let account = operator.line(&["accounts", "create", "Acme"]).await;
    let create = ["bridges", "create", "--driver", "imsg", "--name"];
    let made = operator.run(&[&create[..], &["mini"]].concat()).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let token = made.stdout.trim_end().to_owned();
    assert!(token.starts_with("brt_live_") && !made.stderr.contains(&token), "{token}");
    let made = operator.json(&[&create[..], &["studio"]].concat()).await;
    assert!(made["token"].is_string(), "{made}");
    operator.refused(&[&create[..], &["mini"]].concat(), &["409", "name"]).await;
    let file = operator.dir.path().join("token");
    let into = |name: &str, file: &Path| {
        let name = [name, "--token-file", file.to_str().unwrap()].map(str::to_owned);
        create.map(str::to_owned).into_iter().chain(name).collect::<Vec<_>>()
    };
    fn args(all: &[String]) -> Vec<&str> {
        all.iter().map(String::as_str).collect()
    }
    operator.refused(&args(&into("mini", &file)), &["409", "name", "the server at"]).await;
    assert!(!file.exists(), "of a bridge that was not made nothing is left");
    // What to do with it stands beside the data.
    let create_into = async |name: &str, file: &Path| {
        let made = operator.run(&args(&into(name, file))).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim_end().to_owned()
    };
    assert_eq!(create_into("air", &file).await, file.to_str().unwrap());
    let kept = std::fs::read_to_string(&file).unwrap();
    // What can't be written is found out before the bridge is made.
    operator.refused(&args(&into("pro", &file)), &["is there already", "No bridge was made"]).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    let nowhere = operator.dir.path().join("nowhere/token");
    let said = operator.run(&args(&into("pro", &nowhere))).await.failed(1);
    assert!(said.contains("no bridge was made") && !said.contains("the server"), "{said}");
    let there = create_into("pro", &operator.dir.path().join("pro")).await;
    assert!(there.ends_with("pro"), "its name was free: {there}");
    let listed = operator.run(&["bridges", "list"]).await.succeeded();
    assert!(!listed.contains(&token) && listed.contains("studio"), "{listed}");

    let id = made["id"].as_str().unwrap();
    let line = ["lines", "create", "--account", &account, "--handle", "+15550100001"];
    let on_it = [&line[..], &["--driver", "imsg", "--bridge", id]].concat();
    assert_eq!(operator.json(&on_it).await["bridge_id"], id);
    let line = ["lines", "create", "--account", &account, "--handle", "+15550100002"];
    let made = operator.run(&[&line[..], &["--driver", "imsg"]].concat()).await;
    assert!(made.stderr.contains("nothing carries it"), "{}", made.stderr);
    let update = ["lines", "update", made.stdout.trim_end()];
    assert_eq!(operator.run(&update).await.code, Some(2), "it changes nothing");
    let updated = operator.json(&[&update[..], &["--bridge", id]].concat()).await;
    assert_eq!(updated["bridge_id"], id);
    assert_eq!(operator.line(&["bridges", "revoke", id]).await, format!("{id} revoked"));
    let listed = operator.run(&["bridges", "list"]).await.succeeded();
    let row = listed.lines().find(|row| row.contains(id)).unwrap();
    assert!(row.contains("revoked"), "{row}");
    operator.server.process.stop("TERM").await;
}

/// What files and environments put round a secret: a newline of either kind, quotes, a mark of the byte order.
#[tokio::test]
async fn a_key_and_a_token_are_taken_with_what_came_with_them() {
    let operator = Operator::new().await;
    let account = operator.line(&["accounts", "create", "Acme"]).await;
    let key = ["keys", "create", "--account", &account, "--name", "agent", "--scopes", "all"];
    let key = operator.line(&key).await;
    let path = operator.dir.path().join("operator-token");
    let token = std::fs::read_to_string(&path).unwrap().trim().to_owned();
    let dresses: [fn(&str) -> String; 5] = [
        |secret| format!("{secret}\n"),
        |secret| format!("{secret}\r\n\r\n"),
        |secret| format!("\u{feff}{secret}\r\n"),
        |secret| format!("\"{secret}\"\n"),
        |secret| format!(" '{secret}'\t"),
    ];
    for dress in dresses {
        let mut lines = switchboard();
        lines.args(["webhooks", "list", "--json"]).env("SWITCHBOARD_URL", &operator.server.url);
        lines.env("SWITCHBOARD_API_KEY", dress(&key));
        run(&mut lines).await.succeeded();
        let mut accounts = switchboard();
        accounts.args(["admin", "accounts", "list"]).env("SWITCHBOARD_URL", &operator.server.url);
        accounts.env("SWITCHBOARD_OPERATOR_TOKEN", dress(&token));
        assert!(run(&mut accounts).await.succeeded().contains("Acme"));
        std::fs::write(&path, dress(&token)).unwrap();
        assert!(operator.run(&["accounts", "list"]).await.succeeded().contains("Acme"));
    }
    // A server that is started with such a file, or with such a setting, has the same token.
    operator.server.process.stop("TERM").await;
    let dir = operator.dir.path();
    for setting in [None, Some(dress_of_a_file(&token))] {
        let mut serve = Serve::command(dir);
        if let Some(setting) = setting {
            serve.env("SWITCHBOARD_OPERATOR_TOKEN", setting);
        }
        let server = Serve::start(&mut serve).await;
        let mut accounts = switchboard();
        accounts.args(["admin", "accounts", "list"]).env("SWITCHBOARD_URL", &server.url);
        accounts.env("SWITCHBOARD_OPERATOR_TOKEN", &token);
        assert!(run(&mut accounts).await.succeeded().contains("Acme"));
        server.process.stop("TERM").await;
    }
}

fn dress_of_a_file(secret: &str) -> String {
    format!("\"{secret}\"\r\n")
}

#[tokio::test]
async fn what_is_refused_is_said() {
    let operator = Operator::new().await;
    let url = operator.server.url.clone();
    let wrong = ["--operator-token", "opt_wrong_wrong_wrong_wrong", "accounts", "list"];
    operator.refused(&wrong, &["401", &url]).await;
    let empty = tempfile::tempdir().unwrap();
    let no_token = ["--data-dir", empty.path().to_str().unwrap(), "accounts", "list"];
    operator.refused(&no_token, &["--operator-token", "SWITCHBOARD_OPERATOR_TOKEN"]).await;
    let nobody = "acc_00000000000000000000000000";
    let unknown = ["keys", "create", "--account", nobody, "--name", "x", "--scopes", "all"];
    operator.refused(&unknown, &["account"]).await;
    operator.refused(&["keys", "revoke", "key_00000000000000000000000000"], &["404"]).await;
    operator.refused(&["bridges", "revoke", "brg_00000000000000000000000000"], &["404"]).await;
    let account = operator.line(&["accounts", "create", "Acme"]).await;
    let line = ["lines", "create", "--driver", "simulator", "--account", &account, "--handle"];
    operator.refused(&[&line[..], &["nobody"]].concat(), &["handle"]).await;
    operator.line(&[&line[..], &["+15550100001"]].concat()).await;
    operator.refused(&[&line[..], &["+15550100001"]].concat(), &["409"]).await;

    operator.server.process.stop("TERM").await;
    away(operator.dir.path(), &url).await;
}

/// The server has gone.
async fn away(dir: &Path, url: &str) {
    let args = ["admin", "accounts", "list", "--url", url, "--data-dir", dir.to_str().unwrap()];
    let said = run_args(&args).await.failed(1);
    assert!(said.contains(url) && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn it_finds_the_token_of_a_development_server() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let data_dir = dir.path().to_str().unwrap();
    let args = ["admin", "accounts", "list", "--url", &dev.ready.api_url, "--data-dir", data_dir];
    let listed = run_args(&args).await.succeeded();
    assert!(listed.contains("Development"), "{listed}");
    dev.stop().await;
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    for args in [
        &["admin"][..],
        &["admin", "accounts"],
        &["admin", "accounts", "create"],
        &["admin", "lines", "create", "--account", "acc_x", "--handle", "+1", "--driver", "pigeon"],
        &["admin", "keys", "create", "--name", "x", "--scopes", "everything"],
        &["admin", "keys", "create", "--name", "x"],
        &["admin", "accounts", "list", "--frobnicate"],
    ] {
        let said = run_args(args).await.failed(2);
        assert!(said.contains("--help") || said.contains("Usage:"), "{args:?}: {said}");
    }
}
