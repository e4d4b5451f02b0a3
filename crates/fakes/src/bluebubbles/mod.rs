//! A BlueBubbles server (1.9.9) with a Mac under it, on loopback, in the test's own process.
//!
//! It answers as `BlueBubblesApp/bluebubbles-server` does (files are named where a rule comes from), flaws
//! included, over a Messages database that the test fills: contacts write, the owner writes from another device,
//! groups change. [`Server::received_by`] is what a contact's phone really shows, and [`Server::carried_out`]
//! every send that Messages took from the server; both know better than any answer.
//!
//! Times are real and short ([`Timing`]); what goes wrong is ordered by [`Faults`], [`SendFault`] and [`Trouble`].

mod attachments;
mod chats;
mod contacts;
mod database;
mod disk;
mod editing;
mod envelope;
mod group_control;
mod groups;
mod incoming;
mod input;
mod messages;
mod outgoing;
mod phones;
mod render;
mod routes;
mod send;
mod sending;
mod settings;
mod sql;
mod state;
mod watcher;
mod webhooks;

use std::{io, sync::Arc, time::Duration};

use http::Method;

pub use disk::Keep;
pub use incoming::{Incoming, Written};
pub use phones::Shown;
pub use settings::{Faults, Mac, SendFault, Timing};
pub use state::{CarriedOut, HelperAction};

use crate::wire::{Listener, Seen, Trouble};
use state::Inner;

/// The server, and the Mac that it runs on. Both stop when it is dropped.
pub struct Server {
    inner: Arc<Inner>,
    listener: Listener,
}

impl Server {
    /// A server with this password on a port of its own, on a Mac whose Messages is empty.
    pub async fn start(password: &str) -> io::Result<Self> {
        let inner = Arc::new(Inner::new(password));
        let listener = Listener::start(routes::router(&inner), Arc::clone(&inner.troubles)).await?;
        let server = Self { inner, listener };
        server.watch().await;
        Ok(server)
    }

    /// Begins to watch, once what is there now is taken for told.
    async fn watch(&self) {
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        tokio::spawn(watcher::run(Arc::clone(&self.inner), self.listener.life(), ready));
        let _ = is_ready.await;
    }

    /// Where it listens, without a path: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.inner.password
    }

    /// The server is quit: connections break, sends that it waits for are forgotten. Messages goes on.
    pub async fn stop(&self) {
        self.listener.stop().await;
        self.inner.look(|state| {
            state.awaiting.clear();
            state.sending.clear();
        });
    }

    /// The server starts on the same port. What Messages got meanwhile is taken for told; webhooks are kept.
    pub async fn start_again(&self) -> io::Result<()> {
        self.stop().await;
        self.listener.start_again().await?;
        self.watch().await;
        Ok(())
    }

    /// Changes the Mac, its Messages or the server's settings.
    pub fn mac(&self, change: impl FnOnce(&mut Mac)) {
        self.inner.look(|state| change(&mut state.mac));
    }

    /// Changes how long things take.
    pub fn timing(&self, change: impl FnOnce(&mut Timing)) {
        self.inner.look(|state| change(&mut state.timing));
    }

    /// Changes what goes wrong until it is changed again.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        self.inner.look(|state| change(&mut state.faults));
    }

    /// What goes wrong with the next send that has no fault yet; called again, with the one after it.
    pub fn fail_send(&self, fault: SendFault) {
        self.inner.look(|state| state.send_faults.push_back(fault));
    }

    /// The next requests whose path contains this, so many, meet a trouble on their way.
    pub fn trouble(&self, path: &str, times: usize, trouble: Trouble) {
        self.inner.troubles.add(None, path, times, trouble);
    }

    /// The same, for one method.
    pub fn trouble_with(&self, method: Method, path: &str, times: usize, trouble: Trouble) {
        self.inner.troubles.add(Some(method), path, times, trouble);
    }

    /// No request meets trouble any more.
    pub fn no_trouble(&self) {
        self.inner.troubles.clear();
    }

    /// Every request that came, in order, also those that met trouble.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.troubles.seen()
    }

    /// What this contact's phone shows of the owner's messages, oldest first.
    pub fn received_by(&self, person: &str) -> Vec<Shown> {
        self.inner.look(|state| state.phones.of(person))
    }

    /// Whether this contact's phone shows the owner as typing.
    pub fn shows_typing(&self, person: &str) -> bool {
        self.inner.look(|state| state.phones.shows_typing(person, state.timing.typing_lapse))
    }

    /// How many of the messages in this chat are shown as read by the owner.
    pub fn shown_as_read(&self, chat: &str) -> usize {
        self.inner.look(|state| state.phones.read.get(chat).copied().unwrap_or(0))
    }

    /// Every send that Messages carried out for the server, in order.
    pub fn carried_out(&self) -> Vec<CarriedOut> {
        self.inner.look(|state| state.carried_out.clone())
    }

    /// Every action that the helper got, in order.
    pub fn helper_actions(&self) -> Vec<HelperAction> {
        self.inner.look(|state| state.helper_actions.clone())
    }

    /// Waits until this holds of the server, at most so long.
    pub async fn until(&self, limit: Duration, so: impl Fn(&Self) -> bool) -> bool {
        let mut changes = self.inner.changes();
        tokio::time::timeout(limit, async {
            while !so(self) {
                // What is no change of the database is looked at now and then.
                let _ = tokio::time::timeout(Duration::from_millis(10), changes.changed()).await;
            }
        })
        .await
        .is_ok()
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url()).finish_non_exhaustive()
    }
}
