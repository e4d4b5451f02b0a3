//! A server with one line, and a bridge that carries it.

use std::{marker::PhantomData, path::Path, sync::Arc, time::Duration};

use switchboard_bridge::{
    Bridge, BridgeConfig, Connector, Driver, Ledgered, Simulator, SimulatorOptions,
    drivers::{
        AndroidSms, AndroidSmsOptions, AndroidSmsPace, BlueBubbles, BlueBubblesOptions, Imsg,
        ImsgProgram,
    },
};
use switchboard_client::{
    AdminClient, Client, CreateBridge, CreateKey, CreateLine, CreateWebhook, SendMessage,
};
use switchboard_fakes::{
    android_sms::Phone,
    bluebubbles,
    imsg::{Mac, MacOs, Settings},
};
use switchboard_model::{
    Account, EventKind, Message, OutboxItem, Timestamp, id::Id, line::DriverKind,
    outbox::OutboxStatus, webhook::WebhookSecret,
};
use switchboard_server::SystemClock;
use switchboard_testkit::{Receiver, Setup, TestServer, eventually, judge};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{network::Network, served::Served};

/// The line's own number, as on the fakes.
pub(crate) const LINE: &str = "+15550999999";
pub(crate) const ANN: &str = "+15550100001";
pub(crate) const BOB: &str = "+15550100002";

/// A server, a line, and what carries it. The server runs in this process, or in one of its own.
pub(crate) struct Rig<C, S = TestServer> {
    pub(crate) server: S,
    pub(crate) client: Client,
    pub(crate) receiver: Receiver,
    /// The secret of the receiver's webhook.
    pub(crate) secret: WebhookSecret,
    /// The ledger's folder.
    pub(crate) data: TempDir,
    /// What the bridge dials: the network between it and the server.
    pub(crate) network: Network,
    account: Id<Account>,
    carrier: Carrier,
    /// The bridge, if it is not the server's own.
    bridge: Option<String>,
    token: String,
    running: Option<Running>,
    standby: Option<Standby>,
    carried_by: PhantomData<fn() -> C>,
}

/// How a bridge's driver is opened, with its memory in this folder. None while an earlier one still holds that.
type Open = dyn Fn(&Path) -> Option<Arc<dyn Driver>> + Send + Sync;

/// What can carry a line.
pub(crate) struct Carrier {
    kind: DriverKind,
    open: Box<Open>,
    /// Whether the line takes only contacts who have written first.
    contact_first: bool,
}

struct Running {
    driver: Arc<dyn Driver>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The line's other bridge, on a machine of its own.
struct Standby {
    token: String,
    data: TempDir,
    running: Option<Running>,
}

/// A server of either kind.
pub(crate) trait Serves {
    fn url(&self) -> &str;
    fn operator(&self) -> AdminClient;
    /// The token of its own bridge, the simulator's.
    fn own_token(&self) -> Option<&str>;
}

impl Serves for TestServer {
    fn url(&self) -> &str {
        &self.url
    }

    fn operator(&self) -> AdminClient {
        self.admin()
    }

    fn own_token(&self) -> Option<&str> {
        self.simulator_token()
    }
}

impl Serves for Served {
    fn url(&self) -> &str {
        Self::url(self)
    }

    fn operator(&self) -> AdminClient {
        self.admin()
    }

    fn own_token(&self) -> Option<&str> {
        None
    }
}

impl Carrier {
    fn ledgered<C: Connector>(
        kind: DriverKind,
        connector: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self {
        let open = move |folder: &Path| {
            let driver = Ledgered::start(connector(), folder, None).ok()?;
            Some(driver as Arc<dyn Driver>)
        };
        Self { kind, open: Box::new(open), contact_first: false }
    }

    /// The same, for a line that is contact-first.
    pub(crate) fn contact_first(self) -> Self {
        Self { contact_first: true, ..self }
    }

    /// A Mac with imsg.
    pub(crate) fn imsg(settings: Settings) -> (Self, Mac) {
        let macos = Some(if settings.macos == MacOs::Tahoe26 { 26 } else { 15 });
        let mac = Mac::with(settings);
        let program = mac.program().to_owned();
        let program = ImsgProgram { program, db: None, env: Vec::new(), macos };
        (Self::ledgered(DriverKind::Imsg, move || Imsg::new(program.clone())), mac)
    }

    /// A Mac with BlueBubbles, and how the bridge reaches it.
    pub(crate) async fn bluebubbles(
        prepare: impl FnOnce(&mut bluebubbles::Mac),
        change: impl FnOnce(&mut BlueBubblesOptions),
    ) -> (Self, bluebubbles::Server) {
        let fake = bluebubbles::Server::start("secret").await.unwrap();
        fake.mac(prepare);
        let mut options = BlueBubblesOptions::new(fake.url().parse().unwrap(), "secret");
        options.pace.poll = Duration::from_millis(200);
        change(&mut options);
        let connector = move || BlueBubbles::new(options.clone()).unwrap();
        (Self::ledgered(DriverKind::Bluebubbles, connector), fake)
    }

    /// An Android phone, and how the bridge reaches it.
    pub(crate) async fn android(
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
        (Self::ledgered(DriverKind::AndroidSms, connector), phone)
    }

    /// The simulator's phones, which outlive each bridge.
    pub(crate) fn simulator(journal: &Path) -> (Self, Arc<Simulator>) {
        // The bridge may be away when somebody writes.
        let options = SimulatorOptions {
            confirm_timeout: Duration::from_secs(1),
            ..SimulatorOptions::default()
        };
        let simulator = Simulator::open(journal, Arc::new(SystemClock), options).unwrap();
        let driver = Arc::clone(&simulator);
        let open = move |_: &Path| Some(Arc::clone(&driver) as Arc<dyn Driver>);
        let carrier =
            Self { kind: DriverKind::Simulator, open: Box::new(open), contact_first: false };
        (carrier, simulator)
    }
}

impl Rig<Imsg> {
    /// A line on a Mac.
    pub(crate) async fn imsg(settings: Settings) -> (Self, Mac) {
        let (carrier, mac) = Carrier::imsg(settings);
        (Self::new(carrier).await, mac)
    }
}

impl Rig<BlueBubbles> {
    /// A line on a Mac with BlueBubbles.
    pub(crate) async fn bluebubbles(
        change: impl FnOnce(&mut bluebubbles::Mac),
    ) -> (Self, bluebubbles::Server) {
        let (carrier, fake) = Carrier::bluebubbles(change, |_| {}).await;
        (Self::new(carrier).await, fake)
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
        let (carrier, phone) = Carrier::android(prepare, change).await;
        (Self::new(carrier).await, phone)
    }
}

impl<C> Rig<C> {
    async fn new(carrier: Carrier) -> Self {
        let server = Setup::new().unlinked().start().await;
        Self::on(server, carrier).await
    }
}

impl<C, S: Serves> Rig<C, S> {
    /// A line on this server.
    pub(crate) async fn on(server: S, carrier: Carrier) -> Self {
        let admin = server.operator();
        let account = admin.create_account("Test").await.unwrap().value;
        let kind = carrier.kind;
        let (bridge, token) = if kind == DriverKind::Simulator {
            (None, server.own_token().expect("it has a simulator").to_owned())
        } else {
            let bridge = CreateBridge { name: "mac".to_owned(), driver: kind };
            let made = admin.create_bridge(&bridge).await.unwrap().value;
            (Some(made.bridge.id.to_string()), made.token.reveal().to_owned())
        };
        let mut line = CreateLine::new(account.id, LINE, kind);
        line.bridge_id.clone_from(&bridge);
        line.contact_first = Some(carrier.contact_first);
        admin.create_line(&line).await.unwrap();
        let key = admin.create_key(&CreateKey::new(account.id, "test")).await.unwrap().value;
        let client = Client::builder(server.url()).key(key.secret.reveal()).observe(judge);
        let client = client.build().unwrap();
        let receiver = Receiver::start().await;
        let webhook = CreateWebhook::new(LINE, receiver.url(), EventKind::ALL);
        let webhook = client.create_webhook(&webhook).await.unwrap().value;
        let mut rig = Self {
            network: Network::to(server.url()).await,
            secret: webhook.secret.expect("a new webhook shows its secret"),
            account: account.id,
            carrier,
            bridge,
            token,
            data: tempfile::tempdir().unwrap(),
            running: None,
            standby: None,
            server,
            client,
            receiver,
            carried_by: PhantomData,
        };
        rig.start().await;
        rig.online().await;
        rig
    }

    /// Gives the account one more line on the same bridge.
    pub(crate) async fn add_line(&self, handle: &str) {
        let mut line = CreateLine::new(self.account, handle, self.carrier.kind);
        line.bridge_id.clone_from(&self.bridge);
        line.contact_first = Some(self.carrier.contact_first);
        self.server.operator().create_line(&line).await.unwrap();
    }

    /// Gives the line a second bridge, with a ledger of its own, that takes it over.
    pub(crate) async fn add_standby(&mut self) {
        let admin = self.server.operator();
        let bridge = CreateBridge { name: "other mac".to_owned(), driver: self.carrier.kind };
        let made = admin.create_bridge(&bridge).await.unwrap().value;
        let line = admin.lines().await.unwrap().value.data.remove(0).line.id;
        admin.set_standby(line, Some(&made.bridge.id.to_string())).await.unwrap();
        let token = made.token.reveal().to_owned();
        self.standby = Some(Standby { token, data: tempfile::tempdir().unwrap(), running: None });
        self.swap();
        self.start().await;
        self.swap();
    }

    /// Waits until the line's standby could carry it.
    pub(crate) async fn standby_is_ready(&self) {
        eventually("the standby is ready", async || {
            let lines = self.server.operator().lines().await.unwrap().value.data;
            lines.iter().any(|line| line.standby_ready == Some(true)).then_some(())
        })
        .await;
    }

    /// What is done to the bridge from now on is done to the other one.
    pub(crate) fn swap(&mut self) {
        let standby = self.standby.as_mut().expect("the line has a standby");
        std::mem::swap(&mut self.token, &mut standby.token);
        std::mem::swap(&mut self.data, &mut standby.data);
        std::mem::swap(&mut self.running, &mut standby.running);
    }

    /// Starts a bridge.
    pub(crate) async fn start(&mut self) {
        // The ledger of one that was killed is free once its last thread has ended.
        let open = &self.carrier.open;
        let driver = eventually("the ledger is free", async || open(self.data.path())).await;
        let config = BridgeConfig::new(&self.network.url(), &self.token).unwrap();
        let stop = CancellationToken::new();
        let bridge = Bridge::new(config, Arc::clone(&driver)).run(stop.clone());
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
