//! Groups, and that nothing of them is ever taken for a chat with one.

use switchboard_fakes::bluebubbles::Incoming;
use switchboard_model::link::{Inbound, InboundChat};

use crate::rig::{ANN, BOB, Rig};

const CARL: &str = "+15550100003";

fn groups(told: &[Inbound]) -> Vec<(String, Option<String>, Vec<String>)> {
    let group = |one: &Inbound| match one {
        Inbound::Group { chat: InboundChat::Group { identifier, name, participants } } => {
            let mut people: Vec<String> = participants.iter().map(ToString::to_string).collect();
            people.sort();
            Some((identifier.clone(), name.clone(), people))
        }
        _ => None,
    };
    told.iter().filter_map(group).collect()
}

#[tokio::test]
async fn a_group_is_told_with_its_name_and_parties_and_when_they_change() {
    let mut rig = Rig::new().await;
    let group = rig.server.group(&[ANN, BOB], Some("Team"));
    rig.server.receive(ANN, Incoming::text("hi all").chat(&group));
    rig.hears("hi all").await;
    let Inbound::Message(message) = &rig.told[0] else { panic!() };
    let InboundChat::Group { identifier, name, participants } = &message.chat else { panic!() };
    assert_eq!((identifier, name.as_deref()), (&group, Some("Team")));
    assert_eq!((participants.len(), message.sender.as_str()), (2, ANN));
    rig.server.group_renamed(&group, Some(ANN), "Board").unwrap();
    rig.told_until(|told| groups(told).len() == 1).await;
    rig.server.group_added(&group, Some(ANN), CARL).unwrap();
    rig.told_until(|told| groups(told).len() == 2).await;
    rig.server.group_left(&group, BOB).unwrap();
    rig.told_until(|told| groups(told).len() == 3).await;
    let last = groups(&rig.told).pop().unwrap();
    let people = vec![ANN.to_owned(), CARL.to_owned()];
    assert_eq!(last, (group.clone(), Some("Board".to_owned()), people));
    // A picture is no change that anybody is told.
    rig.server.group_icon(&group, Some(ANN), true).unwrap();
    rig.quiet().await;
    assert_eq!(groups(&rig.told).len(), 3);
}

#[tokio::test]
async fn a_group_that_the_server_lists_without_parties_stays_a_group() {
    let mut rig = Rig::new().await;
    let group = rig.server.group(&[ANN, BOB], None);
    rig.server.lose_participants(&group);
    rig.server.receive(ANN, Incoming::text("hi all").chat(&group));
    rig.hears("hi all").await;
    let Inbound::Message(message) = &rig.told[0] else { panic!() };
    assert!(matches!(&message.chat, InboundChat::Group { identifier, .. } if *identifier == group));
}

#[tokio::test]
async fn a_message_to_a_group_is_shown_to_each_once() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        let group = rig.server.group(&[ANN, BOB], Some("Team"));
        let guid = rig.sent(&group, "to all").await;
        for person in [ANN, BOB] {
            let shown = rig.server.received_by(person);
            assert_eq!((shown.len(), &shown[0].chat, &shown[0].guid), (1, &group, &guid));
        }
        rig.quiet().await;
        assert!(rig.own().is_empty());
    }
}
