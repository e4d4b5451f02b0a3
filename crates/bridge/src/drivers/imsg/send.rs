//! Items on their way into Messages.
//!
//! What is certainly not sent is tried again, or given back, or fails; whatever may have been sent is unknown, and never sent
//! again. Only imsg's own word that a request is safe to repeat is believed.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use switchboard_model::{
    Timestamp,
    line::{LineService, OfflineReason},
    link::{Content, Outcome},
    reaction::ReactionType,
};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    FILE_TIMEOUT, Imsg, READ_TIMEOUT, TEXT_TIMEOUT,
    chats::Target,
    rpc::{Certainty, RpcError, SendStatus, Sent, service},
};
use crate::{
    connector::Attempt,
    ledger::{Ledger, now},
};

/// The pauses before what was certainly not begun is tried again.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// How long Messages may take to show what it was given, as imsg itself waits for it.
const SEEN_WITHIN: Duration = Duration::from_secs(8);
/// How often it is looked.
const SEEN_POLL: Duration = Duration::from_millis(250);
/// How long an indicator or a receipt may take.
const SMALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A request that sends something.
struct Request {
    method: &'static str,
    params: Map<String, Value>,
    within: Duration,
}

impl Imsg {
    pub(super) async fn hand_over(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome {
        if self.is_poisoned() {
            return Outcome::Released;
        }
        let item = &attempt.item;
        let target = match item.is_group {
            true => {
                let (line, group) = (item.line_id, &item.identifier);
                self.group_target(ledger, line, group, attempt.service).await
            }
            false => self.contact_target(&item.identifier, attempt.service).await.map(Some),
        };
        let target = match target {
            Ok(Some(target)) => target,
            Ok(None) => {
                return failed(match attempt.service {
                    LineService::Auto => {
                        "Messages on this Mac has no such group, so nothing was sent."
                    }
                    _ => {
                        "Messages on this Mac has no such group by what the line sends by, so nothing was sent."
                    }
                });
            }
            // Nothing was begun. If it is the database, the line is to say so before it takes the item again.
            Err(_) => {
                self.ask_again().await;
                return Outcome::Released;
            }
        };
        match &item.content {
            Content::Message { .. } => self.send_message(attempt, &target).await,
            Content::Reaction { message_guid, reaction_type, remove } => {
                self.react(&target, message_guid, reaction_type, *remove).await
            }
            Content::Typing { on } => {
                let mut request = Request::to("typing", &target, SMALL_TIMEOUT);
                request.set("typing", *on);
                self.do_small(request).await
            }
            Content::Read => self.do_small(Request::to("read", &target, SMALL_TIMEOUT)).await,
        }
    }

    async fn send_message(&self, attempt: &Attempt, target: &Target) -> Outcome {
        let request = match self.message_request(attempt, target) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let sent: Sent = match self.request(request).await {
            Ok(sent) => sent,
            Err(outcome) => return outcome,
        };
        // It can steer Messages, whatever was said of that before.
        self.take_back(OfflineReason::Permission);
        match sent.guid() {
            Some(guid) if self.is_seen(guid).await => sent_as(guid, now(), sent.service.as_deref()),
            Some(_) => {
                warn!("Messages does not show what imsg says that it sent");
                Outcome::Unknown
            }
            // Messages has queued it, or its database could not be read: its row will tell.
            None => {
                if !sent.ok {
                    warn!("imsg answers a send with neither an error nor ok");
                }
                Outcome::Unknown
            }
        }
    }

    /// Whether Messages has this message: the helper's word alone is none that it was sent. If that can't be looked up, its
    /// word has to do.
    async fn is_seen(&self, guid: &str) -> bool {
        let until = Instant::now() + SEEN_WITHIN;
        loop {
            let params = json!({"guid": guid});
            let asked = self.child.ask("message.send_status", params, READ_TIMEOUT).await;
            let Ok(SendStatus { status_fields: None, .. }) = asked else { return true };
            if Instant::now() > until {
                return false;
            }
            sleep(SEEN_POLL).await;
        }
    }

    /// What is asked of imsg for a message. No request of it is made where it would do something else.
    fn message_request(&self, attempt: &Attempt, target: &Target) -> Result<Request, Outcome> {
        let Content::Message { text, is_audio_message, reply_to_guid, .. } = &attempt.item.content
        else {
            return Err(failed("It is no message."));
        };
        let can = |method: &str| self.readiness.borrow().can(method);
        let text = text.as_deref().filter(|text| !text.is_empty());
        let file = match &*attempt.files {
            [] => None,
            [file] => match file.path.to_str() {
                Some(path) => Some(path.to_owned()),
                None => return Err(failed("The file's name can't be given to Messages.")),
            },
            _ => return Err(failed("Messages takes one file with a message.")),
        };
        if *is_audio_message || (file.is_some() && text.is_none() && can("send.attachment")) {
            if !can("send.attachment") {
                return Err(failed("Audio messages need imsg's helper, which is not there."));
            }
            let mut request = Request::to_chat("send.attachment", target, FILE_TIMEOUT)?;
            request.set("file", file);
            request.set("audio", *is_audio_message);
            if let Some(reply_to) = reply_to_guid {
                request.set("reply_to", reply_to.as_str());
            }
            return Ok(request);
        }
        if let Some(reply_to) = reply_to_guid {
            // Where it can't point at its message, it is still said.
            if can("send.rich") && matches!(target, Target::Chat(_)) {
                let mut request = Request::to("send.rich", target, FILE_TIMEOUT);
                request.set_some("text", text);
                request.set_some("file", file);
                request.set("reply_to", reply_to.as_str());
                return Ok(request);
            }
        }
        if file.is_none() && can("send.tracked") && matches!(target, Target::Chat(_)) {
            let mut request = Request::to("send.tracked", target, TEXT_TIMEOUT);
            request.set_some("text", text);
            request.set("attempt_id", attempt.token.to_string());
            return Ok(request);
        }
        let within = if file.is_some() { FILE_TIMEOUT } else { TEXT_TIMEOUT };
        let mut request = Request::to("send", target, within);
        request.set_some("text", text);
        request.set_some("file", file);
        match attempt.service {
            LineService::Auto => {}
            by => request.set("service", by.as_str()),
        }
        // Green where blue was asked for is no success.
        request.set("allow_sms_fallback", attempt.service == LineService::Auto);
        Ok(request)
    }

    async fn react(
        &self,
        target: &Target,
        message_guid: &str,
        reaction_type: &ReactionType,
        remove: bool,
    ) -> Outcome {
        let mut request = match Request::to_chat("tapback", target, SMALL_TIMEOUT) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        request.set("message_id", message_guid);
        match reaction_type {
            ReactionType::Emoji(emoji) => request.set("emoji", emoji.as_str()),
            named => request.set("reaction", named.as_str()),
        }
        request.set("remove", remove);
        self.do_small(request).await
    }

    /// Does what is no message.
    async fn do_small(&self, request: Request) -> Outcome {
        if !self.readiness.borrow().can(request.method) {
            return failed("This needs imsg's helper, which is not there.");
        }
        match self.request::<Value>(request).await {
            Ok(_) => Outcome::Done { at: now() },
            Err(outcome) => outcome,
        }
    }

    /// Asks for it, and again while it certainly was not begun.
    async fn request<T: DeserializeOwned>(&self, mut request: Request) -> Result<T, Outcome> {
        let mut pauses = AGAIN_AFTER.iter();
        loop {
            let params = Value::Object(request.params.clone());
            let error = match self.child.ask(request.method, params, request.within).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // A child that has not answered may still do it, and nothing may queue behind it.
            let certainty = match error {
                RpcError::Slow => Certainty::StillInFlight,
                _ => error.certainty(),
            };
            warn!(method = request.method, %error, ?certainty, "imsg did not send");
            return Err(match certainty {
                Certainty::NotStarted if error != RpcError::NotRunning => match pauses.next() {
                    // The name of a tracked send may be taken now; certainly nothing was sent under it.
                    Some(pause) if request.method == "send.tracked" => {
                        sleep(*pause).await;
                        request.method = "send";
                        request.params.remove("attempt_id");
                        request.set("allow_sms_fallback", false);
                        continue;
                    }
                    Some(pause) => {
                        sleep(*pause).await;
                        continue;
                    }
                    None => failed("Messages did not take it, so nothing was sent."),
                },
                Certainty::Busy => match pauses.next() {
                    Some(pause) => {
                        sleep(*pause).await;
                        continue;
                    }
                    None => Outcome::Released,
                },
                Certainty::Refused => failed("imsg refuses it, so nothing was sent."),
                Certainty::NotAllowed => {
                    self.warn_of(OfflineReason::Permission);
                    failed("macOS does not let imsg steer Messages, so nothing was sent.")
                }
                Certainty::NoHelper => {
                    self.ask_again().await;
                    failed("This needs imsg's helper, which is not there, so nothing was sent.")
                }
                Certainty::NoDatabase => {
                    self.ask_again().await;
                    Outcome::Released
                }
                Certainty::Poisoned => {
                    self.poisoned();
                    Outcome::Released
                }
                Certainty::StillInFlight => {
                    self.poisoned();
                    Outcome::Unknown
                }
                Certainty::NotStarted => Outcome::Released,
                Certainty::Unknown if matches!(request.method, "typing" | "read") => {
                    // It is of the moment, and doing it again does no harm; nor is it worth it.
                    failed("Messages did not say that it did it.")
                }
                Certainty::Unknown => Outcome::Unknown,
            });
        }
    }
}

impl Request {
    fn to(method: &'static str, target: &Target, within: Duration) -> Self {
        let mut request = Self { method, params: Map::new(), within };
        match target {
            Target::Chat(guid) => request.set("chat_guid", guid.as_str()),
            Target::NewContact(contact) => request.set("to", contact.as_str()),
        }
        request
    }

    /// To a chat that there is: these are not done for a new contact.
    fn to_chat(method: &'static str, target: &Target, within: Duration) -> Result<Self, Outcome> {
        match target {
            Target::Chat(_) => Ok(Self::to(method, target, within)),
            Target::NewContact(_) => {
                Err(failed("Messages has no chat with this contact yet, so nothing was sent."))
            }
        }
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.params.insert(name.to_owned(), value.into());
    }

    fn set_some<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

/// The end of a message that Messages has.
pub(super) fn sent_as(guid: &str, sent_at: Timestamp, over: Option<&str>) -> Outcome {
    Outcome::Sent { guid: guid.to_owned(), sent_at, service: service(over), delivered_at: None }
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: error.to_owned() }
}

/// For the query of a mark.
pub(super) fn mark_row(mark: Option<&str>) -> i64 {
    mark.and_then(|mark| mark.parse().ok()).unwrap_or(0)
}
