//! How a test server is to be, and how it starts.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use switchboard_bridge::{Simulator, SimulatorOptions};
use switchboard_model::{secret::SecretHash, simulator::SimulatedPhones, time::Clock};
use switchboard_server::{App, Config, Resolver, SystemClock, SystemResolver, app::Parts};
use switchboard_store::{
    Store,
    postgres::{PostgresOptions, PostgresStore},
    sqlite::{SqliteOptions, SqliteStore},
};
use switchboard_testpg::Database;
use tempfile::TempDir;
use tokio::{net::TcpListener, time::Instant};

use super::{BridgeTask, OPERATOR, PATIENCE, TestServer};
use crate::logs;

/// How a test server is to be.
pub struct Setup {
    config: Config,
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolver>,
    simulator: SimulatorOptions,
    phones: Option<Arc<dyn SimulatedPhones>>,
    linked: bool,
    /// The name of the simulator's journal.
    journal: &'static str,
    /// The bounds of its store, where that is SQLite.
    store: SqliteOptions,
    /// Its database, where that is PostgreSQL: made when it starts first.
    pub(super) database: Option<Arc<Database>>,
    /// Where it listened before it was restarted.
    addr: Option<SocketAddr>,
    pub(super) dir: Arc<Folder>,
}

/// Where a server keeps everything.
pub(super) enum Folder {
    /// Made for it, and gone with it.
    Own(TempDir),
    /// Given to it.
    Given(PathBuf),
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Own(dir) => dir.path(),
            Self::Given(path) => path,
        }
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Setup {
    /// A server with the simulator, open to webhooks on this machine, with a rate limit out of the way.
    pub fn new() -> Self {
        let mut config = Config::from_env(&[]).expect("the environment of tests holds no settings");
        config.allow_local_webhooks();
        config.simulator = true;
        config.rate_limit = 1_000_000;
        // What a test leaves under way is not to be waited for.
        config.stop_timeout = 1;
        Self {
            config,
            clock: Arc::new(SystemClock),
            resolver: Arc::new(SystemResolver),
            simulator: SimulatorOptions::default(),
            phones: None,
            linked: true,
            journal: "simulator.jsonl",
            store: SqliteOptions::default(),
            database: None,
            addr: None,
            dir: Arc::new(Folder::Own(
                tempfile::tempdir().expect("the machine has room for a directory"),
            )),
        }
    }

    /// Changes the configuration.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Lets the server and the simulator live by this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Lets the names in the URLs of webhooks become what this says.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// How long the simulator waits for others.
    #[must_use]
    pub fn simulator(mut self, options: SimulatorOptions) -> Self {
        self.simulator = options;
        self
    }

    /// Puts these in the place of the virtual phones behind `/simulator/v1`.
    #[must_use]
    pub fn phones(mut self, phones: Arc<dyn SimulatedPhones>) -> Self {
        self.phones = Some(phones);
        self
    }

    /// Lets it keep everything in this database of PostgreSQL.
    #[must_use]
    pub fn database(mut self, database: Arc<Database>) -> Self {
        self.database = Some(database);
        self
    }

    /// Gives its store these bounds.
    #[must_use]
    pub fn store(mut self, options: SqliteOptions) -> Self {
        self.store = options;
        self
    }

    /// Leaves webhooks on this machine out of reach, as a server in production does.
    #[must_use]
    pub fn strict_webhooks(self) -> Self {
        self.config(|config| {
            config.webhook_allow_http = false;
            config.webhook_allow_networks.clear();
        })
    }

    /// Leaves the simulator's bridge away: items stay pending.
    #[must_use]
    pub fn unlinked(mut self) -> Self {
        self.linked = false;
        self
    }

    /// Gives it this directory, with what an earlier one has left there, and this address: for one that is a process of its
    /// own and may be killed.
    #[must_use]
    pub fn at(mut self, dir: &Path, addr: SocketAddr) -> Self {
        (self.dir, self.addr) = (Arc::new(Folder::Given(dir.to_owned())), Some(addr));
        self
    }

    /// Lets other servers have its database too ([`Setup::beside`]).
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.store.is_shared = true;
        self
    }

    /// Another server on the database of this one, which is [`Setup::shared`]; without a simulator.
    pub fn beside(server: &TestServer) -> Self {
        let dir = Arc::clone(&server.setup.dir);
        let clock = Arc::clone(&server.setup.clock);
        let database = server.setup.database.clone();
        Self {
            dir,
            clock,
            database,
            ..Self::new().shared().config(|config| config.simulator = false)
        }
    }

    /// The same with a simulator of its own, which has other phones.
    pub fn beside_with_simulator(server: &TestServer) -> Self {
        let mut setup = Self::beside(server).config(|config| config.simulator = true);
        setup.journal = "another-simulator.jsonl";
        setup
    }

    /// Takes its database away while it does not run: it begins with an empty one.
    #[must_use]
    pub fn lose_database(mut self) -> Self {
        match self.database.take() {
            Some(_) => {}
            None => {
                fs::remove_file(self.dir.path().join("switchboard.db")).expect("it has stopped")
            }
        }
        self
    }

    /// The database of a server that does not run. To be closed before it is started.
    pub async fn open_store(&self) -> Arc<dyn Store> {
        let dir = self.dir.path();
        if let Some(database) = &self.database {
            let (url, key_file) = (database.url(), dir.join("secret-key"));
            let is_shared = self.store.is_shared;
            let options = PostgresOptions { is_shared, ..PostgresOptions::default() };
            let store = PostgresStore::connect(&url, &key_file, options).await;
            return Arc::new(store.expect("the database is this test's own"));
        }
        let store = SqliteStore::open(&dir.join("switchboard.db"), self.store);
        Arc::new(store.expect("the database is this test's own"))
    }

    /// Starts the server.
    pub async fn start(mut self) -> TestServer {
        logs::watch();
        self.config.data_dir = self.dir.path().to_path_buf();
        if is_on_postgres() && self.database.is_none() {
            self.database = Some(Arc::new(Database::new().await));
        }
        let store = self.open_store().await;
        let listener = listen(self.addr).await;
        self.addr = listener.local_addr().ok();
        let journal = self.dir.path().join(self.journal);
        let simulator = Simulator::open(&journal, Arc::clone(&self.clock), self.simulator)
            .expect("the journal is this test's own");
        let parts = Parts {
            config: self.config.clone(),
            store: Arc::clone(&store),
            clock: Arc::clone(&self.clock),
            resolver: Arc::clone(&self.resolver),
            operator: SecretHash::of(OPERATOR),
            simulator: self.config.simulator.then(|| match &self.phones {
                Some(phones) => Arc::clone(phones),
                None => Arc::clone(&simulator) as Arc<dyn SimulatedPhones>,
            }),
        };
        let running = App::start(parts, listener).await.expect("a fresh server starts");
        let url = format!("http://{}", running.addr());
        let bridge = match running.simulator_token() {
            Some(token) if self.linked => Some(BridgeTask::start(&running, token, simulator)),
            _ => None,
        };
        TestServer { url, running, store, bridge, setup: self }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// Listens where it listened before, so that those who were connected find it again.
async fn listen(addr: Option<SocketAddr>) -> TcpListener {
    let addr = addr.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    let deadline = Instant::now() + PATIENCE;
    loop {
        // For a moment another process may have the port, for a connection of its own.
        match TcpListener::bind(addr).await {
            Ok(listener) => return listener,
            Err(error) if Instant::now() > deadline => panic!("{addr} is not free: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Whether the servers of this run keep their things in PostgreSQL: `SWITCHBOARD_TEST_STORE` says so.
pub fn is_on_postgres() -> bool {
    match env::var("SWITCHBOARD_TEST_STORE").as_deref() {
        Err(_) | Ok("" | "sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("SWITCHBOARD_TEST_STORE is sqlite or postgres, and not {other}"),
    }
}
