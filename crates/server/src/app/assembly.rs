//! The parts handed on: to each only what it needs.

use std::sync::Arc;

use switchboard_model::{
    page::CursorKey, secret::SecretHash, simulator::SimulatedPhones, time::Clock,
};
use switchboard_store::Store;

use super::App;
use crate::{
    api::{
        admin::keys::KeyHolders,
        files::Transfers,
        http::{
            auth::Gatekeeper, body::BodyLimits, idempotency::Idempotency,
            rate_limit::RateLimitHeaders,
        },
        messages::History,
        outbox::Outgoing,
        state::{ApiState, MaxReplays, Parts as ApiParts},
    },
    clock::ServerClock,
    health::{HealthLimits, Looks, Monitor},
    jobs::Jobs,
    link::Bridges,
    quota::{Occasionally, Streams, uploads::Uploads},
    routes,
    stream::LiveStreams,
    wrong_tokens::WrongTokens,
};

impl App {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ServerClock>::clone(&self.clock)
    }

    /// What the gates judge callers by.
    pub(super) fn gatekeeper(&self, operator: SecretHash) -> Arc<Gatekeeper> {
        Arc::new(Gatekeeper {
            auth_cache: Arc::clone(&self.auth_cache),
            bridges: Arc::<dyn Store>::clone(&self.store),
            clock: self.clock(),
            limiter: Arc::clone(&self.limiter),
            wrong_tokens: WrongTokens::default(),
            operator,
            rate_limit: self.config.rate_limit,
            rate_limit_headers: RateLimitHeaders::new(self.config.rate_limit),
        })
    }

    /// What the jobs work on.
    pub(super) fn jobs(&self) -> Jobs {
        Jobs {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            files: Arc::clone(&self.files),
            deliver: Arc::clone(&self.deliver),
            limiter: Arc::clone(&self.limiter),
            hub: Arc::clone(&self.hub),
            publisher: Arc::clone(&self.publisher),
            metrics: Arc::clone(&self.metrics),
            links: Arc::clone(&self.links),
            claim_lease: self.config.claim_lease(),
            standby_after: self.config.standby_after(),
            event_retention: self.config.event_retention(),
        }
    }

    /// What the handlers may touch, each a part of it.
    pub(super) fn api(
        &self,
        cursors: CursorKey,
        phones: Option<Arc<dyn SimulatedPhones>>,
    ) -> ApiState {
        let store = || Arc::<dyn Store>::clone(&self.store);
        let cursors = Arc::new(cursors);
        let idempotency = Arc::new(Idempotency::new(store(), self.clock()));
        let places = Arc::new(Streams::new(&self.config.quotas));
        ApiState::new(ApiParts {
            store: store(),
            clock: self.clock(),
            auth_cache: Arc::clone(&self.auth_cache),
            body_limits: BodyLimits { max_bytes: self.config.max_body, clock: self.clock() },
            outgoing: Arc::new(Outgoing {
                outbox: store(),
                chats: store(),
                clock: self.clock(),
                hub: Arc::clone(&self.hub),
                metrics: Arc::clone(&self.metrics),
            }),
            history: Arc::new(History {
                messages: store(),
                chats: store(),
                cursors: Arc::clone(&cursors),
                files: Arc::clone(&self.files),
                clock: self.clock(),
            }),
            publisher: Arc::clone(&self.publisher),
            hub: Arc::clone(&self.hub),
            links: Arc::clone(&self.links),
            bridges: Arc::new(Bridges {
                store: store(),
                clock: self.clock(),
                hub: Arc::clone(&self.hub),
                publisher: Arc::clone(&self.publisher),
                links: Arc::clone(&self.links),
                claim_lease: self.config.claim_lease(),
                stopping: self.stopping.clone(),
            }),
            deliver: Arc::clone(&self.deliver),
            guard: self.guard.clone(),
            max_replays: MaxReplays(self.config.quotas.max_replays),
            transfers: Arc::new(Transfers {
                store: store(),
                files: Arc::clone(&self.files),
                clock: self.clock(),
                idempotency: Arc::clone(&idempotency),
                uploads: Uploads::default(),
                max_stored_bytes: self.config.quotas.max_stored_bytes,
                storage_told: Occasionally::default(),
            }),
            key_holders: Arc::new(KeyHolders {
                feeds: Arc::clone(&self.feeds),
                deliver: Arc::clone(&self.deliver),
            }),
            live_streams: Arc::new(LiveStreams {
                feeds: Arc::clone(&self.feeds),
                files: Arc::clone(&self.files),
                clock: self.clock(),
                auth_cache: Arc::clone(&self.auth_cache),
                places: Arc::clone(&places),
                stopping: self.stopping.clone(),
            }),
            monitor: Arc::new(Monitor {
                store: store(),
                clock: self.clock(),
                deliver: Arc::clone(&self.deliver),
                links: Arc::clone(&self.links),
                metrics: Arc::clone(&self.metrics),
                streams: places,
                stopping: self.stopping.clone(),
                limits: HealthLimits::new(&self.config),
                last: Looks::default(),
            }),
            metrics: Arc::clone(&self.metrics),
            documents: routes::DOCUMENTS,
            idempotency,
            cursors,
            phones,
        })
    }
}
