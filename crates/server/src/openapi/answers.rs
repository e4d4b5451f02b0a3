//! What an operation answers when all is well.

use serde_json::{Map, Value, json};

use super::{
    example, headers, is_idempotent,
    operations::{AnswerKind, Entry},
    resources, schema,
};

/// The answers when all is well.
pub(super) fn answers(
    entry: &Entry,
    counted: bool,
    schemas: &Map<String, Value>,
) -> Vec<(String, Value)> {
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
    let reference = |name: &str| schema::reference(name);
    match entry.answer {
        AnswerKind::One(201, name) => {
            let mut answers = answer(201, "Done.", reference(&resources::response_name(name)));
            for (_, answer) in &mut answers {
                let links = links(name);
                if links.as_object().is_some_and(|links| !links.is_empty()) {
                    answer["links"] = links;
                }
            }
            answers
        }
        AnswerKind::One(status, name) => {
            answer(status, "Here it is.", reference(&resources::response_name(name)))
        }
        AnswerKind::List(row) => answer(200, "All of them.", reference(&resources::list_name(row))),
        AnswerKind::Page(row) => answer(200, "One page.", reference(&resources::list_name(row))),
        AnswerKind::Redirect => {
            headers.insert("Location".to_owned(), headers::reference("Location"));
            let response = json!({ "description": "The file is there.", "headers": headers });
            vec![("302".to_owned(), response)]
        }
        AnswerKind::Stream => vec![("200".to_owned(), stream(&mut headers))],
        AnswerKind::Bytes => bytes(),
        AnswerKind::Document => {
            let schema = json!({
                "type": "object",
                "required": ["openapi", "info", "paths"],
                "additionalProperties": true,
            });
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
            let bytes = json!({ "schema": file_bytes(0) });
            // The file has its own type. The first is for generators, which know no range of types.
            response["content"] = json!({ "application/octet-stream": bytes, "*/*": bytes });
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

/// The bytes of a file. The form is that of OpenAPI 3.0: in 3.1 it says nothing, but generators know no other.
pub(super) fn file_bytes(least: usize) -> Value {
    let mut schema = json!({ "type": "string", "format": "binary" });
    if least > 0 {
        schema["minLength"] = least.into();
    }
    schema
}
