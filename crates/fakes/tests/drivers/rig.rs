//! A server with one line, and a bridge that carries it.

use std::{sync::Arc, time::Duration};

use switchboard_bridge::{
    Bridge, BridgeConfig, Connector, Ledgered,
    drivers::{
        AndroidSms, AndroidSmsOptions, AndroidSmsPace, BlueBubbles, BlueBubblesOptions, Imsg,
        ImsgProgram,
    },
};
use switchboard_client::{Client, CreateBridge, CreateKey, CreateLine, CreateWebhook, SendMessage};
use switchboard_fakes::{
    android_sms::Phone,
    bluebubbles,
    imsg::{Mac, Settings},
};
use switchboard_model::{
    Account, EventKind, Message, OutboxItem, Timestamp, id::Id, line::DriverKind,
    outbox::OutboxStatus,
};
use switchboard_testkit::{Receiver, Setup, TestServer, eventually};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::network::Network;

/// The line's own number, as on the fakes.
pub(crate) const LINE: &str = "+15550999999";
pub(crate) const ANN: &str = "+15550100001";
pub(crate) const BOB: &str = "+15550100002";

/// A server, a line, and what carries it.
pub(crate) struct Rig<C> {
    pub(crate) server: TestServer,
    pub(crate) client: Client,
    pub(crate) receiver: Receiver,
    /// The ledger's folder.
    pub(crate) data: TempDir,
    /// What the bridge dials: the network between it and the server.
    pub(crate) network: Network,
    account: Id<Account>,
    bridge: String,
    driver: DriverKind,
    token: String,
    connector: Box<dyn Fn() -> C + Send + Sync>,
    running: Option<Running<C>>,
}

struct Running<C> {
    driver: Arc<Ledgered<C>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Rig<Imsg> {
    /// A line on a Mac.
    pub(crate) async fn imsg(settings: Settings) -> (Self, Mac) {
        let mac = Mac::with(settings);
        let program = ImsgProgram { program: mac.program().to_owned(), db: None, env: Vec::new() };
        let rig = Self::new(DriverKind::Imsg, move || Imsg::new(program.clone())).await;
        (rig, mac)
    }
}

impl Rig<BlueBubbles> {
    /// A line on a Mac with BlueBubbles.
    pub(crate) async fn bluebubbles(
        change: impl FnOnce(&mut bluebubbles::Mac),
    ) -> (Self, bluebubbles::Server) {
        let fake = bluebubbles::Server::start("secret").await.unwrap();
        fake.mac(change);
        let mut options = BlueBubblesOptions::new(fake.url().parse().unwrap(), "secret");
        options.pace.poll = Duration::from_millis(200);
        let connector = move || BlueBubbles::new(options.clone()).unwrap();
        let rig = Self::new(DriverKind::Bluebubbles, connector).await;
        (rig, fake)
    }
}

impl Rig<AndroidSms> {
    /// A line on an Android phone.
    pub(crate) async fn android() -> (Self, Arc<Phone>) {
        Self::android_with(|_| {}, |_| {}).await
    }

    /// The same, with a phone that is changed before the bridge starts, and with other options.
    pub(crate) async fn android_with(
        prepare: impl FnOnce(&Phone),
        change: impl FnOnce(&mut AndroidSmsOptions),
    ) -> (Self, Arc<Phone>) {
        let phone = Arc::new(Phone::start("user", "secret").await.unwrap());
        phone.sims(|sims| sims[0].number = LINE.to_owned());
        prepare(&phone);
        let mut options = AndroidSmsOptions::new(phone.url().parse().unwrap(), "user", "secret");
        options.pace = AndroidSmsPace {
            request: Duration::from_millis(500),
            inbox: Duration::from_millis(50),
            late: Duration::from_millis(100),
            refresh: Duration::from_millis(10),
            health: Duration::from_millis(200),
            away: Duration::from_millis(50),
            state: Duration::from_millis(10),
            state_later: Duration::from_millis(50),
            grace: Duration::from_millis(500),
            stray: Duration::from_millis(100),
            ..AndroidSmsPace::default()
        };
        change(&mut options);
        let connector = move || AndroidSms::new(options.clone()).unwrap();
        (Self::new(DriverKind::AndroidSms, connector).await, phone)
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
        let client = server.client(key.secret.reveal());
        let receiver = Receiver::start().await;
        let kinds = [
            EventKind::MessageReceived,
            EventKind::MessageSent,
            EventKind::MessageFailed,
            EventKind::MessageUpdated,
            EventKind::ReactionAdded,
            EventKind::ReactionRemoved,
            EventKind::TypingStarted,
            EventKind::TypingStopped,
        ];
        client.create_webhook(&CreateWebhook::new(LINE, receiver.url(), kinds)).await.unwrap();
        let mut rig = Self {
            network: Network::to(&server.url).await,
            account: account.id,
            bridge: bridge.bridge.id.to_string(),
            driver,
            token: bridge.token.reveal().to_owned(),
            data: tempfile::tempdir().unwrap(),
            connector: Box::new(connector),
            running: None,
            server,
            client,
            receiver,
        };
        rig.start().await;
        rig.online().await;
        rig
    }

    /// Gives the account one more line on the same bridge.
    pub(crate) async fn add_line(&self, handle: &str) {
        let mut line = CreateLine::new(self.account, handle, self.driver);
        line.bridge_id = Some(self.bridge.clone());
        line.contact_first = Some(false);
        self.server.admin().create_line(&line).await.unwrap();
    }

    /// Starts a bridge.
    pub(crate) async fn start(&mut self) {
        // The ledger of one that was killed is free once its last thread has ended.
        let driver = eventually("the ledger is free", async || {
            Ledgered::start((self.connector)(), self.data.path(), now()).ok()
        })
        .await;
        let config = BridgeConfig::new(&self.network.url(), &self.token).unwrap();
        let stop = CancellationToken::new();
        let bridge = Bridge::new(config, driver.clone()).run(stop.clone());
        let task = tokio::spawn(async move { bridge.await.expect("the server takes the bridge") });
        self.running = Some(Running { driver, stop, task });
    }

    /// Ends the bridge as a kill does: nothing is finished, nothing is said.
    pub(crate) async fn kill(&mut self) {
        let Running { driver, task, .. } = self.running.take().expect("a bridge runs");
        task.abort();
        let _ = task.await;
        drop(driver);
    }

    /// Ends the bridge in good order.
    pub(crate) async fn stop(&mut self) {
        let Running { driver, stop, task } = self.running.take().expect("a bridge runs");
        stop.cancel();
        task.await.unwrap();
        drop(driver);
    }

    /// Waits until the line takes items.
    pub(crate) async fn online(&self) {
        eventually("the line is online", async || {
            let lines = self.client.lines().await.unwrap().value.data;
            lines.iter().any(|line| line.status.online).then_some(())
        })
        .await;
    }

    /// Waits until the line is said to be so.
    pub(crate) async fn line_says(&self, online: bool, reason: Option<&str>) {
        let what = format!("the line says online {online}, reason {reason:?}");
        eventually(&what, async || {
            let lines = self.client.lines().await.unwrap().value.data;
            let status = lines.first()?.status;
            let says = status.reason.map(|reason| reason.as_str());
            (status.online == online && says == reason).then_some(())
        })
        .await;
    }

    /// Sends a text.
    pub(crate) async fn send(&self, to: &str, text: &str) -> Id<OutboxItem> {
        let message = SendMessage::text(LINE, to, text);
        self.client.send_message(&message).await.unwrap().value.id
    }

    /// Sends a text and waits for its end.
    pub(crate) async fn sent(&self, to: &str, text: &str) -> OutboxItem {
        let id = self.send(to, text).await;
        self.ended(id).await
    }

    /// Waits for the end of an item.
    pub(crate) async fn ended(&self, id: Id<OutboxItem>) -> OutboxItem {
        eventually("the item has ended", async || {
            let item = self.client.outbox(id).await.unwrap().value;
            matches!(item.status, OutboxStatus::Sent | OutboxStatus::Failed).then_some(item)
        })
        .await
    }

    /// The messages of the chat with a contact, the oldest first.
    pub(crate) async fn messages(&self, with: &str) -> Vec<Message> {
        let mut messages = self.client.messages(LINE, with).all(10_000).await.unwrap_or_default();
        messages.reverse();
        messages
    }

    /// Waits for a message in the chat with a contact.
    pub(crate) async fn message(&self, with: &str, text: &str) -> Message {
        let what = format!("the message {text:?} is there");
        eventually(&what, async || {
            let says = |message: &Message| message.text.as_deref() == Some(text);
            self.messages(with).await.into_iter().find(says)
        })
        .await
    }

    /// The deliveries of an event that have come, by what `field` of their data says.
    pub(crate) fn told(&self, event: &str, field: &str) -> Vec<String> {
        let received = self.receiver.received();
        let of_it = received.iter().map(|one| one.json()).filter(|one| one["event"] == event);
        of_it.map(|one| one["data"][field].as_str().unwrap_or_default().to_owned()).collect()
    }
}

pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the fakes stamp by this clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}
