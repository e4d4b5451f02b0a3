//! What came of a request, as far as it can be known.
//!
//! An answer that does not say so for certain is not believed: Messages is asked for the one message that it can be, and
//! if there is none, or several, nobody knows.

use switchboard_model::{Line, causes::chain, chat::Service, id::Id, link::Outcome};
use tokio::time::sleep;
use tracing::warn;

use super::{
    BlueBubbles,
    api::ApiError,
    chats::Target,
    outcome::{self, Certainty, Method, certainty},
    rows,
    send::{Way, failed, sent_as},
    verify::Found,
    wire::{Row, service_of},
};
use crate::ledger::{Begun, Ledger};

/// A script's error that says that it may not control Messages.
const NOT_ALLOWED: i64 = -1743;
/// Errors of scripts that say that nothing was sent, if it was tried once.
const NOTHING_SENT: [i64; 3] = [-1728, -1700, NOT_ALLOWED];

impl BlueBubbles {
    /// What came of a request, by its answer and by what Messages has.
    pub(super) async fn judge(
        &self,
        way: &Way<'_>,
        target: &Target,
        chat: Option<&str>,
        answer: Result<Row, ApiError>,
        search: Begun,
    ) -> Outcome {
        let ledger = way.ledger;
        let error = match answer {
            Ok(row) => {
                // The helper names the message that it has made; the rest of the server guesses which it is.
                let is_named = way.method == Method::PrivateApi;
                if self.is_it(&search, ledger, &row, is_named).await {
                    return self.outcome_of(ledger, &search, &row, target).await;
                }
                warn!(item = %search.item.id, "BlueBubbles answers with another message than was sent");
                return self.look_for(way, target, &search, false).await;
            }
            Err(error) => error,
        };
        let certain = certainty(&error, way.method);
        // Its name alone: a script's error has the message in it.
        warn!(item = %search.item.id, %error, "BlueBubbles did not send");
        match certain {
            Certainty::NotStarted => {
                self.lost(&error);
                Outcome::Released
            }
            Certainty::NoHelper => {
                self.lost_helper();
                Outcome::Released
            }
            Certainty::Refused(why) => {
                if let Some(chat) = chat {
                    self.chats.forget_guid(chat);
                }
                failed(why)
            }
            Certainty::RowFailed { guid, error } => {
                if let Some(guid) = guid {
                    self.disown(ledger, search.item.line_id, &guid).await;
                }
                Outcome::Failed { error: outcome::of_row(error) }
            }
            Certainty::RowFailedSomewhere => self.look_for(way, target, &search, true).await,
            Certainty::Script(code) => self.after_script(way, target, &search, code).await,
            Certainty::HelperSilent => {
                self.lost_helper();
                self.look_for(way, target, &search, false).await
            }
            Certainty::Unknown => {
                self.look.notify_one();
                self.look_for(way, target, &search, false).await
            }
        }
    }

    /// A script ended with an error. The server tries several ways, so the error of the last says nothing of the
    /// others.
    async fn after_script(
        &self,
        way: &Way<'_>,
        target: &Target,
        search: &Begun,
        code: Option<i64>,
    ) -> Outcome {
        if code == Some(NOT_ALLOWED) {
            self.trouble(|troubles| troubles.no_permission = true);
        }
        let nothing_sent = code.is_some_and(|code| NOTHING_SENT.contains(&code));
        if nothing_sent && search.item.is_group {
            return failed("Messages on the Mac refuses the script, so nothing was sent.");
        }
        sleep(self.pace().after_script).await;
        match self.find(search, way.ledger, &way.used).await {
            Ok(Found { alike, others: 0 }) if alike.is_empty() => {
                failed("Messages on the Mac refuses the script, and shows nothing that was sent.")
            }
            Ok(found) => self.of_found(way, target, search, &found.alike, false).await,
            Err(_) => Outcome::Unknown,
        }
    }

    /// Looks for the one message that it can be.
    async fn look_for(
        &self,
        way: &Way<'_>,
        target: &Target,
        search: &Begun,
        has_failed: bool,
    ) -> Outcome {
        match self.find(search, way.ledger, &way.used).await {
            Ok(found) => self.of_found(way, target, search, &found.alike, has_failed).await,
            Err(_) => Outcome::Unknown,
        }
    }

    async fn of_found(
        &self,
        way: &Way<'_>,
        target: &Target,
        search: &Begun,
        alike: &[Row],
        has_failed: bool,
    ) -> Outcome {
        let mut fits = alike.iter().filter(|row| !has_failed || row.failure().is_some());
        match (fits.next(), fits.next()) {
            (Some(row), None) => self.outcome_of(way.ledger, search, row, target).await,
            _ => Outcome::Unknown,
        }
    }

    async fn outcome_of(
        &self,
        ledger: &Ledger,
        search: &Begun,
        row: &Row,
        target: &Target,
    ) -> Outcome {
        if let Some(error) = row.failure() {
            self.disown(ledger, search.item.line_id, &row.guid).await;
            return Outcome::Failed { error: outcome::of_row(error) };
        }
        let known = match target {
            Target::Chat { service, .. } => *service,
            Target::NewContact(_) => None,
        };
        let of_row = || row.chat().map(|chat| service_of(row, chat));
        let service: Option<Service> = known.or_else(of_row);
        sent_as(row, service.unwrap_or_default())
    }

    /// A row of Messages that is no message of its own to the server.
    pub(super) async fn disown(&self, ledger: &Ledger, line: Id<Line>, guid: &str) {
        if let Err(error) = ledger.pass_over(vec![(line, rows::key(guid))], None).await {
            warn!(%line, error = chain(&error), "a part of an item may be told as a message of its own");
        }
    }
}
