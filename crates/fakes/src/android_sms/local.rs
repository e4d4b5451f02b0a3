//! The server that the app runs on the phone (`WebService.kt`, `routes/*.kt` of its local server).

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State as Extract},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answers::{Answer, Refused, dated, empty, json_answer, knows, listed, merge, refused, token},
    device::{App, Device},
    outbox::{Source, Step},
    refresh,
    request::{self, Period, page},
};

#[derive(Clone)]
pub(super) struct Local {
    pub(super) device: Arc<Device>,
    pub(super) login: Arc<(String, String)>,
}

pub(super) fn router(local: &Local) -> Router {
    let known = Router::new()
        .route("/", get(root))
        .route("/device", get(device))
        .route("/messages", post(create).get(list))
        .route("/message", post(create).get(list))
        .route("/messages/{id}", get(find).delete(cancel))
        .route("/message/{id}", get(find).delete(cancel))
        .route("/inbox", get(inbox))
        .route("/inbox/refresh", post(refresh_inbox))
        .route("/messages/inbox/export", post(export))
        .route("/inbox/{id}/attachments/{part}", get(attachment))
        .route("/webhooks", get(hooks).post(add_hook))
        .route("/webhooks/{id}", delete(remove_hook))
        .route("/settings", get(settings).patch(change_settings))
        .route("/logs", get(logs))
        .route("/auth/token", post(new_token))
        .route_layer(from_fn_with_state(local.clone(), authorized));
    known
        .route("/health", get(health))
        .fallback(async || Refused::bare(404))
        .layer(from_fn_with_state(local.clone(), clocked))
        .with_state(local.clone())
}

/// Each answer has the phone's time.
async fn clocked(Extract(local): Extract<Local>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    dated(response, local.device.look(|app| app.now()))
}

async fn authorized(Extract(local): Extract<Local>, request: Request, next: Next) -> Response {
    let (known, broken) = local.device.look(|app| {
        let known = knows(request.headers(), &local.login, &app.tokens, app.now());
        (known, app.faults.database_broken)
    });
    if !known {
        return empty(401);
    }
    if broken && request.uri().path() != "/" {
        return refused(500, "database disk image is malformed (code 11 SQLITE_CORRUPT)");
    }
    next.run(request).await
}

/// The body as JSON.
pub(super) fn body(bytes: &Bytes) -> Result<Value, Refused> {
    serde_json::from_slice(bytes).map_err(|_| Refused::new(400, "Invalid request body"))
}

async fn root(Extract(local): Extract<Local>) -> Response {
    let model = local.device.look(|app| app.name.clone());
    json_answer(200, &json!({ "status": "ok", "model": model }))
}

async fn health(Extract(local): Extract<Local>) -> Response {
    local.device.look(|app| {
        let since = app.now() - 3_600_000;
        let recent = app.outbox.iter().filter(|message| message.created >= since);
        let (failed, done) = recent.fold((0, 0), |(failed, done), message| match message.step() {
            Step::Failed => (failed + 1, done),
            Step::Pending => (failed, done),
            _ => (failed, done + 1),
        });
        // Not the same as offline: only failures in the last hour.
        let status = match (failed, done) {
            (0, _) => "pass",
            (_, 0) => "fail",
            _ => "warn",
        };
        let check = json!({ "status": status, "observedValue": failed, "observedUnit": "messages",
                            "description": "Failed messages for last hour" });
        let body = json!({ "status": status, "version": "1.62.0", "releaseId": 1620,
                           "checks": { "messages:failed": check } });
        json_answer(if status == "fail" { 500 } else { 200 }, &body)
    })
}

async fn device(Extract(local): Extract<Local>) -> Response {
    local.device.look(|app| json_answer(200, &json!([app.shown_device(&app.id)])))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create {
    pub(super) skip_phone_validation: Option<bool>,
    pub(super) device_active_within: Option<i64>,
}

async fn create(Extract(local): Extract<Local>, Query(how): Query<Create>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    local.device.change(|app| {
        let given = body.get("deviceId").and_then(Value::as_str);
        if given.is_some_and(|id| id != app.id) {
            return Err(Refused::new(400, "Invalid device ID"));
        }
        let skip = how.skip_phone_validation.unwrap_or(false);
        let message = request::message(app, &body, Source::Local, skip)
            .map_err(|words| Refused::new(400, &words))?;
        let shown = message.shown(&app.id, true, app.offset_minutes);
        if !app.enqueue(message) {
            return Err(Refused::new(409, "Message with this ID already exists"));
        }
        Ok(json_answer(202, &shown))
    })
}

async fn find(Extract(local): Extract<Local>, Path(id): Path<String>) -> Response {
    local.device.look(|app| {
        match app.outgoing(&id).filter(|message| message.source == Source::Local) {
            Some(message) => json_answer(200, &message.shown(&app.id, true, app.offset_minutes)),
            None => empty(404),
        }
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    pub(super) state: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) limit: Option<String>,
    pub(super) offset: Option<String>,
    pub(super) device_id: Option<String>,
    pub(super) include_content: Option<bool>,
    pub(super) include_attachments: Option<String>,
    pub(super) sort: Option<String>,
}

async fn list(Extract(local): Extract<Local>, Query(wanted): Query<List>) -> Answer {
    let (limit, offset) = page(wanted.limit.as_deref(), wanted.offset.as_deref(), 500)
        .map_err(|words| Refused::new(400, &words))?;
    local.device.look(|app| {
        let period = Period::read(wanted.from.as_deref(), wanted.to.as_deref(), app.now())
            .map_err(|words| Refused::new(400, words))?;
        let all: Vec<_> = app
            .listed(Source::Local)
            .into_iter()
            .filter(|message| period.holds(message.created))
            .filter(|message| {
                wanted.state.as_ref().is_none_or(|state| message.step().name() == state)
            })
            .collect();
        let content = wanted.include_content.unwrap_or(false);
        let shown: Vec<Value> = all
            .iter()
            .skip(offset)
            .take(limit)
            .map(|message| message.shown(&app.id, content, app.offset_minutes))
            .collect();
        Ok(listed(&shown, all.len()))
    })
}

async fn cancel(Extract(local): Extract<Local>, Path(id): Path<String>) -> Answer {
    local.device.change(|app| {
        let Some(message) = app.outgoing(&id) else { return Err(Refused::bare(404)) };
        if message.step() != Step::Pending || message.begun {
            return Err(Refused::new(400, "Message is not in Pending state"));
        }
        cancelled(app, &id);
        let shown =
            app.outgoing(&id).map(|message| message.shown(&app.id, true, app.offset_minutes));
        Ok(json_answer(200, &shown.unwrap_or_default()))
    })
}

/// A message that waits goes nowhere.
pub(super) fn cancelled(app: &mut App, id: &str) {
    let count = app.outgoing(id).map_or(0, |message| message.recipients.len());
    for recipient in 0..count {
        app.advance(id, recipient, Step::Cancelled, None);
    }
}

async fn inbox(Extract(local): Extract<Local>, Query(wanted): Query<List>) -> Answer {
    let kinds = ["SMS", "DATA_SMS", "MMS", "MMS_DOWNLOADED"];
    let kind = wanted.kind.as_deref().filter(|kind| !kind.is_empty());
    if kind.is_some_and(|kind| !kinds.contains(&kind)) {
        return Err(Refused::new(400, "Invalid type"));
    }
    let attachments = match wanted.include_attachments.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        _ => return Err(Refused::new(400, "includeAttachments must be true or false")),
    };
    let (limit, offset) = page(wanted.limit.as_deref(), wanted.offset.as_deref(), 500)
        .map_err(|words| Refused::new(400, &words))?;
    local.device.look(|app| {
        if wanted.device_id.as_ref().is_some_and(|id| *id != app.id) {
            return Err(Refused::new(400, "Invalid device ID"));
        }
        let period = Period::read(wanted.from.as_deref(), wanted.to.as_deref(), app.now())
            .map_err(|words| Refused::new(400, words))?;
        let mut all: Vec<_> = app
            .inbox
            .iter()
            .enumerate()
            .filter(|(_, item)| {
                period.holds(item.stamp) && kind.is_none_or(|kind| item.kind == kind)
            })
            .collect();
        all.sort_by_key(|(at, item)| std::cmp::Reverse((item.stamp, *at)));
        let shown: Vec<Value> = all
            .iter()
            .skip(offset)
            .take(limit)
            .map(|(_, item)| app.inbox_item(item, attachments))
            .collect();
        Ok(listed(&shown, all.len()))
    })
}

async fn attachment(
    Extract(local): Extract<Local>,
    Path((id, part)): Path<(String, String)>,
) -> Answer {
    let part: usize = part.parse().map_err(|_| Refused::new(400, "partId must be a number"))?;
    local.device.look(|app| {
        let file = app
            .inbox
            .iter()
            .filter(|item| item.inbox_id() == id)
            .find_map(|item| item.files.get(part.checked_sub(1)?))
            .ok_or_else(|| Refused::bare(404))?;
        let mut response = Response::new(Body::from(file.bytes.clone()));
        let name = format!("attachment; filename=\"{}\"", file.name.replace(['"', '\\'], "_"));
        for (header, value) in
            [(header::CONTENT_TYPE, file.mime_type.as_str()), (header::CONTENT_DISPOSITION, &name)]
        {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(header, value);
            }
        }
        Ok(response)
    })
}

async fn refresh_inbox(Extract(local): Extract<Local>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    local.device.change(|app| {
        refresh::run(app, &body, false).map_err(|words| Refused::new(400, &words))?;
        Ok(empty(202))
    })
}

async fn export(Extract(local): Extract<Local>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    local.device.change(|app| {
        if app.faults.newer {
            return Err(Refused::bare(404));
        }
        refresh::run(app, &body, true).map_err(|words| Refused::new(400, &words))?;
        Ok(empty(202))
    })
}

async fn hooks(Extract(local): Extract<Local>) -> Response {
    let hooks: Vec<Value> = local.device.look(|app| {
        let own = |hook: &&super::hooks::Hook| hook.source == Source::Local;
        app.hooks.iter().filter(own).map(super::hooks::Hook::shown).collect()
    });
    json_answer(200, &json!(hooks))
}

async fn add_hook(Extract(local): Extract<Local>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    let shown = local
        .device
        .change(|app| app.register(Source::Local, &body, true))
        .map_err(|words| Refused::new(400, words))?;
    Ok(json_answer(201, &shown))
}

async fn remove_hook(Extract(local): Extract<Local>, Path(id): Path<String>) -> Response {
    local.device.change(|app| {
        app.hooks.retain(|hook| hook.id != id || hook.source != Source::Local);
    });
    empty(204)
}

async fn settings(Extract(local): Extract<Local>) -> Response {
    json_answer(200, &local.device.look(|app| app.settings.clone()))
}

async fn change_settings(Extract(local): Extract<Local>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    let settings = local.device.change(|app| {
        change(app, &body);
        app.settings.clone()
    });
    Ok(json_answer(200, &settings))
}

/// Changes the settings. The key can be set, and is never shown.
pub(super) fn change(app: &mut App, changes: &Value) {
    let mut changes = changes.clone();
    let hooks = changes.get_mut("webhooks").and_then(Value::as_object_mut);
    if let Some(Value::String(key)) = hooks.and_then(|hooks| hooks.remove("signing_key")) {
        app.signing_key = key;
    }
    merge(&mut app.settings, &changes);
}

async fn logs() -> impl IntoResponse {
    json_answer(200, &json!([]))
}

async fn new_token(Extract(local): Extract<Local>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    Ok(local.device.change(|app| {
        let now = app.now();
        token(&mut app.tokens, &body, now)
    }))
}
