//! `switchboard serve --database`: everything but files is in PostgreSQL.

use std::{fs, path::Path};

use switchboard_client::{Client, ContactText, CreateKey, CreateLine, SendMessage};
use switchboard_model::line::DriverKind;
use switchboard_testkit::eventually;
use switchboard_testpg::Database;
use tokio::process::Command;

use crate::{
    process::{run, switchboard},
    serve::Serve,
};

const LINE: &str = "+15550100001";
const CONTACT: &str = "+15550100002";

fn serve(dir: &Path, database: &str) -> Command {
    let mut command = Serve::command(dir);
    command.arg("--simulator").env("SWITCHBOARD_DATABASE", database);
    command
}

#[tokio::test]
async fn what_was_answered_outlives_a_kill_and_one_server_has_it() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let server = Serve::start(&mut serve(dir.path(), &database.url())).await;
    let token = fs::read_to_string(dir.path().join("operator-token")).unwrap();
    let operator = Client::builder(&server.url).key(token.trim());
    let admin = operator.build_admin().unwrap();
    let account = admin.create_account("Shop").await.unwrap().value.id;
    admin.create_line(&CreateLine::new(account, LINE, DriverKind::Simulator)).await.unwrap();
    let key = admin.create_key(&CreateKey::new(account, "agent")).await.unwrap().value;
    let key = key.secret.reveal().to_owned();
    let phones = Client::builder(&server.url).key(token.trim()).build_simulator().unwrap();
    eventually("a contact has texted", async || {
        let text = Some("hello".to_owned());
        let (line, from) = (LINE.to_owned(), CONTACT.to_owned());
        phones.text(&ContactText { line, from, text, ..ContactText::default() }).await.ok()
    })
    .await;
    assert!(!dir.path().join("switchboard.db").exists(), "there is no SQLite beside it");

    let other = tempfile::tempdir().unwrap();
    fs::copy(dir.path().join("secret-key"), other.path().join("secret-key")).unwrap();
    let refused = run(&mut serve(other.path(), &database.url())).await.failed(1);
    assert!(refused.contains("is in use by another switchboard"), "{refused}");

    let client = Client::builder(&server.url).key(&key).build().unwrap();
    let message = SendMessage::text(LINE, CONTACT, "kept");
    let item = client.send_message(&message).await.unwrap().value.id;
    server.process.kill().await;
    let server = Serve::start(&mut serve(dir.path(), &database.url())).await;
    let client = Client::builder(&server.url).key(&key).build().unwrap();
    eventually("it goes out", async || {
        let item = client.outbox(item).await.unwrap().value;
        item.message_id
    })
    .await;
    server.process.stop("TERM").await;
}

#[tokio::test]
async fn what_is_no_database_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let command = |url: &str| {
        let mut command = serve(dir.path(), url);
        command.kill_on_drop(true);
        command
    };
    let said = run(&mut command("mysql://localhost/x")).await.failed(2);
    assert!(said.contains("postgres://user:password@host:5432/switchboard"), "{said}");
    let nobody = "postgres://me:secret-word@127.0.0.1:1/x";
    let said = run(&mut command(nobody)).await.failed(1);
    assert!(said.contains("can't be reached") && !said.contains("secret-word"), "{said}");
    let printed = run(switchboard().args(["serve", "--print-config", "--database", nobody])).await;
    let printed = printed.succeeded();
    assert!(printed.contains("# SWITCHBOARD_DATABASE=(set, not shown)"), "{printed}");
}
