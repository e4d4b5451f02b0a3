//! Every route, in one table.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    middleware,
    routing::{MethodRouter, delete, get, patch, post},
};
use http::Method;
use switchboard_model::Scope;

pub use crate::operation::{Access, Operation};
use crate::{
    api::{
        self, admin,
        http::{
            auth::{self, Gate, Gatekeeper},
            envelope,
        },
        state::ApiState,
    },
    files::DOWNLOAD_PATH,
    metrics::RequestCounts,
    openapi::{Audience, Documents},
};

/// The path of the figures.
pub(crate) const METRICS_PATH: &str = "/metrics";

/// A row of the table.
struct Route {
    operation: Operation,
    handler: MethodRouter<ApiState>,
}

/// Every operation there is.
pub fn table() -> Vec<Operation> {
    routes().into_iter().map(|route| route.operation).collect()
}

/// The operations for these callers, described.
pub fn document_for(audience: Audience) -> &'static serde_json::Value {
    DOCUMENTS.document_for(audience)
}

pub(crate) const DOCUMENTS: Documents = Documents::of(table);

/// The table. A test fails for every row without its cases.
#[rustfmt::skip]
fn routes() -> Vec<Route> {
    use Audience::{Programs, Simulator};
    use Access::{AnyKey, Bridge, Key, Operator, Public, SignedUrl};
    vec![
        // For programs.
        row(Method::GET,    "/v1/lines",               Key(Scope::LinesRead),     api::lines::list),
        row(Method::GET,    "/v1/chats",               Key(Scope::ChatsRead),     api::chats::list),
        row(Method::GET,    "/v1/messages",            Key(Scope::MessagesRead),  api::messages::list),
        row(Method::POST,   "/v1/messages",            Key(Scope::MessagesWrite), api::messages::send),
        row(Method::POST,   "/v1/audio-messages",      Key(Scope::MessagesWrite), api::audio_messages::send),
        row(Method::GET,    "/v1/reactions",           Key(Scope::ReactionsRead), api::reactions::list),
        row(Method::POST,   "/v1/reactions",           Key(Scope::ReactionsWrite), api::reactions::send),
        row(Method::GET,    "/v1/typing",              Key(Scope::TypingRead),    api::typing::list),
        row(Method::POST,   "/v1/typing",              Key(Scope::TypingWrite),   api::typing::send),
        row(Method::GET,    "/v1/receipts",            Key(Scope::ReceiptsRead),  api::receipts::list),
        row(Method::POST,   "/v1/receipts",            Key(Scope::ReceiptsWrite), api::receipts::send),
        row(Method::GET,    "/v1/outbox",              Key(Scope::OutboxRead),    api::outbox::show),
        row(Method::GET,    "/v1/webhooks",            Key(Scope::WebhooksRead),  api::webhooks::list),
        row(Method::POST,   "/v1/webhooks",            Key(Scope::WebhooksWrite), api::webhooks::create),
        row(Method::PATCH,  "/v1/webhooks",            Key(Scope::WebhooksWrite), api::webhooks::update),
        row(Method::DELETE, "/v1/webhooks",            Key(Scope::WebhooksWrite), api::webhooks::delete),
        row(Method::POST,   "/v1/webhooks/test",       Key(Scope::WebhooksWrite), api::webhooks::test),
        row(Method::POST,   "/v1/webhooks/rotate",     Key(Scope::WebhooksWrite), api::webhooks::rotate),
        row(Method::GET,    "/v1/webhooks/replay",     Key(Scope::WebhooksRead),  api::replays::show),
        row(Method::POST,   "/v1/webhooks/replay",     Key(Scope::WebhooksWrite), api::replays::create),
        row(Method::GET,    "/v1/deliveries",          Key(Scope::WebhooksRead),  api::deliveries::list),
        row(Method::POST,   "/v1/deliveries/retry",    Key(Scope::WebhooksWrite), api::deliveries::retry),
        row(Method::GET,    "/v1/files",               Key(Scope::FilesRead),     api::files::show),
        row(Method::POST,   "/v1/files",               Key(Scope::FilesWrite),    api::files::upload),
        row(Method::GET,    DOWNLOAD_PATH,             SignedUrl,                 api::files::download),
        row(Method::GET,    "/v1/sandbox",             AnyKey,                    api::sandbox::show),
        row(Method::POST,   "/v1/sandbox",             AnyKey,                    api::sandbox::ensure),
        row(Method::DELETE, "/v1/sandbox",             AnyKey,                    api::sandbox::reset),
        row(Method::GET,    "/v1/events",              AnyKey,                    api::events::stream),
        row(Method::GET,    Programs.path(),           Public,                    api::docs::document(Programs)),
        row(Method::GET,    Programs.page_path(),      Public,                    api::docs::page(Programs)),
        // For load balancers and supervisors.
        row(Method::GET,    "/health",                 Public,                    api::health::ready),
        row(Method::GET,    "/live",                   Public,                    api::health::live),
        // For the operator.
        row(Method::GET,    "/admin/v1/accounts",      Operator, admin::accounts::list),
        row(Method::POST,   "/admin/v1/accounts",      Operator, admin::accounts::create),
        row(Method::GET,    "/admin/v1/lines",         Operator, admin::lines::list),
        row(Method::POST,   "/admin/v1/lines",         Operator, admin::lines::create),
        row(Method::PATCH,  "/admin/v1/lines",         Operator, admin::lines::update),
        row(Method::POST,   "/admin/v1/lines/standby", Operator, admin::lines::set_standby),
        row(Method::POST,   "/admin/v1/lines/take-over", Operator, admin::lines::take_over),
        row(Method::GET,    "/admin/v1/keys",          Operator, admin::keys::list),
        row(Method::POST,   "/admin/v1/keys",          Operator, admin::keys::create),
        row(Method::POST,   "/admin/v1/keys/revoke",   Operator, admin::keys::revoke),
        row(Method::GET,    "/admin/v1/bridges",       Operator, admin::bridges::list),
        row(Method::POST,   "/admin/v1/bridges",       Operator, admin::bridges::create),
        row(Method::POST,   "/admin/v1/bridges/revoke", Operator, admin::bridges::revoke),
        row(Method::GET,    Audience::Operator.path(), Public,   api::docs::document(Audience::Operator)),
        row(Method::GET,    Audience::Operator.page_path(), Public, api::docs::page(Audience::Operator)),
        // For bridges.
        row(Method::GET,    "/bridge/v1/link",         Bridge,   api::link::connect),
        row(Method::GET,    "/bridge/v1/files",        Bridge,   api::files::bridge_download),
        row(Method::POST,   "/bridge/v1/files",        Bridge,   api::files::bridge_upload),
        row(Method::POST,   "/bridge/v1/known",        Bridge,   api::known::known),
        // For tests and for people without a phone.
        simulated(row(Method::POST, "/simulator/v1/messages", Operator, api::simulator::text)),
        simulated(row(Method::POST, "/simulator/v1/messages/edit", Operator, api::simulator::edit)),
        simulated(row(Method::POST, "/simulator/v1/messages/unsend", Operator, api::simulator::unsend)),
        simulated(row(Method::GET,  "/simulator/v1/phones",   Operator, api::simulator::phone)),
        simulated(row(Method::POST, "/simulator/v1/groups",   Operator, api::simulator::group)),
        simulated(row(Method::POST, "/simulator/v1/reactions", Operator, api::simulator::react)),
        simulated(row(Method::POST, "/simulator/v1/typing",   Operator, api::simulator::typing)),
        simulated(row(Method::POST, "/simulator/v1/receipts", Operator, api::simulator::read)),
        simulated(row(Method::POST, "/simulator/v1/lines/capabilities", Operator, api::simulator::capabilities)),
        simulated(row(Method::POST, "/simulator/v1/faults",   Operator, api::simulator::fault)),
        simulated(row(Method::GET,  Simulator.path(),         Public,   api::docs::document(Simulator))),
        simulated(row(Method::GET,  Simulator.page_path(),    Public,   api::docs::page(Simulator))),
    ]
}

fn row<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, ApiState>,
    T: 'static,
{
    let handler = match method {
        Method::GET => get(handler),
        Method::POST => post(handler),
        Method::PATCH => patch(handler),
        Method::DELETE => delete(handler),
        _ => unreachable!("the table has no other method"),
    };
    Route { operation: Operation { method, path, access, simulator: false }, handler }
}

fn simulated(route: Route) -> Route {
    Route { operation: Operation { simulator: true, ..route.operation }, ..route }
}

/// What one listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// Everything: there is no other listener for the API.
    All,
    /// What asks for the operator's token, and the documents that describe it.
    Operators,
    /// Everything else.
    AllButOperators,
}

impl Served {
    fn has(self, operation: &Operation) -> bool {
        match self {
            Self::All => true,
            Self::Operators => is_for_operators(operation),
            Self::AllButOperators => !is_for_operators(operation),
        }
    }

    /// Whose documentation is at its root.
    fn audience(self) -> Audience {
        match self {
            Self::All | Self::AllButOperators => Audience::Programs,
            Self::Operators => Audience::Operator,
        }
    }
}

/// Whether it belongs to the operator's address, where there is one.
fn is_for_operators(operation: &Operation) -> bool {
    let documents = [Audience::Operator, Audience::Simulator]
        .map(|audience| [audience.path(), audience.page_path()]);
    operation.access == Access::Operator || documents.as_flattened().contains(&operation.path)
}

/// The table as a router: each row behind its gate, all behind the envelope.
pub(crate) fn router(
    state: &ApiState,
    gatekeeper: &Arc<Gatekeeper>,
    counts: &Arc<RequestCounts>,
    served: Served,
) -> Router {
    let mut router = Router::new();
    for Route { operation, handler } in routes() {
        if !served.has(&operation) || (operation.simulator && !state.has_simulator()) {
            continue;
        }
        let gate = Gate { keeper: Arc::clone(gatekeeper), access: operation.access };
        let handler = handler.route_layer(middleware::from_fn_with_state(gate, auth::authorize));
        router = router.route(operation.path, handler);
    }
    router
        .fallback(move |request| envelope::endpoint_not_found(request, Some(served.audience())))
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(counts), envelope::wrap))
        .with_state(state.clone())
}

/// What whoever watches the server asks for, on a listener of its own and without keys.
pub(crate) fn watchers_router(state: &ApiState, counts: &Arc<RequestCounts>) -> Router {
    Router::new()
        .route(METRICS_PATH, get(api::metrics::show))
        .route("/health", get(api::health::ready))
        .route("/live", get(api::health::live))
        .fallback(|request| envelope::endpoint_not_found(request, None))
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(counts), envelope::wrap_private))
        .with_state(state.clone())
}
