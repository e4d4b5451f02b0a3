//! The API, described: OpenAPI 3.1, made of the code.
//!
//! The promise: what stands here is what the server does. Who may call and with which scope comes
//! from the table of routes; codes, limits, names and resources come from `model`; tests hold every answer
//! against it, and fail for a route, a code or a resource that is left out.

mod admin;
mod answers;
mod audience;
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
mod simulator;

use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use serde_json::{Map, Value, json, value::RawValue};
use switchboard_model::{
    Code, EventKind, Line, Timestamp,
    key::DEFAULT_HOURLY_LIMIT,
    page::{DEFAULT_LIMIT, MAX_LIMIT},
};

use crate::operation::{Access, Operation};
use answers::file_bytes;
use operations::{Entry, RequestBody};

pub use audience::Audience;
pub(crate) use page::Page;

/// The documents that describe a table of operations. There is one table, the same for every server of this version:
/// each document is made once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Documents {
    table: fn() -> Vec<Operation>,
}

impl Documents {
    /// The documents of this table.
    pub(crate) const fn of(table: fn() -> Vec<Operation>) -> Self {
        Self { table }
    }

    /// The document for these callers.
    pub(crate) fn document_for(self, audience: Audience) -> &'static Value {
        static DOCUMENTS: OnceLock<[Value; 3]> = OnceLock::new();
        let make = || Audience::ALL.map(|audience| make(audience, &(self.table)()));
        &DOCUMENTS.get_or_init(make)[audience as usize]
    }

    /// The document as it is sent.
    pub(crate) fn text(self, audience: Audience) -> Bytes {
        static TEXTS: OnceLock<[Bytes; 3]> = OnceLock::new();
        let make = || Audience::ALL.map(|one| self.document_for(one).to_string().into());
        TEXTS.get_or_init(make)[audience as usize].clone()
    }

    /// The data of an event that did not happen, to try a webhook with.
    pub(crate) fn sample(
        self,
        kind: EventKind,
        line: Option<&Line>,
        now: Timestamp,
    ) -> Box<RawValue> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        let document = self.document_for(Audience::Programs);
        let schemas = document["components"]["schemas"].as_object().unwrap_or(&NONE);
        events::sample(kind, schemas, line, now)
    }

    /// The page as it is sent.
    pub(crate) fn page(self, audience: Audience) -> &'static Page {
        static PAGES: OnceLock<[Page; 3]> = OnceLock::new();
        let make = || Audience::ALL.map(|one| Page::of(one, self.document_for(one)));
        &PAGES.get_or_init(make)[audience as usize]
    }
}

/// What is in a document beside what is made of its operations.
struct Contents {
    tags: Vec<(&'static str, &'static str)>,
    entries: Vec<Entry>,
    schemas: Map<String, Value>,
    parameters: Map<String, Value>,
}

fn contents(audience: Audience) -> Contents {
    match audience {
        Audience::Programs => {
            let mut schemas = resources::all();
            schemas.extend(requests::all());
            schemas.extend(events::schemas());
            Contents {
                tags: operations::TAGS.to_vec(),
                entries: operations::all(),
                schemas,
                parameters: parameters::all(),
            }
        }
        Audience::Operator => Contents {
            tags: admin::TAGS.to_vec(),
            entries: admin::operations(),
            schemas: admin::schemas(),
            parameters: Map::new(),
        },
        Audience::Simulator => Contents {
            tags: simulator::TAGS.to_vec(),
            entries: simulator::operations(),
            schemas: simulator::schemas(),
            parameters: simulator::parameters(),
        },
    }
}

fn make(audience: Audience, table: &[Operation]) -> Value {
    let Contents { tags, entries, mut schemas, parameters } = contents(audience);
    let routes: Vec<_> = table
        .iter()
        .filter(|route| Audience::of(route) == Some(audience))
        .filter_map(|route| {
            let entry = entries
                .iter()
                .find(|entry| entry.method == route.method && entry.path == route.path)?;
            Some((entry, route.access))
        })
        .collect();
    let answers = routes.iter().filter_map(|(entry, _)| entry.answer.schema());
    schemas.extend(answers.collect::<Vec<_>>());
    let codes: Vec<_> =
        routes.iter().flat_map(|(entry, access)| codes_of(entry, *access)).collect();
    let codes = problems::in_order(&codes, &[Code::EndpointNotFound, Code::MethodNotAllowed]);
    schemas.extend(problems::schemas(&codes));

    let mut shared = problems::shared();
    let mut paths = Map::new();
    for (entry, access) in routes {
        let methods = paths.entry(entry.path).or_insert_with(|| json!({}));
        methods[entry.method.as_str().to_lowercase()] =
            operation(audience, entry, access, &schemas, &mut shared);
    }
    let tags: Vec<_> =
        tags.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": audience.title(),
            "version": env!("CARGO_PKG_VERSION"),
            "summary": audience.summary(),
            "description": about(audience),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        // Relative to where this document was found: every server describes itself.
        "servers": [{ "url": "/", "description": "This server." }],
        "security": [audience.security()],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters,
            "responses": shared,
            "examples": problems::examples(&codes),
            "securitySchemes": audience.security_schemes(),
        },
    });
    if audience == Audience::Programs {
        document["webhooks"] = Value::Object(events::webhooks(&schemas));
    }
    let headers = headers::used(&document);
    document["components"]["headers"] = Value::Object(headers);
    document
}

fn about(audience: Audience) -> String {
    if audience != Audience::Programs {
        return audience.about().to_owned();
    }
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
    audience: Audience,
    entry: &Entry,
    access: Access,
    schemas: &Map<String, Value>,
    shared: &mut Map<String, Value>,
) -> Value {
    let counted = matches!(access, Access::Key(_) | Access::AnyKey);
    let mut responses = problems::responses(&codes_of(entry, access), counted);
    problems::share(&mut responses, shared);
    for (status, response) in answers::answers(entry, counted, schemas) {
        responses.insert(status, response);
    }
    let needs = match access {
        Access::Key(scope) => format!("\n\nNeeds the scope `{}`.", scope.as_str()),
        Access::AnyKey => "\n\nNeeds any valid key.".to_owned(),
        Access::Operator => "\n\nNeeds the operator token.".to_owned(),
        _ => "\n\nNeeds no key.".to_owned(),
    };
    let parameters: Vec<_> = entry
        .parameters
        .iter()
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect();
    let is_open = matches!(access, Access::SignedUrl | Access::Public);
    let mut operation = json!({
        "operationId": entry.id,
        "tags": [entry.tag],
        "summary": entry.summary,
        "description": format!("{}{needs}", entry.about),
        "parameters": parameters,
        // Beside the document's own: some generators look for it only here.
        "security": if is_open { json!([]) } else { json!([audience.security()]) },
        "responses": responses,
    });
    if let Access::Key(scope) = access {
        operation["x-required-scope"] = scope.as_str().into();
    }
    match entry.body {
        RequestBody::None => {}
        RequestBody::Json(name) => operation["requestBody"] = json_body(name, schemas),
        RequestBody::File => operation["requestBody"] = file_body(),
    }
    operation
}

/// Every code that an operation may give.
fn codes_of(entry: &Entry, access: Access) -> Vec<Code> {
    let mut codes = entry.named_codes();
    codes.extend(codes_of_kind(entry, access));
    codes
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
    // Of the operator's routes: after many wrong tokens.
    if matches!(access, Access::Key(_) | Access::AnyKey | Access::Operator) {
        codes.push(Code::RateLimitExceeded);
    }
    if access != Access::SignedUrl {
        codes.extend([Code::MissingApiKey, Code::InvalidApiKey]);
    }
    if is_idempotent(entry) {
        codes.extend([Code::IdempotencyInProgress, Code::IdempotencyMismatch]);
    }
    if matches!(entry.body, RequestBody::Json(_)) {
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
    json!({
        "description": "The bytes of the file, with its type as `Content-Type`: any type is taken, and it is \
                        checked against the bytes. `application/octet-stream` leaves it to the server to find out.",
        "required": true,
        "content": { "application/octet-stream": { "schema": file_bytes(1) } },
    })
}
