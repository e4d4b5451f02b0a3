//! The chats of Messages, as far as they were met: what they run over, and by which guid they are addressed.
//!
//! Guids are never built: a chat is addressed by one that Messages itself has named. What can't be found is no chat.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::json;
use switchboard_model::{Handle, Line, chat::Service, id::Id, line::LineService};

use super::{
    Imsg, READ_TIMEOUT,
    rpc::{Chat, Chats, RpcError, service},
};
use crate::ledger::Ledger;

/// The most chats that are listed at once.
const LISTED: i64 = 5_000;
/// The most chats that are remembered.
const REMEMBERED: usize = 20_000;

/// What is remembered of chats, by their row.
#[derive(Default)]
pub(super) struct KnownChats(Mutex<HashMap<i64, Chat>>);

impl KnownChats {
    fn all(&self) -> MutexGuard<'_, HashMap<i64, Chat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, chats: Vec<Chat>) {
        let mut all = self.all();
        if all.len() + chats.len() > REMEMBERED {
            all.clear();
        }
        all.extend(chats.into_iter().map(|chat| (chat.id, chat)));
    }

    /// What is remembered stands in a database that was replaced.
    pub(super) fn forget(&self) {
        self.all().clear();
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A chat that Messages has.
    Chat(String),
    /// Somebody with whom there is no chat.
    NewContact(String),
}

impl Imsg {
    /// A chat by its row, asked for if it was never met.
    pub(super) async fn chat(&self, id: i64) -> Result<Option<Chat>, RpcError> {
        if let Some(known) = self.chats.all().get(&id) {
            return Ok(Some(known.clone()));
        }
        self.list_chats().await?;
        Ok(self.chats.all().get(&id).cloned())
    }

    /// A chat by its guid.
    pub(super) async fn chat_by_guid(&self, guid: &str) -> Option<Chat> {
        let find = || self.chats.all().values().find(|chat| chat.guid == guid).cloned();
        if let Some(known) = find() {
            return Some(known);
        }
        self.list_chats().await.ok()?;
        find()
    }

    async fn list_chats(&self) -> Result<(), RpcError> {
        let params = json!({"limit": LISTED});
        let listed: Chats = self.child.ask("chats.list", params, READ_TIMEOUT).await?;
        self.chats.take(listed.chats);
        Ok(())
    }

    /// Where an item for this contact goes, on a line that sends by this.
    pub(super) async fn contact_target(
        &self,
        contact: &str,
        by: LineService,
    ) -> Result<Target, RpcError> {
        let wanted = Handle::received(contact);
        let found = self.find_chat(|all| {
            all.values()
                .filter(|chat| is_with(chat, &wanted) && chat.goes_by(by))
                .max_by_key(|chat| rank(chat))
                .cloned()
        });
        Ok(match found.await? {
            Some(chat) if !chat.guid.is_empty() => Target::Chat(chat.guid),
            _ => Target::NewContact(contact.to_owned()),
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
    ) -> Result<Option<Target>, RpcError> {
        let mut names = ledger.group_aliases(line, identifier.to_owned()).await.unwrap_or_default();
        names.push(identifier.to_owned());
        let found = self.find_chat(|all| {
            let named = |chat: &&Chat| {
                is_group(&chat.guid, &chat.identifier, chat.is_group, chat.participants.len())
                    && chat.goes_by(by)
                    && names.iter().any(|name| *name == chat.guid || *name == chat.identifier)
            };
            all.values().find(named).cloned()
        });
        Ok(found.await?.map(|chat| Target::Chat(chat.guid)))
    }

    /// A chat as Messages has it now, among those that are remembered, else among all.
    async fn find_chat(
        &self,
        find: impl Fn(&HashMap<i64, Chat>) -> Option<Chat>,
    ) -> Result<Option<Chat>, RpcError> {
        let known = find(&self.chats.all());
        if let Some(known) = known
            && let Some(chat) = self.as_it_is(known).await?
        {
            return Ok(Some(chat));
        }
        self.list_chats().await?;
        let found = find(&self.chats.all());
        Ok(found)
    }

    /// A chat as Messages has it now: an update of the system gives all of them other guids. None if it is gone.
    async fn as_it_is(&self, chat: Chat) -> Result<Option<Chat>, RpcError> {
        if !self.readiness.borrow().can("chats.get") {
            return Ok(Some(chat));
        }
        let params = json!({"chat_id": chat.id});
        match self.child.ask::<Chat>("chats.get", params, READ_TIMEOUT).await {
            // The same row in another database is another chat.
            Ok(now) if Handle::received(&now.identifier) == Handle::received(&chat.identifier) => {
                self.chats.take(vec![now.clone()]);
                Ok(Some(now))
            }
            Ok(_) | Err(RpcError::Said { code: -32602, .. }) => {
                self.chats.forget();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Chat {
    /// Whether a line that sends by this may write in it. Of a chat that does not say what it runs over nobody can know.
    fn goes_by(&self, by: LineService) -> bool {
        let over = || service(Some(&self.service));
        match by {
            LineService::Auto => true,
            _ if self.service.is_empty() => true,
            LineService::Imessage => over() == Service::IMessage,
            LineService::Sms => over() == Service::Sms,
        }
    }
}

/// Whether it is the chat with this one contact.
fn is_with(chat: &Chat, contact: &Handle) -> bool {
    !is_group(&chat.guid, &chat.identifier, chat.is_group, chat.participants.len())
        && Handle::received(&chat.identifier) == *contact
}

/// Of two chats with one contact, iMessage before SMS, and then the newer.
fn rank(chat: &Chat) -> (bool, i64) {
    (chat.service != "SMS", chat.id)
}

/// Whether a chat is a group. Newer systems list some as chats with one contact.
pub(super) fn is_group(guid: &str, identifier: &str, said: bool, participants: usize) -> bool {
    let is_chat_number = |name: &str| {
        name.strip_prefix("chat")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let last = guid.rsplit(';').next().unwrap_or_default();
    said || participants > 1
        || guid.contains(";+;")
        || identifier.contains(";+;")
        || is_chat_number(identifier)
        || is_chat_number(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_known_however_it_is_listed() {
        assert!(is_group("any;+;chat83", "chat83", true, 3));
        assert!(is_group("any;-;chat830000000000000001", "chat830000000000000001", false, 1));
        assert!(is_group("any;-;x", "x", false, 2));
        assert!(!is_group("any;-;+15550100001", "+15550100001", false, 1));
        assert!(!is_group("any;-;chatty@example.com", "chatty@example.com", false, 1));
    }
}
