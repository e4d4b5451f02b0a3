//! How schemas are written here: a resource is a table of fields, one line for each.

use schemars::{JsonSchema as _, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
pub(super) use switchboard_model::schema::{EXAMPLE_MS, example_id};
use switchboard_model::{
    Timestamp,
    id::{Id, Kind},
};

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
    Timestamp::json_schema(&mut generator()).into()
}

/// An id of this kind.
pub(super) fn id<K: Kind>() -> Value {
    Id::<K>::json_schema(&mut generator()).into()
}

/// An id of this kind, of something that those who make requests from this document may know by this format.
pub(super) fn known<K: Kind>(format: &str) -> Value {
    let mut id = id::<K>();
    id["format"] = format.into();
    id
}

/// This and nothing else.
pub(super) fn only(name: &str) -> Value {
    json!({ "type": "string", "const": name })
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

/// The schemas of these types, and of those that they are made of, by name.
macro_rules! derived {
    ($($resource:ty),+ $(,)?) => {{
        let mut generator = $crate::openapi::schema::generator();
        $(generator.subschema_for::<$resource>();)+
        $crate::openapi::schema::finished(&mut generator)
    }};
}
pub(super) use derived;

pub(super) fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let path = "/components/schemas".into();
    settings.with(|settings| settings.definitions_path = path).into_generator()
}

/// What was derived, as it is written in the documents.
pub(super) fn finished(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut schemas = generator.take_definitions(true);
    schemas.values_mut().for_each(finish);
    schemas
}

fn finish(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    // Names need no docs of their own.
    if let Some(Value::Array(names)) = fields.remove("oneOf") {
        let names: Vec<_> = names.into_iter().map(|mut name| name["const"].take()).collect();
        *schema = json!({ "type": "string", "enum": names });
        return;
    }
    // Of what is read, and these are sent.
    fields.remove("default");
    if let Some(Value::String(about)) = fields.get_mut("description") {
        *about = about.replace('\n', " ");
    }
    if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint"))
    {
        fields.remove("format");
        fields.remove("maximum");
    }
    if fields.get("type").is_some_and(|kind| kind == "boolean") {
        fields.entry("examples").or_insert_with(|| json!([true]));
    }
    if let Some(items) = fields.get_mut("items") {
        finish(items);
    }
    finish_object(fields);
}

/// What may be null may be absent too, and what may be absent is never null: unless an object is always complete.
fn finish_object(object: &mut Map<String, Value>) {
    let is_complete = object.remove("x-complete").is_some();
    let Some(Value::Object(mut properties)) = object.remove("properties") else { return };
    let mut required = match object.remove("required") {
        Some(Value::Array(names)) => names,
        _ => Vec::new(),
    };
    for (name, property) in &mut properties {
        finish(property);
        match required.iter().position(|one| one == name) {
            Some(at) if !is_complete && may_be_null(property) => drop(required.remove(at)),
            Some(_) => {}
            None => never_null(property),
        }
    }
    let mut own = Map::new();
    own.insert("type".to_owned(), "object".into());
    own.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        own.insert("required".to_owned(), required.into());
    }
    match object.get_mut("allOf") {
        Some(Value::Array(parts)) => {
            parts.push(own.into());
            object.remove("type");
        }
        _ => object.extend(own),
    }
}

fn may_be_null(schema: &Value) -> bool {
    let is_null = |one: &Value| one["type"] == "null";
    schema["type"].as_array().is_some_and(|kinds| kinds.contains(&"null".into()))
        || schema["anyOf"].as_array().is_some_and(|choices| choices.iter().any(is_null))
}

fn never_null(schema: &mut Value) {
    if let Some([kind, null]) = schema["type"].as_array().map(Vec::as_slice)
        && null == "null"
    {
        schema["type"] = kind.clone();
    }
    if let Some([Value::Object(choice), null]) = schema["anyOf"].as_array().map(Vec::as_slice)
        && null["type"] == "null"
        && let (choice, Some(fields)) = (choice.clone(), schema.as_object_mut())
    {
        fields.remove("anyOf");
        fields.extend(choice);
    }
}
