//! JSON as Foundation's JSONSerialization writes it: keys in any order, `/` as `\/`, other text raw.

use rand::seq::SliceRandom;
use serde_json::Value;

/// One line.
pub(crate) fn render(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields = fields.iter().collect::<Vec<_>>();
            fields.shuffle(&mut rand::rng());
            text.push('{');
            for (at, (key, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                string(key, text);
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (at, value) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(value, text);
            }
            text.push(']');
        }
        Value::String(value) => string(value, text),
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

fn string(value: &str, text: &mut String) {
    text.push_str(&Value::from(value).to_string().replace('/', "\\/"));
}
