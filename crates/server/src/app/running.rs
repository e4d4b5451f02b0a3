//! A server that runs, until it is stopped.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use switchboard_model::secret::Secret;
use tokio_util::sync::CancellationToken;

use super::{App, reachable};
use crate::supervise::Supervisor;

/// How long background work has to end when the server stops, and deliveries that have ended to be settled.
const FAREWELL: Duration = Duration::from_millis(1500);
/// A server that runs. Dropping it does not stop it; [`Running::stop`] does.
#[derive(Debug)]
pub struct Running {
    pub(super) app: Arc<App>,
    pub(super) addr: SocketAddr,
    pub(super) metrics_addr: Option<SocketAddr>,
    pub(super) admin_addr: Option<SocketAddr>,
    pub(super) simulator_token: Option<Secret>,
    pub(super) stop_listening: CancellationToken,
    pub(super) stop_delivering: CancellationToken,
    pub(super) stop_working: CancellationToken,
    /// Each tells how many requests it has cut.
    pub(super) listeners: Vec<tokio::task::JoinHandle<usize>>,
    pub(super) supervisor: Supervisor,
}

impl Running {
    /// The address at which this machine reaches it.
    pub fn reachable_addr(&self) -> SocketAddr {
        reachable(self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens for who wants metrics, if it does.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// Where it listens for the operator, if that is an address of its own.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// The token with which the simulator dials in, if the server has one.
    pub fn simulator_token(&self) -> Option<&Secret> {
        self.simulator_token.as_ref()
    }

    /// Returns when a part of the server has failed without which it is only half alive, with the name of
    /// the part. Stop it then, and start another process.
    pub async fn failed(&self) -> &'static str {
        self.supervisor.failure().wait().await
    }

    /// Stops: takes no more, finishes what is under way, keeps what is to be kept, closes the database.
    /// Requests and deliveries that are under way have `stop_timeout` for it; a server with none
    /// stops in less than 5 seconds.
    pub async fn stop(self) {
        let began = Instant::now();
        let timeout = self.app.config.stop_timeout();
        self.app.stopping.cancel();
        self.stop_delivering.cancel();
        self.app.links.close_all().await;
        self.stop_listening.cancel();
        let mut requests = 0;
        for listener in self.listeners {
            match listener.await {
                Ok(cut) => requests += cut,
                Err(error) => tracing::error!(%error, "a listener did not end well"),
            }
        }
        self.stop_working.cancel();
        // What requests have taken of the time, deliveries had too. To write down takes a moment more.
        let rest = timeout.saturating_sub(began.elapsed()) + FAREWELL;
        let is_done = tokio::time::timeout(rest, self.supervisor.ended()).await.is_ok();
        let deliveries = self.app.deliver.in_memory().in_flight;
        if requests > 0 || deliveries > 0 {
            // What is not settled is still due at the next start.
            tracing::warn!(
                requests,
                deliveries,
                "requests and deliveries did not end in time and were left; the deliveries are made again"
            );
        } else if !is_done {
            tracing::warn!("some background work did not end in time and was left");
        }
        self.app.store.close().await;
        tracing::info!(millis = began.elapsed().as_millis(), requests, deliveries, "stopped");
    }
}
