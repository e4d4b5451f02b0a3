//! The server's webhook: a wake-up, and the only way in which it tells who types.
//!
//! Nobody signs or repeats it, and after some starts it tells of nothing at all. So what it says of messages is never
//! taken for what happened, and it is noticed when it says nothing.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use switchboard_model::{
    Timestamp,
    link::{Inbound, InboundChat, InboundTyping},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};
use url::Url;

use super::{BlueBubbles, BlueBubblesWebhook, READ_TIMEOUT, api::ApiError, rows::line_of_chat};
use crate::{
    connector::Context,
    ledger::{Observation, Recorded, now},
};

/// What is asked for. Changes of groups are told as messages too.
const EVENTS: [&str; 3] = ["new-message", "updated-message", "typing-indicator"];
/// The largest thing that is told, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Connections at once; the server makes one for each thing that it tells.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection may take.
const CONNECTION_WITHIN: Duration = Duration::from_secs(30);
/// The pause before it is listened or asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is made sure that the server still knows where to tell.
const REGISTER_EVERY: Duration = Duration::from_secs(10 * 60);
/// The most rows of which it is waited to hear.
const MAX_EXPECTED: usize = 1000;

/// What was heard, and what should have been.
#[derive(Default)]
pub(super) struct Heard {
    state: Mutex<State>,
    helper_is_doubted: AtomicBool,
}

#[derive(Default)]
struct State {
    /// From when on the server should tell.
    registered: Option<Timestamp>,
    last: Option<Instant>,
    /// When rows were found of which it should have told.
    expected: VecDeque<Instant>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Registered {
    #[serde(default)]
    url: String,
    #[serde(default)]
    id: i64,
}

impl Heard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row was found that the server should tell of, if it was written since it can.
    pub(super) fn expect(&self, written: Timestamp) {
        let mut state = self.state();
        if state.registered.is_some_and(|since| written > since) {
            if state.expected.len() >= MAX_EXPECTED {
                state.expected.pop_front();
            }
            state.expected.push_back(Instant::now());
        }
    }

    fn hear(&self) {
        let mut state = self.state();
        state.last = Some(Instant::now());
        state.expected.clear();
    }

    fn registered(&self, at: Option<Timestamp>) {
        let mut state = self.state();
        state.registered = at;
        state.expected.clear();
    }

    /// Whether nothing at all was heard for so long, though there was something to hear. What comes in one burst is told
    /// of in part only.
    fn is_silent(&self, after: Duration) -> Option<bool> {
        let mut state = self.state();
        let due = state.expected.front().filter(|since| since.elapsed() >= after).copied()?;
        state.expected.pop_front();
        Some(state.last.is_none_or(|last| last + after < due))
    }

    pub(super) fn doubt_helper(&self) {
        self.helper_is_doubted.store(true, Ordering::Relaxed);
    }

    /// Whether the helper was silent since it was asked last.
    pub(super) fn helper_is_doubted(&self) -> bool {
        self.helper_is_doubted.swap(false, Ordering::Relaxed)
    }
}

impl BlueBubbles {
    /// Raises the alarm when rows come of which the webhook says nothing.
    pub(super) fn listen_for_silence(&self) {
        while let Some(is_silent) = self.heard.is_silent(self.pace().silent_after) {
            if is_silent {
                self.trouble(|troubles| troubles.silent = true);
            }
        }
    }

    /// Listens, if there is where to.
    pub(super) async fn listen(&self, context: &Context) {
        let Some(webhook) = &self.options.webhook else {
            return std::future::pending().await;
        };
        loop {
            match TcpListener::bind(webhook.listen).await {
                Ok(listener) => {
                    let path = format!("/{}", self.secret());
                    let Some(url) = address(webhook, &listener, &path) else {
                        warn!("the webhook's address can't be told to BlueBubbles");
                        return std::future::pending().await;
                    };
                    tokio::select! {
                        () = self.accept(context, &listener, &path) => {}
                        () = self.keep_registered(&url) => {}
                    }
                }
                Err(error) => warn!(%error, "the webhook's address can't be listened on"),
            }
            sleep(AGAIN).await;
        }
    }

    /// Nobody else can know where the server tells: it does not sign.
    fn secret(&self) -> String {
        let of = format!("switchboard webhook {}", self.options.password.trim());
        let digest = Sha256::digest(of);
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Makes sure that the server tells here, and only once.
    async fn keep_registered(&self, url: &Url) {
        let mut troubles = self.troubles.subscribe();
        let mut mac = self.mac.subscribe();
        loop {
            let is_known = mac.borrow_and_update().is_some();
            let is_there = troubles.borrow_and_update().away.is_none() && is_known;
            let mut pause = REGISTER_EVERY;
            if is_there {
                match self.register(url).await {
                    Ok(()) => self.heard.registered(Some(now())),
                    Err(error) => {
                        warn!(%error, "BlueBubbles does not take the webhook");
                        pause = AGAIN;
                    }
                }
            } else {
                self.heard.registered(None);
            }
            // What it tells is asked for anew when it comes back, or is told of for the first time.
            let again = async {
                loop {
                    tokio::select! {
                        Ok(()) = troubles.changed() => {
                            let is_back = troubles.borrow_and_update().away.is_none();
                            if is_known && is_back != is_there { return }
                        }
                        Ok(()) = mac.changed(), if !is_known => return,
                    }
                }
            };
            let _ = timeout(pause, again).await;
        }
    }

    async fn register(&self, url: &Url) -> Result<(), ApiError> {
        let known: Vec<Registered> = self.api.get(&["webhook"], &[], READ_TIMEOUT).await?;
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        for old in known {
            // Of an earlier password.
            let is_ours = old.url.parse().is_ok_and(|old: Url| place(&old) == place(url));
            if is_ours && old.url != url.as_str() {
                self.api.delete(&["webhook", &old.id.to_string()], READ_TIMEOUT).await?;
            }
        }
        // The same address again changes what is there.
        let body = json!({"url": url.as_str(), "events": EVENTS});
        self.api.post::<Option<Value>>(&["webhook"], &body, READ_TIMEOUT).await?;
        info!("BlueBubbles tells of news");
        Ok(())
    }

    async fn accept(&self, context: &Context, listener: &TcpListener, path: &str) {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => connections.push(self.serve(context, stream, path)),
                    Err(error) => {
                        warn!(%error, "BlueBubbles can't tell of news");
                        sleep(AGAIN).await;
                    }
                },
                Some(()) = connections.next() => {}
            }
        }
    }

    async fn serve(&self, context: &Context, stream: TcpStream, path: &str) {
        let service = service_fn(|request| self.answer(context, request, path));
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // Whatever goes wrong with it: it is only a wake-up.
        let _ = timeout(CONNECTION_WITHIN, serving).await;
    }

    async fn answer(
        &self,
        context: &Context,
        request: Request<Incoming>,
        path: &str,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let status = if request.uri().path() != path || request.method() != Method::POST {
            StatusCode::NOT_FOUND
        } else {
            match Limited::new(request.into_body(), MAX_BODY).collect().await {
                Ok(body) => {
                    if let Ok(told) = serde_json::from_slice::<Told>(&body.to_bytes()) {
                        self.hear(context, &told).await;
                    }
                    StatusCode::OK
                }
                // It was something.
                Err(_) => {
                    self.news.notify_one();
                    StatusCode::PAYLOAD_TOO_LARGE
                }
            }
        };
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        Ok(response)
    }

    async fn hear(&self, context: &Context, told: &Told) {
        match &*told.kind {
            "typing-indicator" => self.hear_typing(context, &told.data).await,
            _ => {
                self.heard.hear();
                self.trouble(|troubles| troubles.silent = false);
                self.news.notify_one();
            }
        }
    }

    async fn hear_typing(&self, context: &Context, data: &Value) {
        let (Some(is_typing), Some(guid)) = (data["display"].as_bool(), data["guid"].as_str())
        else {
            return;
        };
        let Ok(Some(chat)) = self.chat(guid).await else { return };
        // Of a group nobody says who it is.
        let Some(handle) = chat.contact().filter(|_| chat.is_group() == Some(false)) else {
            return;
        };
        let lines = std::sync::Arc::clone(&context.lines.borrow());
        let Some(line) = line_of_chat(&lines, &chat) else { return };
        let chat = InboundChat::Contact { handle: handle.clone() };
        let what = Inbound::Typing(InboundTyping { chat, handle, is_typing, at: now() });
        let key = format!("typing:{}", uuid::Uuid::now_v7());
        let observations = vec![(line.id, Observation::new(key, what))];
        // It is of the moment: what can't be written down is not told.
        let _ = context
            .ledger
            .record(Recorded { observations, cursor: None, ..Recorded::default() })
            .await;
    }
}

/// Where the server is to tell.
fn address(webhook: &BlueBubblesWebhook, listener: &TcpListener, path: &str) -> Option<Url> {
    let mut url = match &webhook.url {
        Some(url) => url.clone(),
        None => format!("http://{}", listener.local_addr().ok()?).parse().ok()?,
    };
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}{path}"));
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_only_where_there_was_something_to_hear() {
        let heard = Heard::default();
        heard.expect(Timestamp(5));
        tokio::time::advance(AFTER).await;
        assert_eq!(heard.is_silent(AFTER), None, "nobody was asked to tell");
        heard.registered(Some(Timestamp(10)));
        heard.expect(Timestamp(9));
        tokio::time::advance(AFTER).await;
        assert_eq!(heard.is_silent(AFTER), None, "it is older");
        heard.expect(Timestamp(11));
        assert_eq!(heard.is_silent(AFTER), None, "there is time yet");
        heard.hear();
        tokio::time::advance(AFTER).await;
        assert_eq!(heard.is_silent(AFTER), None, "it was told");
        heard.expect(Timestamp(12));
        tokio::time::advance(AFTER * 2).await;
        assert_eq!(heard.is_silent(AFTER), Some(false), "it was told just before it was found");
        tokio::time::advance(AFTER * 2).await;
        heard.expect(Timestamp(13));
        tokio::time::advance(AFTER).await;
        assert_eq!(heard.is_silent(AFTER), Some(true));
    }
}
