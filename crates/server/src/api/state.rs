//! What handlers may touch: each names the parts that it needs, and gets no more.

use std::sync::Arc;

use axum::extract::FromRef;
use switchboard_model::{page::CursorKey, simulator::SimulatedPhones, time::Clock};
use switchboard_store::{
    Accounts, Bridges as BridgesStore, Chats, Deliveries, Events, Inbox, Keys, Lines, Messages,
    Outbox, Reactions, Receipts, Replays, Sandboxes, Store, Typing, Webhooks,
};

use super::{
    admin::keys::KeyHolders,
    files::Transfers,
    http::{body::BodyLimits, idempotency::Idempotency},
    messages::History,
    outbox::Outgoing,
    simulator::Phones,
};
use crate::{
    auth_cache::AuthCache,
    deliver::Deliver,
    health::Monitor,
    hub::Hub,
    link::{Bridges, Links},
    metrics::Metrics,
    openapi::Documents,
    publish::Publisher,
    ssrf::Guard,
    stream::LiveStreams,
};

/// All of the parts.
#[derive(Clone)]
pub(crate) struct ApiState(Arc<Parts>);

/// What [`ApiState`] is made of.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cursors: Arc<CursorKey>,
    pub(crate) auth_cache: Arc<AuthCache>,
    pub(crate) body_limits: BodyLimits,
    pub(crate) idempotency: Arc<Idempotency>,
    pub(crate) outgoing: Arc<Outgoing>,
    pub(crate) history: Arc<History>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) links: Arc<Links>,
    pub(crate) bridges: Arc<Bridges>,
    pub(crate) deliver: Arc<Deliver>,
    pub(crate) guard: Guard,
    pub(crate) max_replays: MaxReplays,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) key_holders: Arc<KeyHolders>,
    pub(crate) live_streams: Arc<LiveStreams>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) documents: Documents,
    pub(crate) phones: Option<Arc<dyn SimulatedPhones>>,
}

/// Replays of one account that run at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxReplays(pub(crate) u32);

impl ApiState {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Whether there are virtual phones.
    pub(crate) fn has_simulator(&self) -> bool {
        self.0.phones.is_some()
    }
}

/// A part for whoever names it.
macro_rules! parts {
    ($($part:ident: $what:ty),+ $(,)?) => {$(
        impl FromRef<ApiState> for $what {
            fn from_ref(state: &ApiState) -> Self {
                state.0.$part.clone()
            }
        }
    )+};
}

parts! {
    clock: Arc<dyn Clock>,
    cursors: Arc<CursorKey>,
    auth_cache: Arc<AuthCache>,
    body_limits: BodyLimits,
    idempotency: Arc<Idempotency>,
    outgoing: Arc<Outgoing>,
    history: Arc<History>,
    publisher: Arc<Publisher>,
    hub: Arc<Hub>,
    links: Arc<Links>,
    bridges: Arc<Bridges>,
    deliver: Arc<Deliver>,
    guard: Guard,
    max_replays: MaxReplays,
    transfers: Arc<Transfers>,
    key_holders: Arc<KeyHolders>,
    live_streams: Arc<LiveStreams>,
    monitor: Arc<Monitor>,
    metrics: Arc<Metrics>,
    documents: Documents,
}

/// Of the store, one noun.
macro_rules! nouns {
    ($($noun:ident),+ $(,)?) => {$(
        impl FromRef<ApiState> for Arc<dyn $noun> {
            fn from_ref(state: &ApiState) -> Self {
                Arc::<dyn Store>::clone(&state.0.store)
            }
        }
    )+};
}

nouns! {
    Accounts, BridgesStore, Chats, Deliveries, Events, Inbox, Keys, Lines, Messages, Outbox, Reactions,
    Receipts, Replays, Sandboxes, Typing, Webhooks,
}

impl FromRef<ApiState> for Phones {
    fn from_ref(state: &ApiState) -> Self {
        Self(state.0.phones.clone())
    }
}
