//! What is asked of a bridge before it is given anything: the outcome of what it was handed before, page by page. All of
//! it in one frame, and the answer to it, could be larger than either side reads: a bridge may carry any number of lines.

use switchboard_model::{
    OutboxItem,
    id::Id,
    link::{ClaimEpochs, MAX_BATCH, ServerFrame},
};
use switchboard_store::Claim;

use super::{Session, lock};

/// The items that are asked for.
#[derive(Default)]
pub(super) struct Asked {
    /// Those that the bridge has to answer now.
    pub(super) now: Vec<Id<OutboxItem>>,
    /// The pages after them, the next one last.
    pub(super) later: Vec<Page>,
}

/// Items of one frame.
#[derive(Clone, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Id<OutboxItem>>,
    /// The epochs of the links that claimed them.
    pub(super) claimed: ClaimEpochs,
}

impl Asked {
    /// All of these, and the page for the welcome.
    pub(super) fn of(claims: &[Claim]) -> (Self, Page) {
        let page = |claims: &[Claim]| Page {
            items: claims.iter().map(|claim| claim.item.id).collect(),
            claimed: claims.iter().map(|claim| (claim.item.id, claim.epoch)).collect(),
        };
        let mut later: Vec<_> = claims.chunks(MAX_BATCH).rev().map(page).collect();
        let now = later.pop().unwrap_or_default();
        (Self { now: now.items.clone(), later }, now)
    }
}

impl Session<'_> {
    /// A page is answered and committed: asks for the next, or lets items be handed out.
    pub(super) async fn go_on_reconciling(&self) -> Result<(), ()> {
        let next = {
            let mut asked = lock(&self.asked);
            let next = asked.later.pop();
            asked.now = next.as_ref().map_or_else(Vec::new, |page| page.items.clone());
            next
        };
        if let Some(Page { items, claimed }) = next {
            self.send(ServerFrame::Reconcile { items, claimed }).await?;
        }
        self.to_reconcile.send_modify(|pages| *pages = pages.saturating_sub(1));
        Ok(())
    }
}
