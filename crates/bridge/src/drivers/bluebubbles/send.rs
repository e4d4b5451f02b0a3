//! Items on their way into Messages.
//!
//! What is certainly not sent is given back or fails; whatever may have been sent is looked for in Messages, and unknown
//! if it is not found there. No request is ever made a second time.

use std::path::Path;

use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::{Value, json};
use switchboard_model::{
    Line,
    chat::Service,
    id::Id,
    line::Capability,
    link::{Content, Outcome},
    reaction::ReactionType,
};
use tokio::time::sleep;
use tracing::warn;

use super::{
    BlueBubbles, FILE_TIMEOUT, SMALL_TIMEOUT, TEXT_TIMEOUT,
    api::ApiError,
    chats::Target,
    outcome::{self, Certainty, Method, certainty},
    rows,
    verify::Found,
    wire::{Chat, Row},
};
use crate::{
    connector::{Attempt, OutgoingFile},
    ledger::{Begun, Ledger, now},
};

/// How late what is of the moment may be.
const OF_THE_MOMENT: std::time::Duration = std::time::Duration::from_secs(2);
/// A script's error that says that it may not control Messages.
const NOT_ALLOWED: i64 = -1743;
/// Errors of scripts that say that nothing was sent, if it was tried once.
const NOTHING_SENT: [i64; 3] = [-1728, -1700, NOT_ALLOWED];
/// What a voice memo has to be called.
const VOICE_MEMO: &str = "Audio Message.caf";

/// What is sent as one request.
enum Piece<'a> {
    Text(&'a str),
    File(&'a OutgoingFile),
    /// Files, and a text if there is one, as one message.
    Together(&'a [OutgoingFile], Option<&'a str>),
}

/// What goes with every request of an item.
struct Way<'a> {
    attempt: &'a Attempt,
    ledger: &'a Ledger,
    method: Method,
    reply_to: Option<&'a str>,
    is_audio: bool,
    /// What earlier requests of the item have come to in Messages.
    used: Vec<String>,
}

#[derive(Deserialize)]
struct Uploaded {
    path: String,
}

impl BlueBubbles {
    pub(super) async fn hand_over(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome {
        let Some(mac) = self.mac.borrow().clone() else { return Outcome::Released };
        let item = &attempt.item;
        let target = match item.is_group {
            true => match self.group_target(ledger, item.line_id, &item.identifier).await {
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
            false => match self.contact_target(item.line_id, &item.identifier).await {
                Ok(target) => target,
                Err(error) => {
                    warn!(item = %item.id, %error, "a chat can't be looked up");
                    self.lost(&error);
                    return Outcome::Released;
                }
            },
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
                let way = Way {
                    attempt,
                    ledger,
                    method: mac.method(),
                    reply_to: reply_to_guid.as_deref(),
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
                self.do_small(attempt, ledger, &guid, other).await
            }
        }
    }

    async fn send_message(&self, way: Way<'_>, target: Target) -> Outcome {
        let Content::Message { text, .. } = &way.attempt.item.content else {
            return failed("It is no message.");
        };
        let text = text.as_deref().filter(|text| !text.trim().is_empty());
        let by_helper = way.method == Method::PrivateApi;
        if (way.reply_to.is_some() || way.is_audio) && !by_helper {
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
        if way.method == Method::PrivateApi {
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
        let body = json!({
            "addresses": [contact], "message": text, "tempGuid": token, "service": "iMessage",
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

    async fn judge(
        &self,
        way: &Way<'_>,
        target: &Target,
        chat: Option<&str>,
        answer: Result<Row, ApiError>,
        search: Begun,
    ) -> Outcome {
        let ledger = way.ledger;
        let error = match answer {
            Ok(row) => {
                // The helper names the message that it has made; the rest of the server guesses which it is.
                let is_named = way.method == Method::PrivateApi;
                if self.is_it(&search, ledger, &row, is_named).await {
                    return self.outcome_of(ledger, &search, &row, target).await;
                }
                warn!(item = %search.item.id, "BlueBubbles answers with another message than was sent");
                return self.look_for(way, target, &search, false).await;
            }
            Err(error) => error,
        };
        let certain = certainty(&error, way.method);
        // Its name alone: a script's error has the message in it.
        warn!(item = %search.item.id, %error, "BlueBubbles did not send");
        match certain {
            Certainty::NotStarted => {
                self.lost(&error);
                Outcome::Released
            }
            Certainty::NoHelper => {
                self.lost_helper();
                Outcome::Released
            }
            Certainty::Refused(why) => {
                if let Some(chat) = chat {
                    self.chats.forget_guid(chat);
                }
                failed(why)
            }
            Certainty::RowFailed { guid, error } => {
                if let Some(guid) = guid {
                    self.disown(ledger, search.item.line_id, &guid).await;
                }
                Outcome::Failed { error: outcome::of_row(error) }
            }
            Certainty::RowFailedSomewhere => self.look_for(way, target, &search, true).await,
            Certainty::Script(code) => self.after_script(way, target, &search, code).await,
            Certainty::HelperSilent => {
                self.lost_helper();
                self.look_for(way, target, &search, false).await
            }
            Certainty::Unknown => {
                self.look.notify_one();
                self.look_for(way, target, &search, false).await
            }
        }
    }

    /// A script ended with an error. The server tries several ways, so the error of the last says nothing of the
    /// others.
    async fn after_script(
        &self,
        way: &Way<'_>,
        target: &Target,
        search: &Begun,
        code: Option<i64>,
    ) -> Outcome {
        if code == Some(NOT_ALLOWED) {
            self.trouble(|troubles| troubles.no_permission = true);
        }
        let nothing_sent = code.is_some_and(|code| NOTHING_SENT.contains(&code));
        if nothing_sent && search.item.is_group {
            return failed("Messages on the Mac refuses the script, so nothing was sent.");
        }
        sleep(self.pace().after_script).await;
        match self.find(search, way.ledger, &way.used).await {
            Ok(Found { alike, others: 0 }) if alike.is_empty() => {
                failed("Messages on the Mac refuses the script, and shows nothing that was sent.")
            }
            Ok(found) => self.of_found(way, target, search, &found.alike, false).await,
            Err(_) => Outcome::Unknown,
        }
    }

    /// Looks for the one message that it can be.
    async fn look_for(
        &self,
        way: &Way<'_>,
        target: &Target,
        search: &Begun,
        has_failed: bool,
    ) -> Outcome {
        match self.find(search, way.ledger, &way.used).await {
            Ok(found) => self.of_found(way, target, search, &found.alike, has_failed).await,
            Err(_) => Outcome::Unknown,
        }
    }

    async fn of_found(
        &self,
        way: &Way<'_>,
        target: &Target,
        search: &Begun,
        alike: &[Row],
        has_failed: bool,
    ) -> Outcome {
        let mut fits = alike.iter().filter(|row| !has_failed || row.failure().is_some());
        match (fits.next(), fits.next()) {
            (Some(row), None) => self.outcome_of(way.ledger, search, row, target).await,
            _ => Outcome::Unknown,
        }
    }

    async fn outcome_of(
        &self,
        ledger: &Ledger,
        search: &Begun,
        row: &Row,
        target: &Target,
    ) -> Outcome {
        if let Some(error) = row.failure() {
            self.disown(ledger, search.item.line_id, &row.guid).await;
            return Outcome::Failed { error: outcome::of_row(error) };
        }
        let known = match target {
            Target::Chat { service, .. } => *service,
            Target::NewContact(_) => None,
        };
        let of_row = || row.chat().map(|chat| super::wire::service_of(row, chat));
        let service: Option<Service> = known.or_else(of_row);
        sent_as(row, service.unwrap_or_default())
    }

    /// A row of Messages that is no message of its own to the server.
    pub(super) async fn disown(&self, ledger: &Ledger, line: Id<Line>, guid: &str) {
        if let Err(error) = ledger.pass_over(line, rows::key(guid)).await {
            warn!(%line, %error, "a part of an item may be told as a message of its own");
        }
    }

    async fn form(
        &self,
        way: &Way<'_>,
        chat: &str,
        file: &OutgoingFile,
        token: &str,
    ) -> Result<Form, Outcome> {
        let name = name_of(file, way.is_audio);
        let mut form = Form::new()
            .text("chatGuid", chat.to_owned())
            .text("tempGuid", token.to_owned())
            .text("name", name.clone())
            .text("method", way.method.name())
            .part("attachment", part(&file.path, name, &file.file.mime_type).await?);
        if way.is_audio {
            form = form.text("isAudioMessage", "true");
        }
        if let Some(reply_to) = way.reply_to {
            form = form.text("selectedMessageGuid", reply_to.to_owned());
        }
        Ok(form)
    }

    /// Brings the files to the Mac, and says what is to be sent. Nothing is sent by this.
    async fn parts(
        &self,
        way: &Way<'_>,
        chat: &str,
        files: &[OutgoingFile],
        text: Option<&str>,
        token: &str,
    ) -> Result<Value, Outcome> {
        let mut parts = Vec::with_capacity(files.len() + 1);
        for file in files {
            let name = name_of(file, way.is_audio);
            let part = part(&file.path, name.clone(), &file.file.mime_type).await?;
            let form = Form::new().part("attachment", part);
            let path = ["attachment", "upload"];
            let uploaded = self.api.send_form::<Uploaded>(&path, form, FILE_TIMEOUT).await;
            let Uploaded { path } = uploaded.map_err(|error| {
                warn!(%error, "a file can't be brought to the Mac");
                match certainty(&error, way.method) {
                    Certainty::NotStarted => {
                        self.lost(&error);
                        Outcome::Released
                    }
                    Certainty::NoHelper => {
                        self.lost_helper();
                        Outcome::Released
                    }
                    _ => failed("A file could not be brought to the Mac, so nothing was sent."),
                }
            })?;
            parts.push(json!({"partIndex": parts.len(), "attachment": path, "name": name}));
        }
        if let Some(text) = text {
            parts.push(json!({"partIndex": parts.len(), "text": text}));
        }
        let mut body = json!({"chatGuid": chat, "tempGuid": token, "parts": parts});
        if let Some(reply_to) = way.reply_to {
            body["selectedMessageGuid"] = json!(reply_to);
        }
        Ok(body)
    }

    /// Does what is no message.
    async fn do_small(
        &self,
        attempt: &Attempt,
        ledger: &Ledger,
        chat: &str,
        what: &Content,
    ) -> Outcome {
        let answer = match what {
            Content::Reaction { message_guid, reaction_type, remove } => {
                if let ReactionType::Emoji(_) = reaction_type {
                    return failed(
                        "BlueBubbles reacts with the six kinds only, not with an emoji.",
                    );
                }
                let minus = if *remove { "-" } else { "" };
                let body = json!({
                    "chatGuid": chat, "selectedMessageGuid": message_guid, "partIndex": 0,
                    "reaction": format!("{minus}{}", reaction_type.as_str()),
                });
                self.pacer.turn(None).await;
                self.api.send::<Value>(&["message", "react"], &body, TEXT_TIMEOUT).await
            }
            Content::Typing { on: false } => {
                return failed("BlueBubbles can't end a typing indicator: it ends by itself.");
            }
            Content::Typing { .. } | Content::Read => {
                if !self.pacer.turn(Some(OF_THE_MOMENT)).await {
                    return failed("BlueBubbles is too busy for what is of the moment.");
                }
                let deed = if *what == Content::Read { "read" } else { "typing" };
                let path = ["chat", chat, deed];
                self.api
                    .send::<Option<Value>>(&path, &json!({}), SMALL_TIMEOUT)
                    .await
                    .map(|_| Value::Null)
            }
            Content::Message { .. } => return failed("It is a message."),
        };
        let error = match answer {
            Ok(_) => return Outcome::Done { at: now() },
            Err(error) => error,
        };
        warn!(item = %attempt.item.id, %error, "BlueBubbles did not do it");
        match certainty(&error, Method::PrivateApi) {
            Certainty::NotStarted => {
                self.lost(&error);
                Outcome::Released
            }
            Certainty::NoHelper => {
                self.lost_helper();
                failed("This needs BlueBubbles' helper in Messages, which is not there.")
            }
            Certainty::Refused(why) => failed(why),
            certain => {
                if certain == Certainty::HelperSilent {
                    self.lost_helper();
                }
                match what {
                    Content::Reaction { .. } => {
                        let begun = Begun {
                            item: attempt.item.clone(),
                            token: attempt.token,
                            begun_at: attempt.begun_at,
                            mark: attempt.mark.clone(),
                            guid: None,
                        };
                        self.find_reaction(&begun, ledger).await.unwrap_or(Outcome::Unknown)
                    }
                    // It is of the moment, and not worth asking for.
                    _ => failed("Messages did not say that it did it."),
                }
            }
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

fn is_caf(file: &OutgoingFile) -> bool {
    let extension = file.path.extension().and_then(|end| end.to_str());
    extension.is_some_and(|end| end.eq_ignore_ascii_case("caf"))
        || file.file.mime_type.eq_ignore_ascii_case("audio/x-caf")
}

/// The name that the other party is shown.
fn name_of(file: &OutgoingFile, is_audio: bool) -> String {
    let own = || file.path.file_name().map(|name| name.to_string_lossy().into_owned());
    if is_audio { VOICE_MEMO.to_owned() } else { own().unwrap_or_else(|| "file".to_owned()) }
}

/// A file as a part of a form, read as it goes out.
async fn part(path: &Path, name: String, mime_type: &str) -> Result<Part, Outcome> {
    let unreadable = |_| failed("A file on the bridge's disk can't be read, so nothing was sent.");
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let size = file.metadata().await.map_err(unreadable)?.len();
    let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(file));
    let part = Part::stream_with_length(body, size).file_name(name.clone());
    Ok(match part.mime_str(mime_type) {
        Ok(part) => part,
        Err(_) => {
            let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
            let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(file));
            Part::stream_with_length(body, size).file_name(name)
        }
    })
}
