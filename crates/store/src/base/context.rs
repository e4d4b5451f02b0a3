//! What every writing command needs to know: the line, and who listens to its account.

use std::sync::Arc;

use switchboard_model::{
    Account, Bridge, EventKind, Handle, Line, Webhook,
    delivery::Secrets,
    id::Id,
    line::{Capability, LineService, LoopLimit},
};

/// A line, as the writing commands need it.
#[derive(Debug)]
pub(crate) struct CachedLine {
    pub(crate) id: Id<Line>,
    /// Whose it is. On the sandbox line, a chat may be another account's.
    pub(crate) account_id: Id<Account>,
    pub(crate) handle: Handle,
    pub(crate) service: LineService,
    pub(crate) is_active: bool,
    pub(crate) contact_first: bool,
    pub(crate) is_sandbox: bool,
    pub(crate) loop_limit: Option<LoopLimit>,
    pub(crate) capabilities: Vec<Capability>,
    /// Whether its bridge has ever said what it can do.
    pub(crate) capabilities_told: bool,
    pub(crate) bridge_id: Option<Id<Bridge>>,
    pub(crate) standby_bridge_id: Option<Id<Bridge>>,
    /// Whether another bridge than this may still hold claims of it.
    pub(crate) was_taken_over: bool,
}

impl CachedLine {
    /// Whether it can do this. Of a line whose bridge has never said anything, it is taken that it can do what goes
    /// with plain texts.
    pub(crate) fn can(&self, what: Capability) -> bool {
        let is_plain =
            matches!(what, Capability::Attachments | Capability::NewChats | Capability::Groups);
        self.capabilities.contains(&what) || (is_plain && !self.capabilities_told)
    }
}

/// An active webhook.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) webhook_id: Id<Webhook>,
    pub(crate) url: Arc<str>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) line_ids: Option<Vec<Id<Line>>>,
    pub(crate) events: Vec<EventKind>,
}

impl Subscriber {
    /// Whether it gets this event of this line.
    pub(crate) fn wants(&self, kind: EventKind, line: Id<Line>) -> bool {
        self.events.contains(&kind)
            && self.line_ids.as_ref().is_none_or(|lines| lines.contains(&line))
    }
}
