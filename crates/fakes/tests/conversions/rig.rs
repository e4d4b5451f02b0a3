//! A server with one line, and a bridge that carries it and converts files.

use std::{path::Path, sync::Arc, time::Duration};

use reqwest::StatusCode;
use switchboard_bridge::{
    Bridge, BridgeConfig, Connector, ConversionTools, Driver as _, Ledgered,
    drivers::{BlueBubbles, BlueBubblesOptions, Imsg, ImsgProgram},
};
use switchboard_client::{
    Client, CreateBridge, CreateKey, CreateLine, CreateWebhook, SendAudioMessage, Upload,
};
use switchboard_fakes::{
    bluebubbles,
    conversions::{Program, Programs},
    imsg::{Mac, Settings},
};
use switchboard_model::{EventKind, Message, OutboxItem, line::DriverKind, outbox::OutboxStatus};
use switchboard_testkit::{Receiver, Setup, TestServer, eventually};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The line's own number, as on the fakes.
pub(crate) const LINE: &str = "+15550999999";
pub(crate) const ANN: &str = "+15550100001";

pub(crate) struct Rig<C> {
    pub(crate) server: TestServer,
    pub(crate) client: Client,
    pub(crate) receiver: Receiver,
    pub(crate) programs: Programs,
    pub(crate) data: TempDir,
    key: String,
    token: String,
    tools: ConversionTools,
    connector: Box<dyn Fn() -> C + Send + Sync>,
    running: Option<(Arc<Ledgered<C>>, CancellationToken, JoinHandle<()>)>,
}

impl Rig<Imsg> {
    /// A line on a Mac.
    pub(crate) async fn imsg(settings: Settings) -> (Self, Mac) {
        let mac = Mac::with(settings);
        let program = ImsgProgram {
            program: mac.program().to_owned(),
            db: None,
            env: Vec::new(),
            macos: None,
        };
        (Self::new(DriverKind::Imsg, move || Imsg::new(program.clone())).await, mac)
    }
}

impl Rig<BlueBubbles> {
    /// A line on a Mac with BlueBubbles.
    pub(crate) async fn bluebubbles() -> (Self, bluebubbles::Server) {
        let fake = bluebubbles::Server::start("secret").await.unwrap();
        let mut options = BlueBubblesOptions::new(fake.url().parse().unwrap(), "secret");
        options.pace.poll = Duration::from_millis(200);
        let connector = move || BlueBubbles::new(options.clone()).unwrap();
        (Self::new(DriverKind::Bluebubbles, connector).await, fake)
    }
}

impl<C: Connector> Rig<C> {
    async fn new(driver: DriverKind, connector: impl Fn() -> C + Send + Sync + 'static) -> Self {
        let server = Setup::new().unlinked().start().await;
        let admin = server.admin();
        let bridge = CreateBridge { name: "mac".to_owned(), driver };
        let bridge = admin.create_bridge(&bridge).await.unwrap().value;
        let account = admin.create_account("Test").await.unwrap().value;
        let mut line = CreateLine::new(account.id, LINE, driver);
        line.bridge_id = Some(bridge.bridge.id.to_string());
        line.contact_first = Some(false);
        admin.create_line(&line).await.unwrap();
        let key = admin.create_key(&CreateKey::new(account.id, "test")).await.unwrap().value;
        let key = key.secret.reveal().to_owned();
        let client = server.client(&key);
        let receiver = Receiver::start().await;
        let kinds = [EventKind::MessageReceived, EventKind::MessageUpdated];
        client.create_webhook(&CreateWebhook::new(LINE, receiver.url(), kinds)).await.unwrap();
        let programs = Programs::new();
        let tools = ConversionTools {
            sips: programs.path(Program::Sips),
            afconvert: programs.path(Program::Afconvert),
            ..ConversionTools::default()
        };
        let mut rig = Self {
            token: bridge.token.reveal().to_owned(),
            data: tempfile::tempdir().unwrap(),
            connector: Box::new(connector),
            running: None,
            key,
            tools,
            programs,
            server,
            client,
            receiver,
        };
        rig.start().await;
        rig
    }

    /// Starts a bridge, and waits until the line takes items.
    pub(crate) async fn start(&mut self) {
        // The ledger of one that was killed is free once its last thread has ended.
        let driver = eventually("the ledger is free", async || {
            let (connector, tools) = ((self.connector)(), self.tools.clone());
            Ledgered::start_converting(connector, self.data.path(), None, tools).ok()
        })
        .await;
        let url = self.server.url.replace("http", "ws");
        let config = BridgeConfig::new(&format!("{url}/bridge/v1/link"), &self.token).unwrap();
        let stop = CancellationToken::new();
        let bridge = Bridge::new(config, driver.clone()).run(stop.clone());
        let task = tokio::spawn(async move { bridge.await.expect("the server takes the bridge") });
        self.running = Some((driver, stop, task));
        eventually("the line is online", async || {
            let lines = self.client.lines().await.unwrap().value.data;
            lines.iter().any(|line| line.status.online).then_some(())
        })
        .await;
    }

    /// Starts the bridge anew with other tools.
    pub(crate) async fn restart_with(&mut self, change: impl FnOnce(&mut ConversionTools)) {
        change(&mut self.tools);
        self.stop().await;
        self.start().await;
    }

    /// Ends the bridge as a kill does: nothing is finished, nothing is said.
    pub(crate) async fn kill(&mut self) {
        let (driver, _, task) = self.running.take().expect("a bridge runs");
        task.abort();
        let _ = task.await;
        drop(driver);
    }

    pub(crate) async fn stop(&mut self) {
        let (driver, stop, task) = self.running.take().expect("a bridge runs");
        stop.cancel();
        task.await.unwrap();
        drop(driver);
    }

    /// How many files were converted, and how many could not be.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let (driver, ..) = self.running.as_ref().expect("a bridge runs");
        let counts = *driver.conversions().unwrap().borrow();
        (counts.made, counts.failed)
    }

    /// The messages of the chat with a contact that have a file.
    pub(crate) async fn with_files(&self) -> Vec<Message> {
        let mut messages = self.client.messages(LINE, ANN).all(1000).await.unwrap_or_default();
        messages.retain(|message| !message.attachments.is_empty());
        messages.reverse();
        messages
    }

    /// Waits for so many messages with a file, and answers the last.
    pub(crate) async fn file(&self, number: usize) -> Message {
        eventually("a message with a file is there", async || {
            self.with_files().await.into_iter().nth(number - 1)
        })
        .await
    }

    /// The bytes of the file with this URL, and what `GET /v1/files` says of it: both the same.
    pub(crate) async fn bytes(&self, url: Option<&str>) -> Vec<u8> {
        let url: reqwest::Url = url.expect("the file has a URL").parse().unwrap();
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let by_url = http.get(url.clone()).send().await.unwrap();
        assert_eq!(by_url.status(), StatusCode::OK);
        let by_url = by_url.bytes().await.unwrap();
        let id = url.query_pairs().find(|(name, _)| name == "id").unwrap().1;
        let asked = format!("{}/v1/files?id={id}", self.server.url);
        let found = http.get(asked).bearer_auth(&self.key).send().await.unwrap();
        assert_eq!(found.status(), StatusCode::FOUND);
        let location = found.headers()["location"].to_str().unwrap();
        let by_id = http.get(location).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(by_url, by_id);
        by_id.into()
    }

    /// Sends a voice memo and waits for its end.
    pub(crate) async fn memo(&self, name: &str, mime_type: &str, bytes: Vec<u8>) -> OutboxItem {
        let upload = Upload::bytes(bytes).mime_type(mime_type).filename(name);
        let file = self.client.upload(upload).await.unwrap().value;
        let memo = SendAudioMessage::new(LINE, ANN, file.id);
        let id = self.client.send_audio_message(&memo).await.unwrap().value.id;
        eventually("the item has ended", async || {
            let item = self.client.outbox(id).await.unwrap().value;
            matches!(item.status, OutboxStatus::Sent | OutboxStatus::Failed).then_some(item)
        })
        .await
    }

    /// What lies in the folder of conversions.
    pub(crate) fn left_over(&self) -> usize {
        entries(&self.data.path().join("converted"))
    }
}

pub(crate) fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
