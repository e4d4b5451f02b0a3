//! What is asked of a bridge before it is given anything: the outcome of what it was handed before, page by page. All of
//! it in one frame, and the answer to it, could be larger than either side reads: a bridge may carry any number of lines.

use switchboard_model::{
    OutboxItem,
    id::Id,
    link::{MAX_BATCH, ServerFrame},
};

use super::{Session, lock};

/// The items that are asked for.
#[derive(Default)]
pub(super) struct Asked {
    /// Those that the bridge has to answer now.
    pub(super) now: Vec<Id<OutboxItem>>,
    /// The pages after them, the next one last.
    pub(super) later: Vec<Vec<Id<OutboxItem>>>,
}

impl Asked {
    /// All of these, and the page for the welcome.
    pub(super) fn of(items: &[Id<OutboxItem>]) -> (Self, Vec<Id<OutboxItem>>) {
        let mut later: Vec<_> = items.chunks(MAX_BATCH).rev().map(<[_]>::to_vec).collect();
        let now = later.pop().unwrap_or_default();
        (Self { now: now.clone(), later }, now)
    }
}

impl Session<'_> {
    /// A page is answered and committed: asks for the next, or lets items be handed out.
    pub(super) async fn go_on_reconciling(&self) -> Result<(), ()> {
        let next = {
            let mut asked = lock(&self.asked);
            let next = asked.later.pop();
            asked.now = next.clone().unwrap_or_default();
            next
        };
        if let Some(items) = next {
            self.send(ServerFrame::Reconcile { items }).await?;
        }
        self.to_reconcile.send_modify(|pages| *pages = pages.saturating_sub(1));
        Ok(())
    }
}
