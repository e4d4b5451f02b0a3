//! The process put together: build, run, stop.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use http::Method;
use switchboard_model::{
    delivery::DueDelivery,
    page::CursorKey,
    secret::{Secret, SecretHash, SecretKind},
    simulator::SimulatedPhones,
    time::Clock,
};
use switchboard_store::{Committed, Observer, Store, StoreError};
use tokio::{net::TcpListener, runtime::Handle, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    api::idempotency::InFlight,
    auth_cache::AuthCache,
    clock::ServerClock,
    config::Config,
    deliver::{Deliver, Guard, Resolver},
    files::{Files, FilesError},
    health::Monitor,
    hub::Hub,
    jobs,
    limiter::Limiter,
    link::Links,
    listen::{self, Listening},
    metrics::{self, Metrics},
    quota::{Occasionally, Streams, heads::Heads, uploads::Uploads},
    routes::{self, Served},
    stream::Feeds,
    supervise::Supervisor,
    telemetry,
    wrong_tokens::WrongTokens,
};

/// How long background work has to end when the server stops, and deliveries that have ended to be settled.
const FAREWELL: Duration = Duration::from_millis(1500);
/// Connections at once of those who want metrics.
const METRICS_CONNECTIONS: usize = 64;
/// Connections at once to the operator's own address.
const ADMIN_CONNECTIONS: usize = 256;

/// All that a request may need. One per process, or per test.
#[derive(Debug)]
pub struct App {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The same one, to save where it stands.
    pub(crate) server_clock: Arc<ServerClock>,
    pub(crate) operator: SecretHash,
    pub(crate) auth_cache: AuthCache,
    pub(crate) cursors: CursorKey,
    pub(crate) limiter: Limiter,
    pub(crate) wrong_tokens: WrongTokens,
    pub(crate) hub: Hub,
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) links: Links,
    pub(crate) deliver: Arc<Deliver>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Monitor,
    pub(crate) guard: Guard,
    pub(crate) files: Arc<Files>,
    pub(crate) in_flight: InFlight,
    /// A replay was made.
    pub(crate) replays: Notify,
    /// Room for live streams.
    pub(crate) streams: Streams,
    /// Room for uploads.
    pub(crate) uploads: Uploads,
    /// An account has more stored than it may.
    pub(crate) storage_told: Occasionally,
    /// The server is stopping: live streams end and say so.
    pub(crate) stopping: CancellationToken,
    pub(crate) simulator: Option<Simulator>,
}

/// The virtual phones, for `/simulator/v1`.
#[derive(Clone)]
pub(crate) struct Simulator(pub(crate) Arc<dyn SimulatedPhones>);

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Simulator")
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database refused.
    #[error("the database could not be prepared")]
    Store(#[from] StoreError),
    /// The client for deliveries could not be made: no TLS roots, most often.
    #[error("the client for webhook deliveries could not be made")]
    DeliveryClient(#[source] reqwest::Error),
    /// The files can't be kept.
    #[error("files can't be kept")]
    Files(#[from] FilesError),
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[source] std::io::Error),
    /// The address for the operator can't be listened on.
    #[error("can't listen on {0} for the operator: choose another address with --admin-listen")]
    AdminListener(SocketAddr, #[source] std::io::Error),
    /// The address for metrics can't be listened on.
    #[error("can't listen on {0} for metrics: choose another address with --metrics-listen")]
    MetricsListener(SocketAddr, #[source] std::io::Error),
}

/// What a server is made of.
pub struct Parts {
    /// How it runs.
    pub config: Config,
    /// Where it keeps things.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How the names in the URLs of webhooks become addresses.
    pub resolver: Arc<dyn Resolver>,
    /// The hash of the operator's token.
    pub operator: SecretHash,
    /// The virtual phones, if there are any.
    pub simulator: Option<Arc<dyn SimulatedPhones>>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A server that runs. Dropping it does not stop it; [`Running::stop`] does.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    addr: SocketAddr,
    metrics_addr: Option<SocketAddr>,
    admin_addr: Option<SocketAddr>,
    simulator_token: Option<Secret>,
    stop_listening: CancellationToken,
    stop_delivering: CancellationToken,
    stop_working: CancellationToken,
    /// Each tells how many requests it has cut.
    listeners: Vec<tokio::task::JoinHandle<usize>>,
    supervisor: Supervisor,
}

impl App {
    /// Starts a server on `listener`. It answers when this returns.
    ///
    /// # Errors
    /// [`StartError`] says what refused.
    pub async fn start(parts: Parts, listener: TcpListener) -> Result<Running, StartError> {
        let Parts { config, store, clock, resolver, operator, simulator } = parts;
        telemetry::watch_panics();
        let server_clock = Arc::new(ServerClock::resume(clock, &*store).await?);
        let clock: Arc<dyn Clock> = Arc::clone(&server_clock) as _;
        let addr = listener.local_addr().map_err(StartError::Listener)?;
        let (now, steady) = (clock.now(), clock.steady());
        // Before anything is pruned: what is there now is known to be older than what comes.
        store.mark(steady, jobs::oldest_mark(&*clock, &config)).await?;
        let metrics_listener =
            listen_on(config.metrics_listen, StartError::MetricsListener).await?;
        let admin_listener = listen_on(config.admin_listen, StartError::AdminListener).await?;

        // Claims were made before a stop of which nobody knows how long it took: the
        // bridges get one lease to come back and say what became of them.
        store.renew_all_claims(steady + config.claim_lease()).await?;
        store.bring_retries_forward(steady + config.webhook_retry_schedule.longest()).await?;
        let simulator_token = if simulator.is_some() {
            // A fresh token at each start, so that none need be kept in clear.
            let token = Secret::from_random(SecretKind::Bridge, rand::random());
            store.ensure_simulator_bridge(token.hash(), now).await?;
            Some(token)
        } else {
            None
        };

        let cursors = CursorKey::new(store.cursor_secret(rand::random()).await?);
        let secret = store.file_url_secret(rand::random()).await?;
        let base = match &config.public_url {
            Some(url) => url.to_string(),
            None => format!("http://{}", reachable(addr)),
        };
        let files = Arc::new(Files::open(&config, &base, secret).await?);
        let guard = Guard::new(&config, resolver);
        let max_connections =
            listen::within_file_limit(config.max_connections, config.webhook_concurrency);
        let routes = routes::table().into_iter().map(|row| (row.method, row.path));
        let metrics =
            Arc::new(Metrics::new(routes.chain([(Method::GET, metrics::PATH)]), max_connections));
        let deliver = Deliver::new(
            &config,
            &guard,
            Arc::clone(&files),
            Arc::clone(&clock),
            Arc::clone(&metrics),
        )
        .map_err(StartError::DeliveryClient)?;
        let app = Arc::new(Self {
            auth_cache: AuthCache::new(Arc::clone(&store)),
            cursors,
            limiter: Limiter::default(),
            wrong_tokens: WrongTokens::default(),
            hub: Hub::default(),
            feeds: Arc::new(Feeds::new(Arc::clone(&store), Arc::clone(&files), Arc::clone(&clock))),
            links: Links::default(),
            files,
            in_flight: InFlight::default(),
            replays: Notify::new(),
            streams: Streams::new(&config),
            uploads: Uploads::default(),
            storage_told: Occasionally::default(),
            stopping: CancellationToken::new(),
            simulator: simulator.map(Simulator),
            deliver: Arc::new(deliver),
            metrics,
            health: Monitor::default(),
            guard,
            config,
            store,
            clock,
            server_clock,
            operator,
        });

        let (stop_listening, stop_working) = (CancellationToken::new(), CancellationToken::new());
        let stop_delivering = CancellationToken::new();
        let supervisor = Supervisor::new();
        // First: it is told of whatever happens from now on.
        app.store
            .observe(Arc::new(Watcher { app: Arc::downgrade(&app), runtime: Handle::current() }));
        app.deliver.start(&app.store, &supervisor, &stop_delivering).await;
        jobs::start(&app, &supervisor, &stop_working);
        let (feeds, stopping, stop) =
            (Arc::clone(&app.feeds), app.stopping.clone(), stop_working.clone());
        supervisor.restart("stream feeds", &stop_working, move || {
            Arc::clone(&feeds).keep_open(stopping.clone(), stop.clone())
        });

        let served = if admin_listener.is_some() { Served::AllButOperators } else { Served::All };
        let router = routes::router(&app, served);
        let most_bytes = usize::try_from(app.config.max_partial_heads).unwrap_or(usize::MAX);
        let heads = Heads::new(most_bytes, app.config.max_partial_heads_per_address);
        let serve = |listener, router, max_connections, connections, under_way| {
            tokio::spawn(listen::serve(Listening {
                listener,
                router,
                max_connections,
                connections,
                under_way,
                counts: Arc::clone(&app.metrics.requests),
                heads: Arc::clone(&heads),
                clock: Arc::clone(&app.clock),
                stop: stop_listening.clone(),
                stop_timeout: app.config.stop_timeout(),
            }))
        };
        let (connections, under_way) =
            (app.metrics.connections.clone(), app.metrics.under_way.clone());
        let mut listeners = vec![serve(listener, router, max_connections, connections, under_way)];
        tracing::info!(%addr, "listening");
        let mut metrics_addr = None;
        if let Some((listener, addr)) = metrics_listener {
            let router = metrics::router(&app);
            let (connections, under_way) = Default::default();
            listeners.push(serve(listener, router, METRICS_CONNECTIONS, connections, under_way));
            metrics_addr = Some(addr);
            tracing::info!(%addr, "listening for metrics");
        }
        let mut admin_addr = None;
        if let Some((listener, addr)) = admin_listener {
            let router = routes::router(&app, Served::Operators);
            let (connections, under_way) = Default::default();
            listeners.push(serve(listener, router, ADMIN_CONNECTIONS, connections, under_way));
            admin_addr = Some(addr);
            tracing::info!(%addr, "listening for the operator");
        }
        Ok(Running {
            app,
            addr,
            metrics_addr,
            admin_addr,
            simulator_token,
            stop_listening,
            stop_delivering,
            stop_working,
            listeners,
            supervisor,
        })
    }

    /// What comes of `work`, if it comes within `pause`.
    pub(crate) async fn within<T>(
        &self,
        pause: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            // Asleep only once the work has to wait: most has not.
            () = async { self.clock.sleep(pause).await } => None,
        }
    }

    /// Tells those who wait what a transaction has made known.
    pub(crate) fn publish(&self, committed: Committed) {
        for event in &committed.events {
            self.feeds.tell(event.account_id);
            self.metrics.messages.note(event);
        }
        for line in committed.released {
            self.hub.wake(line);
        }
    }
}

/// Hears of commits from the store.
struct Watcher {
    app: Weak<App>,
    /// The store's threads are none of the runtime's.
    runtime: Handle,
}

impl Observer for Watcher {
    fn deliveries(&self, made: Vec<DueDelivery>) {
        if let Some(app) = self.app.upgrade() {
            app.deliver.committed(made);
        }
    }

    fn foreign_commit(&self) {
        let Some(app) = self.app.upgrade() else { return };
        let _runtime = self.runtime.enter();
        app.auth_cache.forget_all();
        app.links.refresh();
        app.hub.wake_all();
        app.feeds.tell_all();
        app.deliver.foreign_commit();
        app.replays.notify_one();
    }
}

/// Listens on a further address, if one is configured.
async fn listen_on(
    wanted: Option<SocketAddr>,
    refused: fn(SocketAddr, std::io::Error) -> StartError,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let Some(wanted) = wanted else { return Ok(None) };
    let refused = |error| refused(wanted, error);
    let listener = TcpListener::bind(wanted).await.map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    Ok(Some((listener, addr)))
}

/// The address to dial for a listener that may listen on all of them.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
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
