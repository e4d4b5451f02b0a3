//! Texts on their way into the phone.
//!
//! The app takes an id of ours once. So an order whose answer is lost is given again, under the same id, and is still one
//! text. What can't be asked for in the end is unknown, and never sent under another id.

use serde_json::{Value, json};
use switchboard_model::{
    Handle, Timestamp,
    causes::chain,
    chat::Service,
    link::{Content, InboundChat, Outcome, SendItem},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, warn};

use super::{
    AndroidSms,
    api::{ApiError, Words},
    health::Phone,
    sims::Card,
    wire::{MessageState, State},
};
use crate::{
    connector::Attempt,
    ledger::{Ledger, now},
};

/// How often it is asked at the first pace.
const EAGER_LOOKS: usize = 10;
/// Begins the guid of every text.
const GUID: &str = "sms:";
/// The most characters of a text that goes out whole: longer ones are cut into parts.
const ONE_PART: usize = 70;

/// Why a text is not with the phone.
enum NotOrdered {
    /// It certainly is not: this came of it.
    Ended(Outcome),
    /// Nobody knows.
    Unknown,
}

/// What is known of a text that the phone has.
enum Stands {
    /// It came to an end.
    Ended(Outcome),
    /// Android has it.
    Processed,
    /// It waits in the app.
    Waits,
}

impl AndroidSms {
    pub(super) async fn hand_over(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome {
        let item = &attempt.item;
        let text = match text_of(item) {
            Ok(text) => text,
            Err(why) => return failed(why),
        };
        // The app sends the newest first: the next text waits here until Android has the last.
        let Ok(turn) = timeout(self.options.pace.ttl, self.turn.lock()).await else {
            return Outcome::Released;
        };
        let Some(phone) = self.phone.borrow().clone() else { return Outcome::Released };
        let Some(Ok(card)) = phone.cards.get(&attempt.line).copied() else {
            return Outcome::Released;
        };
        let id = item.id.to_string();
        let until = Instant::now() + self.options.pace.ttl + self.options.pace.grace;
        match self.order(&order(&phone, card, item, text, &self.options.pace.ttl), until).await {
            Ok(()) => {
                self.newest.send_replace(Some(id.clone()));
            }
            Err(NotOrdered::Ended(outcome)) => return outcome,
            Err(NotOrdered::Unknown) => return Outcome::Unknown,
        }
        let mut turn = Some(turn);
        let mut looks = 0;
        loop {
            sleep(self.pause(looks)).await;
            looks += 1;
            match self.api.message(&id).await {
                Ok(Some(message)) => match stands(&id, &message, text) {
                    Stands::Ended(outcome) => {
                        follow_sent(item, &outcome, ledger).await;
                        return outcome;
                    }
                    Stands::Processed => turn = None,
                    Stands::Waits => {}
                },
                Ok(None) => {
                    warn!(item = %item.id, "the phone has forgotten a text that it had taken");
                    return Outcome::Unknown;
                }
                Err(error) => debug!(%error, "the phone does not say what came of a text"),
            }
            if Instant::now() >= until {
                return self.give_up(&id, turn.is_some()).await;
            }
        }
    }

    /// Orders the text, and again after an answer that was lost.
    async fn order(&self, order: &Value, until: Instant) -> Result<(), NotOrdered> {
        // Whether the phone may have it already.
        let mut may_be_there = false;
        let mut tries = 0;
        loop {
            let asked = timeout_at(until, self.api.order(order)).await;
            let error = match asked.unwrap_or(Err(ApiError::Broken)) {
                // Under this id it stands there, by this request or an earlier one.
                Ok(()) | Err(ApiError::Refused(409, Words(Some(_)))) => return Ok(()),
                Err(error) => error,
            };
            debug!(%error, may_be_there, "the phone did not take a text");
            match &error {
                ApiError::Unreachable | ApiError::Unauthorized if !may_be_there => {
                    self.met_trouble(&error);
                    return Err(NotOrdered::Ended(Outcome::Released));
                }
                // The app itself refuses it. Of an earlier request that may say nothing: by now it may be another phone.
                ApiError::Refused(400, Words(Some(words))) => {
                    return Err(match (may_be_there, words.contains("device")) {
                        (true, _) => NotOrdered::Unknown,
                        (false, true) => {
                            self.is_another_phone().await;
                            NotOrdered::Ended(Outcome::Released)
                        }
                        (false, false) => {
                            let error = format!("The phone refuses it: {words}");
                            NotOrdered::Ended(Outcome::Failed { error })
                        }
                    });
                }
                // An error of the app, or of something between: the app may have it all the same.
                _ => may_be_there |= !matches!(error, ApiError::Unreachable),
            }
            self.look.notify_one();
            if Instant::now() >= until {
                return Err(NotOrdered::Unknown);
            }
            sleep(self.pause(tries)).await;
            tries += 1;
        }
    }

    /// Waits until it is known which phone it is now.
    async fn is_another_phone(&self) {
        let mut phone = self.phone.subscribe();
        phone.mark_unchanged();
        self.look.notify_one();
        let _ = timeout(self.options.pace.request, phone.changed()).await;
    }

    /// The time is over. What still waits is taken back.
    async fn give_up(&self, id: &str, may_wait: bool) -> Outcome {
        if !may_wait {
            return Outcome::Unknown;
        }
        match self.api.cancel(id).await {
            Ok(true) => failed("The phone was away, so nothing was sent."),
            Ok(false) | Err(_) => Outcome::Unknown,
        }
    }

    fn pause(&self, looks: usize) -> std::time::Duration {
        let pace = &self.options.pace;
        if looks < EAGER_LOOKS { pace.state } else { pace.state_later }
    }
}

/// What is asked of the app. The phone is named, for on another the id would be a new one.
fn order(
    phone: &Phone,
    card: Card,
    item: &SendItem,
    text: &str,
    ttl: &std::time::Duration,
) -> Value {
    let mut order = json!({
        "id": item.id.to_string(),
        "deviceId": phone.device.id,
        "textMessage": {"text": text},
        "phoneNumbers": [item.identifier],
        "withDeliveryReport": true,
        "ttl": ttl.as_secs().max(5),
    });
    if let Some(number) = card.number() {
        order["simNumber"] = number.into();
    }
    order
}

/// The text of an item, else why there is nothing to send.
pub(super) fn text_of(item: &SendItem) -> Result<&str, &'static str> {
    let Content::Message { text, attachments, .. } = &item.content else {
        return Err("SMS has no such thing.");
    };
    if item.is_group {
        return Err("SMS has no groups, so nothing was sent.");
    }
    if !attachments.is_empty() {
        return Err("This phone sends no files, so nothing was sent.");
    }
    text.as_deref().filter(|text| !text.is_empty()).ok_or("There is no text, so nothing was sent.")
}

/// Where a text stands by what the phone says of it.
fn stands(id: &str, message: &MessageState, text: &str) -> Stands {
    match message.state {
        State::Sent | State::Delivered => Stands::Ended(sent(id, message)),
        State::Failed => Stands::Ended(Outcome::Failed { error: failure(message, text) }),
        State::Cancelled => Stands::Ended(failed("It was taken back on the phone.")),
        State::Processed => Stands::Processed,
        State::Pending | State::Cancelling | State::Other => Stands::Waits,
    }
}

/// The end of a text, if it has come to one.
pub(super) fn end_of(id: &str, message: &MessageState, text: &str) -> Option<Outcome> {
    match stands(id, message, text) {
        Stands::Ended(outcome) => Some(outcome),
        Stands::Processed | Stands::Waits => None,
    }
}

/// What a text that was sent is known by. An id of the server's own would be taken for one wherever a guid may stand.
fn guid_of(id: &str) -> String {
    format!("{GUID}{id}")
}

/// The phone's name of a text, which releases before this one took for its guid, too.
pub(super) fn id_of(guid: &str) -> &str {
    guid.strip_prefix(GUID).unwrap_or(guid)
}

fn sent(id: &str, message: &MessageState) -> Outcome {
    let sent_at = message.reached(State::Sent).or_else(|| message.reached(State::Delivered));
    Outcome::Sent {
        guid: guid_of(id),
        sent_at: sent_at.unwrap_or_else(now),
        service: Service::Sms,
        delivered_at: message.reached(State::Delivered),
    }
}

/// Why it failed, for the owner of the line.
pub(super) fn failure(message: &MessageState, text: &str) -> String {
    let error = message.error().unwrap_or("it does not say why");
    let mut said = format!("The phone could not send it: {error}");
    if error.starts_with("Send result") && text.chars().count() > ONE_PART {
        said.push_str(" (it was long: parts of it may have gone out)");
    }
    said
}

/// Whether it arrives is told by nobody: it has to be asked for.
pub(super) async fn follow_sent(item: &SendItem, outcome: &Outcome, ledger: &Ledger) {
    let Outcome::Sent { guid, delivered_at: None, .. } = outcome else { return };
    let handle = Handle::received(&item.identifier);
    let chat = InboundChat::Contact { handle };
    let since: Timestamp = now();
    if let Err(error) = ledger.follow(guid.clone(), item.line_id, chat, since).await {
        warn!(item = %item.id, error = chain(&error), "whether a text arrives will not be known");
    }
}

pub(super) fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: error.to_owned() }
}
