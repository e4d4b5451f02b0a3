//! The document and its page: complete, true to the client's table of shapes, and as they were.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;
use switchboard_client::shape::{self, Kind, Presence, Shape};
use switchboard_model::{Code, EventKind};
use switchboard_server::{
    openapi::document,
    routes::{self, Access},
};
use switchboard_testkit::TestServer;

use crate::call::Call;

/// The schemas that are resources, and what the client holds answers against.
const RESOURCES: [(&str, &Shape); 31] = [
    ("Line", &shape::LINE),
    ("Chat", &shape::CHAT),
    ("Message", &shape::MESSAGE),
    ("Attachment", &shape::ATTACHMENT),
    ("Reaction", &shape::REACTION),
    ("TypingIndicator", &shape::TYPING),
    ("ReadReceipt", &shape::RECEIPT),
    ("File", &shape::FILE),
    ("Accepted", &shape::ACCEPTED),
    ("OutboxItem", &shape::OUTBOX_ITEM),
    ("Webhook", &shape::LISTED_WEBHOOK),
    ("CreatedWebhook", &shape::CREATED_WEBHOOK),
    ("Deleted", &shape::DELETED),
    ("Sandbox", &shape::SANDBOX),
    ("SandboxUsage", &shape::SANDBOX_USAGE),
    ("WebhookCreator", &shape::WEBHOOK_CREATOR),
    ("Error", &shape::ERROR),
    ("MessageEvent", &shape::MESSAGE_EVENT),
    ("ReactionEvent", &shape::REACTION_EVENT),
    ("TypingEvent", &shape::TYPING_EVENT),
    ("ReceiptEvent", &shape::RECEIPT_EVENT),
    ("FailedEvent", &shape::FAILED_EVENT),
    ("LineStatusEvent", &shape::LINE_STATUS_EVENT),
    ("DeliveryBody", &shape::DELIVERY_BODY),
    ("UpdatedWebhook", &shape::UPDATED_WEBHOOK),
    ("RotatedWebhook", &shape::ROTATED_WEBHOOK),
    ("WebhookTest", &shape::WEBHOOK_TEST),
    ("Replay", &shape::REPLAY),
    ("Delivery", &shape::DELIVERY),
    ("Attempt", &shape::ATTEMPT),
    ("RetriedDelivery", &shape::RETRIED_DELIVERY),
];

/// The schemas that are no resource: what requests hold, and what others refer to.
const OTHERS: [&str; 18] = [
    "CreateReplay",
    "CreateWebhook",
    "DeleteWebhook",
    "ErrorCode",
    "ErrorEnvelope",
    "EventKind",
    "LineRef",
    "MessageRef",
    "Recipient",
    "RequestId",
    "RetryDelivery",
    "SendAudioMessage",
    "SendMessage",
    "SendReaction",
    "SendReceipt",
    "SendTyping",
    "UpdateWebhook",
    "WebhookId",
];

#[test]
fn every_operation_for_programs_is_documented() {
    let mut documented = 0;
    for route in routes::table() {
        let for_programs = route.path.starts_with("/v1/") || route.access == Access::SignedUrl;
        let method = route.method.as_str().to_lowercase();
        let what = format!("{method} {}", route.path);
        let operation = &document()["paths"][route.path][&method];
        assert_eq!(for_programs, operation.is_object(), "{what}");
        if !for_programs {
            continue;
        }
        documented += 1;
        for part in ["operationId", "summary", "description", "responses"] {
            assert!(!operation[part].is_null(), "{what} has no {part}");
        }
        let (scope, open) = (&operation["x-required-scope"], &operation["security"]);
        match route.access {
            Access::Key(needed) => {
                assert_eq!((scope, open), (&needed.as_str().into(), &Value::Null), "{what}");
                let about = operation["description"].as_str().unwrap();
                assert!(about.contains(needed.as_str()), "{what} does not tell its scope");
            }
            Access::AnyKey => assert!(scope.is_null() && open.is_null(), "{what}"),
            _ => assert_eq!(open, &Value::Array(Vec::new()), "{what}"),
        }
        for status in ["401", "429"] {
            let needs_key = open.is_null();
            assert_eq!(operation["responses"][status].is_object(), needs_key, "{what} {status}");
        }
    }
    let all = document()["paths"].as_object().unwrap().values();
    assert_eq!(all.map(|path| path.as_object().unwrap().len()).sum::<usize>(), documented);
    let ids: Vec<_> = operations().map(|operation| operation["operationId"].clone()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an operationId comes twice");
}

#[test]
fn every_resource_is_as_the_client_wants_it() {
    for (name, shape) in RESOURCES {
        let fields = fields(&schema(name));
        let wanted: BTreeSet<_> = shape
            .all_fields()
            .filter(|field| field.presence != Presence::Never)
            .map(|field| field.name)
            .collect();
        let have: BTreeSet<_> = fields.keys().map(String::as_str).collect();
        assert_eq!(have, wanted, "{name}");
        for field in shape.all_fields().filter(|field| field.presence != Presence::Never) {
            let (schema, required) = &fields[field.name];
            let what = format!("{name}.{}", field.name);
            let must = matches!(
                field.presence,
                Presence::Always | Presence::AlwaysOrNull | Presence::Ours
            );
            assert_eq!(*required, must, "{what}: required");
            let may = matches!(field.presence, Presence::AlwaysOrNull | Presence::Nullable);
            let nullable =
                schema["type"].as_array().is_some_and(|kinds| kinds.contains(&"null".into()));
            assert_eq!(nullable, may, "{what}: null");
            assert_kind(&what, schema, field.kind);
            assert!(schema["description"].is_string(), "{what} says nothing");
        }
    }
    let known: BTreeSet<_> = RESOURCES.iter().map(|(name, _)| *name).chain(OTHERS).collect();
    let schemas = document()["components"]["schemas"].as_object().unwrap();
    assert_eq!(schemas.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

/// The fields of a schema and whether each is required, those of its parts too.
pub(crate) fn fields(schema: &Value) -> BTreeMap<String, (Value, bool)> {
    let mut all = BTreeMap::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        all.extend(fields(&resolved(part)));
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(name.clone(), (field.clone(), required.contains(&name.as_str().into())));
    }
    all
}

fn assert_kind(what: &str, schema: &Value, kind: Kind) {
    let about = resolved(schema);
    let is = |name: &str| {
        about["type"] == name
            || about["type"].as_array().is_some_and(|all| all.contains(&name.into()))
    };
    let fits = match kind {
        Kind::Text => is("string"),
        Kind::Bool => is("boolean"),
        Kind::Number => is("integer") && about["minimum"] == 0,
        Kind::Millis => is("integer") && about["format"] == "int64",
        Kind::Id(prefix) => {
            let pattern = about["pattern"].as_str().unwrap_or_default();
            is("string") && pattern.starts_with(&format!("^{prefix}"))
        }
        Kind::RequestId => schema["$ref"] == "#/components/schemas/RequestId",
        Kind::OneOf(names) => {
            let named = about["enum"].as_array().cloned().unwrap_or_default();
            named.iter().filter_map(Value::as_str).eq(names.iter().copied())
        }
        Kind::Names(names) => {
            // As names that are all, or as those that there are so far.
            let items = resolved(&about["items"]);
            let told = items["enum"].as_array().or_else(|| items["examples"].as_array());
            let told = told.into_iter().flatten().filter_map(Value::as_str);
            is("array") && told.eq(names.iter().copied())
        }
        Kind::AnyObject => is("object"),
        Kind::Object(shape) => RESOURCES
            .iter()
            .any(|(name, known)| *known == shape && schema["$ref"] == reference(name)),
        Kind::List(row) => {
            assert_kind(what, &about["items"], *row);
            is("array")
        }
    };
    assert!(fits, "{what} is no {kind:?}: {schema}");
}

#[test]
fn every_code_and_every_event_is_documented() {
    let responses = operations().flat_map(|operation| values(&operation["responses"]));
    let shared = values(&document()["components"]["responses"]);
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

    let events: Vec<_> = document()["webhooks"].as_object().unwrap().keys().collect();
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
    for (id, wanted) in PARAMETERS {
        let operation = operations().find(|operation| operation["operationId"] == id);
        let operation = operation.unwrap_or_else(|| panic!("{id} is not documented"));
        let mut have = BTreeSet::new();
        let star =
            |name: &str, required: bool| format!("{name}{}", if required { "*" } else { "" });
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(parameter);
            assert!(parameter["description"].is_string(), "{id} {parameter}");
            have.insert(star(parameter["name"].as_str().unwrap(), parameter["required"] == true));
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        for (name, (schema, required)) in fields(&resolved(body)) {
            assert!(
                resolved(&schema)["description"].is_string() || schema["description"].is_string(),
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
    let mut rest = vec![document()];
    let mut used = BTreeSet::new();
    while let Some(value) = rest.pop() {
        if let Some(target) = value["$ref"].as_str() {
            let pointer = target.trim_start_matches('#');
            assert!(document().pointer(pointer).is_some(), "{target}");
            used.insert(pointer.to_owned());
        }
        match value {
            Value::Array(all) => rest.extend(all),
            Value::Object(all) => rest.extend(all.values()),
            _ => {}
        }
    }
    for room in ["schemas", "parameters", "headers"] {
        for name in document()["components"][room].as_object().unwrap().keys() {
            assert!(used.contains(&format!("/components/{room}/{name}")), "nothing uses {name}");
        }
    }
}

#[test]
fn the_document_is_as_it_was() {
    let text = serde_json::to_string_pretty(document()).unwrap();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("openapi", text);
    });
}

#[tokio::test]
async fn anybody_may_read_it() {
    let server = TestServer::start().await;
    let answer = Call::get("/v1/openapi.json").send(&server.url).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(&answer.body, document());
    server.stop().await;
}

#[tokio::test]
async fn the_page_shows_everything_and_loads_nothing() {
    let server = TestServer::start().await;
    let answer = Call::get("/docs").send(&server.url).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = String::from_utf8(answer.bytes.to_vec()).unwrap();
    for never in ["<script", "<img", "<link", " src=", "style='", "onclick", "@import", "url("] {
        assert!(!html.contains(never), "{never}");
    }
    for link in html.split("href=").skip(1) {
        let target = link.trim_start_matches(['"', '\'']);
        assert!(target.starts_with(['#', '/']) && !target.starts_with("//"), "{}", &link[..40]);
    }
    let events = values(&document()["webhooks"]).map(|event| &event["post"]);
    for operation in operations().chain(events) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(html.contains(&format!("<section id='{id}'>")), "{id} is not on the page");
    }
    for code in document()["components"]["examples"].as_object().unwrap().keys() {
        assert!(html.contains(code), "{code}");
    }
    server.stop().await;
}

pub(crate) fn operations() -> impl Iterator<Item = &'static Value> {
    values(&document()["paths"]).flat_map(values)
}

pub(crate) fn values(map: &'static Value) -> impl Iterator<Item = &'static Value> {
    map.as_object().unwrap().values()
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

fn schema(name: &str) -> Value {
    document()["components"]["schemas"][name].clone()
}

fn resolved(schema: &Value) -> Value {
    let target = schema["$ref"].as_str().map(|target| target.trim_start_matches('#'));
    target.and_then(|target| document().pointer(target)).unwrap_or(schema).clone()
}
