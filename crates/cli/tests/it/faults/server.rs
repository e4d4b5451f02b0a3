//! The server that suffers: on a small volume, with a log that stalls and a clock that jumps.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use switchboard_client::{AdminClient, Client, CreateKey, CreateLine, SendMessage};
use switchboard_model::{
    chat::Service,
    line::DriverKind,
    link::{Inbound, InboundChat, InboundMessage},
    outbox::OutboxStatus,
    time::Clock as _,
};
use switchboard_server::SystemClock;
use switchboard_store::{
    Store,
    sqlite::{SqliteOptions, SqliteStore},
};
use switchboard_testkit::{eventually, judge};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    clock::Clock,
    volume::{MOUNTED_AT, Volume},
};
use crate::{
    process::{ANY_PORT, Ready, without_settings},
    serve::Serve,
};

pub(super) const NEIGHBOUR_LINE: &str = "+15550100021";
pub(super) const NEIGHBOUR_CONTACT: &str = "+15550100022";
const LINE: &str = "+15550100001";
const OPERATOR: &str = "opt_of_the_test_of_all_faults";
/// Events that come in in one transaction.
const BATCH: usize = 1000;
/// The contact whose texts the streams scan; nobody sends to it.
const SCANNED_CONTACT: &str = "+15550100031";
/// Bytes of the volume for what the run writes, and for each event that is there before.
const ROOM: usize = 512 << 20;
const PER_EVENT: usize = 3 << 10;
/// How long the process may take to end.
const FAREWELL: Duration = Duration::from_secs(20);

/// Who uses the server.
pub(super) struct Tenants {
    key: String,
    pub(super) neighbour_key: String,
}

impl Tenants {
    /// Makes them, and so many events of the first one, in `dir/data`.
    pub(super) async fn prepare(dir: &Path, events: usize) -> Self {
        let data = dir.join("data");
        let mut command = Serve::command(&data);
        command.args(["--simulator", "--operator-token", OPERATOR]);
        let serve = Serve::start(&mut command).await;
        let admin = AdminClient::new(&serve.url, OPERATOR).unwrap();
        let mut keys = Vec::new();
        for (name, line) in [("Faulty", LINE), ("Neighbour", NEIGHBOUR_LINE)] {
            let account = admin.create_account(name).await.unwrap().value.id;
            let line = CreateLine::new(account, line, DriverKind::Simulator);
            admin.create_line(&line).await.unwrap();
            let key = CreateKey::new(account, name);
            let made = admin.create_key(&key).await.unwrap().value;
            keys.push(made.secret.reveal().to_owned());
        }
        serve.process.stop("TERM").await;
        fill(&data.join("switchboard.db"), events).await;
        let neighbour_key = keys.pop().unwrap();
        Self { key: keys.pop().unwrap(), neighbour_key }
    }

    /// What the first one knows of the server at this URL.
    pub(super) fn ready(&self, url: &str) -> Ready {
        Ready {
            api_url: url.to_owned(),
            api_key: self.key.clone(),
            line: LINE.to_owned(),
            operator_token: OPERATOR.to_owned(),
            simulator_url: format!("{url}/simulator/v1"),
            sandbox_line: String::new(),
        }
    }
}

/// Lets texts come in, without the server.
async fn fill(database: &Path, events: usize) {
    let store: &dyn Store = &SqliteStore::open(database, SqliteOptions::default()).unwrap();
    let bridge = store.bridges().await.unwrap()[0].id;
    let link = store.open_link(bridge, SystemClock.now()).await.unwrap().link;
    let lines = store.operator_lines(switchboard_model::Timestamp(0)).await.unwrap();
    let now = SystemClock.now();
    for line in lines {
        let (contact, count) = match line.line.handle.as_str() {
            LINE => (SCANNED_CONTACT, events),
            _ => (NEIGHBOUR_CONTACT, 200),
        };
        for first in (0..count).step_by(BATCH) {
            let texts = (first..count.min(first + BATCH)).map(|number| {
                Inbound::Message(InboundMessage {
                    guid: format!("fill-{}-{number}", line.line.id),
                    chat: InboundChat::Contact { handle: contact.parse().unwrap() },
                    sender: contact.parse().unwrap(),
                    text: Some(format!("Is the shop open on Sunday too? ({number})")),
                    sent_at: now,
                    service: Service::IMessage,
                    reply_to_guid: None,
                    attachments: Vec::new(),
                    is_audio_message: false,
                })
            });
            let place = String::new();
            store.receive(link, line.line.id, place, texts.collect(), now).await.unwrap();
        }
    }
    store.close().await;
}

/// The running server.
pub(super) struct Faulty {
    child: Child,
    pub(super) url: String,
    pub(super) log: Arc<Log>,
    pub(super) volume: Volume,
    pub(super) clock: Clock,
    reading: JoinHandle<()>,
}

impl Faulty {
    pub(super) async fn start(seeded: &Path, events: usize) -> Self {
        let binary = std::env::var("SWITCHBOARD_FAULTS_BINARY");
        let binary = binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_switchboard").to_owned());
        let mut command = without_settings("unshare");
        let clock = Clock::new(seeded);
        clock.set_up(&mut command);
        let size = ROOM + events * PER_EVENT;
        let script = format!(
            "mount -t tmpfs -o size={size} tmpfs {MOUNTED_AT} && cp -a \"$0\" {MOUNTED_AT}/data && exec \"$@\""
        );
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(seeded.join("data"))
            .args([&binary, "serve", "--listen", ANY_PORT, "--simulator"])
            .args(["--operator-token", OPERATOR, "--rate-limit", "100000000"])
            .args(["--data-dir", &format!("{MOUNTED_AT}/data")])
            .args(["--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8"])
            .args(["--webhook-timeout", "2"])
            .args(["--webhook-retry-schedule", "100ms,300ms,1s,2s,2s,2s,2s,2s,2s,2s,2s,2s,2s"])
            // Many lines: a log that stalls must cost nothing but its lines.
            .args(["--log", "debug"]);
        let mut child = command.spawn().unwrap();
        let log = Arc::<Log>::default();
        let pipe = child.stderr.take().unwrap();
        let reading = tokio::spawn(Arc::clone(&log).read(pipe));
        let address = eventually("it listens", async || {
            let text = log.text();
            let line = text.lines().find(|line| line.contains("listening"))?.to_owned();
            line.split("addr=").nth(1).map(|address| address.trim().to_owned())
        })
        .await;
        let volume = Volume::of(child.id().unwrap());
        Self { child, url: format!("http://{address}"), log, volume, clock, reading }
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until a message of the neighbour goes all its way.
    pub(super) async fn recovers(&self, tenants: &Tenants) {
        let client = Client::builder(&self.url).key(&tenants.neighbour_key).observe(judge);
        let client = client.build().unwrap();
        let text = SendMessage::text(NEIGHBOUR_LINE, NEIGHBOUR_CONTACT, "recovered");
        let accepted =
            eventually("it is accepted", async || client.send_message(&text).await.ok()).await;
        eventually("it is sent", async || {
            let item = client.outbox(accepted.value.id).await.ok()?.value;
            (item.status == OutboxStatus::Sent).then_some(())
        })
        .await;
    }

    /// Ends it well, and returns what of its log was read.
    pub(super) async fn stop(mut self) -> String {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap();
        assert!(sent.success());
        let status = timeout(FAREWELL, self.child.wait()).await.expect("it ends").unwrap();
        self.reading.await.unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log.text());
        self.log.text()
    }
}

/// The reader of the process's log, which now and then reads nothing.
#[derive(Default)]
pub(super) struct Log {
    text: Mutex<String>,
    is_stalled: AtomicBool,
}

impl Log {
    pub(super) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    async fn read(self: Arc<Self>, mut pipe: ChildStderr) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            while self.is_stalled.load(Ordering::Acquire) {
                sleep(Duration::from_millis(20)).await;
            }
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    let lines = String::from_utf8_lossy(&buffer[..read]);
                    self.text.lock().unwrap().push_str(&lines);
                }
            }
        }
    }

    /// Reads nothing for a while, and then for a while everything, in turns.
    pub(super) async fn stall_again_and_again(
        self: Arc<Self>,
        each: Duration,
        stop: CancellationToken,
    ) {
        let mut is_stalled = false;
        while stop.run_until_cancelled(sleep(each)).await.is_some() {
            is_stalled = !is_stalled;
            self.is_stalled.store(is_stalled, Ordering::Release);
        }
        self.is_stalled.store(false, Ordering::Release);
    }
}
