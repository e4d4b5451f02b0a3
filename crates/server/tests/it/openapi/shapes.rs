//! The resources of the documents, held against the contract.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use switchboard_server::{openapi::Audience, routes::document_for};

use super::resolved;

/// §6, as written there: "null" fields end in `?`, "opt" in `-`.
const ROWS: [(&str, &str); 13] = [
    (
        "Line",
        "id handle label? service is_active advanced_features capabilities is_sandbox status health?",
    ),
    (
        "Chat",
        "id line_id identifier service name? is_group? participants? has_received_inbound \
         last_message_at?",
    ),
    (
        "Message",
        "id line_id chat_id guid sender text? attachments service? is_from_me \
         is_audio_message? sent_at synced_at outbox_id? reply_to_guid? edited_at? unsent_at? \
         delivered_at? read_at? failed_at? error?",
    ),
    ("Attachment", "filename? mime_type? size? url? transcription? original-"),
    ("Accepted", "id status"),
    (
        "OutboxItem",
        "id status error? created_at- completed_at? line_id payload attempts max_attempts \
         message_id?",
    ),
    ("Reaction", "id message_id type sender is_from_me added sent_at synced_at"),
    ("TypingIndicator", "id chat_id handle is_typing updated_at"),
    ("ReadReceipt", "id chat_id handle last_read_at synced_at"),
    ("File", "id url? filename? mime_type size"),
    // With what Switchboard adds while one fails, and once it is disabled.
    (
        "CreatedWebhook",
        "id line_ids url events is_active failing_since- disabled_at- disabled_reason- \
         created_by- secret",
    ),
    (
        "Webhook",
        "id line_ids url events is_active failing_since- disabled_at- disabled_reason- \
         created_by-",
    ),
    ("Error", "type code message param-"),
];

#[test]
fn the_resources_are_those_of_the_contract() {
    let audience = Audience::Programs;
    for (name, rows) in ROWS {
        let schema = &document_for(audience)["components"]["schemas"][name];
        let have: BTreeSet<_> = fields(audience, schema)
            .into_iter()
            .map(|(name, (field, required))| match (required, may_be_null(&field)) {
                (true, false) => name,
                (false, true) => name + "?",
                (false, false) => name + "-",
                (true, true) => name + " may be null, and must be there",
            })
            .collect();
        let wanted: BTreeSet<_> = rows.split_whitespace().map(str::to_owned).collect();
        assert_eq!(have, wanted, "{name}");
    }
}

#[test]
fn every_field_of_every_schema_says_something() {
    for audience in Audience::ALL {
        let schemas = document_for(audience)["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            for (field, (schema, _)) in fields(audience, schema) {
                assert!(schema["description"].is_string(), "{name}.{field} says nothing");
            }
        }
    }
}

fn may_be_null(schema: &Value) -> bool {
    let is_null = |one: &Value| one["type"] == "null";
    schema["type"].as_array().is_some_and(|kinds| kinds.contains(&"null".into()))
        || schema["anyOf"].as_array().is_some_and(|choices| choices.iter().any(is_null))
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
