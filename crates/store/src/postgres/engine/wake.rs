//! Tells observers of commits, in this process and in all others that have the database.
//!
//! Events and deliveries are told of once they can be read: when no transaction is running any more that might still put
//! one before them. Notifications only wake. One may be lost with its connection: then all is looked at.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool_postgres::Pool;
use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    connection::{Connection, Listener, Notices},
    notice::{self, Notice},
    statement::{self, Params},
};
use crate::{News, Result, base::post_commit::PostCommit};

/// How soon it is asked again whether what is committed can be read; each time twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// The least time between two notifications: what is committed meanwhile is told by one.
const BETWEEN: Duration = Duration::from_millis(2);
/// How soon the connection that listens is made again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// Wakes those who wait.
pub(in crate::postgres) struct Wake {
    queue: Arc<Queue>,
    tasks: AbortOnDropHandle<()>,
}

/// What is to be told.
#[derive(Default)]
pub(in crate::postgres) struct Queue {
    told: Mutex<Told>,
    more: Notify,
}

#[derive(Default)]
struct Told {
    /// The last place that was committed here.
    place: i64,
    news: News,
}

impl Queue {
    /// A transaction was committed that is news, and that made its last event or delivery at this place.
    pub(in crate::postgres) fn committed(&self, place: i64, news: News) {
        if news.is_empty() {
            return;
        }
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.place = told.place.max(place);
            told.news.add(news);
        }
        self.more.notify_one();
    }

    async fn take(&self) -> Told {
        loop {
            let told =
                std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
            if !told.news.is_empty() {
                return told;
            }
            self.more.notified().await;
        }
    }
}

impl Wake {
    pub(in crate::postgres) fn start(
        pool: Pool,
        listener: Listener,
        notices: Notices,
        observers: PostCommit,
    ) -> Self {
        let queue = Arc::<Queue>::default();
        let node = notice::node();
        let (telling, own) = (Arc::clone(&queue), observers.clone());
        let tasks = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(tell(telling, pool, own, node));
            tasks.spawn(listen(listener, notices, observers, node));
            while tasks.join_next().await.is_some() {}
        });
        Self { queue, tasks: AbortOnDropHandle::new(tasks) }
    }

    pub(in crate::postgres) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    pub(in crate::postgres) fn end(&self) {
        self.tasks.abort();
    }
}

async fn tell(queue: Arc<Queue>, pool: Pool, observers: PostCommit, node: u64) {
    loop {
        let Told { place, news } = queue.take().await;
        let mut pause = FIRST_PAUSE;
        // Without the store nobody can read: whoever would be told finds out by himself.
        while matches!(horizon(&pool).await, Ok(horizon) if horizon <= place) {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let own = News {
            events: news.events.clone(),
            deliveries: news.deliveries.clone(),
            ..News::default()
        };
        if !own.is_empty() {
            observers.news(own);
        }
        let notice = Notice::new(node, news).to_text();
        if let Err(error) = notify(&pool, &notice).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "others could not be notified"
            );
        }
        sleep(BETWEEN).await;
    }
}

async fn horizon(pool: &Pool) -> Result<i64> {
    let sql = Connection::of(pool).await?;
    let horizon = statement::first(&sql, "select horizon()", &[], |row| row.try_get(0)).await?;
    Ok(horizon.unwrap_or(0))
}

/// Nothing is lost with a notification that is lost with the server: its commit need not wait for the disk.
async fn notify(pool: &Pool, notice: &str) -> Result<()> {
    let sql = Connection::of(pool).await?;
    sql.begins();
    let text = "select pg_notify($1, $2)";
    let told: Params<'_> = &[&notice::CHANNEL, &notice];
    let (begun, told) = tokio::join!(
        sql.batch_execute("begin; set local synchronous_commit = off"),
        statement::run(&sql, text, told),
    );
    begun?;
    told?;
    sql.batch_execute("commit").await?;
    sql.ended();
    Ok(())
}

/// Hears what others tell, until this is dropped.
async fn listen(listener: Listener, mut notices: Notices, observers: PostCommit, node: u64) {
    loop {
        while let Some(text) = notices.next().await {
            match Notice::parse(&text) {
                Some(notice) if notice.node == node => {}
                Some(Notice { news: Some(news), .. }) => observers.news(news),
                _ => observers.foreign_commit(),
            }
        }
        tracing::warn!("the connection that hears of other nodes was lost; it is made again");
        notices = again(&listener).await;
        // What was told meanwhile may have been anything.
        observers.foreign_commit();
    }
}

async fn again(listener: &Listener) -> Notices {
    loop {
        match listener.listen().await {
            Ok(notices) => return notices,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "the connection that hears of other nodes can't be made");
            }
        }
        sleep(LISTEN_AGAIN).await;
    }
}
