//! What a bridge says of its lines: up or down, and what they can do.

use std::{collections::HashSet, sync::Arc};

use switchboard_model::{
    Line,
    id::Id,
    line::{Capability, OfflineReason},
    link::{CarriedLine, ServerFrame},
};
use switchboard_store::StoreError;

use super::{Session, lock, once_available};
use crate::{
    link::{online::Told, wire::LinkEnd},
    outage,
    uncancelled::spawn_uncancelled,
};

/// Why a link ends whose bridge waits for an answer that does not come.
const NOT_ANSWERED: LinkEnd =
    LinkEnd::Closing("the bridge carries a line again of which it told meanwhile; dial again");

impl Session<'_> {
    /// A line went up or down, for this reason, or can do something else now.
    pub(super) async fn line(
        &self,
        line: Id<Line>,
        (online, reason): (bool, Option<OfflineReason>),
        mut capabilities: Vec<Capability>,
    ) -> Result<(), StoreError> {
        let Some(role) = lock(&self.carried).get(&line).copied() else {
            // It may have been given to another bridge, which is the one to speak of it now.
            tracing::warn!(bridge = %self.bridge.id, %line, "a bridge tells of a line that it does not carry");
            return Ok(());
        };
        let mut seen = HashSet::new();
        capabilities.retain(|one| seen.insert(*one));
        let known = lock(&self.capabilities).insert(line, capabilities.clone());
        // What a standby can do is kept here until it carries the line.
        if role.is_active() && known.as_ref() != Some(&capabilities) {
            once_available("what a line can do could not be written down", || {
                let (server, link) = (Arc::clone(self.server), self.link);
                let capabilities = capabilities.clone();
                spawn_uncancelled(async move {
                    server.store.set_capabilities(link, line, capabilities).await.map(|_| ())
                })
            })
            .await?;
        }
        if self.online.set(line, Told { online, reason, role }) {
            tracing::info!(%line, online, ?role, reason = reason.map(OfflineReason::as_str), "line status");
            let announce = || self.announce(line, online, reason);
            once_available("line.status could not be made known", announce).await?;
        }
        if online {
            self.woken.wake([line]);
        }
        Ok(())
    }

    /// What the bridge is to its lines. Only who carries a line is told of its items.
    pub(super) fn carry(&self, lines: &[CarriedLine]) {
        let active = lines.iter().filter(|line| line.role.is_active()).map(|line| line.id);
        self.server.hub.watch(active, &self.woken);
        *lock(&self.carried) = lines.iter().map(|line| (line.id, line.role)).collect();
    }

    /// The lines are others now, or the bridge is another thing to them: it is told so, and what it has said of a line
    /// counts for what it is to it now.
    pub(super) async fn lines_changed(&self, lines: Vec<CarriedLine>) -> Result<(), LinkEnd> {
        {
            let unanswered = lock(&self.unanswered);
            if lines.iter().any(|line| line.role.is_active() && unanswered.contains(&line.id)) {
                return Err(NOT_ANSWERED);
            }
        }
        self.carry(&lines);
        let roles: Vec<_> = lines.iter().map(|line| (line.id, line.role)).collect();
        self.send(ServerFrame::Lines { lines })
            .await
            .map_err(|()| LinkEnd::Closing("the link is ending"))?;
        for (line, role) in roles {
            let Some(told) = self.online.told(line).filter(|told| told.role != role) else {
                continue;
            };
            // Of a line that it did not carry, nothing of this was written down.
            let capabilities = lock(&self.capabilities).remove(&line).unwrap_or_default();
            self.line(line, (told.online, told.reason), capabilities).await?;
        }
        Ok(())
    }

    /// A batch of this line was passed over. If the bridge carries it again by now, the link ends: with the next one the
    /// bridge tells it again.
    pub(super) async fn passed_over(&self, line: Id<Line>) -> Result<(), LinkEnd> {
        lock(&self.unanswered).insert(line);
        let what = "the lines of a bridge could not be read";
        let carried = || self.server.store.carried_lines(self.bridge.id);
        let lines = once_available(what, carried).await?;
        let is_active = lines.iter().any(|one| one.id == line && one.role.is_active());
        if is_active { Err(NOT_ANSWERED) } else { Ok(()) }
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
