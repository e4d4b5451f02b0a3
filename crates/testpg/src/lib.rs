//! A PostgreSQL for tests: one server for all processes that test, a database for each test.
//!
//! The first test starts the server, as an ordinary user, in a directory of its own beside the machine's temporary files;
//! it listens on a socket there and nowhere else. A watcher ends it when no test is running any more. A crate of its own,
//! and not part of `testkit`, so that the store's tests need not wait for the server's code.

#![allow(clippy::unwrap_used, reason = "a test that can't have its database should say where")]

mod server;

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use server::Server;
use tokio_postgres::NoTls;

/// An empty database, which goes when this is dropped.
pub struct Database {
    server: Server,
    name: String,
}

impl Database {
    /// Makes one.
    ///
    /// # Panics
    /// If there is no PostgreSQL on this machine, or it can't be started.
    pub async fn new() -> Self {
        Self::on(Server::of_tests()).await
    }

    /// Makes one on a server whose commits are on the disk, in this directory: for what is measured.
    ///
    /// # Panics
    /// As [`Database::new`].
    pub async fn durable(directory: &Path) -> Self {
        Self::on(Server::durable(directory)).await
    }

    async fn on(server: Server) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        server.start();
        let postgres = url(&server, "postgres");
        run(&postgres, &format!("drop database if exists {name} with (force)")).await;
        run(&postgres, &format!("create database {name}")).await;
        Self { server, name }
    }

    /// Runs statements in it.
    ///
    /// # Panics
    /// If one fails.
    pub async fn run(&self, statements: &str) {
        run(&self.url(), statements).await;
    }

    /// Keeps every write waiting until what this answers is dropped. Reads go on.
    ///
    /// # Panics
    /// If there are no tables.
    pub async fn hold_writes(&self) -> Held {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        let connection = tokio::spawn(async move {
            // Ended with the client.
            let _ = connection.await;
        });
        let tables = "select string_agg(quote_ident(tablename), ', ') from pg_tables where schemaname = 'public'";
        let tables: String = client.query_one(tables, &[]).await.unwrap().get(0);
        let lock = format!("begin; lock table {tables} in exclusive mode");
        client.batch_execute(&lock).await.unwrap();
        Held { _client: client, connection }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        url(&self.server, &self.name)
    }
}

/// A transaction that holds all tables.
pub struct Held {
    _client: tokio_postgres::Client,
    connection: tokio::task::JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // With its connection the transaction ends.
        self.connection.abort();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        let postgres = url(&self.server, "postgres");
        // A runtime of its own: the test's may be the one that drops this.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(run(&postgres, &drop));
        });
        if dropping.join().is_err() && !thread::panicking() {
            panic!("the database {} is still there", self.name);
        }
    }
}

fn url(server: &Server, database: &str) -> String {
    format!("postgres:///{database}?user={}&host={}", server::USER, server.directory.display())
}

async fn run(url: &str, statements: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statements).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}
