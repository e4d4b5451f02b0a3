//! The server side of the link to bridges (`switchboard_model::link` has the protocol).
//!
//! Promises: one link per bridge, the newest wins; nothing is handed out before the outcome
//! of what was handed out earlier has been asked for; whatever a bridge reports is
//! committed before it is acknowledged.

mod bounds;
mod online;
mod send_window;
mod session;
mod skipped;
mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ws::WebSocket;
use switchboard_model::{Bridge, id::Id, time::Clock};
use switchboard_store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{hub::Hub, outage, publish::Publisher};
pub(crate) use online::OnlineLines;
pub(crate) use skipped::Skipped;
use wire::LinkEnd;

/// How long an older link of the same bridge has to end.
const TAKE_OVER: Duration = Duration::from_secs(5);
/// How long all links together have to end when the server stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// What links need of the server.
pub(crate) struct Bridges {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) links: Arc<Links>,
    /// How long a claim holds.
    pub(crate) claim_lease: Duration,
    /// The server is stopping.
    pub(crate) stopping: CancellationToken,
}

/// Serves the link of a bridge, until it ends.
pub(crate) async fn run(bridges: Arc<Bridges>, bridge: Bridge, socket: WebSocket) {
    let taken = match bridges.links.register(bridge.id).await {
        Ok(registration) => Registered { links: &bridges.links, registration },
        Err(NotRegistered::Closing) => return,
        Err(NotRegistered::OlderStays) => {
            tracing::error!(bridge = %bridge.id, "an older link of this bridge does not end");
            return;
        }
    };
    tracing::info!(bridge = %bridge.id, name = bridge.name, "a bridge is linked");
    match session::run(&bridges, &bridge, &taken.registration, socket).await {
        Ok(()) => tracing::info!(bridge = %bridge.id, "the link has ended"),
        Err(LinkEnd::Store(error)) => outage::report(&error, "a link has ended with the store"),
        Err(ended) => tracing::warn!(bridge = %bridge.id, reason = %ended, "the link has ended"),
    }
}

/// Taken back however the link ends, by a panic too: or else its bridge would be kept out for ever.
struct Registered<'a> {
    links: &'a Links,
    registration: Arc<Registration>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.links.unregister(&self.registration);
    }
}

/// The links there are.
#[derive(Debug, Default)]
pub(crate) struct Links {
    registered: Mutex<HashMap<Id<Bridge>, Arc<Registration>>>,
    closed: CancellationToken,
    /// The lines that take items now.
    pub(crate) online: OnlineLines,
    /// What bridges said that could not be read.
    pub(crate) skipped: Skipped,
}

/// One bridge's place among the links.
#[derive(Debug)]
pub(crate) struct Registration {
    bridge: Id<Bridge>,
    /// Ends this link.
    end: CancellationToken,
    /// This link has ended.
    ended: CancellationToken,
    /// The operator has changed lines or bridges.
    changed: Notify,
}

/// Why a bridge gets no place among the links.
#[derive(Debug)]
enum NotRegistered {
    /// The server is stopping.
    Closing,
    /// An older link of the same bridge does not end.
    OlderStays,
}

impl Links {
    /// Waits until no other link of this bridge is left, and takes its place.
    async fn register(&self, bridge: Id<Bridge>) -> Result<Arc<Registration>, NotRegistered> {
        loop {
            let older = {
                let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
                if self.closed.is_cancelled() {
                    return Err(NotRegistered::Closing);
                }
                match registered.get(&bridge) {
                    Some(older) => Arc::clone(older),
                    None => {
                        let registration = Arc::new(Registration {
                            bridge,
                            end: self.closed.child_token(),
                            ended: CancellationToken::new(),
                            changed: Notify::new(),
                        });
                        // To be asked at the beginning too: it may have been revoked on its way in.
                        registration.changed.notify_one();
                        registered.insert(bridge, Arc::clone(&registration));
                        return Ok(registration);
                    }
                }
            };
            older.end.cancel();
            let ended = tokio::time::timeout(TAKE_OVER, older.ended.cancelled()).await;
            ended.map_err(|_| NotRegistered::OlderStays)?;
        }
    }

    fn unregister(&self, registration: &Arc<Registration>) {
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if registered
            .get(&registration.bridge)
            .is_some_and(|current| Arc::ptr_eq(current, registration))
        {
            registered.remove(&registration.bridge);
        }
        drop(registered);
        registration.ended.cancel();
    }

    /// Why a link is told to end: the server stops, or the bridge has a newer one.
    fn end(&self) -> LinkEnd {
        if self.closed.is_cancelled() {
            LinkEnd::Closing("the server ends this link; dial again")
        } else {
            LinkEnd::Superseded
        }
    }

    /// Every link asks again which lines it carries, and whether it may.
    pub(crate) fn refresh(&self) {
        let registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        for registration in registered.values() {
            registration.changed.notify_one();
        }
    }

    /// Ends all links, and takes no more.
    pub(crate) async fn close_all(&self) {
        let registered: Vec<_> = {
            let registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
            self.closed.cancel();
            registered.values().cloned().collect()
        };
        let ended = async {
            for registration in registered {
                registration.ended.cancelled().await;
            }
        };
        // One that hangs is cut with its connection.
        let _ = tokio::time::timeout(FAREWELL, ended).await;
    }
}
