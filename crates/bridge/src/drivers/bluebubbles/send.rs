//! Items on their way into Messages.
//!
//! What is certainly not sent is given back or fails; whatever may have been sent is looked for in Messages, and unknown
//! if it is not found there. No request is ever made a second time.

use serde_json::json;
use switchboard_model::{
    chat::Service,
    line::{Capability, LineService},
    link::{Content, Outcome},
};
use tracing::warn;

use super::{
    BlueBubbles, FILE_TIMEOUT, TEXT_TIMEOUT,
    api::ApiError,
    chats::Target,
    forms::is_caf,
    outcome::Method,
    wire::{Chat, Row},
};
use crate::{
    connector::{Attempt, OutgoingFile},
    ledger::{Begun, Ledger},
};

/// What is sent as one request.
pub(super) enum Piece<'a> {
    Text(&'a str),
    File(&'a OutgoingFile),
    /// Files, and a text if there is one, as one message.
    Together(&'a [OutgoingFile], Option<&'a str>),
}

/// What goes with every request of an item.
pub(super) struct Way<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) ledger: &'a Ledger,
    pub(super) method: Method,
    pub(super) reply_to: Option<&'a str>,
    pub(super) is_audio: bool,
    /// What earlier requests of the item have come to in Messages.
    pub(super) used: Vec<String>,
}

impl BlueBubbles {
    pub(super) async fn hand_over(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome {
        let Some(mac) = self.mac.borrow().clone() else { return Outcome::Released };
        let item = &attempt.item;
        let target = match item.is_group {
            true => match self
                .group_target(ledger, item.line_id, &item.identifier, attempt.service)
                .await
            {
                Ok(Some(target)) => target,
                Ok(None) => {
                    return failed("Messages on the Mac has no such group, so nothing was sent.");
                }
                Err(error) => {
                    warn!(item = %item.id, %error, "a group can't be looked up");
                    self.look.notify_one();
                    return Outcome::Released;
                }
            },
            false => {
                match self.contact_target(item.line_id, &item.identifier, attempt.service).await {
                    Ok(target) => target,
                    Err(error) => {
                        warn!(item = %item.id, %error, "a chat can't be looked up");
                        self.lost(&error);
                        return Outcome::Released;
                    }
                }
            }
        };
        let needed = match &target {
            Target::NewContact(_) => Some(Capability::NewChats),
            Target::Chat { .. } => item.is_group.then_some(Capability::Groups),
        };
        if needed.is_some_and(|needed| !mac.capabilities().contains(&needed)) {
            return failed("Without BlueBubbles' helper this macOS does not do this.");
        }
        match &item.content {
            Content::Message { is_audio_message, reply_to_guid, .. } => {
                // Where it can't point at its message, it is still said.
                let can_reply = mac.capabilities().contains(&Capability::Replies);
                let way = Way {
                    attempt,
                    ledger,
                    method: mac.method(),
                    reply_to: reply_to_guid.as_deref().filter(|_| can_reply),
                    is_audio: *is_audio_message,
                    used: Vec::new(),
                };
                self.send_message(way, target).await
            }
            _ if mac.method() != Method::PrivateApi => {
                failed("This needs BlueBubbles' helper in Messages, which is not there.")
            }
            other => {
                let Target::Chat { guid, .. } = target else {
                    return failed("Messages has no chat with this contact yet.");
                };
                self.do_small(attempt, &guid, other).await
            }
        }
    }

    async fn send_message(&self, way: Way<'_>, target: Target) -> Outcome {
        let Content::Message { text, .. } = &way.attempt.item.content else {
            return failed("It is no message.");
        };
        let text = text.as_deref().filter(|text| !text.trim().is_empty());
        let by_helper = way.method == Method::PrivateApi;
        if way.is_audio && !by_helper {
            return failed("This needs BlueBubbles' helper in Messages, which is not there.");
        }
        if way.is_audio && !way.attempt.files.iter().all(is_caf) {
            let error = "A voice memo must be a CAF file (Opus, 24 kHz, mono): of anything else BlueBubbles makes \
                one that can't be heard.";
            return failed(error);
        }
        let attempt = way.attempt;
        let files = &*attempt.files;
        let pieces = match (files, text) {
            ([], Some(text)) => vec![Piece::Text(text)],
            ([], None) => return failed("There is nothing to send."),
            ([file], None) => vec![Piece::File(file)],
            (files, text) if by_helper && matches!(target, Target::Chat { .. }) => {
                vec![Piece::Together(files, text)]
            }
            (files, text) => {
                let files = files.iter().map(Piece::File);
                match &target {
                    // Only a text makes a new chat.
                    Target::NewContact(_) => {
                        text.map(Piece::Text).into_iter().chain(files).collect()
                    }
                    Target::Chat { .. } => files.chain(text.map(Piece::Text)).collect(),
                }
            }
        };
        self.send_pieces(way, target, &pieces).await
    }

    /// Sends one request after another. What comes of the item is what came of its text, or else of its last file.
    async fn send_pieces(
        &self,
        mut way: Way<'_>,
        mut target: Target,
        pieces: &[Piece<'_>],
    ) -> Outcome {
        let (line, mut of_item) = (way.attempt.item.line_id, None);
        for (number, piece) in pieces.iter().enumerate() {
            let (outcome, chat) = self.send_piece(&way, &target, piece, number, pieces.len()).await;
            let is_text = matches!(piece, Piece::Text(_));
            match outcome {
                Outcome::Sent { ref guid, .. } => {
                    if way.method == Method::AppleScript {
                        self.trouble(|troubles| troubles.no_permission = false);
                    }
                    way.used.push(guid.clone());
                    if let Some(guid) = chat {
                        target = Target::Chat { guid, service: None };
                    }
                    let is_last = number + 1 == pieces.len();
                    let stands_for_it = is_text || (is_last && of_item.is_none());
                    if !stands_for_it {
                        // It is a part of the item, and no message of its own.
                        self.disown(way.ledger, line, guid).await;
                    } else {
                        of_item = Some(outcome);
                    }
                }
                Outcome::Failed { error } if number > 0 => {
                    return failed(&format!("Only a part of the message was sent. {error}"));
                }
                // Nobody can give a part back.
                Outcome::Released if number > 0 => {
                    return failed("Only a part of the message was sent: BlueBubbles went away.");
                }
                other => return other,
            }
        }
        of_item.unwrap_or(Outcome::Unknown)
    }

    async fn send_piece(
        &self,
        way: &Way<'_>,
        target: &Target,
        piece: &Piece<'_>,
        number: usize,
        of: usize,
    ) -> (Outcome, Option<String>) {
        let token = match number {
            0 => way.attempt.token.to_string(),
            _ => format!("{}-{number}", way.attempt.token),
        };
        // The first has had its turn before the attempt began.
        if way.method == Method::PrivateApi && number > 0 {
            self.pacer.turn(None).await;
        }
        let answer = match (piece, target) {
            (Piece::Text(text), Target::NewContact(contact)) => {
                return self.begin_chat(way, contact, text, &token).await;
            }
            (_, Target::NewContact(_)) => {
                let error = "The first message to a contact must have a text, so nothing was sent.";
                return (failed(error), None);
            }
            (Piece::Text(text), Target::Chat { guid, .. }) => {
                let mut body = json!({
                    "chatGuid": guid, "message": text, "tempGuid": token, "method": way.method.name(),
                });
                if let Some(reply_to) = way.reply_to {
                    body["selectedMessageGuid"] = json!(reply_to);
                }
                self.api.send::<Row>(&["message", "text"], &body, TEXT_TIMEOUT).await
            }
            (Piece::File(file), Target::Chat { guid, .. }) => {
                match self.form(way, guid, file, &token).await {
                    Ok(form) => {
                        let path = ["message", "attachment"];
                        self.api.send_form::<Row>(&path, form, FILE_TIMEOUT).await
                    }
                    Err(outcome) => return (outcome, None),
                }
            }
            (Piece::Together(files, text), Target::Chat { guid, .. }) => {
                match self.parts(way, guid, files, *text, &token).await {
                    Ok(body) => {
                        self.api.send::<Row>(&["message", "multipart"], &body, FILE_TIMEOUT).await
                    }
                    Err(outcome) => return (outcome, None),
                }
            }
        };
        let guid = match target {
            Target::Chat { guid, .. } => Some(guid.as_str()),
            Target::NewContact(_) => None,
        };
        let search = self.search(way, piece, of);
        (self.judge(way, target, guid, answer, search).await, None)
    }

    /// The first message to somebody makes the chat.
    async fn begin_chat(
        &self,
        way: &Way<'_>,
        contact: &str,
        text: &str,
        token: &str,
    ) -> (Outcome, Option<String>) {
        let service = match way.attempt.service {
            LineService::Imessage | LineService::Auto => "iMessage",
            LineService::Sms => "SMS",
        };
        let body = json!({
            "addresses": [contact], "message": text, "tempGuid": token, "service": service,
            "method": way.method.name(),
        });
        let answer = self.api.send::<Chat>(&["chat", "new"], &body, TEXT_TIMEOUT).await;
        let (answer, chat) = match answer {
            Ok(chat) => {
                let row = chat.messages.first().cloned().map(serde_json::from_value::<Row>);
                match row {
                    Some(Ok(row)) => (Ok(row), Some(chat.guid)),
                    _ => (Err(ApiError::Unreadable), Some(chat.guid)),
                }
            }
            Err(error) => (Err(error), None),
        };
        let target = Target::NewContact(contact.to_owned());
        let search = self.search(way, &Piece::Text(text), 1);
        (self.judge(way, &target, None, answer, search).await, chat)
    }

    /// What is looked for in Messages when nobody says what came of a request.
    fn search(&self, way: &Way<'_>, piece: &Piece<'_>, of: usize) -> Begun {
        let attempt = way.attempt;
        let mut item = attempt.item.clone();
        // A part is looked for by what it says itself.
        if of > 1
            && let Content::Message { text, attachments, .. } = &mut item.content
        {
            match piece {
                Piece::Text(_) => attachments.clear(),
                Piece::File(_) | Piece::Together(..) => *text = None,
            }
        }
        Begun {
            item,
            token: attempt.token,
            begun_at: attempt.begun_at,
            mark: attempt.mark.clone(),
            guid: None,
        }
    }
}

/// The end of a message that Messages has.
pub(super) fn sent_as(row: &Row, service: Service) -> Outcome {
    Outcome::Sent {
        guid: row.guid.clone(),
        sent_at: row.created(),
        service,
        delivered_at: row.delivered(),
    }
}

pub(super) fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: error.to_owned() }
}
