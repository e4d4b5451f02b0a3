//! Examples, put together from those of the fields.

use serde_json::{Map, Value, json};

/// A value of this schema. `schemas` are those that it may refer to.
pub(super) fn of(schema: &Value, schemas: &Map<String, Value>) -> Value {
    if let Some(example) = schema["examples"].get(0).or_else(|| schema.get("const")) {
        return example.clone();
    }
    if let Some(name) = target(schema) {
        return schemas.get(name).map_or(Value::Null, |schema| of(schema, schemas));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(fields) = of(part, schemas) {
                whole.extend(fields);
            }
        }
        return Value::Object(whole);
    }
    if let Some(first) = schema["anyOf"].get(0) {
        return of(first, schemas);
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(properties) = schema["properties"].as_object() {
        let fields = properties.iter().map(|(name, field)| (name.clone(), of(field, schemas)));
        return Value::Object(fields.collect());
    }
    match schema.get("items") {
        Some(items) => json!([of(items, schemas)]),
        None => Value::Null,
    }
}

/// The name of the schema that this one refers to.
pub(super) fn target(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}
