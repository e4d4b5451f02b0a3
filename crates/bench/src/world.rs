//! The server that is measured, in this process, with contacts that have texted first.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use serde_json::json;
use switchboard_client::CreateWebhook;
use switchboard_model::{
    EventKind, Timestamp,
    chat::Service,
    link::{Inbound, InboundChat, InboundMessage},
    time::Clock as _,
    webhook::WebhookSecret,
};
use switchboard_server::SystemClock;
use switchboard_testkit::{LINE, Receiver, Setup, Tenant, TestServer};

use crate::load::{Template, numbered_text};

/// The contacts that messages are spread over.
const CONTACTS: u32 = 64;
/// Texts that come in at once to a backlog.
const BATCH: usize = 500;
/// Longer than it takes to make one.
const LEASE: Duration = Duration::from_secs(3600);

/// A server with one line, and contacts that it may write to.
pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) tenant: Tenant,
    contacts: Vec<String>,
}

impl World {
    /// With the simulator's bridge: what is accepted is sent.
    pub(crate) async fn linked() -> anyhow::Result<Self> {
        let world = Self::start(setup()).await;
        for contact in &world.contacts {
            world.server.text(LINE, contact, "Hello").await;
        }
        Ok(world)
    }

    /// Without a bridge: what is accepted stays where it is, so that only acceptance is measured.
    pub(crate) async fn unlinked() -> anyhow::Result<Self> {
        let world = Self::start(setup().unlinked()).await;
        let store = &world.server.store;
        let bridges = store.bridges().await?;
        let bridge = bridges.first().context("the simulator has its bridge")?.id;
        let texts = world.contacts.iter().map(|contact| text(contact, contact));
        let texts = texts.collect::<anyhow::Result<_>>()?;
        let (line, now) = (world.tenant.line_id, Timestamp(0));
        store.receive(bridge, line, "0".to_owned(), texts, now, now).await?;
        Ok(world)
    }

    async fn start(setup: Setup) -> Self {
        let server = setup.start().await;
        let tenant = server.tenant(LINE).await;
        let contacts = (0..CONTACTS).map(|n| format!("+1555013{n:04}")).collect();
        Self { server, tenant, contacts }
    }

    /// So many texts came in, and nobody was told yet: their deliveries go out when the server is
    /// started again.
    pub(crate) async fn backlog(&self, texts: u64) -> anyhow::Result<()> {
        let store = &self.server.store;
        let bridges = store.bridges().await?;
        let bridge = bridges.first().context("the simulator has its bridge")?.id;
        let numbers: Vec<u64> = (0..texts).collect();
        for batch in numbers.chunks(BATCH) {
            let contacts = self.contacts.iter().cycle();
            let texts =
                batch.iter().zip(contacts).map(|(n, contact)| text(&n.to_string(), contact));
            let texts = texts.collect::<anyhow::Result<_>>()?;
            let (line, position) = (self.tenant.line_id, batch[0].to_string());
            let now = SystemClock.now();
            store.receive(bridge, line, position, texts, now, now + LEASE).await?;
        }
        Ok(())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        let address = self.server.url.strip_prefix("http://").context("a URL of testkit")?;
        Ok(address.parse()?)
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

/// A text from a contact, whose guid ends like this.
fn text(guid: &str, contact: &str) -> anyhow::Result<Inbound> {
    Ok(Inbound::Message(InboundMessage {
        guid: format!("bench-{guid}"),
        chat: InboundChat::Contact { handle: contact.parse()? },
        sender: contact.parse()?,
        text: Some("Hello".to_owned()),
        sent_at: Timestamp(0),
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    }))
}

/// The limit is counted as always, but never reached.
fn setup() -> Setup {
    Setup::new().config(|config| config.rate_limit = u32::MAX)
}
