//! The headers of answers (§1, §4).

use serde_json::{Map, Value, json};

/// Those of every answer; of one that was counted against the hour, its limit too.
pub(super) fn of_answers(counted: bool) -> Map<String, Value> {
    const HOUR: [&str; 5] = [
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "RateLimit",
        "RateLimit-Policy",
    ];
    let hour = HOUR.into_iter().filter(|_| counted);
    ["X-Request-Id"]
        .into_iter()
        .chain(hour)
        .map(|name| (name.to_owned(), reference(name)))
        .collect()
}

/// A header of the list below.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The headers that a document refers to, by name.
pub(super) fn used(document: &Value) -> Map<String, Value> {
    let text = document.to_string();
    let is_used = |name: &str| text.contains(&format!("\"#/components/headers/{name}\""));
    all().into_iter().filter(|(name, _)| is_used(name)).collect()
}

/// Every header that an answer may have, by name.
fn all() -> Map<String, Value> {
    let number = |example| json!({ "type": "integer", "minimum": 0, "examples": [example] });
    let text = |example| json!({ "type": "string", "examples": [example] });
    let wait = json!({ "type": "integer", "minimum": 1, "examples": [30] });
    let request = json!({ "$ref": "#/components/schemas/RequestId" });
    let etag = "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"";
    let file = "/files/download?id=file_…&expires=…&signature=…";
    [
        ("X-Request-Id", true, request, "The body's `request_id`."),
        ("X-RateLimit-Limit", true, number(1000), "Requests an hour that the key may make."),
        ("X-RateLimit-Remaining", true, number(993), "How many are left."),
        ("X-RateLimit-Reset", true, number(3271), "Seconds until the hour ends."),
        ("RateLimit", true, text("\"hour\";r=993;t=3271"), "The same, as the IETF draft has it."),
        ("RateLimit-Policy", true, text("\"hour\";q=1000;w=3600"), "The limit, likewise."),
        ("Retry-After", true, wait, "Seconds to wait before the next try."),
        ("WWW-Authenticate", true, text("Bearer"), "How to show who you are."),
        ("Allow", true, text("GET,HEAD,POST"), "The methods that the path takes."),
        ("Location", true, text(file), "Where the file is, with no key. Signed; expires."),
        (
            "Idempotent-Replayed",
            false,
            json!({ "type": "string", "enum": ["true"] }),
            "There when this is the first answer once more.",
        ),
        ("ETag", true, text(etag), "Names the bytes."),
        ("Accept-Ranges", true, text("bytes"), "Parts can be asked for."),
        ("Content-Range", true, text("bytes 0-99/48213"), "Which part of the whole this is."),
        (
            "Content-Disposition",
            true,
            text("attachment; filename=\"menu.pdf\""),
            "The file's name. Browsers save it rather than show it.",
        ),
        ("Cache-Control", true, text("no-store"), "Whether the answer may be kept."),
    ]
    .into_iter()
    .map(|(name, required, schema, about)| {
        let header = json!({ "description": about, "required": required, "schema": schema });
        (name.to_owned(), header)
    })
    .collect()
}
