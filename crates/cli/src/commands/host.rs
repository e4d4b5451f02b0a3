//! A server in this process, with or without the simulator: what `dev` and `serve` share.

use std::{fs, panic::AssertUnwindSafe, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use futures_util::FutureExt as _;
use switchboard_bridge::{Bridge, BridgeConfig, Simulator, SimulatorOptions};
use switchboard_model::{secret::SecretHash, simulator::SimulatedPhones, time::Clock};
use switchboard_server::{
    App, Config, Running, SystemClock, SystemResolver, app::Parts, telemetry,
};
use switchboard_store::{
    Store,
    postgres::{PostgresOptions, PostgresStore},
    sqlite::{SqliteOptions, SqliteStore},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{data_dir, signals::StopSignals};

/// The database's file in the data directory.
const DATABASE: &str = "switchboard.db";
/// The key that secrets are encrypted with, in the data directory.
const SECRET_KEY: &str = "secret-key";
/// The simulator's journal in the data directory.
const JOURNAL: &str = "simulator.jsonl";

/// How long the simulator's bridge has to report what it has done when the server stops. What the
/// server itself takes comes after it.
const BRIDGE_FAREWELL: Duration = Duration::from_millis(500);

/// The pause before the simulator's bridge is begun anew after it has panicked.
const BRIDGE_PAUSE: Duration = Duration::from_secs(1);

/// How long the last lines of the log may take when a second signal ends the process.
pub(super) const LAST_LINES: Duration = Duration::from_millis(200);

/// A server that runs in this process.
pub(super) struct Host {
    pub(super) running: Running,
    bridge: Option<(CancellationToken, JoinHandle<()>)>,
    stop: StopSignals,
}

/// A part of the server has failed, and the process is to be started again.
#[derive(Debug, thiserror::Error)]
#[error("a part of the server has failed ({part}); the log says more. Start it again")]
pub(crate) struct PartFailed {
    part: &'static str,
}

/// What is opened before the server starts: whatever is wrong with the machine shows here.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    listener: TcpListener,
}

/// Takes the port, makes the data directory, opens the database.
pub(super) async fn open(config: &Config) -> anyhow::Result<Opened> {
    let dir = &config.data_dir;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "can't listen on {}: choose another port with --listen, or stop what uses this one",
            config.listen
        )
    })?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data_dir = %dir.display(),
        database = config.database.as_ref().map(tracing::field::display),
        address = %listener.local_addr().unwrap_or(config.listen),
        metrics_address = config.metrics_listen.map(tracing::field::display),
        admin_address = config.admin_listen.map(tracing::field::display),
        "starting"
    );
    data_dir::prepare(dir)?;
    let key_file = config.secret_key_file.clone().unwrap_or_else(|| dir.join(SECRET_KEY));
    let store: Arc<dyn Store> = match &config.database {
        Some(url) => {
            let options = PostgresOptions::default();
            Arc::new(PostgresStore::connect(url.reveal(), &key_file, options).await?)
        }
        None => {
            let (database, options) = (dir.join(DATABASE), SqliteOptions::default());
            Arc::new(SqliteStore::open_with_key(&database, &key_file, options)?)
        }
    };
    Ok(Opened { store, clock: Arc::new(SystemClock), listener })
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
                let config = BridgeConfig::new(&url, token.reveal())?;
                let stop = CancellationToken::new();
                let task = tokio::spawn(keep_bridge(config, simulator, stop.clone()));
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

    /// Waits until it is to stop: a signal, nobody who wants the server, a part of it that has failed. Then stops.
    ///
    /// # Errors
    /// [`PartFailed`] if that was why.
    pub(super) async fn run_until_stopped(
        self,
        unwanted: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let Self { running, bridge, mut stop } = self;
        let failed = tokio::select! {
            signal = stop.come() => {
                tracing::info!(signal, "stopping");
                None
            }
            () = unwanted => None,
            part = running.failed() => Some(part),
        };
        let stopping = async {
            if let Some((stop, task)) = bridge {
                stop.cancel();
                // Its last reports are repeated at the next start.
                let _ = tokio::time::timeout(BRIDGE_FAREWELL, task).await;
            }
            running.stop().await;
        };
        tokio::select! {
            () = stopping => {}
            signal = stop.come_again() => {
                tracing::warn!(signal, "a second signal: ended at once, and what was under way is left");
                telemetry::flush(LAST_LINES);
                // Nothing else is waited for: neither threads nor what drops would do.
                std::process::exit(1);
            }
        }
        failed.map_or(Ok(()), |part| Err(PartFailed { part }.into()))
    }
}

/// Runs the simulator's bridge; one that panics is begun anew.
async fn keep_bridge(config: BridgeConfig, simulator: Arc<Simulator>, stop: CancellationToken) {
    loop {
        let bridge = Bridge::new(config.clone(), simulator.clone());
        match AssertUnwindSafe(bridge.run(stop.clone())).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::error!(%error, "the simulator's bridge has stopped");
                return;
            }
            Err(_panic) => tracing::error!("the simulator's bridge panicked"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(BRIDGE_PAUSE)).await.is_none() {
            return;
        }
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let draft = path.with_extension("new");
    let write = || {
        // One that was left behind, or a link, would keep its own mode and its own place.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
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
