//! What goes out and is no message: reactions, typing, receipts. All of it by the helper.

use serde_json::{Value, json};
use switchboard_model::{
    link::{Content, Outcome},
    reaction::ReactionType,
};
use tracing::warn;

use super::{
    BlueBubbles, SMALL_TIMEOUT, TEXT_TIMEOUT,
    outcome::{Certainty, Method, certainty},
    send::failed,
};
use crate::{
    connector::Attempt,
    ledger::{Begun, now},
};

/// How late what is of the moment may be.
const OF_THE_MOMENT: std::time::Duration = std::time::Duration::from_secs(2);

impl BlueBubbles {
    /// Does what is no message.
    pub(super) async fn do_small(&self, attempt: &Attempt, chat: &str, what: &Content) -> Outcome {
        let answer = match what {
            Content::Reaction { message_guid, reaction_type, remove } => {
                if let ReactionType::Emoji(_) = reaction_type {
                    return failed(
                        "BlueBubbles reacts with the six kinds only, not with an emoji.",
                    );
                }
                let minus = if *remove { "-" } else { "" };
                let body = json!({
                    "chatGuid": chat, "selectedMessageGuid": message_guid, "partIndex": 0,
                    "reaction": format!("{minus}{}", reaction_type.as_str()),
                });
                self.api.send::<Value>(&["message", "react"], &body, TEXT_TIMEOUT).await
            }
            Content::Typing { on: false } => {
                return failed("BlueBubbles can't end a typing indicator: it ends by itself.");
            }
            Content::Typing { .. } | Content::Read => {
                if !self.pacer.turn(Some(OF_THE_MOMENT)).await {
                    return failed("BlueBubbles is too busy for what is of the moment.");
                }
                let deed = if *what == Content::Read { "read" } else { "typing" };
                let path = ["chat", chat, deed];
                self.api
                    .send::<Option<Value>>(&path, &json!({}), SMALL_TIMEOUT)
                    .await
                    .map(|_| Value::Null)
            }
            Content::Message { .. } => return failed("It is a message."),
        };
        let error = match answer {
            Ok(_) => return Outcome::Done { at: now() },
            Err(error) => error,
        };
        warn!(item = %attempt.item.id, %error, "BlueBubbles did not do it");
        match certainty(&error, Method::PrivateApi) {
            Certainty::NotStarted => {
                self.lost(&error);
                Outcome::Released
            }
            Certainty::NoHelper => {
                self.lost_helper();
                failed("This needs BlueBubbles' helper in Messages, which is not there.")
            }
            Certainty::Refused(why) => failed(why),
            certain => {
                if certain == Certainty::HelperSilent {
                    self.lost_helper();
                }
                match what {
                    Content::Reaction { .. } => {
                        let begun = Begun {
                            item: attempt.item.clone(),
                            token: attempt.token,
                            begun_at: attempt.begun_at,
                            mark: attempt.mark.clone(),
                            guid: None,
                        };
                        self.find_reaction(&begun).await.unwrap_or(Outcome::Unknown)
                    }
                    // It is of the moment, and not worth asking for.
                    _ => failed("Messages did not say that it did it."),
                }
            }
        }
    }
}
