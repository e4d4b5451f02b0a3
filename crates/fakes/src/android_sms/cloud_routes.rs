//! The calls of the server (`internal/sms-gateway/handlers`), base `/api/3rdparty/v1`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, Request, State as Extract},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{delete, get, post},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    answers::{Answer, Refused, empty, json_answer, knows, listed, merge, refused, token},
    cloud::{Record, Server, ServerState},
    device::nano_id,
    local::{Create, List, body},
    outbox::Source,
    refresh,
    request::{self, Period, page},
};
use crate::stamp::now_ms;

pub(super) fn router(server: &Arc<Server>) -> Router {
    let known = Router::new()
        .route("/messages", post(create).get(list))
        .route("/message", post(create))
        .route("/messages/{id}", get(find).delete(cancel))
        .route("/devices", get(devices))
        .route("/inbox", get(async || refused(501, "Not implemented")))
        .route("/inbox/refresh", post(refresh_inbox))
        .route("/messages/inbox/export", post(refresh_inbox))
        .route("/webhooks", get(hooks).post(add_hook))
        .route("/webhooks/{id}", delete(remove_hook))
        .route("/settings", get(settings).patch(change_settings))
        .route("/logs", get(async || refused(501, "Not implemented")))
        .route("/auth/token", post(new_token))
        .route("/auth/token/refresh", post(new_token))
        .route("/auth/token/{id}", delete(async || empty(204)))
        .route_layer(from_fn_with_state(Arc::clone(server), authorized));
    let health = async || {
        json_answer(
            200,
            &json!({ "status": "pass", "version": "1.30.0", "releaseId": 1300, "checks": {} }),
        )
    };
    let base = known
        .route("/health", get(health))
        .route("/health/live", get(health))
        .route("/health/ready", get(health))
        .route("/health/startup", get(health));
    Router::new()
        .nest("/api/3rdparty/v1", base)
        .fallback(async || refused(404, "Not Found"))
        .with_state(Arc::clone(server))
}

async fn authorized(
    Extract(server): Extract<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let known =
        server.look(|state| knows(request.headers(), &server.login, &state.tokens, now_ms()));
    if !known {
        return refused(401, "Unauthorized");
    }
    next.run(request).await
}

async fn create(
    Extract(server): Extract<Arc<Server>>,
    Query(how): Query<Create>,
    bytes: Bytes,
) -> Answer {
    let body = body(&bytes)?;
    let id = body.get("id").and_then(Value::as_str);
    if id.is_some_and(|id| id.len() > 36) {
        return Err(Refused::new(
            400,
            "Key: 'MessageRequest.ID' Error:Field validation for 'ID' failed on the 'max' tag",
        ));
    }
    let numbers: Vec<&str> =
        body["phoneNumbers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let unique: std::collections::BTreeSet<&&str> = numbers.iter().collect();
    if numbers.len() > 100 || unique.len() != numbers.len() {
        return Err(Refused::new(400, "phoneNumbers must be unique and at most 100"));
    }
    let skip = how.skip_phone_validation.unwrap_or(false);
    // A toll-free or fixed number is no mobile one.
    let toll_free = ["+1800", "+1888", "+1877", "+1866"];
    if !skip && numbers.iter().any(|number| toll_free.iter().any(|start| number.starts_with(start)))
    {
        return Err(Refused::new(400, "Invalid phone number: not a mobile number"));
    }
    let device = server.look(|state| chosen(state, &body, how.device_active_within))?;
    // The phone's own lock, while the server's is free.
    let message = device
        .1
        .look(|app| request::message(app, &body, Source::Cloud, true))
        .map_err(|words| Refused::new(400, &words))?;
    server.look(|state| {
        let now = now_ms();
        let waiting = |record: &&Record| record.device == device.0 && record.state() == "Pending";
        let oldest = state.records.iter().filter(waiting).map(|record| record.created).min();
        let limit = i64::try_from(state.timing.oldest_pending.as_millis()).unwrap_or(i64::MAX);
        if state.faults.queue_full || oldest.is_some_and(|oldest| now - oldest > limit) {
            return Err(Refused::new(503, "Queue limits exceeded"));
        }
        // For each device alone: the same id on another one is another message.
        let known = |record: &Record| record.id == message.id && record.device == device.0;
        if state.records.iter().any(known) {
            return Err(Refused::new(409, "Message with this ID already exists"));
        }
        let shown = message.shown(&device.0, true, 0);
        state.records.push(Record {
            id: message.id.clone(),
            device: device.0.clone(),
            created: now,
            accepted: Instant::now(),
            message: message.clone(),
            fetched: false,
            cancelling: false,
            shown: shown.clone(),
            changed: Instant::now(),
        });
        // What was not found is still remembered as that.
        let mut response = json_answer(202, &shown);
        let location = format!("/api/3rdparty/v1/messages/{}", message.id);
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    })
}

/// The device that the body names, else any that is active.
fn chosen(
    state: &ServerState,
    body: &Value,
    active_within: Option<i64>,
) -> Result<(String, Arc<super::device::Device>), Refused> {
    let wanted = body.get("deviceId").and_then(Value::as_str);
    let now = now_ms();
    let candidates: Vec<_> = state
        .devices
        .iter()
        .filter(|device| wanted.is_none_or(|wanted| wanted == device.id))
        .filter(|device| {
            active_within.is_none_or(|hours| now - device.last_seen <= hours * 3_600_000)
        })
        .collect();
    let Some(last) = candidates.len().checked_sub(1) else {
        return Err(Refused::new(400, "device not found"));
    };
    // As good as at random: a repetition comes at another moment, and finds another phone.
    let turn = state.records.len() % (last + 1);
    let device = candidates[turn];
    Ok((device.id.clone(), Arc::clone(&device.device)))
}

/// A message as it is shown: after a while without its text, its numbers hashed.
fn shown(state: &ServerState, record: &Record, content: bool) -> Value {
    let mut shown = record.shown.clone();
    let settled = !["Pending", "Cancelling"].contains(&record.state());
    if settled && record.changed.elapsed() >= state.timing.hash {
        shown["isHashed"] = json!(true);
        for recipient in shown["recipients"].as_array_mut().into_iter().flatten() {
            let number = recipient["phoneNumber"].as_str().unwrap_or_default();
            let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(number.as_bytes()));
            recipient["phoneNumber"] = json!(&hash[..16]);
        }
    }
    if (shown["isHashed"] == json!(true) || !content)
        && let Some(shown) = shown.as_object_mut()
    {
        for kind in ["textMessage", "dataMessage", "mmsMessage"] {
            shown.remove(kind);
        }
    }
    shown
}

async fn find(Extract(server): Extract<Arc<Server>>, Path(id): Path<String>) -> Answer {
    server.look(|state| {
        let pinned = state.not_found.get(&id).is_some_and(|until| *until > Instant::now());
        let found: Vec<&Record> =
            state.records.iter().filter(|record| record.id == id && !pinned).collect();
        match found.as_slice() {
            [] => {
                // Each read renews it.
                let until = Instant::now() + state.timing.not_found;
                state.not_found.insert(id, until);
                Err(Refused::new(404, "Message not found"))
            }
            [record] => Ok(json_answer(200, &shown(state, record, true))),
            _ => Err(Refused::new(400, "multiple messages found")),
        }
    })
}

/// The list asks the database, and so is never behind.
async fn list(Extract(server): Extract<Arc<Server>>, Query(wanted): Query<List>) -> Answer {
    let (limit, offset) = page(wanted.limit.as_deref(), wanted.offset.as_deref(), 100)
        .map_err(|words| Refused::new(400, &words))?;
    server.look(|state| {
        let period = Period::read(wanted.from.as_deref(), wanted.to.as_deref(), now_ms())
            .map_err(|words| Refused::new(400, words))?;
        let mut all: Vec<&Record> = state
            .records
            .iter()
            .filter(|record| period.holds(record.created))
            .filter(|record| wanted.device_id.as_ref().is_none_or(|id| *id == record.device))
            .filter(|record| wanted.state.as_ref().is_none_or(|name| *name == record.state()))
            .collect();
        if wanted.sort.as_deref() != Some("created_at") {
            all.reverse();
        }
        let content = wanted.include_content.unwrap_or(false);
        let page: Vec<Value> = all
            .iter()
            .skip(offset)
            .take(limit)
            .map(|record| shown(state, record, content))
            .collect();
        Ok(listed(&page, all.len()))
    })
}

async fn cancel(Extract(server): Extract<Arc<Server>>, Path(id): Path<String>) -> Answer {
    server.look(|state| {
        let Some(record) = state.records.iter_mut().find(|record| record.id == id) else {
            return Err(Refused::new(404, "Message not found"));
        };
        if record.state() != "Pending" {
            return Err(Refused::new(409, "Message is not pending"));
        }
        record.cancelling = true;
        record.shown["state"] = json!("Cancelling");
        Ok(json_answer(200, &record.shown))
    })
}

async fn devices(Extract(server): Extract<Arc<Server>>) -> Response {
    let known: Vec<_> = server.look(|state| {
        let all = state.devices.iter();
        all.map(|known| (known.id.clone(), Arc::clone(&known.device), known.last_seen)).collect()
    });
    let shown: Vec<Value> = known
        .into_iter()
        .map(|(id, device, last_seen)| {
            let mut shown = device.look(|app| app.shown_device(&id));
            shown["lastSeen"] = json!(crate::stamp::iso(last_seen, 0));
            shown
        })
        .collect();
    json_answer(200, &json!(shown))
}

async fn refresh_inbox(Extract(server): Extract<Arc<Server>>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    let device = server.look(|state| {
        let wanted = body.get("deviceId").and_then(Value::as_str);
        let known = state.devices.iter().find(|device| Some(device.id.as_str()) == wanted);
        known.map(|known| Arc::clone(&known.device))
    });
    let Some(device) = device else { return Err(Refused::new(400, "device not found")) };
    // The phone is asked; what comes of it comes by webhooks.
    device.change(|app| {
        if app.running && !app.away {
            refresh::run(app, &body, true).map_err(|words| Refused::new(400, &words))?;
        }
        Ok(empty(202))
    })
}

async fn hooks(Extract(server): Extract<Arc<Server>>) -> Response {
    let hooks: Vec<Value> = server.look(|state| state.hooks.values().cloned().collect());
    json_answer(200, &json!(hooks))
}

async fn add_hook(Extract(server): Extract<Arc<Server>>, bytes: Bytes) -> Answer {
    let mut body = body(&bytes)?;
    if body.get("id").is_none_or(Value::is_null) {
        body["id"] = json!(nano_id());
    }
    let wanted = body.get("deviceId").and_then(Value::as_str).map(str::to_owned);
    let (plain, devices) = server.look(|state| {
        let wanted = |id: &String| wanted.as_ref().is_none_or(|wanted| wanted == id);
        let devices: Vec<_> = state
            .devices
            .iter()
            .filter(|device| wanted(&device.id))
            .map(|device| Arc::clone(&device.device))
            .collect();
        (state.faults.plain_webhooks, devices)
    });
    if devices.is_empty() {
        return Err(Refused::new(400, "device not found"));
    }
    for device in devices {
        device
            .change(|app| app.register(Source::Cloud, &body, plain))
            .map_err(|words| Refused::new(400, words))?;
    }
    let id = body["id"].as_str().unwrap_or_default().to_owned();
    server.look(|state| state.hooks.insert(id, body.clone()));
    Ok(json_answer(201, &body))
}

async fn remove_hook(Extract(server): Extract<Arc<Server>>, Path(id): Path<String>) -> Response {
    let devices: Vec<_> = server.look(|state| {
        state.hooks.remove(&id);
        state.devices.iter().map(|known| Arc::clone(&known.device)).collect()
    });
    for device in devices {
        device.change(|app| app.hooks.retain(|hook| hook.id != id));
    }
    empty(204)
}

async fn settings(Extract(server): Extract<Arc<Server>>) -> Response {
    json_answer(200, &server.look(|state| state.settings.clone()))
}

async fn change_settings(Extract(server): Extract<Arc<Server>>, bytes: Bytes) -> Answer {
    let body = body(&bytes)?;
    let (settings, devices) = server.look(|state| {
        merge(&mut state.settings, &body);
        let devices: Vec<_> = state.devices.iter().map(|known| Arc::clone(&known.device)).collect();
        (state.settings.clone(), devices)
    });
    for device in devices {
        device.change(|app| super::local::change(app, &body));
    }
    Ok(json_answer(200, &settings))
}

async fn new_token(Extract(server): Extract<Arc<Server>>, bytes: Bytes) -> Answer {
    let body = if bytes.is_empty() { json!({}) } else { body(&bytes)? };
    server.look(|state| {
        if state.faults.no_tokens {
            return Err(Refused::new(501, "JWT is not configured"));
        }
        Ok(token(&mut state.tokens, &body, now_ms()))
    })
}
