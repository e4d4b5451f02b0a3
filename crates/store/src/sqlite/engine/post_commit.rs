//! The post-commit hook: tells the delivery engine of new deliveries in the order of their commits.
//!
//! Whoever awaits a command may be woken later than the one behind it, or may have gone away. So the writer
//! itself calls the hook, before it answers.

use std::sync::{Arc, OnceLock};

use switchboard_model::{Sandbox, delivery::DueDelivery};

use crate::{Committed, DeliverySink, Received};

/// Who is told of new deliveries, if anybody has asked for it.
#[derive(Default)]
pub(in crate::sqlite) struct PostCommit(OnceLock<Arc<dyn DeliverySink>>);

/// What a transaction answers that may make something known.
pub(in crate::sqlite) trait Publishes: Send + 'static {
    fn committed(&mut self) -> &mut Committed;
}

impl PostCommit {
    /// The first who asks is told.
    pub(in crate::sqlite) fn to(&self, sink: Arc<dyn DeliverySink>) {
        let _ = self.0.set(sink);
    }

    /// What is to be done with what a transaction has made known.
    pub(in crate::sqlite) fn publish<T: Publishes>(&self) -> impl FnOnce(&mut T) + use<T> {
        let sink = self.0.get().cloned();
        move |made| {
            let Some(sink) = sink else { return };
            let deliveries: Vec<DueDelivery> = std::mem::take(&mut made.committed().deliveries);
            if !deliveries.is_empty() {
                sink.committed(deliveries);
            }
        }
    }
}

impl Publishes for Committed {
    fn committed(&mut self) -> &mut Committed {
        self
    }
}

impl Publishes for Received {
    fn committed(&mut self) -> &mut Committed {
        &mut self.committed
    }
}

impl Publishes for (Sandbox, Committed) {
    fn committed(&mut self) -> &mut Committed {
        &mut self.1
    }
}
