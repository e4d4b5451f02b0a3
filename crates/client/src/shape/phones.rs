//! The tables of `/simulator/v1`: what virtual phones show.

use super::{
    Kind::{Bool, Id, List, Millis, Number, Object, OneOf, Text},
    Shape, always, extended, nullable, shape,
    table::TEXTS,
};

/// What became of a contact's text, or of its edit.
pub static SIMULATED_TEXT: Shape = shape(
    "simulated text",
    &[
        always("guid", Text),
        // Null while the line's bridge is away.
        nullable("chat_id", Id("cht_")),
        nullable("message_id", Id("msg_")),
    ],
);

/// What a contact's phone shows.
pub static PHONE: Shape = shape(
    "phone",
    &[
        always("messages", List(&Object(&PHONE_MESSAGE))),
        always("reactions", List(&Object(&MESSAGE_REACTION))),
        always("changes", List(&Object(&PHONE_CHANGE))),
        always("typing", TEXTS),
        always("read", List(&Object(&PHONE_READ))),
    ],
);

/// A message on a contact's phone.
pub static PHONE_MESSAGE: Shape = shape(
    "phone message",
    &[
        always("guid", Text),
        always("line", Text),
        always("from", Text),
        nullable("text", Text),
        nullable("reply_to_guid", Text),
        always("received_at", Millis),
        always("attachments", List(&Object(&PHONE_FILE))),
        always("is_audio_message", Bool),
        always("reactions", List(&Object(&PHONE_REACTION))),
        nullable("edited_at", Millis),
        nullable("unsent_at", Millis),
    ],
);

/// A message that is not as it was sent.
pub static PHONE_CHANGE: Shape = shape(
    "phone change",
    &[
        always("message_guid", Text),
        nullable("text", Text),
        nullable("edited_at", Millis),
        nullable("unsent_at", Millis),
    ],
);

/// A file on a contact's phone.
pub static PHONE_FILE: Shape = shape(
    "phone file",
    &[
        nullable("filename", Text),
        always("mime_type", Text),
        always("size", Number),
        always("sha256", Text),
    ],
);

/// A reaction on a contact's phone.
pub static PHONE_REACTION: Shape =
    shape("phone reaction", &[always("type", Text), always("from", Text)]);

/// A reaction on a contact's phone, and to which message.
pub static MESSAGE_REACTION: Shape =
    extended("phone reaction", &PHONE_REACTION, &[always("message_guid", Text)]);

/// A line has read a chat with this contact.
pub static PHONE_READ: Shape =
    shape("phone read", &[always("line", Text), always("read_at", Millis)]);

/// A group that was made.
pub static SIMULATED_GROUP: Shape = shape("group", &[always("chat_id", Id("cht_"))]);

/// What goes wrong on a line.
pub static FAULT: Shape = shape(
    "fault",
    &[
        always("line", Text),
        always("mode", OneOf(&["none", "offline", "reject", "slow", "lose_report"])),
        nullable("ms", Number),
        nullable("count", Number),
    ],
);

/// A contact has reacted.
pub static SIMULATED_REACTION: Shape = shape(
    "simulated reaction",
    // Null while the line's bridge is away.
    &[nullable("message_id", Id("msg_"))],
);

/// A contact types, or stopped.
pub static SIMULATED_TYPING: Shape = shape("simulated typing", &[always("is_typing", Bool)]);

/// A contact has read.
pub static SIMULATED_READ: Shape = shape("simulated read", &[always("read", Bool)]);

/// What a line can do from now on.
pub static LINE_CAPABILITIES: Shape =
    shape("line capabilities", &[always("line", Text), always("advanced_features", Bool)]);
