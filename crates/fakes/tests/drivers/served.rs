//! A server in a process of its own, which can be killed as `kill -9` does, and which then finds on the disk what it has left.
//!
//! The process is this test's own program, told to be a server: so it is always built of what is tested.

use std::{
    env,
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use switchboard_client::{AdminClient, Client};
use switchboard_testkit::{OPERATOR, Setup, eventually, judge};
use tempfile::TempDir;

/// Where the server keeps everything; tells the process that it is one.
const FOLDER: &str = "TEST_SERVER_FOLDER";
/// Where it listens.
const ADDRESS: &str = "TEST_SERVER_ADDRESS";

/// The server's process and what outlives it.
pub(crate) struct Served {
    url: String,
    address: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
}

impl Served {
    /// Starts a server on a folder and an address that it keeps over its deaths.
    pub(crate) async fn start() -> Self {
        let address = quiet_address();
        let (url, folder) = (format!("http://{address}"), tempfile::tempdir().unwrap());
        let mut served = Self { url, address, folder, child: None };
        served.begin().await;
        served
    }

    /// Starts it, and waits until it listens.
    pub(crate) async fn begin(&mut self) {
        let mut program = Command::new(env::current_exe().unwrap());
        program.args(["served::a_server_for_another_test", "--exact", "--nocapture"]);
        program.env(FOLDER, self.folder.path()).env(ADDRESS, self.address.to_string());
        // It ends when this pipe does, should this process be killed itself.
        program.stdin(Stdio::piped()).stdout(Stdio::null());
        self.child = Some(program.spawn().unwrap());
        eventually("the server listens", async || TcpStream::connect(self.address).ok()).await;
    }

    /// Kills it, wherever it is.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it in good order; it says whether it found itself in order.
    pub(crate) fn stop(mut self) {
        let mut child = self.child.take().expect("it runs");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success(), "the server did not end well");
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn admin(&self) -> AdminClient {
        Client::builder(&self.url).key(OPERATOR).observe(judge).build_admin().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An address that stays ours while the server is down: its port is below those that systems give to outgoing connections, or
/// one of our own could take it meanwhile.
fn quiet_address() -> SocketAddr {
    let ports = (0..100).map(|_| rand::random_range(15_000..30_000_u16));
    let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("a port is free")
}

/// No test when it is run by itself: [`Served`] runs it as the server's process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_for_another_test() {
    let (Some(folder), Ok(address)) = (env::var_os(FOLDER), env::var(ADDRESS)) else { return };
    let setup = Setup::new().at(&PathBuf::from(folder), address.parse().unwrap());
    let server = setup.unlinked().config(|config| config.simulator = false).start().await;
    let until_closed = || std::io::stdin().read(&mut [0]);
    let _ = tokio::task::spawn_blocking(until_closed).await.unwrap();
    server.stop().await;
}
