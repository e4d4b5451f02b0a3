//! Every route that a bridge can meet (`httpRoutes.ts`), and who may call it.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, Request, State as Extract},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    attachments, chats, editing,
    envelope::{Answer, Refusal, plain_not_found, success},
    groups,
    input::Input,
    messages, send, sending,
    state::Inner,
    webhooks,
};

pub(super) fn router(inner: &Arc<Inner>) -> Router {
    let v1 = Router::new()
        .route("/ping", get(ping))
        .route("/server/info", get(info))
        .route("/icloud/account", get(account))
        .route("/icloud/account/alias", post(alias))
        .route("/message/query", post(messages::query))
        .route("/message/count", get(messages::count))
        .route("/message/count/me", get(messages::count_own))
        .route("/message/count/updated", get(messages::count_updated))
        .route("/message/text", post(sending::text))
        .route("/message/attachment", post(sending::attachment))
        .route("/message/multipart", post(sending::multipart))
        .route("/message/react", post(sending::react))
        .route("/message/{guid}", get(messages::find))
        .route("/message/{guid}/edit", post(editing::edit))
        .route("/message/{guid}/unsend", post(editing::unsend))
        .route("/chat/new", post(chats::create))
        .route("/chat/query", post(chats::query))
        .route("/chat/count", get(chats::count))
        .route(
            "/chat/{guid}",
            get(chats::find).merge(put(groups::rename)).delete(groups::delete_chat),
        )
        .route("/chat/{guid}/message", get(chats::messages))
        .route("/chat/{guid}/read", post(chats::read))
        .route("/chat/{guid}/unread", post(chats::unread))
        .route("/chat/{guid}/typing", post(chats::start_typing).delete(chats::stop_typing))
        .route("/chat/{guid}/participant", post(groups::add).delete(groups::remove))
        .route("/chat/{guid}/participant/add", post(groups::add))
        .route("/chat/{guid}/participant/remove", post(groups::remove))
        .route("/chat/{guid}/leave", post(groups::leave))
        .route("/chat/{guid}/icon", post(groups::set_icon).delete(groups::remove_icon))
        .route("/chat/{guid}/{message}", delete(groups::delete_message))
        .route("/attachment/count", get(attachments::count))
        .route("/attachment/upload", post(attachments::upload))
        .route("/attachment/{guid}", get(attachments::find))
        .route("/attachment/{guid}/download", get(attachments::download))
        .route("/attachment/{guid}/live", get(attachments::live))
        .route("/attachment/{guid}/download/force", get(attachments::force))
        .route("/handle/availability/imessage", get(chats::availability))
        .route("/webhook", get(webhooks::list).post(webhooks::create))
        .route("/webhook/{id}", delete(webhooks::remove))
        .route_layer(from_fn_with_state(Arc::clone(inner), limited))
        .route_layer(from_fn_with_state(Arc::clone(inner), authorized));
    Router::new()
        .nest("/api/v1", v1)
        .fallback(async || plain_not_found())
        .method_not_allowed_fallback(async || plain_not_found())
        .with_state(Arc::clone(inner))
}

#[derive(Deserialize)]
struct Password {
    guid: Option<String>,
    password: Option<String>,
    token: Option<String>,
}

/// The password stands in the query, under one of three names.
async fn authorized(
    Extract(inner): Extract<Arc<Inner>>,
    Query(given): Query<Password>,
    request: Request,
    next: Next,
) -> Response {
    let given = given.guid.or(given.password).or(given.token).unwrap_or_default();
    if given.is_empty() || given.trim() != inner.password.trim() {
        return Refusal::unauthorized().into_response();
    }
    next.run(request).await
}

/// The server gives up on an answer; what it waited for goes on.
async fn limited(Extract(inner): Extract<Arc<Inner>>, request: Request, next: Next) -> Response {
    let limit = send::answer_limit(&inner, request.uri().path());
    let mut run = Box::pin(next.run(request));
    if let Ok(response) = tokio::time::timeout(limit, &mut run).await {
        return response;
    }
    tokio::spawn(run);
    Refusal::timeout().into_response()
}

async fn ping() -> Answer {
    success("Ping received!", &json!("pong"))
}

async fn info(Extract(inner): Extract<Arc<Inner>>) -> Answer {
    let data = inner.look(|state| {
        let mac = &state.mac;
        json!({
            "computer_id": "bot@mini.local",
            "os_version": mac.os_version,
            "server_version": mac.server_version,
            "private_api": mac.private_api,
            "proxy_service": "cloudflare",
            "helper_connected": mac.helper_connected,
            "detected_icloud": mac.detected_icloud,
            "detected_imessage": mac.detected_imessage,
            "macos_time_sync": mac.macos_time_sync,
            "local_ipv4s": ["192.0.2.10"],
            "local_ipv6s": [],
        })
    });
    success("Success", &data)
}

async fn account(Extract(inner): Extract<Arc<Inner>>) -> Answer {
    send::gate(&inner)?;
    send::helper(&inner, "get-account-info", "", true)
        .await
        .map_err(|_| Refusal::server("Transaction timeout"))?;
    success("Success", &shown_account(&inner))
}

/// Changes the alias that Messages sends from.
async fn alias(Extract(inner): Extract<Arc<Inner>>, input: Input) -> Answer {
    send::gate(&inner)?;
    let alias = input.required("alias")?;
    send::helper(&inner, "modify-active-alias", "", true)
        .await
        .map_err(|_| Refusal::server("Transaction timeout"))?;
    inner.look(|state| state.mac.own_handle = alias);
    success("Success", &shown_account(&inner))
}

fn shown_account(inner: &Inner) -> Value {
    inner.look(|state| {
        let own = &state.mac.own_handle;
        json!({
            "apple_id": state.mac.detected_icloud,
            "account_name": state.mac.detected_icloud,
            "sms_forwarding_enabled": false,
            "sms_forwarding_capable": true,
            "vetted_aliases": [
                { "Alias": own, "Status": 3 },
                { "Alias": state.mac.detected_icloud, "Status": 3 },
            ],
            "active_alias": own,
            "login_status_message": "Connected",
        })
    })
}
