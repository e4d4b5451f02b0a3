//! The document as a page for people: one file, without a script and without anything from elsewhere.

use std::{fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Audience, example};

const STYLE: &str = include_str!("page.css");

/// How deep resources within resources are shown.
const DEPTH: usize = 3;

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
        let html = Writer { document, audience, out: String::new() }.page();
        Self { html: html.into(), policy }
    }
}

struct Writer<'a> {
    document: &'a Value,
    audience: Audience,
    out: String,
}

impl<'a> Writer<'a> {
    fn page(mut self) -> String {
        let info = &self.document["info"];
        let title = escaped(text(&info["title"]));
        self.add(&format!(
            "<!doctype html><html lang=en><head><meta charset=utf-8>\
             <meta name=viewport content='width=device-width,initial-scale=1'>\
             <title>{title} API</title><style>{STYLE}</style></head><body>"
        ));
        self.contents();
        let (version, path) = (escaped(text(&info["version"])), self.audience.path());
        self.add(&format!(
            "<main><h1>{title} API</h1><p class=dim>Version {version} · \
             <a href='{path}'>OpenAPI 3.1 document</a></p>"
        ));
        self.prose(text(&info["description"]));
        self.other_pages();
        for tag in list(&self.document["tags"]) {
            let name = text(&tag["name"]);
            self.add(&format!("<h2 id='{}'>{}</h2>", anchor(name), escaped(name)));
            self.prose(text(&tag["description"]));
            for (method, path, operation) in self.operations(name) {
                self.operation(&method, path, operation);
            }
        }
        let events = object(&self.document["webhooks"]);
        if !events.is_empty() {
            self.add(
                "<h2 id=bodies>Delivery bodies</h2><p>What a webhook is sent, event by event.</p>",
            );
        }
        for (name, event) in events {
            self.operation("event", name, &event["post"]);
        }
        self.codes();
        self.add("</main></body></html>\n");
        self.out
    }

    /// Where the rest of the API is described.
    fn other_pages(&mut self) {
        self.add("<p class=dim>Other pages:");
        for (other, what) in [
            (Audience::Programs, "the API"),
            (Audience::Operator, "for operators"),
            (Audience::Simulator, "the simulator, on a server that has one"),
        ] {
            if other != self.audience {
                self.add(&format!(" · <a href='{}'>{what}</a>", other.page_path()));
            }
        }
        self.add("</p>");
    }

    fn contents(&mut self) {
        // Closed, for phones; the style opens it where there is room.
        self.add("<nav><details><summary>Contents</summary>");
        for tag in list(&self.document["tags"]) {
            let name = text(&tag["name"]);
            self.add(&format!("<h2><a href='#{}'>{}</a></h2><ul>", anchor(name), escaped(name)));
            for (method, path, operation) in self.operations(name) {
                let (id, path) = (text(&operation["operationId"]), escaped(path));
                self.add(&format!("<li><a href='#{id}'>{}<span>{path}</span></a>", badge(&method)));
            }
            self.add("</ul>");
        }
        let events = object(&self.document["webhooks"]);
        if !events.is_empty() {
            self.add("<h2><a href='#bodies'>Delivery bodies</a></h2><ul>");
            for (name, event) in events {
                let id = text(&event["post"]["operationId"]);
                self.add(&format!("<li><a href='#{id}'>{}</a>", escaped(name)));
            }
            self.add("</ul>");
        }
        self.add("<h2><a href='#errors'>Errors</a></h2></details></nav>");
    }

    /// The operations of a group, in the order of their paths.
    fn operations(&self, tag: &str) -> Vec<(String, &'a str, &'a Value)> {
        let mut found = Vec::new();
        for (path, methods) in object(&self.document["paths"]) {
            for method in ["get", "post", "patch", "delete"] {
                if let Some(operation) = methods.get(method)
                    && text(&operation["tags"][0]) == tag
                {
                    found.push((method.to_owned(), path.as_str(), operation));
                }
            }
        }
        found
    }

    fn operation(&mut self, method: &str, path: &str, operation: &'a Value) {
        let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
        self.add(&format!(
            "<section id='{id}'><h3>{} <code>{}</code></h3><p><b>{}</b></p>",
            badge(method),
            escaped(path),
            escaped(summary)
        ));
        self.prose(text(&operation["description"]));
        let parameters: Vec<_> =
            list(&operation["parameters"]).iter().map(|one| self.resolve(one)).collect();
        if !parameters.is_empty() {
            self.add("<h4>Parameters</h4><dl>");
            for parameter in parameters {
                let place =
                    format!("{}, {}", text(&parameter["in"]), self.kind(&parameter["schema"]));
                let required = parameter["required"] == true;
                let about = text(&parameter["description"]);
                self.row(text(&parameter["name"]), &place, required, about);
                self.add("</div>");
            }
            self.add("</dl>");
        }
        self.body(&operation["requestBody"]);
        self.answers(&operation["responses"]);
        self.add("</section>");
    }

    fn body(&mut self, body: &'a Value) {
        if body.is_null() {
            return;
        }
        self.add("<h4>Body</h4>");
        self.prose(text(&body["description"]));
        for (kind, content) in object(&body["content"]) {
            self.add(&format!("<p class=dim>{}</p>", escaped(kind)));
            self.fields(&content["schema"], 0);
            self.example(&content["example"]);
        }
    }

    fn answers(&mut self, answers: &'a Value) {
        self.add("<h4>Answers</h4>");
        let (fine, wrong): (Vec<_>, Vec<_>) =
            object(answers).iter().partition(|(status, _)| !status.starts_with(['4', '5']));
        for (status, answer) in fine {
            let about = inline(text(&answer["description"]));
            self.add(&format!("<details><summary><b>{status}</b> {about}</summary>"));
            let headers: Vec<_> =
                object(&answer["headers"]).keys().map(|name| escaped(name)).collect();
            if !headers.is_empty() {
                self.add(&format!("<p class=dim>Headers: {}</p>", headers.join(", ")));
            }
            for content in object(&answer["content"]).values() {
                self.fields(&content["schema"], 0);
                self.example(&content["example"]);
            }
            self.add("</details>");
        }
        if wrong.is_empty() {
            return;
        }
        self.add("<details><summary><b>Errors</b></summary><dl>");
        for (status, answer) in wrong {
            let answer = self.resolve(answer);
            let content = &answer["content"]["application/json"];
            for (code, one) in object(&content["examples"]) {
                let one = self.resolve(one);
                self.row(code, status, false, text(&one["summary"]));
                self.add("</div>");
            }
        }
        self.add("</dl></details>");
    }

    fn codes(&mut self) {
        self.add("<h2 id=errors>Errors</h2><p>All codes.</p>");
        let about = text(&self.document["components"]["schemas"]["ErrorCode"]["description"]);
        self.add("<dl>");
        for line in about.lines() {
            self.add(&format!("<div>{}</div>", inline(line.trim_start_matches("* "))));
        }
        self.add("</dl>");
    }

    /// The fields of a schema, required ones first; those of its parts too.
    fn fields(&mut self, schema: &'a Value, depth: usize) {
        let mut fields = Vec::new();
        self.gather(schema, &mut fields);
        if fields.is_empty() || depth >= DEPTH {
            return;
        }
        fields.sort_by_key(|(_, _, required)| !required);
        self.add("<dl>");
        for (name, field, required) in fields {
            self.row(name, &self.kind(field), required, self.about(field));
            let inner = field.get("items").unwrap_or(field);
            self.fields(inner, depth + 1);
            self.add("</div>");
        }
        self.add("</dl>");
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
        for (name, field) in object(&schema["properties"]) {
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

    fn row(&mut self, name: &str, kind: &str, required: bool, about: &str) {
        let must = if required { "<span class=must>required</span>" } else { "" };
        self.add(&format!(
            "<div><dt><b>{}</b><span class=dim>{}</span>{must}</dt><dd>{}</dd>",
            escaped(name),
            escaped(kind),
            inline(about)
        ));
    }

    fn example(&mut self, example: &Value) {
        let shown = match example {
            Value::Null => return,
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
        self.add(&format!("<pre><code>{}</code></pre>", escaped(&shown)));
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

    fn prose(&mut self, text: &str) {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            let _ = write!(self.out, "<p>{}</p>", inline(paragraph));
        }
    }

    fn add(&mut self, html: &str) {
        self.out.push_str(html);
    }
}

fn badge(method: &str) -> String {
    format!("<span class='m {method}'>{}</span>", method.to_uppercase())
}

fn anchor(name: &str) -> String {
    name.to_lowercase()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;")
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
