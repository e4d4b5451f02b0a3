//! The judge of answers: whether the server sent exactly what its own OpenAPI document says, to the field. A document lets
//! clients bear a newer server; a test must not, so whatever the document does not name is refused here.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use switchboard_client::{RawAnswer, Seen};
use switchboard_model::Code;
use switchboard_server::{openapi::Audience, routes::document_for};

const JSON: &str = "application/json";

/// Judges what a client has heard: what every client of a test server does
/// ([`switchboard_client::ClientBuilder::observe`]).
///
/// # Panics
/// With what the document does not allow.
pub fn judge(seen: Seen<'_>) {
    match seen {
        Seen::Answer { method, path, answer } => judge_answer(method, path, answer),
        Seen::Event { name, data } => judge_event(name, data),
    }
}

/// Judges an answer: it is documented, and its body is exactly of its schema.
///
/// # Panics
/// As [`judge`].
#[track_caller]
pub fn judge_answer(method: &Method, path: &str, answer: &RawAnswer) {
    if let Err(wrong) = check_answer(method, path, answer) {
        panic!("{method} {path} answers {}: {wrong}: {answer:?}", answer.status);
    }
}

/// Judges the data of an event, whether a webhook or a stream brings it.
///
/// # Panics
/// As [`judge`].
#[track_caller]
pub fn judge_event(name: &str, data: &Value) {
    let audience = Audience::Programs;
    let delivery = &document_for(audience)["webhooks"][name]["post"]["requestBody"]["content"];
    let body = resolved(audience, &delivery[JSON]["schema"]);
    assert!(body.is_object(), "{name} is no event");
    if let Err(wrong) = check(audience, &body["properties"]["data"], data) {
        panic!("{name}: {wrong}: {data}");
    }
}

/// As [`judge_answer`], for who wants to know.
///
/// # Errors
/// What the document does not allow.
pub fn check_answer(method: &Method, path: &str, answer: &RawAnswer) -> Result<(), String> {
    let code = answer.body["error"]["code"].as_str();
    // A request that reaches no operation, or one that this server does not have.
    if code == Some(Code::EndpointNotFound.as_str()) {
        return check_error(Audience::Programs, answer);
    }
    let Some((audience, operation)) = operation(method, path) else {
        // A method that the path does not take, and what only bridges ask for: a refusal is one like any other.
        let is_refusal = answer.status >= 400 && !answer.body.is_null();
        return if is_refusal { check_error(Audience::Programs, answer) } else { Ok(()) };
    };
    let response = &operation["responses"][answer.status.to_string()];
    let response = resolved(audience, response);
    if !response.is_object() {
        return Err("the status is not documented".to_owned());
    }
    let content = &response["content"][JSON];
    if content.is_null() || method == Method::HEAD {
        return Ok(());
    }
    if answer.header("content-type") != Some(JSON) {
        return Err(format!("Content-Type is not {JSON}"));
    }
    if let Some(code) = code {
        if content["examples"].get(code).is_none() {
            return Err("the code is not documented".to_owned());
        }
        return check_error(audience, answer);
    }
    check(audience, &content["schema"], &answer.body)?;
    let is_list = answer.body["data"].is_array() && !answer.body["has_more"].is_null();
    if is_list && answer.body["has_more"] != answer.body["next_cursor"].is_string() {
        return Err("has_more and next_cursor contradict each other".to_owned());
    }
    check_request_id(answer)
}

/// The operation that a request has reached, if it is in a document.
pub fn operation(method: &Method, path: &str) -> Option<(Audience, &'static Value)> {
    let path = path.split('?').next().unwrap_or_default();
    // A signed URL is whole.
    let path = path.strip_prefix("http://").map_or(path, |rest| {
        let host = rest.find('/').unwrap_or(rest.len());
        &rest[host..]
    });
    let method = method.as_str().to_lowercase();
    Audience::ALL.into_iter().find_map(|audience| {
        let found = document_for(audience)["paths"].get(path)?.get(&method)?;
        Some((audience, found))
    })
}

/// What a reference of a document stands for; anything else is itself.
pub fn resolved(audience: Audience, value: &'static Value) -> &'static Value {
    let target = value["$ref"].as_str().map(|target| target.trim_start_matches('#'));
    target.and_then(|target| document_for(audience).pointer(target)).unwrap_or(value)
}

fn check_error(audience: Audience, answer: &RawAnswer) -> Result<(), String> {
    check(audience, &json!({ "$ref": "#/components/schemas/ErrorEnvelope" }), &answer.body)?;
    let error = &answer.body["error"];
    let code = Code::ALL.iter().find(|code| error["code"] == code.as_str());
    let row = code.map(|code| (json!(code.error_type()), code.status()));
    if row != Some((error["type"].clone(), answer.status)) {
        return Err("type, status and code are not of one row (§3)".to_owned());
    }
    if answer.status == 429 && answer.retry_after().is_none_or(|seconds| seconds == 0) {
        return Err("a 429 needs a Retry-After of at least 1 (§4)".to_owned());
    }
    check_request_id(answer)
}

/// A first answer that is given again is so byte for byte, with the id that it had (§10).
fn check_request_id(answer: &RawAnswer) -> Result<(), String> {
    let told = answer.body["request_id"].as_str();
    if told.is_some() && !answer.is_replayed() && answer.header("x-request-id") != told {
        return Err("X-Request-Id is not the body's request_id (§1)".to_owned());
    }
    Ok(())
}

/// Whether a value is exactly of this schema of a document.
///
/// # Errors
/// What it is not. Names fields; of a value no more than the schema forbids.
pub fn check(audience: Audience, schema: &Value, value: &Value) -> Result<(), String> {
    let judged = validator(audience, schema).validate(value);
    judged.map_err(|error| format!("{} {error}", error.instance_path()))
}

/// Each is made once, with the schemas that it refers to.
fn validator(audience: Audience, schema: &Value) -> Arc<Validator> {
    type Known = Mutex<HashMap<(usize, String), Arc<Validator>>>;
    static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let made = known.entry((audience as usize, schema.to_string())).or_insert_with(|| {
        let mut root = schema.clone();
        close(&mut root, true);
        let mut schemas = Map::new();
        gather(audience, schema, &mut schemas);
        root["components"] = json!({ "schemas": schemas });
        // The document's own formats are told to programs that make requests, not to a validator.
        let options = jsonschema::draft202012::options().should_validate_formats(false);
        Arc::new(options.build(&root).expect("the document holds schemas"))
    });
    Arc::clone(made)
}

/// The named schemas that this one refers to, closed, and those that they refer to.
fn gather(audience: Audience, schema: &Value, schemas: &mut Map<String, Value>) {
    let name = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    if let Some(name) = name.filter(|name| !schemas.contains_key(*name)) {
        let named = &document_for(audience)["components"]["schemas"][name];
        let mut closed = named.clone();
        close(&mut closed, false);
        schemas.insert(name.to_owned(), closed);
        gather(audience, named, schemas);
    }
    match schema {
        Value::Array(all) => all.iter().for_each(|one| gather(audience, one, schemas)),
        Value::Object(all) => all.values().for_each(|one| gather(audience, one, schemas)),
        _ => {}
    }
}

/// Refuses in every object what its schema does not name. A part of a whole (`allOf`, and a schema with a name, which may
/// be such a part) does not know the fields of the other parts: so the whole is closed where it is used.
fn close(schema: &mut Value, is_whole: bool) {
    let Some(fields) = schema.as_object_mut() else { return };
    for (name, inner) in fields.iter_mut() {
        match (name.as_str(), inner) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(|one| close(one, true));
            }
            ("items", items) => close(items, true),
            ("anyOf" | "oneOf", Value::Array(choices)) => {
                choices.iter_mut().for_each(|one| close(one, true));
            }
            ("allOf", Value::Array(parts)) => parts.iter_mut().for_each(|one| close(one, false)),
            _ => {}
        }
    }
    let has = |name| fields.contains_key(name);
    if is_whole && (has("$ref") || has("properties") || has("allOf")) {
        fields.insert("unevaluatedProperties".to_owned(), false.into());
    }
}
