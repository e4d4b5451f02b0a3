//! The cases of every operation for programs: what [`crate::operations`] holds them to.

use serde_json::{Value, json};
use switchboard_model::Code;
use switchboard_testkit::LINE;

use crate::{
    call::{Call, query},
    fixtures::Sample,
    operations::{
        Cases::{Alike, Hides, NotApplicable, Refused},
        Row,
    },
    operators::{bridges, operators},
    world::{CONTACT, NO_LINE, World, send_with},
};

const NO_INPUT: &str = "it takes no parameter";

pub(crate) async fn rows(world: &World) -> Vec<Row> {
    let mut rows = programs(world);
    rows.extend(writes(world));
    rows.extend(deliveries(world));
    rows.extend(files(world).await);
    rows.extend(operators(world));
    rows.extend(bridges(world));
    rows.extend(health());
    rows
}

fn health() -> impl Iterator<Item = Row> {
    let row = |path| Row {
        right: Call::get(path),
        status: 200,
        other_account: NotApplicable("it tells of no account"),
        restricted: NotApplicable("it tells of no line"),
        bad_input: NotApplicable(NO_INPUT),
    };
    ["/health", "/live"].into_iter().map(row)
}

fn programs(world: &World) -> Vec<Row> {
    let (first, theirs) = (&world.first, &world.theirs);
    let get = |path, values: &[(&str, &str)]| Call::get(query(path, values));
    let all_of_theirs = || {
        [&theirs.line_id, &theirs.line, &theirs.chat, &theirs.message, &theirs.webhook]
            .map(Clone::clone)
            .to_vec()
    };
    let send = |changes: Value| Call::post("/v1/messages", &send_with(&changes));
    let webhook = |from: &str, url: &str| {
        let body = json!({ "from": from, "url": url, "events": ["message.sent"] });
        Call::post("/v1/webhooks", &body)
    };
    let url = "http://127.0.0.1:1999/";
    let not_accessible = |call| Refused(vec![call], Code::LineNotAccessible, None);
    vec![
        Row {
            right: Call::get("/v1/lines"),
            status: 200,
            other_account: Hides(Call::get("/v1/lines"), all_of_theirs()),
            restricted: Hides(
                Call::get("/v1/lines"),
                vec![first.line_id.clone(), first.line.clone()],
            ),
            bad_input: NotApplicable(NO_INPUT),
        },
        Row {
            right: get("/v1/chats", &[("from", LINE)]),
            status: 200,
            other_account: Alike {
                theirs: get("/v1/chats", &[("from", &theirs.line_id)]),
                nothing: get("/v1/chats", &[("from", NO_LINE)]),
                code: Code::LineNotFound,
            },
            restricted: not_accessible(get("/v1/chats", &[("from", LINE)])),
            bad_input: Refused(
                vec![get("/v1/chats", &[("from", "bob")])],
                Code::InvalidParameterValue,
                Some("from"),
            ),
        },
        Row {
            right: get("/v1/messages", &[("from", LINE), ("to", &first.chat)]),
            status: 200,
            other_account: Alike {
                theirs: get("/v1/messages", &[("from", LINE), ("to", &theirs.chat)]),
                nothing: get("/v1/messages", &[("from", LINE), ("to", "cht_x")]),
                code: Code::ChatNotFound,
            },
            restricted: not_accessible(get("/v1/messages", &[("from", LINE), ("to", &first.chat)])),
            bad_input: Refused(
                vec![get("/v1/messages", &[("from", LINE), ("to", "bob")])],
                Code::InvalidParameterValue,
                Some("to"),
            ),
        },
        Row {
            right: send(json!({})),
            status: 201,
            other_account: Alike {
                theirs: send(json!({ "reply_to": theirs.message })),
                nothing: send(json!({ "reply_to": "msg_x" })),
                code: Code::MessageNotFound,
            },
            restricted: not_accessible(send(json!({}))),
            bad_input: Refused(
                vec![send(json!({ "text": " " }))],
                Code::InvalidParameterValue,
                Some("text"),
            ),
        },
        Row {
            right: get("/v1/outbox", &[("id", &first.item)]),
            status: 200,
            other_account: Alike {
                theirs: get("/v1/outbox", &[("id", &theirs.item)]),
                nothing: get("/v1/outbox", &[("id", "obx_x")]),
                code: Code::OutboxItemNotFound,
            },
            restricted: not_accessible(get("/v1/outbox", &[("id", &first.item)])),
            bad_input: Refused(
                vec![get("/v1/outbox", &[("id", &first.message)])],
                Code::InvalidParameterValue,
                Some("id"),
            ),
        },
        Row {
            right: Call::get("/v1/webhooks?from="),
            status: 200,
            other_account: Hides(Call::get("/v1/webhooks?from="), all_of_theirs()),
            restricted: Hides(
                Call::get("/v1/webhooks?from="),
                vec![first.line_id.clone(), first.webhook.clone()],
            ),
            bad_input: Refused(
                vec![Call::get("/v1/webhooks")],
                Code::MissingRequiredParameter,
                Some("from"),
            ),
        },
        Row {
            right: webhook(LINE, url),
            status: 201,
            other_account: Alike {
                theirs: webhook(&theirs.line, url),
                nothing: webhook(NO_LINE, url),
                code: Code::LineNotFound,
            },
            restricted: not_accessible(webhook(LINE, url)),
            bad_input: Refused(
                vec![webhook(LINE, "http://10.0.0.1/")],
                Code::InvalidParameterValue,
                Some("url"),
            ),
        },
        Row {
            right: Call::delete("/v1/webhooks", &json!({ "id": world.second.webhook })),
            status: 200,
            other_account: Alike {
                theirs: Call::delete("/v1/webhooks", &json!({ "id": theirs.webhook })),
                nothing: Call::delete("/v1/webhooks", &json!({ "id": "wh_x" })),
                code: Code::WebhookNotFound,
            },
            restricted: not_accessible(Call::delete(
                "/v1/webhooks",
                &json!({ "id": first.webhook }),
            )),
            bad_input: Refused(
                vec![Call::delete("/v1/webhooks", &json!({ "id": first.item }))],
                Code::InvalidParameterValue,
                Some("id"),
            ),
        },
    ]
}

/// The calls about what is no message, or no text.
fn writes(world: &World) -> Vec<Row> {
    use Code::{
        ChatNotFound, FileNotFound, InvalidParameterValue, LineNotAccessible, MessageNotFound,
    };
    let (first, theirs) = (&world.first, &world.theirs);
    let get = |path: &str, values: &[(&str, &str)]| Call::get(query(path, values));
    let post = |path: &str, more: Value| {
        let mut body = json!({ "from": LINE, "to": CONTACT });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Call::post(path, &body)
    };
    let row = |right: &Call, status, theirs, nothing, code, wrong, param| Row {
        right: right.clone(),
        status,
        other_account: Alike { theirs, nothing, code },
        restricted: Refused(vec![right.clone()], LineNotAccessible, None),
        bad_input: Refused(vec![wrong], InvalidParameterValue, Some(param)),
    };
    let memo = |file: &str| post("/v1/audio-messages", json!({ "audio_message": file }));
    let react =
        |id: &str, kind: &str| post("/v1/reactions", json!({ "message_id": id, "type": kind }));
    let reactions = |id: &str| get("/v1/reactions", &[("message_id", id)]);
    let mut rows = vec![
        row(
            &memo(&first.memo),
            201,
            memo(&theirs.memo),
            memo("file_x"),
            FileNotFound,
            memo("msg_x"),
            "audio_message",
        ),
        row(
            &reactions(&first.message),
            200,
            reactions(&theirs.message),
            reactions("msg_x"),
            MessageNotFound,
            reactions("cht_x"),
            "message_id",
        ),
        row(
            &react(&first.message, "love"),
            201,
            react(&theirs.message, "love"),
            react("msg_x", "love"),
            MessageNotFound,
            react(&first.message, "hate"),
            "type",
        ),
    ];
    for path in ["/v1/typing", "/v1/receipts"] {
        let list = |to: &str| get(path, &[("from", LINE), ("to", to)]);
        let write = |to: &str| post(path, json!({ "to": to }));
        rows.push(row(
            &list(CONTACT),
            200,
            list(&theirs.chat),
            list("cht_x"),
            ChatNotFound,
            list("bob"),
            "to",
        ));
        rows.push(row(
            &write(&first.chat),
            201,
            write(&theirs.chat),
            write("cht_x"),
            ChatNotFound,
            write("bob"),
            "to",
        ));
    }
    rows
}

/// What else can be done with a webhook, and what became of its deliveries.
fn deliveries(world: &World) -> Vec<Row> {
    use Code::{DeliveryNotFound, InvalidParameterValue, LineNotAccessible};
    let (first, theirs) = (&world.first, &world.theirs);
    let patch = |id: &str, url: &str| {
        let body = json!({ "id": id, "url": url, "is_active": true });
        Call::new(http::Method::PATCH, "/v1/webhooks").json(&body)
    };
    let url = "http://127.0.0.1:1999/other";
    let mut rows = vec![Row {
        right: patch(&first.webhook, url),
        status: 200,
        other_account: Alike {
            theirs: patch(&theirs.webhook, url),
            nothing: patch("wh_x", url),
            code: Code::WebhookNotFound,
        },
        restricted: Refused(vec![patch(&first.webhook, url)], LineNotAccessible, None),
        bad_input: Refused(
            vec![patch(&first.webhook, "http://10.0.0.1/")],
            InvalidParameterValue,
            Some("url"),
        ),
    }];
    for (path, status) in
        [("/v1/webhooks/test", 200), ("/v1/webhooks/rotate", 200), ("/v1/webhooks/replay", 201)]
    {
        let call = |id: &str| Call::post(path, &json!({ "id": id, "since": 1 }));
        rows.push(Row {
            right: call(&first.webhook),
            status,
            other_account: Alike {
                theirs: call(&theirs.webhook),
                nothing: call("wh_x"),
                code: Code::WebhookNotFound,
            },
            restricted: Refused(vec![call(&first.webhook)], LineNotAccessible, None),
            bad_input: Refused(vec![call(&first.item)], InvalidParameterValue, Some("id")),
        });
    }
    let get = |path: &str, name: &str, value: &str| Call::get(query(path, &[(name, value)]));
    let replay = |id: &str| get("/v1/webhooks/replay", "id", id);
    let retry = |id: &str| Call::post("/v1/deliveries/retry", &json!({ "id": id }));
    rows.extend([
        Row {
            right: replay(&first.replay),
            status: 200,
            other_account: Alike {
                theirs: replay(&theirs.replay),
                nothing: replay("rpl_x"),
                code: Code::ReplayNotFound,
            },
            restricted: Refused(vec![replay(&first.replay)], LineNotAccessible, None),
            bad_input: Refused(vec![replay(&first.webhook)], InvalidParameterValue, Some("id")),
        },
        Row {
            right: Call::get("/v1/deliveries"),
            status: 200,
            other_account: Hides(
                Call::get("/v1/deliveries"),
                vec![theirs.delivery.clone(), theirs.webhook.clone()],
            ),
            restricted: Hides(
                Call::get("/v1/deliveries"),
                vec![first.delivery.clone(), first.webhook.clone()],
            ),
            bad_input: Refused(
                vec![get("/v1/deliveries", "status", "lost")],
                InvalidParameterValue,
                Some("status"),
            ),
        },
        Row {
            right: retry(&first.delivery),
            status: 200,
            other_account: Alike {
                theirs: retry(&theirs.delivery),
                nothing: retry("dlv_x"),
                code: DeliveryNotFound,
            },
            restricted: Refused(vec![retry(&first.delivery)], DeliveryNotFound, Some("id")),
            bad_input: Refused(vec![retry(&first.webhook)], InvalidParameterValue, Some("id")),
        },
    ]);
    rows
}

/// Files, the sandbox and the live stream.
async fn files(world: &World) -> Vec<Row> {
    use Code::{EmptyFile, FileNotFound, InvalidParameterValue, LineNotAccessible, LineNotFound};
    const NO_LINE_OF_ITS_OWN: &str = "a file is the account's, of no line";
    const EVERY_KEY: &str = "every key reaches the sandbox line";
    let (first, theirs) = (&world.first, &world.theirs);
    let get = |path: &str, values: &[(&str, &str)]| Call::get(query(path, values));
    let file = |id: &str| get("/v1/files", &[("id", id)]);
    let signed = file(&first.file).key(&world.owner.key).send(&world.server.url).await;
    let signed = signed.header("location").unwrap();
    let signed = signed.strip_prefix(&world.server.url).unwrap().to_owned();
    let mut rows = vec![
        Row {
            right: file(&first.file),
            status: 302,
            other_account: Alike {
                theirs: file(&theirs.file),
                nothing: file("file_x"),
                code: FileNotFound,
            },
            restricted: NotApplicable(NO_LINE_OF_ITS_OWN),
            bad_input: Refused(vec![file(&first.chat)], InvalidParameterValue, Some("id")),
        },
        Row {
            right: Call::new(http::Method::POST, "/v1/files").raw(Sample::png().bytes),
            status: 201,
            other_account: NotApplicable("it names nothing"),
            restricted: NotApplicable(NO_LINE_OF_ITS_OWN),
            bad_input: Refused(vec![Call::new(http::Method::POST, "/v1/files")], EmptyFile, None),
        },
        Row {
            right: Call::get(&signed),
            status: 200,
            other_account: NotApplicable("the signature is the permission"),
            restricted: NotApplicable("the signature is the permission"),
            bad_input: Refused(
                vec![Call::get(signed.replace(&first.file, &theirs.file))],
                FileNotFound,
                Some("signature"),
            ),
        },
        Row {
            right: Call::get("/v1/events"),
            status: 200,
            other_account: Alike {
                theirs: get("/v1/events", &[("line", &theirs.line_id)]),
                nothing: get("/v1/events", &[("line", NO_LINE)]),
                code: LineNotFound,
            },
            restricted: Refused(
                vec![get("/v1/events", &[("line", LINE)])],
                LineNotAccessible,
                None,
            ),
            bad_input: Refused(
                vec![get("/v1/events", &[("since", "yesterday")])],
                InvalidParameterValue,
                Some("since"),
            ),
        },
    ];
    for path in [
        "/v1/openapi.json",
        "/docs",
        "/admin/v1/openapi.json",
        "/docs/admin",
        "/simulator/v1/openapi.json",
        "/docs/simulator",
    ] {
        rows.push(Row {
            right: Call::get(path),
            status: 200,
            other_account: NotApplicable("it is the same for everybody"),
            restricted: NotApplicable("it is the same for everybody"),
            bad_input: NotApplicable(NO_INPUT),
        });
    }
    for method in [http::Method::GET, http::Method::POST, http::Method::DELETE] {
        let call = Call::new(method, "/v1/sandbox");
        rows.push(Row {
            right: call.clone(),
            status: 200,
            other_account: Hides(call, vec![theirs.line.clone()]),
            restricted: NotApplicable(EVERY_KEY),
            bad_input: NotApplicable(NO_INPUT),
        });
    }
    rows
}
