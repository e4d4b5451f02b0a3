//! Whether the phone can do its work.

use std::{sync::Arc, time::Instant};

use switchboard_model::{
    line::{Capability, OfflineReason},
    link::CarriedLine,
    throttle::Throttle,
};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    AndroidSms,
    api::{ApiError, Words},
    sims::{self, Cards},
    wire::Device,
};
use crate::{
    connector::{Context, Health},
    driver::LineStatus,
    ledger::now,
};

/// A clock that differs by more seconds is worth a word: it decides when a text is too late, and stamps what is shown.
const CLOCK_DIFFERS: i64 = 60;
/// How often that is said.
const CLOCK_EVERY: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// The phone as it was when it last answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phone {
    pub(super) device: Device,
    pub(super) cards: Cards,
}

impl Phone {
    /// Whether there is no other card to mistake it for.
    pub(super) fn has_one_card(&self) -> bool {
        self.device.sim_cards.len() == 1
    }
}

/// Before anything is known.
pub(super) fn starting() -> LineStatus {
    offline(OfflineReason::Starting)
}

fn offline(reason: OfflineReason) -> LineStatus {
    LineStatus { online: false, reason: Some(reason), ..online() }
}

/// What SMS can do, it can on any phone: what is accepted while the phone is away goes out when it is back.
fn online() -> LineStatus {
    let capabilities = vec![Capability::NewChats, Capability::DeliveryState];
    LineStatus { online: true, capabilities, reason: None }
}

/// Why a phone that answers like this can't carry anything.
fn reason(error: &ApiError) -> OfflineReason {
    match error {
        ApiError::Unauthorized => OfflineReason::Unauthorized,
        // Something answers there, and it is not the app.
        ApiError::Unreadable | ApiError::Refused(404 | 405, _) => OfflineReason::ProgramMissing,
        // The app is there and says itself that it can't.
        ApiError::Refused(_, Words(Some(_))) | ApiError::TooLarge => OfflineReason::Other,
        ApiError::Refused(_, Words(None)) | ApiError::Unreachable | ApiError::Broken => {
            OfflineReason::Unreachable
        }
    }
}

impl AndroidSms {
    /// Asks the phone how it is, once in a while and whenever somebody has met trouble.
    pub(super) async fn keep_health(&self, context: &Context) {
        let mut lines = context.lines.clone();
        let clock = Throttle::new(CLOCK_EVERY);
        loop {
            let carried = Arc::clone(&lines.borrow_and_update());
            let pause = match self.look_at_phone(&carried, &clock).await {
                Ok(()) => self.options.pace.health,
                Err(error) => {
                    self.met(&error);
                    self.options.pace.away
                }
            };
            let changed = async {
                tokio::select! {
                    () = self.look.notified() => {}
                    Ok(()) = lines.changed() => {}
                }
            };
            let _ = timeout(pause, changed).await;
        }
    }

    async fn look_at_phone(&self, lines: &[CarriedLine], clock: &Throttle) -> Result<(), ApiError> {
        self.api.is_there().await?;
        let (device, ahead) = self.api.device(now()).await?;
        if ahead.abs() > CLOCK_DIFFERS && clock.pass(Instant::now()).is_some() {
            warn!(ahead, "the phone's clock differs from this machine's by so many seconds");
        }
        let identity = device.identity();
        let is_new =
            self.phone.borrow().as_ref().is_none_or(|one| one.device.identity() != identity);
        if is_new {
            let newest = self.api.newest_message().await?;
            self.newest.send_replace(newest);
        }
        let cards = sims::assign(lines, &self.options.sims, &device.sim_cards);
        let status = |line: &CarriedLine| match cards.get(&line.handle) {
            Some(Err(reason)) => offline(*reason),
            Some(Ok(_)) | None => online(),
        };
        let lines = lines.iter().map(|line| (line.handle.clone(), status(line))).collect();
        // Whoever sees a line online finds the phone.
        let phone = Arc::new(Phone { device, cards });
        self.phone.send_if_modified(|known| {
            let changes = known.as_ref() != Some(&phone);
            *known = Some(phone);
            changes
        });
        self.tell(Health { all: online(), lines });
        Ok(())
    }

    /// Nothing is handed over any more until the phone has answered again.
    pub(super) fn met(&self, error: &ApiError) {
        self.tell(Health::of_all(offline(reason(error))));
    }

    /// The same, from outside the loop: the phone is asked at once.
    pub(super) fn met_trouble(&self, error: &ApiError) {
        self.met(error);
        self.look.notify_one();
    }

    /// Whether it answered when it was last asked.
    pub(super) fn answers(&self) -> bool {
        self.health.borrow().all.online
    }

    fn tell(&self, health: Health) {
        self.health.send_if_modified(|known| {
            let changes = *known != health;
            if changes {
                let away = health.lines.values().find(|line| !line.online);
                let reason = health.all.reason.or_else(|| away.and_then(|line| line.reason));
                info!(answers = health.all.online, ?reason, "the Android phone");
                *known = health;
            }
            changes
        });
    }
}
