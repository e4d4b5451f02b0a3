//! What turned out later of items whose outcome nobody knew, on its way to the server.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchboard_model::{
    OutboxItem,
    id::Id,
    link::{BridgeFrame, MAX_BATCH},
};

use super::{
    LinkError,
    items::Items,
    session::{Outgoing, encode},
};
use crate::driver::Driver;

/// What one socket has told of it, and the server has not acknowledged.
#[derive(Default)]
pub(super) struct Resolved(Mutex<HashSet<Id<OutboxItem>>>);

impl Resolved {
    /// Tells the server, for as long as the socket lives.
    pub(super) async fn tell(
        &self,
        driver: &dyn Driver,
        items: &Items,
        out: &Outgoing,
    ) -> Result<(), LinkError> {
        loop {
            let told = self.told().clone();
            let mut reports = driver.resolved(&told).await;
            // That nobody knows must have arrived before what turned out.
            for report in &reports {
                items.is_settled(report.id).await;
            }
            while !reports.is_empty() {
                let rest = reports.split_off(reports.len().min(MAX_BATCH));
                self.told().extend(reports.iter().map(|report| report.id));
                let frame = encode(&BridgeFrame::Resolved { reports });
                out.send(frame).await.map_err(|_| LinkError::Closed)?;
                reports = rest;
            }
        }
    }

    /// The server has acknowledged these, among others perhaps.
    pub(super) async fn acknowledged(&self, driver: &dyn Driver, ids: &[Id<OutboxItem>]) {
        let of_these: Vec<_> = {
            let told = self.told();
            ids.iter().copied().filter(|id| told.contains(id)).collect()
        };
        if !of_these.is_empty() {
            driver.acknowledged(&of_these).await;
            self.told().retain(|id| !of_these.contains(id));
        }
    }

    fn told(&self) -> MutexGuard<'_, HashSet<Id<OutboxItem>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
