//! The operator's API (`/admin/v1`): its operations, what they take and what they answer.

use http::Method;
use serde_json::{Map, Value, json};
use switchboard_model::{
    Account, Bridge,
    Code::{
        self, InvalidParameterValue, LineNotFound, MissingRequiredParameter, ResourceExists,
        ResourceNotFound,
    },
    Key, Line,
    key::RevokedKey,
    line::{DriverKind, OperatorLine},
};

use super::{
    operations::{
        AnswerKind::{List, One},
        Entry,
        RequestBody::{Json, None},
        entry,
    },
    requests::HANDLE,
    resources::LINE,
    schema::{
        always, boolean, derived, extended, id, list, millis, nullable, number, object, one_of,
        reference, such_as, text,
    },
};

pub(super) const TAGS: [(&str, &str); 4] = [
    ("Accounts", "The owners of lines, keys and webhooks."),
    ("Lines", "Every line of every account."),
    ("Keys", "What programs show."),
    ("Bridges", "The processes beside Messages that carry lines."),
];

const FIELDS: &[Code] = &[MissingRequiredParameter, InvalidParameterValue];

#[rustfmt::skip]
pub(super) fn operations() -> Vec<Entry> {
    let (get, post, patch) = (|| Method::GET, || Method::POST, || Method::PATCH);
    vec![
        entry(
            get(), "/admin/v1/accounts", "listAccounts", "Accounts", "List all accounts", "",
            &[], None, List("Account"), &[],
        ),
        entry(
            post(), "/admin/v1/accounts", "createAccount", "Accounts", "Make an account", "",
            &[], Json("CreateAccount"), One(201, "Account"), FIELDS,
        ),
        entry(
            get(), "/admin/v1/lines", "listAllLines", "Lines", "List all lines", "Of all accounts.",
            &[], None, List("OperatorLine"), &[],
        ),
        entry(
            post(), "/admin/v1/lines", "createLine", "Lines", "Make a line",
            "Its bridge carries it from now on.",
            &[], Json("CreateLine"), One(201, "OperatorLine"),
            &[MissingRequiredParameter, InvalidParameterValue, ResourceNotFound, ResourceExists],
        ),
        entry(
            patch(), "/admin/v1/lines", "updateLine", "Lines", "Give a line a bridge, or set how often it may answer one contact",
            "A line that was made without a bridge is carried from when it has one. Two programs that answer each other would never end. A line with a limit that has answered so often in one \
             chat within the time is refused its next message to it with 429 until it has rested as long.",
            &[], Json("UpdateLine"), One(200, "OperatorLine"),
            &[MissingRequiredParameter, InvalidParameterValue, ResourceNotFound, LineNotFound],
        ),
        entry(
            post(), "/admin/v1/lines/standby", "setStandby", "Lines", "Set the standby of a line",
            "A second bridge of the same driver, on a machine of its own. It takes the line over when the first is away; \
             without `bridge_id` the line has none any more.",
            &[], Json("SetStandby"), One(200, "OperatorLine"),
            &[MissingRequiredParameter, InvalidParameterValue, ResourceNotFound, LineNotFound],
        ),
        entry(
            post(), "/admin/v1/lines/take-over", "takeLineOver", "Lines", "Let the standby carry a line",
            "The two bridges change places. What the one before was handed stays its own: nothing is handed out twice. A \
             standby that is not ready is refused, unless `force` is true.",
            &[], Json("TakeLineOver"), One(200, "OperatorLine"),
            &[MissingRequiredParameter, InvalidParameterValue, LineNotFound],
        ),
        entry(
            get(), "/admin/v1/keys", "listKeys", "Keys", "List all keys", "Without their secrets.",
            &[], None, List("Key"), &[],
        ),
        entry(
            post(), "/admin/v1/keys", "createKey", "Keys", "Make a key",
            "Its secret is in this answer and never again.",
            &[], Json("CreateKey"), One(201, "CreatedKey"),
            &[MissingRequiredParameter, InvalidParameterValue, ResourceNotFound, LineNotFound],
        ),
        entry(
            post(), "/admin/v1/keys/revoke", "revokeKey", "Keys", "Revoke a key",
            "From now on it is refused, and its live streams end. The webhooks that it has made go on, unless \
             `disable_webhooks` is true.",
            &[], Json("RevokeKey"), One(200, "RevokedKey"),
            &[MissingRequiredParameter, InvalidParameterValue, ResourceNotFound],
        ),
        entry(
            get(), "/admin/v1/bridges", "listBridges", "Bridges", "List all bridges",
            "Without their tokens.",
            &[], None, List("Bridge"), &[],
        ),
        entry(
            post(), "/admin/v1/bridges", "createBridge", "Bridges", "Make a bridge",
            "Its token is in this answer and never again.",
            &[], Json("CreateBridge"), One(201, "CreatedBridge"),
            &[MissingRequiredParameter, InvalidParameterValue, ResourceExists],
        ),
        entry(
            post(), "/admin/v1/bridges/revoke", "revokeBridge", "Bridges", "Revoke a bridge",
            "From now on it is refused, and its link ends.",
            &[], Json("BridgeRef"), One(200, "Bridge"),
            &[MissingRequiredParameter, InvalidParameterValue, ResourceNotFound],
        ),
    ]
}

/// The schemas of what is taken and answered, by name.
pub(super) fn schemas() -> Map<String, Value> {
    let mut all = derived!(Account, Line, OperatorLine, Key, RevokedKey, Bridge);
    for (name, schema) in [
        ("CreateAccount", object("An account to make.", vec![name("Acme")])),
        ("CreateLine", create_line()),
        ("UpdateLine", update_line()),
        ("SetStandby", set_standby()),
        ("TakeLineOver", take_line_over()),
        ("CreatedKey", created_key()),
        ("CreateKey", create_key()),
        ("RevokeKey", revoke_key()),
        ("CreatedBridge", created_bridge()),
        ("CreateBridge", create_bridge()),
        ("BridgeDriver", one_of(&DriverKind::OF_PHONES.map(DriverKind::as_str))),
        ("BridgeRef", object("A bridge.", vec![always("id", id::<Bridge>(), "The bridge's id.")])),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
}

fn name(example: &str) -> super::schema::Field {
    let name = json!({ "type": "string", "pattern": r"\S", "examples": [example] });
    always("name", name, "What you call it; at most 200 characters.")
}

fn create_line() -> Value {
    let handle = json!({ "type": "string", "pattern": HANDLE, "examples": [LINE] });
    object(
        "A line to make.",
        vec![
            always("account_id", id::<Account>(), "Whose it is."),
            always("handle", handle, "Its phone number in E.164, or its Apple ID."),
            always("driver", such_as(reference("Driver"), "imsg"), "How it is carried."),
            nullable("label", text("Front desk"), "What its owner calls it."),
            nullable("service", such_as(reference("LineService"), "auto"), "What it sends by."),
            nullable("bridge_id", id::<Bridge>(), "By which bridge; not with the simulator."),
            nullable(
                "standby_bridge_id",
                id::<Bridge>(),
                "By which other bridge, when that one is away.",
            ),
            nullable("is_sandbox", boolean(false), "Whether it is the shared sandbox line."),
            nullable(
                "contact_first",
                boolean(true),
                "Whether contacts must write first; true if left out.",
            ),
            nullable(
                "loop_limit",
                loop_limit(),
                "How often it may answer one contact within so many seconds; no limit if left out.",
            ),
        ],
    )
}

fn update_line() -> Value {
    object(
        "What of a line is to change.",
        vec![
            always("id", id::<Line>(), "The line's id."),
            nullable(
                "bridge_id",
                id::<Bridge>(),
                "The bridge that is to carry it, of its driver; for a line that has none. Of one that has, make it the standby, \
                 and let that take the line over.",
            ),
            nullable(
                "loop_limit",
                loop_limit(),
                "How often it may answer one contact within so many seconds; \"off\" for no limit. Needed if no bridge is given.",
            ),
        ],
    )
}

fn set_standby() -> Value {
    object(
        "The standby of a line.",
        vec![
            always("id", id::<Line>(), "The line's id."),
            nullable("bridge_id", id::<Bridge>(), "Its standby; none if it is to have none."),
        ],
    )
}

fn take_line_over() -> Value {
    object(
        "A line that its standby is to carry.",
        vec![
            always("id", id::<Line>(), "The line's id."),
            nullable(
                "force",
                boolean(false),
                "Even if the standby is not ready: the line is offline until it is.",
            ),
        ],
    )
}

fn loop_limit() -> Value {
    json!({ "type": "string", "pattern": "^([0-9]+/[0-9]+|off)$", "examples": ["10/60"] })
}

fn created_key() -> Value {
    let secret = text("sk_live_…");
    extended(
        "Key",
        "A key, with its secret: this answer is the only one that shows it.",
        vec![always("key", secret, "What programs send as `Authorization: Bearer …`.")],
    )
}

fn create_key() -> Value {
    let mut some = list(&reference("Scope"));
    some["minItems"] = 1.into();
    let all = super::schema::only("all");
    let scopes = json!({ "anyOf": [some, all], "examples": ["all"] });
    let mut lines = list(&id::<Line>());
    lines["minItems"] = 1.into();
    let mut limit = number(1000);
    limit["minimum"] = 1.into();
    limit["maximum"] = u32::MAX.into();
    let mut expires = such_as(millis(), Value::Null);
    expires["minimum"] = 0.into();
    object(
        "A key to make.",
        vec![
            nullable(
                "account_id",
                id::<Account>(),
                "Whose it is; left out for a key of no account.",
            ),
            name("agent"),
            always("scopes", scopes, "What it may do: a list of scopes, or \"all\"."),
            nullable(
                "line_ids",
                such_as(lines, Value::Null),
                "The lines that it is restricted to; left out for all lines of the account.",
            ),
            nullable("expires_at", expires, "From then on it is refused."),
            nullable("rate_limit", limit, "Requests an hour; left out for the server's default."),
        ],
    )
}

fn revoke_key() -> Value {
    let about = "Whether the webhooks that it has made are disabled, too; false if left out.";
    object(
        "A key to revoke.",
        vec![
            always("id", id::<Key>(), "The key's id."),
            nullable("disable_webhooks", boolean(false), about),
        ],
    )
}

fn created_bridge() -> Value {
    extended(
        "Bridge",
        "A bridge, with its token: this answer is the only one that shows it.",
        vec![always("token", text("brt_…"), "What the bridge shows.")],
    )
}

fn create_bridge() -> Value {
    let driver = such_as(reference("BridgeDriver"), "imsg");
    object(
        "A bridge to make.",
        vec![name("mac mini"), always("driver", driver, "How it talks to Messages.")],
    )
}
