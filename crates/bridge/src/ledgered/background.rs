//! What a driver with a ledger does by itself: it observes, looks into what is unknown, and tells how its lines are.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::FutureExt as _;
use switchboard_model::{causes::chain, link::Outcome};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use super::Ledgered;
use crate::{
    connector::{Connector, Context, Verdict},
    ledger::now,
};

/// How often unknown outcomes are looked for that are to be looked into.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the ledger is rid of what is long over.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whether the ledger can be written, while it can.
const STORAGE_EVERY: Duration = Duration::from_secs(30);
/// The pause before a connector that ended is run again.
const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// Keeps the connector running.
pub(super) async fn observe<C: Connector>(driver: Weak<Ledgered<C>>) {
    loop {
        let Some(strong) = driver.upgrade() else { return };
        let (ledger, lines) = (strong.ledger.clone(), strong.lines.subscribe());
        let context = Context::new(ledger, lines, strong.history_since);
        let connector = Arc::clone(&strong.connector);
        drop(strong);
        let run = AssertUnwindSafe(connector.run(context));
        if run.catch_unwind().await.is_err() {
            error!("what observes Messages panicked; it begins anew");
        }
        sleep(RESTART_PAUSE).await;
    }
}

/// Looks again and again into what is unknown.
pub(super) async fn look_into<C: Connector>(driver: Weak<Ledgered<C>>) {
    let mut pruned = Instant::now();
    loop {
        sleep(LOOK_EVERY).await;
        let Some(driver) = driver.upgrade() else { return };
        if pruned.elapsed() > PRUNE_EVERY {
            pruned = Instant::now();
            if let Err(error) = driver.ledger.prune(now()).await {
                warn!(
                    error = chain(&error),
                    "what is long over could not be removed from the ledger"
                );
            }
        }
        driver.finish_late().await;
        let open = match driver.ledger.to_look_into(now()).await {
            Ok(open) => open,
            Err(error) => {
                warn!(error = chain(&error), "what is unknown can't be looked into");
                continue;
            }
        };
        for begun in open {
            let found = match driver.find_out(&begun).await {
                Verdict::Finished(outcome) => Some(outcome),
                Verdict::NeverStarted => {
                    match driver.ledger.was_cut_off(&begun, now()).await {
                        // The server asks for it, or has given it up by itself.
                        Ok(true) => continue,
                        // It has been told that nobody knows, and sends it no more: it failed.
                        Ok(false) => {
                            Some(Outcome::Failed { error: "It never reached Messages.".to_owned() })
                        }
                        Err(error) => {
                            warn!(
                                error = chain(&error),
                                "what turned out later could not be written down"
                            );
                            continue;
                        }
                    }
                }
                Verdict::Open => None,
            };
            if let Err(error) = driver.ledger.looked_into(&begun, found, now()).await {
                warn!(error = chain(&error), "what turned out later could not be written down");
            }
        }
    }
}

/// Tells the link of each change.
pub(super) async fn follow_health<C: Connector>(driver: Weak<Ledgered<C>>) {
    let Some(mut health) = driver.upgrade().map(|driver| driver.connector.health()) else { return };
    while health.changed().await.is_ok() {
        let Some(driver) = driver.upgrade() else { return };
        driver.tell_statuses();
    }
}

/// Looks whether the ledger can be written, often while it can't, and tells the link of each change.
pub(super) async fn follow_storage<C: Connector>(driver: Weak<Ledgered<C>>) {
    let Some(mut failing) = driver.upgrade().map(|driver| driver.ledger.failing()) else { return };
    loop {
        let pause = match *failing.borrow_and_update() {
            true => LOOK_EVERY,
            false => STORAGE_EVERY,
        };
        // What changes from now on wakes it again.
        match driver.upgrade() {
            Some(driver) => driver.tell_statuses(),
            None => return,
        }
        if timeout(pause, failing.changed()).await.is_err() {
            let Some(driver) = driver.upgrade() else { return };
            driver.ledger.try_storage().await;
        }
    }
}
