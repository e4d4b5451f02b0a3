//! The document as a page for people: one file, without a script and without anything from elsewhere.

use std::{fmt::Write as _, sync::LazyLock};

use askama::Template;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Audience, example};

const STYLE: &str = include_str!("../../templates/docs.css");

/// How deep resources within resources are shown.
const DEPTH: usize = 3;

/// Where the rest of the API is described.
const OTHERS: [(Audience, &str); 3] = [
    (Audience::Programs, "the API"),
    (Audience::Operator, "for operators"),
    (Audience::Simulator, "the simulator, on a server that has one"),
];

/// The page, and the policy under which browsers show it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) html: Bytes,
    pub(crate) policy: String,
}

impl Page {
    pub(super) fn of(audience: Audience, document: &Value) -> Self {
        let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        // The one style that stands in the page, and nothing else: no script, no frame, no request.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        let docs = Docs { document, audience, info: &document["info"] };
        let html = docs.render().expect("nothing of it can fail");
        Self { html: html.into(), policy }
    }
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs<'a> {
    document: &'a Value,
    audience: Audience,
    info: &'a Value,
}

/// Fields or parameters or codes, one below the other.
#[derive(Template, Default)]
#[template(path = "fields.html")]
struct Fields<'a> {
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    name: &'a str,
    kind: String,
    is_required: bool,
    about: &'a str,
    inner: Fields<'a>,
}

impl<'a> Docs<'a> {
    /// The operations of a group, in the order of their paths.
    fn operations(&self, tag: &Value) -> Vec<(&'static str, &'a str, &'a Value)> {
        let all = map(&self.document["paths"]).iter().flat_map(|(path, methods)| {
            let found = |method| Some((method, path.as_str(), methods.get(method)?));
            ["get", "post", "patch", "delete"].into_iter().filter_map(found)
        });
        all.filter(|(.., operation)| operation["tags"][0] == tag["name"]).collect()
    }

    fn events(&self) -> Vec<(&'static str, &'a str, &'a Value)> {
        let all = map(&self.document["webhooks"]).iter();
        all.map(|(name, event)| ("event", name.as_str(), &event["post"])).collect()
    }

    fn parameters(&self, operation: &'a Value) -> Fields<'a> {
        let all = list(&operation["parameters"]).iter().map(|one| self.resolve(one));
        let rows = all.map(|one| Row {
            name: text(&one["name"]),
            kind: format!("{}, {}", text(&one["in"]), self.kind(&one["schema"])),
            is_required: one["required"] == true,
            about: text(&one["description"]),
            inner: Fields::default(),
        });
        Fields { rows: rows.collect() }
    }

    /// What a body holds, and an example.
    fn content(&self, content: &'a Value) -> String {
        let shown = match &content["example"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => serde_json::to_string_pretty(other).ok(),
        };
        let example = shown.map(|text| format!("<pre><code>{}</code></pre>", escaped(&text)));
        format!("{}{}", self.fields(&content["schema"], 0), example.unwrap_or_default())
    }

    fn fine(&self, operation: &'a Value) -> Vec<(&'a String, &'a Value)> {
        map(&operation["responses"]).iter().filter(|(status, _)| !is_wrong(status)).collect()
    }

    /// The codes of an operation, each with its status.
    fn wrong(&self, operation: &'a Value) -> Fields<'a> {
        let wrong = map(&operation["responses"]).iter().filter(|(status, _)| is_wrong(status));
        let rows = wrong.flat_map(|(status, answer)| {
            let content = &self.resolve(answer)["content"]["application/json"];
            map(&content["examples"]).iter().map(move |(code, one)| Row {
                name: code,
                kind: status.clone(),
                is_required: false,
                about: text(&self.resolve(one)["summary"]),
                inner: Fields::default(),
            })
        });
        Fields { rows: rows.collect() }
    }

    /// The fields of a schema, required ones first; those of its parts too.
    fn fields(&self, schema: &'a Value, depth: usize) -> Fields<'a> {
        let mut fields = Vec::new();
        if depth < DEPTH {
            self.gather(schema, &mut fields);
        }
        fields.sort_by_key(|(_, _, required)| !required);
        let rows = fields.into_iter().map(|(name, field, is_required)| Row {
            name,
            kind: self.kind(field),
            is_required,
            about: self.about(field),
            inner: self.fields(field.get("items").unwrap_or(field), depth + 1),
        });
        Fields { rows: rows.collect() }
    }

    fn gather(&self, schema: &'a Value, fields: &mut Vec<(&'a str, &'a Value, bool)>) {
        let schema = self.resolve(schema);
        for part in list(&schema["allOf"]) {
            self.gather(part, fields);
        }
        let choices = list(&schema["anyOf"]);
        if !choices.is_empty() {
            fields.extend(self.of_any(choices));
        }
        let required = list(&schema["required"]);
        for (name, field) in map(&schema["properties"]) {
            let is_required = required.iter().any(|one| text(one) == name);
            match fields.iter_mut().find(|(other, _, _)| other == name) {
                // A part that says more of a field takes the place of the first.
                Some(known) => *known = (name, field, known.2 || is_required),
                None => fields.push((name, field, is_required)),
            }
        }
    }

    /// The fields of several schemas of which one holds: required is what is so in each.
    fn of_any(&self, choices: &'a [Value]) -> Vec<(&'a str, &'a Value, bool)> {
        let each: Vec<_> = choices
            .iter()
            .map(|choice| {
                let mut fields = Vec::new();
                self.gather(choice, &mut fields);
                fields
            })
            .collect();
        let mut all: Vec<(&str, &Value, bool)> = Vec::new();
        for (name, field, _) in each.iter().flatten().copied() {
            if all.iter().all(|(known, _, _)| *known != name) {
                let in_all = each.iter().all(|fields| {
                    fields.iter().any(|(other, _, required)| *other == name && *required)
                });
                all.push((name, field, in_all));
            }
        }
        all
    }

    /// What a field holds, in a few words.
    fn kind(&self, schema: &Value) -> String {
        if let Some(choices) = schema["anyOf"].as_array().filter(|_| schema.get("type").is_none()) {
            let kinds: Vec<_> = choices.iter().map(|one| self.kind(one)).collect();
            return kinds.join(" or ");
        }
        if let Some(one) = schema.get("const") {
            return one.to_string();
        }
        if let Some(names) = schema["enum"].as_array() {
            let names: Vec<_> = names
                .iter()
                .map(|one| one.as_str().map_or_else(|| one.to_string(), Into::into))
                .collect();
            return names.join(" | ");
        }
        if let Some(name) = example::target(schema) {
            let resolved = self.resolve(schema);
            // A resource's fields follow; a text's rules are in its description.
            return if resolved["type"] == "string" {
                self.kind(resolved)
            } else {
                name.to_owned()
            };
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
            kind => text(kind).to_owned(),
        };
        match schema.get("items") {
            Some(items) if kind.ends_with(" or null") => {
                format!("list of {} or null", self.kind(items))
            }
            Some(items) => format!("list of {}", self.kind(items)),
            None => kind,
        }
    }

    fn about(&self, schema: &'a Value) -> &'a str {
        schema["description"].as_str().unwrap_or_else(|| text(&self.resolve(schema)["description"]))
    }

    fn resolve(&self, value: &'a Value) -> &'a Value {
        value["$ref"]
            .as_str()
            .and_then(|target| self.document.pointer(target.trim_start_matches('#')))
            .unwrap_or(value)
    }
}

fn is_wrong(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

fn anchor(tag: &Value) -> String {
    text(&tag["name"]).to_lowercase()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn map(value: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;")
}

/// A description, paragraph by paragraph.
fn prose(value: &Value) -> String {
    let paragraphs = text(&value["description"]).split("\n\n").filter(|one| !one.is_empty());
    paragraphs.map(|one| format!("<p>{}</p>", inline(one))).collect()
}

/// The two marks of Markdown that descriptions use: code and strong.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            let _ = write!(out, "<code>{}</code>", escaped(part));
            continue;
        }
        for (at, part) in part.split("**").enumerate() {
            let part = escaped(part);
            out.push_str(&if at % 2 == 1 { format!("<b>{part}</b>") } else { part });
        }
    }
    out
}
