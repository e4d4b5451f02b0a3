//! PostgreSQL: one database, any number of processes.
//!
//! What is answered is on the server's disk. Each method that writes is one transaction on a connection of the pool, and
//! goes on when its caller has gone away. No promise rests on "nobody else writes": what is written of a line is written
//! under its lock (`Tx::lock_lines`), and places of events are such that no reader passes one that is committed late
//! (`horizon()` in the schema).

mod accounts;
mod bridges;
mod chats;
mod clocks;
mod context;
mod deliveries;
mod engine;
mod events;
mod files;
mod health;
mod idempotency;
mod inbox;
mod keys;
mod lines;
mod messages;
mod outbox;
mod reactions;
mod receipts;
mod replays;
mod sandbox;
mod secrets;
mod typing;
mod webhooks;

pub use self::engine::connection::without_password;

use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use self::engine::{
    connection::{self, Connection, Listener},
    migrations,
    transaction::{Transactions, Tx, Work},
    wake::Wake,
};
use crate::{
    Changed, Committed, News, Observer, Result, Store, StoreError,
    base::{
        post_commit::{PostCommit, Publishes},
        vitals::Vitals,
    },
};

/// The numbers that bound a [`PostgresStore`].
#[derive(Debug, Clone, Copy)]
pub struct PostgresOptions {
    /// Connections of this process, at most. Who waits longer than five seconds for one hears
    /// [`StoreError::Overloaded`].
    pub connections: usize,
    /// Whether other processes may have the database too. For tests, until all that several do is done: they are refused
    /// otherwise.
    pub is_shared: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: 16, is_shared: false }
    }
}

/// A [`Store`] in a PostgreSQL database.
pub struct PostgresStore {
    transactions: Transactions,
    post_commit: PostCommit,
    wake: Wake,
    /// Bytes of the database, when it was probed last.
    size: AtomicU64,
}

impl PostgresStore {
    /// Connects to the database of this URL and brings it to this version. Its secrets are encrypted with the key in
    /// `key_file`, which is made with the first schema: every process needs the same.
    ///
    /// # Errors
    /// [`StoreError::Open`] for a URL that can't be read; [`StoreError::Unavailable`] where the server can't be reached;
    /// [`StoreError::InUse`] at once if another process has it; [`StoreError::NewerSchema`], and nothing is changed; [`StoreError::SecretKey`] without the key that it is
    /// encrypted with.
    pub async fn connect(url: &str, key_file: &Path, options: PostgresOptions) -> Result<Self> {
        let config = connection::config(url)?;
        let pool = connection::pool(config.clone(), options)?;
        let listener = Listener::new(config, url, options.is_shared);
        let notices = listener.listen().await?;
        let sql = Connection::of(&pool).await?;
        migrations::apply(&sql, &connection::without_password(url)).await?;
        let seal = Arc::new(secrets::unlock(&sql, key_file).await?);
        let size = health::bytes(&sql).await?;
        let post_commit = PostCommit::default();
        let wake = Wake::start(pool.clone(), listener, notices, post_commit.clone());
        let vitals = Arc::new(Vitals::default());
        Ok(Self {
            transactions: Transactions { pool, seal, vitals },
            post_commit,
            wake,
            size: AtomicU64::new(size),
        })
    }

    /// A connection to read by. What one method reads by several statements is of several moments.
    async fn read(&self) -> Result<Connection> {
        Connection::of(&self.transactions.pool).await
    }

    /// Does this in a transaction.
    async fn write<T: Send + 'static>(&self, work: impl Work<T>) -> Result<T> {
        self.write_then(work, |_| {}).await
    }

    /// Does this in a transaction, and that after its commit; both to their end, even if nobody waits any more.
    async fn write_then<T: Send + 'static>(
        &self,
        work: impl Work<T>,
        then: impl FnOnce(&mut T) + Send + 'static,
    ) -> Result<T> {
        let transactions = self.transactions.clone();
        let task = tokio::spawn(async move {
            let mut done = transactions.run(&work).await?;
            then(&mut done);
            Ok(done)
        });
        match task.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Closed),
            },
        }
    }

    /// What is to be done with what a transaction has changed that is remembered here and elsewhere.
    fn changed<T, W, I>(&self, what: W) -> impl FnOnce(&mut T) + use<T, W, I>
    where
        W: FnOnce(&T) -> I,
        I: IntoIterator<Item = Changed>,
    {
        let (observers, wake) = (self.post_commit.clone(), self.wake.queue());
        move |made| {
            let changed: BTreeSet<_> = what(made).into_iter().collect();
            changed.iter().for_each(|changed| observers.tell_changed(*changed));
            let bridges = changed.iter().any(|changed| !matches!(changed, Changed::Key(_)));
            wake.committed(0, News { changed, bridges, ..News::default() });
        }
    }

    /// Does this in a transaction that may make something known; with what it has gathered ([`events::publish`]).
    async fn publish<T: Publishes>(&self, work: impl Work<T>) -> Result<T> {
        let (hook, wake) = (self.post_commit.publish_unordered(), self.wake.queue());
        let work = Arc::new(work);
        self.write_then(
            move |tx: &Tx| {
                let work = Arc::clone(&work);
                Box::pin(async move {
                    let mut made = work(tx).await?;
                    events::keep(tx, made.committed()).await?;
                    Ok(made)
                })
            },
            move |made| {
                let (place, news) = news_of(made.committed());
                hook(made);
                wake.committed(place, news);
            },
        )
        .await
    }
}

/// What others are to hear of a commit, and the last place at which it made something.
fn news_of(committed: &Committed) -> (i64, News) {
    let events = committed.events.iter();
    let deliveries = committed.deliveries.iter();
    let last = events.clone().map(|event| event.position.0);
    let place = last.chain(deliveries.clone().map(|delivery| delivery.seq)).max().unwrap_or(0);
    let news = News {
        events: events.map(|event| event.account_id).collect(),
        deliveries: deliveries.map(|delivery| delivery.webhook_id).collect(),
        items: committed.released.iter().copied().collect(),
        changed: committed.changed.into_iter().collect(),
        bridges: committed.changed.is_some(),
        ..News::default()
    };
    (place, news)
}

#[async_trait::async_trait]
impl Store for PostgresStore {
    fn observe(&self, observer: Arc<dyn Observer>) {
        self.post_commit.to(observer);
    }

    async fn close(&self) {
        self.wake.end();
        self.transactions.pool.close();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
