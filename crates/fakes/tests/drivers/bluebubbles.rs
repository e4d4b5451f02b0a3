//! What only a line on a Mac with BlueBubbles does; the rest is in [`crate::suite`], where the server has a webhook to tell of news.

use switchboard_model::outbox::OutboxStatus;
use switchboard_testkit::eventually;

use crate::rig::{ANN, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_webhook_news_are_looked_for() {
    for private_api in [true, false] {
        let (mut rig, mac) = Rig::bluebubbles(|mac| mac.private_api = private_api).await;
        let guid = mac.contact_writes(ANN, "Are you open?").guid;
        assert_eq!(rig.message(ANN, "Are you open?").await.guid, guid);
        let item = rig.sent(ANN, "We open at nine.").await;
        assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
        let sent = rig.message(ANN, "We open at nine.").await;
        mac.read_by_contact(&sent.guid);
        eventually("it is read", async || rig.message(ANN, "We open at nine.").await.read_at).await;
        let own = mac.owner_writes(&mac.received_by(ANN)[0].chat, "from my telephone");
        assert_eq!(rig.message(ANN, "from my telephone").await.guid, own.guid);
        assert_eq!(rig.messages(ANN).await.len(), 3);
        assert_eq!(rig.told("message.received", "guid"), [guid]);
        rig.stop().await;
        rig.server.stop().await;
    }
}
