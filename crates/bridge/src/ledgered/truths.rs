//! What turned out later of unknown outcomes, for the server.

use std::collections::HashSet;

use switchboard_model::{OutboxItem, causes::chain, id::Id, link::Report};
use tokio::time::sleep;
use tracing::warn;

use super::LEDGER_PAUSE;
use crate::ledger::Ledger;

/// Waits for some that are not among these.
pub(super) async fn of(ledger: &Ledger, told: &HashSet<Id<OutboxItem>>) -> Vec<Report> {
    let mut changes = ledger.later_truths();
    loop {
        changes.borrow_and_update();
        match ledger.later_truth().await {
            Ok(mut reports) => {
                reports.retain(|report| !told.contains(&report.id));
                if !reports.is_empty() {
                    return reports;
                }
            }
            Err(error) => {
                warn!(error = chain(&error), "what turned out later can't be read");
                // Nobody wakes for what could not be read.
                sleep(LEDGER_PAUSE).await;
                continue;
            }
        }
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use switchboard_model::link::Outcome;
    use tokio::time::timeout;

    use super::*;
    use crate::ledger::tests::{LATER, item, sent};

    #[tokio::test(start_paused = true)]
    async fn what_can_not_be_read_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let item = item("one");
        ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
        ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
        ledger.set_later_truth(item.id, "nonsense").await;
        let told = HashSet::new();
        let (truth, ()) =
            tokio::join!(timeout(Duration::from_secs(20), of(&ledger, &told)), async {
                // The clock stands still until it was read and waits.
                tokio::time::sleep(LEDGER_PAUSE / 4).await;
                ledger
                    .set_later_truth(item.id, &serde_json::to_string(&sent("g-1")).unwrap())
                    .await;
            });
        assert_eq!(truth.expect("it is read again")[0].outcome, sent("g-1"));
    }
}
