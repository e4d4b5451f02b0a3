//! What happens by itself: items whose time is over, events that are old, counts that are kept.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, TryStreamExt as _, future::BoxFuture};
use switchboard_model::{
    File, Replay, Timestamp, file::UNREFERENCED_MS, id::Id, idempotency::REMEMBERED_MS,
    outbox::EXPIRY_MS, time::Clock,
};
use switchboard_store::{Cutoff, EventPosition, Pruned, Store, StoreError, TakeOver};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::ServerClock, deliver::Deliver, files::FileBytes, hub::Hub, limiter::Limiter,
    link::Links, metrics::Metrics, outage, publish::Publisher, supervise::Supervisor,
};

/// How often items whose time is over are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// How often lines are looked for that their standby should take over.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(2);
/// How often old events are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How often replays, and deliveries of disabled webhooks, are looked for unasked.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Replays that are led on before the store is asked again which run.
const REPLAYS: usize = 16;
/// Events that one batch of a replay looks at.
const REPLAY_BATCH: usize = 200;
/// How often bytes that no file has are looked for, and how old they are then: whoever wrote them is done with
/// them, in this process or in the one before it.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
const SWEPT_AFTER: Duration = Duration::from_secs(3600);
/// How often it is saved where the clocks stand. After a reboot so much more may seem to have passed.
const SAVE_CLOCK_EVERY: Duration = Duration::from_secs(60);
/// Rows of one such transaction: the writer must not be held for long.
const BATCH: usize = 500;

/// What they need of the server.
pub(crate) struct Jobs {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) files: Arc<FileBytes>,
    pub(crate) deliver: Arc<Deliver>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) metrics: Arc<Metrics>,
    /// How long a claim holds.
    pub(crate) claim_lease: Duration,
    pub(crate) links: Arc<Links>,
    /// How long a line's bridge may be away before its standby takes the line over.
    pub(crate) standby_after: Duration,
    /// How long events are kept.
    pub(crate) event_retention: Duration,
}

/// Starts all of them. One that panics is begun anew.
pub(crate) fn start(all: Jobs, supervisor: &Supervisor, stop: &CancellationToken) {
    type Job = fn(Arc<Jobs>, CancellationToken) -> BoxFuture<'static, ()>;
    let jobs: [(&'static str, Job); 10] = [
        ("expire items", |jobs, stop| expire(jobs, stop).boxed()),
        ("take lines over", |jobs, stop| take_over(jobs, stop).boxed()),
        ("prune", |jobs, stop| prune(jobs, stop).boxed()),
        ("expire typing indicators", |jobs, stop| expire_typing(jobs, stop).boxed()),
        ("forget files", |jobs, stop| forget_files(jobs, stop).boxed()),
        ("replays", |jobs, stop| replay(jobs, stop).boxed()),
        ("give up deliveries", |jobs, stop| give_up(jobs, stop).boxed()),
        ("sweep files", |jobs, stop| sweep_files(jobs, stop).boxed()),
        ("keep usage", |jobs, stop| keep_usage(jobs, stop).boxed()),
        ("keep the clock", |jobs, stop| keep_clock(jobs, stop).boxed()),
    ];
    let all = Arc::new(all);
    for (name, job) in jobs {
        let (all, ended) = (Arc::clone(&all), stop.clone());
        supervisor.restart(name, stop, move || job(Arc::clone(&all), ended.clone()));
    }
}

/// Fails claims past their lease and items past their day.
async fn expire(jobs: Arc<Jobs>, stop: CancellationToken) {
    // While the store is out no link can hold its claims: they get one lease more before any is failed.
    let mut was_out = false;
    while wait(&jobs, EXPIRE_EVERY, &stop).await {
        loop {
            let now = jobs.clock.both();
            if was_out {
                let until = now.steady + jobs.claim_lease;
                if let Err(error) = jobs.store.renew_all_claims(until).await {
                    outage::report(&error, "claims could not be held over an outage");
                    break;
                }
                was_out = false;
            }
            match jobs.store.expire(now, BATCH).await {
                Ok(committed) => {
                    let more = committed.events.len() >= BATCH;
                    jobs.publisher.publish(committed);
                    if !more {
                        break;
                    }
                }
                Err(error) => {
                    was_out = true;
                    outage::report(&error, "expired items could not be failed");
                    break;
                }
            }
        }
    }
}

/// Lets standbys take over the lines whose bridge has been away for too long.
async fn take_over(jobs: Arc<Jobs>, stop: CancellationToken) {
    while wait(&jobs, TAKE_OVER_EVERY, &stop).await {
        let now = jobs.clock.both();
        let due = match jobs.store.to_take_over(now, jobs.standby_after).await {
            Ok(due) => due,
            Err(error) => {
                outage::report(&error, "the lines of bridges that are away could not be read");
                continue;
            }
        };
        for TakeOver { line, from, to } in due {
            match jobs.store.take_over(TakeOver { line, from, to }, now.wall).await {
                Ok(Some(committed)) => {
                    tracing::warn!(%line, %from, %to, "a standby has taken a line over");
                    jobs.publisher.publish(committed);
                    jobs.links.refresh();
                }
                // The operator was faster.
                Ok(None) => {}
                Err(error) => {
                    outage::report(&error, "a line could not be taken over");
                    break;
                }
            }
        }
    }
}

/// From when on it must be known which events and outbox items there were: from the oldest that may be asked for.
pub(crate) fn oldest_mark(clock: &dyn Clock, event_retention: Duration) -> Timestamp {
    let expiry = Duration::from_millis(EXPIRY_MS);
    clock.retention() - event_retention.max(expiry)
}

/// Forgets events and replays past their retention, and secrets that are not valid any more.
async fn prune(jobs: Arc<Jobs>, stop: CancellationToken) {
    while wait(&jobs, PRUNE_EVERY, &stop).await {
        let (wall, now) = (jobs.clock.now(), jobs.clock.retention());
        if let Err(error) = jobs
            .store
            .mark(jobs.clock.steady(), oldest_mark(&*jobs.clock, jobs.event_retention))
            .await
        {
            outage::report(&error, "the age of events could not be noted");
        }
        let keep = jobs.event_retention;
        prune_events(&jobs, Cutoff { wall: wall - keep, steady: now - keep }).await;
        let replays = || jobs.store.prune_replays(now - keep, BATCH);
        in_batches("old replays could not be forgotten", replays).await;
        if let Err(error) = jobs.store.forget_line_days(wall).await {
            outage::report(&error, "old days of lines could not be forgotten");
        }
        let secrets = || jobs.store.forget_secrets(now, BATCH);
        in_batches("old secrets could not be forgotten", secrets).await;
    }
}

async fn prune_events(jobs: &Jobs, before: Cutoff) {
    let mut after = EventPosition::START;
    loop {
        match jobs.store.prune_events(before, after, BATCH).await {
            Ok(Pruned { next: Some(next), .. }) => after = next,
            Ok(Pruned { next: None, .. }) => break,
            Err(error) => {
                outage::report(&error, "old events could not be forgotten");
                break;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Does something until one time does less than a batch.
async fn in_batches<T>(failure: &str, batch: impl Fn() -> T)
where
    T: Future<Output = Result<usize, StoreError>>,
{
    loop {
        match batch().await {
            Ok(done) if done < BATCH => break,
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => {
                outage::report(&error, failure);
                break;
            }
        }
    }
}

/// Turns off typing indicators that were not renewed.
async fn expire_typing(jobs: Arc<Jobs>, stop: CancellationToken) {
    while wait(&jobs, EXPIRE_EVERY, &stop).await {
        let now = jobs.clock.both();
        match jobs.store.expire_typing(now.wall, BATCH).await {
            Ok(committed) => jobs.publisher.publish(committed),
            Err(error) => {
                outage::report(&error, "typing indicators could not be turned off");
            }
        }
    }
}

/// Forgets files that nothing refers to, or no more, and answers that need not be remembered any more.
async fn forget_files(jobs: Arc<Jobs>, stop: CancellationToken) {
    while wait(&jobs, PRUNE_EVERY, &stop).await {
        let now = jobs.clock.retention();
        let forgetting = async {
            let before = now - Duration::from_millis(UNREFERENCED_MS);
            forget_in_batches(&jobs, || jobs.store.forget_files(before, BATCH)).await;
            // Events tell of them for so long.
            let before = now - jobs.event_retention;
            forget_in_batches(&jobs, || jobs.store.forget_left_files(now, before, BATCH)).await;
            let before = now - Duration::from_millis(REMEMBERED_MS);
            let answers = || jobs.store.forget_answers(before, BATCH);
            in_batches("answers could not be forgotten", answers).await;
        };
        stop.run_until_cancelled(forgetting).await;
    }
}

async fn forget_in_batches<T>(jobs: &Jobs, batch: impl Fn() -> T)
where
    T: Future<Output = Result<Vec<Id<File>>, StoreError>>,
{
    loop {
        match batch().await {
            Ok(files) => {
                for file in &files {
                    // The sweep tries again.
                    if let Err(error) = jobs.files.remove(*file).await {
                        let what = format!("a forgotten file could not be removed: {file}");
                        outage::report_files(&error, &what);
                    }
                }
                if files.len() < BATCH {
                    break;
                }
                tokio::task::yield_now().await;
            }
            Err(error) => {
                outage::report(&error, "files could not be forgotten");
                break;
            }
        }
    }
}

/// Leads replays on, one batch of each after another, however many there are; those that a stop has interrupted too.
async fn replay(jobs: Arc<Jobs>, stop: CancellationToken) {
    let mut last = None;
    while !stop.is_cancelled() {
        match advance_replays(&jobs, &mut last).await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => {
                tokio::select! {
                    () = jobs.hub.replays() => {}
                    () = jobs.clock.sleep(LOOK_EVERY) => {}
                    () = stop.cancelled() => {}
                }
            }
            Err(error) => {
                outage::report(&error, "replays could not be led on");
                wait(&jobs, EXPIRE_EVERY, &stop).await;
            }
        }
    }
}

/// Leads on those that come after the last, which one that fails is too: it must not keep the others.
/// Whether any was running.
async fn advance_replays(jobs: &Jobs, last: &mut Option<Id<Replay>>) -> Result<bool, StoreError> {
    let running = jobs.store.running_replays(*last, REPLAYS).await?;
    for replay in &running {
        *last = Some(*replay);
        let advanced = jobs.store.advance_replay(*replay, REPLAY_BATCH, jobs.clock.both()).await?;
        if let Some(replay) = advanced {
            jobs.deliver.came_to_store(replay.webhook_id);
        }
    }
    Ok(!running.is_empty())
}

/// Gives up what is still to be tried of webhooks that are disabled or deleted.
async fn give_up(jobs: Arc<Jobs>, stop: CancellationToken) {
    loop {
        loop {
            let (owned, under_way) = jobs.deliver.owned_and_under_way();
            match jobs.store.give_up_deliveries(jobs.clock.both(), owned, under_way, BATCH).await {
                Ok(given_up) => {
                    jobs.metrics.given_up(u64::try_from(given_up).unwrap_or(u64::MAX));
                    if given_up < BATCH {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    outage::report(&error, "deliveries that nobody gets could not be given up");
                    break;
                }
            }
        }
        tokio::select! {
            () = jobs.deliver.any_disabled() => {}
            // An attempt that was under way when its webhook was disabled may have failed since.
            () = jobs.clock.sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Removes bytes that no file has: a process that is killed between the one and the other leaves them.
async fn sweep_files(jobs: Arc<Jobs>, stop: CancellationToken) {
    if !jobs.files.is_own {
        return;
    }
    loop {
        match stop.run_until_cancelled(sweep(&jobs)).await {
            Some(Err(NotSwept::Store(error))) => outage::report(&error, NOT_SWEPT),
            Some(Err(NotSwept::Files(error))) => outage::report_files(&error, NOT_SWEPT),
            Some(Ok(0)) | None => {}
            Some(Ok(count)) => tracing::warn!(count, "bytes that no file has were swept away"),
        }
        if !wait(&jobs, SWEEP_EVERY, &stop).await {
            return;
        }
    }
}

const NOT_SWEPT: &str = "bytes that no file has could not be swept away";

/// Why they could not.
enum NotSwept {
    Store(StoreError),
    Files(object_store::Error),
}

/// Answers how many it removed.
async fn sweep(jobs: &Jobs) -> Result<usize, NotSwept> {
    let old = jobs.files.left_over(jobs.clock.now() - SWEPT_AFTER);
    let mut batches = std::pin::pin!(old.try_chunks(BATCH));
    let (mut count, mut failed) = (0, None);
    while let Some(ids) = batches.try_next().await.map_err(|error| NotSwept::Files(error.1))? {
        let known = jobs.store.known_files(ids.clone()).await.map_err(NotSwept::Store)?;
        let known: HashSet<_> = known.into_iter().collect();
        for id in ids.into_iter().filter(|id| !known.contains(id)) {
            // One that can't be removed must not keep the others.
            match jobs.files.remove(id).await {
                Ok(()) => count += 1,
                Err(error) => failed = Some(NotSwept::Files(error)),
            }
        }
    }
    failed.map_or(Ok(count), Err)
}

/// Writes down what keys have used of their hour; once more at the end.
async fn keep_usage(jobs: Arc<Jobs>, stop: CancellationToken) {
    loop {
        let going_on = tokio::select! {
            () = tokio::time::sleep(crate::limiter::FLUSH_PAUSE) => true,
            () = stop.cancelled() => false,
        };
        let usage = jobs.limiter.take_unsaved();
        if !usage.is_empty() {
            match jobs.store.add_usage(usage.clone()).await {
                Ok(kept) => jobs.limiter.saved(kept),
                Err(error) => {
                    // The next time, with what they have used by then.
                    jobs.limiter.put_back(usage);
                    outage::report(&error, "the use of keys could not be kept");
                }
            }
        }
        if !going_on {
            return;
        }
    }
}

/// Saves where the clocks stand, for the next process; once more at the end.
async fn keep_clock(jobs: Arc<Jobs>, stop: CancellationToken) {
    loop {
        let going_on = wait(&jobs, SAVE_CLOCK_EVERY, &stop).await;
        if let Err(error) = jobs.store.save_clock(jobs.clock.saved()).await {
            outage::report(&error, "the clock could not be saved");
        }
        if !going_on {
            return;
        }
    }
}

/// Waits; answers false when it is time to stop.
async fn wait(jobs: &Jobs, pause: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = jobs.clock.sleep(pause) => true,
        () = stop.cancelled() => false,
    }
}
