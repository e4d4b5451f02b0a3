//! Two bridges of one line: one carries it, the other stands by.

use std::{sync::Arc, time::Duration};

use switchboard_model::{
    Bridge, EventKind, Line, OutboxItem, ReactionType, Timestamp,
    event::{LineStatusEvent, MessageEvent},
    id::Id,
    line::DriverKind,
    link::{Inbound, InboundMessage, InboundReaction, InboundUpdate, LineRole, Outcome, Report},
    message::MessageRef,
    outbox::OutboxStatus,
    secret::SecretHash,
    time::Now,
};
use switchboard_store::{Link, NewContent, NewLine, Refusal, SettleReport, Store, TakeOver};

use crate::{
    own::own_in,
    world::{
        ANN, BOB, LEASE, NOW, World, chat_with, data, handle, kinds, later, new_line, refusal,
        sent, text_from,
    },
};

/// A line with two bridges, both linked.
struct Pair {
    world: World,
    active: Link,
    standby: Link,
}

impl Pair {
    async fn new(store: &Arc<dyn Store>) -> Self {
        let mut world = World::new(Arc::clone(store)).await;
        let (one, other) = (mac(store, 5).await, mac(store, 6).await);
        let line = NewLine {
            driver: DriverKind::Imsg,
            bridge_id: Some(one),
            standby_bridge_id: Some(other),
            ..new_line(world.account, "+15550100003")
        };
        world.line = store.create_line(line).await.unwrap().line.id;
        let active = store.open_link(one, LEASE).await.unwrap().link;
        let standby = store.open_link(other, LEASE).await.unwrap().link;
        world.link = active;
        Self { world, active, standby }
    }

    fn places(&self) -> TakeOver {
        TakeOver { line: self.world.line, from: self.active.bridge, to: self.standby.bridge }
    }

    /// The standby carries the line from now on.
    async fn take_over(&mut self) {
        let done = self.world.store.take_over(self.places(), NOW).await.unwrap();
        assert!(done.is_some());
        std::mem::swap(&mut self.active, &mut self.standby);
        self.world.link = self.active;
    }

    async fn says(&self, link: Link, online: bool, now: Timestamp) -> Vec<EventKind> {
        let said = self.world.store.line_status(link, self.world.line, online, None, now).await;
        kinds(&said.unwrap())
    }

    async fn due(&self, now: Timestamp) -> Vec<TakeOver> {
        self.world.store.to_take_over(Now::from(now), Duration::from_secs(30)).await.unwrap()
    }

    async fn tells(&self, link: Link, position: &str, entries: Vec<Inbound>) -> Vec<EventKind> {
        let (store, line) = (&self.world.store, self.world.line);
        let told = store.receive(link, line, position.into(), entries, NOW).await.unwrap();
        kinds(&told.committed)
    }

    async fn reports(&self, link: Link, id: Id<OutboxItem>, outcome: Outcome) -> Vec<EventKind> {
        let report = SettleReport { id, outcome, counts_as_attempt: false };
        kinds(&self.world.store.settle(link, vec![report], NOW).await.unwrap())
    }

    /// What a bridge is to the line, and its place in it.
    async fn carried(&self, link: Link) -> (LineRole, Option<String>) {
        let lines = self.world.store.carried_lines(link.bridge).await.unwrap();
        let line = lines.into_iter().find(|one| one.id == self.world.line).unwrap();
        (line.role, line.position)
    }
}

async fn mac(store: &Arc<dyn Store>, number: u8) -> Id<Bridge> {
    let token = SecretHash([number; 32]);
    let made = store.create_bridge(format!("mac {number}"), DriverKind::Imsg, token, NOW);
    made.await.unwrap().id
}

pub(crate) async fn a_standby_is_another_bridge_of_the_same_driver(store: Arc<dyn Store>) {
    let pair = Pair::new(&store).await;
    let line = pair.world.line;
    let (active, standby) = (pair.active.bridge, pair.standby.bridge);
    let android = store
        .create_bridge("phone".into(), DriverKind::AndroidSms, SecretHash([7; 32]), NOW)
        .await
        .unwrap();
    for (bridge, refused) in [
        (Id::generate(), Refusal::BridgeNotFound),
        (android.id, Refusal::BridgeOfAnotherDriver),
        (active, Refusal::StandbyCarries),
    ] {
        assert_eq!(refusal(store.set_standby(line, Some(bridge)).await), refused);
    }
    assert_eq!(refusal(store.set_standby(Id::generate(), None).await), Refusal::LineNotFound);
    let alone =
        NewLine { driver: DriverKind::Imsg, ..new_line(pair.world.account, "+15550100004") };
    let alone = store.create_line(alone).await.unwrap().line.id;
    assert_eq!(refusal(store.set_standby(alone, Some(standby)).await), Refusal::StandbyCarries);
    assert_eq!(store.set_standby(line, None).await.unwrap().standby_bridge_id, None);
    assert!(store.carried_lines(standby).await.unwrap().is_empty());
    let again = store.set_standby(line, Some(standby)).await.unwrap();
    assert_eq!((again.bridge_id, again.standby_bridge_id), (Some(active), Some(standby)));
    assert_eq!(pair.carried(pair.standby).await, (LineRole::Standby, None));
}

pub(crate) async fn of_two_who_take_over_one_does(store: Arc<dyn Store>) {
    let mut pair = Pair::new(&store).await;
    let places = pair.places();
    pair.take_over().await;
    assert!(store.take_over(places, NOW).await.unwrap().is_none());
    let none: TakeOver = TakeOver { line: Id::<Line>::generate(), ..pair.places() };
    assert!(store.take_over(none, NOW).await.unwrap().is_none());
    assert_eq!(pair.carried(pair.active).await.0, LineRole::Active);
    assert_eq!(pair.carried(pair.standby).await.0, LineRole::Standby);
    // What the one before it still tells is refused, and it is handed nothing.
    let told = store.receive(pair.standby, pair.world.line, "9".into(), vec![], NOW).await;
    assert_eq!(refusal(told), Refusal::LineNotFound);
    pair.world.accept(ANN, "hello").await;
    let line = pair.world.line;
    assert!(store.claim(pair.standby, line, vec![], 9, LEASE).await.unwrap().is_empty());
    assert_eq!(store.claim(pair.active, line, vec![], 9, LEASE).await.unwrap().len(), 1);
}

pub(crate) async fn a_standby_takes_over_when_the_other_was_away_for_long(store: Arc<dyn Store>) {
    let mut pair = Pair::new(&store).await;
    let now = |seconds: i64| later(seconds * 1000);
    // Only the bridge that carries the line says how it is.
    assert_eq!(pair.says(pair.active, true, now(0)).await, [EventKind::LineStatus]);
    assert!(pair.says(pair.standby, true, now(0)).await.is_empty());
    assert!(pair.due(now(0)).await.is_empty());
    assert_eq!(pair.says(pair.active, false, now(1)).await, [EventKind::LineStatus]);
    assert!(pair.due(now(30)).await.is_empty(), "not before its time");
    assert_eq!(pair.due(now(31)).await, [pair.places()]);
    // Not by one that could not carry it, nor by one that is gone.
    pair.says(pair.standby, false, now(31)).await;
    assert!(pair.due(now(31)).await.is_empty());
    pair.says(pair.standby, true, now(31)).await;
    assert!(pair.due(LEASE).await.is_empty(), "the lease of its link is over");
    store.extend_claims(pair.standby, later(10_000_000)).await.unwrap();
    assert_eq!(pair.due(LEASE).await, [pair.places()]);
    pair.take_over().await;
    // The one that came back must be away for as long.
    assert!(pair.says(pair.standby, true, now(32)).await.is_empty());
    assert!(pair.due(now(29)).await.is_empty());
    // A bridge whose server died has said nothing of its lines.
    assert_eq!(pair.says(pair.active, true, now(32)).await, [EventKind::LineStatus]);
    store.extend_claims(pair.standby, later(30_000_000)).await.unwrap();
    assert!(pair.due(later(10_029_999)).await.is_empty());
    assert_eq!(pair.due(later(10_030_000)).await, [pair.places()]);
}

pub(crate) async fn a_line_whose_standby_is_not_ready_goes_down(store: Arc<dyn Store>) {
    let pair = Pair::new(&store).await;
    pair.says(pair.active, true, NOW).await;
    let done = store.take_over(pair.places(), later(1)).await.unwrap().unwrap();
    assert_eq!(kinds(&done), [EventKind::LineStatus]);
    assert!(!data::<LineStatusEvent>(&done.events[0]).online);
}

pub(crate) async fn a_standby_is_ready_while_it_is_linked_and_says_so(store: Arc<dyn Store>) {
    let pair = Pair::new(&store).await;
    let ready = async |steady| {
        let lines = store.operator_lines(steady).await.unwrap();
        lines.into_iter().find(|one| one.line.id == pair.world.line).unwrap().standby_ready
    };
    assert_eq!(ready(NOW).await, Some(false), "it has said nothing");
    pair.says(pair.standby, true, NOW).await;
    assert_eq!(ready(NOW).await, Some(true));
    assert_eq!(ready(LEASE).await, Some(false), "the lease of its link is over");
    pair.says(pair.standby, false, NOW).await;
    assert_eq!(ready(NOW).await, Some(false));
    pair.says(pair.standby, true, NOW).await;
    store.revoke_bridge(pair.standby.bridge, NOW).await.unwrap();
    assert_eq!(ready(NOW).await, Some(false));
    store.set_standby(pair.world.line, None).await.unwrap();
    assert_eq!(ready(NOW).await, None);
}

pub(crate) async fn a_standby_hears_what_is_known(store: Arc<dyn Store>) {
    let pair = Pair::new(&store).await;
    let line = pair.world.line;
    let long = "g".repeat(10_000);
    let asked = || vec!["g1".to_owned(), "g2".to_owned(), long.clone()];
    pair.tells(pair.active, "1", vec![text_from(ANN, "g1"), text_from(ANN, &long)]).await;
    pair.says(pair.active, true, NOW).await;
    for link in [pair.active, pair.standby] {
        let history = store.known_history(link.bridge, line, asked()).await.unwrap();
        assert!(history.online);
        assert_eq!(history.known, [("g1".to_owned(), 0), (long.clone(), 0)]);
    }
    // Of a message that was taken back no file is missing.
    let Inbound::Message(message) = text_from(ANN, "g1") else { unreachable!() };
    let unsent = InboundUpdate { unsent_at: Some(NOW), ..InboundUpdate::of(message.chat, "g1") };
    pair.tells(pair.active, "2", vec![Inbound::Update(unsent)]).await;
    pair.says(pair.active, false, later(1)).await;
    let history = store.known_history(pair.standby.bridge, line, asked()).await.unwrap();
    assert!(!history.online && history.known[0].1 > 100);
    // Nobody else's.
    let other = mac(&store, 7).await;
    let refused = store.known_history(other, line, asked()).await;
    assert_eq!(refusal(refused), Refusal::LineNotFound);
}

pub(crate) async fn nothing_overtakes_what_the_bridge_before_holds(store: Arc<dyn Store>) {
    let mut pair = Pair::new(&store).await;
    let ids = [
        pair.world.accept(ANN, "one").await,
        pair.world.accept(ANN, "two").await,
        pair.world.accept(BOB, "three").await,
    ];
    assert_eq!(pair.world.claim(2).await, ids[..2]);
    pair.take_over().await;
    let next = pair.world.accept(ANN, "four").await;
    assert_eq!(pair.world.claim(9).await, ids[2..], "another chat goes on");
    // Given back by the one that held it: the one after it may yet be under way.
    pair.reports(pair.standby, ids[0], Outcome::Released).await;
    assert!(pair.world.claim(9).await.is_empty());
    assert_eq!(pair.reports(pair.standby, ids[1], sent("g2")).await, [EventKind::MessageSent]);
    assert_eq!(pair.world.claim(9).await, [ids[0], next]);
}

pub(crate) async fn the_truth_comes_from_either_bridge(store: Arc<dyn Store>) {
    let mut pair = Pair::new(&store).await;
    let id = pair.world.claimed(ANN, "hello").await;
    let lost = pair.world.claimed(BOB, "hello").await;
    pair.take_over().await;
    let failed = store.expire(LEASE.into(), 10).await.unwrap();
    assert_eq!(kinds(&failed), [EventKind::MessageFailed; 2]);
    let resolve = async |link, id, guid| {
        let reports = vec![Report { id, outcome: sent(guid) }];
        kinds(&store.resolve(link, reports, NOW).await.unwrap())
    };
    assert_eq!(resolve(pair.standby, id, "g1").await, [EventKind::MessageSent]);
    assert_eq!(resolve(pair.active, lost, "g2").await, [EventKind::MessageSent]);
    assert!(resolve(pair.active, id, "g1").await.is_empty());
    let stranger = store.open_link(mac(&store, 8).await, LEASE).await.unwrap().link;
    let other = pair.world.claimed(ANN, "again").await;
    pair.reports(pair.active, other, Outcome::Unknown).await;
    assert!(resolve(stranger, other, "g3").await.is_empty());
    assert_eq!(pair.world.item(other).await.status, OutboxStatus::Failed);
}

pub(crate) async fn what_both_have_seen_is_told_once(store: Arc<dyn Store>) {
    let mut pair = Pair::new(&store).await;
    let received = EventKind::MessageReceived;
    assert_eq!(pair.tells(pair.active, "a7", vec![text_from(ANN, "in 1")]).await, [received]);
    // Reported before the other bridge tells of it.
    let first = pair.world.claimed(ANN, "text").await;
    assert_eq!(pair.reports(pair.active, first, sent("out 1")).await, [EventKind::MessageSent]);
    let second = pair.world.claimed(ANN, "text").await;
    pair.take_over().await;
    assert_eq!(pair.carried(pair.active).await, (LineRole::Active, None));
    let seen = vec![
        text_from(ANN, "in 1"),
        own_in(chat_with(ANN), "out 1"),
        own_in(chat_with(ANN), "out 2"),
        text_from(ANN, "in 2"),
    ];
    let told = pair.tells(pair.active, "b4", seen.clone()).await;
    assert_eq!(told, [EventKind::MessageSent, received], "only what was not known");
    assert_eq!(pair.carried(pair.active).await.1.as_deref(), Some("b4"));
    assert_eq!(pair.carried(pair.standby).await.1.as_deref(), Some("a7"));
    // Reported after it: the same message, which is the item's from now on.
    let report = SettleReport { id: second, outcome: sent("out 2"), counts_as_attempt: false };
    let settled = store.settle(pair.standby, vec![report], NOW).await.unwrap();
    let told: MessageEvent = data(&settled.events[0]);
    assert_eq!((told.message.guid.as_str(), told.message.outbox_id), ("out 2", Some(second)));
    let item = pair.world.item(second).await;
    assert_eq!((item.status, item.message_id), (OutboxStatus::Sent, Some(told.message.id)));
    assert!(pair.tells(pair.active, "b5", seen).await.is_empty());
    assert_eq!(crate::own::messages(&pair.world, ANN).await.len(), 4);
}

/// The line's own reaction to the message "g1", as its history tells it.
fn own_reaction(guid: &str, reaction_type: ReactionType, added: bool, at: i64) -> Inbound {
    Inbound::Reaction(InboundReaction {
        guid: guid.into(),
        chat: chat_with(ANN),
        message_guid: "g1".into(),
        sender: handle("+15550100003"),
        reaction_type,
        added,
        sent_at: later(at),
    })
}

fn gives(reaction_type: ReactionType, remove: bool) -> NewContent {
    NewContent::Reaction { message: MessageRef::Guid("g1".into()), reaction_type, remove }
}

pub(crate) async fn a_reaction_of_the_lines_own_is_told_once(store: Arc<dyn Store>) {
    use EventKind::{ReactionAdded as Added, ReactionRemoved as Removed};
    use ReactionType::{Like, Love};
    let mut pair = Pair::new(&store).await;
    pair.world.advance().await;
    pair.tells(pair.active, "a1", vec![text_from(ANN, "g1")]).await;
    for (kind, remove, at, told) in [
        (Love, false, 10, vec![Added]),
        (Like, false, 20, vec![Removed, Added]),
        (Like, true, 30, vec![Removed]),
        (Like, false, 40, vec![Added]),
    ] {
        assert_eq!(kinds(&pair.world.do_now(ANN, gives(kind, remove), later(at)).await), told);
    }
    // What the owner gives elsewhere comes from either.
    let elsewhere = own_reaction("r5", Love, true, 50);
    assert_eq!(pair.tells(pair.active, "a2", vec![elsewhere.clone()]).await, [Removed, Added]);
    let held = pair.world.try_write(ANN, gives(Like, false)).await.unwrap().id;
    assert_eq!(pair.world.claim(1).await, [held]);
    pair.take_over().await;
    let seen = vec![
        text_from(ANN, "g1"),
        own_reaction("r1", Love, true, 11),
        own_reaction("r2", Like, true, 22),
        own_reaction("r3", Like, false, 33),
        own_reaction("r4", Like, true, 44),
        elsewhere,
    ];
    assert!(pair.tells(pair.active, "b1", seen.clone()).await.is_empty());
    assert!(pair.tells(pair.active, "b1", seen).await.is_empty(), "nor a second time");
    // What the one before holds is seen before it is reported: it is no second one then.
    let told = pair.tells(pair.active, "b2", vec![own_reaction("r6", Like, true, 66)]).await;
    assert_eq!(told, [Removed, Added]);
    let done = Outcome::Done { at: later(70) };
    assert!(pair.reports(pair.standby, held, done).await.is_empty());
    assert_eq!(pair.world.item(held).await.status, OutboxStatus::Sent);
    // Each counts for one: what is given after it is new.
    let again = own_reaction("r7", Like, true, 77);
    assert_eq!(pair.tells(pair.active, "b3", vec![again]).await, [Added]);
}

pub(crate) async fn only_the_other_bridge_says_the_same_again(store: Arc<dyn Store>) {
    use EventKind::{ReactionAdded as Added, ReactionRemoved as Removed};
    use ReactionType::Love;
    let mut pair = Pair::new(&store).await;
    pair.world.advance().await;
    pair.tells(pair.active, "a1", vec![text_from(ANN, "g1")]).await;
    pair.world.do_now(ANN, gives(Love, false), later(10)).await;
    // It knows its own: what it tells is the owner's.
    let taken = own_reaction("r1", Love, false, 20);
    assert_eq!(pair.tells(pair.active, "a2", vec![taken]).await, [Removed]);
    let given = own_reaction("r2", Love, true, 30);
    assert_eq!(pair.tells(pair.active, "a3", vec![given]).await, [Added]);
    pair.take_over().await;
    // Long after it nothing is the same.
    let late = own_reaction("r3", Love, true, 700_000);
    assert_eq!(pair.tells(pair.active, "b1", vec![late]).await, [Added]);
    let echo = own_reaction("r4", Love, true, 11);
    assert!(pair.tells(pair.active, "b2", vec![echo]).await.is_empty());
}

pub(crate) async fn a_bridge_that_is_given_a_line_hears_since_when_all_is_not_known(
    store: Arc<dyn Store>,
) {
    let pair = Pair::new(&store).await;
    let since = async |link: Link| {
        let lines = pair.world.store.carried_lines(link.bridge).await.unwrap();
        lines.into_iter().find(|one| one.id == pair.world.line).unwrap().since
    };
    let day = Duration::from_secs(24 * 60 * 60);
    // Nobody ever had it.
    assert_eq!(since(pair.standby).await, None);
    let began = NOW - day * 10;
    pair.says(pair.active, true, began).await;
    assert_eq!(since(pair.standby).await, Some(began));
    // What says when it was written counts, and no clock that is ahead.
    let written = |guid: &str, at: Timestamp| match text_from(ANN, guid) {
        Inbound::Message(message) => Inbound::Message(InboundMessage { sent_at: at, ..message }),
        other => other,
    };
    pair.tells(pair.active, "1", vec![written("a", began + day / 2)]).await;
    assert_eq!(since(pair.standby).await, Some(began), "nothing from before it began");
    let told = began + day * 5;
    pair.tells(pair.active, "2", vec![written("b", told), written("late", told - day)]).await;
    assert_eq!(since(pair.standby).await, Some(told - day));
    pair.tells(pair.active, "3", vec![written("older", began)]).await;
    let read = Inbound::Update(InboundUpdate::of(chat_with(ANN), "b"));
    pair.tells(pair.active, "4", vec![read]).await;
    for link in [pair.active, pair.standby] {
        assert_eq!(since(link).await, Some(told - day));
    }
    pair.tells(pair.active, "5", vec![written("ahead", NOW + day)]).await;
    assert_eq!(since(pair.standby).await, Some(NOW - day));
}
