//! What came of items: outbox, message, chat, event and deliveries, together or not at all.
//!
//! All reports of a call are one transaction of a fixed number of statements: what they are about is read at once, it is
//! decided report by report in memory, and what has changed is written at once. Only reactions, indicators, receipts and
//! what was given up before take statements of their own.

use std::collections::HashMap;

use switchboard_model::{
    EventKind, Line, Message, OutboxItem, Timestamp,
    chat::Service,
    event::MessageEvent,
    id::Id,
    link::{Content, Outcome},
    outbox::{
        ATTEMPTS_USED_UP, IDENTITY_OF_ANOTHER, MAX_ATTEMPTS, MAY_HAVE_BEEN_HANDED_OVER,
        NO_LONGER_PAIRED, OutboxStatus,
    },
};

use super::batch::{self, Batch, Held};
use crate::{
    Committed, Link, Result, SettleReport,
    base::context::CachedLine,
    postgres::{
        bridges, context,
        engine::{
            columns::{Bits, bits_of},
            connection::Sql,
            statement,
            transaction::Tx,
        },
        events::{self, EventContext},
        files,
        messages::{self, bounded_guid},
        reactions::{
            self, Occurrence,
            twice::{self, Said},
        },
        receipts, sandbox, typing,
    },
};

pub(super) async fn settle(
    tx: &Tx,
    link: Link,
    reports: Vec<SettleReport>,
    now: Timestamp,
) -> Result<Committed> {
    let mut settling = Settling::begin(tx, link, &reports, now).await?;
    for SettleReport { id, outcome, counts_as_attempt } in reports {
        let Some(mut held) = settling.items.remove(&id) else { continue };
        let item = &held.item;
        if item.status == OutboxStatus::Claimed && held.bridge == Some(link.bridge) {
            settling.came(&mut held, outcome, counts_as_attempt).await?;
        } else {
            // Its lease may have run out: then it was given up, and this is the truth.
            settling.turned_out(&mut held, outcome).await?;
        }
        settling.items.insert(id, held);
    }
    settling.batch.end().await
}

/// What a bridge reports.
pub(super) struct Settling<'t> {
    pub(super) batch: Batch<'t>,
    pub(super) link: Link,
    pub(super) items: HashMap<Id<OutboxItem>, Held>,
    /// The messages with the guids that are reported: of one that is kept now, only that there is one.
    known: HashMap<(Id<Line>, String), Option<Message>>,
    /// Whether any indicator may stand on.
    anybody_types: bool,
}

/// What the driver says of a message that it has sent.
pub(super) struct SentAs {
    pub(super) guid: String,
    pub(super) sent_at: Timestamp,
    pub(super) service: Service,
    pub(super) delivered_at: Option<Timestamp>,
}

impl<'t> Settling<'t> {
    /// Locks and reads all that the reports are about. Refuses a link that is not its bridge's newest.
    pub(super) async fn begin(
        tx: &'t Tx,
        link: Link,
        reports: &[SettleReport],
        now: Timestamp,
    ) -> Result<Self> {
        let ids: Vec<_> = reports.iter().map(|report| report.id).collect();
        let line_of = lines_of(&tx.sql, &ids).await?;
        let lines: Vec<_> = line_of.values().copied().collect();
        tx.lock_lines(&lines).await?;
        let guids = reports.iter().filter_map(|report| match &report.outcome {
            Outcome::Sent { guid, .. } if !guid.trim().is_empty() => {
                Some((*line_of.get(&report.id)?, bounded_guid(guid.clone())))
            }
            _ => None,
        });
        let guids: Vec<_> = guids.collect();
        let ((), items, batch, known, anybody_types, ()) = tokio::try_join!(
            bridges::must_be_newest(&tx.sql, link),
            batch::hold(&tx.sql, &ids),
            Batch::of(tx, lines, now),
            messages::of_guids(&tx.sql, &guids),
            context::anybody_types(&tx.sql),
            tx.expect_places(),
        )?;
        Ok(Self {
            batch,
            link,
            items: items.into_iter().map(|held| (held.item.id, held)).collect(),
            known: known
                .into_iter()
                .map(|message| ((message.line_id, message.guid.clone()), Some(message)))
                .collect(),
            anybody_types,
        })
    }

    /// This came of an item that the bridge has claimed.
    async fn came(&mut self, held: &mut Held, outcome: Outcome, counts: bool) -> Result<()> {
        let taken = held.item.taken();
        match outcome {
            Outcome::Sent { guid, sent_at, service, delivered_at } => {
                self.sent(held, SentAs { guid, sent_at, service, delivered_at }).await
            }
            Outcome::Done { at } => self.done(held, at).await,
            Outcome::Failed { error } => self.batch.fail(held, taken, &error).await,
            Outcome::Unknown => self.batch.fail(held, taken, MAY_HAVE_BEEN_HANDED_OVER).await,
            Outcome::Released => self.release(held, counts).await,
        }
    }

    /// Gives the item back: it is claimed again, before all that was accepted after it.
    /// The last attempt is not given back but fails; so does what was for a phone of the sandbox that
    /// is paired no longer.
    async fn release(&mut self, held: &mut Held, counts_as_attempt: bool) -> Result<()> {
        let item = &held.item;
        let attempts = item.attempts + u32::from(counts_as_attempt);
        if attempts >= MAX_ATTEMPTS {
            return self.batch.fail(held, attempts, ATTEMPTS_USED_UP).await;
        }
        if self.batch.line_of(item)?.is_sandbox {
            let sql = &self.batch.tx.sql;
            if !sandbox::is_paired(sql, item.account_id, item.chat_id).await? {
                return self.batch.fail(held, attempts, NO_LONGER_PAIRED).await;
            }
        }
        self.batch.give_back(held, attempts)
    }

    pub(super) async fn sent(&mut self, held: &mut Held, sent_as: SentAs) -> Result<()> {
        if !matches!(held.item.content, Content::Message { .. }) {
            // Called a message by mistake: it was done all the same.
            return self.done(held, sent_as.sent_at).await;
        }
        if sent_as.guid.trim().is_empty() {
            // An identity that is none's: the second message without one would be the first.
            return self.done(held, sent_as.sent_at).await;
        }
        let line = self.batch.line_of(&held.item)?;
        let guid = bounded_guid(sent_as.guid);
        let sent_as = SentAs { guid, ..sent_as };
        let key = (line.id, sent_as.guid.clone());
        let (message, is_new) = match self.known.get_mut(&key) {
            None => (self.new_message(held, &line, sent_as).await?, true),
            // The line's history told of it first: the same message, not a second one. Unless it is somebody else's,
            // or was sent from another item: a bridge can't make one message of another.
            Some(known) => match linked(known.as_mut(), held, &line, &sent_as) {
                Some(linked) => {
                    self.batch.changes.linked(&linked, held.item.id);
                    if !held.item.was_given_up() {
                        // It has its own files.
                        self.batch.changes.leave(&held.item.content);
                    }
                    (linked, false)
                }
                None => {
                    let id = held.item.id;
                    tracing::warn!(item = %id, "a bridge reports an item as a message that is another");
                    let taken = held.item.taken();
                    return self.batch.fail(held, taken, IDENTITY_OF_ANOTHER).await;
                }
            },
        };
        self.batch.mark_sent(held, Some(message.id))?;
        let account_id = held.item.account_id;
        let place = EventContext { line: &line, account_id, chat_id: message.chat_id };
        self.wrote(&place).await?;
        let data = MessageEvent { message, line_handle: line.handle.clone() };
        let event = place.event(EventKind::MessageSent, &data);
        let Batch { tx, now, committed, changes, .. } = &mut self.batch;
        events::publish(tx, event, *now, committed).await?;
        if is_new {
            committed.tally.sent(line.id, held.item.to_silent);
            changes.message(data.message);
            self.known.insert(key, None);
        }
        Ok(())
    }

    /// The message that an item became.
    async fn new_message(
        &self,
        held: &Held,
        line: &CachedLine,
        SentAs { guid, sent_at, service, delivered_at }: SentAs,
    ) -> Result<Message> {
        let item = &held.item;
        let Content::Message { text, attachments, is_audio_message, reply_to_guid } = &item.content
        else {
            unreachable!("it was looked at before");
        };
        let mut attached = Vec::with_capacity(attachments.len());
        for file in attachments {
            attached.push(if item.was_given_up() {
                files::take_again(&self.batch.tx.sql, file).await?
            } else {
                files::attachment(file)
            });
        }
        Ok(Message {
            id: Id::generate(),
            line_id: item.line_id,
            chat_id: item.chat_id,
            guid,
            sender: line.handle.to_string(),
            text: text.clone(),
            attachments: attached,
            service: Some(service),
            is_from_me: true,
            is_audio_message: Some(*is_audio_message),
            sent_at,
            synced_at: self.batch.now,
            outbox_id: Some(item.id),
            reply_to_guid: reply_to_guid.clone(),
            edited_at: None,
            unsent_at: None,
            delivered_at,
            read_at: None,
            failed_at: None,
            error: None,
        })
    }

    /// What is no message has happened: in the chat it looks as if the line's own handle had done it.
    pub(super) async fn done(&mut self, held: &mut Held, at: Timestamp) -> Result<()> {
        let was_given_up = held.item.was_given_up();
        self.batch.mark_sent(held, None)?;
        let item = &held.item;
        let line = self.batch.line_of(item)?;
        let place =
            EventContext { line: &line, account_id: item.account_id, chat_id: item.chat_id };
        let handle = line.handle.as_str();
        let Batch { tx, now, committed, changes, .. } = &mut self.batch;
        let (tx, now) = (*tx, *now);
        match &item.content {
            // It is out, and to fail it would invite to send it again; but without its guid it is
            // nothing that could be shown. The line's history may yet tell of it.
            Content::Message { .. } => {
                tracing::warn!(item = %item.id, "a driver sent a message and did not say which it became");
                if !was_given_up {
                    changes.leave(&item.content);
                }
                self.wrote(&place).await
            }
            Content::Reaction { message_guid, reaction_type, remove } => {
                let known = messages::known(&tx.sql, item.line_id, message_guid).await?;
                let Some((message_id, _)) = known else { return Ok(()) };
                let occurrence = Occurrence {
                    message_id,
                    reaction_type: reaction_type.clone(),
                    sender: handle.into(),
                    added: !remove,
                    sent_at: at,
                };
                let said = Said { line: item.line_id, bridge: self.link.bridge, as_item: true };
                if twice::was_said(&tx.sql, said, &occurrence).await? {
                    // The other bridge has told of it as the line's own.
                    return Ok(());
                }
                twice::note(&tx.sql, said, &occurrence, now).await?;
                if occurrence.added {
                    for older in reactions::replaced(&tx.sql, &occurrence).await? {
                        reactions::happened(tx, &place, older, now, committed).await?;
                    }
                }
                reactions::happened(tx, &place, occurrence, now, committed).await
            }
            Content::Typing { on } => {
                self.anybody_types |= on;
                typing::changed(tx, &place, handle, *on, at, now, committed).await
            }
            Content::Read => receipts::read(tx, &place, handle, at, now, committed).await,
        }
    }

    /// The line has written in a chat.
    async fn wrote(&mut self, place: &EventContext<'_>) -> Result<()> {
        if !self.anybody_types {
            return Ok(());
        }
        let Batch { tx, now, committed, .. } = &mut self.batch;
        typing::wrote(tx, place, place.line.handle.as_str(), *now, committed).await
    }
}

/// The message that is known, as sent from this item. None if it can't have been: it stands in another chat, is not the
/// line's own, or was sent from another item.
fn linked(
    known: Option<&mut Message>,
    held: &Held,
    line: &CachedLine,
    sent_as: &SentAs,
) -> Option<Message> {
    let known = known.filter(|known| {
        known.chat_id == held.item.chat_id
            && (known.is_from_me || known.sender == line.handle.as_str())
            && known.outbox_id.is_none_or(|item| item == held.item.id)
    })?;
    known.outbox_id = Some(held.item.id);
    known.delivered_at = known.delivered_at.or(sent_as.delivered_at);
    Some(known.clone())
}

/// The lines of these items; it does not change.
async fn lines_of(sql: &Sql, ids: &[Id<OutboxItem>]) -> Result<HashMap<Id<OutboxItem>, Id<Line>>> {
    let lines = statement::all(
        sql,
        "select id, line_id from outbox where id = any($1)",
        &[&bits_of(ids)],
        |row| Ok((row.try_get::<_, Bits<_>>(0)?.id(), row.try_get::<_, Bits<_>>(1)?.id())),
    )
    .await?;
    Ok(lines.into_iter().collect())
}
