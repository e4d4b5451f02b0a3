//! The sandbox: who is paired with which phone on the shared line, and what is used of the day.
//!
//! The line belongs to an account like any other, but a phone's chat on it is of the account
//! that the phone is paired with. So what the account sees of the line needs no rule of its own.
//! When the pairing ends, the chat is kept, but shown to nobody (`shown_chats` in the schema has the
//! rule) until the same two are paired again; what was to be sent to it fails; and the phone's next words
//! begin another one.

use rusqlite::{Connection, params};
use switchboard_model::{
    Account, Chat, Handle, Line, Sandbox, Timestamp,
    chat::Recipient,
    id::Id,
    outbox::NO_LONGER_PAIRED,
    sandbox::{DAILY_LIMIT, day_of},
};

use super::{
    SqliteStore, accounts, chats,
    engine::{
        columns::{Bits, StoredHandle, bits},
        read_queue::Owner,
        statement,
        writer::Tx,
    },
    idempotency, lines, outbox,
};
use crate::{
    Committed, IdempotencyRecordWith, Idempotent, NewContent, Refusal, Result, Sandboxes,
    base::context::CachedLine,
    sandbox::{self, KeptSandbox},
};

#[async_trait::async_trait]
impl Sandboxes for SqliteStore {
    async fn sandbox_line(&self) -> Result<Option<Line>> {
        self.readers.lookup(Owner::System).ask(lines::sandbox_line).await
    }

    async fn sandbox(&self, account: Id<Account>, now: Timestamp) -> Result<Sandbox> {
        self.readers.lookup(account).ask(move |sql| find(sql, account, now)).await
    }

    async fn ensure_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        remember: Option<IdempotencyRecordWith<Sandbox>>,
        now: Timestamp,
    ) -> Result<Idempotent<Sandbox>> {
        self.writer
            .run(move |tx| {
                let ensure = |tx: &mut Tx<'_>| ensure(tx.sql, account, &code, now);
                idempotency::once_with(tx, remember, ensure)
            })
            .await
    }

    async fn reset_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        now: Timestamp,
    ) -> Result<(Sandbox, Committed)> {
        self.publish(move |tx| reset(tx, account, &code, now)).await
    }
}

pub(super) fn find(sql: &Connection, account: Id<Account>, now: Timestamp) -> Result<Sandbox> {
    let line = lines::sandbox_line(sql)?.ok_or(Refusal::LineNotFound)?;
    let kept = statement::first(
        sql,
        "select code, contact, activated_at, day, used from sandbox where account_id = ?1",
        params![bits(account)],
        |row| {
            Ok(KeptSandbox {
                code: row.get(0)?,
                contact: row.get::<_, Option<StoredHandle>>(1)?.map(|contact| contact.0),
                activated_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
                day: row.get(3)?,
                used: row.get(4)?,
            })
        },
    )?;
    Ok(kept.unwrap_or_default().shown(line.handle, now))
}

pub(super) fn ensure(
    sql: &Connection,
    account: Id<Account>,
    code: &str,
    now: Timestamp,
) -> Result<Sandbox> {
    accounts::must_exist(sql, account)?;
    statement::run(
        sql,
        "insert into sandbox (account_id, code) values (?1, ?2)
         on conflict (account_id) do update set code = excluded.code
         where code is null and contact is null",
        params![bits(account), code],
    )?;
    find(sql, account, now)
}

pub(super) fn reset(
    tx: &mut Tx<'_>,
    account: Id<Account>,
    code: &str,
    now: Timestamp,
) -> Result<(Sandbox, Committed)> {
    accounts::must_exist(tx.sql, account)?;
    let mut committed = Committed::default();
    if let Some(phone) = phone_of(tx.sql, account)? {
        end(tx, account, &phone, now, &mut committed)?;
    }
    statement::run(
        tx.sql,
        "insert into sandbox (account_id, code) values (?1, ?2)
         on conflict (account_id) do update set code = excluded.code",
        params![bits(account), code],
    )?;
    Ok((find(tx.sql, account, now)?, committed))
}

/// Ends the pairing of these two. What waits to be sent to the phone fails, all of it at once: an
/// account can write nothing on the line but to its phone, and nothing waits for longer than a day.
fn end(
    tx: &mut Tx<'_>,
    account: Id<Account>,
    phone: &Handle,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let line = lines::sandbox_line(tx.sql)?.ok_or(Refusal::LineNotFound)?.id;
    let chat = chats::find(tx.sql, account, line, &Recipient::Contact(phone.clone()))?;
    statement::run(
        tx.sql,
        "update sandbox set contact = null, activated_at = null where account_id = ?1",
        params![bits(account)],
    )?;
    let Some(chat) = chat else { return Ok(()) };
    for item in outbox::pending_in(tx.sql, line, chat)? {
        outbox::fail(tx, &item, item.attempts, NO_LONGER_PAIRED, now, committed)?;
    }
    Ok(())
}

/// Whether an item for this chat of the sandbox line may still go out.
pub(super) fn is_paired(sql: &Connection, account: Id<Account>, chat: Id<Chat>) -> Result<bool> {
    let paired = statement::first(
        sql,
        "select 1 from chats c cross join sandbox s on s.account_id = c.account_id
         where c.id = ?1 and c.account_id = ?2 and c.is_group = 0 and s.contact = c.identifier",
        params![bits(chat), bits(account)],
        |_| Ok(()),
    )?;
    Ok(paired.is_some())
}

/// The phone that an account is paired with.
fn phone_of(sql: &Connection, account: Id<Account>) -> Result<Option<Handle>> {
    statement::first(
        sql,
        "select contact from sandbox where account_id = ?1 and contact is not null",
        params![bits(account)],
        |row| Ok(row.get::<_, StoredHandle>(0)?.0),
    )
}

/// The account that a phone is paired with.
pub(super) fn account_of(sql: &Connection, phone: &Handle) -> Result<Option<Id<Account>>> {
    statement::first(
        sql,
        "select account_id from sandbox where contact = ?1",
        params![phone.as_str()],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

/// Pairs a phone that texts this code with the account that has the code, and uses the code
/// up. The phone's older pairing ends: its account has neither a phone nor a code then.
pub(super) fn pair(
    tx: &mut Tx<'_>,
    code: &str,
    phone: &Handle,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<Option<Id<Account>>> {
    let account = statement::first(
        tx.sql,
        "select account_id from sandbox where code = ?1",
        params![code],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )?;
    let Some(account) = account else { return Ok(None) };
    if let Some(before) = account_of(tx.sql, phone)? {
        end(tx, before, phone, now, committed)?;
    }
    statement::run(
        tx.sql,
        "update sandbox set code = null, contact = ?2, activated_at = ?3 where account_id = ?1",
        params![bits(account), phone.as_str(), now.0],
    )?;
    Ok(Some(account))
}

/// The chat that an account's write on the sandbox line goes to: the one with its phone, or none.
///
/// What is refused after this is taken back with the whole command, and so does not count against the quota.
pub(super) fn to_write_to(
    sql: &Connection,
    line: &CachedLine,
    account: Id<Account>,
    to: &Recipient,
    content: &NewContent,
    now: Timestamp,
) -> Result<Id<Chat>> {
    let paired = statement::first(
        sql,
        "select contact, day, used from sandbox where account_id = ?1 and contact is not null",
        params![bits(account)],
        |row| {
            Ok((
                row.get::<_, StoredHandle>(0)?.0,
                sandbox::used_today(row.get(1)?, row.get(2)?, now),
            ))
        },
    )?;
    let (phone, used) = paired.ok_or(Refusal::SandboxNotActivated)?;
    let chat = chats::find(sql, account, line.id, &Recipient::Contact(phone.clone()))?;
    let is_the_phones = match to {
        Recipient::Contact(handle) => *handle == phone,
        Recipient::Chat(id) => chat == Some(*id),
    };
    if !is_the_phones {
        return Err(Refusal::SandboxContactMismatch.into());
    }
    if sandbox::counts(content) {
        if used >= DAILY_LIMIT {
            return Err(Refusal::SandboxQuotaExceeded.into());
        }
        statement::run(
            sql,
            "update sandbox set day = ?2, used = ?3 where account_id = ?1",
            params![bits(account), day_of(now), used + 1],
        )?;
    }
    match chat {
        Some(chat) => Ok(chat),
        None if sandbox::may_begin(content) => chats::begin(sql, line, account, &phone),
        None => Err(Refusal::ChatNotFound.into()),
    }
}
