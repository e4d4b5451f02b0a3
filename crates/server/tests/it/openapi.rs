//! The documents and their pages: complete, and as they were.

mod shapes;

use std::collections::{BTreeSet, HashSet};

use http::Method;
use serde_json::{Value, json};
use switchboard_model::{Code, EventKind};
use switchboard_server::{
    openapi::Audience,
    routes::{self, Access, document_for},
};
use switchboard_testkit::TestServer;

pub(crate) use shapes::fields;

use crate::call::{Call, assert_refused};

#[test]
fn every_route_is_in_one_document_with_all_that_it_needs() {
    let mut documented = Audience::ALL.map(|_| 0);
    for route in routes::table() {
        let method = route.method.as_str().to_lowercase();
        let what = format!("{method} {}", route.path);
        let found: Vec<_> = Audience::ALL
            .into_iter()
            .filter(|one| document_for(*one)["paths"][route.path][&method].is_object())
            .collect();
        let is_page = Audience::ALL.iter().any(|one| {
            route.path == one.page_path() || route.path == one.path() && *one != Audience::Programs
        });
        let wanted = match route.access {
            Access::Bridge => None,
            Access::Public if is_page => None,
            // For load balancers and supervisors: docs/monitoring.md.
            Access::Public if ["/health", "/live"].contains(&route.path) => None,
            Access::Operator if route.path.starts_with("/admin/v1/") => Some(Audience::Operator),
            Access::Operator => Some(Audience::Simulator),
            _ => Some(Audience::Programs),
        };
        assert_eq!(found, wanted.into_iter().collect::<Vec<_>>(), "{what}");
        let Some(audience) = wanted else { continue };
        documented[audience as usize] += 1;
        let operation = &document_for(audience)["paths"][route.path][&method];
        for part in ["operationId", "summary", "description", "responses"] {
            assert!(!operation[part].is_null(), "{what} has no {part}");
        }
        let (scope, security) = (&operation["x-required-scope"], &operation["security"]);
        let (scheme, needed) = match route.access {
            Access::Key(needed) => {
                let about = operation["description"].as_str().unwrap();
                assert!(about.contains(needed.as_str()), "{what} does not tell its scope");
                (Some("apiKey"), Value::from(needed.as_str()))
            }
            Access::AnyKey => (Some("apiKey"), Value::Null),
            Access::Operator => (Some("operatorToken"), Value::Null),
            _ => (None, Value::Null),
        };
        assert_eq!(scope, &needed, "{what}");
        let wanted: Vec<_> = scheme.iter().map(|name| json!({ *name: [] })).collect();
        assert_eq!(security, &Value::Array(wanted), "{what}");
        let schemes = &document_for(audience)["components"]["securitySchemes"];
        assert!(scheme.is_none_or(|name| schemes[name]["scheme"] == "bearer"), "{what}");
        let responses = &operation["responses"];
        assert_eq!(responses["401"].is_object(), scheme.is_some(), "{what}");
        // Of the operator: after many wrong tokens.
        assert_eq!(responses["429"].is_object(), scheme.is_some(), "{what}");
    }
    for audience in Audience::ALL {
        let all = document_for(audience)["paths"].as_object().unwrap().values();
        let count = all.map(|path| path.as_object().unwrap().len()).sum::<usize>();
        assert_eq!(count, documented[audience as usize], "{audience:?}");
        let ids: Vec<_> = operations_for(audience).map(|one| one["operationId"].clone()).collect();
        assert_eq!(
            ids.iter().collect::<HashSet<_>>().len(),
            ids.len(),
            "an operationId comes twice"
        );
        let tags: BTreeSet<_> = document_for(audience)["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| &tag["name"])
            .map(Value::to_string)
            .collect();
        let used: BTreeSet<_> =
            operations_for(audience).map(|one| one["tags"][0].to_string()).collect();
        assert_eq!(tags, used, "{audience:?}");
    }
}

#[test]
fn every_code_and_every_event_is_documented() {
    let responses = operations().flat_map(|operation| values(&operation["responses"]));
    let shared = values(&document_for(Audience::Programs)["components"]["responses"]);
    let codes: BTreeSet<_> = responses
        .chain(shared)
        .flat_map(|response| {
            let examples = &response["content"]["application/json"]["examples"];
            examples.as_object().into_iter().flat_map(|all| all.keys())
        })
        .map(String::as_str)
        .collect();
    let operators = [Code::ResourceNotFound, Code::ResourceExists];
    let wanted: BTreeSet<_> = Code::ALL
        .iter()
        .filter(|code| !operators.contains(code))
        .map(|code| code.as_str())
        .collect();
    assert_eq!(codes, wanted);

    let events: Vec<_> =
        document_for(Audience::Programs)["webhooks"].as_object().unwrap().keys().collect();
    let mut wanted = EventKind::ALL.map(EventKind::as_str);
    wanted.sort_unstable();
    assert_eq!(events, wanted);
}

/// Contract §7, row by row: the operation, and its parameters or fields in the order of the checks;
/// those with a star must be there.
const PARAMETERS: [(&str, &str); 28] = [
    ("listLines", ""),
    ("listChats", "from* limit cursor"),
    ("listMessages", "from* to* limit cursor"),
    ("sendMessage", "from* to* text attachments reply_to"),
    ("sendAudioMessage", "from* to* audio_message* reply_to"),
    ("listReactions", "message_id*"),
    ("sendReaction", "from* to* message_id* type* remove"),
    ("listTyping", "from* to*"),
    ("listReceipts", "from* to*"),
    ("sendTyping", "from* to* state"),
    ("sendReceipt", "from* to*"),
    ("getOutboxItem", "id*"),
    ("uploadFile", "X-Filename"),
    ("getFile", "id*"),
    ("listWebhooks", "from*"),
    ("createWebhook", "from* url* events*"),
    ("updateWebhook", "id* url events is_active"),
    ("deleteWebhook", "id*"),
    ("rotateWebhookSecret", "id*"),
    ("testWebhook", "id*"),
    ("createReplay", "id* since* until include_delivered"),
    ("getReplay", "id*"),
    ("listDeliveries", "id webhook_id status event event_id since until limit cursor"),
    ("retryDelivery", "id*"),
    ("getSandbox", ""),
    ("ensureSandbox", ""),
    ("resetSandbox", ""),
    ("streamEvents", "since event line Last-Event-ID"),
];

#[test]
fn every_parameter_of_the_contract_is_documented() {
    let audience = Audience::Programs;
    for (id, wanted) in PARAMETERS {
        let operation = operations().find(|operation| operation["operationId"] == id);
        let operation = operation.unwrap_or_else(|| panic!("{id} is not documented"));
        let mut have = BTreeSet::new();
        let star =
            |name: &str, required: bool| format!("{name}{}", if required { "*" } else { "" });
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(audience, parameter);
            assert!(parameter["description"].is_string(), "{id} {parameter}");
            have.insert(star(parameter["name"].as_str().unwrap(), parameter["required"] == true));
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        for (name, (schema, required)) in fields(audience, &resolved(audience, body)) {
            assert!(
                resolved(audience, &schema)["description"].is_string()
                    || schema["description"].is_string(),
                "{id} {name}"
            );
            have.insert(star(&name, required));
        }
        let takes_key = operation["responses"]["422"].is_object();
        assert_eq!(have.remove("Idempotency-Key"), takes_key, "{id}");
        let wanted: BTreeSet<_> = wanted.split_whitespace().map(str::to_owned).collect();
        assert_eq!(have, wanted, "{id}");
    }
    // Beside these there are the document itself and the signed download.
    assert_eq!(operations().count(), PARAMETERS.len() + 2);
}

#[test]
fn every_reference_leads_somewhere() {
    for document in Audience::ALL.map(document_for) {
        let mut rest = vec![document];
        let mut used = BTreeSet::new();
        while let Some(value) = rest.pop() {
            if let Some(target) = value["$ref"].as_str() {
                let pointer = target.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{target}");
                used.insert(pointer.to_owned());
            }
            match value {
                Value::Array(all) => rest.extend(all),
                Value::Object(all) => rest.extend(all.values()),
                _ => {}
            }
        }
        for room in ["schemas", "parameters", "headers"] {
            for name in document["components"][room].as_object().unwrap().keys() {
                // For those who write webhooks: none refers to it.
                let is_root = name == "DeliveryBody";
                let is_used = used.contains(&format!("/components/{room}/{name}"));
                assert!(is_used || is_root, "nothing uses {name}");
            }
        }
    }
}

/// What generators of clients can't make types of, or make many of: found in none of the documents.
#[test]
fn generators_find_nothing_that_they_stumble_over() {
    for audience in Audience::ALL {
        let document = document_for(audience);
        let mut rest = vec![(String::new(), document)];
        while let Some((place, value)) = rest.pop() {
            if value["properties"].is_object() && !place.ends_with("/properties") {
                for beside in ["anyOf", "oneOf", "allOf"] {
                    assert!(value[beside].is_null(), "{place} has {beside} beside properties");
                }
            }
            // A list of names is a type: it has a name of its own.
            let named =
                place.starts_with("/components/schemas/") && place.matches('/').count() == 3;
            assert!(
                value["enum"].is_null()
                    || named
                    || place.ends_with("/schema") && place.starts_with("/components/headers"),
                "{place} has names of its own"
            );
            if value["type"] == "object" {
                let told = value["properties"].is_object() || value["additionalProperties"] == true;
                assert!(told, "{place} is an object of which nothing is said");
            }
            match value {
                Value::Array(all) => {
                    rest.extend(
                        all.iter().enumerate().map(|(at, one)| (format!("{place}/{at}"), one)),
                    );
                }
                Value::Object(all) => {
                    let shown = ["example", "examples", "value", "default"];
                    let all = all.iter().filter(|(name, _)| !shown.contains(&name.as_str()));
                    rest.extend(all.map(|(name, one)| (format!("{place}/{name}"), one)));
                }
                _ => {}
            }
        }
        // One envelope for all errors, and each JSON answer has a schema with a name.
        let shared = values(&document["components"]["responses"]);
        let own = operations_for(audience).flat_map(|one| values(&one["responses"]));
        let mut errors = 0;
        for response in shared.chain(own) {
            let content = &response["content"]["application/json"];
            if content["examples"].is_object() {
                errors += 1;
                assert_eq!(content["schema"], json!({ "$ref": reference("ErrorEnvelope") }));
            } else if content.is_object() && content["schema"]["additionalProperties"] != true {
                assert!(content["schema"]["$ref"].is_string(), "{content}");
            }
        }
        assert!(errors > 5, "{audience:?}");
    }
    let upload = operations().find(|one| one["operationId"] == "uploadFile").unwrap();
    let kinds: Vec<_> = upload["requestBody"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(kinds, ["application/octet-stream"]);
}

#[test]
fn the_documents_are_as_they_were() {
    for (audience, name) in [
        (Audience::Programs, "openapi"),
        (Audience::Operator, "openapi_admin"),
        (Audience::Simulator, "openapi_simulator"),
    ] {
        let text = serde_json::to_string_pretty(document_for(audience)).unwrap();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[tokio::test]
async fn anybody_may_read_them() {
    let server = TestServer::start().await;
    for audience in Audience::ALL {
        let answer = Call::get(audience.path()).send(&server.url).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(&answer.body, document_for(audience));
    }
    server.stop().await;
}

#[tokio::test]
async fn the_pages_show_everything_and_load_nothing() {
    let server = TestServer::start().await;
    for audience in Audience::ALL {
        let answer = Call::get(audience.page_path()).send(&server.url).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let html = String::from_utf8(answer.bytes.to_vec()).unwrap();
        for never in ["<script", "<img", "<link", " src=", "style='", "onclick", "@import", "url("]
        {
            assert!(!html.contains(never), "{never}");
        }
        for link in html.split("href=").skip(1) {
            let target = link.trim_start_matches(['"', '\'']);
            assert!(target.starts_with(['#', '/']) && !target.starts_with("//"), "{}", &link[..40]);
        }
        let document = document_for(audience);
        let events = document["webhooks"].as_object().into_iter().flat_map(|all| all.values());
        let events = events.map(|event| &event["post"]);
        for operation in operations_for(audience).chain(events) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(html.contains(&format!("<section id='{id}'>")), "{id} is not on the page");
        }
        for code in document["components"]["examples"].as_object().unwrap().keys() {
            assert!(html.contains(code), "{code}");
        }
        for other in Audience::ALL.into_iter().filter(|other| *other != audience) {
            assert!(html.contains(&format!("href='{}'", other.page_path())), "{other:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_browser_that_opens_the_server_is_sent_to_the_page() {
    let server = TestServer::start().await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (method, path, accept, status) in [
        (Method::GET, "/", browser, 303),
        (Method::HEAD, "/", "Text/HTML; q=1", 303),
        (Method::GET, "/", "*/*", 404),
        (Method::GET, "/", "application/json, text/htmlx", 404),
        (Method::POST, "/", browser, 404),
        (Method::GET, "/v2", browser, 404),
    ] {
        let call = Call::new(method.clone(), path).header("accept", accept);
        let answer = call.send(&server.url).await;
        assert_eq!(answer.status, status, "{method} {path} {accept}");
        assert_eq!(answer.header("location"), (status == 303).then_some("/docs"), "{accept}");
        assert!(answer.header("x-request-id").is_some());
        if status == 404 {
            assert_refused(path, &answer, Code::EndpointNotFound, None);
        }
    }
    let answer = Call::get("/").send(&server.url).await;
    assert_refused("without Accept", &answer, Code::EndpointNotFound, None);
    server.stop().await;
}

pub(crate) fn operations() -> impl Iterator<Item = &'static Value> {
    operations_for(Audience::Programs)
}

pub(crate) fn operations_for(audience: Audience) -> impl Iterator<Item = &'static Value> {
    values(&document_for(audience)["paths"]).flat_map(values)
}

pub(crate) fn values(map: &'static Value) -> impl Iterator<Item = &'static Value> {
    map.as_object().unwrap().values()
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

fn resolved(audience: Audience, schema: &Value) -> Value {
    let target = schema["$ref"].as_str().map(|target| target.trim_start_matches('#'));
    let found = target.and_then(|target| document_for(audience).pointer(target));
    found.unwrap_or(schema).clone()
}
