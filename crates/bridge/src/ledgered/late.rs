//! Files that could not be had when their message was told.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use switchboard_model::causes::chain;
use tokio::time::sleep;
use tracing::warn;

use super::Ledgered;
use crate::{
    connector::{Connector, FetchError},
    ledger::{LateFiles, LedgerError, now},
};

/// How often it is looked whether one is to be looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks for them, for ever.
pub(super) async fn look_for_files<C: Connector>(driver: Weak<Ledgered<C>>) {
    loop {
        sleep(LOOK_EVERY).await;
        let Some(driver) = driver.upgrade() else { return };
        let lines = Arc::clone(&driver.lines.borrow());
        for line in lines.iter().filter(|line| line.role.is_active()) {
            // A line that is away costs a file none of its looks.
            if !driver.is_online(line.id) {
                continue;
            }
            let looked = match driver.ledger.files_to_look_for(line.id, now()).await {
                Ok(Some(late)) => driver.look_for(late).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                warn!(line = %line.id, error = chain(&error), "files that come late can't be looked for");
            }
        }
    }
}

impl<C: Connector> Ledgered<C> {
    async fn look_for(&self, late: LateFiles) -> Result<(), LedgerError> {
        let (mut there, mut gone) = (0, 0);
        for file in &late.files {
            match self.connector.fetch(file).await {
                Ok(_) => there += 1,
                Err(FetchError::Gone) => gone += 1,
                Err(FetchError::NotYet(_)) => {}
            }
        }
        if there <= late.had && there + gone == late.files.len() {
            warn!(line = %late.line, message = late.guid, "a message stays without one of its files: it is gone");
            return self.ledger.files_are_over(late.line, late.guid).await;
        }
        let can_be_had = there > late.had;
        self.ledger.looked_for_files(late, can_be_had, now()).await
    }
}
