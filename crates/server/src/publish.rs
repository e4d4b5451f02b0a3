//! What a transaction has made known reaches those who wait for it.

use std::sync::Arc;

use switchboard_store::Committed;

use crate::{hub::Hub, metrics::Metrics, stream::Feeds};

/// Tells live streams, links and the figures what was committed. Webhooks hear of it from the store itself.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Publisher {
    /// Tells those who wait what a transaction has made known.
    pub(crate) fn publish(&self, committed: Committed) {
        for event in &committed.events {
            self.feeds.tell(event.account_id);
            self.metrics.messages.note(event);
        }
        for line in committed.released {
            self.hub.wake(line);
        }
    }
}
