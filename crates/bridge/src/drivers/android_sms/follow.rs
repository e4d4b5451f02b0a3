//! Whether own texts arrive, for which the phone has to be asked: delivered, or refused by the network after all.

use std::time::Duration;

use switchboard_model::{
    causes::chain,
    link::{Inbound, InboundUpdate, SendFailure},
};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::{
    AndroidSms,
    api::ApiError,
    send::{failure, id_of},
    wire::{MessageState, State},
};
use crate::{
    connector::Context,
    ledger::{Followed, Observation, Recorded, now},
};

/// How often it is looked for what is to be asked.
const EVERY: Duration = Duration::from_secs(1);
/// Texts that are asked for at once.
const AT_ONCE: usize = 32;

impl AndroidSms {
    /// Asks, for ever, for what has to be asked for.
    pub(super) async fn follow(&self, context: &Context) {
        loop {
            sleep(EVERY).await;
            // A phone that is away costs a text none of its looks.
            if !self.answers() {
                continue;
            }
            let due = match context.ledger.to_follow(now(), AT_ONCE).await {
                Ok(due) => due,
                Err(error) => {
                    warn!(error = chain(&error), "what becomes of texts can't be looked up");
                    continue;
                }
            };
            for text in due {
                let is_over = match self.look_at(context, &text).await {
                    Ok(is_over) => is_over,
                    Err(error) => {
                        debug!(
                            error = chain(&error),
                            "the phone does not say what became of a text"
                        );
                        false
                    }
                };
                let state = (!is_over).then_some(text.state);
                if let Err(error) = context.ledger.followed(text.guid, state, now()).await {
                    warn!(error = chain(&error), "what became of a text could not be written down");
                }
            }
        }
    }

    /// Tells what is new of a text. True if nothing more is to come.
    async fn look_at(&self, context: &Context, text: &Followed) -> Result<bool, ApiError> {
        // The server must know the text first.
        if context.ledger.is_settling(text.guid.clone()).await.unwrap_or(true) {
            return Ok(false);
        }
        // What the phone has forgotten stays as it is.
        let Some(message) = self.api.message(id_of(&text.guid)).await? else { return Ok(true) };
        let Some(update) = news(text, &message) else { return Ok(false) };
        let key = format!("state:{}", text.guid);
        let observation = Observation::new(key, Inbound::Update(update));
        let observations = vec![(text.line, observation)];
        let recorded = Recorded { observations, ..Recorded::default() };
        Ok(context.ledger.record(recorded).await.is_ok())
    }
}

/// What is new of a text that was sent. Nothing follows it: what was delivered stays so, and what failed does.
fn news(text: &Followed, message: &MessageState) -> Option<InboundUpdate> {
    let mut update = InboundUpdate::of(text.chat.clone(), &*text.guid);
    match message.state {
        State::Delivered => {
            update.delivered_at = Some(message.reached(State::Delivered).unwrap_or_else(now));
        }
        State::Failed => {
            let at = message.reached(State::Failed).unwrap_or_else(now);
            update.failed = Some(SendFailure { error: failure(message, ""), at });
        }
        _ => return None,
    }
    Some(update)
}
