//! `switchboard webhooks …` and `switchboard deliveries …`: what a person does when a webhook fails.

use serde_json::Value;
use switchboard_client::ContactText;
use switchboard_testkit::{
    Receiver, eventually,
    receiver::{Behaviour, Reply},
};
use tempfile::TempDir;

use crate::process::{ANY_PORT, Dev, Done, run, switchboard};

/// A development server and a person before it.
struct Person {
    dir: TempDir,
    dev: Dev,
}

impl Person {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let dev = Dev::start(dir.path(), ANY_PORT).await;
        Self { dir, dev }
    }

    async fn run(&self, args: &[&str]) -> Done {
        let mut command = switchboard();
        command.args(args);
        // The URL and the key are in dev.json.
        command.env("SWITCHBOARD_DATA_DIR", self.dir.path());
        run(&mut command).await
    }

    /// What a command prints; what it says beside that is for people.
    async fn told(&self, args: &[&str]) -> String {
        let done = self.run(args).await;
        assert_eq!(done.code, Some(0), "{args:?}: {}", done.stderr);
        done.stdout
    }

    async fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.told(&[args, &["--json"]].concat()).await).unwrap()
    }

    async fn text(&self, text: &str) {
        let text = ContactText {
            line: self.dev.ready.line.clone(),
            from: "+15550100002".to_owned(),
            text: Some(text.to_owned()),
            ..ContactText::default()
        };
        self.dev.ready.phones().text(&text).await.unwrap();
    }

    /// Waits until so many deliveries stand here.
    async fn listed(&self, status: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} are {status}"), async || {
            let list = self.json(&["deliveries", "list", "--status", status]).await;
            let rows = list["data"].as_array().unwrap().clone();
            (rows.len() == count).then_some(rows)
        })
        .await
    }
}

#[tokio::test]
async fn what_a_webhook_missed_is_found_and_sent() {
    let person = Person::new().await;
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let create = ["webhooks", "create", &url, "--events", "message.received,message.sent"];
    let made = person.told(&create).await;
    let (id, secret) = made.trim_end().split_once("  ").unwrap();
    assert!(id.starts_with("wh_") && secret.starts_with("whsec_"), "{made}");

    receiver.next([Behaviour::Answer(Reply::new(500).body("down\nfor a while"))]);
    let failed = person.run(&["webhooks", "test", id]).await;
    assert_eq!(failed.code, Some(1));
    assert!(failed.stdout.contains("message.received: 500 in "), "{}", failed.stdout);
    assert!(failed.stderr.contains("the endpoint answered 500"), "{}", failed.stderr);
    let came = person.json(&["webhooks", "test", id]).await;
    assert_eq!((&came["ok"], &came["status"]), (&true.into(), &200.into()));

    receiver.next([Behaviour::Answer(Reply::new(503).body("down\nfor a while"))]);
    person.text("hello").await;
    let due = person.listed("due", 1).await;
    let delivery = due[0]["id"].as_str().unwrap().to_owned();
    let table = eventually("it was attempted", async || {
        let table = person.told(&["deliveries", "show", &delivery]).await;
        table.contains("503").then_some(table)
    })
    .await;
    assert!(table.contains("down for a while") && table.contains(id), "{table}");
    let rows = person.told(&["deliveries", "list", "--webhook", id, "--since", "1h"]).await;
    let row = rows.lines().find(|row| row.starts_with(&delivery)).unwrap();
    assert!(row.contains("message.received  due") && row.contains("answered 503"), "{row}");
    assert_eq!(person.told(&["deliveries", "retry", &delivery]).await, format!("{delivery} due\n"));
    person.listed("delivered", 1).await;

    let off = person.told(&["webhooks", "update", id, "--disable"]).await;
    assert_eq!(off, format!("{id} disabled (manual)\n"));
    person.text("missed").await;
    let listed = person.told(&["webhooks", "list"]).await;
    assert!(listed.contains(&url) && listed.contains("disabled (manual)"), "{listed}");
    let on = person.run(&["webhooks", "update", id, "--enable"]).await;
    assert_eq!((on.code, on.stdout), (Some(0), format!("{id} active\n")));
    let (_, since) = on.stderr.trim_end().rsplit_once("--since ").unwrap();
    let replay = person.told(&["webhooks", "replay", id, "--since", since]).await;
    assert!(
        replay.starts_with("rpl_") && replay.ends_with(" done, 1 deliveries due\n"),
        "{replay}"
    );
    person.listed("delivered", 2).await;
    assert_eq!(receiver.received().last().unwrap().json()["data"]["text"], "missed");
    let whole = replay.split(' ').next().unwrap();
    let progress = person.told(&["webhooks", "progress", whole]).await;
    assert_eq!(progress, replay);
    let again = ["webhooks", "replay", id, "--since", "1h", "--include-delivered", "--no-wait"];
    assert_eq!(person.json(&again).await["include_delivered"], true);

    let new = person.run(&["webhooks", "rotate", id]).await;
    assert!(new.stdout.starts_with("whsec_") && new.stdout.trim_end() != secret, "{}", new.stdout);
    assert!(new.stderr.contains("valid until 2"), "{}", new.stderr);
    let moved = ["webhooks", "update", id, "--endpoint", "http://127.0.0.1:1999/x", "--events"];
    let moved = person.json(&[&moved[..], &["message.sent"]].concat()).await;
    assert_eq!(moved["url"], "http://127.0.0.1:1999/x");
    assert_eq!(moved["events"].as_array().unwrap().len(), 1);
    assert_eq!(person.told(&["webhooks", "delete", id]).await, format!("{id} deleted\n"));
    assert!(!person.told(&["webhooks", "list"]).await.contains(id));
    person.dev.stop().await;
}

#[tokio::test]
async fn what_can_not_be_done_is_said() {
    let person = Person::new().await;
    let nobody = tempfile::tempdir().unwrap();
    let nobody = nobody.path().to_str().unwrap();
    let refused = person.run(&["webhooks", "list", "--data-dir", nobody]).await.failed(1);
    assert!(refused.contains("--key") && refused.contains("SWITCHBOARD_API_KEY"), "{refused}");
    let wrong = person.run(&["deliveries", "list", "--key", "sk_live_wrong"]).await.failed(1);
    assert!(wrong.contains("401") && wrong.contains(&person.dev.ready.api_url), "{wrong}");
    for args in [
        &["webhooks", "test", "wh_00000000000000000000000000"][..],
        &["webhooks", "rotate", "wh_00000000000000000000000000"],
        &["webhooks", "replay", "wh_00000000000000000000000000", "--since", "1h"],
        &["webhooks", "update", "wh_00000000000000000000000000", "--enable"],
        &["webhooks", "delete", "wh_00000000000000000000000000"],
        &["deliveries", "retry", "dlv_00000000000000000000000000"],
    ] {
        let said = person.run(args).await.failed(1);
        assert!(said.contains("404") && said.lines().count() == 1, "{args:?}: {said}");
    }
    let said = person.run(&["deliveries", "show", "dlv_00000000000000000000000000"]).await;
    assert!(said.failed(1).contains("there is no delivery"));
    for args in [
        &["webhooks", "replay", "wh_x"][..],
        &["webhooks", "replay", "wh_x", "--since", "yesterday"],
        &["webhooks", "create", "http://x.org", "--events", "message.lost"],
        &["webhooks", "update", "wh_x", "--enable", "--disable"],
        &["webhooks", "update", "wh_x"],
        &["deliveries", "list", "--limit", "0"],
        &["deliveries", "list", "--status", "lost"],
    ] {
        let said = person.run(args).await.failed(2);
        assert!(said.contains("--help") || said.contains("Usage:"), "{args:?}: {said}");
    }
    person.dev.stop().await;
}
