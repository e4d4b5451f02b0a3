//! The table of operations × (no key, wrong scope, other account, restricted key, bad input).
//!
//! Every row of the routes' table has its row here, or the test fails. What holds for all rows (no
//! key, wrong scope) is made from the right request of the row; the rest is in the table.

use std::collections::HashSet;

use switchboard_client::RawAnswer;
use switchboard_model::Code;
use switchboard_server::routes::{self, Access};

use crate::{
    call::{Call, assert_refused, without_request_id},
    contract_rows::rows,
    world::World,
};

/// One operation and its cases.
pub(crate) struct Row {
    /// A request with nothing wrong, without a key.
    pub(crate) right: Call,
    /// Its answer's status.
    pub(crate) status: u16,
    /// By a key of the owner: what belongs to the other account.
    pub(crate) other_account: Cases,
    /// By the key that is for the second line only: what is on the first.
    pub(crate) restricted: Cases,
    pub(crate) bad_input: Cases,
}

pub(crate) enum Cases {
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

/// Contract §7, row by row: method, path, scope (none: any key of an account, or nobody's), status.
const CONTRACT: [(&str, &str, &str, u16); 33] = [
    ("GET", "/v1/lines", "lines:read", 200),
    ("GET", "/v1/chats", "chats:read", 200),
    ("GET", "/v1/messages", "messages:read", 200),
    ("POST", "/v1/messages", "messages:write", 201),
    ("POST", "/v1/audio-messages", "messages:write", 201),
    ("GET", "/v1/reactions", "reactions:read", 200),
    ("POST", "/v1/reactions", "reactions:write", 201),
    ("GET", "/v1/typing", "typing:read", 200),
    ("GET", "/v1/receipts", "receipts:read", 200),
    ("POST", "/v1/typing", "typing:write", 201),
    ("POST", "/v1/receipts", "receipts:write", 201),
    ("GET", "/v1/outbox", "outbox:read", 200),
    ("POST", "/v1/files", "files:write", 201),
    ("GET", "/v1/files", "files:read", 302),
    ("GET", "/v1/webhooks", "webhooks:read", 200),
    ("POST", "/v1/webhooks", "webhooks:write", 201),
    ("DELETE", "/v1/webhooks", "webhooks:write", 200),
    // ext
    ("PATCH", "/v1/webhooks", "webhooks:write", 200),
    ("POST", "/v1/webhooks/test", "webhooks:write", 200),
    ("POST", "/v1/webhooks/rotate", "webhooks:write", 200),
    ("POST", "/v1/webhooks/replay", "webhooks:write", 201),
    ("GET", "/v1/webhooks/replay", "webhooks:read", 200),
    ("GET", "/v1/deliveries", "webhooks:read", 200),
    ("POST", "/v1/deliveries/retry", "webhooks:write", 200),
    ("GET", "/v1/sandbox", "", 200),
    ("POST", "/v1/sandbox", "", 200),
    ("DELETE", "/v1/sandbox", "", 200),
    ("GET", "/v1/events", "", 200),
    ("GET", "/v1/openapi.json", "", 200),
    ("GET", "/docs", "", 200),
    ("GET", "/docs/admin", "", 200),
    ("GET", "/docs/simulator", "", 200),
    // Where GET /v1/files sends its callers.
    ("GET", "/files/download", "", 200),
];

/// Each row of the contract is an operation with this scope, and has its cases with this status.
fn assert_is_the_contract(rows: &[Row]) {
    let operations = routes::table();
    for (method, path, scope, status) in CONTRACT {
        let what = format!("{method} {path}");
        let operation = operations.iter().find(|one| one.method == method && one.path == path);
        let operation = operation.unwrap_or_else(|| panic!("{what} is no operation"));
        let needed = match operation.access {
            Access::Key(scope) => scope.as_str(),
            _ => "",
        };
        assert_eq!(needed, scope, "{what}");
        let row = rows.iter().find(|row| row.right.method == method && self::path(row) == path);
        assert_eq!(row.map(|row| row.status), Some(status), "{what}");
    }
    let others = ["/admin/", "/bridge/", "/simulator/", "/health", "/live"];
    let of_programs =
        operations.iter().filter(|one| !others.iter().any(|prefix| one.path.starts_with(prefix)));
    assert_eq!(of_programs.count(), CONTRACT.len(), "an operation that the contract has not");
}

#[tokio::test]
async fn every_operation_keeps_its_door() {
    let world = World::make().await;
    let url = &world.server.url;
    let rows = rows(&world).await;
    let have: HashSet<_> = rows.iter().map(|row| (row.right.method.clone(), path(row))).collect();
    assert_eq!(have.len(), rows.len(), "an operation has one row");
    assert_is_the_contract(&rows);
    for operation in routes::table() {
        let (method, path) = (operation.method, operation.path);
        let row = rows.iter().find(|row| row.right.method == method && self::path(row) == path);
        let row = row.unwrap_or_else(|| panic!("{method} {path} has no cases here"));
        let what = format!("{method} {path}");

        let needs_key = !matches!(operation.access, Access::SignedUrl | Access::Public);
        if needs_key {
            let answer = row.right.send(url).await;
            assert_refused(&what, &answer, Code::MissingApiKey, None);
        }

        let (right, wrong, code) = match operation.access {
            Access::Key(scope) => {
                let unscoped = world.key_without(scope).await;
                (world.owner.key.clone(), unscoped, Code::InsufficientScope)
            }
            Access::AnyKey => {
                let expired = world.expired_key().await;
                (world.owner.key.clone(), expired, Code::InvalidApiKey)
            }
            // A key that nobody asks for does no harm, not even a wrong one.
            Access::SignedUrl | Access::Public => {
                let answer = row.right.send(url).await;
                assert_eq!(answer.status, row.status, "{what}: {answer:?}");
                check(&what, url, &row.bad_input, "sk_live_x").await;
                continue;
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

pub(crate) fn path(row: &Row) -> String {
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
