//! The order of checks (§3) of the writes beside messages, of the sandbox and of the live stream, as
//! [`crate::check_order`] has it of the others.

use http::Method;
use serde_json::{Value, json};
use switchboard_model::{Code, Scope};
use switchboard_testkit::LINE;

use crate::{
    call::{Call, assert_refused},
    check_order::{Draft, Mistake, Wrong, at_the_gate, check_pairs, field, fields, mistake},
    fixtures::set_advanced,
    world::{CONTACT, NO_LINE, OPEN, SANDBOX, STRANGER, World},
};
use Code::{InvalidParameterValue, MissingRequiredParameter};

/// One write and what is its own.
struct Write {
    path: &'static str,
    scope: Scope,
    more: Value,
    missing: &'static [&'static str],
    values: Vec<Mistake>,
    references: Vec<Mistake>,
}

fn write(world: &World) -> Vec<Write> {
    let missing_message = || field("message_id", "msg_x", Code::MessageNotFound);
    vec![
        Write {
            path: "/v1/audio-messages",
            scope: Scope::MessagesWrite,
            more: json!({ "audio_message": world.first.memo }),
            missing: &["audio_message"],
            values: vec![
                field("audio_message", "msg_x", InvalidParameterValue),
                field("reply_to", "cht_x", InvalidParameterValue),
            ],
            references: vec![
                field("reply_to", "msg_x", Code::MessageNotFound),
                field("audio_message", "file_x", Code::FileNotFound),
                field("audio_message", world.theirs.memo.as_str(), Code::FileNotFound),
                field("audio_message", world.first.file.as_str(), InvalidParameterValue),
            ],
        },
        Write {
            path: "/v1/reactions",
            scope: Scope::ReactionsWrite,
            more: json!({ "message_id": world.first.message, "type": "love" }),
            missing: &["message_id", "type"],
            values: vec![
                field("message_id", "cht_x", InvalidParameterValue),
                field("type", "hate", InvalidParameterValue),
                field("remove", "yes", InvalidParameterValue),
            ],
            references: vec![
                missing_message(),
                field("message_id", world.theirs.guid.as_str(), Code::MessageNotFound),
            ],
        },
        Write {
            path: "/v1/typing",
            scope: Scope::TypingWrite,
            more: json!({}),
            missing: &[],
            values: vec![field("state", "maybe", InvalidParameterValue)],
            references: vec![],
        },
        Write {
            path: "/v1/receipts",
            scope: Scope::ReceiptsWrite,
            more: json!({}),
            missing: &[],
            values: vec![],
            references: vec![],
        },
    ]
}

#[tokio::test]
async fn of_two_mistakes_in_a_write_the_first_is_told() {
    let world = World::make().await;
    for one in write(&world) {
        let mut mistakes = at_the_gate(&world, one.scope, Method::PUT).await;
        mistakes.push(mistake(Wrong::Cut, Code::InvalidJson, None));
        for name in ["from", "to"].iter().chain(one.missing) {
            mistakes.push(field(name, Value::Null, MissingRequiredParameter));
        }
        mistakes.extend([
            field("from", "bob", InvalidParameterValue),
            field("to", 1, InvalidParameterValue),
        ]);
        mistakes.extend(one.values);
        mistakes.extend([
            field("from", NO_LINE, Code::LineNotFound),
            mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
            field("to", "cht_x", Code::ChatNotFound),
            field("to", STRANGER, Code::ContactHasNotMessaged),
        ]);
        mistakes.extend(one.references);
        let mut body = json!({ "from": LINE, "to": CONTACT });
        body.as_object_mut().unwrap().extend(fields(&one.more));
        let draft = Draft {
            method: Method::POST,
            path: one.path,
            key: Some(world.owner.key.clone()),
            fields: fields(&body),
            cut: false,
        };
        check_pairs(&world, draft, &mistakes).await;
    }
    world.server.stop().await;
}

#[tokio::test]
async fn what_a_line_can_do_is_asked_last() {
    let world = World::make().await;
    let server = &world.server;
    let texted = server.text(OPEN, CONTACT, "hello").await;
    set_advanced(server, OPEN, false).await;
    for one in write(&world) {
        let mut body = json!({ "from": OPEN, "to": CONTACT });
        body.as_object_mut().unwrap().extend(fields(&one.more));
        if body.get("message_id").is_some() {
            body["message_id"] = texted.guid.as_str().into();
        }
        let send = async |body: &Value| {
            Call::post(one.path, body).key(&world.owner.key).send(&server.url).await
        };
        assert_refused(one.path, &send(&body).await, Code::AdvancedFeaturesRequired, None);
        for Mistake { wrong, code, param } in &one.references {
            let Wrong::Field(name, value) = wrong else { continue };
            let mut body = body.clone();
            body[*name] = value.clone();
            assert_refused(one.path, &send(&body).await, *code, *param);
        }
        body["to"] = "cht_x".into();
        assert_refused(one.path, &send(&body).await, Code::ChatNotFound, Some("to"));
    }
    world.server.stop().await;
}

#[tokio::test]
async fn of_two_mistakes_on_the_sandbox_line_the_first_is_told() {
    let world = World::make().await;
    let server = &world.server;
    let paired = server.tenant("+15550100006").await;
    let code = paired.client.ensure_sandbox().await.unwrap().value.activation_code.unwrap();
    server.text(SANDBOX, CONTACT, &code).await;
    let key = |key: &str| Wrong::Key(Some(key.to_owned()));
    let mistakes = [
        field("text", Value::Null, MissingRequiredParameter),
        field("reply_to", "cht_x", InvalidParameterValue),
        field("from", NO_LINE, Code::LineNotFound),
        mistake(key(&world.homeless), Code::SandboxRequiresOwner, None),
        mistake(key(&world.owner.key), Code::SandboxNotActivated, None),
        mistake(key(&world.restricted), Code::SandboxNotActivated, None),
        field("to", STRANGER, Code::SandboxContactMismatch),
        field("to", world.theirs.chat.as_str(), Code::SandboxContactMismatch),
        field("reply_to", world.theirs.message.as_str(), Code::MessageNotFound),
        field("attachments", json!(["file_x"]), Code::FileNotFound),
    ];
    let draft = Draft {
        method: Method::POST,
        path: "/v1/messages",
        key: Some(paired.key.clone()),
        fields: fields(&json!({ "from": SANDBOX, "to": CONTACT, "text": "x" })),
        cut: false,
    };
    check_pairs(&world, draft, &mistakes).await;
    world.server.stop().await;
}

#[tokio::test]
async fn of_two_mistakes_about_an_item_or_a_webhook_the_first_is_told() {
    let world = World::make().await;
    let (first, theirs) = (&world.first, &world.theirs);
    let restricted = || {
        let key = Wrong::Key(Some(world.restricted.clone()));
        mistake(key, Code::LineNotAccessible, None)
    };
    let unknown = |id: &str| field("id", id, Code::OutboxItemNotFound);
    let gone = |id: &str| field("id", id, Code::WebhookNotFound);
    for (method, path, scope, right, wrong) in [
        (
            Method::GET,
            "/v1/outbox",
            Scope::OutboxRead,
            json!({ "id": first.item }),
            vec![unknown("obx_x"), unknown(&theirs.item), restricted()],
        ),
        (
            Method::DELETE,
            "/v1/webhooks",
            Scope::WebhooksWrite,
            json!({ "id": first.webhook }),
            vec![gone("wh_x"), gone(&theirs.webhook), restricted()],
        ),
        (
            Method::GET,
            "/v1/webhooks",
            Scope::WebhooksRead,
            json!({ "from": LINE }),
            vec![
                field("from", "ln_x", Code::LineNotFound),
                field("from", theirs.line.as_str(), Code::LineNotFound),
                restricted(),
            ],
        ),
    ] {
        let mut mistakes = at_the_gate(&world, scope, Method::PUT).await;
        if method != Method::GET {
            mistakes.push(mistake(Wrong::Cut, Code::InvalidJson, None));
        }
        let name = if right["id"].is_null() { "from" } else { "id" };
        if name == "id" {
            mistakes.push(field(name, Value::Null, MissingRequiredParameter));
        }
        mistakes.push(field(name, "cht_x", InvalidParameterValue));
        mistakes.extend(wrong);
        let key = Some(world.owner.key.clone());
        let draft = Draft { method, path, key, fields: fields(&right), cut: false };
        check_pairs(&world, draft, &mistakes).await;
    }
    world.server.stop().await;
}

#[tokio::test]
async fn of_two_mistakes_in_other_look_ups_the_first_is_told() {
    let world = World::make().await;
    let draft = |path, values: Value| Draft {
        method: Method::GET,
        path,
        key: Some(world.owner.key.clone()),
        fields: fields(&values),
        cut: false,
    };
    for (path, scope) in [("/v1/typing", Scope::TypingRead), ("/v1/receipts", Scope::ReceiptsRead)]
    {
        let mut mistakes = at_the_gate(&world, scope, Method::DELETE).await;
        mistakes.extend([
            field("from", Value::Null, MissingRequiredParameter),
            field("to", Value::Null, MissingRequiredParameter),
            field("from", "bob", InvalidParameterValue),
            field("to", "bob", InvalidParameterValue),
            field("from", "ln_x", Code::LineNotFound),
            mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
            field("to", STRANGER, Code::ChatNotFound),
        ]);
        check_pairs(&world, draft(path, json!({ "from": LINE, "to": CONTACT })), &mistakes).await;
    }
    let mut mistakes = at_the_gate(&world, Scope::ReactionsRead, Method::DELETE).await;
    mistakes.extend([
        field("message_id", Value::Null, MissingRequiredParameter),
        field("message_id", "cht_x", InvalidParameterValue),
        field("message_id", "msg_x", Code::MessageNotFound),
        mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
    ]);
    let reactions = draft("/v1/reactions", json!({ "message_id": world.first.message }));
    check_pairs(&world, reactions, &mistakes).await;
    let mut mistakes = at_the_gate(&world, Scope::FilesRead, Method::DELETE).await;
    mistakes.extend([
        field("id", Value::Null, MissingRequiredParameter),
        field("id", "msg_x", InvalidParameterValue),
        field("id", world.theirs.file.as_str(), Code::FileNotFound),
    ]);
    check_pairs(&world, draft("/v1/files", json!({ "id": world.first.file })), &mistakes).await;

    // The live stream has its scopes from its own parameters, and no gate of one scope.
    let mut mistakes = at_the_gate(&world, Scope::MessagesRead, Method::DELETE).await;
    mistakes.pop();
    let messages = world.key_without(Scope::TypingRead).await;
    mistakes.extend([
        mistake(Wrong::Key(Some(messages)), Code::InsufficientScope, None),
        field("since", "x", InvalidParameterValue),
        field("line", "bob", InvalidParameterValue),
        field("line", world.theirs.line.as_str(), Code::LineNotFound),
        mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
    ]);
    let stream = draft("/v1/events", json!({ "line": LINE, "event": "typing.started" }));
    check_pairs(&world, stream, &mistakes).await;
    world.server.stop().await;
}
