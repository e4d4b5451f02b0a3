//! A server with two accounts and something of everything in them, for the tables of cases.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_client::{
    CreateBridge, CreateKey, CreateReplay, CreateWebhook, Deliveries, KeyScopes, SendMessage,
};
use switchboard_model::{
    Account, Bridge, EventKind, Key, Line, OutboxItem, Scope, Scopes, Timestamp,
    id::Id,
    line::DriverKind,
    link::ReconciledState,
    outbox::OutboxStatus,
    secret::{Secret, SecretKind},
};
use switchboard_store::NewKey;
use switchboard_testkit::{LINE, Setup, Tenant, TestServer, eventually};

use crate::{
    bridge::{Link, Mac},
    call::Call,
    fixtures::{Sample, reads},
};

/// The other line of the first account.
pub(crate) const SECOND: &str = "+15550100003";
/// A line of the first account that nobody has written to and that may write to strangers.
pub(crate) const OPEN: &str = "+15550100004";
/// The line of the other account.
pub(crate) const THEIRS: &str = "+15550100005";
/// Who has written to all lines.
pub(crate) const CONTACT: &str = "+15550100002";
/// Who has written to nobody.
pub(crate) const STRANGER: &str = "+15550100009";
/// The shared line, with which no account is paired yet.
pub(crate) const SANDBOX: &str = "+15550100000";
/// The line that a bridge on a Mac carries.
pub(crate) const MAC: &str = "+15550100008";
/// No line at all.
pub(crate) const NO_LINE: &str = "+15550100077";
/// The largest file that the server of [`World`] takes.
pub(crate) const MAX_FILE: usize = 10_000;
/// How long anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// One line with one of everything on it.
#[derive(Debug, Clone)]
pub(crate) struct Things {
    pub(crate) line: String,
    pub(crate) line_id: String,
    pub(crate) chat: String,
    pub(crate) message: String,
    pub(crate) guid: String,
    pub(crate) item: String,
    pub(crate) webhook: String,
    pub(crate) file: String,
    /// A file that can be a voice memo.
    pub(crate) memo: String,
    /// To the webhook.
    pub(crate) delivery: String,
    /// Of the webhook.
    pub(crate) replay: String,
}

pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) owner: Tenant,
    /// On the owner's first line, which the restricted key is not for.
    pub(crate) first: Things,
    /// On the owner's second line, the only one of the restricted key.
    pub(crate) second: Things,
    /// On the other account's line.
    pub(crate) theirs: Things,
    /// The owner's key for the second line only.
    pub(crate) restricted: String,
    /// A key of no account.
    pub(crate) homeless: String,
    pub(crate) homeless_id: Id<Key>,
    /// The token of a bridge, and its line.
    pub(crate) bridge: String,
    pub(crate) bridge_line: String,
    /// A file that this bridge is to send.
    pub(crate) bridge_file: String,
    pub(crate) _link: Link,
    /// Another bridge, that has never dialled.
    pub(crate) spare: Id<Bridge>,
    /// A line of a third account, for which that one stands by.
    pub(crate) stood_by: Id<Line>,
}

impl World {
    pub(crate) async fn make() -> Self {
        // Boxed, for the tests that hold it would be large otherwise.
        Box::pin(Self::furnish()).await
    }

    async fn furnish() -> Self {
        // So small that a large body is still sent whole before the refusal comes.
        let setup = Setup::new().config(|config| {
            config.max_body = 4096;
            config.max_file = MAX_FILE as u64;
        });
        let server = setup.start().await;
        let owner = server.tenant(LINE).await;
        let other = server.tenant(THEIRS).await;
        let second = add_line(&server, owner.account, SECOND).await;
        server.open_line(owner.account, OPEN).await;
        let first = things(&server, &owner, LINE, owner.line_id).await;
        let second = things(&server, &owner, SECOND, second.id).await;
        let theirs = things(&server, &other, THEIRS, other.line_id).await;
        let restricted = key(&server, owner.account, &Scope::ALL, &[&second.line_id]).await;
        let homeless = server.admin().create_key(&CreateKey::of_no_account("homeless")).await;
        let homeless = homeless.unwrap().value;
        let (homeless, homeless_id) = (homeless.secret.reveal().to_owned(), homeless.key.id);
        server.sandbox_line(SANDBOX).await;
        let mac = Mac::make(&server, &owner, MAC).await;
        let bridge_file = Sample::png().uploaded(&server, &owner.key).await;
        let body = send_with(&json!({ "from": MAC, "attachments": [bridge_file] }));
        let sent = Call::post("/v1/messages", &body).key(&owner.key).send(&server.url).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        let mut link = mac.dial(&server).await;
        link.take(&mac.line, &ReconciledState::NeverStarted).await;
        assert_eq!(link.items().await.len(), 1);
        let spare = CreateBridge { name: "spare".into(), driver: DriverKind::Imsg };
        let spare = server.admin().create_bridge(&spare).await.unwrap().value.bridge.id;
        let third = server.admin().create_account("third").await.unwrap().value.id;
        let mut stood_by =
            switchboard_client::CreateLine::new(third, "+15550100066", DriverKind::Imsg);
        stood_by.bridge_id = Some(mac.id.to_string());
        stood_by.standby_bridge_id = Some(spare.to_string());
        let stood_by = server.admin().create_line(&stood_by).await.unwrap().value.line.id;
        Self {
            server,
            owner,
            first,
            second,
            theirs,
            restricted,
            homeless,
            homeless_id,
            bridge: mac.token,
            bridge_line: mac.line.id.to_string(),
            bridge_file,
            _link: link,
            spare,
            stood_by,
        }
    }

    /// A key of the owner with every scope but this.
    pub(crate) async fn key_without(&self, missing: Scope) -> String {
        let scopes: Vec<_> = Scope::ALL.into_iter().filter(|scope| *scope != missing).collect();
        key(&self.server, self.owner.account, &scopes, &[]).await
    }

    /// A key of the owner that has ended.
    pub(crate) async fn expired_key(&self) -> String {
        // None is made that has ended already.
        let secret = Secret::from_random(SecretKind::ApiKey, rand::random());
        let key = NewKey {
            account_id: Some(self.owner.account),
            name: "expired".to_owned(),
            hint: secret.hint(),
            hash: secret.hash(),
            scopes: Scopes::all(),
            line_ids: None,
            rate_limit: None,
            expires_at: Some(Timestamp(2)),
        };
        self.server.store.create_key(key, Timestamp(1)).await.unwrap();
        secret.reveal().to_owned()
    }

    /// A key of the owner that was revoked.
    pub(crate) async fn revoked_key(&self) -> String {
        let admin = self.server.admin();
        let key = CreateKey::new(self.owner.account, "revoked");
        let key = admin.create_key(&key).await.unwrap().value;
        admin.revoke_key(key.key.id).await.unwrap();
        key.secret.reveal().to_owned()
    }

    /// A key of the owner with this many requests an hour.
    pub(crate) async fn limited_key(&self, rate_limit: u32) -> String {
        let mut key = CreateKey::new(self.owner.account, "limited");
        key.rate_limit = Some(rate_limit);
        self.server.admin().create_key(&key).await.unwrap().value.secret.reveal().to_owned()
    }
}

/// The body of a send that is accepted, with these fields in place of its own.
pub(crate) fn send_with(changes: &Value) -> Value {
    let mut body = json!({ "from": LINE, "to": CONTACT, "text": "x" });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A key with these scopes, restricted to these lines if there are any.
pub(crate) async fn key(
    server: &TestServer,
    account: Id<Account>,
    scopes: &[Scope],
    lines: &[&str],
) -> String {
    let mut key = CreateKey::new(account, "test");
    key.scopes = KeyScopes::Only(scopes.iter().copied().collect());
    key.line_ids = (!lines.is_empty()).then(|| lines.iter().map(ToString::to_string).collect());
    server.admin().create_key(&key).await.unwrap().value.secret.reveal().to_owned()
}

/// Makes a simulated line of this account.
pub(crate) async fn add_line(server: &TestServer, account: Id<Account>, handle: &str) -> Line {
    let line = switchboard_client::CreateLine::new(account, handle, DriverKind::Simulator);
    let line = server.admin().create_line(&line).await.unwrap().value.line;
    // It can be texted once its bridge has heard of it.
    eventually("the line is carried", async || {
        let lines = server.admin().lines().await.unwrap().value.data;
        lines.iter().find(|one| one.line.id == line.id)?.line.advanced_features.then_some(())
    })
    .await;
    line
}

/// Waits until an item is where it is wanted.
pub(crate) async fn settled(
    tenant: &Tenant,
    id: Id<OutboxItem>,
    wanted: OutboxStatus,
) -> OutboxItem {
    eventually(&format!("the item is {wanted:?}"), async || {
        let item = tenant.client.outbox(id).await.unwrap().value;
        (item.status == wanted).then_some(item)
    })
    .await
}

async fn things(server: &TestServer, tenant: &Tenant, line: &str, line_id: Id<Line>) -> Things {
    let texted = server.text(line, CONTACT, "hello").await;
    let send = SendMessage::text(line, CONTACT, "hello yourself");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    settled(tenant, item, OutboxStatus::Sent).await;
    let events = [EventKind::ReactionAdded, EventKind::ReceiptRead];
    let webhook = CreateWebhook::new(line, "http://127.0.0.1:1999/hook", events);
    let webhook = tenant.client.create_webhook(&webhook).await.unwrap().value.id;
    reads(server, line, CONTACT).await;
    let deliveries = Deliveries::of_webhook(webhook);
    let delivery = eventually("there is a delivery", async || {
        let page = tenant.client.deliveries(&deliveries).send().await.unwrap().value;
        page.data.first().map(|delivery| delivery.id)
    })
    .await;
    let replay = CreateReplay::since(webhook, Timestamp(1));
    let replay = tenant.client.create_replay(&replay).await.unwrap().value.id;
    Things {
        line: line.to_owned(),
        line_id: line_id.to_string(),
        chat: texted.chat_id.unwrap().to_string(),
        message: texted.message_id.unwrap().to_string(),
        guid: texted.guid,
        item: item.to_string(),
        webhook: webhook.to_string(),
        file: Sample::png().uploaded(server, &tenant.key).await,
        memo: Sample::memo().uploaded(server, &tenant.key).await,
        delivery: delivery.to_string(),
        replay: replay.to_string(),
    }
}
