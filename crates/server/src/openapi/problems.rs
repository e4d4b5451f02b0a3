//! What can go wrong, as answers: every status with the codes that it may carry here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use switchboard_model::{Code, Problem, problem::ErrorType};

use super::{
    headers,
    resources::REQUEST,
    schema::{EXAMPLE_REQUEST, always, derived, object, one_of, optional, reference, text},
};

/// These codes, each once, in the order of the catalogue.
pub(super) fn in_order(codes: &[Code], others: &[Code]) -> Vec<Code> {
    let named = |code: &Code| codes.contains(code) || others.contains(code);
    Code::ALL.iter().copied().filter(named).collect()
}

/// The schemas of errors, by name, in a document that has these codes.
pub(super) fn schemas(codes: &[Code]) -> Map<String, Value> {
    let mut all = derived!(ErrorType);
    for (name, schema) in [
        ("Error", error()),
        ("ErrorEnvelope", envelope()),
        ("ErrorCode", error_code(codes)),
        ("RequestId", request_id()),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
}

/// Puts the answers that several operations have in common in one place, and refers to them.
pub(super) fn share(responses: &mut Map<String, Value>, shared: &mut Map<String, Value>) {
    /// Longer names say less than what they name.
    const MOST: usize = 3;
    for response in responses.values_mut() {
        let examples = response["content"]["application/json"]["examples"].as_object();
        let codes: Vec<_> = examples.into_iter().flat_map(Map::keys).cloned().collect();
        if !(1..=MOST).contains(&codes.len()) {
            continue;
        }
        let name = codes.join(".");
        let known = shared.entry(name.clone()).or_insert_with(|| response.clone());
        // Of the same codes, but not with the same headers.
        if known == response {
            *response = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
}

/// The answers of an operation that may give these codes, by status.
pub(super) fn responses(codes: &[Code], counted: bool) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in in_order(codes, &[]) {
        by_status.entry(code.status()).or_default().push(code);
    }
    by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), response(status, &codes, counted)))
        .collect()
}

/// An example for each code, by name.
pub(super) fn examples(codes: &[Code]) -> Map<String, Value> {
    codes
        .iter()
        .map(|&code| {
            let envelope = Problem::new(code, code.help()).envelope(EXAMPLE_REQUEST.to_owned());
            (code.as_str().to_owned(), json!({ "summary": code.help(), "value": envelope }))
        })
        .collect()
}

/// The answers that no operation gives: those to a request that reaches none.
pub(super) fn shared() -> Map<String, Value> {
    let mut missed = response(405, &[Code::MethodNotAllowed], false);
    missed["headers"]["Allow"] = headers::reference("Allow");
    let mut shared = Map::new();
    shared.insert("MethodNotAllowed".to_owned(), missed);
    let nowhere = response(404, &[Code::EndpointNotFound], false);
    shared.insert("EndpointNotFound".to_owned(), nowhere);
    shared
}

fn response(status: u16, codes: &[Code], counted: bool) -> Value {
    let about: Vec<_> =
        codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.help())).collect();
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let examples: Map<_, _> = names
        .iter()
        .map(|name| {
            ((*name).to_owned(), json!({ "$ref": format!("#/components/examples/{name}") }))
        })
        .collect();
    // A failure of the server's own may come before the key is known.
    let mut headers = headers::of_answers(counted && status != 401 && status < 500);
    if matches!(status, 429 | 503) || codes == [Code::IdempotencyInProgress] {
        headers.insert("Retry-After".to_owned(), headers::reference("Retry-After"));
    }
    if status == 401 {
        headers.insert("WWW-Authenticate".to_owned(), headers::reference("WWW-Authenticate"));
    }
    json!({
        "description": about.join(" "),
        "headers": headers,
        "content": {
            "application/json": {
                // One schema for all: which codes come with this status, the examples say.
                "schema": reference("ErrorEnvelope"),
                "examples": examples,
            },
        },
    })
}

fn request_id() -> Value {
    json!({ "type": "string", "pattern": "^req_[0-9a-f]{12,}$", "examples": [EXAMPLE_REQUEST] })
}

fn error() -> Value {
    object(
        "One mistake. Programs branch on `code`; `message` is for people.",
        vec![
            always("type", reference("ErrorType"), "What kind of mistake."),
            always("code", reference("ErrorCode"), "Which mistake."),
            always("message", text("Send your API key."), "What is wrong, and the next step."),
            optional("param", text("to"), "The parameter at fault, as the caller wrote it."),
        ],
    )
}

fn envelope() -> Value {
    object(
        "The body of every error.",
        vec![
            always("error", reference("Error"), "The mistake."),
            always("request_id", reference("RequestId"), REQUEST),
        ],
    )
}

fn error_code(codes: &[Code]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let lines = codes
        .iter()
        .map(|code| format!("* `{}` ({}): {}", code.as_str(), code.status(), code.help()));
    let about = lines.collect::<Vec<_>>().join("\n");
    let mut schema = one_of(&names);
    schema["description"] = about.into();
    schema
}
