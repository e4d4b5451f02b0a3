//! What is made of one row.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use switchboard_model::{
    link::{CarriedLine, Inbound, InboundChat},
    reaction::ReactionType,
};
use tracing::warn;

use super::{
    BlueBubbles,
    api::ApiError,
    chats::Place,
    query::that,
    rows::{Meaning, emoji_in},
    wire::{Chat, Row},
};
use crate::{
    connector::Context,
    ledger::{LedgerError, Observation, OwnRow, Ownership},
};

/// Why something can't be read now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a row is, once it is settled.
pub(super) enum Reading {
    /// It says nothing, or not to the server.
    Pass,
    /// Nobody can say yet whose it is.
    NotYet,
    /// It is the echo of what was sent from here.
    Ours,
    /// It says this.
    Told(Box<(CarriedLine, Observation)>),
}

/// Where a row stands.
pub(super) struct Whereabouts<'a> {
    pub(super) line: CarriedLine,
    /// Whether the line's address is named. Otherwise it is the line's only if it was sent from here.
    is_its: bool,
    /// Whether it is older than the line.
    pub(super) is_history: bool,
    chat: &'a Chat,
    pub(super) place: Place,
}

impl BlueBubbles {
    /// Where a row stands; none if it is of no line of this bridge, or in no chat that can be told.
    pub(super) async fn whereabouts<'a>(
        &self,
        context: &Context,
        row: &'a Row,
    ) -> Result<Option<Whereabouts<'a>>, ReadError> {
        let Some(chat) = row.chat() else { return Ok(None) };
        let lines = Arc::clone(&context.lines.borrow());
        let sender = match row.is_own() {
            true => context.ledger.sent_by(row.guid.clone()).await?,
            false => None,
        };
        let by_sender = lines.iter().find(|line| Some(line.id) == sender).map(|line| (line, true));
        let found = match by_sender {
            Some(found) => Some(found),
            None => self.line_of(&lines, row, chat).await?,
        };
        let Some((line, is_its)) = found else { return Ok(None) };
        let began = context.beginnings().await?.of(line.id);
        // The line's own reactions of before have no guid by which the server would know them: the bridge before has told them.
        let is_told = began.was_given_after(row.created())
            && row.is_own()
            && matches!(row.meaning(), Meaning::Reaction { .. });
        let is_history = row.created() < began.at || is_told;
        let place = self.place(&context.ledger, line.id, chat).await?;
        if place.is_none() {
            warn!(
                "a message stands in what is neither a group nor a chat with one; it is passed over"
            );
        }
        Ok(place.map(|place| Whereabouts { line: line.clone(), is_its, is_history, chat, place }))
    }

    /// Reads a row that stands in a chat. One that has waited for long enough to be ours is the owner's: if it turns out to be
    /// ours after all, its guid says so to the server.
    pub(super) async fn read(
        &self,
        context: &Context,
        row: &Row,
        waited: Duration,
    ) -> Result<Reading, ReadError> {
        let may_wait = waited < self.pace().owned_within;
        let meaning = row.meaning();
        if meaning == Meaning::Other {
            return Ok(Reading::Pass);
        }
        if meaning == Meaning::GroupChange
            && let Some(chat) = row.chat()
        {
            self.chats.forget_group(&chat.guid);
        }
        let Some(Whereabouts { line, is_its, is_history, chat, place }) =
            self.whereabouts(context, row).await?
        else {
            return Ok(Reading::Pass);
        };
        if is_history {
            self.history.add();
            return Ok(Reading::Pass);
        }
        let Place { chat: known, identifier } = place;
        let told = match meaning {
            Meaning::GroupChange => matches!(known, InboundChat::Group { .. }).then(|| {
                Observation::new(super::rows::key(&row.guid), Inbound::Group { chat: known })
            }),
            Meaning::Reaction { named, added } => {
                let named = match named {
                    Some(named) => Some(named),
                    None => self.emoji_of(row).await?,
                };
                let reaction = named.and_then(|named| row.as_reaction(&line, known, named, added));
                let Some(reaction) = reaction else { return Ok(Reading::Pass) };
                if row.is_own() {
                    // It is the echo of what was given from here, or the owner's.
                    match context.ledger.whose_reaction(line.id, reaction.clone()).await? {
                        Ownership::Ours(_) => return Ok(Reading::Pass),
                        Ownership::NotYet if may_wait => return Ok(Reading::NotYet),
                        Ownership::Owners | Ownership::NotYet if !is_its => {
                            return Ok(Reading::Pass);
                        }
                        Ownership::Owners | Ownership::NotYet => {}
                    }
                }
                Some(Observation::new(super::rows::key(&row.guid), Inbound::Reaction(reaction)))
            }
            _ if row.is_own() => {
                let own = row.as_own_row(&line, identifier, chat);
                return Ok(match self.whose(context, own, chat).await? {
                    Ownership::Ours(_) => Reading::Ours,
                    Ownership::NotYet if may_wait => Reading::NotYet,
                    Ownership::Owners | Ownership::NotYet if !is_its => Reading::Pass,
                    Ownership::Owners | Ownership::NotYet => {
                        Reading::Told(Box::new((line, row.as_own(known, chat))))
                    }
                });
            }
            _ if row.comes_back(&line) => None,
            _ => row.as_message(known, chat),
        };
        Ok(told.map_or(Reading::Pass, |told| Reading::Told(Box::new((line, told)))))
    }

    /// Whose an own message is. One that another line has sent may have gone out by this line's address.
    async fn whose(
        &self,
        context: &Context,
        own: OwnRow,
        chat: &Chat,
    ) -> Result<Ownership, ReadError> {
        let others: Vec<_> = context.lines.borrow().iter().map(|line| line.id).collect();
        for line in others.into_iter().filter(|line| *line != own.line) {
            let Some(Place { identifier, .. }) = self.place(&context.ledger, line, chat).await?
            else {
                continue;
            };
            let its = OwnRow { line, identifier, ..own.clone() };
            match context.ledger.whose(its).await? {
                Ownership::Owners => {}
                whose => return Ok(whose),
            }
        }
        Ok(context.ledger.whose(own).await?)
    }

    /// The emoji of a reaction: the server does not tell it, but can say whether it is this one.
    async fn emoji_of(&self, row: &Row) -> Result<Option<ReactionType>, ReadError> {
        let candidates = emoji_in(row.text.as_deref().unwrap_or_default());
        for emoji in &candidates {
            let is_it = that(
                "message.ROWID = :row AND message.associated_message_emoji = :emoji",
                json!({"row": row.row, "emoji": emoji}),
            );
            match self.rows(&[is_it], false).await {
                Ok(found) if found.is_empty() => {}
                Ok(_) => return Ok(ReactionType::received(emoji)),
                // An older system has no such column.
                Err(ApiError::Refused(refused)) if refused.status == 500 => {
                    return Ok(ReactionType::received(emoji));
                }
                Err(error) => return Err(error.into()),
            }
        }
        warn!("a reaction with an emoji that can't be read is passed over");
        Ok(None)
    }
}
