//! What is written of a line: by itself in GET /v1/lines, and by us in docs/.

use std::path::Path;

use switchboard_model::line::Capability::{self, *};

use super::{Desk, Mode, Seen, table::Can};

/// What a row of a page's table is about.
#[derive(Debug, Clone, Copy)]
enum About {
    Does(&'static [Capability]),
    Sees(&'static [Seen]),
    /// Texts, or what only a page knows.
    Always,
    Never,
}

use About::{Always, Does, Never, Sees};

const IMSG: &[(&str, About)] = &[
    ("texts and files, both ways", Does(&[Attachments])),
    ("first messages to new people", Does(&[NewChats])),
    ("messages to groups", Does(&[Groups])),
    ("reactions that others give", Sees(&[Seen::Reactions])),
    ("reactions that you give", Does(&[Reactions, EmojiReactions])),
    ("replies that point at a message: seen", Sees(&[Seen::Replies])),
    ("replies that point at a message: sent", Does(&[Replies])),
    ("typing, seen and shown", Does(&[Typing, TypingOff])),
    ("mark as read", Does(&[ReadReceipts])),
    ("voice memos, sent", Does(&[AudioMessages])),
    (
        "edits and messages taken back by others, also while the bridge was down",
        Sees(&[Seen::Edits, Seen::Unsends]),
    ),
    ("what the owner writes, and gives as a reaction, on another device", Sees(&[Seen::Own])),
    ("delivered and read, of what you sent", Does(&[DeliveryState])),
];

const BLUEBUBBLES: &[(&str, About)] = &[
    ("text to an existing chat with one contact", Always),
    ("text to a new contact", Does(&[NewChats])),
    ("text to a group", Does(&[Groups])),
    ("file", Does(&[Attachments])),
    ("text with files", Does(&[Attachments])),
    ("voice memo", Does(&[AudioMessages])),
    ("reply to a message", Does(&[Replies])),
    ("reaction, six kinds", Does(&[Reactions])),
    ("reaction with an emoji", Does(&[EmojiReactions])),
    ("typing", Does(&[Typing])),
    ("read receipt", Does(&[ReadReceipts])),
    (
        "messages, replies, files, reactions, changes of groups, edits, messages taken back: coming in",
        Sees(&[
            Seen::Replies,
            Seen::Files,
            Seen::Reactions,
            Seen::Groups,
            Seen::Edits,
            Seen::Unsends,
        ]),
    ),
    ("what the owner writes, and gives as a reaction, on another device", Sees(&[Seen::Own])),
    (
        "line of `--service imessage` or `sms`: only in chats of that kind, as far as the chat's name says it (macOS 11 to 15)",
        Always,
    ),
    (
        "delivered, read, failed later, sent as SMS after all",
        Sees(&[Seen::Delivered, Seen::Read, Seen::FailedLater]),
    ),
    ("typing, coming in", Sees(&[Seen::Typing])),
    ("files that the Mac has put away to iCloud", Does(&[Reactions])),
];

const ANDROID: &[(&str, About)] = &[
    ("texts, both ways", Always),
    ("first messages to new people", Does(&[NewChats])),
    ("delivered", Sees(&[Seen::Delivered])),
    ("pictures that come in (MMS)", Sees(&[Seen::Files])),
    ("pictures sent (MMS)", Does(&[Attachments])),
    ("two SIM cards", Always),
    ("reactions, replies, typing, read receipts, edits, voice memos, groups", Never),
];

/// What android's last row says that none of can be done.
const NOT_BY_SMS: [Capability; 7] =
    [Reactions, Replies, Typing, ReadReceipts, Edit, AudioMessages, Groups];

pub(super) async fn a_line_can_do_what_is_written_of_it(mode: Mode) {
    let desk = Desk::open(mode).await;
    let line = desk.client().lines().await.unwrap().value.data.remove(0);
    assert_eq!(line.capabilities, desk.can.does);
    assert_eq!(line.advanced_features, Capability::are_advanced(desk.can.does));
    assert!(line.status.online && line.is_active);
    let operators = desk.rig.server.admin().lines().await.unwrap().value.data.remove(0);
    assert_eq!(operators.line.capabilities, desk.can.does);
    let is_written = |rows, page, column, macos_26| {
        the_page_says(&desk.can, rows, page, column, macos_26);
    };
    match mode {
        // It has no page: it can do everything, or what is left without the advanced features.
        Mode::Simulator => assert_eq!(line.capabilities, Capability::ALL),
        Mode::SimulatorPlain => assert!(!line.advanced_features),
        Mode::ImsgWithoutHelper => is_written(IMSG, "imsg.md", 1, false),
        Mode::Imsg => is_written(IMSG, "imsg.md", 2, false),
        Mode::ImsgMacos26 => is_written(IMSG, "imsg.md", 2, true),
        Mode::BluebubblesScripts => is_written(BLUEBUBBLES, "bluebubbles.md", 1, false),
        Mode::BluebubblesScriptsMacos26 => is_written(BLUEBUBBLES, "bluebubbles.md", 1, true),
        Mode::Bluebubbles => is_written(BLUEBUBBLES, "bluebubbles.md", 2, false),
        Mode::AndroidSms => {
            is_written(ANDROID, "android-sms.md", 1, false);
            assert!(NOT_BY_SMS.iter().all(|what| !desk.can.does(*what)));
        }
    }
    desk.close().await;
}

/// That a page's table "What works" has exactly these rows, and says in this column what the line can do.
fn the_page_says(can: &Can, rows: &[(&str, About)], page: &str, column: usize, macos_26: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.split("## What works").nth(1).unwrap().trim_start();
    let written: Vec<Vec<&str>> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let names: Vec<_> = written.iter().map(|row| row[0]).collect();
    assert_eq!(names, rows.iter().map(|row| row.0).collect::<Vec<_>>(), "the rows of {page}");
    for (cells, (name, about)) in written.iter().zip(rows) {
        let cell = cells[column];
        let not_here =
            macos_26 && (cell.contains("not on macOS 26") || cell.contains("macOS 11 to 15"));
        let works = !(cell.starts_with("no") || cell == "as a plain message" || not_here);
        let does = match about {
            Does(what) => what.iter().all(|one| can.does(*one)),
            Sees(what) => what.iter().all(|one| can.sees(*one)),
            Always => true,
            Never => false,
        };
        assert_eq!(works, does, "{page}, {name}: {cell}");
    }
}
