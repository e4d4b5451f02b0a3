//! The link: the bridge dials, serves the socket, and dials again, until it is told to stop.
//!
//! What must outlive a socket (items that run, outcomes not yet settled) is in `items`;
//! everything else of a socket dies with it.

mod in_flight;
mod inbound;
mod items;
mod probe;
mod resolved;
mod session;
mod state;

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
pub use probe::{Door, Probed, Unreachable};
pub use state::LinkState;
use switchboard_model::secret::{self, SecretHash};
use tokio::{sync::watch, time::Instant};
use tokio_tungstenite::tungstenite::{self, http::HeaderValue};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;

use crate::{
    driver::{Driver, DriverError},
    files::FileClient,
};
use items::Items;
use state::LinkTeller;

/// Where a server takes bridges in.
const LINK_PATH: &str = "/bridge/v1/link";
/// The first pause before dialling again.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest one. A socket that lived longer than this starts the pauses anew.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// The pause while another process has the link.
const SUPERSEDED_PAUSE: Duration = Duration::from_secs(10);

/// Whom a bridge dials, and as whom.
#[derive(Clone)]
pub struct BridgeConfig {
    url: Url,
    authorization: HeaderValue,
    /// Tells the bridge from others: a digest of its token.
    bridge: String,
    files: FileClient,
}

/// The configuration can't work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBridgeConfig {
    /// The URL is not one of a WebSocket.
    #[error("the server's URL must be ws://… or wss://…, with the path /bridge/v1/link")]
    Url,
    /// The URL is not one of a server.
    #[error("the server's URL must be https://…, or http://… where nobody else can listen in")]
    Server,
    /// The URL holds a name or a password, which would go nowhere and stand in the log.
    #[error(
        "the server's URL must hold no user name and no password before the @: a bridge signs in with its token"
    )]
    UserInfo,
    /// The token can't stand in a header.
    #[error("the bridge's token has characters that no token has")]
    Token,
    /// This machine can't make HTTP requests.
    #[error("no HTTP client can be made: TLS can't be set up on this machine")]
    Client,
}

impl BridgeConfig {
    /// `server` is the URL of the server as a browser would have it, or that of its link: `https://…`, `wss://…` or, without
    /// TLS, `http://…`, `ws://…`. The path of the link is added if it is not there.
    ///
    /// # Errors
    /// [`InvalidBridgeConfig`] for what can't be dialled.
    pub fn of_server(server: &str, token: &str) -> Result<Self, InvalidBridgeConfig> {
        let url = link_url(server)?;
        Self::new(url.as_str(), token)
    }

    /// `url` is `ws://…` or `wss://…`, up to and with `/bridge/v1/link`.
    ///
    /// # Errors
    /// [`InvalidBridgeConfig`] for what can't be dialled.
    pub fn new(url: &str, token: &str) -> Result<Self, InvalidBridgeConfig> {
        let url = Url::parse(url.trim()).map_err(|_| InvalidBridgeConfig::Url)?;
        if !matches!(url.scheme(), "ws" | "wss") || !url.has_host() {
            return Err(InvalidBridgeConfig::Url);
        }
        let token = secret::bare(token);
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| InvalidBridgeConfig::Token)?;
        authorization.set_sensitive(true);
        let files =
            FileClient::new(&url, authorization.clone()).ok_or(InvalidBridgeConfig::Client)?;
        Ok(Self { url, authorization, bridge: digest(token), files })
    }

    /// Lets files of up to this many bytes through, instead of [`DEFAULT_MAX_BYTES`](crate::DEFAULT_MAX_BYTES).
    #[must_use]
    pub fn max_file_bytes(mut self, max_bytes: u64) -> Self {
        self.files.set_max_bytes(max_bytes);
        self
    }

    /// What is dialled.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The files beside that link.
    pub fn files(&self) -> &FileClient {
        &self.files
    }
}

fn digest(token: &str) -> String {
    let SecretHash(hash) = SecretHash::of(token);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The URL of the link on this server.
fn link_url(server: &str) -> Result<Url, InvalidBridgeConfig> {
    const WRONG: InvalidBridgeConfig = InvalidBridgeConfig::Server;
    let mut url = Url::parse(server.trim()).map_err(|_| WRONG)?;
    let scheme = match url.scheme() {
        "https" | "wss" => "wss",
        "http" | "ws" => "ws",
        _ => return Err(WRONG),
    };
    url.set_scheme(scheme).map_err(|()| WRONG)?;
    if !url.has_host() {
        return Err(WRONG);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidBridgeConfig::UserInfo);
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    match path.ends_with(LINK_PATH) {
        true => url.set_path(&path),
        false => url.set_path(&format!("{path}{LINK_PATH}")),
    }
    Ok(url)
}

impl fmt::Debug for BridgeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BridgeConfig").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// The server wants nothing of this bridge any more (revoked, another protocol), and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server refuses this bridge: {reason}")]
pub struct Refused {
    /// In the server's words.
    pub reason: String,
}

/// A driver and its link to the server.
pub struct Bridge {
    config: BridgeConfig,
    driver: Arc<dyn Driver>,
    state: LinkTeller,
}

impl Bridge {
    /// A bridge that has not dialled yet.
    pub fn new(config: BridgeConfig, driver: Arc<dyn Driver>) -> Self {
        Self { config, driver, state: LinkTeller::default() }
    }

    /// How the link is, now and at each change.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Carries the lines until `stop`; a lost socket is dialled again for ever. After `stop` what runs
    /// may finish and be settled for a moment; when this returns, none of the bridge's tasks runs.
    ///
    /// # Errors
    /// [`Refused`] when the server says that dialling again is of no use.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Refused> {
        let items = Items::new(Arc::clone(&self.driver), self.config.files.clone());
        let _ends = items.killed_on_drop();
        let ended = self.keep_linked(&items, &stop).await;
        items.stop().await;
        ended
    }

    async fn keep_linked(
        &self,
        items: &Arc<Items>,
        stop: &CancellationToken,
    ) -> Result<(), Refused> {
        let mut pause = BACKOFF_MIN;
        loop {
            let began = Instant::now();
            // On the heap: a socket's state is large, and whoever runs a bridge holds this future.
            let session =
                Box::pin(session::run(&self.config, &self.driver, items, &self.state, stop));
            // The items in flight outlive a socket that panics, as they do one that is lost.
            let ended =
                AssertUnwindSafe(session).catch_unwind().await.unwrap_or(Err(LinkError::Panic));
            items.link_lost();
            state::lost(&self.state, ended.as_ref().err().map(LinkError::told));
            if began.elapsed() > BACKOFF_MAX {
                pause = BACKOFF_MIN;
            }
            match ended {
                // Whoever runs the bridge says so.
                Err(LinkError::Refused(reason)) => return Err(Refused { reason }),
                Err(problem @ LinkError::TokenRefused) => {
                    error!("{problem}; trying again, in case it is made known");
                    pause = BACKOFF_MAX;
                }
                Err(problem @ LinkError::Superseded) => {
                    warn!("{problem}; trying again, in case that one goes");
                    pause = SUPERSEDED_PAUSE;
                }
                Err(_) if stop.is_cancelled() => {}
                Err(problem) => {
                    let why = std::error::Error::source(&problem).map(ToString::to_string);
                    warn!(why, "{problem}; dialling again");
                }
                Ok(()) => {}
            }
            // Half to all of the pause, so that the bridges of a restarted server don't come in step.
            let wait = pause.mul_f64(rand::random_range(0.5..=1.0));
            pause = (pause * 2).min(BACKOFF_MAX);
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                info!("the bridge stopped");
                return Ok(());
            }
        }
    }
}

/// Why a socket ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the server can't be dialled")]
    Dial(#[source] Box<tungstenite::Error>),
    #[error("the server refused the bridge's token")]
    TokenRefused,
    #[error("the link broke")]
    Socket(#[source] Box<tungstenite::Error>),
    #[error("the link was closed")]
    Closed,
    #[error("{0}")]
    Slow(&'static str),
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("the driver can't reconcile items")]
    Reconcile(#[source] DriverError),
    #[error("the server ended the link: {0}")]
    Ended(String),
    #[error("another process has this bridge's token, and the newer link")]
    Superseded,
    #[error("the server refuses this bridge: {0}")]
    Refused(String),
    #[error("the driver, or the bridge itself, panicked")]
    Panic,
}

impl LinkError {
    fn dial(error: tungstenite::Error) -> Self {
        Self::Dial(Box::new(error))
    }

    fn socket(error: tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }

    /// With its cause, for people.
    fn told(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    fn bye(reason: String, retry: bool, superseded: bool) -> Self {
        match (retry, superseded) {
            (false, _) => Self::Refused(reason),
            (true, true) => Self::Superseded,
            (true, false) => Self::Ended(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_by_any_of_its_urls() {
        for (given, dialled) in [
            ("https://sw.example.com", "wss://sw.example.com/bridge/v1/link"),
            ("https://sw.example.com/", "wss://sw.example.com/bridge/v1/link"),
            (" http://127.0.0.1:8080\n", "ws://127.0.0.1:8080/bridge/v1/link"),
            ("wss://example.com/sw/", "wss://example.com/sw/bridge/v1/link"),
            ("wss://a.example/bridge/v1/link", "wss://a.example/bridge/v1/link"),
            ("https://[::1]:8443/bridge/v1/link/", "wss://[::1]:8443/bridge/v1/link"),
            ("https://a.example/?x=1#y", "wss://a.example/bridge/v1/link"),
        ] {
            let url = link_url(given).map(String::from);
            assert_eq!(url.as_deref(), Ok(dialled), "{given}");
        }
        for given in ["", "a.example", "ftp://a.example", "https://"] {
            assert_eq!(link_url(given), Err(InvalidBridgeConfig::Server), "{given}");
        }
        for given in ["https://u:p@a.example", "http://u@a.example", "wss://:p@a.example"] {
            assert_eq!(link_url(given), Err(InvalidBridgeConfig::UserInfo), "{given}");
        }
    }
}
