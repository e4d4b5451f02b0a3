//! `/admin/v1`: what the operator does, with the operator's token.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::json;
use switchboard_model::{
    Account, Bridge, Key, Scopes, Timestamp,
    key::RevokedKey,
    line::{DriverKind, LineService, LoopLimit, OperatorLine},
    page::List,
    secret::{Secret, SecretKind},
};

use crate::{Answer, ClientBuilder, Result, transport::Transport};

/// Calls `/admin/v1`. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct AdminClient {
    pub(crate) transport: Transport,
}

/// Every method: any [`crate::Error`].
impl AdminClient {
    /// A client of the server at `base_url` with the operator's token and the settings of
    /// [`ClientBuilder`].
    pub fn new(base_url: &str, operator_token: &str) -> Result<Self> {
        ClientBuilder::new(base_url).key(operator_token).build_admin()
    }

    /// Makes an account.
    pub async fn create_account(&self, name: &str) -> Result<Answer<Account>> {
        let body = json!({ "name": name });
        self.transport.post("/admin/v1/accounts", &body, 201).await
    }

    /// All accounts.
    pub async fn accounts(&self) -> Result<Answer<List<Account>>> {
        self.transport.get("/admin/v1/accounts", &[]).await
    }

    /// Makes a line.
    pub async fn create_line(&self, line: &CreateLine) -> Result<Answer<OperatorLine>> {
        self.transport.post("/admin/v1/lines", line, 201).await
    }

    /// From now on the line may answer one contact as often as this; none is no limit.
    pub async fn set_loop_limit(
        &self,
        line: impl fmt::Display + Send,
        limit: Option<LoopLimit>,
    ) -> Result<Answer<OperatorLine>> {
        let changes = LineChanges { loop_limit: Some(limit), ..LineChanges::default() };
        self.update_line(line, &changes).await
    }

    /// Changes a line, `ln_…`: all of it, or nothing.
    pub async fn update_line(
        &self,
        line: impl fmt::Display + Send,
        changes: &LineChanges,
    ) -> Result<Answer<OperatorLine>> {
        let mut body = json!({ "id": line.to_string() });
        if let Some(bridge) = &changes.bridge_id {
            body["bridge_id"] = bridge.as_str().into();
        }
        if let Some(limit) = changes.loop_limit {
            body["loop_limit"] =
                limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string()).into();
        }
        self.transport.patch("/admin/v1/lines", &body).await
    }

    /// All lines.
    pub async fn lines(&self) -> Result<Answer<List<OperatorLine>>> {
        self.transport.get("/admin/v1/lines", &[]).await
    }

    /// Gives this line, `ln_…`, a second bridge, `brg_…`, that takes it over when the first is away; with none, takes it
    /// away.
    pub async fn set_standby(
        &self,
        line: impl fmt::Display + Send,
        bridge: Option<&str>,
    ) -> Result<Answer<OperatorLine>> {
        let body = json!({ "id": line.to_string(), "bridge_id": bridge });
        self.transport.post("/admin/v1/lines/standby", &body, 200).await
    }

    /// Lets the standby of this line, `ln_…`, carry it from now on. One that could not carry it now is refused, unless it
    /// is forced.
    pub async fn take_over_line(
        &self,
        line: impl fmt::Display + Send,
        force: bool,
    ) -> Result<Answer<OperatorLine>> {
        let body = json!({ "id": line.to_string(), "force": force });
        self.transport.post("/admin/v1/lines/take-over", &body, 200).await
    }

    /// Makes a key. Its secret is in this answer and in no other.
    pub async fn create_key(&self, key: &CreateKey) -> Result<Answer<CreatedKey>> {
        self.transport.post("/admin/v1/keys", key, 201).await
    }

    /// All keys, without their secrets.
    pub async fn keys(&self) -> Result<Answer<List<Key>>> {
        self.transport.get("/admin/v1/keys", &[]).await
    }

    /// From now on this key is refused: `key_…`. The webhooks that it has made go on.
    pub async fn revoke_key(&self, id: impl fmt::Display + Send) -> Result<Answer<RevokedKey>> {
        let body = json!({ "id": id.to_string() });
        self.transport.post("/admin/v1/keys/revoke", &body, 200).await
    }

    /// From now on this key is refused, and the webhooks that it has made are disabled.
    pub async fn revoke_key_and_webhooks(
        &self,
        id: impl fmt::Display + Send,
    ) -> Result<Answer<RevokedKey>> {
        let body = json!({ "id": id.to_string(), "disable_webhooks": true });
        self.transport.post("/admin/v1/keys/revoke", &body, 200).await
    }

    /// Makes a bridge. Its token is in this answer and in no other.
    pub async fn create_bridge(&self, bridge: &CreateBridge) -> Result<Answer<CreatedBridge>> {
        self.transport.post("/admin/v1/bridges", bridge, 201).await
    }

    /// All bridges, without their tokens.
    pub async fn bridges(&self) -> Result<Answer<List<Bridge>>> {
        self.transport.get("/admin/v1/bridges", &[]).await
    }

    /// From now on this bridge is refused: `brg_…`.
    pub async fn revoke_bridge(&self, id: impl fmt::Display + Send) -> Result<Answer<Bridge>> {
        let body = json!({ "id": id.to_string() });
        self.transport.post("/admin/v1/bridges/revoke", &body, 200).await
    }
}

/// What is to change of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineChanges {
    /// The bridge that is to carry it, `brg_…`, if it has none.
    pub bridge_id: Option<String>,
    /// How often it may answer one contact; none within is no limit.
    pub loop_limit: Option<Option<LoopLimit>>,
}

/// A line to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateLine {
    /// Whose it is: `acc_…`.
    pub account_id: String,
    /// Its phone number or Apple ID.
    pub handle: String,
    /// What the owner calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it sends by; none means auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<LineService>,
    /// How it is carried.
    pub driver: DriverKind,
    /// By which bridge: `brg_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_id: Option<String>,
    /// By which other bridge, when that one is away: `brg_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby_bridge_id: Option<String>,
    /// Whether contacts must have written first; none means the server's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_first: Option<bool>,
    /// How often it may answer one contact before it must rest; none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_limit: Option<LoopLimit>,
    /// Whether it is the server's shared sandbox line, of which there is at most one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_sandbox: bool,
}

impl CreateLine {
    /// A line with the server's defaults.
    pub fn new(account_id: impl fmt::Display, handle: &str, driver: DriverKind) -> Self {
        Self {
            account_id: account_id.to_string(),
            handle: handle.to_owned(),
            label: None,
            service: None,
            driver,
            bridge_id: None,
            standby_bridge_id: None,
            contact_first: None,
            loop_limit: None,
            is_sandbox: false,
        }
    }
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateKey {
    /// Whose it is: `acc_…`; none for a key of no account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// What the operator calls it.
    pub name: String,
    /// What it may do.
    pub scopes: KeyScopes,
    /// The lines it is restricted to, `ln_…`; none means every line of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_ids: Option<Vec<String>>,
    /// From then on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Requests an hour; none means the server's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
}

impl CreateKey {
    /// A key of this account with all scopes and no restriction.
    pub fn new(account_id: impl fmt::Display, name: &str) -> Self {
        Self { account_id: Some(account_id.to_string()), ..Self::of_no_account(name) }
    }

    /// A key that belongs to no account, with all scopes and no restriction.
    pub fn of_no_account(name: &str) -> Self {
        Self {
            account_id: None,
            name: name.to_owned(),
            scopes: KeyScopes::All,
            line_ids: None,
            expires_at: None,
            rate_limit: None,
        }
    }
}

/// The scopes of a key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyScopes {
    /// All that the server knows: `"all"`.
    All,
    /// These.
    Only(Scopes),
}

impl Serialize for KeyScopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Only(scopes) => scopes.serialize(serializer),
        }
    }
}

/// A key that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CreatedKey {
    /// The key as lists show it.
    #[serde(flatten)]
    pub key: Key,
    /// What opens with it: to be kept now or never.
    #[serde(rename = "key", deserialize_with = "api_key")]
    pub secret: Secret,
}

/// A bridge to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateBridge {
    /// What the operator calls it; unique.
    pub name: String,
    /// How it talks to Messages.
    pub driver: DriverKind,
}

/// A bridge that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CreatedBridge {
    /// The bridge as lists show it.
    #[serde(flatten)]
    pub bridge: Bridge,
    /// What it proves itself with: to be kept now or never.
    #[serde(deserialize_with = "bridge_token")]
    pub token: Secret,
}

fn api_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    secret(SecretKind::ApiKey, deserializer)
}

fn bridge_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    secret(SecretKind::Bridge, deserializer)
}

fn secret<'de, D: Deserializer<'de>>(
    kind: SecretKind,
    deserializer: D,
) -> Result<Secret, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The message must not repeat the text: it may be a good secret of another kind.
    Secret::parse(kind, &text).ok_or_else(|| D::Error::custom("not a secret of the wanted kind"))
}
