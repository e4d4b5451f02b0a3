//! What came of an attempt of which nobody has heard: the phone is asked by the item's id.
//!
//! That the phone does not know it means that it was never there, as long as it is the same phone with the same database; a
//! database that was replaced knows nothing.

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{
    AndroidSms,
    api::ApiError,
    send::{end_of, follow_sent, text_of},
};
use crate::{
    connector::{Connector, Verdict},
    ledger::{Begun, Ledger, now},
};

/// How long a text that is on its way is watched. Whoever asks waits no longer than 20 s.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(12);

/// How often the phone is asked when an answer is lost.
const TRIES: usize = 3;

/// Which database the phone had when something was handed over.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The phone, and when the app was installed.
    identity: String,
    /// A message that stood in the database then, if any did: a database without it is another one.
    known: Option<String>,
}

impl AndroidSms {
    pub(super) fn mark_now(&self) -> Option<String> {
        let phone = self.phone.borrow().clone()?;
        let known = self.newest.borrow().clone();
        serde_json::to_string(&Mark { identity: phone.device.identity(), known }).ok()
    }

    pub(super) async fn find_out(&self, begun: &Begun, ledger: &Ledger) -> Verdict {
        let Ok(text) = text_of(&begun.item) else {
            // Such a thing is never handed over.
            return Verdict::NeverStarted;
        };
        for _ in 0..TRIES {
            match self.ask_for(begun, text, ledger).await {
                Ok(verdict) => return verdict,
                Err(error) => debug!(%error, "the phone can't be asked what came of an item"),
            }
            sleep(self.options.pace.state).await;
        }
        Verdict::Open
    }

    async fn ask_for(
        &self,
        begun: &Begun,
        text: &str,
        ledger: &Ledger,
    ) -> Result<Verdict, ApiError> {
        let id = begun.item.id.to_string();
        let until = Instant::now() + WATCHED;
        while let Some(message) = self.api.message(&id).await? {
            if let Some(outcome) = end_of(&id, &message, text) {
                follow_sent(&begun.item, &outcome, ledger).await;
                return Ok(Verdict::Finished(outcome));
            }
            if Instant::now() >= until {
                return Ok(Verdict::Open);
            }
            sleep(self.options.pace.state).await;
        }
        if !self.is_same_database(begun).await? {
            return Ok(Verdict::Open);
        }
        // Asked for by the server it is ordered again under the same id, and a stray request does no harm. Of what
        // counts as unknown the answer is final: a stray request must be gone.
        let open = ledger.under_way(begun.item.line_id).await.unwrap_or_default();
        let is_asked_for = open.iter().any(|one| one.item.id == begun.item.id);
        let stray = self.send_timeout(&begun.item) + self.options.pace.stray;
        let is_settled = is_asked_for || now() - stray >= begun.begun_at;
        Ok(if is_settled { Verdict::NeverStarted } else { Verdict::Open })
    }

    /// Whether the phone has the database that it had when the attempt began.
    async fn is_same_database(&self, begun: &Begun) -> Result<bool, ApiError> {
        let mark = begun.mark.as_deref().and_then(|mark| serde_json::from_str::<Mark>(mark).ok());
        let Some(mark) = mark else { return Ok(false) };
        let (device, _) = self.api.device(now()).await?;
        if device.identity() != mark.identity {
            return Ok(false);
        }
        match mark.known {
            Some(known) => Ok(self.api.message(&known).await?.is_some()),
            None => Ok(true),
        }
    }
}
