//! What a bridge says of its lines: up or down, and what they can do.

use std::{collections::HashSet, sync::Arc};

use switchboard_model::{
    Line,
    id::Id,
    line::{Capability, OfflineReason},
};
use switchboard_store::StoreError;

use super::{Session, lock, once_available};
use crate::{outage, uncancelled::spawn_uncancelled};

impl Session<'_> {
    /// A line went up or down, for this reason, or can do something else now.
    pub(super) async fn line(
        &self,
        line: Id<Line>,
        (online, reason): (bool, Option<OfflineReason>),
        mut capabilities: Vec<Capability>,
    ) -> Result<(), StoreError> {
        if !lock(&self.carried).contains(&line) {
            // It may have been given to another bridge, which is the one to speak of it now.
            tracing::warn!(bridge = %self.bridge.id, %line, "a bridge tells of a line that it does not carry");
            return Ok(());
        }
        let mut seen = HashSet::new();
        capabilities.retain(|one| seen.insert(*one));
        let known = lock(&self.capabilities).insert(line, capabilities.clone());
        if known.as_ref() != Some(&capabilities) {
            once_available("what a line can do could not be written down", || {
                let (server, link) = (Arc::clone(self.server), self.link);
                let capabilities = capabilities.clone();
                spawn_uncancelled(async move {
                    server.store.set_capabilities(link, line, capabilities).await.map(|_| ())
                })
            })
            .await?;
        }
        if self.online.set(line, online, reason) {
            tracing::info!(%line, online, reason = reason.map(OfflineReason::as_str), "line status");
            let announce = || self.announce(line, online, reason);
            once_available("line.status could not be made known", announce).await?;
        }
        if online {
            self.woken.wake([line]);
        }
        Ok(())
    }

    /// Makes known that a line went up or down.
    async fn announce(
        &self,
        line: Id<Line>,
        online: bool,
        reason: Option<OfflineReason>,
    ) -> Result<(), StoreError> {
        let (server, link) = (Arc::clone(self.server), self.link);
        spawn_uncancelled(async move {
            let now = server.clock.now();
            let committed = server.store.line_status(link, line, online, reason, now).await?;
            server.publisher.publish(committed);
            Ok(())
        })
        .await
    }

    /// The link has ended: its lines are down. Not when the server itself stops: it says nothing of the lines.
    pub(super) async fn announce_end(&self) {
        if self.server.stopping.is_cancelled() {
            return;
        }
        for line in self.online.take() {
            if let Err(error) = self.announce(line, false, Some(OfflineReason::Unreachable)).await
                && !matches!(error, StoreError::Fenced)
            {
                let what = format!("line.status of {line} could not be made known");
                outage::report(&error, &what);
            }
        }
    }
}
