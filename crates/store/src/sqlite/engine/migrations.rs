//! The schema and its versions. A database of a newer version is not touched.
//!
//! What takes long is done in slices, each a transaction that says how far it came: a process that is killed
//! goes on where it was, and whoever waits is told.

mod compact_ids;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use compact_ids::Progress;
use rusqlite::{Connection, TransactionBehavior};

use crate::{Result, StoreError};

/// What leads from each version to the next, up to that before [`compact_ids`]; version 0 is an empty file. Never edit
/// one that was released: add another.
const MIGRATIONS: [&str; 13] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_contract.sql"),
    include_str!("migrations/0003_deliveries.sql"),
    include_str!("migrations/0004_webhook_creators.sql"),
    include_str!("migrations/0005_old_mexican_numbers.sql"),
    include_str!("migrations/0006_probe.sql"),
    include_str!("migrations/0007_file_lines.sql"),
    include_str!("migrations/0008_clocks.sql"),
    include_str!("migrations/0009_sealed_answers.sql"),
    include_str!("migrations/0010_stored_bytes.sql"),
    include_str!("migrations/0011_file_uses.sql"),
    include_str!("migrations/0012_delivery_log.sql"),
    include_str!("migrations/0013_links.sql"),
];

/// The version of this program.
const VERSION: usize = MIGRATIONS.len() + 1;

/// How often whoever waits is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Refuses a database that a newer version has written, before anything is changed in it.
pub(in crate::sqlite) fn refuse_newer(sql: &Connection, path: &Path) -> Result<()> {
    let found = version(sql)?;
    if found > VERSION {
        return Err(StoreError::NewerSchema {
            path: path.display().to_string(),
            found: found as u32,
            known: VERSION as u32,
        });
    }
    Ok(())
}

/// Brings the database to this version.
pub(in crate::sqlite) fn apply(sql: &mut Connection) -> Result<()> {
    let mut told = Instant::now();
    while let Some(Progress { stage, stages, what, percent }) = advance(sql, compact_ids::SLICE)? {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let step = stage + 1;
            tracing::info!(
                "bringing the database to version {VERSION}: step {step} of {stages}, {what} {percent} %"
            );
        }
    }
    Ok(())
}

/// Does at most so much of it; none if all is done.
fn advance(sql: &mut Connection, slice: Duration) -> Result<Option<Progress>> {
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    for migration in MIGRATIONS.get(found..).unwrap_or_default() {
        tx.execute_batch(migration)?;
    }
    if found < VERSION {
        compact_ids::begin(&tx)?;
        tx.pragma_update(None, "user_version", VERSION as u32)?;
    }
    let progress = compact_ids::go_on(&tx, slice)?;
    tx.commit()?;
    Ok(progress)
}

fn version(sql: &Connection) -> Result<usize> {
    Ok(sql.query_row("pragma user_version", [], |row| row.get::<_, u32>(0))? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_version_13(sql: &Connection) {
        for migration in &MIGRATIONS[version(sql).unwrap()..] {
            sql.execute_batch(migration).unwrap();
        }
    }

    /// A database as the version before the rest of the contract left it, with a row in each table
    /// that the way to the next version touches or that names one.
    const VERSION_1: &str = "
        insert into accounts values (1, 'acc_1', 'One', 10);
        insert into bridges values (1, 'brg_1', 'mac', 'simulator', x'01', null, null, 10);
        insert into lines (seq, id, account_id, handle, service, driver, bridge_id, contact_first)
        values (1, 'ln_1', 'acc_1', '+15550100001', 'auto', 'simulator', 'brg_1', 1);
        insert into chats values
            (1, 'cht_1', 'acc_1', 'ln_1', '+15550100002', 0, 'iMessage', null, '[]', 1, 20, 7),
            (2, 'cht_2', 'acc_1', 'ln_1', 'group', 1, 'iMessage', 'Us', '[]', 0, null, 0);
        insert into messages values
            (7, 'msg_1', 'ln_1', 'cht_1', 'guid', '+15550100002', 'Hello', '[]', null, 0, null, 20, 21,
             null, null);
        insert into events values (5, 'evt_1', 'acc_1', 'ln_1', 'cht_1', 'message.received', 20, '{}');
        insert into deliveries values
            (3, 'dlv_1', 'wh_1', 'acc_1', 5, 'due', 2, 40, 0, 500, 'no', 20, null);
        pragma user_version = 1;
    ";

    #[test]
    fn an_older_database_keeps_what_it_has() {
        let sql = Connection::open_in_memory().unwrap();
        // As the writer has it.
        sql.execute_batch("pragma foreign_keys = off").unwrap();
        sql.execute_batch(MIGRATIONS[0]).unwrap();
        sql.execute_batch(VERSION_1).unwrap();
        to_version_13(&sql);

        let chats = "select group_concat(concat_ws(' ', seq, id, identifier, is_group, \
                     has_received_inbound, last_message_at, last_seq), ';') from chats";
        let chats: String = sql.query_row(chats, [], |row| row.get(0)).unwrap();
        assert_eq!(chats, "1 cht_1 +15550100002 0 1 20 7;2 cht_2 group 1 0 0");
        let message = "select concat_ws(' ', seq, id, text, sent_at, edited_at, unsent_at, \
                       delivered_at, read_at) from messages";
        let message: String = sql.query_row(message, [], |row| row.get(0)).unwrap();
        assert_eq!(message, "7 msg_1 Hello 20", "nothing has become of it");
        let delivery = "select concat_ws(' ', id, status, attempts, due_at, last_error, \
                        created_at, finished_at, earlier_attempts) from deliveries";
        let delivery: String = sql.query_row(delivery, [], |row| row.get(0)).unwrap();
        assert_eq!(delivery, "dlv_1 due 2 40 no 20 0");
        let broken = sql.prepare("pragma foreign_key_check").unwrap().exists([]).unwrap();
        assert!(!broken, "messages still name their chats");
        // The same phone may have a chat with another account on this line.
        let second = "insert into chats select 3, 'cht_3', 'acc_2', line_id, identifier, is_group, \
                      service, name, participants, 0, null, 0 from chats where seq = 1";
        sql.execute(second, []).unwrap();
        let again = second.replace("select 3, 'cht_3'", "select 4, 'cht_4'");
        assert!(sql.execute(&again, []).is_err(), "one chat for an account");
    }

    /// A database as the version before owned webhooks and epochs left it, with what was leased and known then.
    const VERSION_11: &str = "
        insert into accounts values (1, 'acc_1', 'One', 10);
        insert into bridges (seq, id, name, driver, token, created_at) values (1, 'brg_1', 'mac', 'imsg', x'01', 10);
        insert into lines (seq, id, account_id, handle, service, driver, bridge_id, contact_first, position)
        values (1, 'ln_1', 'acc_1', '+15550100001', 'auto', 'imsg', 'brg_1', 1, '77'),
               (2, 'ln_2', 'acc_1', '+15550100002', 'auto', 'imsg', null, 1, '88');
        insert into events (seq, id, account_id, line_id, kind, created_at, data)
        values (5, 'evt_1', 'acc_1', 'ln_1', 'line.status', 20, '{}');
        insert into deliveries (seq, id, webhook_id, account_id, event_seq, status, attempts, due_at, leased, created_at)
        values (1, 'dlv_leased', 'wh_1', 'acc_1', 5, 'due', 0, 900, 1, 20),
               (2, 'dlv_given_back', 'wh_1', 'acc_1', 5, 'due', 0, 0, 0, 20),
               (3, 'dlv_on_its_way', 'wh_1', 'acc_1', 5, 'due', 2, 900, 1, 20),
               (4, 'dlv_waits', 'wh_1', 'acc_1', 5, 'due', 1, 700, 0, 20),
               (5, 'dlv_done', 'wh_1', 'acc_1', 5, 'delivered', 1, 900, 0, 20);
        pragma user_version = 11;
    ";

    #[test]
    fn what_was_leased_is_due_and_a_bridge_keeps_its_place() {
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch("pragma foreign_keys = off").unwrap();
        for migration in &MIGRATIONS[..11] {
            sql.execute_batch(migration).unwrap();
        }
        sql.execute_batch(VERSION_11).unwrap();
        to_version_13(&sql);
        let list = |select: &str| -> String {
            let all = format!("select group_concat(row, ';') from ({select})");
            sql.query_row(&all, [], |row| row.get(0)).unwrap()
        };
        // Those that were not tried are the log; those that were are retries, due at once if they were on their way.
        let due = "select concat_ws(' ', id, due_at) as row from deliveries where status = 'due' order by due_at, seq";
        assert_eq!(list(due), "dlv_leased 0;dlv_given_back 0;dlv_on_its_way 1;dlv_waits 700");
        let places =
            "select concat_ws(' ', line_id, bridge_id, position) as row from line_positions";
        assert_eq!(list(places), "ln_1 brg_1 77", "a line without a bridge has nobody's place");
        let epoch: i64 =
            sql.query_row("select link_epoch from bridges", [], |row| row.get(0)).unwrap();
        assert_eq!(epoch, 0);
        let parts: i64 =
            sql.query_row("select count(*) from webhook_partitions", [], |row| row.get(0)).unwrap();
        assert_eq!(parts, 256);
        let broken = sql.prepare("pragma foreign_key_check").unwrap().exists([]).unwrap();
        assert!(!broken);
    }

    #[test]
    fn an_old_mexican_number_becomes_the_new_one() {
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch("pragma foreign_keys = off").unwrap();
        sql.execute_batch(MIGRATIONS[0]).unwrap();
        sql.execute_batch(
            "insert into chats values
                (1, 'cht_1', 'acc_1', 'ln_1', '+5215512345678', 0, 'SMS', null, '[\"+5215512345678\"]', 1, 1, 1),
                (2, 'cht_2', 'acc_1', 'ln_1', '+5215598765432', 0, 'SMS', null, '[]', 1, 1, 2),
                (3, 'cht_3', 'acc_1', 'ln_1', '+525598765432', 0, 'SMS', null, '[]', 1, 1, 3),
                (4, 'cht_4', 'acc_1', 'ln_1', '+521551234567', 0, 'SMS', null, '[]', 1, 1, 4),
                (5, 'cht_5', 'acc_1', 'ln_1', '+5215512345678', 1, 'SMS', null, '[]', 1, 1, 5);
            pragma user_version = 1;",
        )
        .unwrap();
        to_version_13(&sql);
        let chats = "select group_concat(identifier, ' ' order by seq) from chats";
        let chats: String = sql.query_row(chats, [], |row| row.get(0)).unwrap();
        // One that has the new form already, a shorter number and a group stay as they are.
        assert_eq!(
            chats,
            "+525512345678 +5215598765432 +525598765432 +521551234567 +5215512345678"
        );
        let who = "select participants from chats where id = 'cht_1'";
        let who: String = sql.query_row(who, [], |row| row.get(0)).unwrap();
        assert_eq!(who, r#"["+525512345678"]"#);
    }
}
