//! The table of operations × (no key, wrong scope, other account, restricted key, bad input).
//!
//! Every row of the routes' table has its row here, or the test fails. What holds for all rows (no
//! key, wrong scope) is made from the right request of the row; the rest is in the table.

use std::collections::HashSet;

use serde_json::{Value, json};
use switchboard_client::RawAnswer;
use switchboard_model::{Code, id::Id};
use switchboard_server::routes::{self, Access};
use switchboard_testkit::LINE;

use crate::{
    call::{Call, assert_refused, query, without_request_id},
    world::{CONTACT, NO_LINE, SECOND, World, send_with},
};

/// One operation and its cases.
struct Row {
    /// A request with nothing wrong, without a key.
    right: Call,
    /// Its answer's status.
    status: u16,
    /// By a key of the owner: what belongs to the other account.
    other_account: Cases,
    /// By the key that is for the second line only: what is on the first.
    restricted: Cases,
    bad_input: Cases,
}

enum Cases {
    NotApplicable(&'static str),
    /// Refused, all of them alike.
    Refused(Vec<Call>, Code, Option<&'static str>),
    /// What is another's is answered as what does not exist, byte for byte.
    Alike {
        theirs: Call,
        nothing: Call,
        code: Code,
    },
    /// Answered, and none of these ids is in the answer.
    Hides(Call, Vec<String>),
}

use Cases::{Alike, Hides, NotApplicable, Refused};

const OPERATOR: &str = "the operator sees every account";
const NO_KEY: &str = "this is no place for API keys; the column of wrong scopes has one";
const NO_INPUT: &str = "it takes no parameter";

#[tokio::test]
async fn every_operation_keeps_its_door() {
    let world = World::make().await;
    let url = &world.server.url;
    let rows = rows(&world);
    let have: HashSet<_> = rows.iter().map(|row| (row.right.method.clone(), path(row))).collect();
    assert_eq!(have.len(), rows.len(), "an operation has one row");
    for operation in routes::table() {
        let (method, path) = (operation.method, operation.path);
        let row = rows.iter().find(|row| row.right.method == method && self::path(row) == path);
        let row = row.unwrap_or_else(|| panic!("{method} {path} has no cases here"));
        let what = format!("{method} {path}");

        let answer = row.right.send(url).await;
        assert_refused(&what, &answer, Code::MissingApiKey, None);

        let (right, wrong, code) = match operation.access {
            Access::Key(scope) => {
                let unscoped = world.key_without(scope).await;
                (world.owner.key.clone(), unscoped, Code::InsufficientScope)
            }
            Access::Operator => {
                let token = world.server.operator_token().to_owned();
                (token, world.owner.key.clone(), Code::InvalidApiKey)
            }
            Access::Bridge => (world.bridge.clone(), world.owner.key.clone(), Code::InvalidApiKey),
        };
        let answer = row.right.clone().key(&wrong).send(url).await;
        assert_refused(&what, &answer, code, None);

        check(&what, url, &row.other_account, &right).await;
        check(&what, url, &row.restricted, &world.restricted).await;
        check(&what, url, &row.bad_input, &right).await;

        let answer = row.right.clone().key(&right).send(url).await;
        assert_eq!(answer.status, row.status, "{what}: {answer:?}");
    }
    assert_eq!(have.len(), routes::table().len(), "a row here has no operation any more");
    world.server.stop().await;
}

fn path(row: &Row) -> String {
    row.right.path.split('?').next().unwrap().to_owned()
}

async fn check(what: &str, url: &str, cases: &Cases, key: &str) {
    match cases {
        NotApplicable(why) => assert!(!why.is_empty(), "{what}"),
        Refused(calls, code, param) => {
            for call in calls {
                let answer = call.clone().key(key).send(url).await;
                assert_refused(&format!("{what}: {call:?}"), &answer, *code, *param);
            }
        }
        Alike { theirs, nothing, code } => {
            let theirs = theirs.clone().key(key).send(url).await;
            let nothing = nothing.clone().key(key).send(url).await;
            assert_eq!(theirs.status, code.status(), "{what}: {theirs:?}");
            assert_eq!(theirs.body["error"]["code"], code.as_str(), "{what}");
            assert_eq!(without_request_id(&theirs), without_request_id(&nothing), "{what}");
            let names = |answer: &RawAnswer| -> Vec<_> {
                answer.headers.keys().map(ToString::to_string).collect()
            };
            assert_eq!(names(&theirs), names(&nothing), "{what}");
        }
        Hides(call, ids) => {
            let answer = call.clone().key(key).send(url).await;
            assert!(answer.status < 300, "{what}: {answer:?}");
            let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
            for id in ids {
                assert!(!text.contains(id.as_str()), "{what} shows {id}: {text}");
            }
        }
    }
}

fn rows(world: &World) -> Vec<Row> {
    let mut rows = programs(world);
    rows.extend(operators(world));
    rows.push(Row {
        right: Call::get("/bridge/v1/link")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        status: 101,
        other_account: NotApplicable("a bridge belongs to no account"),
        restricted: NotApplicable(NO_KEY),
        bad_input: Refused(vec![Call::get("/bridge/v1/link")], Code::InvalidParameterValue, None),
    });
    rows
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
    let url = "http://127.0.0.1:9/";
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
            right: Call::delete("/v1/webhooks", &json!({ "id": first.webhook })),
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

/// The operator's rows, those of the simulator among them.
fn operators(world: &World) -> Vec<Row> {
    use Code::{InvalidParameterValue, MissingRequiredParameter};
    let account = world.owner.account;
    let listing = |path| (Call::get(path), 200, NotApplicable(NO_INPUT));
    let making = |path: &str, status, right, wrong, code, param| {
        (
            Call::post(path, &right),
            status,
            Refused(vec![Call::post(path, &wrong)], code, Some(param)),
        )
    };
    let line = json!({ "account_id": account, "handle": NO_LINE, "driver": "imsg" });
    let text = json!({ "line": SECOND, "from": CONTACT, "text": "x" });
    let fault = json!({ "line": LINE, "mode": "none" });
    let nothing = json!({});
    let taken = json!({ "id": Id::<switchboard_model::Account>::generate() });
    let rows = vec![
        listing("/admin/v1/accounts"),
        listing("/admin/v1/lines"),
        listing("/admin/v1/keys"),
        listing("/admin/v1/bridges"),
        making(
            "/admin/v1/accounts",
            201,
            json!({ "name": "x" }),
            nothing.clone(),
            MissingRequiredParameter,
            "name",
        ),
        making(
            "/admin/v1/lines",
            201,
            line,
            json!({ "account_id": account, "handle": "bob", "driver": "imsg" }),
            InvalidParameterValue,
            "handle",
        ),
        making(
            "/admin/v1/keys",
            201,
            json!({ "name": "x", "scopes": "all" }),
            json!({ "name": "x", "scopes": ["all"] }),
            InvalidParameterValue,
            "scopes",
        ),
        making(
            "/admin/v1/keys/revoke",
            200,
            json!({ "id": world.homeless_id }),
            taken.clone(),
            InvalidParameterValue,
            "id",
        ),
        making(
            "/admin/v1/bridges",
            201,
            json!({ "name": "other mac", "driver": "bluebubbles" }),
            json!({ "name": "x", "driver": "simulator" }),
            InvalidParameterValue,
            "driver",
        ),
        making(
            "/admin/v1/bridges/revoke",
            200,
            json!({ "id": world.spare }),
            taken,
            InvalidParameterValue,
            "id",
        ),
        making("/simulator/v1/messages", 201, text, nothing, MissingRequiredParameter, "line"),
        (
            Call::get(query("/simulator/v1/phones", &[("handle", CONTACT)])),
            200,
            Refused(
                vec![Call::get("/simulator/v1/phones?handle=bob")],
                InvalidParameterValue,
                Some("handle"),
            ),
        ),
        making(
            "/simulator/v1/groups",
            201,
            json!({ "line": LINE, "participants": [CONTACT] }),
            json!({ "line": LINE, "participants": [] }),
            InvalidParameterValue,
            "participants",
        ),
        making(
            "/simulator/v1/faults",
            200,
            fault,
            json!({ "line": LINE, "mode": "tired" }),
            InvalidParameterValue,
            "mode",
        ),
    ];
    let row = |(right, status, bad_input)| Row {
        right,
        status,
        other_account: NotApplicable(OPERATOR),
        restricted: NotApplicable(NO_KEY),
        bad_input,
    };
    rows.into_iter().map(row).collect()
}
