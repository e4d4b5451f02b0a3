//! The chats of Messages: what they are to the server, and by which guid they are addressed.
//!
//! Guids are never built: a chat is addressed by one that Messages itself has named, and that it still has. What is
//! neither a group nor a chat with one contact for certain is no chat.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use switchboard_model::{
    Handle, Line, chat::Service, id::Id, line::LineService, link::InboundChat,
};
use tokio::time::Instant;

use super::{BlueBubbles, READ_TIMEOUT, api::ApiError, read::ReadError, wire::Chat};
use crate::ledger::{Ledger, LedgerError};

/// Chats of a page, and pages that are read at most.
const PAGE: usize = 1000;
const PAGES: usize = 20;
/// How long it is believed who is in a group. What changes it is told of as well.
const GROUP_KEPT: Duration = Duration::from_secs(10 * 60);
/// The most chats that are remembered.
const REMEMBERED: usize = 20_000;

/// What is remembered of chats.
#[derive(Default)]
pub(super) struct KnownChats {
    /// Name and parties of groups, by their guid.
    groups: Mutex<HashMap<String, (Instant, Chat)>>,
    /// The guids that worked last, by what the server calls a chat.
    guids: Mutex<HashMap<(Id<Line>, String), String>>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A chat that Messages has.
    Chat {
        /// Its guid.
        guid: String,
        /// What it runs over, as far as that is known.
        service: Option<Service>,
    },
    /// Somebody with whom there is no chat.
    NewContact(String),
}

/// A chat as the server knows it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// What stands in entries.
    pub(super) chat: InboundChat,
    /// What stands in items.
    pub(super) identifier: String,
}

impl KnownChats {
    fn groups(&self) -> MutexGuard<'_, HashMap<String, (Instant, Chat)>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guids(&self) -> MutexGuard<'_, HashMap<(Id<Line>, String), String>> {
        self.guids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group has changed.
    pub(super) fn forget_group(&self, guid: &str) {
        self.groups().remove(guid);
    }

    /// Everything may be different.
    pub(super) fn forget(&self) {
        self.groups().clear();
        self.guids().clear();
    }

    /// This chat could not be written to.
    pub(super) fn forget_guid(&self, guid: &str) {
        self.guids().retain(|_, known| known != guid);
    }
}

impl BlueBubbles {
    /// What a chat is to the server; none if it can't be told for certain.
    pub(super) async fn place(
        &self,
        ledger: &Ledger,
        line: Id<Line>,
        of: &Chat,
    ) -> Result<Option<Place>, ReadError> {
        match of.is_group() {
            None => Ok(None),
            Some(false) => Ok(of.contact().filter(|_| !of.is_masked()).map(|handle| Place {
                identifier: handle.to_string(),
                chat: InboundChat::Contact { handle },
            })),
            Some(true) => {
                let group = self.group(of).await?;
                let named = ledger.group(line, group.aliases()).await?;
                Ok(named.map(|identifier| Place {
                    chat: InboundChat::Group {
                        identifier: identifier.clone(),
                        name: group.name(),
                        participants: group.people(),
                    },
                    identifier,
                }))
            }
        }
    }

    /// A group with its parties.
    async fn group(&self, of: &Chat) -> Result<Chat, ApiError> {
        if let Some((at, known)) = self.chats.groups().get(&of.guid)
            && at.elapsed() < GROUP_KEPT
        {
            return Ok(known.clone());
        }
        // Joined to a message it would be missing with all its messages if it had no parties.
        let group = self.chat(&of.guid).await?.unwrap_or_else(|| of.clone());
        let mut groups = self.chats.groups();
        if groups.len() >= REMEMBERED {
            groups.clear();
        }
        groups.insert(of.guid.clone(), (Instant::now(), group.clone()));
        Ok(group)
    }

    /// A chat by its guid; none if Messages has no such chat, or it is a twin of the spam filter.
    pub(super) async fn chat(&self, guid: &str) -> Result<Option<Chat>, ApiError> {
        let with = [("with", "participants")];
        match self.api.get::<Option<Chat>>(&["chat", guid], &with, READ_TIMEOUT).await {
            Ok(chat) => Ok(chat.filter(|chat| !chat.is_masked())),
            Err(ApiError::Refused(refused)) if refused.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every chat that has parties.
    async fn list_chats(&self) -> Result<Vec<Chat>, ApiError> {
        let mut listed = Vec::new();
        for page in 0..PAGES {
            let body = json!({
                "with": ["lastmessage"], "sort": "lastmessage", "offset": page * PAGE, "limit": PAGE,
            });
            let asked = self.api.post::<Vec<Value>>(&["chat", "query"], &body, READ_TIMEOUT);
            let (values, _) = asked.await?;
            let is_last = values.len() < PAGE;
            listed.extend(values.into_iter().filter_map(|chat| {
                serde_json::from_value::<Chat>(chat).ok().filter(|chat| !chat.is_masked())
            }));
            if is_last {
                break;
            }
        }
        Ok(listed)
    }

    /// Where an item for this contact goes, on a line that sends by this.
    pub(super) async fn contact_target(
        &self,
        line: Id<Line>,
        contact: &str,
        by: LineService,
    ) -> Result<Target, ApiError> {
        let wanted = Handle::received(contact);
        let is_with = |chat: &Chat| {
            chat.is_group() == Some(false)
                && chat.goes_by(by)
                && chat.contact().is_some_and(|one| one == wanted)
        };
        let known = self.chats.guids().get(&(line, contact.to_owned())).cloned();
        if let Some(guid) = known
            && let Some(chat) = self.chat(&guid).await?.filter(is_with)
        {
            return Ok(Target::of(&chat));
        }
        let listed = self.list_chats().await?;
        // What Messages would take: the chat that was written in last.
        Ok(match listed.iter().filter(|chat| is_with(chat)).max_by_key(|chat| rank(chat)) {
            Some(chat) => self.found(line, contact, chat),
            None => Target::NewContact(wanted.to_string()),
        })
    }

    /// Where an item for this group goes, on a line that sends by this. None if Messages has no such group: then nothing is
    /// sent, for what is left of its name may be somebody else's chat.
    pub(super) async fn group_target(
        &self,
        ledger: &Ledger,
        line: Id<Line>,
        identifier: &str,
        by: LineService,
    ) -> Result<Option<Target>, TargetError> {
        let mut names = ledger.group_aliases(line, identifier.to_owned()).await?;
        names.push(identifier.to_owned());
        let is_it = |chat: &Chat| {
            chat.is_group() == Some(true)
                && chat.goes_by(by)
                && chat.aliases().iter().any(|name| names.contains(name))
        };
        let known = self.chats.guids().get(&(line, identifier.to_owned())).cloned();
        if let Some(guid) = known
            && let Some(chat) = self.chat(&guid).await?.filter(is_it)
        {
            return Ok(Some(Target::of(&chat)));
        }
        let listed = self.list_chats().await?;
        let found = listed.iter().filter(|chat| is_it(chat)).max_by_key(|chat| rank(chat));
        Ok(found.map(|chat| self.found(line, identifier, chat)))
    }

    fn found(&self, line: Id<Line>, identifier: &str, chat: &Chat) -> Target {
        let mut guids = self.chats.guids();
        if guids.len() >= REMEMBERED {
            guids.clear();
        }
        guids.insert((line, identifier.to_owned()), chat.guid.clone());
        Target::of(chat)
    }
}

impl Chat {
    /// Whether a line that sends by this may write in it. On newer systems no name of a chat says what it runs over, and
    /// Messages chooses.
    fn goes_by(&self, by: LineService) -> bool {
        match (by, self.service()) {
            (LineService::Auto, _) | (_, None) => true,
            (LineService::Imessage, Some(over)) => over == Service::IMessage,
            (LineService::Sms, Some(over)) => over == Service::Sms,
        }
    }
}

impl Target {
    fn of(chat: &Chat) -> Self {
        Self::Chat { guid: chat.guid.clone(), service: chat.service() }
    }
}

/// Why it can't be told where an item goes.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Of two chats that fit, the one that was written in last, and then iMessage before SMS.
fn rank(chat: &Chat) -> (i64, bool) {
    let written = chat.last_message.as_ref().and_then(|message| message.date_created);
    (written.unwrap_or(0), chat.service() != Some(Service::Sms))
}
