//! The tables of `/admin/v1`: what the operator sees.

use super::{
    Kind,
    Kind::{Bool, Id, Millis, Names, Number, OneOf, Text},
    Shape, always, extended, never, nullable, shape,
    table::{LINE, LINE_IDS},
};

const SCOPES: Kind = Names(&[
    "messages:read",
    "messages:write",
    "chats:read",
    "lines:read",
    "outbox:read",
    "reactions:read",
    "reactions:write",
    "typing:read",
    "typing:write",
    "receipts:read",
    "receipts:write",
    "webhooks:read",
    "webhooks:write",
    "files:read",
    "files:write",
]);
const DRIVER: Kind = OneOf(&["simulator", "imsg", "bluebubbles"]);

/// Account, as the operator sees it.
pub static ACCOUNT: Shape = shape(
    "account",
    &[always("id", Id("acc_")), always("name", Text), always("created_at", Millis)],
);

/// Line, as the operator sees it.
pub static OPERATOR_LINE: Shape = extended(
    "line",
    &LINE,
    &[
        always("account_id", Id("acc_")),
        always("driver", DRIVER),
        nullable("bridge_id", Id("brg_")),
        always("contact_first", Bool),
    ],
);

/// What every answer says of a key.
static ANY_KEY: Shape = shape(
    "key",
    &[
        always("id", Id("key_")),
        nullable("account_id", Id("acc_")),
        always("name", Text),
        always("hint", Text),
        always("scopes", SCOPES),
        nullable("line_ids", LINE_IDS),
        nullable("rate_limit", Number),
        nullable("expires_at", Millis),
        nullable("revoked_at", Millis),
        always("created_at", Millis),
    ],
);

/// Key, in a list: without its secret.
pub static KEY: Shape = extended("key", &ANY_KEY, &[never("key")]);

/// Key, in the answer to its revocation: with what it has made.
pub static REVOKED_KEY: Shape = extended(
    "key",
    &ANY_KEY,
    &[never("key"), always("active_webhooks", Number), always("disabled_webhooks", Number)],
);

/// Key, in the answer to its creation.
pub static CREATED_KEY: Shape = extended("key", &ANY_KEY, &[always("key", Text)]);

/// What every answer says of a bridge.
static ANY_BRIDGE: Shape = shape(
    "bridge",
    &[
        always("id", Id("brg_")),
        always("name", Text),
        always("driver", DRIVER),
        nullable("last_seen_at", Millis),
        nullable("revoked_at", Millis),
        always("created_at", Millis),
    ],
);

/// Bridge, in a list: without its token.
pub static BRIDGE: Shape = extended("bridge", &ANY_BRIDGE, &[never("token")]);

/// Bridge, in the answer to its creation.
pub static CREATED_BRIDGE: Shape = extended("bridge", &ANY_BRIDGE, &[always("token", Text)]);
