//! Requests to the app's own server on the phone.
//!
//! The promises: the password goes to the phone and to nobody else; no error carries a text of a message; and only what
//! certainly never left this machine is called unreachable.

use std::{fmt, path::Path, time::Duration};

use chrono::DateTime;
use futures_util::StreamExt;
use reqwest::{Client, Method, Response, StatusCode, header::DATE, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use switchboard_model::Timestamp;
use tokio::{io::AsyncWriteExt, time::timeout};
use tracing::warn;
use url::Url;

use super::wire::{Device, ErrorBody, InboxItem, MessageState};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes. A page of the inbox stands in one.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// The largest file of an MMS, in bytes. Carriers stop at a fraction of that.
const MAX_FILE: u64 = 100 * 1024 * 1024;
/// How long a file may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// How much of what the phone says of an error is shown, in characters.
const MAX_WORDS: usize = 200;

/// The phone.
pub(super) struct Api {
    client: Client,
    base: Url,
    user: String,
    password: String,
    within: Duration,
}

/// Why there is no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// There was no connection: nothing has left this machine.
    #[error("the phone can't be reached")]
    Unreachable,
    /// It may have the request or not.
    #[error("the phone did not answer")]
    Broken,
    /// The user or the password is wrong.
    #[error("the phone refuses the user or the password")]
    Unauthorized,
    /// It has answered with something else than was asked for.
    #[error("the phone answered with status {0}")]
    Refused(u16, Words),
    /// The answer can't be read.
    #[error("the phone's answer can't be read")]
    Unreadable,
    /// The file has no end within what is let through.
    #[error("the file is larger than this bridge lets through")]
    TooLarge,
}

/// What the app says of an error; none if somebody else has answered for it. For the owner of the line, not for the log.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Words(pub(super) Option<String>);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

/// A page of the inbox.
pub(super) struct InboxPage {
    /// Those that can be read.
    pub(super) items: Vec<InboxItem>,
    /// How many stood on it.
    pub(super) count: usize,
    /// How many there are in the whole period.
    pub(super) total: Option<usize>,
}

/// A period and a place in it.
pub(super) struct InboxQuery {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

type Result<T> = std::result::Result<T, ApiError>;

impl Api {
    /// The app at this address. An answer has to come within this time.
    pub(super) fn new(
        base: Url,
        user: &str,
        password: &str,
        within: Duration,
    ) -> std::result::Result<Self, reqwest::Error> {
        let mut client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // The password goes to the phone and to nobody else.
            .no_proxy()
            .redirect(redirect::Policy::none());
        if base.scheme() == "http" {
            client = client.tls_certs_only([]);
        }
        Ok(Self {
            client: client.build()?,
            base,
            user: user.trim().to_owned(),
            password: password.trim().to_owned(),
            within,
        })
    }

    /// Whether the app is there.
    pub(super) async fn is_there(&self) -> Result<()> {
        self.json::<Value>(Method::GET, &[], &[], None).await.map(drop)
    }

    /// The phone as it is, and how far its clock is ahead of ours in seconds.
    pub(super) async fn device(&self, now: Timestamp) -> Result<(Device, i64)> {
        let response = self.ask(Method::GET, &["device"], &[], None).await?;
        let ahead = ahead_by(&response, now).unwrap_or(0);
        let devices: Vec<Device> = self.read(response).await?;
        let device = devices.into_iter().next().ok_or(ApiError::Unreadable)?;
        Ok((device, ahead))
    }

    /// Orders a message. A second order under the same id is refused with 409.
    pub(super) async fn order(&self, message: &Value) -> Result<()> {
        let query = [("skipPhoneValidation", "true")];
        self.ask(Method::POST, &["messages"], &query, Some(message)).await.map(drop)
    }

    /// A message that was ordered; none if the phone knows of none.
    pub(super) async fn message(&self, id: &str) -> Result<Option<MessageState>> {
        match self.json(Method::GET, &["messages", id], &[], None).await {
            Ok(message) => Ok(Some(message)),
            // A tunnel's 404 says nothing of the phone: it has a page of its own.
            Err(ApiError::Refused(404, Words(Some(_)))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The id of the newest message that was ordered.
    pub(super) async fn newest_message(&self) -> Result<Option<String>> {
        let listed: Vec<MessageState> =
            self.json(Method::GET, &["messages"], &[("limit", "1")], None).await?;
        Ok(listed.into_iter().next().map(|message| message.id))
    }

    /// Takes an order back that waits. False if it does not wait any more.
    pub(super) async fn cancel(&self, id: &str) -> Result<bool> {
        match self.ask(Method::DELETE, &["messages", id], &[], None).await {
            Ok(_) => Ok(true),
            Err(ApiError::Refused(400 | 404 | 409, _)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has the app read the phone's own store of texts from this time on.
    pub(super) async fn refresh(&self, since: Timestamp, until: Timestamp) -> Result<()> {
        let body = serde_json::json!({
            "since": iso(since), "until": iso(until), "messageTypes": ["SMS", "MMS"],
            // An app knows one of the two and passes over the other.
            "triggerWebhooks": false, "webhookDelivery": "Disabled",
        });
        self.ask(Method::POST, &["inbox", "refresh"], &[], Some(&body)).await.map(drop)
    }

    /// A page of what came in, the newest first by the network's stamps.
    pub(super) async fn inbox(&self, query: &InboxQuery) -> Result<InboxPage> {
        let (from, limit, offset) =
            (iso(query.from), query.limit.to_string(), query.offset.to_string());
        // Else it ends by the phone's own clock, which may be behind the network's.
        let to = iso(query.to);
        let query = [
            ("from", &*from),
            ("to", &*to),
            ("limit", &*limit),
            ("offset", &*offset),
            ("includeAttachments", "true"),
        ];
        let response = self.ask(Method::GET, &["inbox"], &query, None).await?;
        let total = response.headers().get("x-total-count");
        let total = total.and_then(|total| total.to_str().ok()?.parse().ok());
        let entries: Vec<Value> = self.read(response).await?;
        let count = entries.len();
        // One odd entry must not hide all others.
        let read = |entry| serde_json::from_value(entry).ok();
        let items: Vec<_> = entries.into_iter().filter_map(read).collect();
        if items.len() < count {
            warn!(unreadable = count - items.len(), "entries of the inbox are passed over");
        }
        Ok(InboxPage { items, count, total })
    }

    /// Writes a file of an MMS to the disk.
    pub(super) async fn download(&self, id: &str, part: &str, to: &Path) -> Result<()> {
        let path = ["inbox", id, "attachments", part];
        let response = self.ask(Method::GET, &path, &[], None).await?;
        timeout(FILE_TIMEOUT, write(response, to)).await.map_err(|_elapsed| ApiError::Broken)?
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T> {
        let response = self.ask(method, path, query, body).await?;
        self.read(response).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| ApiError::Unreachable)?.pop_if_empty().extend(path);
        let mut request = self.client.request(method, url);
        request = request.basic_auth(&self.user, Some(&self.password)).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = match timeout(self.within, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                return Err(ApiError::Unreachable);
            }
            Ok(Err(_)) | Err(_) => return Err(ApiError::Broken),
        };
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ApiError::Unauthorized),
            status => Err(ApiError::Refused(status.as_u16(), self.words(response).await)),
        }
    }

    /// The app says what is wrong as JSON, or nothing.
    async fn words(&self, response: Response) -> Words {
        let Ok(Ok(body)) = timeout(self.within, bounded(response)).await else {
            return Words(None);
        };
        if body.is_empty() {
            return Words(Some(String::new()));
        }
        let said = serde_json::from_slice::<ErrorBody>(&body).ok();
        Words(said.map(|said| said.message.chars().take(MAX_WORDS).collect()))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T> {
        let body = timeout(self.within, bounded(response)).await;
        let body = body.map_err(|_elapsed| ApiError::Broken)??;
        // The parser's own message may quote a text.
        serde_json::from_slice(&body).map_err(|_| ApiError::Unreadable)
    }
}

async fn bounded(response: Response) -> Result<Vec<u8>> {
    let (mut body, mut chunks) = (Vec::new(), response.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::Broken)?;
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ApiError::Unreadable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn write(response: Response, to: &Path) -> Result<()> {
    let mut file = tokio::fs::File::create(to).await.map_err(|_| ApiError::Broken)?;
    let (mut written, mut chunks) = (0, response.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::Broken)?;
        written += chunk.len() as u64;
        if written > MAX_FILE {
            return Err(ApiError::TooLarge);
        }
        file.write_all(&chunk).await.map_err(|_| ApiError::Broken)?;
    }
    file.flush().await.map_err(|_| ApiError::Broken)
}

/// How far the phone's clock is ahead of ours, in seconds.
fn ahead_by(response: &Response, now: Timestamp) -> Option<i64> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(date).ok()?.timestamp() - now.0 / 1_000)
}

fn iso(at: Timestamp) -> String {
    let at = DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
