//! The mistakes of parameters: each that can be missing, each value that is checked.

use http::Method;
use serde_json::{Value, json};
use switchboard_testkit::LINE;

use crate::{
    call::{Call, query},
    world::{CONTACT, NO_LINE, World, send_with},
};

/// Every required parameter of every endpoint, left out, empty, and null where that can be said.
pub(crate) fn missing(world: &World) -> Vec<(Call, String, &'static str)> {
    let (key, token) = (&world.owner.key, world.server.operator_token());
    let mut cases = Vec::new();
    let queries = [
        ("/v1/chats", &[("from", LINE)][..], key.as_str()),
        ("/v1/messages", &[("from", LINE), ("to", CONTACT)], key),
        ("/v1/outbox", &[("id", "obx_x")], key),
        ("/v1/reactions", &[("message_id", "msg_x")], key),
        ("/v1/typing", &[("from", LINE), ("to", CONTACT)], key),
        ("/v1/receipts", &[("from", LINE), ("to", CONTACT)], key),
        ("/v1/files", &[("id", "file_x")], key),
        ("/v1/webhooks/replay", &[("id", "rpl_x")], key),
        ("/files/download", &[("id", "file_x"), ("expires", "1"), ("signature", "x")], key),
        ("/bridge/v1/files", &[("id", "file_x")], &world.bridge),
        ("/simulator/v1/phones", &[("handle", CONTACT)], token),
    ];
    for (path, values, bearer) in queries {
        for (at, (name, _)) in values.iter().enumerate() {
            let without = query(path, &values[..at]);
            let empty = format!("{without}&{name}=");
            for path in [without, empty] {
                let message = format!("The '{name}' query parameter is required.");
                cases.push((Call::get(path).key(bearer), message, *name));
            }
        }
    }
    let message = "The 'from' query parameter is required.".to_owned();
    cases.push((Call::get("/v1/webhooks").key(key), message, "from"));

    // In the order of the checks: each field is missed although those after it are missing too.
    let post = Method::POST;
    let bodies: [(Method, &str, &[&str], &str); 27] = [
        (post.clone(), "/v1/messages", &["from", "to", "text"], key),
        (post.clone(), "/v1/webhooks", &["from", "url", "events"], key),
        (post.clone(), "/v1/audio-messages", &["from", "to", "audio_message"], key),
        (post.clone(), "/v1/reactions", &["from", "to", "message_id", "type"], key),
        (post.clone(), "/v1/typing", &["from", "to"], key),
        (post.clone(), "/v1/receipts", &["from", "to"], key),
        (post.clone(), "/simulator/v1/reactions", &["line", "from", "message_guid", "type"], token),
        (post.clone(), "/simulator/v1/typing", &["line", "from"], token),
        (post.clone(), "/simulator/v1/receipts", &["line", "from"], token),
        (Method::DELETE, "/v1/webhooks", &["id"], key),
        (Method::PATCH, "/v1/webhooks", &["id"], key),
        (post.clone(), "/v1/webhooks/test", &["id"], key),
        (post.clone(), "/v1/webhooks/rotate", &["id"], key),
        (post.clone(), "/v1/webhooks/replay", &["id", "since"], key),
        (post.clone(), "/v1/deliveries/retry", &["id"], key),
        (post.clone(), "/bridge/v1/known", &["line_id", "guids"], &world.bridge),
        (post.clone(), "/admin/v1/accounts", &["name"], token),
        (post.clone(), "/admin/v1/lines", &["account_id", "handle", "driver"], token),
        (post.clone(), "/admin/v1/keys", &["name", "scopes"], token),
        (post.clone(), "/admin/v1/lines/standby", &["id"], token),
        (post.clone(), "/admin/v1/lines/take-over", &["id"], token),
        (post.clone(), "/admin/v1/keys/revoke", &["id"], token),
        (post.clone(), "/admin/v1/bridges", &["name", "driver"], token),
        (post.clone(), "/simulator/v1/messages", &["line", "from", "text"], token),
        (post.clone(), "/simulator/v1/messages/edit", &["guid", "text"], token),
        (post.clone(), "/simulator/v1/messages/unsend", &["guid"], token),
        (post, "/simulator/v1/groups", &["line", "participants"], token),
    ];
    for (method, path, fields, bearer) in bodies {
        for (at, &field) in fields.iter().enumerate() {
            let mut body: Value =
                fields[..at].iter().map(|&name| (name, Value::from("x"))).collect();
            let message = match (path, field) {
                ("/v1/messages", "text") => {
                    "The 'text' field is required when there are no attachments.".to_owned()
                }
                _ => format!("The '{field}' field is required."),
            };
            for value in [None, Some(Value::Null), Some("".into())] {
                if value == Some("".into()) && (path, field) == ("/v1/webhooks", "from") {
                    continue; // It stands for every line.
                }
                if let Some(value) = value {
                    body[field] = value;
                }
                let call = Call::new(method.clone(), path).json(&body).key(bearer);
                cases.push((call, message.clone(), field));
            }
        }
    }
    let faults = Call::post("/simulator/v1/faults", &json!({ "line": LINE })).key(token);
    cases.push((faults, "The 'mode' field is required.".to_owned(), "mode"));
    let nothing = json!({ "line": LINE, "from": CONTACT, "attachments": [] });
    let nothing = Call::post("/simulator/v1/messages", &nothing).key(token);
    cases.push((nothing, "The 'text' field is required.".to_owned(), "text"));
    let nothing = send_with(&json!({ "text": null, "attachments": [] }));
    let message = "The 'text' field is required when there are no attachments.".to_owned();
    cases.push((Call::post("/v1/messages", &nothing).key(key), message, "text"));
    cases
}

/// Every check of a value.
pub(crate) fn unacceptable(world: &World) -> Vec<(Call, Option<&'static str>)> {
    let long = "x".repeat(300);
    let mut cases = Vec::new();
    let no_handles = [
        "15550100001",
        "+1",
        "+1555010000123456789",
        "bob",
        "a@b",
        "@x.org",
        "msg_x",
        "\u{0}+1",
        &long,
    ];
    for wrong in no_handles {
        for (path, name, others) in [
            ("/v1/chats", "from", &[][..]),
            ("/v1/messages", "from", &[("to", CONTACT)]),
            ("/v1/messages", "to", &[("from", LINE)]),
            ("/v1/webhooks", "from", &[]),
            ("/v1/typing", "from", &[("to", CONTACT)]),
            ("/v1/typing", "to", &[("from", LINE)]),
            ("/v1/receipts", "from", &[("to", CONTACT)]),
            ("/v1/receipts", "to", &[("from", LINE)]),
            ("/v1/events", "line", &[]),
        ] {
            let mut values = others.to_vec();
            values.push((name, wrong));
            cases.push((Call::get(query(path, &values)), Some(name)));
        }
        for name in ["from", "to"] {
            let more = json!({ "audio_message": "file_x", "message_id": "msg_x", "type": "love" });
            let mut body = send_with(&more);
            body[name] = wrong.into();
            for path in [
                "/v1/messages",
                "/v1/audio-messages",
                "/v1/reactions",
                "/v1/typing",
                "/v1/receipts",
            ] {
                cases.push((Call::post(path, &body), Some(name)));
            }
        }
    }
    for limit in ["0", "-1", "1.5", "ten", "", "%ff"] {
        for path in
            ["/v1/chats?from=+15550100001", "/v1/messages?from=+15550100001&to=+15550100002"]
        {
            cases.push((Call::get(format!("{path}&limit={limit}")), Some("limit")));
            cases.push((Call::get(format!("{path}&cursor=x{limit}")), Some("cursor")));
        }
    }
    cases.push((Call::get("/v1/chats?from=%ff"), Some("from")));
    for id in ["x", "msg_x", "%00"] {
        cases.push((Call::get(format!("/v1/outbox?id={id}")), Some("id")));
        cases.push((Call::get(format!("/v1/webhooks/replay?id={id}")), Some("id")));
        for name in ["id", "webhook_id", "event_id"] {
            cases.push((Call::get(format!("/v1/deliveries?{name}={id}")), Some(name)));
        }
        let body = json!({ "id": id, "since": 1 });
        for (method, path) in [
            (Method::DELETE, "/v1/webhooks"),
            (Method::PATCH, "/v1/webhooks"),
            (Method::POST, "/v1/webhooks/test"),
            (Method::POST, "/v1/webhooks/rotate"),
            (Method::POST, "/v1/webhooks/replay"),
            (Method::POST, "/v1/deliveries/retry"),
        ] {
            cases.push((Call::new(method, path).json(&body), Some("id")));
        }
    }
    for (name, value) in [
        ("webhook_id", ""),
        ("since", ""),
        ("status", "pending"),
        ("event", "message"),
        ("since", "-1"),
        ("since", "yesterday"),
        ("until", "1.5"),
        ("limit", "0"),
        ("cursor", "x"),
    ] {
        cases.push((Call::get(query("/v1/deliveries", &[(name, value)])), Some(name)));
    }
    let webhook = &world.first.webhook;
    let replays = [
        (json!({ "since": "1" }), "since"),
        (json!({ "since": -1 }), "since"),
        (json!({ "since": i64::MAX }), "since"),
        (json!({ "until": "2" }), "until"),
        (json!({ "until": 1 }), "until"),
        (json!({ "include_delivered": "yes" }), "include_delivered"),
    ];
    for (changes, name) in replays {
        let mut body = json!({ "id": webhook, "since": 1 });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        cases.push((Call::post("/v1/webhooks/replay", &body), Some(name)));
    }
    let changes = [
        (json!({ "url": "nowhere" }), "url"),
        (json!({ "url": 1 }), "url"),
        (json!({ "events": [] }), "events"),
        (json!({ "events": ["message.lost"] }), "events"),
        (json!({ "is_active": "yes" }), "is_active"),
    ];
    for (change, name) in changes {
        let mut body = json!({ "id": webhook });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let call = Call::new(Method::PATCH, "/v1/webhooks").json(&body);
        cases.push((call, Some(name)));
    }
    let sends = [
        (json!({ "from": 1 }), "from"),
        (json!({ "to": ["+15550100002"] }), "to"),
        (json!({ "text": 5 }), "text"),
        (json!({ "text": " \n\t" }), "text"),
        (json!({ "text": "a\u{0}b" }), "text"),
        (json!({ "attachments": "file_x" }), "attachments"),
        (json!({ "attachments": ["file_x", "file_y"] }), "attachments"),
        (json!({ "attachments": ["obx_x"] }), "attachments"),
        (json!({ "attachments": [1] }), "attachments"),
        (json!({ "reply_to": "cht_x" }), "reply_to"),
        (json!({ "reply_to": {} }), "reply_to"),
    ];
    for (changes, name) in sends {
        cases.push((Call::post("/v1/messages", &send_with(&changes)), Some(name)));
    }
    let others = [
        ("/v1/audio-messages", json!({ "audio_message": "msg_x" }), "audio_message"),
        ("/v1/audio-messages", json!({ "audio_message": ["file_x"] }), "audio_message"),
        ("/v1/audio-messages", json!({ "audio_message": "file_x", "reply_to": 1 }), "reply_to"),
        ("/v1/reactions", json!({ "message_id": "cht_x", "type": "love" }), "message_id"),
        ("/v1/reactions", json!({ "message_id": 1, "type": "love" }), "message_id"),
        ("/v1/reactions", json!({ "message_id": "msg_x", "type": "love " }), "type"),
        ("/v1/reactions", json!({ "message_id": "msg_x", "type": 1 }), "type"),
        ("/v1/reactions", json!({ "message_id": "x", "type": "love", "remove": "no" }), "remove"),
        ("/v1/typing", json!({ "state": "maybe" }), "state"),
        ("/v1/typing", json!({ "state": true }), "state"),
        ("/v1/typing", json!({ "state": "" }), "state"),
    ];
    for (path, changes, name) in others {
        cases.push((Call::post(path, &send_with(&changes)), Some(name)));
    }
    let gets = [
        ("/v1/reactions?message_id=obx_x", "message_id"),
        ("/v1/files?id=msg_x", "id"),
        ("/v1/events?event=typing", "event"),
        ("/v1/events?since=now", "since"),
    ];
    cases.extend(gets.map(|(path, name)| (Call::get(path), Some(name))));
    let file = || Call::new(Method::POST, "/v1/files").raw("x");
    cases.push((file().header("content-type", "image/png"), Some("Content-Type")));
    cases.push((file().header("idempotency-key", "a b"), Some("Idempotency-Key")));
    let far = format!("http://127.0.0.1/{}", "x".repeat(2048));
    let webhooks = [
        (json!({ "from": false }), "from"),
        (json!({ "url": "nowhere" }), "url"),
        (json!({ "url": "ftp://127.0.0.1/" }), "url"),
        (json!({ "url": "http://user:word@127.0.0.1/" }), "url"),
        (json!({ "url": "http://10.0.0.1/" }), "url"),
        (json!({ "url": far }), "url"),
        (json!({ "events": [] }), "events"),
        (json!({ "events": "message.sent" }), "events"),
        (json!({ "events": ["message.sent", "message.lost"] }), "events"),
        (json!({ "events": [7] }), "events"),
    ];
    for (changes, name) in webhooks {
        let mut body =
            json!({ "from": LINE, "url": "http://127.0.0.1:1999", "events": ["message.sent"] });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        cases.push((Call::post("/v1/webhooks", &body), Some(name)));
    }
    let key = &world.owner.key;
    let mut cases: Vec<_> = cases.into_iter().map(|(call, name)| (call.key(key), name)).collect();
    let token = world.server.operator_token();
    cases.extend(
        operators_values(world).into_iter().map(|(call, name)| (call.key(token), Some(name))),
    );
    cases.push((Call::get("/bridge/v1/link").key(&world.bridge), None));
    cases
}

fn operators_values(world: &World) -> Vec<(Call, &'static str)> {
    let account = world.owner.account.to_string();
    let long = "x".repeat(201);
    let line = json!({ "account_id": account, "handle": NO_LINE, "driver": "imsg" });
    let key = json!({ "name": "x", "scopes": "all" });
    let text = json!({ "line": LINE, "from": CONTACT, "text": "x" });
    let edit = json!({ "guid": "x", "text": "x" });
    let person =
        json!({ "line": LINE, "from": CONTACT, "message_guid": world.first.guid, "type": "love" });
    let group = json!({ "line": LINE, "participants": [CONTACT] });
    let fault = json!({ "line": LINE, "mode": "slow" });
    let crowd: Vec<_> = (0..32).map(|n| format!("+155501010{n:02}")).collect();
    let table = [
        ("/admin/v1/accounts", json!({}), "name", vec![json!(1), json!("  "), json!(long)]),
        ("/admin/v1/lines", line.clone(), "account_id", vec![json!("ln_x"), json!(1)]),
        ("/admin/v1/lines", line.clone(), "handle", vec![json!("5550100001"), json!(1)]),
        ("/admin/v1/lines", line.clone(), "label", vec![json!(" "), json!(1)]),
        ("/admin/v1/lines", line.clone(), "service", vec![json!("fax"), json!(1)]),
        ("/admin/v1/lines", line.clone(), "driver", vec![json!("fax"), json!(1)]),
        ("/admin/v1/lines", line.clone(), "bridge_id", vec![json!("acc_x"), json!(1)]),
        ("/admin/v1/lines", line.clone(), "standby_bridge_id", vec![json!("acc_x"), json!(1)]),
        ("/admin/v1/lines", line.clone(), "contact_first", vec![json!("yes"), json!(1)]),
        ("/admin/v1/lines", line, "loop_limit", vec![json!("10"), json!("0/60"), json!(10)]),
        ("/admin/v1/keys", key.clone(), "account_id", vec![json!("key_x")]),
        ("/admin/v1/keys", key.clone(), "name", vec![json!(" "), json!(long)]),
        (
            "/admin/v1/keys",
            key.clone(),
            "scopes",
            vec![json!("some"), json!([]), json!(["lines:write"]), json!([1])],
        ),
        (
            "/admin/v1/keys",
            key.clone(),
            "line_ids",
            vec![json!("ln_x"), json!(["acc_x"]), json!([])],
        ),
        ("/admin/v1/keys", key.clone(), "expires_at", vec![json!("soon"), json!(-1), json!(1)]),
        ("/admin/v1/keys", key, "rate_limit", vec![json!(0), json!(1.5), json!("9")]),
        ("/admin/v1/lines/standby", json!({}), "id", vec![json!("brg_x"), json!(1)]),
        ("/admin/v1/lines/standby", json!({ "id": "ln_x" }), "bridge_id", vec![json!("acc_x")]),
        ("/admin/v1/lines/take-over", json!({}), "id", vec![json!("brg_x"), json!(1)]),
        (
            "/admin/v1/lines/take-over",
            json!({ "id": world.stood_by }),
            "force",
            vec![json!(1), json!("true"), json!(false)],
        ),
        ("/admin/v1/keys/revoke", json!({}), "id", vec![json!("brg_x"), json!(1)]),
        ("/admin/v1/bridges", json!({ "name": "x", "driver": "imsg" }), "name", vec![json!(" ")]),
        (
            "/admin/v1/bridges",
            json!({ "name": "x" }),
            "driver",
            vec![json!("simulator"), json!("fax")],
        ),
        ("/admin/v1/bridges/revoke", json!({}), "id", vec![json!("key_x")]),
        ("/simulator/v1/messages", text.clone(), "line", vec![json!("x"), json!(1)]),
        (
            "/simulator/v1/messages",
            text.clone(),
            "from",
            vec![json!("msg_x"), json!(" "), json!(1)],
        ),
        ("/simulator/v1/messages", text.clone(), "text", vec![json!(1)]),
        ("/simulator/v1/messages", text.clone(), "chat_id", vec![json!("msg_x"), json!(1)]),
        ("/simulator/v1/messages", text.clone(), "reply_to_guid", vec![json!(1)]),
        (
            "/simulator/v1/messages",
            text.clone(),
            "attachments",
            vec![json!("x"), json!([{}]), json!([{ "data": "?", "mime_type": "x/y" }])],
        ),
        ("/simulator/v1/messages", text, "is_audio_message", vec![json!(true), json!(1)]),
        ("/simulator/v1/messages/edit", edit.clone(), "text", vec![json!(1)]),
        ("/simulator/v1/messages/edit", edit, "guid", vec![json!(1), json!("cht_x")]),
        ("/simulator/v1/messages/unsend", json!({}), "message_id", vec![json!(1), json!("cht_x")]),
        ("/simulator/v1/reactions", person.clone(), "type", vec![json!("hate"), json!(1)]),
        ("/simulator/v1/reactions", person.clone(), "remove", vec![json!("yes")]),
        ("/simulator/v1/typing", person.clone(), "state", vec![json!("maybe"), json!(1)]),
        ("/simulator/v1/typing", person.clone(), "chat_id", vec![json!("msg_x")]),
        ("/simulator/v1/receipts", person.clone(), "from", vec![json!("cht_x")]),
        ("/simulator/v1/lines/capabilities", person, "advanced_features", vec![json!("yes")]),
        ("/simulator/v1/groups", group.clone(), "line", vec![json!("x")]),
        ("/simulator/v1/groups", group.clone(), "name", vec![json!(1)]),
        (
            "/simulator/v1/groups",
            group,
            "participants",
            vec![json!(CONTACT), json!(["msg_x"]), json!([]), json!(crowd)],
        ),
        ("/simulator/v1/faults", fault.clone(), "line", vec![json!("x")]),
        ("/simulator/v1/faults", fault.clone(), "mode", vec![json!("tired"), json!(1)]),
        ("/simulator/v1/faults", fault.clone(), "ms", vec![json!(-1), json!("1")]),
        ("/simulator/v1/faults", fault, "count", vec![json!(0)]),
    ];
    let mut cases = vec![(Call::get("/simulator/v1/phones?handle=msg_x"), "handle")];
    // What a mode does not take is refused, not ignored.
    for (mode, name) in [
        ("none", "ms"),
        ("reject", "ms"),
        ("lose_report", "ms"),
        ("none", "count"),
        ("offline", "count"),
    ] {
        let body = json!({ "line": LINE, "mode": mode, name: 1 });
        cases.push((Call::post("/simulator/v1/faults", &body), name));
    }
    for (path, body, name, values) in table {
        for value in values {
            let mut body = body.clone();
            body[name] = value;
            cases.push((Call::post(path, &body), name));
        }
    }
    cases
}
