//! The release binary as a process of its own, with a database in a directory of its own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use switchboard_client::{AdminClient, Client, CreateKey, CreateLine, SimulatorClient};
use switchboard_model::{Line, id::Id, line::DriverKind};

/// The operator's token of every such server.
const OPERATOR: &str = "opt_bench_0000000000000000000";
/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// The binary beside this program.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("switchboard");
    let missing = "there is no switchboard beside this program: cargo build --release first";
    ensure!(beside.is_file(), missing);
    Ok(beside)
}

/// It with its defaults, whatever this shell happens to set.
pub(crate) fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SWITCHBOARD_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// What this process has in memory, in KiB.
pub(crate) fn resident_kib(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("the kernel says nothing of VmRSS")?.parse()?)
}

/// `switchboard serve --simulator`. Ends when it is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// An account with a line and a key.
#[derive(Clone)]
pub(crate) struct Customer {
    pub(crate) line: Id<Line>,
    pub(crate) handle: String,
    pub(crate) key: String,
}

impl Served {
    /// Starts it in this directory and waits until it listens.
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = command(&binary()?);
        command.args(["serve", "--simulator", "--rate-limit", "1000000000", "--log", "warn"]);
        command.arg("--listen").arg(address.to_string()).arg("--data-dir").arg(dir);
        command.args(["--max-streams", "20000"]);
        command.args(["--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8"]);
        command.args(["--webhook-ports", "1-65535"]);
        command.env("SWITCHBOARD_OPERATOR_TOKEN", OPERATOR).stdout(Stdio::null());
        let mut served = Self { child: command.spawn()?, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = served.child.try_wait()? {
                bail!("the server did not start: {status}");
            }
            ensure!(Instant::now() < deadline, "the server does not get ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(served)
    }

    pub(crate) fn resident_kib(&self) -> anyhow::Result<f64> {
        resident_kib(self.child.id())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn admin(&self) -> anyhow::Result<AdminClient> {
        Ok(Client::builder(&self.url()).key(OPERATOR).build_admin()?)
    }

    pub(crate) fn phones(&self) -> anyhow::Result<SimulatorClient> {
        Ok(Client::builder(&self.url()).key(OPERATOR).build_simulator()?)
    }

    /// Makes an account with a simulated line and a key with all scopes.
    pub(crate) async fn customer(&self, number: usize) -> anyhow::Result<Customer> {
        let admin = self.admin()?;
        let account = admin.create_account("Bench").await?.value.id;
        let handle = format!("+1555011{number:04}");
        let line = CreateLine::new(account, handle.as_str(), DriverKind::Simulator);
        let line = admin.create_line(&line).await?.value.line.id;
        let key = admin.create_key(&CreateKey::new(account, "bench")).await?.value;
        Ok(Customer { line, handle, key: key.secret.reveal().to_owned() })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
