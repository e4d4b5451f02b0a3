//! Groups.

use serde_json::json;
use switchboard_model::line::Capability;
use switchboard_testkit::eventually;

use super::{Desk, Mode, Seen};
use crate::rig::{ANN, BOB, LINE};

pub(super) async fn a_group_is_a_chat_of_its_own(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "only to you").await;
    let group = desk.phones.group("Team", &[ANN, BOB]).await;
    assert_eq!(group.is_some(), desk.can.sees(Seen::Groups));
    let Some(group) = group else {
        let chats = desk.client().chats(LINE).send().await.unwrap().value.data;
        assert!(chats.iter().all(|chat| chat.is_group == Some(false)));
        assert!(!desk.can.does(Capability::Groups));
        return desk.close().await;
    };
    desk.phones.writes_in(&group, BOB, "hello all").await;
    let chat = eventually("the group is there", async || {
        let chats = desk.client().chats(LINE).send().await.unwrap().value.data;
        chats.into_iter().find(|chat| chat.is_group == Some(true))
    })
    .await;
    assert_eq!(chat.name.as_deref(), Some("Team"));
    let mut parties = chat.participants.unwrap();
    parties.sort();
    assert_eq!(parties, [ANN, BOB]);
    let chat = chat.id.to_string();
    assert_eq!(desk.rig.message(&chat, "hello all").await.sender, BOB);
    if desk.can.does(Capability::Groups) {
        desk.sends(&chat, "hello both").await;
        for person in [ANN, BOB] {
            let shown = desk.phones.shown(person).await;
            assert_eq!((shown.len(), &*shown[0].text), (1, "hello both"), "{person}");
            // The simulator's phones don't say where something stands.
            let simulated = matches!(mode, Mode::Simulator | Mode::SimulatorPlain);
            assert!(shown[0].is_group || simulated, "{person}: {shown:?}");
        }
    } else {
        let body = json!({ "from": LINE, "to": chat, "text": "hello both" });
        desk.is_refused("/v1/messages", body, Capability::Groups).await;
    }
    // Nothing of it is in the chat of two, nor the other way round.
    desk.sends(ANN, "and only to you").await;
    assert!(desk.shown(BOB, "and only to you").await.is_empty());
    assert_eq!(desk.rig.messages(ANN).await.len(), 2);
    assert_eq!(desk.client().chats(LINE).send().await.unwrap().value.data.len(), 2);
    desk.close().await;
}
