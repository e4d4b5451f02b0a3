//! Two bridges for one line, each with a ledger of its own, on Macs of one Apple ID: whichever carries it, whenever the other dies,
//! nothing is lost and nothing is twice.

use std::{fs, path::Path, time::Duration};

use rusqlite::Connection;
use switchboard_bridge::drivers::Imsg;
use switchboard_client::SendReaction;
use switchboard_fakes::imsg::Settings;
use switchboard_testkit::{TestServer, eventually};
use tokio::time::sleep;

use crate::{
    ends::Ends,
    rig::{ANN, BOB, LINE, Rig},
};

/// How often the bridge that carries the line is killed, and the other one takes it over.
const TAKE_OVERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_goes_from_one_bridge_to_the_other_and_back_and_nothing_is_lost_or_doubled() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    let people = [ANN, BOB];
    for person in people {
        mac.contact(person).writes("hello");
        rig.message(person, "hello").await;
    }
    rig.add_standby().await;
    let operator = rig.server.admin();
    let line = operator.lines().await.unwrap().value.data.remove(0).line.id;
    let (mut accepted, mut written) = (Vec::new(), Vec::new());
    for turn in 0..TAKE_OVERS {
        for person in people {
            for part in 0..2 {
                let text = format!("out {turn}.{part}");
                accepted.push((rig.send(person, &text).await, person.to_owned(), text));
                let text = format!("in {turn}.{part}");
                mac.contact(person).writes(&text);
                written.push((person, text));
            }
        }
        // The instant is what differs here: this is no wait for something.
        sleep(Duration::from_millis(23 * u64::try_from(turn).unwrap())).await;
        rig.kill().await;
        // It may have died before the other one said that it is ready.
        operator.take_over_line(line, true).await.unwrap();
        rig.swap();
        rig.online().await;
        // The one that died comes back and stands by.
        rig.swap();
        rig.start().await;
        rig.swap();
    }
    let shows = |person: &str, text: &str| mac.contact(person).times_received(text);
    let ends = Ends::of(&rig, &accepted, shows).await;
    println!("{ends}, of {}", accepted.len());
    for (person, text) in &written {
        rig.message(person, text).await;
    }
    for person in people {
        let messages = rig.messages(person).await;
        for text in messages.iter().filter_map(|message| message.text.as_deref()) {
            let times = messages.iter().filter(|one| one.text.as_deref() == Some(text)).count();
            assert_eq!(times, 1, "{text} in the chat with {person}");
        }
    }
    eventually("what came in is told, once", async || {
        let told = rig.told("message.received", "text");
        (told.len() == written.len() + people.len()).then_some(())
    })
    .await;
    assert_eq!(rig.client.lines().await.unwrap().value.data[0].handle.as_str(), LINE);
    rig.stop().await;
    rig.swap();
    rig.stop().await;
    rig.server.stop().await;
}

/// The events about reactions and edits that were told, sorted.
fn changes(rig: &Rig<Imsg>) -> Vec<String> {
    let received = rig.receiver.received();
    let told = received.iter().map(|one| one.json()).filter_map(|one| {
        let data = &one["data"];
        let what = match one["event"].as_str()? {
            event @ ("reaction.added" | "reaction.removed") => {
                format!("{event} {}", data["type"].as_str()?)
            }
            event @ "message.updated" if data["edited_at"].is_number() => {
                format!("{event} {}", data["text"].as_str().unwrap_or("taken back"))
            }
            _ => return None,
        };
        Some(what)
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reactions_and_edits_that_both_bridges_have_seen_are_told_once() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).writes("hello");
    let hello = rig.message(ANN, "hello").await.guid;
    rig.add_standby().await;
    rig.standby_is_ready().await;
    // From here on both see all of it.
    for text in ["helo", "a secret", "later"] {
        mac.contact(ANN).writes(text);
        rig.message(ANN, text).await;
    }
    let guid = async |text: &str| rig.message(ANN, text).await.guid;
    let (typo, secret, later) = (guid("helo").await, guid("a secret").await, guid("later").await);
    for (guid, kind, remove) in [
        (&hello, "love", false),
        (&hello, "like", false),
        (&typo, "laugh", false),
        (&typo, "laugh", true),
        (&typo, "laugh", false),
    ] {
        let reaction = SendReaction::new(LINE, ANN, guid, kind);
        let reaction = if remove { reaction.remove() } else { reaction };
        let id = rig.client.send_reaction(&reaction).await.unwrap().value.id;
        rig.ended(id).await;
    }
    mac.owner().reacts(&later, "question");
    mac.contact(ANN).edits(&typo, "hullo");
    eventually("the edit is told", async || {
        changes(&rig).contains(&"message.updated hullo".to_owned()).then_some(())
    })
    .await;
    mac.contact(ANN).edits(&typo, "hello again");
    mac.contact(ANN).unsends(&secret);
    let before = [
        "message.updated hello again",
        "message.updated hullo",
        "reaction.added laugh",
        "reaction.added laugh",
        "reaction.added like",
        "reaction.added love",
        "reaction.added question",
        "reaction.removed laugh",
        "reaction.removed love",
    ];
    eventually("all is told", async || (changes(&rig) == before).then_some(())).await;
    let line = rig.server.admin().lines().await.unwrap().value.data.remove(0).line.id;
    rig.kill().await;
    rig.server.admin().take_over_line(line, false).await.unwrap();
    rig.swap();
    rig.online().await;
    // Whoever has seen these has seen what was before them.
    mac.contact(ANN).reacts(&hello, "dislike");
    mac.contact(ANN).edits(&later, "at last");
    let after = ["message.updated at last", "reaction.added dislike"];
    eventually("what is new is told", async || {
        let told = changes(&rig);
        after.iter().all(|one| told.iter().any(|other| other == one)).then_some(())
    })
    .await;
    let mut all = [&before[..], &after[..]].concat();
    all.sort_unstable();
    assert_eq!(changes(&rig), all);
    // The one that has done it knows its own, too.
    rig.swap();
    rig.start().await;
    rig.standby_is_ready().await;
    rig.server.admin().take_over_line(line, false).await.unwrap();
    mac.contact(ANN).reacts(&hello, "emphasis");
    eventually("what is new is told again", async || {
        changes(&rig).iter().any(|one| one.ends_with("emphasize")).then_some(())
    })
    .await;
    assert_eq!(changes(&rig).len(), all.len() + 1, "{:?}", changes(&rig));
    rig.stop().await;
    rig.swap();
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_keeps_only_what_the_server_lacks_and_uploads_nothing_that_it_has() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).writes("hello");
    rig.message(ANN, "hello").await;
    rig.add_standby().await;
    // What was written before it was given the line is history to it.
    rig.standby_is_ready().await;
    mac.contact(ANN).draft("look").file("a.png", b"png").arrive();
    assert_eq!(rig.message(ANN, "look").await.attachments.len(), 1);
    // It has seen both what is told and that it is.
    rig.swap();
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        rig.kill().await;
        let (observed, kept) = journal(rig.data.path()).await;
        if observed >= 1 && kept == 0 {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "it keeps {kept} of {observed}");
        rig.start().await;
        sleep(Duration::from_secs(2)).await;
    }

    mac.contact(ANN).draft("and this").file("b.png", b"png").arrive();
    assert_eq!(rig.message(ANN, "and this").await.attachments.len(), 1);
    assert_eq!(stored_files(&rig.server), 2);
    // The other one observes it when it carries the line already.
    rig.swap();
    rig.kill().await;
    let operator = rig.server.admin();
    let line = operator.lines().await.unwrap().value.data.remove(0).line.id;
    operator.take_over_line(line, true).await.unwrap();
    rig.swap();
    mac.contact(BOB).draft("while nobody looked").file("c.png", b"png").arrive();
    rig.start().await;
    let message = rig.message(BOB, "while nobody looked").await;
    assert_eq!((message.attachments.len(), stored_files(&rig.server)), (1, 3));
    assert_eq!(rig.told("message.received", "text").len(), 4);
    assert_eq!(rig.told("message.updated", "text").len(), 0);
    rig.stop().await;
    rig.server.stop().await;
}

/// How much a bridge that was killed has ever observed, and what it keeps of that.
async fn journal(folder: &Path) -> (i64, i64) {
    let path = folder.join("ledger.db");
    eventually("the ledger can be read", async || {
        let sql = Connection::open(&path).unwrap();
        let one = |query| sql.query_row(query, [], |row| row.get::<_, i64>(0)).ok();
        let observed = one("select coalesce(max(last), 0) from histories")?;
        Some((observed, one("select count(*) from observations")?))
    })
    .await
}

/// The files that the server has, beside the mark that says whose they are.
fn stored_files(server: &TestServer) -> usize {
    let folder = fs::read_dir(server.data_dir().join("files")).unwrap();
    folder.filter(|entry| !entry.as_ref().unwrap().path().ends_with("owner")).count()
}
