use rusqlite::types::Value;

use super::*;

fn to_version_13(sql: &Connection) {
    for migration in &MIGRATIONS[version(sql).unwrap()..] {
        sql.execute_batch(migration).unwrap();
    }
}

fn to_compact_ids(sql: &mut Connection) {
    while advance(sql, Slice::USUAL).unwrap().is_some() {}
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
    let places = "select concat_ws(' ', line_id, bridge_id, position) as row from line_positions";
    assert_eq!(list(places), "ln_1 brg_1 77", "a line without a bridge has nobody's place");
    let epoch: i64 = sql.query_row("select link_epoch from bridges", [], |row| row.get(0)).unwrap();
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
    assert_eq!(chats, "+525512345678 +5215598765432 +525598765432 +521551234567 +5215512345678");
    let who = "select participants from chats where id = 'cht_1'";
    let who: String = sql.query_row(who, [], |row| row.get(0)).unwrap();
    assert_eq!(who, r#"["+525512345678"]"#);
}

/// What the last release with version 13 left behind.
const VERSION_13: &str = include_str!("../../../../tests/databases/version_13.sql");

/// Every row of every table, as columns by name, in the order of the first column.
fn rows(sql: &Connection, table: &str) -> Vec<Vec<(String, Value)>> {
    let mut all = sql.prepare(&format!("select * from {table} order by 1, 2")).unwrap();
    let names: Vec<String> = all.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        let cell = |(number, name): (usize, &String)| (name.clone(), row.get_unwrap(number));
        Ok(names.iter().enumerate().map(cell).collect())
    };
    all.query_map([], read).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn tables(sql: &Connection) -> Vec<String> {
    let all = "select name from sqlite_master where type = 'table' and name not like 'sqlite_stat%' order by name";
    let mut all = sql.prepare(all).unwrap();
    all.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// A cell as it is after the migration.
fn migrated(name: &str, cell: Value) -> Value {
    let is_list = matches!(name, "uploader_line_ids" | "sent_line_ids");
    match cell {
        Value::Text(list) if is_list => {
            let ids: Vec<String> = serde_json::from_str(&list).unwrap();
            let hex = |id: &String| format!("{:032X}", compact_ids::bits(id).unwrap());
            Value::Text(serde_json::to_string(&ids.iter().map(hex).collect::<Vec<_>>()).unwrap())
        }
        Value::Text(id)
            if id
                .split_once('_')
                .is_some_and(|(kind, rest)| kind.len() <= 4 && rest.len() == 26) =>
        {
            Value::Blob(compact_ids::bits(&id).unwrap().to_be_bytes().into())
        }
        cell => cell,
    }
}

#[test]
fn every_row_of_version_13_is_there_with_short_ids() {
    let old = Connection::open_in_memory().unwrap();
    old.execute_batch(VERSION_13).unwrap();
    let mut new = Connection::open_in_memory().unwrap();
    new.execute_batch("pragma foreign_keys = off").unwrap();
    new.execute_batch(VERSION_13).unwrap();
    to_compact_ids(&mut new);
    let mut seen = 0;
    for table in tables(&old) {
        let name = if table == "answers" { "idempotency_keys" } else { &table };
        let mut expected: Vec<_> = rows(&old, &table)
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .map(|(name, cell)| {
                        let cell = migrated(&name, cell);
                        (name, cell)
                    })
                    .collect()
            })
            .collect::<Vec<Vec<_>>>();
        let mut found = rows(&new, name);
        if table == "messages" {
            // Its place is its chat and the number that it had.
            for row in &mut found {
                let Value::Integer(seq) = &mut row[0].1 else { panic!("{row:?}") };
                let chat = "select seq from chats where id = (select chat_id from messages where seq = ?1)";
                let chat: i64 = new.query_row(chat, [*seq], |row| row.get(0)).unwrap();
                assert_eq!(*seq >> 36, chat);
                *seq &= (1 << 36) - 1;
            }
        }
        let sort =
            |rows: &mut Vec<Vec<(String, Value)>>| rows.sort_by_key(|row| format!("{row:?}"));
        sort(&mut expected);
        sort(&mut found);
        seen += found.len();
        assert_eq!(found, expected, "{table}");
    }
    assert!(seen > 100, "{seen}");
    let last: i64 = new.query_row("select last from counters", [], |row| row.get(0)).unwrap();
    assert_eq!(last, 11);
    let broken = new.prepare("pragma foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!broken);
}

#[test]
fn a_migration_that_is_killed_again_and_again_ends_as_one_that_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let open = || {
        let sql = Connection::open(&path).unwrap();
        sql.execute_batch("pragma foreign_keys = off; pragma journal_mode = wal").unwrap();
        sql
    };
    let more = "insert into events (id, account_id, line_id, kind, created_at, data)
                select 'evt_' || substr('00000000000000000000000000' || (100000 * (?1 + 1) + seq), -26),
                       account_id, line_id, kind, created_at, data from events";
    let fill = |sql: &Connection| {
        sql.execute_batch(VERSION_13).unwrap();
        for round in 0..2 {
            sql.execute(more, [round]).unwrap();
        }
        let of_two_lines =
            "update files set uploader_line_ids = (select json_group_array(id) from lines)";
        sql.execute_batch(of_two_lines).unwrap();
    };
    let mut whole = Connection::open_in_memory().unwrap();
    fill(&whole);
    to_compact_ids(&mut whole);
    fill(&open());
    let mut slices = 0;
    // Each time another process, which does the least that one does: two rows. One before it is killed within that.
    let least = Slice { time: Duration::ZERO, rows: 2 };
    loop {
        let killed = open();
        killed.execute_batch("begin immediate").unwrap();
        if version(&killed).unwrap() == COMPACT_IDS {
            compact_ids::go_on(&killed, least).unwrap();
        }
        drop(killed);
        if advance(&mut open(), least).unwrap().is_none() {
            break;
        }
        slices += 1;
        assert_eq!(version(&open()).unwrap(), COMPACT_IDS, "an older program refuses it");
        assert!(slices < 1000);
    }
    assert!(slices > 100, "{slices}");
    let sql = open();
    assert_eq!(tables(&sql), tables(&whole));
    for table in tables(&sql) {
        assert_eq!(rows(&sql, &table), rows(&whole, &table), "{table}");
    }
    let schema = "select group_concat(sql, char(10) order by type, name) from sqlite_master";
    let schema =
        |sql: &Connection| -> String { sql.query_row(schema, [], |row| row.get(0)).unwrap() };
    assert_eq!(schema(&sql), schema(&whole));
    let fine: String = sql.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(fine, "ok");
}

#[test]
fn a_line_keeps_what_it_could_do_before_there_were_words_for_it() {
    let mut sql = Connection::open_in_memory().unwrap();
    sql.execute_batch("pragma foreign_keys = off").unwrap();
    to_compact_ids(&mut sql);
    sql.execute_batch(
        "insert into lines (seq, id, account_id, handle, service, driver, contact_first, capabilities)
         values (1, x'01', x'01', '+1', 'auto', 'imsg', 1, '[]'),
                (2, x'02', x'01', '+2', 'auto', 'imsg', 1, '[\"replies\"]'),
                (3, x'03', x'01', '+3', 'auto', 'imsg', 1, '[\"typing\",\"reactions\"]')",
    )
    .unwrap();
    apply(&mut sql).unwrap();
    assert_eq!(version(&sql).unwrap(), VERSION);
    let lines = "select group_concat(concat_ws(' ', capabilities_told, online, capabilities), ';' order by seq) from lines";
    let lines: String = sql.query_row(lines, [], |row| row.get(0)).unwrap();
    let expected = [
        "0 0 []",
        "1 0 [\"replies\",\"attachments\",\"new_chats\",\"groups\"]",
        "1 0 [\"typing\",\"reactions\",\"attachments\",\"new_chats\",\"groups\",\"emoji_reactions\",\"typing_off\"]",
    ];
    assert_eq!(lines.split(';').collect::<Vec<_>>(), expected);
    // A second start changes nothing.
    apply(&mut sql).unwrap();
    let again: String = sql
        .query_row("select capabilities from lines where seq = 2", [], |row| row.get(0))
        .unwrap();
    assert!(expected[1].ends_with(&again), "{again}");
}

#[test]
fn what_could_not_be_finished_is_not_begun() {
    assert!(enough(10, 10).is_ok());
    let refused = enough(11, 10).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { outage: Outage::DiskFull, .. }));
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(
        why,
        "a database of an older version is copied, which takes 11 bytes more; there are 10"
    );
}
