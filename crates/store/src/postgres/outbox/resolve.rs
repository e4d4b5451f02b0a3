//! What turns out later of items that failed because nobody knew what had come of them.

use switchboard_model::{
    Timestamp,
    link::{Outcome, Report},
};

use super::{
    batch::Held,
    settle::{SentAs, Settling},
};
use crate::{Committed, Link, Result, SettleReport, postgres::engine::transaction::Tx};

pub(super) async fn resolve(
    tx: &Tx,
    link: Link,
    reports: Vec<Report>,
    now: Timestamp,
) -> Result<Committed> {
    let report = |Report { id, outcome }| SettleReport { id, outcome, counts_as_attempt: false };
    let reports: Vec<_> = reports.into_iter().map(report).collect();
    let mut settling = Settling::begin(tx, link, &reports, now).await?;
    for SettleReport { id, outcome, .. } in reports {
        let Some(mut held) = settling.items.remove(&id) else { continue };
        settling.turned_out(&mut held, outcome).await?;
        settling.items.insert(id, held);
    }
    settling.batch.end().await
}

impl Settling<'_> {
    /// Takes what turned out of one item; nothing of an item whose fate is known.
    pub(super) async fn turned_out(&mut self, held: &mut Held, outcome: Outcome) -> Result<()> {
        let (item, bridge) = (&held.item, self.link.bridge);
        if !item.was_given_up() {
            return Ok(());
        }
        let line = self.batch.line_of(item)?;
        let was_sent = matches!(outcome, Outcome::Sent { .. });
        let is_open = item.status.resolve(item.error.as_deref(), was_sent).is_ok();
        // The bridge that it was handed to may be the line's standby by now.
        let is_of_line = [line.bridge_id, line.standby_bridge_id].contains(&Some(bridge));
        if !is_of_line || !is_open {
            tracing::debug!(item = %item.id, %bridge, "later truth came for an item whose fate is known");
            return Ok(());
        }
        match outcome {
            Outcome::Sent { guid, sent_at, service, delivered_at } => {
                self.sent(held, SentAs { guid, sent_at, service, delivered_at }).await
            }
            // Still nobody knows.
            Outcome::Failed { error } if item.error.as_ref() == Some(&error) => Ok(()),
            Outcome::Failed { error } => {
                let taken = item.taken();
                self.batch.fail(held, taken, &error).await
            }
            Outcome::Done { .. } | Outcome::Unknown | Outcome::Released => Ok(()),
        }
    }
}
