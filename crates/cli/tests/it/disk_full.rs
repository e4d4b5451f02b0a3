//! A full disk: a real small volume, filled and emptied from outside while the binary runs on it.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use switchboard_client::{Answer, ContactText, CreateWebhook, Error, SendMessage, Upload};
use switchboard_model::{EventKind, outbox::OutboxStatus};
use switchboard_testkit::{Receiver, eventually};
use tokio::{process::Command, time::Instant};

use crate::process::{ANY_PORT, Dev, Process, switchboard, without_settings};

const CONTACT: &str = "+15550100002";
/// How long the disk stays full under load: the jobs that run each second, and ten times a second, meet it often.
const FULL_FOR: Duration = Duration::from_secs(8);
/// Lines on standard error that an outage may take in that time, over all that meet it: each place is told once,
/// and that it works again.
const MOST_LINES: usize = 6;

/// A command in a mount namespace of its own, with a volume of this size at `at`; `before` is done first.
pub(crate) fn on_a_volume(at: &Path, size: &str, before: &str, command: &Command) -> Command {
    let mut own = without_settings("unshare");
    let mount =
        format!(r#"mount -t tmpfs -o "size={size}" tmpfs "$0" && cd "$0" && {before} exec "$@""#);
    own.args(["--map-root-user", "--mount", "sh", "-c", &mount]).arg(at);
    let command = command.as_std();
    own.arg(command.get_program()).args(command.get_args());
    own
}

/// The same volume, as it is reached from here.
pub(crate) struct Volume(PathBuf);

impl Volume {
    pub(crate) fn of(process: &Process, at: &Path) -> Self {
        let root = format!("/proc/{}/root", process.id());
        Self(Path::new(&root).join(at.strip_prefix("/").unwrap()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves no room at all.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).unwrap();
        for size in [1 << 20, 4096, 1] {
            let block = vec![0; size];
            while ballast.write_all(&block).is_ok() {}
        }
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

/// What came of a call that a full disk may refuse: what it gave, or nothing was done.
fn given<T>(outcome: Result<Answer<T>, Error>) -> Option<T> {
    match outcome {
        Ok(answer) => Some(answer.value),
        Err(Error::Api { status: 503, retry_after: Some(1..), problem, .. }) => {
            assert_eq!(problem.code_text, "service_unavailable");
            None
        }
        Err(error) => panic!("neither done nor 503 with Retry-After: {error:?}"),
    }
}

async fn health(dev: &Dev, path: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("{}{path}", dev.ready.api_url)).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_has_no_room_for_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let command = {
        let mut command = Dev::command(&dir.path().join("data"), ANY_PORT);
        command.args(["--json", "--rate-limit", "1000000", "--log", "info"]);
        command
    };
    let dev = Dev::ready(&mut on_a_volume(dir.path(), "24m", "", &command)).await;
    let volume = Volume::of(&dev.process, dir.path());
    let (client, phones) = (dev.ready.client(), dev.ready.phones());
    let receiver = Receiver::start().await;
    let line = dev.ready.line.as_str();
    let events = [EventKind::MessageSent, EventKind::MessageReceived];
    client.create_webhook(&CreateWebhook::new(line, receiver.url(), events)).await.unwrap();
    let send = async |text: &str| {
        given(client.send_message(&SendMessage::text(line, CONTACT, text)).await)
    };
    let text = async |text: &str| {
        given(phones.text(&ContactText::new(line, CONTACT, text)).await).map(|_| ())
    };
    text("first").await.unwrap();
    let (mut sent, mut texted) = (Vec::new(), vec!["first".to_owned()]);
    for number in 0..20 {
        let name = format!("before {number}");
        let accepted = send(&name).await.expect("there is room");
        sent.push((name, accepted.id));
    }
    let before = dev.process.stderr().lines().count();

    volume.fill();
    let (began, mut refused, mut number) = (Instant::now(), [0; 3], 0);
    while began.elapsed() < FULL_FOR || refused.contains(&0) {
        assert!(began.elapsed() < FULL_FOR * 8, "not everything was refused: {refused:?}");
        number += 1;
        let name = format!("full {number}");
        match send(&name).await {
            Some(accepted) => sent.push((name, accepted.id)),
            None => refused[0] += 1,
        }
        // What is on the phone and does not reach the server is waited for in vain: not each time.
        if refused[1] == 0 {
            let name = format!("in while full {number}");
            match text(&name).await {
                Some(()) => texted.push(name),
                None => refused[1] += 1,
            }
        }
        let file = Upload::bytes(vec![b'x'; 300_000]).filename("x.txt");
        refused[2] += usize::from(given(client.upload(file).await).is_none());
        if number == 3 {
            // Red, and says why; but nothing that a restart would mend.
            let (status, body) = health(&dev, "/health").await;
            assert_eq!((status, &body["reasons"][0]), (503, &json!("store_unavailable")), "{body}");
            assert_eq!(body["store"]["outage"], "disk_full", "{body}");
            assert_eq!(health(&dev, "/live").await.0, 200);
        }
        // What needs no room works.
        client.messages(line, CONTACT).all(1000).await.unwrap();
    }
    let stderr = dev.process.stderr();
    // Each request has its line of access; it is what is said of the disk that must not flood.
    let told = stderr.lines().skip(before).filter(|line| !line.contains("api::access"));
    let told: Vec<_> = told.collect();
    assert!(told.iter().any(|line| line.contains("disk_full")), "{told:#?}");
    assert!(told.len() <= MOST_LINES, "{} lines: {told:#?}", told.len());

    volume.empty();
    let again = eventually("it writes again", async || send("again").await).await;
    sent.push(("again".to_owned(), again.id));
    eventually("it is healthy again", async || {
        let (_, body) = health(&dev, "/health").await;
        // The volume of this test is smaller than any that the server calls roomy.
        (body["reasons"] == json!(["disk_low"])).then_some(())
    })
    .await;
    for number in 0..20 {
        let name = format!("after {number}");
        let accepted = send(&name).await.expect("there is room again");
        sent.push((name.clone(), accepted.id));
        let name = format!("in {name}");
        text(&name).await.expect("there is room again");
        texted.push(name);
    }
    client.upload(Upload::bytes(vec![b'x'; 300_000]).filename("x.txt")).await.unwrap();
    for (name, id) in &sent {
        eventually(&format!("'{name}' is sent"), async || {
            let item = client.outbox(id).await.unwrap().value;
            assert_ne!(item.status, OutboxStatus::Failed, "{name}: {item:?}");
            (item.status == OutboxStatus::Sent).then_some(())
        })
        .await;
    }
    let phone = phones.phone(CONTACT).await.unwrap().value;
    let shown: Vec<_> = phone.messages.iter().filter_map(|message| message.text.clone()).collect();
    for (name, _) in &sent {
        assert_eq!(shown.iter().filter(|text| *text == name).count(), 1, "on the phone: {name}");
    }
    let count = |all: &[Value], name: &str| all.iter().filter(|data| data["text"] == name).count();
    for name in &texted {
        eventually(&format!("'{name}' has come in"), async || {
            let all = client.messages(line, CONTACT).all(1000).await.unwrap();
            let all: Vec<_> = all.iter().map(|message| json!({ "text": message.text })).collect();
            (count(&all, name) == 1).then_some(())
        })
        .await;
    }
    // Each at least once, and nothing that was refused.
    let names: Vec<_> = sent.iter().map(|(name, _)| name).chain(&texted).collect();
    eventually("every event has reached the webhook", async || {
        let all: Vec<Value> =
            receiver.received().iter().map(|delivery| delivery.json()["data"].clone()).collect();
        names.iter().all(|name| count(&all, name) > 0).then_some(())
    })
    .await;
    eventually("the log says that it is over", async || {
        dev.process.stderr().contains("the database works again").then_some(())
    })
    .await;
    dev.process.stop("TERM").await;
}

#[tokio::test]
async fn a_start_without_room_says_so_and_leaves_nothing_that_hinders_the_next() {
    for name in ["serve", "dev"] {
        let dir = tempfile::tempdir().unwrap();
        let binary = switchboard().as_std().get_program().to_owned();
        let start = format!("'{}' {name} --data-dir data --listen {ANY_PORT}", binary.display());
        let full = format!(
            "cat /dev/zero > ballast 2>/dev/null; {start}; echo \"exit code $?\" >&2; rm ballast;"
        );
        let mut second = switchboard();
        second.arg(name).args(["--data-dir", "data", "--listen", ANY_PORT, "--log", "info"]);
        let second = Process::spawn(&mut on_a_volume(dir.path(), "8m", &full, &second));
        eventually("the second start has room", async || {
            second.stderr().contains("listening").then_some(())
        })
        .await;
        let stderr = second.stderr();
        assert!(stderr.contains("exit code 1"), "{name}: {stderr}");
        let says = ["No space left on device", "disk is full"];
        assert!(says.iter().any(|says| stderr.contains(says)), "{name}: {}", stderr);
        second.signal("TERM").await;
        assert_eq!(second.end().await.0.code(), Some(0), "{name}");
    }
}
