//! What an answer to a send means. No I/O.
//!
//! Only what the server certainly never handed to Messages is called not begun or refused. Texts of the server are
//! compared with those that its source has, and go no further: the text of a message may stand in them.

use serde::Deserialize;

use super::api::{ApiError, Refused};

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// By Apple's own scripts.
    AppleScript,
    /// By the helper within Messages.
    PrivateApi,
}

impl Method {
    /// The server's name for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AppleScript => "apple-script",
            Self::PrivateApi => "private-api",
        }
    }
}

/// What is certain after a send that was not answered well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Nothing was begun: the server can't be reached, or wants another password.
    NotStarted,
    /// Nothing was begun: the helper is not there.
    NoHelper,
    /// Refused: certainly not sent.
    Refused(&'static str),
    /// Messages has it, and could not deliver it.
    RowFailed {
        /// Which row, if that is told.
        guid: Option<String>,
        /// Messages' own number.
        error: i64,
    },
    /// Messages has it and could not deliver it, and the server has thrown away which row it is.
    RowFailedSomewhere,
    /// The script ended with an error, after one try or several.
    Script(Option<i64>),
    /// The helper did not answer: it may be gone, and may have sent it.
    HelperSilent,
    /// Nobody knows.
    Unknown,
}

#[derive(Deserialize)]
struct FailedRow {
    #[serde(default)]
    guid: Option<String>,
    #[serde(default)]
    error: i64,
}

/// What is certain.
pub(super) fn certainty(error: &ApiError, method: Method) -> Certainty {
    let refused = match error {
        ApiError::Unreachable => return Certainty::NotStarted,
        ApiError::Broken | ApiError::Unreadable | ApiError::NotTheServer(_) => {
            return Certainty::Unknown;
        }
        ApiError::Refused(refused) => refused,
    };
    match refused.status {
        // A proxy may repeat a request: then the first is under way.
        400 if refused.text.contains("already queued") => Certainty::Unknown,
        400 if refused.message.contains("already queued") => Certainty::Unknown,
        400 => Certainty::Refused("BlueBubbles refuses the request, so nothing was sent."),
        401 => Certainty::NotStarted,
        404 => Certainty::Refused("BlueBubbles does not know the chat, so nothing was sent."),
        500 if refused.kind == "iMessage Error" => said(refused, method),
        _ => Certainty::Unknown,
    }
}

fn said(refused: &Refused, method: Method) -> Certainty {
    let text = refused.text.trim();
    if text == "iMessage Private API is not enabled!"
        || text == "iMessage Private API Helper is not connected!"
        || text.starts_with("Failed to invoke Private API")
    {
        return Certainty::NoHelper;
    }
    if text == "Transaction timeout" {
        return Certainty::HelperSilent;
    }
    if text.contains("See attached message") {
        let row: Option<FailedRow> = serde_json::from_value(refused.data.clone()).ok();
        return match row {
            Some(FailedRow { guid, error }) if error != 0 => Certainty::RowFailed { guid, error },
            _ if text.contains("sent with an error") => Certainty::RowFailedSomewhere,
            _ => Certainty::Unknown,
        };
    }
    if text.starts_with("Failed to send message!") || text.starts_with("Failed to send attachment!")
    {
        return Certainty::Unknown;
    }
    match method {
        Method::PrivateApi if text.is_empty() => Certainty::Unknown,
        Method::PrivateApi if text.contains("Chat does not exist") => {
            Certainty::Refused("Messages on the Mac has no such chat, so nothing was sent.")
        }
        Method::PrivateApi => {
            Certainty::Refused("BlueBubbles' helper in Messages refuses it, so nothing was sent.")
        }
        Method::AppleScript => Certainty::Script(script_code(text)),
    }
}

/// The number of a script's error: it stands in brackets at the end of a line.
fn script_code(text: &str) -> Option<i64> {
    text.match_indices("(-")
        .filter_map(|(at, _)| {
            let rest = &text[at + 1..];
            rest[..rest.find(')')?].parse::<i64>().ok().filter(|code| (-99_999..-99).contains(code))
        })
        .last()
}

/// For the owner of the line.
pub(super) fn of_row(error: i64) -> String {
    let why = match error {
        22 => " The other party may not be on iMessage.",
        3 => " The Mac has no network.",
        4 => " It took too long.",
        _ => "",
    };
    format!("Messages could not deliver it (error {error}).{why}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, kind: &str, text: &str, data: Value) -> ApiError {
        ApiError::Refused(Refused {
            status,
            kind: kind.to_owned(),
            message: "Message Send Error".to_owned(),
            text: text.to_owned(),
            data,
        })
    }

    fn imessage(text: &str) -> ApiError {
        answer(500, "iMessage Error", text, Value::Null)
    }

    #[test]
    fn each_row_of_the_table_of_errors_is_what_it_is() {
        use Certainty::{HelperSilent, NoHelper, NotStarted, RowFailedSomewhere, Script, Unknown};
        use Method::{AppleScript, PrivateApi};
        let not_found = "Failed to send message! Message not found in database after 60 seconds!";
        let see = "Failed to send message! See attached message error code.";
        for (error, method, certain) in [
            (ApiError::Unreachable, PrivateApi, NotStarted),
            (ApiError::Broken, PrivateApi, Unknown),
            (ApiError::Unreadable, PrivateApi, Unknown),
            (imessage("iMessage Private API is not enabled!"), PrivateApi, NoHelper),
            (imessage("iMessage Private API Helper is not connected!"), PrivateApi, NoHelper),
            (imessage("Failed to invoke Private API! Error: x"), PrivateApi, NoHelper),
            (imessage("Failed to send message!"), PrivateApi, Unknown),
            (imessage("Transaction timeout"), PrivateApi, HelperSilent),
            (imessage(not_found), PrivateApi, Unknown),
            (imessage(see), AppleScript, Unknown),
            (
                imessage("[500] Message sent with an error. See attached message"),
                PrivateApi,
                RowFailedSomewhere,
            ),
            (
                imessage("execution error: Messages got an error: Can’t get chat id. (-1728)\n"),
                AppleScript,
                Script(Some(-1728)),
            ),
            (imessage("tell application \"Messages\""), AppleScript, Script(None)),
            (answer(504, "Gateway Timeout", "", Value::Null), PrivateApi, Unknown),
            (ApiError::NotTheServer(400), PrivateApi, Unknown),
            (ApiError::NotTheServer(401), AppleScript, Unknown),
            (ApiError::NotTheServer(404), PrivateApi, Unknown),
            (ApiError::NotTheServer(502), PrivateApi, Unknown),
            (answer(500, "Server Error", "x is undefined", Value::Null), PrivateApi, Unknown),
            (answer(401, "Authentication Error", "", Value::Null), PrivateApi, NotStarted),
        ] {
            assert_eq!(certainty(&error, method), certain);
        }
        let failed = answer(500, "iMessage Error", see, json!({"guid": "g", "error": 22}));
        let row = Certainty::RowFailed { guid: Some("g".to_owned()), error: 22 };
        assert_eq!(certainty(&failed, AppleScript), row);
        for error in [
            imessage("Chat does not exist!"),
            imessage("something that the helper says"),
            answer(400, "Validation Error", "", Value::Null),
            answer(404, "Database Error", "", Value::Null),
        ] {
            assert!(matches!(certainty(&error, PrivateApi), Certainty::Refused(_)));
        }
        let queued =
            answer(400, "Validation Error", "Message is already queued to be sent!", Value::Null);
        assert_eq!(certainty(&queued, PrivateApi), Unknown);
    }

    #[test]
    fn the_number_of_a_script_is_the_last_one_in_brackets() {
        assert_eq!(script_code("send \"call (-5)\" to x\n error: (-1743)"), Some(-1743));
        assert_eq!(script_code("(-) (-x) (-7)"), None);
    }
}
