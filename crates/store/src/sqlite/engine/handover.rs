//! Hands new deliveries over in the order of their commits.
//!
//! Whoever awaits a command may be woken later than the one behind it, or may have gone away. So it is the
//! writer that hands deliveries over, before it answers.

use std::sync::OnceLock;

use switchboard_model::{Sandbox, delivery::DueDelivery};
use tokio::sync::mpsc::UnboundedSender;

use crate::{Committed, Received};

/// Who gets new deliveries, if anybody has asked for them.
#[derive(Default)]
pub(in crate::sqlite) struct Handover(OnceLock<UnboundedSender<Vec<DueDelivery>>>);

/// What a transaction answers that may make something known.
pub(in crate::sqlite) trait MakesKnown: Send + 'static {
    fn committed(&mut self) -> &mut Committed;
}

impl Handover {
    /// The first who asks gets them.
    pub(in crate::sqlite) fn to(&self, receiver: UnboundedSender<Vec<DueDelivery>>) {
        let _ = self.0.set(receiver);
    }

    /// What is to be done with what a transaction has made known.
    pub(in crate::sqlite) fn hand<T: MakesKnown>(&self) -> impl FnOnce(&mut T) + use<T> {
        let receiver = self.0.get().cloned();
        move |made| {
            let Some(receiver) = receiver else { return };
            let deliveries = std::mem::take(&mut made.committed().deliveries);
            if !deliveries.is_empty() {
                // A receiver that is gone leaves them to the end of their lease.
                let _ = receiver.send(deliveries);
            }
        }
    }
}

impl MakesKnown for Committed {
    fn committed(&mut self) -> &mut Committed {
        self
    }
}

impl MakesKnown for Received {
    fn committed(&mut self) -> &mut Committed {
        &mut self.committed
    }
}

impl MakesKnown for (Sandbox, Committed) {
    fn committed(&mut self) -> &mut Committed {
        &mut self.1
    }
}
