//! The driver of a BlueBubbles server (BlueBubblesApp/bluebubbles-server, version 1.9 or newer).
//!
//! The server reads Messages' database and sends by Apple's scripts or by its helper within Messages. It remembers no
//! send: the name that a request carries guards nothing once it was answered. So what was sent without an answer is
//! looked for among Messages' own rows. Its webhook is a wake-up only, and need not be there: what happened is read by
//! row number, from the place in the ledger.

mod addressed;
mod api;
mod changes;
mod chats;
mod files;
mod forms;
mod health;
mod judge;
mod late;
mod observe;
mod outcome;
mod pacer;
mod query;
mod reached;
mod read;
mod rows;
mod send;
mod small;
mod verify;
mod webhook;
mod wire;

use std::{fmt, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use switchboard_model::{
    line::DriverKind,
    link::{Content, Outcome, SendItem},
};
use tokio::sync::{Notify, watch};
use url::Url;

use self::{
    addressed::Addressed,
    api::Api,
    chats::KnownChats,
    health::{Mac, Troubles},
    outcome::Method,
    pacer::Pacer,
    webhook::Heard,
};
use crate::{
    connector::{
        Attempt, Concurrency, Connector, Context, FetchError, FetchedFile, Health, Verdict,
    },
    convert::Form,
    drivers::watermark::PassedOver,
    ledger::{Begun, Ledger, ObservedFile},
};

/// How many items may be under way at once: most of their time they wait for Messages.
const AT_ONCE: usize = 16;
/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the server may take to answer for a text. It gives Messages 120 s, and then looks for its row for 60 s.
const TEXT_TIMEOUT: Duration = Duration::from_secs(200);
/// How long it may take to answer for a file.
const FILE_TIMEOUT: Duration = Duration::from_secs(24 * 60);
/// How long it may take to answer for an indicator or a receipt.
const SMALL_TIMEOUT: Duration = Duration::from_secs(20);
/// For looking at what came of it, after the answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// How a BlueBubbles server is reached.
#[derive(Clone)]
pub struct BlueBubblesOptions {
    /// Its address, without `/api/v1`.
    pub url: Url,
    /// Its password.
    pub password: String,
    /// Where it can tell of news; without it news are looked for every few seconds.
    pub webhook: Option<BlueBubblesWebhook>,
    /// How long is waited for what.
    pub pace: BlueBubblesPace,
}

impl BlueBubblesOptions {
    /// A server, asked every few seconds.
    pub fn new(url: Url, password: impl Into<String>) -> Self {
        let pace = BlueBubblesPace::default();
        Self { url, password: password.into(), webhook: None, pace }
    }
}

impl fmt::Debug for BlueBubblesOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlueBubblesOptions").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// Where a BlueBubbles server tells of news.
#[derive(Debug, Clone)]
pub struct BlueBubblesWebhook {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The same as the server reaches it; none if it reaches the address itself.
    pub url: Option<Url>,
}

/// How long is waited for what. Tests are in more of a hurry than people.
#[derive(Debug, Clone)]
pub struct BlueBubblesPace {
    /// How often it is looked for news in any case.
    pub poll: Duration,
    /// How often it is looked at a row that is not settled.
    pub unsettled: Duration,
    /// How long a row may stand in no chat.
    pub joins_within: Duration,
    /// How long an own row waits for what is under way and says the same.
    pub owned_within: Duration,
    /// How long a row may be empty.
    pub fills_within: Duration,
    /// What has become of an own message is told no sooner: the server must know the message first.
    pub told_after: Duration,
    /// How long a message is read again at each look.
    pub watched: Duration,
    /// How often the server is asked how it is, and how often while it is away.
    pub health: Duration,
    /// See [`BlueBubblesPace::health`].
    pub away: Duration,
    /// How long the helper may take to say that it is there.
    pub probe: Duration,
    /// After an error of a script: how long Messages may take to show what it sent all the same.
    pub after_script: Duration,
    /// How long the webhook may say nothing of rows that were found.
    pub silent_after: Duration,
    /// Between two actions of the helper: it takes five a second, of everybody together.
    pub action_spacing: Duration,
}

impl Default for BlueBubblesPace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            unsettled: Duration::from_millis(500),
            joins_within: Duration::from_secs(30),
            owned_within: Duration::from_secs(60),
            fills_within: Duration::from_secs(5),
            told_after: Duration::from_secs(3),
            watched: Duration::from_secs(2 * 60),
            health: Duration::from_secs(20),
            away: Duration::from_secs(3),
            probe: Duration::from_secs(10),
            after_script: Duration::from_secs(10),
            silent_after: Duration::from_secs(30),
            action_spacing: Duration::from_millis(200),
        }
    }
}

/// The connector. See the module.
pub struct BlueBubbles {
    api: Api,
    options: BlueBubblesOptions,
    mac: watch::Sender<Option<Arc<Mac>>>,
    troubles: watch::Sender<Troubles>,
    health: watch::Sender<Health>,
    chats: KnownChats,
    addressed: Addressed,
    pacer: Pacer,
    heard: Heard,
    /// What is passed over as history.
    history: PassedOver,
    /// There may be news in Messages.
    news: Notify,
    /// The server may be another one than it was.
    look: Notify,
    /// The row up to which everything was read.
    read_to: watch::Sender<i64>,
}

/// The options of a BlueBubbles server can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBlueBubbles {
    /// No address of a server.
    #[error("the address of a BlueBubbles server begins with http:// or https://")]
    Url,
    /// No password.
    #[error("a BlueBubbles server always has a password, and none was given")]
    Password,
    /// Nobody can be told to come to every address.
    #[error("the webhook listens on every address: say by which one BlueBubbles reaches it")]
    Webhook,
    /// This system can't make connections.
    #[error("no connection can be made from here")]
    Client(#[source] reqwest::Error),
}

impl BlueBubbles {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// [`InvalidBlueBubbles`]
    pub fn new(options: BlueBubblesOptions) -> Result<Self, InvalidBlueBubbles> {
        if !matches!(options.url.scheme(), "http" | "https") || !options.url.has_host() {
            return Err(InvalidBlueBubbles::Url);
        }
        if options.password.trim().is_empty() {
            return Err(InvalidBlueBubbles::Password);
        }
        let nowhere =
            |one: &BlueBubblesWebhook| one.url.is_none() && one.listen.ip().is_unspecified();
        if options.webhook.as_ref().is_some_and(nowhere) {
            return Err(InvalidBlueBubbles::Webhook);
        }
        let api = Api::new(options.url.clone(), &options.password)
            .map_err(|error| InvalidBlueBubbles::Client(error.without_url()))?;
        Ok(Self {
            api,
            pacer: Pacer::new(options.pace.action_spacing),
            options,
            mac: watch::Sender::default(),
            troubles: watch::Sender::default(),
            health: watch::Sender::new(Health::of_all(health::starting())),
            chats: KnownChats::default(),
            addressed: Addressed::default(),
            heard: Heard::default(),
            history: PassedOver::new(),
            news: Notify::new(),
            look: Notify::new(),
            read_to: watch::Sender::default(),
        })
    }

    fn pace(&self) -> &BlueBubblesPace {
        &self.options.pace
    }
}

#[async_trait::async_trait]
impl Connector for BlueBubbles {
    fn kind(&self) -> DriverKind {
        DriverKind::Bluebubbles
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency { bridge: AT_ONCE, line: AT_ONCE }
    }

    fn send_timeout(&self, item: &SendItem) -> Duration {
        let answers = match &item.content {
            Content::Message { attachments, .. } => {
                let files = u32::try_from(attachments.len()).unwrap_or(1);
                TEXT_TIMEOUT + FILE_TIMEOUT * files
            }
            Content::Reaction { .. } => TEXT_TIMEOUT,
            Content::Typing { .. } | Content::Read => SMALL_TIMEOUT,
        };
        answers + LOOK_TIMEOUT
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn run(&self, context: Context) {
        tokio::select! {
            () = self.keep_health(&context) => {}
            () = self.observe(&context) => {}
            () = self.listen(&context) => {}
        }
    }

    async fn turn(&self, item: &SendItem) {
        match item.content {
            Content::Message { .. }
                if self
                    .mac
                    .borrow()
                    .as_ref()
                    .is_some_and(|mac| mac.method() == Method::PrivateApi) =>
            {
                self.pacer.turn(None).await;
            }
            Content::Reaction { .. } => {
                self.pacer.turn(None).await;
            }
            // What is of the moment waits only if it is worth it. Scripts are not counted.
            _ => {}
        }
    }

    async fn mark(&self, item: &SendItem) -> Option<String> {
        match item.content {
            Content::Message { .. } | Content::Reaction { .. } => self.newest_row().await,
            Content::Typing { .. } | Content::Read => None,
        }
    }

    async fn send(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome {
        self.hand_over(attempt, ledger).await
    }

    async fn verify(&self, begun: &Begun, ledger: &Ledger) -> Verdict {
        self.find_out(begun, ledger).await
    }

    async fn fetch(&self, file: &ObservedFile) -> Result<FetchedFile, FetchError> {
        self.download(file).await
    }

    async fn fetch_as(&self, file: &ObservedFile, form: Form, dir: &Path) -> Option<FetchedFile> {
        self.download_as(file, form, dir).await
    }

    fn wants_opus_memos(&self) -> bool {
        // What BlueBubbles makes itself is no Opus, and plays nowhere.
        true
    }
}

impl fmt::Debug for BlueBubbles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlueBubbles").finish_non_exhaustive()
    }
}
