//! The agents of the README are real programs: each answers a text, once.

use std::{env, path::PathBuf, process::Stdio};

use switchboard_client::ContactText;
use switchboard_testkit::eventually;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::process::{ANY_PORT, Dev};

const CONTACT: &str = "+15550100002";

/// Beside the tests' own directory, where cargo puts examples when it builds all targets.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let target =
        test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps/<test>");
    let path = target.join("examples").join(name);
    assert!(
        path.is_file(),
        "build the example first: cargo build -p switchboard-client --examples"
    );
    path
}

/// Starts an agent and waits until it says that it is ready.
async fn agent(name: &str, dev: &Dev) -> Child {
    let mut agent = Command::new(example(name))
        .env("SWITCHBOARD_URL", &dev.ready.api_url)
        .env("SWITCHBOARD_API_KEY", &dev.ready.api_key)
        .env("SWITCHBOARD_LINE", &dev.ready.line)
        .env("AGENT_LISTEN", "127.0.0.1:0")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the example starts");
    let mut lines = BufReader::new(agent.stderr.take().expect("stderr is piped")).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains("ready") {
            break;
        }
    }
    // The pipe must be read on, or the agent would stop when it is full.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    agent
}

async fn answers_one_text_once(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let mut running = agent(name, &dev).await;
    let phones = dev.ready.phones();
    let text = ContactText {
        line: dev.ready.line.clone(),
        from: CONTACT.to_owned(),
        text: Some("Anybody there?".to_owned()),
        ..ContactText::default()
    };
    phones.text(&text).await.unwrap();
    let answered = async |count: usize| {
        let messages = phones.phone(CONTACT).await.unwrap().value.messages;
        (messages.len() == count).then_some(messages)
    };
    eventually("the agent answers", async || answered(1).await).await;
    // A second text is answered, too, and the first one not again.
    phones.text(&text).await.unwrap();
    let messages = eventually("the agent answers again", async || answered(2).await).await;
    for message in messages {
        assert!(message.text.is_some_and(|text| text.contains("Anybody there?")));
    }
    running.kill().await.unwrap();
    dev.stop().await;
}

#[tokio::test]
async fn an_agent_answers_by_webhook() {
    answers_one_text_once("agent_webhook").await;
}

#[tokio::test]
async fn an_agent_answers_by_the_live_stream() {
    answers_one_text_once("agent_stream").await;
}
