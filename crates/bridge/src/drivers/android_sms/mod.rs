//! The driver of Android phones: the app SMS Gateway for Android (capcom6/android-sms-gateway) in its local mode, which is a
//! small server on the phone.
//!
//! The app takes a message under an id of ours, and no second one under the same id: asked again after a lost answer it
//! still sends once. What came in is read from its inbox; no webhook is needed, so the phone need not reach the bridge.

mod api;
mod follow;
mod health;
mod inbound;
mod inbox;
mod observe;
mod send;
mod sims;
mod verify;
mod wire;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use switchboard_model::{
    Handle,
    handle::Country,
    line::DriverKind,
    link::{Outcome, SendItem},
};
use tokio::sync::{Mutex, Notify, watch};
use tracing::warn;
use url::Url;

use self::{
    api::{Api, ApiError, Words},
    health::Phone,
};
use crate::{
    connector::{
        Attempt, Concurrency, Connector, Context, FILES_WITHIN, FetchError, FetchedFile, Health,
        Verdict,
    },
    ledger::{Begun, Ledger, ObservedFile},
};

/// How many items may be under way at once: most of their time they wait for the network to take them.
const AT_ONCE: usize = 16;
/// For the requests round it.
const MARGIN: Duration = Duration::from_secs(60);

/// How a phone is reached, and which lines are on it.
#[derive(Clone)]
pub struct AndroidSmsOptions {
    /// The address that the app shows: `http://192.168.1.20:8080`.
    pub url: Url,
    /// The user that the app shows.
    pub user: String,
    /// The password that the app shows.
    pub password: String,
    /// Which SIM card a line is on, from 1 on. A phone with one card needs none.
    pub sims: HashMap<Handle, u32>,
    /// Where numbers without a country are from; none: where the line's own number is from.
    pub country: Option<Country>,
    /// How long is waited for what.
    pub pace: AndroidSmsPace,
}

impl AndroidSmsOptions {
    /// A phone with one SIM card.
    pub fn new(url: Url, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            url,
            user: user.into(),
            password: password.into(),
            sims: HashMap::new(),
            country: None,
            pace: AndroidSmsPace::default(),
        }
    }
}

impl fmt::Debug for AndroidSmsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AndroidSmsOptions");
        shown.field("sims", &self.sims).field("country", &self.country).finish_non_exhaustive()
    }
}

/// How long is waited for what. Tests are in more of a hurry than people.
#[derive(Debug, Clone)]
pub struct AndroidSmsPace {
    /// How long the phone may take to answer.
    pub request: Duration,
    /// How often it is looked for news.
    pub inbox: Duration,
    /// How often the last day is read again.
    pub day: Duration,
    /// How often at most a week is read again because the phone has more than was seen of it.
    pub late: Duration,
    /// How long the app may take to read the phone's own store of texts.
    pub refresh: Duration,
    /// How often the phone is asked how it is, and how often while it is away.
    pub health: Duration,
    /// See [`AndroidSmsPace::health`].
    pub away: Duration,
    /// How often the phone is asked what came of a message at first, and later.
    pub state: Duration,
    /// See [`AndroidSmsPace::state`].
    pub state_later: Duration,
    /// How long a text may wait in the phone: after that it fails instead of going out. The app takes no less than 5 s.
    pub ttl: Duration,
    /// How much longer is waited for what the phone says of it then.
    pub grace: Duration,
    /// How long a message waits for a file that the phone does not give.
    pub files: Duration,
    /// How long a request may lie in the network after the bridge has given it up.
    pub stray: Duration,
}

impl Default for AndroidSmsPace {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(20),
            inbox: Duration::from_secs(3),
            day: Duration::from_secs(10 * 60),
            late: Duration::from_secs(20),
            refresh: Duration::from_secs(2),
            health: Duration::from_secs(20),
            away: Duration::from_secs(3),
            state: Duration::from_secs(1),
            state_later: Duration::from_secs(5),
            ttl: Duration::from_secs(10 * 60),
            grace: Duration::from_secs(15),
            files: FILES_WITHIN,
            stray: Duration::from_secs(5 * 60),
        }
    }
}

/// A phone can't be reached like that.
#[derive(Debug, thiserror::Error)]
#[error("no client can be made for the phone")]
pub struct InvalidAndroidSms(#[source] reqwest::Error);

/// The connector. See the module.
pub struct AndroidSms {
    api: Api,
    options: AndroidSmsOptions,
    /// The phone as it was when it last answered.
    phone: watch::Sender<Option<Arc<Phone>>>,
    health: watch::Sender<Health>,
    /// The phone is to be asked how it is now.
    look: Notify,
    /// Whose text is on its way into Android. The app sends the newest first, so the next one waits outside.
    turn: Mutex<()>,
    /// The last message that the phone is known to have, for whoever has to know later whether it has forgotten any.
    newest: watch::Sender<Option<String>>,
}

impl AndroidSms {
    /// Nothing is asked of the phone yet.
    ///
    /// # Errors
    /// [`InvalidAndroidSms`]
    pub fn new(options: AndroidSmsOptions) -> Result<Self, InvalidAndroidSms> {
        let (url, pace) = (options.url.clone(), &options.pace);
        let api = Api::new(url, &options.user, &options.password, pace.request);
        Ok(Self {
            api: api.map_err(InvalidAndroidSms)?,
            options,
            phone: watch::Sender::default(),
            health: watch::Sender::new(Health::of_all(health::starting())),
            look: Notify::new(),
            turn: Mutex::default(),
            newest: watch::Sender::default(),
        })
    }
}

#[async_trait::async_trait]
impl Connector for AndroidSms {
    fn kind(&self) -> DriverKind {
        DriverKind::AndroidSms
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency { bridge: AT_ONCE, line: AT_ONCE }
    }

    fn send_timeout(&self, _item: &SendItem) -> Duration {
        // As long for its turn as in the phone.
        2 * self.options.pace.ttl + self.options.pace.grace + MARGIN
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn run(&self, context: Context) {
        tokio::select! {
            () = self.keep_health(&context) => {}
            () = self.observe(&context) => {}
            () = self.follow(&context) => {}
        }
    }

    async fn mark(&self, _item: &SendItem) -> Option<String> {
        self.mark_now()
    }

    async fn send(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome {
        self.hand_over(attempt, ledger).await
    }

    async fn verify(&self, begun: &Begun, ledger: &Ledger) -> Verdict {
        self.find_out(begun, ledger).await
    }

    fn files_within(&self) -> Duration {
        self.options.pace.files
    }

    async fn fetch(&self, file: &ObservedFile) -> Result<FetchedFile, FetchError> {
        let (id, part) = file.source.rsplit_once('/').ok_or(FetchError::Gone)?;
        let to = tempfile::NamedTempFile::new();
        let to = to.map_err(|error| FetchError::NotYet(error.to_string()))?.into_temp_path();
        match self.api.download(id, part, &to).await {
            Ok(()) => Ok(FetchedFile::Temporary(to)),
            Err(ApiError::Refused(400 | 404, Words(Some(_)))) => Err(FetchError::Gone),
            Err(ApiError::TooLarge) => {
                warn!("a file that came to a line is larger than this bridge lets through");
                Err(FetchError::Gone)
            }
            Err(error) => Err(FetchError::NotYet(error.to_string())),
        }
    }
}
