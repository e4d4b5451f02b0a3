//! A real server on port 0, with its database in a directory of its own and the simulator
//! linked to it over loopback.

mod setup;

use std::{path::Path, sync::Arc, time::Duration};

use http::Method;
use serde_json::json;
use switchboard_bridge::{Bridge, BridgeConfig, Simulator};
use switchboard_client::{
    AdminClient, Client, ContactText, CreateKey, CreateLine, KeyScopes, SimulatorClient,
};
use switchboard_model::{
    Account, Line, Scope, id::Id, line::DriverKind, secret::Secret, simulator::SimulatedText,
};
use switchboard_server::Running;
use switchboard_store::Store;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{judge::judge, logs};

pub use setup::{Setup, is_on_postgres};

/// The first line of the first tenant.
pub const LINE: &str = "+15550100001";

/// The operator's token of every test server.
pub const OPERATOR: &str = "opt_test_00000000000000000000";

/// How long anything may take before a test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// The simulator's bridge, dialled in.
#[derive(Debug)]
struct BridgeTask {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl BridgeTask {
    fn start(running: &Running, token: &Secret, simulator: Arc<Simulator>) -> Self {
        let url = format!("ws://{}/bridge/v1/link", running.addr());
        let config = BridgeConfig::new(&url, token.reveal()).expect("a URL and a token of ours");
        let bridge = Bridge::new(config, simulator);
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                bridge.run(stop).await.expect("the server takes its own simulator");
            }
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the bridge ends well");
    }
}

/// A server that runs. End a test with [`TestServer::stop`], which checks the invariants.
#[derive(Debug)]
pub struct TestServer {
    /// `http://127.0.0.1:…`
    pub url: String,
    /// The server's own store, for what can't be seen from outside.
    pub store: Arc<dyn Store>,
    running: Running,
    bridge: Option<BridgeTask>,
    setup: Setup,
}

impl TestServer {
    /// A server as most tests want it.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// Where the operator's API is.
    pub fn admin_url(&self) -> String {
        let addr = self.running.admin_addr();
        addr.map_or_else(|| self.url.clone(), |addr| format!("http://{addr}"))
    }

    /// The operator's client.
    pub fn admin(&self) -> AdminClient {
        let builder = Client::builder(&self.admin_url()).key(OPERATOR).observe(judge);
        builder.build_admin().expect("a URL of ours")
    }

    /// Where the server shows its metrics and its health.
    pub fn metrics_url(&self) -> String {
        let addr = self.running.metrics_addr().expect("the test has set `metrics_listen`");
        format!("http://{addr}")
    }

    /// Where the server keeps its database and its files.
    pub fn data_dir(&self) -> &Path {
        self.setup.dir.path()
    }

    /// Keeps every write of the server waiting until what this answers is dropped, which must be soon: after 5 s
    /// writes fail. Reads go on.
    pub async fn hold_writes(&self) -> HeldWrites {
        if let Some(database) = &self.setup.database {
            return HeldWrites::Postgres(database.hold_writes().await);
        }
        let path = self.setup.dir.path().join("switchboard.db");
        let sql = rusqlite::Connection::open(path).expect("the database is this test's own");
        sql.busy_timeout(PATIENCE).expect("a number");
        sql.execute_batch("begin immediate").expect("the writer lets others in between");
        HeldWrites::Sqlite(sql)
    }

    /// The token of the simulator's bridge, for a test that dials by itself.
    pub fn simulator_token(&self) -> Option<&str> {
        self.running.simulator_token().map(Secret::reveal)
    }

    /// The operator's token.
    pub fn operator_token(&self) -> &'static str {
        OPERATOR
    }

    /// The virtual phones.
    pub fn phones(&self) -> SimulatorClient {
        let builder = Client::builder(&self.admin_url()).key(OPERATOR).observe(judge);
        builder.build_simulator().expect("a URL of ours")
    }

    /// A client with this key.
    pub fn client(&self, key: &str) -> Client {
        Client::builder(&self.url).key(key).observe(judge).build().expect("a URL of ours")
    }

    /// Makes an account with a simulated line of this handle and a key with all scopes.
    pub async fn tenant(&self, handle: &str) -> Tenant {
        let admin = self.admin();
        let account = admin.create_account("Test").await.expect("an account").value;
        let line = CreateLine::new(account.id, handle, DriverKind::Simulator);
        let line = admin.create_line(&line).await.expect("a line").value.line;
        let key = admin.create_key(&CreateKey::new(account.id, "test")).await.expect("a key");
        let key = key.value.secret.reveal().to_owned();
        let client = self.client(&key);
        self.carried(line.id).await;
        Tenant { account: account.id, line_id: line.id, line: handle.to_owned(), key, client }
    }

    /// Makes a simulated line for this account that may write to contacts who have not written first.
    pub async fn open_line(&self, account: Id<Account>, handle: &str) -> Line {
        let mut line = CreateLine::new(account, handle, DriverKind::Simulator);
        line.contact_first = Some(false);
        let line = self.admin().create_line(&line).await.expect("a line").value.line;
        self.carried(line.id).await;
        line
    }

    /// Waits until the simulator's bridge, if it is there, has said what this line can do.
    async fn carried(&self, line: Id<Line>) {
        if self.bridge.is_none() {
            return;
        }
        eventually("the line is carried", async || {
            let lines = self.admin().lines().await.expect("lines").value.data;
            lines.iter().find(|one| one.line.id == line)?.line.advanced_features.then_some(())
        })
        .await;
    }

    /// Makes the shared sandbox line, which belongs to an account of its own.
    pub async fn sandbox_line(&self, handle: &str) -> Line {
        let account = self.admin().create_account("House").await.expect("an account").value.id;
        let line = json!({
            "account_id": account, "handle": handle, "driver": "simulator", "is_sandbox": true,
        });
        let operator = Client::builder(&self.admin_url()).key(OPERATOR).observe(judge);
        let operator = operator.build().expect("a URL of ours");
        let made = operator.request_json(Method::POST, "/admin/v1/lines", &line).await;
        let made = made.expect("an answer");
        assert_eq!(made.status, 201, "the sandbox line is made: {made:?}");
        let line: Line = serde_json::from_value(made.body).expect("a line");
        self.carried(line.id).await;
        line
    }

    /// A key of this account with these scopes, restricted to these lines if there are any.
    pub async fn key(&self, account: Id<Account>, scopes: &[Scope], lines: &[Id<Line>]) -> Client {
        let mut key = CreateKey::new(account, "test");
        key.scopes = KeyScopes::Only(scopes.iter().copied().collect());
        key.line_ids = (!lines.is_empty()).then(|| lines.iter().map(ToString::to_string).collect());
        let made = self.admin().create_key(&key).await.expect("a key").value;
        self.client(made.secret.reveal())
    }

    /// A contact texts a line.
    pub async fn text(&self, line: &str, from: &str, text: &str) -> SimulatedText {
        let text = ContactText {
            line: line.to_owned(),
            from: from.to_owned(),
            text: Some(text.to_owned()),
            ..ContactText::default()
        };
        self.phones().text(&text).await.expect("the line is texted").value
    }

    /// Returns when a part of it has failed without which it is only half alive.
    pub async fn failed(&self) -> &'static str {
        self.running.failed().await
    }

    /// Stops it and starts it again on the same directory and address, in good order.
    pub async fn restart(self) -> Self {
        self.restart_with(|setup| setup).await
    }

    /// As [`TestServer::restart`], set up otherwise.
    pub async fn restart_with(self, change: impl FnOnce(Setup) -> Setup) -> Self {
        change(self.shut_down().await).start().await
    }

    /// Stops it and checks the invariants: no ERROR line was written.
    pub async fn stop(self) {
        self.shut_down().await;
        let errors = logs::take_errors();
        assert!(errors.is_empty(), "the server wrote ERROR lines: {errors:#?}");
    }

    /// Stops it, and gives back the ERROR lines that the test has provoked.
    pub async fn stop_with_errors(self) -> Vec<String> {
        self.shut_down().await;
        logs::take_errors()
    }

    /// Stops it; what it was set up with starts it again on the same directory.
    pub async fn shut_down(self) -> Setup {
        if let Some(bridge) = self.bridge {
            bridge.stop().await;
        }
        let began = Instant::now();
        self.running.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5), "the server stops in under 5 s");
        self.setup
    }
}

/// Holds the lock that the server's next write needs.
pub enum HeldWrites {
    /// A transaction that writes.
    #[allow(dead_code, reason = "it is held")]
    Sqlite(rusqlite::Connection),
    /// A transaction that has locked all tables.
    #[allow(dead_code, reason = "it is held")]
    Postgres(switchboard_testpg::Held),
}

impl std::fmt::Debug for HeldWrites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldWrites")
    }
}

/// An account with one line and one key.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Whose.
    pub account: Id<Account>,
    /// The line's id.
    pub line_id: Id<Line>,
    /// The line's handle.
    pub line: String,
    /// The key, with all scopes.
    pub key: String,
    /// A client with that key.
    pub client: Client,
}

/// Waits until `look` finds what it looks for; panics with `what` if it takes too long.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// The same, for what may take longer by design.
pub async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    look: impl AsyncFn() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
