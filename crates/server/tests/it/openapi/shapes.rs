//! Every schema that is a resource, against what the client holds answers to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use switchboard_client::shape::{self, Kind, Presence, Shape};
use switchboard_model::EventKind;
use switchboard_server::{openapi::Audience, routes::document_for};

use super::{reference, resolved};

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

/// The same for the operator's document and the simulator's.
const OPERATOR_RESOURCES: [(&str, &Shape); 7] = [
    ("Account", &shape::ACCOUNT),
    ("OperatorLine", &shape::OPERATOR_LINE),
    ("Key", &shape::KEY),
    ("CreatedKey", &shape::CREATED_KEY),
    ("RevokedKey", &shape::REVOKED_KEY),
    ("Bridge", &shape::BRIDGE),
    ("CreatedBridge", &shape::CREATED_BRIDGE),
];
const SIMULATOR_RESOURCES: [(&str, &Shape); 14] = [
    ("SimulatedText", &shape::SIMULATED_TEXT),
    ("SimulatedReaction", &shape::SIMULATED_REACTION),
    ("SimulatedTyping", &shape::SIMULATED_TYPING),
    ("SimulatedRead", &shape::SIMULATED_READ),
    ("SimulatedGroup", &shape::SIMULATED_GROUP),
    ("LineCapabilities", &shape::LINE_CAPABILITIES),
    ("Fault", &shape::FAULT),
    ("Phone", &shape::PHONE),
    ("PhoneMessage", &shape::PHONE_MESSAGE),
    ("PhoneFile", &shape::PHONE_FILE),
    ("PhoneReaction", &shape::PHONE_REACTION),
    ("MessageReaction", &shape::MESSAGE_REACTION),
    ("PhoneChange", &shape::PHONE_CHANGE),
    ("PhoneRead", &shape::PHONE_READ),
];

fn resources(audience: Audience) -> &'static [(&'static str, &'static Shape)] {
    match audience {
        Audience::Programs => &RESOURCES,
        Audience::Operator => &OPERATOR_RESOURCES,
        Audience::Simulator => &SIMULATOR_RESOURCES,
    }
}

/// The schemas that are no resource: what requests hold, and what others refer to.
fn others(audience: Audience) -> BTreeSet<&'static str> {
    let names = match audience {
        Audience::Programs => {
            "ChatService CreatorState CreateReplay CreateWebhook DeleteWebhook DeliveryStatus DisabledReason \
             EventKind LineRef LineService MessageRef OutboxStatus ReactionName Recipient ReplayStatus \
             RetryDelivery SandboxStatus SendAudioMessage SendFile SendMessage SendReaction \
             SendReceipt SendText SendTyping TypingState UpdateWebhook WebhookId"
        }
        Audience::Operator => {
            "BridgeDriver BridgeRef CreateAccount CreateBridge CreateKey CreateLine Driver RevokeKey \
             Line LineService Scope"
        }
        Audience::Simulator => {
            "ContactFile ContactFiles ContactInChat ContactMessage ContactReaction ContactText \
             ContactTyping CreateGroup EditById EditByGuid EditMessage FaultMode ReactionName SetFault \
             TypingState UnsendById UnsendByGuid UnsendMessage"
        }
    };
    let errors = "Error ErrorCode ErrorEnvelope ErrorType RequestId";
    names.split_whitespace().chain(errors.split_whitespace()).collect()
}

#[test]
fn every_resource_is_as_the_client_wants_it() {
    for audience in Audience::ALL {
        for (name, shape) in resources(audience) {
            assert_shape(audience, name, shape);
        }
        let schemas = document_for(audience)["components"]["schemas"].as_object().unwrap();
        let mut known = others(audience);
        known.extend(resources(audience).iter().map(|(name, _)| *name));
        // Answers and the bodies of deliveries are made of the resources.
        let made = |name: &str| name.ends_with("Response") || name.ends_with("List");
        let is_body = |name: &str| name.ends_with("Body") && name != "DeliveryBody";
        let have: BTreeSet<_> = schemas
            .keys()
            .map(String::as_str)
            .filter(|name| !made(name) && !is_body(name))
            .collect();
        assert_eq!(have, known, "{audience:?}");
        let bodies = schemas.keys().filter(|name| is_body(name)).count();
        let events = if audience == Audience::Programs { EventKind::ALL.len() } else { 0 };
        assert_eq!(bodies, events, "{audience:?}");
    }
}

fn assert_shape(audience: Audience, name: &str, shape: &Shape) {
    let fields = fields(audience, &document_for(audience)["components"]["schemas"][name]);
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
        let must =
            matches!(field.presence, Presence::Always | Presence::AlwaysOrNull | Presence::Ours);
        assert_eq!(*required, must, "{what}: required");
        let may = matches!(field.presence, Presence::AlwaysOrNull | Presence::Nullable);
        let (rest, nullable) = without_null(schema);
        assert_eq!(nullable, may, "{what}: null");
        assert_kind(audience, &what, &rest, field.kind);
        assert!(schema["description"].is_string(), "{what} says nothing");
    }
}

/// What a schema is beside null, and whether it may be null.
fn without_null(schema: &Value) -> (Value, bool) {
    let null = json!({ "type": "null" });
    if let Some(choices) = schema["anyOf"].as_array() {
        let rest: Vec<_> = choices.iter().filter(|one| **one != null).collect();
        if rest.len() == 1 && choices.len() == 2 {
            return (rest[0].clone(), true);
        }
    }
    let may = schema["type"].as_array().is_some_and(|kinds| kinds.contains(&"null".into()));
    (schema.clone(), may)
}

/// The fields of a schema and whether each is required, those of its parts too. Of several of which one holds, required
/// is what is so in each.
pub(crate) fn fields(audience: Audience, schema: &Value) -> BTreeMap<String, (Value, bool)> {
    let mut all = BTreeMap::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        all.extend(fields(audience, &resolved(audience, part)));
    }
    let choices = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
    let choices: Vec<_> = choices
        .into_iter()
        .flatten()
        .map(|choice| fields(audience, &resolved(audience, choice)))
        .collect();
    for (name, (field, _)) in choices.iter().flatten() {
        let in_all = choices.iter().all(|one| one.get(name).is_some_and(|(_, must)| *must));
        all.entry(name.clone()).or_insert_with(|| (field.clone(), in_all));
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(name.clone(), (field.clone(), required.contains(&name.as_str().into())));
    }
    all
}

fn assert_kind(audience: Audience, what: &str, schema: &Value, kind: Kind) {
    let about = resolved(audience, schema);
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
            let only = about.get("const").map(|one| vec![one.clone()]);
            let named = only.or_else(|| about["enum"].as_array().cloned()).unwrap_or_default();
            named.iter().filter_map(Value::as_str).eq(names.iter().copied())
        }
        Kind::Names(names) => {
            // As names that are all, or as those that there are so far.
            let items = resolved(audience, &about["items"]);
            let told = items["enum"].as_array().or_else(|| items["examples"].as_array());
            let told = told.into_iter().flatten().filter_map(Value::as_str);
            is("array") && told.eq(names.iter().copied())
        }
        Kind::AnyObject => is("object") || about["allOf"].is_array(),
        Kind::Object(shape) => resources(audience)
            .iter()
            .any(|(name, known)| *known == shape && schema["$ref"] == reference(name)),
        Kind::List(row) => {
            assert_kind(audience, what, &about["items"], *row);
            is("array")
        }
    };
    assert!(fits, "{what} is no {kind:?}: {schema}");
}
