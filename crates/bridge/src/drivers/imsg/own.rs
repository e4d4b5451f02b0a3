//! Rows of the line's own: echoes of what was sent from here, or what the owner wrote or gave on another device.

use std::time::Duration;

use switchboard_model::link::{CarriedLine, Inbound, InboundChat};

use super::{
    Imsg,
    follow::follow_files,
    observe::{ReadError, Reading},
    reread::text_of,
    rpc::{Chat, Row},
};
use crate::{
    connector::Context,
    ledger::{Follow, Ownership, Recorded},
};

/// How long an own row waits for what is under way.
const OWNED_WITHIN: Duration = Duration::from_secs(60);

/// A row of the line's own.
pub(super) struct Own<'a> {
    pub(super) line: &'a CarriedLine,
    /// Whether it went out by the line's address. Another's is the line's only if it was sent from here.
    pub(super) is_its: bool,
    pub(super) row: &'a Row,
    pub(super) group: Option<String>,
    pub(super) of: Option<&'a Chat>,
    pub(super) waited: Duration,
}

impl Imsg {
    /// A message.
    pub(super) async fn read_own(
        &self,
        context: &Context,
        own: Own<'_>,
        recorded: &mut Recorded,
    ) -> Result<Reading, ReadError> {
        let Own { line, is_its, row, group, of, waited } = own;
        let chat = row.chat(group.clone());
        let identifier = match (&group, &chat) {
            (Some(group), _) => group.clone(),
            (None, InboundChat::Contact { handle }) => handle.to_string(),
            (None, InboundChat::Group { identifier, .. }) => identifier.clone(),
        };
        let whose = context.ledger.whose(row.as_own_row(line, identifier, of)).await?;
        if whose == Ownership::NotYet && waited < OWNED_WITHIN {
            return Ok(Reading::Hold);
        }
        if !is_its && !matches!(whose, Ownership::Ours(_)) {
            return Ok(Reading::Pass);
        }
        recorded.texts.extend(text_of(row, line, &chat));
        recorded.followed.push(Follow::new(row.guid.clone(), line.id, chat.clone()));
        Ok(match whose {
            Ownership::Ours(_) => Reading::Pass,
            // If it turns out to be ours after all, its guid says so to the server.
            Ownership::Owners | Ownership::NotYet => {
                recorded.followed.extend(follow_files(line, row, &chat));
                Reading::Told(Box::new((line.clone(), row.as_own(chat, of))))
            }
        })
    }

    /// A reaction.
    pub(super) async fn read_own_reaction(
        &self,
        context: &Context,
        own: Own<'_>,
    ) -> Result<Reading, ReadError> {
        let Own { line, is_its, row, group, waited, .. } = own;
        let Some(told) = row.as_reaction(line, row.chat(group)) else { return Ok(Reading::Pass) };
        Ok(match context.ledger.whose_reaction(line.id, told.clone()).await? {
            Ownership::NotYet if waited < OWNED_WITHIN => Reading::Hold,
            Ownership::Ours(_) => Reading::Pass,
            // The child gives no reaction so long a time: of an attempt that is still open nobody will say that it is done.
            Ownership::Owners | Ownership::NotYet if is_its => {
                let told = row.observation(Inbound::Reaction(told));
                Reading::Told(Box::new((line.clone(), told)))
            }
            Ownership::Owners | Ownership::NotYet => Reading::Pass,
        })
    }
}
