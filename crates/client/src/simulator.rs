//! `/simulator/v1`: virtual phones, with the operator's token. Present only in `dev` or with
//! `--simulator`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_model::{
    Chat, Handle, Message,
    id::Id,
    simulator::{FaultMode, Phone, SimulatedText},
};

use crate::{Answer, ClientBuilder, Result, transport::Transport};

/// Calls `/simulator/v1`. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct SimulatorClient {
    pub(crate) transport: Transport,
}

/// Every method: any [`crate::Error`].
impl SimulatorClient {
    /// A client of the server at `base_url` with the operator's token and the settings of
    /// [`ClientBuilder`].
    pub fn new(base_url: &str, operator_token: &str) -> Result<Self> {
        ClientBuilder::new(base_url).key(operator_token).build_simulator()
    }

    /// A contact texts a line.
    pub async fn text(&self, text: &ContactText) -> Result<Answer<SimulatedText>> {
        self.transport.post("/simulator/v1/messages", text, 201).await
    }

    /// The contact who wrote this message, by its id or guid, edits it.
    pub async fn edit(
        &self,
        message: impl std::fmt::Display,
        text: &str,
    ) -> Result<Answer<SimulatedText>> {
        let body = json!({ "message_id": message.to_string(), "text": text });
        self.transport.post("/simulator/v1/messages/edit", &body, 200).await
    }

    /// The contact who wrote this message, by its id or guid, takes it back.
    pub async fn unsend(&self, message: impl std::fmt::Display) -> Result<Answer<SimulatedText>> {
        let body = json!({ "message_id": message.to_string() });
        self.transport.post("/simulator/v1/messages/unsend", &body, 200).await
    }

    /// A contact reacts to a message, or takes a reaction back. Gives the message; none while
    /// the line's bridge is away.
    pub async fn react(&self, reaction: &ContactReaction) -> Result<Answer<Option<Id<Message>>>> {
        #[derive(Deserialize)]
        struct Reacted {
            message_id: Option<Id<Message>>,
        }
        let answer: Answer<Reacted> =
            self.transport.post("/simulator/v1/reactions", reaction, 201).await?;
        Ok(answer.map(|reacted| reacted.message_id))
    }

    /// A contact begins or stops typing.
    pub async fn typing(&self, contact: &ContactInChat, on: bool) -> Result<Answer<()>> {
        let mut body = json!(contact);
        body["state"] = if on { "on" } else { "off" }.into();
        let answer: Answer<serde_json::Value> =
            self.transport.post("/simulator/v1/typing", &body, 201).await?;
        Ok(answer.map(drop))
    }

    /// A contact reads all that the line wrote in the chat.
    pub async fn read(&self, contact: &ContactInChat) -> Result<Answer<()>> {
        let answer: Answer<serde_json::Value> =
            self.transport.post("/simulator/v1/receipts", contact, 201).await?;
        Ok(answer.map(drop))
    }

    /// Gives a line the advanced features, or takes them away.
    pub async fn capabilities(&self, line: &str, advanced: bool) -> Result<Answer<()>> {
        let body = json!({ "line": line, "advanced_features": advanced });
        let path = "/simulator/v1/lines/capabilities";
        let answer: Answer<serde_json::Value> = self.transport.post(path, &body, 200).await?;
        Ok(answer.map(drop))
    }

    /// What this contact's phone shows: its messages, oldest first, and what goes with them.
    pub async fn phone(&self, handle: &str) -> Result<Answer<Phone>> {
        let query = [("handle", handle)];
        self.transport.get("/simulator/v1/phones", &query).await
    }

    /// Makes a group of these contacts with a line.
    pub async fn group(
        &self,
        line: &str,
        name: Option<&str>,
        participants: &[&str],
    ) -> Result<Answer<Id<Chat>>> {
        #[derive(Deserialize)]
        struct Group {
            chat_id: Id<Chat>,
        }
        let mut body = json!({ "line": line, "participants": participants });
        if let Some(name) = name {
            body["name"] = name.into();
        }
        let answer: Answer<Group> = self.transport.post("/simulator/v1/groups", &body, 201).await?;
        Ok(answer.map(|group| group.chat_id))
    }

    /// Makes a line go wrong, or right again.
    pub async fn fault(&self, fault: &SetFault) -> Result<Answer<FaultSet>> {
        self.transport.post("/simulator/v1/faults", fault, 200).await
    }
}

/// A contact's message to a line: a text, files, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ContactText {
    /// The line's handle.
    pub line: String,
    /// The contact's handle.
    pub from: String,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The group it is said in, `cht_…`; none for the 1:1 chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<String>,
    /// The message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to_guid: Option<String>,
    /// Files that go with it; at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<ContactFile>,
    /// Whether its one file is a voice memo.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_audio_message: bool,
}

impl ContactText {
    /// A text in the 1:1 chat.
    pub fn new(line: &str, from: &str, text: &str) -> Self {
        Self {
            line: line.to_owned(),
            from: from.to_owned(),
            text: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// A file in the 1:1 chat, with no text.
    pub fn file(line: &str, from: &str, file: ContactFile) -> Self {
        Self {
            line: line.to_owned(),
            from: from.to_owned(),
            attachments: vec![file],
            ..Self::default()
        }
    }

    /// A voice memo in the 1:1 chat.
    pub fn voice_memo(line: &str, from: &str, memo: ContactFile) -> Self {
        Self { is_audio_message: true, ..Self::file(line, from, memo) }
    }
}

/// A file that a contact sends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ContactFile {
    /// Its bytes in base64.
    pub data: String,
    /// Its type.
    pub mime_type: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What is said in a voice memo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcription: Option<String>,
}

impl ContactFile {
    /// These bytes, of this type.
    pub fn new(mime_type: &str, bytes: &[u8]) -> Self {
        let (data, mime_type) = (BASE64_STANDARD.encode(bytes), mime_type.to_owned());
        Self { data, mime_type, ..Self::default() }
    }

    /// Its name.
    #[must_use]
    pub fn filename(mut self, name: &str) -> Self {
        self.filename = Some(name.to_owned());
        self
    }

    /// What is said in a voice memo.
    #[must_use]
    pub fn transcription(mut self, text: &str) -> Self {
        self.transcription = Some(text.to_owned());
        self
    }
}

/// A contact's reaction to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContactReaction {
    /// The line's handle.
    pub line: String,
    /// The contact's handle.
    pub from: String,
    /// The message, by its guid.
    pub message_guid: String,
    /// One of the six kinds, or one emoji.
    #[serde(rename = "type")]
    pub reaction_type: String,
    /// Whether it is taken back.
    pub remove: bool,
}

impl ContactReaction {
    /// This reaction to this message.
    pub fn new(line: &str, from: &str, message_guid: &str, reaction_type: &str) -> Self {
        Self {
            line: line.to_owned(),
            from: from.to_owned(),
            message_guid: message_guid.to_owned(),
            reaction_type: reaction_type.to_owned(),
            remove: false,
        }
    }

    /// Takes the reaction back instead.
    #[must_use]
    pub fn remove(mut self) -> Self {
        self.remove = true;
        self
    }
}

/// A contact in a chat of a line: who types or reads, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContactInChat {
    /// The line's handle.
    pub line: String,
    /// The contact's handle.
    pub from: String,
    /// The group, `cht_…`; none for the 1:1 chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<String>,
}

impl ContactInChat {
    /// The contact in the 1:1 chat.
    pub fn new(line: &str, from: &str) -> Self {
        Self { line: line.to_owned(), from: from.to_owned(), chat_id: None }
    }

    /// The contact in this group.
    pub fn in_group(line: &str, from: &str, chat_id: impl std::fmt::Display) -> Self {
        Self { chat_id: Some(chat_id.to_string()), ..Self::new(line, from) }
    }
}

/// What is to go wrong on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetFault {
    /// The line's handle.
    pub line: String,
    /// How.
    pub mode: FaultMode,
    /// For `slow`: how long each item takes. For `offline`: after how long the bridge comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// For `reject`, `slow` and `lose_report`: for how many items; none means until it is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl SetFault {
    /// This mode until it is changed.
    pub fn new(line: &str, mode: FaultMode) -> Self {
        Self { line: line.to_owned(), mode, ms: None, count: None }
    }
}

/// What goes wrong on a line from now on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FaultSet {
    /// The line.
    pub line: Handle,
    /// How.
    pub mode: FaultMode,
    /// How long, in milliseconds.
    pub ms: Option<u64>,
    /// For how many items.
    pub count: Option<u32>,
}
