//! Two bridges for one line, each with a ledger of its own, on Macs of one Apple ID: whichever carries it, whenever the other dies,
//! nothing is lost and nothing is twice.

use std::time::Duration;

use switchboard_fakes::imsg::Settings;
use switchboard_testkit::eventually;
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
        operator.take_over_line(line).await.unwrap();
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
