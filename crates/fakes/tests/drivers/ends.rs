//! What became of all that was accepted, whoever died meanwhile.

use std::{fmt, time::Duration};

use switchboard_model::{
    OutboxItem,
    id::Id,
    outbox::{ATTEMPTS_USED_UP, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use tokio::time::{Instant, sleep};

use crate::rig::{Rig, Serves};

/// How long the truth of what was unknown may take to turn up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause before an item is looked at again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What was accepted: the item, to whom, what it says.
pub(crate) type Accepted = (Id<OutboxItem>, String, String);

/// What is on the phone is sent, and there once; what is not has failed, for a reason that is true.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) sent: Vec<Id<OutboxItem>>,
    /// Those of them that had failed as unknown before it turned out.
    turned_up: usize,
    unknown: usize,
    /// What carries the line died before each attempt.
    never_begun: usize,
}

impl Ends {
    /// Waits for all of them. `shows` tells how often somebody's phone shows a text.
    pub(crate) async fn of<C, S: Serves>(
        rig: &Rig<C, S>,
        accepted: &[Accepted],
        shows: impl Fn(&str, &str) -> usize,
    ) -> Self {
        let mut ends = Self::default();
        let until = Instant::now() + PATIENCE;
        for (id, person, text) in accepted {
            let mut is_late = false;
            loop {
                let item = rig.ended(*id).await;
                match (item.status, shows(person, text)) {
                    (OutboxStatus::Sent, 1) => {
                        ends.sent.push(*id);
                        ends.turned_up += usize::from(is_late);
                        break;
                    }
                    (OutboxStatus::Failed, 0) => {
                        match item.error.as_deref() {
                            Some(MAY_HAVE_BEEN_HANDED_OVER) => ends.unknown += 1,
                            Some(ATTEMPTS_USED_UP) => ends.never_begun += 1,
                            other => panic!("{text}: {other:?}"),
                        }
                        break;
                    }
                    // It is on the phone, and that will turn up.
                    (OutboxStatus::Failed, 1) if Instant::now() < until => is_late = true,
                    (status, times) => panic!("{text}: {status:?}, and {times} times on the phone"),
                }
                sleep(AGAIN_AFTER).await;
            }
        }
        ends
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, turned_up, unknown, never_begun } = self;
        write!(
            f,
            "{} sent ({turned_up} turned up late), {unknown} unknown, {never_begun} never begun",
            sent.len()
        )
    }
}
