//! Webhooks: where events go.

use switchboard_model::{
    Account, EventKind, Key, Line, Scopes, Timestamp, Webhook,
    delivery::Secrets,
    id::Id,
    time::Now,
    webhook::{
        IllegalStep, RotatedWebhook, UpdatedWebhook, WebhookSecret, WebhookState, WebhookStep,
    },
};

use crate::{IdempotencyRecordWith, Idempotent, Refusal, Result};

#[cfg(doc)]
use crate::Deliveries;

/// What a caller may touch of its account: as much as its key lets it.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Whose.
    pub account: Id<Account>,
    /// The lines that the key may use; none for all.
    pub lines: Option<Vec<Id<Line>>>,
    /// What the key may do.
    pub scopes: Scopes,
}

impl Grant {
    /// All that is the account's.
    pub fn whole(account: Id<Account>) -> Self {
        Self { account, lines: None, scopes: Scopes::all() }
    }

    /// Refuses a webhook that also serves lines which the key is not for, be it only lines that are still to come:
    /// none means every line of the account.
    pub(crate) fn must_reach(
        &self,
        webhook: Option<&[Id<Line>]>,
    ) -> std::result::Result<(), Refusal> {
        match (&self.lines, webhook) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::WebhookForAllLines),
            (Some(lines), Some(wanted)) if wanted.iter().all(|line| lines.contains(line)) => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::LineNotAccessible),
        }
    }

    /// Refuses events whose read scope the key lacks.
    pub(crate) fn must_read(&self, events: &[EventKind]) -> std::result::Result<(), Refusal> {
        let lacks = events.iter().map(|event| event.scope());
        match lacks.into_iter().find(|scope| !self.scopes.contains(*scope)) {
            Some(scope) => Err(Refusal::InsufficientScope { scope }),
            None => Ok(()),
        }
    }
}

/// What is to be changed of a webhook; nothing of what is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChanges {
    /// Where events go from now on.
    pub url: Option<String>,
    /// Which events from now on.
    pub events: Option<Vec<EventKind>>,
    /// Whether it gets any.
    pub is_active: Option<bool>,
}

impl WebhookChanges {
    /// Whether they let somebody get events: taking away asks for no more than the webhook.
    pub(crate) fn let_events_go(&self) -> bool {
        self.url.is_some() || self.events.is_some() || self.is_active == Some(true)
    }

    /// The state of a webhook that was in this one.
    pub(crate) fn applied_to(
        &self,
        mut state: WebhookState,
        now: Timestamp,
    ) -> std::result::Result<WebhookState, IllegalStep> {
        let redirect = self.url.as_ref().map(|_| WebhookStep::Redirect);
        let switch = self.is_active.map(|on| match on {
            true => WebhookStep::Enable,
            false => WebhookStep::Disable,
        });
        for step in redirect.into_iter().chain(switch) {
            state = state.after(step, now)?;
        }
        Ok(state)
    }
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Its id: given by the caller, so that the answer can be made before the transaction.
    pub id: Id<Webhook>,
    /// Whose.
    pub account_id: Id<Account>,
    /// The lines whose events it gets; none means every line of the account, future ones too.
    pub line_ids: Option<Vec<Id<Line>>>,
    /// Where events go.
    pub url: String,
    /// Which events.
    pub events: Vec<EventKind>,
    /// What deliveries are signed with.
    pub secret: WebhookSecret,
    /// The key that makes it.
    pub created_by: Option<Id<Key>>,
}

/// A webhook, as somebody who sends to it by himself needs it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where events go.
    pub url: String,
    /// What they are signed with.
    pub secrets: Secrets,
    /// Which events it gets.
    pub events: Vec<EventKind>,
    /// The lines whose events it gets; none means every line of the account.
    pub line_ids: Option<Vec<Id<Line>>>,
}

/// Webhooks: where events go.
///
/// What a caller names is looked for in this order: [`Refusal::WebhookNotFound`] if it is not the account's;
/// [`Refusal::LineNotAccessible`] or [`Refusal::WebhookForAllLines`] if it serves lines that the key is not
/// for; [`Refusal::InsufficientScope`] if the key may not read an event that the webhook would get.
#[async_trait::async_trait]
pub trait Webhooks: Send + Sync {
    /// Makes a webhook. [`Refusal::TooManyWebhooks`]; [`Refusal::LineNotFound`] if a line is neither the
    /// account's nor the sandbox line.
    async fn create_webhook(
        &self,
        webhook: NewWebhook,
        remember: Option<IdempotencyRecordWith<Webhook>>,
        now: Timestamp,
    ) -> Result<Idempotent<Webhook>>;

    /// The webhooks of this account, oldest first, without secrets. One for all lines lists those that there are now.
    async fn webhooks(&self, account: Id<Account>, now: Timestamp) -> Result<Vec<Webhook>>;

    /// Changes a webhook, from the next event and the next attempt on, and answers what it is then. One that is
    /// enabled begins anew: neither when it was disabled nor since when it fails is known of it any more; instead
    /// it is told since when it has missed events: a replay from then on sends whatever was given up since it began
    /// to fail, and all that came after it was disabled. One that is disabled so was disabled by hand. Only what
    /// lets events go asks for scopes.
    async fn update_webhook(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        changes: WebhookChanges,
        remember: Option<IdempotencyRecordWith<UpdatedWebhook>>,
        now: Timestamp,
    ) -> Result<Idempotent<UpdatedWebhook>>;

    /// Gives a webhook a new secret; the one before it is valid until `until` too, and the one before that no more.
    async fn rotate_secret(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        secret: WebhookSecret,
        until: Timestamp,
        remember: Option<IdempotencyRecordWith<RotatedWebhook>>,
        now: Now,
    ) -> Result<Idempotent<RotatedWebhook>>;

    /// Where the events of a webhook go, and what they are signed with; also of a disabled one.
    async fn endpoint(&self, grant: Grant, id: Id<Webhook>) -> Result<Endpoint>;

    /// Removes a webhook. It gets nothing more at once; what was still due of it is removed by
    /// [`Deliveries::give_up_deliveries`]. Asks for no scopes.
    async fn delete_webhook(&self, grant: Grant, id: Id<Webhook>) -> Result<()>;

    /// Erases secrets before the last rotation that are not valid any more, at most `limit`; answers how many.
    async fn forget_secrets(&self, now: Timestamp, limit: usize) -> Result<usize>;
}
