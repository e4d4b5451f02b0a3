//! A server in this process, with or without the simulator: what `dev` and `serve` share.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use switchboard_bridge::{Bridge, BridgeConfig, Simulator, SimulatorOptions};
use switchboard_model::{secret::SecretHash, simulator::SimulatedPhones, time::Clock};
use switchboard_server::{App, Config, Running, SystemClock, SystemResolver, app::Parts};
use switchboard_store::{
    Store,
    sqlite::{SqliteOptions, SqliteStore},
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// The database's file in the data directory.
const DATABASE: &str = "switchboard.db";
/// The simulator's journal in the data directory.
const JOURNAL: &str = "simulator.jsonl";

/// How long the simulator's bridge has to report what it has done when the server stops. What the
/// server itself takes comes after it, and all of it must be less than 5 seconds.
const BRIDGE_FAREWELL: Duration = Duration::from_millis(500);

/// A server that runs in this process.
pub(super) struct Host {
    pub(super) running: Running,
    bridge: Option<(CancellationToken, JoinHandle<()>)>,
    stop: StopSignals,
}

/// Ctrl-C and SIGTERM. From the moment this is made neither ends the process by itself.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("Ctrl-C can't be listened for")?,
            terminate: signal(SignalKind::terminate()).context("SIGTERM can't be listened for")?,
        })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What is opened before the server starts: whatever is wrong with the machine shows here.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    listener: TcpListener,
}

/// Makes the data directory, opens the database, takes the port.
pub(super) async fn open(config: &Config) -> anyhow::Result<Opened> {
    let dir = &config.data_dir;
    make_private_dir(dir)
        .with_context(|| format!("the data directory {} can't be used", dir.display()))?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "can't listen on {}: choose another port with --listen, or stop what uses this one",
            config.listen
        )
    })?;
    let store = SqliteStore::open(&dir.join(DATABASE), SqliteOptions::default())?;
    Ok(Opened { store: Arc::new(store), clock: Arc::new(SystemClock), listener })
}

impl Host {
    /// Starts the server, and the simulator's bridge if the configuration wants it.
    pub(super) async fn start(
        config: Config,
        operator: SecretHash,
        opened: Opened,
    ) -> anyhow::Result<Self> {
        let Opened { store, clock, listener } = opened;
        // Before anybody can be told that the server is ready: who is told may stop it at once.
        let stop = StopSignals::listen()?;
        let simulator = if config.simulator {
            let journal = config.data_dir.join(JOURNAL);
            let simulator =
                Simulator::open(&journal, Arc::clone(&clock), SimulatorOptions::default())
                    .with_context(|| format!("the simulator can't use {}", journal.display()))?;
            Some(simulator)
        } else {
            None
        };
        let phones = simulator.clone().map(|simulator| simulator as Arc<dyn SimulatedPhones>);
        let resolver = Arc::new(SystemResolver);
        let parts = Parts { config, store, clock, resolver, operator, simulator: phones };
        let running = App::start(parts, listener).await?;
        let bridge = match (simulator, running.simulator_token()) {
            (Some(simulator), Some(token)) => {
                // Over loopback, as a Mac would over the network: the whole way is always the real one.
                let url = format!("ws://{}/bridge/v1/link", running.reachable_addr());
                let bridge = Bridge::new(BridgeConfig::new(&url, token.reveal())?, simulator);
                let stop = CancellationToken::new();
                let task = tokio::spawn({
                    let stop = stop.clone();
                    async move {
                        if let Err(error) = bridge.run(stop).await {
                            tracing::error!(%error, "the simulator's bridge has stopped");
                        }
                    }
                });
                Some((stop, task))
            }
            _ => None,
        };
        Ok(Self { running, bridge, stop })
    }

    /// The URL at which this machine reaches the server.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.running.reachable_addr())
    }

    /// Waits for Ctrl-C or SIGTERM, or until nobody wants the server, then stops.
    pub(super) async fn run_until_stopped(mut self, unwanted: impl Future<Output = ()>) {
        tokio::select! {
            () = self.stop.come() => {}
            () = unwanted => {}
        }
        if let Some((stop, task)) = self.bridge {
            stop.cancel();
            // Its last reports are repeated at the next start.
            let _ = tokio::time::timeout(BRIDGE_FAREWELL, task).await;
        }
        self.running.stop().await;
    }
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // Messages and secrets are the owner's alone.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file that only its owner may read, whole or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let draft = path.with_extension("new");
    let write = || {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    let written = write();
    if written.is_err() {
        // Half of a secret is of no use to anybody, and takes room on a disk that may be full.
        let _ = fs::remove_file(&draft);
    }
    written.with_context(|| format!("{} can't be written", path.display()))
}

/// A file's text; none if there is no such file.
pub(super) fn read_private(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => bail!("{} can't be read: {error}", path.display()),
    }
}
