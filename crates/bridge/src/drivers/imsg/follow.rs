//! What becomes of messages later, for which imsg has to be asked: own ones that are delivered, read or refused, and files that
//! come long after their message.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use switchboard_model::{
    Line, Timestamp,
    causes::chain,
    chat::Service,
    id::Id,
    link::{CarriedLine, Inbound, InboundChat, InboundUpdate, SendFailure},
};
use tokio::time::sleep;
use tracing::warn;

use super::{
    Imsg, READ_TIMEOUT,
    rpc::{Row, RpcError, SendStatus, service},
};
use crate::{
    connector::Context,
    ledger::{Follow, Followed, Observation, Recorded, now},
};

/// How often it is looked for what is to be asked.
const EVERY: Duration = Duration::from_secs(1);
/// Messages that are asked for at once.
const AT_ONCE: usize = 32;
/// What the state of a message begins with that waits for its files; its row follows.
const FILES: &str = "files:";
/// What the ledger calls the files of a message.
const FILES_OF: &str = "files-of:";

/// What was told of an own message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Delivered,
    Read,
    Failed,
    Downgraded,
}

impl Told {
    const ALL: [(Self, char); 4] =
        [(Self::Delivered, 'd'), (Self::Read, 'r'), (Self::Failed, 'f'), (Self::Downgraded, 's')];

    fn parse(state: &str) -> BTreeSet<Self> {
        Self::ALL.iter().filter(|(_, name)| state.contains(*name)).map(|(told, _)| *told).collect()
    }

    fn encode(told: &BTreeSet<Self>) -> String {
        Self::ALL.iter().filter(|(one, _)| told.contains(one)).map(|(_, name)| *name).collect()
    }
}

impl Imsg {
    /// Asks, for ever, for what has to be asked for.
    pub(super) async fn follow(&self, context: &Context) {
        loop {
            sleep(EVERY).await;
            let due = match context.ledger.to_follow(now(), AT_ONCE).await {
                Ok(due) => due,
                Err(error) => {
                    warn!(error = chain(&error), "what becomes of messages can't be looked up");
                    continue;
                }
            };
            for message in due {
                let looked = match message.state.strip_prefix(FILES) {
                    Some(row) => self.look_for_files(context, &message, row).await,
                    None => self.look_at_own(context, &message).await,
                };
                // Asked again with the next pause.
                let state = looked.unwrap_or(Some(message.state));
                if let Err(error) = context.ledger.followed(message.guid, state, now()).await {
                    warn!(
                        error = chain(&error),
                        "what became of a message could not be written down"
                    );
                }
            }
        }
    }

    async fn look_for_files(
        &self,
        context: &Context,
        message: &Followed,
        row: &str,
    ) -> Result<Option<String>, RpcError> {
        let Ok(row) = row.parse::<i64>() else { return Ok(None) };
        let guid = message.guid.strip_prefix(FILES_OF).unwrap_or(&message.guid);
        let page = self.page(row - 1, 1).await?;
        let Some(found) = page.messages.into_iter().find(|found| found.guid == guid) else {
            return Ok(None);
        };
        if found.lacks_files() {
            return Ok(Some(message.state.clone()));
        }
        let update = InboundUpdate::of(message.chat.clone(), guid);
        let observation = Observation {
            key: format!("files:{guid}"),
            what: Inbound::Update(InboundUpdate { attachments: Some(Vec::new()), ..update }),
            files: found.observed_files(),
        };
        Ok(self
            .record_one(context, message.line, observation)
            .await
            .then_some(message.state.clone()))
    }

    /// What is new of an own message; the state to go on with, none if nothing more is to come.
    async fn look_at_own(
        &self,
        context: &Context,
        message: &Followed,
    ) -> Result<Option<String>, RpcError> {
        // What it is about must be known there first.
        if context.ledger.is_settling(message.guid.clone()).await.unwrap_or(true) {
            return Ok(Some(message.state.clone()));
        }
        let params = json!({"guid": message.guid});
        let status: SendStatus =
            self.child.ask("message.send_status", params, READ_TIMEOUT).await?;
        let mut told = Told::parse(&message.state);
        let (update, news) = news(&message.chat, &message.guid, &status, &told, now());
        if !news.is_empty() {
            told.extend(&news);
            let key = format!("state:{}:{}", message.guid, Told::encode(&told));
            let observation = Observation::new(key, Inbound::Update(update));
            if self.record_one(context, message.line, observation).await {
                return Ok(Some(message.state.clone()));
            }
        }
        let is_over = told.contains(&Told::Read) || told.contains(&Told::Failed);
        Ok((!is_over).then(|| Told::encode(&told)))
    }

    /// Writes down what is new. True if it could not be.
    async fn record_one(
        &self,
        context: &Context,
        line: Id<Line>,
        observation: Observation,
    ) -> bool {
        let observations = vec![(line, observation)];
        context.ledger.record(Recorded { observations, ..Recorded::default() }).await.is_err()
    }
}

/// Follows a message whose files have not all come.
pub(super) fn follow_files(line: &CarriedLine, row: &Row, chat: &InboundChat) -> Option<Follow> {
    let state = format!("{FILES}{}", row.id);
    let follow = Follow::new(format!("{FILES_OF}{}", row.guid), line.id, chat.clone());
    row.lacks_files().then(|| follow.in_state(state))
}

/// What a status says that was not told.
fn news(
    chat: &InboundChat,
    guid: &str,
    status: &SendStatus,
    told: &BTreeSet<Told>,
    now: Timestamp,
) -> (InboundUpdate, BTreeSet<Told>) {
    let mut update = InboundUpdate::of(chat.clone(), guid);
    let mut news = BTreeSet::new();
    // No such row: nothing is known.
    let Some(fields) = &status.status_fields else { return (update, news) };
    let is_new = |one: Told| !told.contains(&one);
    if status.send_state == "failed" || fields.error != 0 {
        if is_new(Told::Failed) {
            let error = format!("Messages could not deliver it (error {}).", fields.error);
            update.failed = Some(SendFailure { error, at: now });
            news.insert(Told::Failed);
        }
        return (update, news);
    }
    if status.send_state == "delivered" && is_new(Told::Delivered) {
        update.delivered_at = Some(status.delivered_at.unwrap_or(now));
        news.insert(Told::Delivered);
    }
    if let Some(read_at) = fields.date_read
        && is_new(Told::Read)
    {
        update.read_at = Some(read_at);
        news.insert(Told::Read);
    }
    if service(status.service.as_deref()) == Service::Sms && is_new(Told::Downgraded) {
        update.service = Some(Service::Sms);
        news.insert(Told::Downgraded);
    }
    (update, news)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_told_once() {
        let chat =
            InboundChat::Contact { handle: switchboard_model::Handle::received("+15550100001") };
        let status = |text: &str| serde_json::from_str::<SendStatus>(text).unwrap();
        let none = BTreeSet::new();
        let pending = status(r#"{"send_state":"pending","service":null,"status_fields":null}"#);
        assert!(news(&chat, "g", &pending, &none, Timestamp(5)).1.is_empty());
        let delivered = status(
            r#"{"send_state":"delivered","service":"iMessage","delivered_at":"2026-11-02T09:00:02.000Z",
                "status_fields":{"error":0,"date_read":null}}"#,
        );
        let (update, told) = news(&chat, "g", &delivered, &none, Timestamp(5));
        assert!(update.delivered_at.is_some() && update.read_at.is_none());
        assert!(news(&chat, "g", &delivered, &told, Timestamp(6)).1.is_empty());
        let failed =
            status(r#"{"send_state":"failed","service":"iMessage","status_fields":{"error":22}}"#);
        assert!(news(&chat, "g", &failed, &told, Timestamp(7)).0.failed.is_some());
        assert_eq!(Told::parse(&Told::encode(&told)), told);
    }
}
