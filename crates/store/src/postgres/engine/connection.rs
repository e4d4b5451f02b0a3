//! Connections: how they are set, how many there are, and that one goes back only as it came.

use std::{
    future::poll_fn,
    ops::Deref,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::{
    sync::{Mutex, MutexGuard, mpsc},
    time::sleep,
};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};
use tokio_util::task::AbortOnDropHandle;

use super::notice::CHANNEL;
use crate::{Outage, Result, StoreError, postgres::PostgresOptions};

/// What statements run on.
pub(in crate::postgres) type Sql = Connection;

/// How long a caller waits for a connection that is free.
const WAIT: Duration = Duration::from_secs(5);
/// How long a new connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// No statement runs longer, none waits longer for a lock, and no transaction stands still longer: what holds a lock
/// lets go of it, and so does a node that is cut off.
const SETTINGS: &str =
    "-c statement_timeout=30s -c lock_timeout=5s -c idle_in_transaction_session_timeout=15s";

/// How this database is reached.
pub(in crate::postgres) fn config(url: &str) -> Result<Config> {
    let mut config: Config = url.parse().map_err(|error| cannot_open(url, error))?;
    config.application_name("switchboard").connect_timeout(CONNECT);
    let settings = match config.get_options() {
        Some(given) => format!("{SETTINGS} {given}"),
        None => SETTINGS.to_owned(),
    };
    config.options(settings);
    Ok(config)
}

/// The connections to this database.
pub(in crate::postgres) fn pool(config: Config, options: PostgresOptions) -> Result<Pool> {
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(config, NoTls, manager))
        .max_size(options.connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(CONNECT))
        .build()
        .map_err(|error| StoreError::Database(Box::new(error)))
}

/// A connection of its own, which hears notifications.
pub(in crate::postgres) struct Listener {
    config: Config,
    database: String,
    is_shared: bool,
}

/// How often it is asked whether another process has the database, and how long after each time: the server needs a
/// moment to see that one has ended.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// A process that has the database to itself holds this as long as it listens.
const ALONE: i64 = 0x0061_6c6f_6e65;

/// The notifications of one connection.
pub(in crate::postgres) struct Notices {
    _client: Client,
    heard: mpsc::UnboundedReceiver<String>,
    _reading: AbortOnDropHandle<()>,
}

impl Listener {
    pub(in crate::postgres) fn new(config: Config, url: &str, is_shared: bool) -> Self {
        Self { config, database: without_password(url), is_shared }
    }

    /// Listens from when this returns.
    pub(in crate::postgres) async fn listen(&self) -> Result<Notices> {
        let (client, mut connection) = self.config.connect(NoTls).await?;
        let (hear, heard) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notification(notice)) => {
                        if hear.send(notice.payload().to_owned()).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        let reading = AbortOnDropHandle::new(reading);
        let lock = match self.is_shared {
            true => "select pg_try_advisory_lock_shared($1)",
            false => "select pg_try_advisory_lock($1)",
        };
        let mut tries = 1;
        while !client.query_one(lock, &[&ALONE]).await?.try_get::<_, bool>(0)? {
            if tries == LOCK_TRIES {
                return Err(StoreError::InUse { path: self.database.clone() });
            }
            tries += 1;
            sleep(LOCK_PAUSE).await;
        }
        client.batch_execute(&format!("listen {CHANNEL}")).await?;
        Ok(Notices { _client: client, heard, _reading: reading })
    }
}

impl Notices {
    /// None once the connection is lost.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.heard.recv().await
    }
}

/// Names the database without its password.
pub(super) fn cannot_open(url: &str, error: tokio_postgres::Error) -> StoreError {
    StoreError::Open { path: without_password(url), source: Box::new(error) }
}

/// The URL of a database as it may be shown: without its password, and without its settings, which may have one too.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(settings)".to_owned() };
    let (place, settings) = rest.split_once('?').unwrap_or((rest, ""));
    match place.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        // Perhaps the mark is one of the password's own.
        None if settings.contains('@') => {
            format!("{scheme}://{}", place.split(':').next().unwrap_or_default())
        }
        None => format!("{scheme}://{place}"),
    }
}

/// One connection of the pool, for as long as it is needed.
pub(in crate::postgres) struct Connection {
    object: Option<Object>,
    /// Whether a transaction may be open on it.
    is_open: AtomicBool,
    /// Whose turn it is to send a statement: first come, first served.
    turns: Mutex<()>,
}

impl Connection {
    pub(in crate::postgres) async fn of(pool: &Pool) -> Result<Self> {
        let object = pool.get().await.map_err(no_connection)?;
        Ok(Self { object: Some(object), is_open: AtomicBool::new(false), turns: Mutex::new(()) })
    }

    /// Waits until a statement may be sent.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turns.lock().await
    }

    /// From here to its end, all that is read is of one moment.
    pub(in crate::postgres) async fn begin_snapshot(&self) -> Result<()> {
        self.begins();
        self.batch_execute("begin isolation level repeatable read read only").await?;
        Ok(())
    }

    pub(in crate::postgres) async fn end_snapshot(&self) -> Result<()> {
        self.batch_execute("commit").await?;
        self.ended();
        Ok(())
    }

    /// From here to its end, nobody else may have it.
    pub(super) fn begins(&self) {
        self.is_open.store(true, Relaxed);
    }

    /// The transaction has ended.
    pub(super) fn ended(&self) {
        self.is_open.store(false, Relaxed);
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.object.as_ref().expect("it is taken when it is dropped")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // With the connection its transaction ends, and what it holds.
        if let Some(object) = self.object.take()
            && self.is_open.load(Relaxed)
        {
            drop(Object::take(object));
        }
    }
}

fn no_connection(error: PoolError) -> StoreError {
    match error {
        PoolError::Closed => StoreError::Closed,
        PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => StoreError::Overloaded,
        PoolError::Backend(error) if error.as_db_error().is_some() => error.into(),
        error => StoreError::Unavailable { outage: Outage::Unreachable, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_told() {
        for (url, told) in [
            ("postgres://me:se@cret@db:5432/x", "postgres://me@db:5432/x"),
            ("postgres://me@db/x", "postgres://me@db/x"),
            ("postgres:///x?user=me&password=secret", "postgres:///x"),
            ("postgres://me:sec?ret@db/x", "postgres://me"),
            ("postgres://db:5432/x?user=me&password=s@e", "postgres://db"),
            ("host=db password=secret", "(settings)"),
        ] {
            assert_eq!(without_password(url), told);
        }
    }
}
