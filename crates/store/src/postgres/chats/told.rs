//! The chats that a driver tells of: found, made and renamed all at once.

use std::collections::{HashMap, HashSet};

use switchboard_model::{Account, Chat, Line, Timestamp, chat::Service, id::Id, link::InboundChat};

use crate::{
    Result, StoreError,
    base::{context::CachedLine, told::NewChat},
    postgres::engine::{
        columns::{Bits, Json, Name, bits},
        connection::Sql,
        statement::{self, Params},
        transaction::Tx,
    },
};

/// Which chat of a line: whose, its identifier, and whether it is a group.
type Key = (Id<Account>, String, bool);

/// A chat that a driver has told of, as it was until then; what its messages do to it is said by who keeps them.
#[derive(Debug)]
pub(in crate::postgres) struct ToldChat {
    pub(in crate::postgres) id: Id<Chat>,
    pub(in crate::postgres) is_group: bool,
    pub(in crate::postgres) has_received_inbound: bool,
    pub(in crate::postgres) last_received_at: Option<Timestamp>,
    name: Option<String>,
    participants: Vec<String>,
    /// Whether it is called otherwise, or others are in it, than is written down.
    has_changed: bool,
}

/// The chats of a line that are known in a transaction. Its lock is held: nobody else renames them, or says of one that it
/// has received anything.
#[derive(Debug, Default)]
pub(in crate::postgres) struct ToldChats(HashMap<Key, ToldChat>);

impl ToldChats {
    /// Finds these, and makes those that are new.
    pub(in crate::postgres) async fn find_or_make(
        &mut self,
        tx: &Tx,
        line: Id<Line>,
        told: impl Iterator<Item = (Id<Account>, &InboundChat)> + Send,
    ) -> Result<()> {
        let (mut unknown, mut asked) = (Vec::new(), HashSet::new());
        for (account, chat) in told {
            let chat = NewChat::told(chat);
            let key = key(account, &chat);
            if !self.0.contains_key(&key) && asked.insert(key) {
                unknown.push((account, chat));
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        self.find(tx, line, &unknown).await?;
        unknown.retain(|(account, chat)| !self.0.contains_key(&key(*account, chat)));
        if unknown.is_empty() { Ok(()) } else { self.make(tx, line, &unknown).await }
    }

    async fn find(
        &mut self,
        tx: &Tx,
        line: Id<Line>,
        asked: &[(Id<Account>, NewChat)],
    ) -> Result<()> {
        let (accounts, identifiers, groups) = keys(asked);
        self.read(
            &tx.sql,
            "select account_id, identifier, is_group, id, has_received_inbound, last_received_at, name,
                    participants
             from unnest($2::uuid[], $3::text[], $4::boolean[]) as asked (account_id, identifier, is_group)
             join chats using (account_id, identifier, is_group)
             where line_id = $1",
            &[&bits(line), &accounts, &identifiers, &groups],
        )
        .await
    }

    /// Who is accepted to write to a contact makes chats without the line's lock: the first one's is everybody's.
    async fn make(
        &mut self,
        tx: &Tx,
        line: Id<Line>,
        new: &[(Id<Account>, NewChat)],
    ) -> Result<()> {
        let (accounts, identifiers, groups) = keys(new);
        let ids: Vec<_> = new.iter().map(|_| bits(Id::<Chat>::generate())).collect();
        let names: Vec<_> = new.iter().map(|(_, chat)| chat.name.as_deref()).collect();
        let parties: Vec<_> = new.iter().map(|(_, chat)| Json(&chat.participants)).collect();
        self.read(
            &tx.sql,
            "insert into chats (id, account_id, line_id, identifier, is_group, service, name, participants)
             select id, account_id, $1, identifier, is_group, $2, name, participants
             from unnest($3::uuid[], $4::uuid[], $5::text[], $6::boolean[], $7::text[], $8::text[])
                  as new (id, account_id, identifier, is_group, name, participants)
             on conflict (line_id, account_id, identifier, is_group) do update set service = chats.service
             returning account_id, identifier, is_group, id, has_received_inbound, last_received_at, name,
                       participants",
            &[
                &bits(line),
                &Name(Service::default()),
                &ids,
                &accounts,
                &identifiers,
                &groups,
                &names,
                &parties,
            ],
        )
        .await
    }

    async fn read(&mut self, sql: &Sql, text: &str, params: Params<'_>) -> Result<()> {
        let found = statement::all(sql, text, params, |row| {
            let is_group = row.try_get(2)?;
            let chat = ToldChat {
                id: row.try_get::<_, Bits<_>>(3)?.id(),
                is_group,
                has_received_inbound: row.try_get(4)?,
                last_received_at: row.try_get::<_, Option<i64>>(5)?.map(Timestamp),
                name: row.try_get(6)?,
                participants: row.try_get::<_, Json<_>>(7)?.0,
                has_changed: false,
            };
            Ok(((row.try_get::<_, Bits<_>>(0)?.id(), row.try_get(1)?, is_group), chat))
        });
        self.0.extend(found.await?);
        Ok(())
    }

    /// The chat that is told of, one of those that were found or made; from now on it is as it is told.
    pub(in crate::postgres) fn told(
        &mut self,
        account: Id<Account>,
        chat: &InboundChat,
    ) -> Result<&mut ToldChat> {
        let chat = NewChat::told(chat);
        let gone = || StoreError::Unreadable { what: "a chat that was just made is gone".into() };
        let known = self.0.get_mut(&key(account, &chat)).ok_or_else(gone)?;
        // A driver that names nobody doesn't know who is there; a group of nobody is none.
        let is_unknown = chat.participants.is_empty();
        let is_same =
            known.name == chat.name && (is_unknown || known.participants == chat.participants);
        if known.is_group && !is_same {
            known.has_changed = true;
            known.name = chat.name;
            if !is_unknown {
                known.participants = chat.participants;
            }
        }
        Ok(known)
    }

    /// Writes down what they are called now, and who is in them.
    pub(in crate::postgres) async fn keep_changes(&mut self, tx: &Tx) -> Result<()> {
        let mut changed: Vec<_> = self.0.values_mut().filter(|chat| chat.has_changed).collect();
        if changed.is_empty() {
            return Ok(());
        }
        changed.sort_unstable_by_key(|chat| chat.id);
        statement::run(
            &tx.sql,
            "update chats set name = now.name, participants = now.participants
             from unnest($1::uuid[], $2::text[], $3::text[]) as now (id, name, participants)
             where chats.id = now.id",
            &[
                &changed.iter().map(|chat| bits(chat.id)).collect::<Vec<_>>(),
                &changed.iter().map(|chat| chat.name.as_deref()).collect::<Vec<_>>(),
                &changed.iter().map(|chat| Json(&chat.participants)).collect::<Vec<_>>(),
            ],
        )
        .await?;
        changed.into_iter().for_each(|chat| chat.has_changed = false);
        Ok(())
    }
}

fn key(account: Id<Account>, chat: &NewChat) -> Key {
    (account, chat.identifier.clone(), chat.is_group)
}

fn keys(chats: &[(Id<Account>, NewChat)]) -> (Vec<Bits<Account>>, Vec<&str>, Vec<bool>) {
    let accounts = chats.iter().map(|(account, _)| bits(*account)).collect();
    let identifiers = chats.iter().map(|(_, chat)| chat.identifier.as_str()).collect();
    (accounts, identifiers, chats.iter().map(|(_, chat)| chat.is_group).collect())
}

/// The chat that a driver tells of, if this account has it.
pub(in crate::postgres) async fn find_told(
    sql: &Sql,
    line: &CachedLine,
    account: Id<Account>,
    chat: &InboundChat,
) -> Result<Option<Id<Chat>>> {
    let chat = NewChat::told(chat);
    statement::first(
        sql,
        "select id from chats
         where line_id = $1 and identifier = $2 and is_group = $3 and account_id = $4",
        &[&bits(line.id), &chat.identifier, &chat.is_group, &bits(account)],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await
}
