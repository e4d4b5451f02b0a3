//! The server that is measured, in this process, with contacts that have texted first.

use std::{net::SocketAddr, ops::Range, sync::Arc};

use anyhow::Context as _;
use serde_json::json;
use switchboard_client::CreateWebhook;
use switchboard_model::{
    EventKind, Line, Timestamp,
    chat::Service,
    id::Id,
    link::{Inbound, InboundChat, InboundMessage},
    time::Clock,
    webhook::WebhookSecret,
};
use switchboard_server::SystemClock;
use switchboard_store::Store;
use switchboard_testkit::{LINE, Receiver, Setup, Tenant, TestServer};
use switchboard_testpg::Database;

use crate::{
    Options, StoreKind,
    load::{Template, numbered_text},
};

/// The contacts that messages are spread over.
const CONTACTS: u32 = 64;

/// Texts that come in in one transaction.
const RECEIVED_AT_ONCE: u64 = 512;

/// A server with one line, and contacts that it may write to.
pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) tenant: Tenant,
    contacts: Vec<String>,
    /// How many texts came in by [`Stopped::backlog`], and before it.
    received: u64,
}

/// The same world while its server is stopped.
pub(crate) struct Stopped {
    setup: Setup,
    tenant: Tenant,
    contacts: Vec<String>,
    received: u64,
}

impl Stopped {
    /// Lets so many texts come in, in turn from each contact. Nobody is there to attempt their deliveries
    /// until the server starts.
    pub(crate) async fn backlog(&mut self, texts: usize) -> anyhow::Result<()> {
        let store = self.setup.open_store().await;
        let end = self.received + texts as u64;
        while self.received < end {
            let next = end.min(self.received + RECEIVED_AT_ONCE);
            let numbers = self.received..next;
            receive(&*store, self.tenant.line_id, &self.contacts, numbers).await?;
            self.received = next;
        }
        store.close().await;
        Ok(())
    }

    /// Starts the server again, on the same database.
    pub(crate) async fn start(self) -> World {
        let Self { setup, tenant, contacts, received } = self;
        World { server: setup.start().await, tenant, contacts, received }
    }
}

impl World {
    /// With the simulator's bridge: what is accepted is sent.
    pub(crate) async fn linked(options: &Options) -> anyhow::Result<Self> {
        let world = Self::start(setup(options).await).await;
        for contact in &world.contacts {
            world.server.text(LINE, contact, "Hello").await;
        }
        Ok(world)
    }

    /// Without a bridge: what is accepted stays where it is, so that only acceptance is measured.
    pub(crate) async fn unlinked(options: &Options) -> anyhow::Result<Self> {
        let world = Self::start(setup(options).await.unlinked()).await;
        let store = &*world.server.store;
        receive(store, world.tenant.line_id, &world.contacts, 0..u64::from(CONTACTS)).await?;
        Ok(world)
    }

    /// Stops the server; its database stays.
    pub(crate) async fn stop(self) -> Stopped {
        let Self { server, tenant, contacts, received } = self;
        Stopped { setup: server.shut_down().await, tenant, contacts, received }
    }

    async fn start(setup: Setup) -> Self {
        let server = setup.start().await;
        let tenant = server.tenant(LINE).await;
        let contacts = (0..CONTACTS).map(|n| format!("+1555013{n:04}")).collect();
        Self { server, tenant, contacts, received: u64::from(CONTACTS) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        address(&self.server)
    }

    /// A receiver that gets these events and keeps them, and the secret to verify them with.
    pub(crate) async fn receiver(
        &self,
        event: EventKind,
    ) -> anyhow::Result<(Arc<Receiver>, WebhookSecret)> {
        let receiver = Receiver::start().await;
        let webhook = CreateWebhook::new(LINE, receiver.url(), [event]);
        let made = self.tenant.client.create_webhook(&webhook).await?.value;
        Ok((Arc::new(receiver), made.secret.context("a new webhook shows its secret")?))
    }

    /// Sends to each contact.
    pub(crate) fn sends(&self) -> anyhow::Result<Arc<[Template]>> {
        let send = |contact: &String| {
            let body = json!({ "from": LINE, "to": contact, "text": numbered_text() });
            Template::post("/v1/messages", &self.tenant.key, &body)
        };
        self.contacts.iter().map(send).collect()
    }

    /// Texts from each contact.
    pub(crate) fn texts(&self) -> anyhow::Result<Arc<[Template]>> {
        let text = |contact: &String| {
            let body = json!({ "line": LINE, "from": contact, "text": numbered_text() });
            Template::post("/simulator/v1/messages", self.server.operator_token(), &body)
        };
        self.contacts.iter().map(text).collect()
    }
}

/// Where this server listens.
pub(crate) fn address(server: &TestServer) -> anyhow::Result<SocketAddr> {
    let address = server.url.strip_prefix("http://").context("a URL of testkit")?;
    Ok(address.parse()?)
}

/// Lets texts with these numbers come in. Whoever is to attempt their deliveries may take as long as it likes.
pub(crate) async fn receive(
    store: &dyn Store,
    line: Id<Line>,
    contacts: &[String],
    numbers: Range<u64>,
) -> anyhow::Result<()> {
    let bridges = store.bridges().await?;
    let bridge = bridges.first().context("the simulator has its bridge")?.id;
    let link = store.open_link(bridge, SystemClock.now()).await?.link;
    let position = numbers.end.to_string();
    let texts = numbers.zip(contacts.iter().cycle()).map(|(number, contact)| {
        Ok(Inbound::Message(InboundMessage {
            guid: format!("bench-{number}"),
            chat: InboundChat::Contact { handle: contact.parse()? },
            sender: contact.parse()?,
            text: Some("Is the shop open on Sunday too?".to_owned()),
            sent_at: Timestamp(0),
            service: Service::IMessage,
            reply_to_guid: None,
            attachments: Vec::new(),
            is_audio_message: false,
        }))
    });
    let texts = texts.collect::<anyhow::Result<_>>()?;
    let now = SystemClock.now();
    store.receive(link, line, position, texts, now).await?;
    Ok(())
}

/// The limit is counted as always, but never reached.
pub(crate) async fn setup(options: &Options) -> Setup {
    let setup = Setup::new().config(|config| {
        config.rate_limit = u32::MAX;
        if let Some(most) = options.webhook_concurrency {
            config.webhook_concurrency = most;
        }
    });
    match options.store {
        StoreKind::Sqlite => setup,
        StoreKind::Postgres => {
            // Beside the other databases: on the same disk.
            let directory = tempfile::env::temp_dir().join("postgres");
            setup.database(Arc::new(Database::durable(&directory).await))
        }
    }
}
