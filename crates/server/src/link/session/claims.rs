//! What a bridge is given to send: claimed first, then handed out, and held while the link lives.

use std::time::Duration;

use switchboard_model::{Line, id::Id, link::MAX_BATCH};
use switchboard_store::StoreError;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Session, once_available};
use crate::link::wire::{LinkEnd, send_frames};

/// How long a bridge has for its answer to a page of `reconcile`: it may have to ask Messages.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often all lines are looked at: a wake-up may be lost with the request that was to give it.
const CLAIM_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// Hands out items: claims are committed before the bridge hears of them.
    pub(super) async fn claim(&self) -> LinkEnd {
        let mut to_reconcile = self.to_reconcile.subscribe();
        while *to_reconcile.borrow_and_update() > 0 {
            let answered = timeout(RECONCILE_TIMEOUT, to_reconcile.changed()).await;
            if !answered.is_ok_and(|answered| answered.is_ok()) {
                // Claims of which nothing is known must not be held for ever by a link that says nothing.
                return LinkEnd::Lost("no answer to reconcile came");
            }
        }
        loop {
            let next = Instant::now() + CLAIM_AT_LEAST_EVERY;
            let mut lines = self.online.list();
            loop {
                for line in lines {
                    match self.claim_line(line).await {
                        Ok(true) => {}
                        // Once the others have had their turn.
                        Ok(false) => self.woken.wake([line]),
                        Err(ended) => return ended,
                    }
                }
                match timeout_at(next, self.woken.take()).await {
                    Ok(woken) if Instant::now() < next => {
                        lines = woken.into_iter().filter(|line| self.online.has(*line)).collect();
                    }
                    _ => break,
                }
            }
        }
    }

    /// Hands out one batch of a line's items. Answers whether that was all there is, or all there is room for.
    async fn claim_line(&self, line: Id<Line>) -> Result<bool, LinkEnd> {
        let (room, full_chats) = self.window().begin_claim(line);
        let limit = room.min(MAX_BATCH);
        if limit == 0 {
            return Ok(true);
        }
        let lease = self.server.clock.steady() + self.server.claim_lease;
        let items = once_available("items could not be claimed", || {
            self.server.store.claim(self.link, line, full_chats.clone(), limit, lease)
        })
        .await?;
        let all = items.len() < limit;
        {
            let mut window = self.window();
            items.iter().for_each(|item| window.add(item));
            if all && full_chats.is_empty() {
                window.nothing_held_back(line);
            }
        }
        for frame in send_frames(items) {
            self.send(frame).await.map_err(|()| LinkEnd::Closing("the link is ending"))?;
        }
        Ok(all)
    }

    /// While the link lives, so do its claims.
    pub(super) async fn hold_claims(&self) -> LinkEnd {
        let lease = self.server.claim_lease;
        loop {
            self.server.clock.sleep(lease / 3).await;
            if let Err(error) = self.extend_claims().await {
                return error.into();
            }
        }
    }

    /// Holds what it has claimed for longer, if it is still the bridge's newest link.
    pub(super) async fn extend_claims(&self) -> Result<(), StoreError> {
        once_available("the claims of a bridge could not be extended", || {
            let until = self.server.clock.steady() + self.server.claim_lease;
            self.server.store.extend_claims(self.link, until)
        })
        .await
    }
}
