//! The Mac that the server runs on, how long things take, and what goes wrong.

use std::time::Duration;

/// The Mac, its Messages and the settings of the server.
#[derive(Debug, Clone)]
pub struct Mac {
    /// macOS' version; decides what can be edited and how guids begin.
    pub os_version: String,
    /// What `server/info` says of the program.
    pub server_version: String,
    /// The private API is switched on in the settings.
    pub private_api: bool,
    /// At least one program is connected to the helper's port.
    pub helper_connected: bool,
    /// The program connected there is FaceTime's helper alone: `helper_connected` says true and
    /// no action of Messages is ever answered.
    pub only_facetime_helper: bool,
    /// The Apple ID, as `server/info` tells it.
    pub detected_icloud: Option<String>,
    /// The account of the newest chat, as `server/info` tells it. It need not be the line's.
    pub detected_imessage: Option<String>,
    /// The handle that Messages sends from.
    pub own_handle: String,
    /// How far the clock is off, in seconds; the original may not know.
    pub macos_time_sync: Option<f64>,
    /// The server may control Messages (Automation). Without it each osascript ends with -1743.
    pub automation_allowed: bool,
    /// Own messages are delivered as soon as they are sent.
    pub auto_deliver: bool,
}

impl Default for Mac {
    fn default() -> Self {
        Self {
            os_version: "15.5.0".to_owned(),
            server_version: "1.9.9".to_owned(),
            private_api: true,
            helper_connected: true,
            only_facetime_helper: false,
            detected_icloud: Some("bot@example.com".to_owned()),
            detected_imessage: Some("+15550999999".to_owned()),
            own_handle: "+15550999999".to_owned(),
            macos_time_sync: Some(0.012),
            automation_allowed: true,
            auto_deliver: false,
        }
    }
}

impl Mac {
    /// The first number of the version.
    pub fn major(&self) -> u32 {
        self.os_version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }

    /// How a chat's guid begins: macOS 26 knows no service there.
    pub fn guid_prefix<'a>(&self, service: &'a str) -> &'a str {
        if self.major() >= 26 { "any" } else { service }
    }
}

/// How long things take and how long the server waits.
#[derive(Debug, Clone)]
pub struct Timing {
    /// From a hand-over to Messages until its row is there. Original: some 100 ms.
    pub row: Duration,
    /// From a row, anybody's, until it stands in its chat. Original: some ms.
    pub join: Duration,
    /// How long the helper keeps the next action waiting. Original: 200 ms, so five actions a second
    /// for the whole server (`PrivateApiService.ts`).
    pub action_spacing: Duration,
    /// How long the server waits for the helper's answer. Original: 120 s.
    pub transaction: Duration,
    /// How long the server looks for a row whose guid it has. Original: 60 s.
    pub row_wait: Duration,
    /// How long an AppleScript text waits for its row. Original: 120 s (`messagePromise.ts`).
    pub text_match: Duration,
    /// How long a file waits for its row to be sent. Original: 20 min.
    pub file_match: Duration,
    /// How far back before the request a row may be created and still be taken for what was sent. Original: 10 s.
    pub match_window: Duration,
    /// How long an edit or unsending waits for the row to change. Original: 30 s (`resultAwaiter`).
    pub change_wait: Duration,
    /// How long AppleScript takes to fail. Original: some seconds; "timed out" after 120 s.
    pub osascript: Duration,
    /// The answer's limit. Original: 5 min; attachments have 30.
    pub answer: Duration,
    /// From a change of the database to the look at it. Original: 500 ms.
    pub debounce: Duration,
    /// How long a look at the database takes; see [`Faults::debounce_loses`]. Original: some 10 ms.
    pub poll: Duration,
    /// How long a webhook's cache knows a message. Original: 1 h (`pollers/index.ts`).
    pub cache: Duration,
    /// At most one typing event of a chat in this time. Original: 5 s.
    pub typing_repeat: Duration,
    /// How long a contact's phone shows typing that nobody stops. Original: about 60 s.
    pub typing_lapse: Duration,
}

impl Timing {
    /// As in the field.
    pub fn real() -> Self {
        let ms = Duration::from_millis;
        let s = Duration::from_secs;
        Self {
            row: ms(150),
            join: Duration::ZERO,
            action_spacing: ms(200),
            transaction: s(120),
            row_wait: s(60),
            text_match: s(120),
            file_match: s(20 * 60),
            match_window: s(10),
            change_wait: s(30),
            osascript: ms(400),
            answer: s(5 * 60),
            debounce: ms(500),
            poll: ms(20),
            cache: s(60 * 60),
            typing_repeat: s(5),
            typing_lapse: s(60),
        }
    }

    /// The same, this many times as fast; but a row may always be created up to 10 s before its request.
    pub fn faster(times: u32) -> Self {
        let real = Self::real();
        Self {
            row: real.row / times,
            join: real.join / times,
            action_spacing: real.action_spacing / times,
            transaction: real.transaction / times,
            row_wait: real.row_wait / times,
            text_match: real.text_match / times,
            file_match: real.file_match / times,
            match_window: real.match_window,
            change_wait: real.change_wait / times,
            osascript: real.osascript / times,
            answer: real.answer / times,
            debounce: real.debounce / times,
            poll: real.poll / times,
            cache: real.cache / times,
            typing_repeat: real.typing_repeat / times,
            typing_lapse: real.typing_lapse / times,
        }
    }
}

impl Default for Timing {
    /// A hundred times as fast: two minutes are 1.2 s. What tests don't wait for is long enough.
    fn default() -> Self {
        Self { answer: Duration::from_secs(300), ..Self::faster(100) }
    }
}

/// What goes wrong until it is switched off.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The watcher hears of no change any more, as after the WAL was replaced (`MultiFileWatcher` ignores
    /// renames; issues 758, 843): no webhook, and AppleScript sends find no row. The API says nothing of it.
    pub silent_watcher: bool,
    /// The WAL is not there when the server starts: the listener never begins (`IMessageListener`). Takes effect at
    /// [`Server::start_again`](super::Server::start_again).
    pub no_wal_at_start: bool,
    /// A change that comes while the server looks at the database is not looked at until the next one.
    pub debounce_loses: bool,
    /// Every webhook is lost on its way: the receiver never hears of it, and nobody tries again.
    pub webhooks_lost: bool,
    /// The next webhooks, this many, are lost on their way.
    pub lose_webhooks: usize,
    /// Every webhook comes twice.
    pub webhooks_twice: bool,
    /// Webhooks of one moment arrive in the reverse order.
    pub webhooks_reversed: bool,
    /// An edit or unsending is answered 200, but Messages does nothing (`resultAwaiter` takes a time-out for success).
    pub edits_ignored: bool,
    /// Each query of messages is 500, as while the database is locked.
    pub database_locked: bool,
    /// A reply (`selectedMessageGuid`) is accepted and never delivered, as on macOS 26.5 (issue 814).
    pub replies_stall: bool,
}

/// What goes wrong with one send. Each takes the oldest one that was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendFault {
    /// The helper refuses with this text; nothing is sent.
    HelperRefuses(String),
    /// The helper never answers: `Transaction timeout`.
    HelperSilent {
        /// Whether Messages sent it all the same.
        sent: bool,
    },
    /// The helper's answer has no identifier: `Failed to send message!`.
    NoIdentifier {
        /// Whether Messages sent it all the same.
        sent: bool,
    },
    /// The line to the helper broke before the action was written; nothing is sent.
    NotInvoked,
    /// The row never comes in time: `…not found in database after 60 seconds!` by the private API, a
    /// time-out with `data: null` by AppleScript.
    NoRow {
        /// Whether Messages sent it all the same; its row then comes when the answer has gone.
        sent: bool,
    },
    /// The row comes this much later than it should.
    RowLate(Duration),
    /// The row comes with this error; nothing is sent.
    RowFails(i64),
    /// The row comes as sent and turns to this error this much later; nobody is told.
    FailsLater {
        /// How much later.
        after: Duration,
        /// The row's error.
        error: i64,
    },
    /// It is sent, and the answer names another message: this one, or else the newest other own one.
    WrongGuid(Option<String>),
    /// osascript ends with this error; the answer has the whole script in it.
    Osascript {
        /// -1728 not found, -1700 bad constant, -1743 not authorised, …
        code: i64,
        /// Whether Messages sent it all the same.
        sent: bool,
    },
    /// AppleScript sends, fails with -1002, and BlueBubbles restarts Messages and sends the same again
    /// (`actions.ts`): the contact has it twice, the answer is a 200.
    SentTwice,
    /// AppleScript sends, fails, and BlueBubbles sends again by participant (1:1 only); the answer is a 200.
    SentTwiceByFallback,
}
