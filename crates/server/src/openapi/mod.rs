//! The API, described: OpenAPI 3.1, made of the code.
//!
//! The promise: what stands here is what the server does. Who may call and with which scope comes
//! from the table of routes; codes, limits and names come from `model`; the shapes are held against
//! the client's by a test; and tests fail for a route, a code or a resource that is left out.

mod events;
mod example;
mod headers;
mod operations;
mod page;
mod parameters;
mod problems;
mod requests;
mod resources;
mod schema;

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json, value::RawValue};
use switchboard_model::{
    Code, EventKind, Line, Timestamp,
    key::DEFAULT_HOURLY_LIMIT,
    page::{DEFAULT_LIMIT, MAX_LIMIT},
};

use crate::routes::{self, Access};
use operations::{Answer, Body, Entry};

pub(crate) use page::Page;

/// Where the document is.
pub(crate) const PATH: &str = "/v1/openapi.json";
/// Where people read it.
pub(crate) const PAGE_PATH: &str = "/docs";

/// The document. The same for every server of this version, so it is made once.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(make);
    &DOCUMENT
}

/// The document as it is sent.
pub(crate) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    TEXT.clone()
}

/// The data of an event that did not happen, to try a webhook with.
pub(crate) fn sample(kind: EventKind, line: Option<&Line>, now: Timestamp) -> Box<RawValue> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    let schemas = document()["components"]["schemas"].as_object().unwrap_or(&NONE);
    events::sample(kind, schemas, line, now)
}

/// The page as it is sent.
pub(crate) fn page() -> &'static Page {
    static PAGE: LazyLock<Page> = LazyLock::new(|| Page::of(document()));
    &PAGE
}

fn make() -> Value {
    let mut schemas = resources::all();
    schemas.extend(requests::all());
    schemas.extend(problems::schemas());
    schemas.extend(events::schemas());
    let mut paths = Map::new();
    let mut shared = problems::shared();
    let entries = operations::all();
    for route in routes::table() {
        let same = |entry: &&Entry| entry.method == route.method && entry.path == route.path;
        if let Some(entry) = entries.iter().find(same) {
            let methods = paths.entry(entry.path).or_insert_with(|| json!({}));
            methods[entry.method.as_str().to_lowercase()] =
                operation(entry, route.access, &schemas, &mut shared);
        }
    }
    let tags: Vec<_> = operations::TAGS
        .iter()
        .map(|(name, about)| json!({ "name": name, "description": about }))
        .collect();
    let webhooks = events::webhooks(&schemas);
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Switchboard",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A self-hosted iMessage API for agents and apps.",
            "description": about(),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        // Relative to where this document was found: every server describes itself.
        "servers": [{ "url": "/", "description": "This server." }],
        "security": [{ "apiKey": [] }],
        "tags": tags,
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas,
            "parameters": parameters::all(),
            "headers": headers::all(),
            "responses": shared,
            "examples": problems::examples(),
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "sk_live_…",
                    "description": "An API key: `Authorization: Bearer sk_live_…`. What it may do is \
                                    told by its scopes; each operation names the one it needs.",
                },
            },
        },
    })
}

fn about() -> String {
    format!(
        "Send your API key as `Authorization: Bearer sk_live_…`. Bodies are JSON in UTF-8; unknown \
         fields are ignored, and null is the same as absent. Times are Unix **milliseconds**, UTC. \
         Ids are opaque: a prefix that names the kind, and a rest.\n\n\
         Every answer carries a `request_id`, also in the header `X-Request-Id`. An error is \
         `{{\"error\": {{\"type\", \"code\", \"message\", \"param\"?}}, \"request_id\"}}`; programs branch on \
         `code`. A path that does not exist is `endpoint_not_found` (404), a method that it does not \
         take `method_not_allowed` (405).\n\n\
         A key may make {DEFAULT_HOURLY_LIMIT} requests an hour unless its owner was given another \
         limit; the `X-RateLimit-…` headers count. Lists hold {DEFAULT_LIMIT} rows by default and at \
         most {MAX_LIMIT}; only chats, messages and deliveries have more than one page.\n\n\
         Requests may come from any origin (CORS)."
    )
}

fn operation(
    entry: &Entry,
    access: Access,
    schemas: &Map<String, Value>,
    shared: &mut Map<String, Value>,
) -> Value {
    let mut codes = entry.named_codes();
    codes.extend(codes_of_kind(entry, access));
    let counted = matches!(access, Access::Key(_) | Access::AnyKey);
    let mut responses = problems::responses(&codes, counted);
    problems::share(&mut responses, shared);
    for (status, response) in answers(entry, counted, schemas) {
        responses.insert(status, response);
    }
    let needs = match access {
        Access::Key(scope) => format!("\n\nNeeds the scope `{}`.", scope.as_str()),
        Access::AnyKey => "\n\nNeeds any valid key.".to_owned(),
        _ => "\n\nNeeds no key.".to_owned(),
    };
    let parameters: Vec<_> = entry
        .parameters
        .iter()
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect();
    let mut operation = json!({
        "operationId": entry.id,
        "tags": [entry.tag],
        "summary": entry.summary,
        "description": format!("{}{needs}", entry.about),
        "parameters": parameters,
        "responses": responses,
    });
    match access {
        Access::Key(scope) => operation["x-required-scope"] = scope.as_str().into(),
        Access::AnyKey => {}
        _ => operation["security"] = json!([]),
    }
    match entry.body {
        Body::None => {}
        Body::Json(name) => operation["requestBody"] = json_body(name, schemas),
        Body::File => operation["requestBody"] = file_body(),
    }
    operation
}

/// The codes that come with how an operation is called, whatever it does.
fn codes_of_kind(entry: &Entry, access: Access) -> Vec<Code> {
    let mut codes = vec![Code::InternalError];
    match access {
        Access::Key(_) => codes.push(Code::InsufficientScope),
        Access::Public => return codes,
        _ => {}
    }
    codes.push(Code::ServiceUnavailable);
    if matches!(access, Access::Key(_) | Access::AnyKey) {
        codes.extend([Code::MissingApiKey, Code::InvalidApiKey, Code::RateLimitExceeded]);
    }
    if is_idempotent(entry) {
        codes.extend([Code::IdempotencyInProgress, Code::IdempotencyMismatch]);
    }
    if matches!(entry.body, Body::Json(_)) {
        codes.extend([Code::InvalidJson, Code::RequestTooLarge, Code::UnsupportedMediaType]);
    }
    codes
}

fn is_idempotent(entry: &Entry) -> bool {
    entry.parameters.contains(&"IdempotencyKey")
}

fn json_body(name: &str, schemas: &Map<String, Value>) -> Value {
    let schema = schema::reference(name);
    let example = example::of(&schema, schemas);
    json!({
        "required": true,
        "content": { "application/json": { "schema": schema, "example": example } },
    })
}

fn file_body() -> Value {
    let bytes = json!({ "schema": { "type": "string", "format": "binary", "minLength": 1 } });
    let types = ["application/octet-stream", "image/jpeg", "audio/mp4", "text/vcard"];
    let content: Map<_, _> =
        types.into_iter().map(|kind| (kind.to_owned(), bytes.clone())).collect();
    json!({
        "description": "The bytes of the file. `Content-Type` is its type: those below are the most \
                        common, any other is taken too. `application/octet-stream` leaves it to the \
                        server to find out.",
        "required": true,
        "content": content,
    })
}

/// The answers when all is well.
fn answers(entry: &Entry, counted: bool, schemas: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut headers = headers::of_answers(counted);
    if is_idempotent(entry) {
        headers.insert("Idempotent-Replayed".to_owned(), headers::reference("Idempotent-Replayed"));
    }
    let answer = |status: u16, about: &str, schema: Value| {
        let example = example::of(&schema, schemas);
        let content = json!({ "application/json": { "schema": schema, "example": example } });
        let response = json!({ "description": about, "headers": headers, "content": content });
        vec![(status.to_string(), response)]
    };
    match entry.answer {
        Answer::One(201, name) => {
            let mut answers = answer(201, "Done.", resources::one(name));
            for (_, answer) in &mut answers {
                answer["links"] = links(name);
            }
            answers
        }
        Answer::One(status, name) => answer(status, "Here it is.", resources::one(name)),
        Answer::List(row) => answer(200, "All of them.", resources::page(row, false)),
        Answer::Page(row) => answer(200, "One page.", resources::page(row, true)),
        Answer::Redirect => {
            headers.insert("Location".to_owned(), headers::reference("Location"));
            let response = json!({ "description": "The file is there.", "headers": headers });
            vec![("302".to_owned(), response)]
        }
        Answer::Stream => vec![("200".to_owned(), stream(&mut headers))],
        Answer::Bytes => bytes(),
        Answer::Document => {
            let schema = json!({ "type": "object", "required": ["openapi", "info", "paths"] });
            let content = json!({ "application/json": { "schema": schema } });
            let response =
                json!({ "description": "This document.", "headers": headers, "content": content });
            vec![("200".to_owned(), response)]
        }
    }
}

/// What can be done next with what was made.
fn links(name: &str) -> Value {
    let id = "$response.body#/id";
    match name {
        "Accepted" => {
            json!({ "item": { "operationId": "getOutboxItem", "parameters": { "id": id } } })
        }
        "File" => json!({ "file": { "operationId": "getFile", "parameters": { "id": id } } }),
        "CreatedWebhook" => {
            json!({ "delete": { "operationId": "deleteWebhook", "requestBody": { "id": id } } })
        }
        "Replay" => json!({ "replay": { "operationId": "getReplay", "parameters": { "id": id } } }),
        _ => json!({}),
    }
}

fn stream(headers: &mut Map<String, Value>) -> Value {
    headers.insert("Cache-Control".to_owned(), headers::reference("Cache-Control"));
    let example =
        "id: 42\nevent: message.received\ndata: {\"id\":\"msg_…\",\"text\":\"Hi\",…}\n\n:\n\n";
    let content =
        json!({ "text/event-stream": { "schema": { "type": "string" }, "example": example } });
    json!({ "description": "Events, until one side ends it.", "headers": headers, "content": content })
}

/// A file, a part of it, or nothing new (RFC 9110 §13, §14).
fn bytes() -> Vec<(String, Value)> {
    const FILE: [&str; 4] = ["ETag", "Accept-Ranges", "Content-Disposition", "Cache-Control"];
    let response = |about: &str, part: bool, with_bytes: bool| {
        let mut headers = headers::of_answers(false);
        let part = ["Content-Range"].into_iter().filter(|_| part);
        headers.extend(
            FILE.into_iter().chain(part).map(|name| (name.to_owned(), headers::reference(name))),
        );
        let mut response = json!({ "description": about, "headers": headers });
        if with_bytes {
            response["content"] =
                json!({ "*/*": { "schema": { "type": "string", "format": "binary" } } });
        }
        response
    };
    vec![
        ("200".to_owned(), response("The file.", false, true)),
        ("206".to_owned(), response("The part that was asked for.", true, true)),
        ("304".to_owned(), response("The bytes are those that you have.", false, false)),
        ("416".to_owned(), response("The file has no such part.", true, false)),
    ]
}
