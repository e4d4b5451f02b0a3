//! Lines that begin on a Mac that was there before them.

use switchboard_bridge::drivers::Imsg;
use switchboard_fakes::imsg::{Mac, Settings};
use switchboard_model::Timestamp;
use switchboard_testkit::{Setup, eventually};

use crate::{
    imsg_faults::{end, looked_at, with_ann},
    rig::{ANN, BOB, Carrier, Rig, now},
};

/// One more line on the same bridge.
const OTHER: &str = "+15550999998";

/// The texts of a line's chat.
async fn texts(rig: &Rig<Imsg>, line: &str, with: &str) -> Vec<String> {
    let messages = rig.client.messages(line, with).all(1_000).await.unwrap_or_default();
    messages.into_iter().rev().filter_map(|one| one.text).collect()
}

async fn has(rig: &Rig<Imsg>, line: &str, with: &str, text: &str) {
    let what = format!("{text:?} is there");
    eventually(&what, async || {
        texts(rig, line, with).await.contains(&text.to_owned()).then_some(())
    })
    .await;
}

async fn both_online(rig: &Rig<Imsg>) {
    eventually("both lines are online", async || {
        let lines = rig.client.lines().await.unwrap().value.data;
        (lines.len() == 2 && lines.iter().all(|line| line.status.online)).then_some(())
    })
    .await;
}

fn delete_what_says(mac: &Mac, beginning: &str) {
    for row in mac.rows().iter().filter(|row| row.text.starts_with(beginning)) {
        mac.delete(&row.guid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_newest_conversation_tells_nothing_of_before_a_line() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    mac.contact(BOB).draft("before the other line").addressed_to(OTHER).arrive();
    looked_at(&mac, "messages.after").await;
    rig.add_line(OTHER).await;
    both_online(&rig).await;
    for number in 0..20 {
        mac.contact(ANN).writes(&format!("deleted {number}"));
    }
    rig.message(ANN, "deleted 19").await;
    // A bridge that starts looks at once whether Messages is still the same.
    rig.kill().await;
    delete_what_says(&mac, "deleted");
    rig.start().await;
    rig.online().await;
    mac.contact(BOB).draft("after it").addressed_to(OTHER).arrive();
    has(&rig, OTHER, BOB, "after it").await;
    assert_eq!(texts(&rig, OTHER, BOB).await, ["after it"]);
    assert_eq!(texts(&rig, crate::rig::LINE, ANN).await.len(), 21);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_of_before_the_line_is_not_read() {
    let (carrier, mac) = Carrier::imsg(Settings::default());
    let old = Timestamp(now().0 - 60 * 60 * 1000);
    for number in 0..3_000 {
        mac.contact(BOB).draft(&format!("old {number}")).written_at(old).arrive();
    }
    let rig: Rig<Imsg> = Rig::on(Setup::new().unlinked().start().await, carrier).await;
    mac.contact(BOB).writes("new");
    rig.message(BOB, "new").await;
    assert_eq!(texts(&rig, crate::rig::LINE, BOB).await, ["new"]);
    // All of it would be fifteen pages more, beside what finds the end.
    assert!(mac.calls("messages.after") < 60, "{}", mac.calls("messages.after"));
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_put_back_loses_nothing_that_follows() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    for number in 0..10 {
        mac.contact(ANN).writes(&format!("before {number}"));
    }
    rig.message(ANN, "before 9").await;
    rig.kill().await;
    // Its rows are numbered again as those that are gone.
    mac.put_back(6);
    mac.contact(ANN).writes("after it");
    rig.start().await;
    rig.message(ANN, "after it").await;
    assert_eq!(texts(&rig, crate::rig::LINE, ANN).await.len(), 12);
    end(rig).await;
}

/// Has the ledger believe that its lines begin in two hours: the clock was that far ahead when they were given.
async fn begin_in_the_future<C>(rig: &Rig<C>) {
    let path = rig.data.path().join("ledger.db");
    let at = now().0 + 2 * 60 * 60 * 1000;
    eventually("the ledger can be written", async || {
        let sql = rusqlite::Connection::open(&path).unwrap();
        let lines = "select json_group_object(key, ?1) from json_each(cursor)";
        let sql = sql
            .execute(&format!("update sources set cursor = ({lines}) where name = 'lines'"), [at]);
        sql.ok().filter(|changed| *changed == 1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_ahead_when_a_line_began_makes_no_history_of_what_comes() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    rig.kill().await;
    begin_in_the_future(&rig).await;
    rig.start().await;
    rig.online().await;
    mac.contact(ANN).writes("after it");
    rig.message(ANN, "after it").await;
    end(rig).await;

    let (mut rig, mac) = Rig::bluebubbles(|_| {}).await;
    mac.contact_writes(ANN, "hello");
    rig.message(ANN, "hello").await;
    rig.kill().await;
    begin_in_the_future(&rig).await;
    rig.start().await;
    rig.online().await;
    mac.contact_writes(ANN, "after it");
    rig.message(ANN, "after it").await;
    rig.stop().await;
    rig.server.stop().await;
}
