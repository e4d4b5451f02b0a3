//! `/simulator/v1`: virtual phones, with the operator's token. Present only in `dev` or with
//! `--simulator`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_model::{
    Chat, Handle,
    id::Id,
    simulator::{FaultMode, PhoneMessage, SimulatedText},
};

use crate::{
    Answer, ClientBuilder, Result,
    shape::{FAULT, PHONE, SIMULATED_GROUP, SIMULATED_TEXT},
    transport::{Expect, Transport},
};

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
        self.transport.post("/simulator/v1/messages", text, 201, &SIMULATED_TEXT).await
    }

    /// What this contact's phone shows, oldest first.
    pub async fn phone(&self, handle: &str) -> Result<Answer<Vec<PhoneMessage>>> {
        #[derive(Deserialize)]
        struct Phone {
            messages: Vec<PhoneMessage>,
        }
        let query = [("handle", handle)];
        let answer: Answer<Phone> =
            self.transport.get("/simulator/v1/phones", &query, Expect::One(&PHONE)).await?;
        Ok(answer.map(|phone| phone.messages))
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
        let answer: Answer<Group> =
            self.transport.post("/simulator/v1/groups", &body, 201, &SIMULATED_GROUP).await?;
        Ok(answer.map(|group| group.chat_id))
    }

    /// Makes a line go wrong, or right again.
    pub async fn fault(&self, fault: &SetFault) -> Result<Answer<FaultSet>> {
        self.transport.post("/simulator/v1/faults", fault, 200, &FAULT).await
    }
}

/// A contact's text to a line.
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
