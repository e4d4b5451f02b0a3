//! The process put together: build, run, stop.

mod assembly;
mod running;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Weak},
};

use http::Method;
use switchboard_model::{
    delivery::DueDelivery,
    page::CursorKey,
    secret::{Secret, SecretHash, SecretKind},
    simulator::SimulatedPhones,
    time::Clock,
};
use switchboard_store::{Changed, News, Observer, Store, StoreError};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;

pub use running::Running;

use crate::{
    auth_cache::AuthCache,
    clock::ServerClock,
    config::Config,
    deliver::Deliver,
    files::{FileBytes, FilesError},
    hub::Hub,
    jobs,
    limiter::Limiter,
    link::Links,
    listen::{self, Listening},
    metrics::Metrics,
    publish::Publisher,
    quota::heads::Heads,
    routes::{self, Served},
    ssrf::{Guard, Resolver},
    stream::Feeds,
    supervise::Supervisor,
    telemetry,
    webhook_client::WebhookClient,
};

/// Connections at once of those who want metrics.
const METRICS_CONNECTIONS: usize = 64;
/// Connections at once to the operator's own address.
const ADMIN_CONNECTIONS: usize = 256;

/// The parts that many share. One per process, or per test; nobody gets all of it.
#[derive(Debug)]
pub struct App {
    config: Config,
    store: Arc<dyn Store>,
    clock: Arc<ServerClock>,
    auth_cache: Arc<AuthCache>,
    limiter: Arc<Limiter>,
    hub: Arc<Hub>,
    feeds: Arc<Feeds>,
    links: Arc<Links>,
    deliver: Arc<Deliver>,
    metrics: Arc<Metrics>,
    publisher: Arc<Publisher>,
    files: Arc<FileBytes>,
    guard: Guard,
    /// The server is stopping: live streams end and say so.
    stopping: CancellationToken,
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

impl App {
    /// Starts a server on `listener`. It answers when this returns.
    ///
    /// # Errors
    /// [`StartError`] says what refused.
    pub async fn start(parts: Parts, listener: TcpListener) -> Result<Running, StartError> {
        let Parts { config, store, clock, resolver, operator, simulator } = parts;
        telemetry::watch_panics();
        let clock = Arc::new(ServerClock::resume(clock, &*store).await?);
        let addr = listener.local_addr().map_err(StartError::Listener)?;
        let (now, steady) = (clock.now(), clock.steady());
        // Before anything is pruned: what is there now is known to be older than what comes.
        store.mark(steady, jobs::oldest_mark(&*clock, config.event_retention())).await?;
        let metrics_listener =
            listen_on(config.metrics_listen, StartError::MetricsListener).await?;
        let admin_listener = listen_on(config.admin_listen, StartError::AdminListener).await?;

        // Claims were made before a stop of which nobody knows how long it took: the
        // bridges get one lease to come back and say what became of them.
        store.renew_all_claims(steady + config.claim_lease()).await?;
        store.all_lines_away(now).await?;
        store.bring_retries_forward(steady + config.webhook_retry_schedule.longest()).await?;
        let cursor_secret = store.cursor_secret(rand::random()).await?;
        let simulator_token = if simulator.is_some() {
            // Derived, so that none need be kept, and that one server's start does not take it from another.
            let token = Secret::derived(SecretKind::Bridge, &cursor_secret, "simulator");
            store.ensure_simulator_bridge(token.hash(), now).await?;
            Some(token)
        } else {
            None
        };

        let cursors = CursorKey::new(cursor_secret);
        let secret = store.file_url_secret(rand::random()).await?;
        let base = match &config.public_url {
            Some(url) => url.to_string(),
            None => format!("http://{}", reachable(addr)),
        };
        let files = Arc::new(FileBytes::open(&config, &base, secret).await?);
        let guard = Guard::new(&config, resolver);
        let max_connections =
            listen::within_file_limit(config.max_connections, config.webhook_concurrency);
        let routes = routes::table().into_iter().map(|row| (row.method, row.path));
        let metrics = Arc::new(Metrics::new(
            routes.chain([(Method::GET, routes::METRICS_PATH)]),
            max_connections,
        ));
        let webhook_client = WebhookClient::new(&config, guard.clone(), Arc::clone(&files))
            .map_err(StartError::DeliveryClient)?;
        let deliver = Deliver::new(
            &config,
            webhook_client,
            Arc::clone(&store),
            Arc::<ServerClock>::clone(&clock),
            Arc::clone(&metrics),
        );
        let feeds = {
            let (store, files) = (Arc::clone(&store), Arc::clone(&files));
            Arc::new(Feeds::new(store, files, Arc::<ServerClock>::clone(&clock)))
        };
        let hub = Arc::<Hub>::default();
        let publisher = Publisher {
            feeds: Arc::clone(&feeds),
            hub: Arc::clone(&hub),
            metrics: Arc::clone(&metrics),
        };
        let steady_clock: Arc<dyn Clock> = Arc::<ServerClock>::clone(&clock);
        let app = Arc::new(Self {
            auth_cache: Arc::new(AuthCache::new(Arc::clone(&store), &steady_clock)),
            limiter: Arc::default(),
            hub,
            feeds,
            links: Arc::default(),
            files,
            stopping: CancellationToken::new(),
            deliver: Arc::new(deliver),
            metrics,
            publisher: Arc::new(publisher),
            guard,
            config,
            store,
            clock,
        });

        let (stop_listening, stop_working) = (CancellationToken::new(), CancellationToken::new());
        let stop_delivering = CancellationToken::new();
        let supervisor = Supervisor::new();
        // First: it is told of whatever happens from now on.
        app.store
            .observe(Arc::new(Watcher { app: Arc::downgrade(&app), runtime: Handle::current() }));
        app.deliver.start(&supervisor, &stop_delivering).await;
        jobs::start(app.jobs(), &supervisor, &stop_working);
        let (feeds, stopping, stop) =
            (Arc::clone(&app.feeds), app.stopping.clone(), stop_working.clone());
        supervisor.restart("stream feeds", &stop_working, move || {
            Arc::clone(&feeds).keep_open(stopping.clone(), stop.clone())
        });

        let served = if admin_listener.is_some() { Served::AllButOperators } else { Served::All };
        let (state, gatekeeper) = (app.api(cursors, simulator), app.gatekeeper(operator));
        let counts = &app.metrics.requests;
        let router = routes::router(&state, &gatekeeper, counts, served);
        let most_bytes = usize::try_from(app.config.quotas.max_partial_heads).unwrap_or(usize::MAX);
        let heads = Heads::new(most_bytes, app.config.quotas.max_partial_heads_per_address);
        let serve = |listener, router, max_connections, connections, under_way| {
            tokio::spawn(listen::serve(Listening {
                listener,
                router,
                max_connections,
                connections,
                under_way,
                counts: Arc::clone(&app.metrics.requests),
                heads: Arc::clone(&heads),
                clock: Arc::<ServerClock>::clone(&app.clock),
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
            let router = routes::watchers_router(&state, counts);
            let (connections, under_way) = Default::default();
            listeners.push(serve(listener, router, METRICS_CONNECTIONS, connections, under_way));
            metrics_addr = Some(addr);
            tracing::info!(%addr, "listening for metrics");
        }
        let mut admin_addr = None;
        if let Some((listener, addr)) = admin_listener {
            let router = routes::router(&state, &gatekeeper, counts, Served::Operators);
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

    fn changed(&self, changed: Changed) {
        if let Some(app) = self.app.upgrade() {
            app.auth_cache.changed(changed);
        }
    }

    fn news(&self, news: News) {
        let Some(app) = self.app.upgrade() else { return };
        let _runtime = self.runtime.enter();
        let News { events, deliveries, webhooks, items, changed, bridges, replays } = news;
        events.into_iter().for_each(|account| app.feeds.tell(account));
        deliveries.into_iter().for_each(|webhook| app.deliver.came_to_store(webhook));
        // They may be: whoever owns them gives up what is due then.
        webhooks.into_iter().for_each(|webhook| app.deliver.disabled(webhook));
        items.into_iter().for_each(|line| app.hub.wake(line));
        let is_key = |changed: &Changed| matches!(changed, Changed::Key(_));
        let may_end_streams = changed.iter().any(is_key);
        changed.into_iter().for_each(|changed| app.auth_cache.changed(changed));
        if may_end_streams {
            app.feeds.tell_all();
        }
        if bridges {
            app.links.refresh();
        }
        if replays {
            app.hub.wake_replays();
        }
    }

    fn foreign_commit(&self) {
        let Some(app) = self.app.upgrade() else { return };
        let _runtime = self.runtime.enter();
        app.links.refresh();
        app.hub.wake_all();
        app.feeds.tell_all();
        app.deliver.foreign_commit();
        app.hub.wake_replays();
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
