//! The cases of every operation for the operator and for bridges, see [`crate::operations`].

use http::Method;
use serde_json::json;
use switchboard_model::{Code, id::Id};
use switchboard_testkit::LINE;

use crate::{
    call::{Call, query},
    fixtures::Sample,
    operations::{
        Cases::{NotApplicable, Refused},
        Row,
    },
    world::{CONTACT, NO_LINE, SECOND, World},
};

const OPERATOR: &str = "the operator sees every account";
const NO_KEY: &str = "this is no place for API keys; the column of wrong scopes has one";
const NO_INPUT: &str = "it takes no parameter";

/// The operator's rows, those of the simulator among them.
pub(crate) fn operators(world: &World) -> Vec<Row> {
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
    let guid = &world.second.guid;
    let contact = json!({ "line": SECOND, "from": CONTACT });
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
        (
            Call::new(Method::PATCH, "/admin/v1/lines")
                .json(&json!({ "id": world.second.line_id, "loop_limit": "10/60" })),
            200,
            Refused(
                vec![
                    Call::new(Method::PATCH, "/admin/v1/lines")
                        .json(&json!({ "id": world.second.line_id, "loop_limit": "10" })),
                ],
                InvalidParameterValue,
                Some("loop_limit"),
            ),
        ),
        making(
            "/admin/v1/lines/standby",
            200,
            json!({ "id": world.stood_by, "bridge_id": world.spare }),
            json!({ "id": world.stood_by, "bridge_id": "acc_x" }),
            InvalidParameterValue,
            "bridge_id",
        ),
        making(
            "/admin/v1/lines/take-over",
            200,
            json!({ "id": world.stood_by, "force": true }),
            json!({ "id": world.stood_by }),
            InvalidParameterValue,
            "force",
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
        making(
            "/simulator/v1/messages/edit",
            200,
            json!({ "guid": guid, "text": "x" }),
            json!({ "guid": guid }),
            MissingRequiredParameter,
            "text",
        ),
        making(
            "/simulator/v1/messages/unsend",
            200,
            json!({ "message_id": world.first.message }),
            json!({ "message_id": "obx_x" }),
            InvalidParameterValue,
            "message_id",
        ),
        (
            Call::get(query("/simulator/v1/phones", &[("handle", CONTACT)])),
            200,
            Refused(
                vec![Call::get("/simulator/v1/phones?handle=msg_x")],
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
            "/simulator/v1/reactions",
            201,
            json!({ "line": SECOND, "from": CONTACT, "message_guid": guid, "type": "love" }),
            json!({ "line": SECOND, "from": CONTACT, "message_guid": guid, "type": "hate" }),
            InvalidParameterValue,
            "type",
        ),
        making(
            "/simulator/v1/typing",
            201,
            contact.clone(),
            json!({ "line": SECOND, "from": CONTACT, "state": "maybe" }),
            InvalidParameterValue,
            "state",
        ),
        making(
            "/simulator/v1/receipts",
            201,
            contact.clone(),
            json!({ "line": SECOND, "from": "cht_x" }),
            InvalidParameterValue,
            "from",
        ),
        making(
            "/simulator/v1/lines/capabilities",
            200,
            json!({ "line": SECOND, "advanced_features": true }),
            contact,
            MissingRequiredParameter,
            "advanced_features",
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

/// The bridges' rows.
pub(crate) fn bridges(world: &World) -> Vec<Row> {
    use Code::{FileNotFound, InvalidParameterValue, LineNotFound};
    const ONE_BRIDGE: &str = "a bridge belongs to no account";
    let file = |id: &str| Call::get(query("/bridge/v1/files", &[("id", id)]));
    let upload = |line: &str| {
        let path = query("/bridge/v1/files", &[("line_id", line)]);
        Call::new(http::Method::POST, &path).raw(Sample::png().bytes)
    };
    let known = |line: &str| {
        let body = json!({ "line_id": line, "guids": ["8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1"] });
        Call::new(http::Method::POST, "/bridge/v1/known").json(&body)
    };
    let row = |right, status, bad_input| Row {
        right,
        status,
        other_account: NotApplicable(ONE_BRIDGE),
        restricted: NotApplicable(NO_KEY),
        bad_input,
    };
    vec![
        row(
            Call::get("/bridge/v1/link")
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            101,
            Refused(vec![Call::get("/bridge/v1/link")], InvalidParameterValue, None),
        ),
        // Only what it is to send, and only to lines that it carries.
        row(
            file(&world.bridge_file),
            200,
            Refused(
                vec![file(&world.first.file), file(&world.theirs.file), file("file_x")],
                FileNotFound,
                Some("id"),
            ),
        ),
        row(
            upload(&world.bridge_line),
            201,
            Refused(
                vec![upload(&world.first.line_id), upload("ln_x")],
                LineNotFound,
                Some("line_id"),
            ),
        ),
        row(
            known(&world.bridge_line),
            200,
            Refused(
                vec![known(&world.first.line_id), known("ln_x")],
                LineNotFound,
                Some("line_id"),
            ),
        ),
    ]
}
