//! The sandbox: who is paired with which phone on the shared line, and what is used of the day.
//!
//! The line belongs to an account like any other, but a phone's chat on it is of the account
//! that the phone is paired with. So what the account sees of the line needs no rule of its own.
//! When the pairing ends, the chat is kept, but shown to nobody (`shown_chats` in the schema has the
//! rule) until the same two are paired again; what was to be sent to it fails; and the phone's next words
//! begin another one.

use switchboard_model::{
    Account, Chat, Handle, Line, Sandbox, Timestamp,
    chat::Recipient,
    id::Id,
    outbox::NO_LONGER_PAIRED,
    sandbox::{DAILY_LIMIT, day_of},
};

use super::{
    PostgresStore, accounts, chats,
    engine::{
        columns::{Bits, Number, StoredHandle, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    idempotency, lines, outbox,
};
use crate::{
    Committed, IdempotencyRecordWith, Idempotent, NewContent, Refusal, Result, Sandboxes,
    base::context::CachedLine,
    sandbox::{self, KeptSandbox},
};

#[async_trait::async_trait]
impl Sandboxes for PostgresStore {
    async fn sandbox_line(&self) -> Result<Option<Line>> {
        let sql = self.read().await?;
        lines::sandbox_line(&sql).await
    }

    async fn sandbox(&self, account: Id<Account>, now: Timestamp) -> Result<Sandbox> {
        let sql = self.read().await?;
        find(&sql, account, now).await
    }

    async fn ensure_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        remember: Option<IdempotencyRecordWith<Sandbox>>,
        now: Timestamp,
    ) -> Result<Idempotent<Sandbox>> {
        self.write(move |tx: &Tx| {
            let ensure = ensure(&tx.sql, account, code.clone(), now);
            Box::pin(idempotency::once_with(tx, remember.clone(), ensure))
        })
        .await
    }

    async fn reset_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        now: Timestamp,
    ) -> Result<(Sandbox, Committed)> {
        self.publish(move |tx: &Tx| Box::pin(reset(tx, account, code.clone(), now))).await
    }
}

async fn find(sql: &Sql, account: Id<Account>, now: Timestamp) -> Result<Sandbox> {
    let line = lines::sandbox_line(sql).await?.ok_or(Refusal::LineNotFound)?;
    let kept = statement::first(
        sql,
        "select code, contact, activated_at, day, used from sandbox where account_id = $1",
        &[&bits(account)],
        |row| {
            Ok(KeptSandbox {
                code: row.try_get(0)?,
                contact: row.try_get::<_, Option<StoredHandle>>(1)?.map(|contact| contact.0),
                activated_at: row.try_get::<_, Option<i64>>(2)?.map(Timestamp),
                day: row.try_get(3)?,
                used: row.try_get::<_, Number<_>>(4)?.0,
            })
        },
    )
    .await?;
    Ok(kept.unwrap_or_default().shown(line.handle, now))
}

async fn ensure(sql: &Sql, account: Id<Account>, code: String, now: Timestamp) -> Result<Sandbox> {
    accounts::must_exist(sql, account).await?;
    statement::run(
        sql,
        "insert into sandbox (account_id, code) values ($1, $2)
         on conflict (account_id) do update set code = excluded.code
         where sandbox.code is null and sandbox.contact is null",
        &[&bits(account), &code],
    )
    .await?;
    find(sql, account, now).await
}

async fn reset(
    tx: &Tx,
    account: Id<Account>,
    code: String,
    now: Timestamp,
) -> Result<(Sandbox, Committed)> {
    accounts::must_exist(&tx.sql, account).await?;
    let line = lines::sandbox_line(&tx.sql).await?.ok_or(Refusal::LineNotFound)?.id;
    tx.lock_line(line).await?;
    let mut committed = Committed::default();
    let phone = statement::first(
        &tx.sql,
        "select contact from sandbox where account_id = $1 and contact is not null for update",
        &[&bits(account)],
        |row| Ok(row.try_get::<_, StoredHandle>(0)?.0),
    )
    .await?;
    if let Some(phone) = phone {
        end(tx, line, account, &phone, now, &mut committed).await?;
    }
    statement::run(
        &tx.sql,
        "insert into sandbox (account_id, code) values ($1, $2)
         on conflict (account_id) do update set code = excluded.code",
        &[&bits(account), &code],
    )
    .await?;
    Ok((find(&tx.sql, account, now).await?, committed))
}

/// Ends the pairing of these two. What waits to be sent to the phone fails, all of it at once: an
/// account can write nothing on the line but to its phone, and nothing waits for longer than a day.
///
/// The line's lock and the account's row are held: so whatever it has written is seen here, and it writes nothing more.
async fn end(
    tx: &Tx,
    line: Id<Line>,
    account: Id<Account>,
    phone: &Handle,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let chat = chats::find(&tx.sql, account, line, &Recipient::Contact(phone.clone())).await?;
    statement::run(
        &tx.sql,
        "update sandbox set contact = null, activated_at = null where account_id = $1",
        &[&bits(account)],
    )
    .await?;
    let Some(chat) = chat else { return Ok(()) };
    for item in outbox::pending_in(&tx.sql, line, chat).await? {
        outbox::fail(tx, &item, item.attempts, NO_LONGER_PAIRED, now, committed).await?;
    }
    Ok(())
}

/// Whether an item for this chat of the sandbox line may still go out. Under the line's lock that stays so.
pub(super) async fn is_paired(sql: &Sql, account: Id<Account>, chat: Id<Chat>) -> Result<bool> {
    let paired = statement::first(
        sql,
        "select 1 from chats c join sandbox s on s.account_id = c.account_id
         where c.id = $1 and c.account_id = $2 and not c.is_group and s.contact = c.identifier",
        &[&bits(chat), &bits(account)],
        |_| Ok(()),
    )
    .await?;
    Ok(paired.is_some())
}

/// The account that a phone is paired with. Under the line's lock that stays so.
pub(super) async fn account_of(sql: &Sql, phone: &Handle) -> Result<Option<Id<Account>>> {
    let account = "select account_id from sandbox where contact = $1";
    statement::first(sql, account, &[&phone.as_str()], |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()))
        .await
}

/// Pairs a phone that texts this code with the account that has the code, and uses the code
/// up. The phone's older pairing ends: its account has neither a phone nor a code then. The line's lock is held.
pub(super) async fn pair(
    tx: &Tx,
    code: &str,
    phone: &Handle,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<Option<Id<Account>>> {
    let rows = statement::all(
        &tx.sql,
        "select account_id, code is not distinct from $1, contact is not distinct from $2 from sandbox
         where code = $1 or contact = $2 order by account_id for update",
        &[&code, &phone.as_str()],
        |row| {
            let account = row.try_get::<_, Bits<Account>>(0)?.id();
            Ok((account, row.try_get::<_, bool>(1)?, row.try_get::<_, bool>(2)?))
        },
    )
    .await?;
    let account = rows.iter().find(|(_, has_code, _)| *has_code).map(|(account, ..)| *account);
    let Some(account) = account else { return Ok(None) };
    if let Some((before, ..)) = rows.iter().find(|(.., has_phone)| *has_phone) {
        let line = lines::sandbox_line(&tx.sql).await?.ok_or(Refusal::LineNotFound)?.id;
        end(tx, line, *before, phone, now, committed).await?;
    }
    statement::run(
        &tx.sql,
        "update sandbox set code = null, contact = $2, activated_at = $3 where account_id = $1",
        &[&bits(account), &phone.as_str(), &now.0],
    )
    .await?;
    Ok(Some(account))
}

/// The chat that an account's write on the sandbox line goes to: the one with its phone, or none.
///
/// The account's row is held until the write is committed: who ends the pairing waits for it, and finds it. What is
/// refused after this is taken back with the whole command, and so does not count against the quota.
pub(super) async fn to_write_to(
    sql: &Sql,
    line: &CachedLine,
    account: Id<Account>,
    to: &Recipient,
    content: &NewContent,
    now: Timestamp,
) -> Result<Id<Chat>> {
    let phone = statement::first(
        sql,
        "select contact from sandbox where account_id = $1 and contact is not null for no key update",
        &[&bits(account)],
        |row| Ok(row.try_get::<_, StoredHandle>(0)?.0),
    )
    .await?
    .ok_or(Refusal::SandboxNotActivated)?;
    let chat = chats::find(sql, account, line.id, &Recipient::Contact(phone.clone())).await?;
    let is_the_phones = match to {
        Recipient::Contact(handle) => *handle == phone,
        Recipient::Chat(id) => chat == Some(*id),
    };
    if !is_the_phones {
        return Err(Refusal::SandboxContactMismatch.into());
    }
    if sandbox::counts(content) {
        let counted = statement::run(
            sql,
            "update sandbox set day = $2, used = case when day = $2 then used + 1 else 1 end
             where account_id = $1 and (day <> $2 or used < $3)",
            &[&bits(account), &day_of(now), &Number(DAILY_LIMIT)],
        )
        .await?;
        if counted == 0 {
            return Err(Refusal::SandboxQuotaExceeded.into());
        }
    }
    match chat {
        Some(chat) => Ok(chat),
        None if sandbox::may_begin(content) => chats::begin(sql, line, account, &phone).await,
        None => Err(Refusal::ChatNotFound.into()),
    }
}
