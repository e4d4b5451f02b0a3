//! How schemas are written here: a resource is a table of fields, one line for each.

use serde_json::{Map, Value, json};
use switchboard_model::id::Kind;

/// The rest of an id after its prefix, as [`switchboard_model::id`] writes it.
const ID_REST: &str = "[0-7][0-9a-hjkmnp-tv-z]{25}";
/// The rest of the ids in examples.
const EXAMPLE_REST: &str = "01ke7x3vqjf2mrb8n5c9t4ahzw";
/// The instant of the examples.
pub(super) const EXAMPLE_MS: i64 = 1_767_225_600_000;
/// The request of the examples.
pub(super) const EXAMPLE_REQUEST: &str = "req_019b76da5d1a7c32b1f0a4c8e25d9b67";

/// A field of a resource.
pub(super) struct Field {
    name: &'static str,
    schema: Value,
    required: bool,
}

/// Always there, never null.
pub(super) fn always(name: &'static str, schema: Value, about: &str) -> Field {
    Field { name, schema: described(schema, about), required: true }
}

/// Always there, perhaps null.
pub(super) fn always_or_null(name: &'static str, schema: Value, about: &str) -> Field {
    Field { name, schema: described(or_null(schema), about), required: true }
}

/// May be null or absent: the contract's "null".
pub(super) fn nullable(name: &'static str, schema: Value, about: &str) -> Field {
    Field { name, schema: described(or_null(schema), about), required: false }
}

/// May be absent, never null: the contract's "opt".
pub(super) fn optional(name: &'static str, schema: Value, about: &str) -> Field {
    Field { name, schema: described(schema, about), required: false }
}

/// An object of these fields.
pub(super) fn object(about: &str, fields: Vec<Field>) -> Value {
    let required: Vec<_> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let properties: Map<_, _> =
        fields.into_iter().map(|field| (field.name.to_owned(), field.schema)).collect();
    let mut schema = json!({ "type": "object", "description": about, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The fields of a named schema, and these.
pub(super) fn extended(base: &str, about: &str, fields: Vec<Field>) -> Value {
    let mut own = object(about, fields);
    let about = own["description"].take();
    if let Some(own) = own.as_object_mut() {
        own.remove("description");
    }
    json!({ "description": about, "allOf": [reference(base), own] })
}

/// Another schema of this document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A text.
pub(super) fn text(example: &str) -> Value {
    json!({ "type": "string", "examples": [example] })
}

/// True or false.
pub(super) fn boolean(example: bool) -> Value {
    json!({ "type": "boolean", "examples": [example] })
}

/// A whole number, 0 or more.
pub(super) fn number(example: u64) -> Value {
    json!({ "type": "integer", "minimum": 0, "examples": [example] })
}

/// Unix milliseconds, UTC.
pub(super) fn millis() -> Value {
    json!({ "type": "integer", "format": "int64", "examples": [EXAMPLE_MS] })
}

/// An id of this kind.
pub(super) fn id<K: Kind>() -> Value {
    json!({
        "type": "string",
        "pattern": format!("^{}{ID_REST}$", K::PREFIX),
        "examples": [example_id::<K>()],
    })
}

/// An id of this kind, of something that those who make requests from this document may know by this format.
pub(super) fn known<K: Kind>(format: &str) -> Value {
    let mut id = id::<K>();
    id["format"] = format.into();
    id
}

/// The id of this kind in the examples.
pub(super) fn example_id<K: Kind>() -> String {
    format!("{}{EXAMPLE_REST}", K::PREFIX)
}

/// This and nothing else.
pub(super) fn only(name: &str) -> Value {
    json!({ "type": "string", "const": name })
}

/// An object of which nothing is known.
pub(super) fn any_object() -> Value {
    json!({ "type": "object", "additionalProperties": true })
}

/// One of these names.
pub(super) fn one_of(names: &[&str]) -> Value {
    json!({ "type": "string", "enum": names })
}

/// A list of these.
pub(super) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// The same, with another example.
pub(super) fn such_as(mut schema: Value, example: impl Into<Value>) -> Value {
    schema["examples"] = json!([example.into()]);
    schema
}

/// The same, or null.
pub(super) fn or_null(mut schema: Value) -> Value {
    match schema.get("type").cloned() {
        Some(kind) => {
            schema["type"] = json!([kind, "null"]);
            schema
        }
        None => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

fn described(mut schema: Value, about: &str) -> Value {
    schema["description"] = about.into();
    schema
}
