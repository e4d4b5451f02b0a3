use std::sync::Arc;

use switchboard_model::{
    Account, EventKind, Handle, Line, ReactionType, Timestamp,
    chat::Recipient,
    event::MessageEvent,
    id::Id,
    link::{Inbound, InboundMessage, InboundReaction, InboundRead, InboundTyping, InboundUpdate},
    message::MessageRef,
    sandbox::{DAILY_LIMIT, SandboxStatus, end_of_day},
};
use switchboard_store::{
    Accept, Accepted, EventPosition, NewContent, NewLine, NewWebhook, Refusal, Result, Store,
};

use crate::world::{
    ANN, BOB, NOW, World, chat_with, contact, data, group, handle, later, limit, new_line, refusal,
    sent, take, text_from, text_in,
};

pub(crate) const CODE: &str = "ABCDEFGH";
pub(crate) const OTHER_CODE: &str = "JKLMNPQR";

/// A world whose line is the sandbox line, which is nobody's of the two accounts.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) owner: Id<Account>,
}

pub(crate) fn text(sender: &str, guid: &str, text: &str) -> Inbound {
    let Inbound::Message(message) = text_from(sender, guid) else { unreachable!() };
    Inbound::Message(InboundMessage { text: Some(text.into()), ..message })
}

pub(crate) fn message() -> NewContent {
    NewContent::Message { text: Some("x".into()), attachment: None, reply_to: None }
}

impl Shared {
    pub(crate) async fn new(store: Arc<dyn Store>) -> Self {
        let mut world = World::new(Arc::clone(&store)).await;
        let owner = store.create_account("Sandbox".into(), NOW).await.unwrap().id;
        // Contact-first says nothing here.
        let line =
            NewLine { is_sandbox: true, contact_first: true, ..new_line(owner, "+15550199999") };
        world.line = store.create_line(line).await.unwrap().line.id;
        Self { world, store, owner }
    }

    /// Pairs a phone with an account.
    pub(crate) async fn pair(&self, account: Id<Account>, code: &str, phone: &str) {
        self.store.ensure_sandbox(account, code.into(), None, NOW).await.unwrap();
        let guid = format!("code {code} of {phone}");
        self.world.receive_one(text(phone, &guid, code)).await;
        assert_eq!(self.state(account).await, (SandboxStatus::Active, Some(handle(phone))));
    }

    async fn state(&self, account: Id<Account>) -> (SandboxStatus, Option<Handle>) {
        let sandbox = self.store.sandbox(account, NOW).await.unwrap();
        (sandbox.status, sandbox.contact_identifier)
    }

    pub(crate) async fn write(
        &self,
        account: Id<Account>,
        to: Recipient,
        content: NewContent,
        now: Timestamp,
    ) -> Result<Accepted> {
        let accept = Accept { account_id: account, ..self.world.write(to, content) };
        take(self.store.accept(accept, None, now).await)
    }

    /// What an account sees of the line: the guids of its messages there.
    pub(crate) async fn sees(&self, account: Id<Account>) -> Vec<String> {
        let line = self.world.line;
        let mut guids = Vec::new();
        for chat in self.store.chats(account, line, None, limit(100)).await.unwrap().rows {
            let chat = Recipient::Chat(chat.id);
            let page = self.store.messages(account, line, chat, None, limit(100)).await.unwrap();
            guids.extend(page.rows.into_iter().rev().map(|message| message.guid));
        }
        guids
    }
}

pub(crate) async fn there_is_one_line_for_all(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    assert_eq!(store.sandbox_line().await.unwrap(), None);
    let nowhere = store.sandbox(world.account, NOW).await;
    assert_eq!(refusal(nowhere), Refusal::LineNotFound);
    let nowhere = store.ensure_sandbox(world.account, CODE.into(), None, NOW).await;
    assert_eq!(refusal(nowhere), Refusal::LineNotFound);
    let new = |number| NewLine { is_sandbox: true, ..new_line(world.account, number) };
    let line = store.create_line(new("+15550199999")).await.unwrap().line;
    assert!(line.is_sandbox);
    assert_eq!(store.sandbox_line().await.unwrap(), Some(line.clone()));
    let second = store.create_line(new("+15550199998")).await;
    assert_eq!(refusal(second), Refusal::SandboxExists);
    let ids = |lines: Vec<Line>| lines.into_iter().map(|line| line.id).collect::<Vec<_>>();
    // Once also for its owner.
    assert_eq!(ids(store.lines(world.account).await.unwrap()), [world.line, line.id]);
    assert_eq!(ids(store.lines(world.other_account).await.unwrap()), [world.other_line, line.id]);
    let nobody = store.ensure_sandbox(Id::generate(), CODE.into(), None, NOW).await;
    assert_eq!(refusal(nobody), Refusal::AccountNotFound);
}

pub(crate) async fn a_code_that_is_texted_pairs(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let account = shared.world.account;
    assert_eq!(shared.state(account).await, (SandboxStatus::Missing, None));
    for code in [CODE, OTHER_CODE] {
        // The first code stays.
        let sandbox = take(store.ensure_sandbox(account, code.into(), None, NOW).await).unwrap();
        assert_eq!(
            (sandbox.status, sandbox.activation_code.as_deref()),
            (SandboxStatus::Pending, Some(CODE))
        );
        assert_eq!(sandbox.sandbox_line_handle.as_str(), "+15550199999");
        assert_eq!((sandbox.usage.used, sandbox.usage.resets_at), (0, end_of_day(NOW)));
    }
    let wrong = [
        text(ANN, "g1", "AAAAAAAA"),
        text(ANN, "g2", "my code is ABCDEFGH"),
        // In a group others read along.
        text_in(group("g", &[ANN]), ANN, "g3"),
    ];
    shared.world.receive(wrong.into()).await;
    assert_eq!(shared.state(account).await, (SandboxStatus::Pending, None));
    let paired = shared.world.receive_at(text(ANN, "g4", " abcd-efgh "), later(9)).await;
    let sandbox = store.sandbox(account, NOW).await.unwrap();
    assert_eq!((sandbox.status, sandbox.activation_code), (SandboxStatus::Active, None));
    assert_eq!(
        (sandbox.contact_identifier, sandbox.activated_at),
        (Some(handle(ANN)), Some(later(9)))
    );
    // The text itself is the first of the pair's chat.
    assert_eq!(paired.committed.events[0].account_id, account);
    assert_eq!(shared.sees(account).await, ["g4"]);
    let mut before = shared.sees(shared.owner).await;
    before.sort_unstable();
    assert_eq!(before, ["g1", "g2", "g3"]);
    let chats = store.chats(account, shared.world.line, None, limit(9)).await.unwrap().rows;
    assert!(chats[0].has_received_inbound);
    // Used up: neither another phone nor the same text again does anything.
    shared.world.receive(vec![text(BOB, "g5", CODE), text(BOB, "g4", CODE)]).await;
    assert_eq!(shared.state(account).await, (SandboxStatus::Active, Some(handle(ANN))));
    let again = take(store.ensure_sandbox(account, OTHER_CODE.into(), None, NOW).await).unwrap();
    assert_eq!((again.status, again.activation_code), (SandboxStatus::Active, None));
}

pub(crate) async fn writes_go_to_the_paired_phone_only(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let (account, other) = (shared.world.account, shared.world.other_account);
    let write = async |to| shared.write(account, to, message(), NOW).await;
    assert_eq!(refusal(write(contact(ANN)).await), Refusal::SandboxNotActivated);
    store.ensure_sandbox(account, CODE.into(), None, NOW).await.unwrap();
    assert_eq!(refusal(write(contact(ANN)).await), Refusal::SandboxNotActivated);
    shared.pair(account, CODE, ANN).await;
    shared.pair(other, OTHER_CODE, BOB).await;
    let friends = text_in(group("g", &[ANN]), ANN, "g1");
    let friends = shared.world.receive_one(friends).await.chat_id.unwrap();
    let theirs = store.chats(other, shared.world.line, None, limit(9)).await.unwrap().rows[0].id;
    for wrong in [
        contact(BOB),
        Recipient::Chat(theirs),
        Recipient::Chat(friends),
        Recipient::Chat(Id::generate()),
    ] {
        assert_eq!(refusal(write(wrong).await), Refusal::SandboxContactMismatch);
    }
    // Nor may the line's owner write to whom it likes.
    let owners = shared.write(shared.owner, contact(ANN), message(), NOW).await;
    assert_eq!(refusal(owners), Refusal::SandboxNotActivated);
    let accepted = write(contact(ANN)).await.unwrap();
    assert_eq!(write(Recipient::Chat(accepted.chat_id)).await.unwrap().chat_id, accepted.chat_id);
    let item = store.outbox_item(account, accepted.id).await.unwrap().unwrap();
    assert_eq!(item.line_id, shared.world.line);
    assert_eq!(store.outbox_item(shared.owner, accepted.id).await.unwrap(), None);
    // What came of it is the account's, not the line's owner's.
    assert_eq!(shared.world.claim(1).await, [accepted.id]);
    let told = shared.world.settle(accepted.id, sent("s1")).await;
    assert_eq!(told.events[0].account_id, account);
    assert!(shared.sees(account).await.contains(&"s1".into()));
    assert!(!shared.sees(shared.owner).await.contains(&"s1".into()));
}

pub(crate) async fn a_phone_is_paired_with_one_account_at_a_time(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let (account, other) = (shared.world.account, shared.world.other_account);
    shared.pair(account, CODE, ANN).await;
    let old = shared.world.receive_one(text_from(ANN, "old")).await;
    shared.pair(other, OTHER_CODE, ANN).await;
    assert_eq!(shared.state(account).await, (SandboxStatus::Missing, None));
    let write = shared.write(account, contact(ANN), message(), NOW).await;
    assert_eq!(refusal(write), Refusal::SandboxNotActivated);
    let new = shared.world.receive_one(text_from(ANN, "new")).await;
    assert_ne!(old.chat_id, new.chat_id);
    assert!(shared.sees(account).await.is_empty());
    assert_eq!(shared.sees(other).await, [format!("code {OTHER_CODE} of {ANN}"), "new".into()]);
    // What the phone does about the older chat is nobody's any more.
    let reaction = Inbound::Reaction(InboundReaction {
        guid: "r1".into(),
        chat: chat_with(ANN),
        message_guid: "old".into(),
        sender: handle(ANN),
        reaction_type: ReactionType::Love,
        added: true,
        sent_at: NOW,
    });
    let update = Inbound::Update(InboundUpdate {
        unsent_at: Some(NOW),
        ..InboundUpdate::of(chat_with(ANN), "old")
    });
    let received = shared.world.receive(vec![reaction, update]).await;
    assert!(received.committed.events.is_empty());
    assert!(received.results.iter().all(|result| result.message_id.is_none()));
    // Neither sees the other's by id or guid, and a reply does not reach over.
    let found = async |account, message| store.find_messages(account, message).await.unwrap();
    let guid = || MessageRef::Guid("old".into());
    let id = old.message_id.unwrap();
    let line = shared.world.line;
    for nobody in [account, other, shared.owner] {
        assert!(found(nobody, guid()).await.is_empty());
        assert!(found(nobody, MessageRef::Id(id)).await.is_empty());
    }
    let reply =
        NewContent::Message { text: Some("x".into()), attachment: None, reply_to: Some(guid()) };
    let reply = shared.write(other, contact(ANN), reply, NOW).await;
    assert_eq!(refusal(reply), Refusal::MessageNotFound);
    let chat = Recipient::Chat(old.chat_id.unwrap());
    let asked = store.messages(other, line, chat.clone(), None, limit(9)).await;
    assert_eq!(refusal(asked), Refusal::ChatNotFound);
    assert_eq!(refusal(store.typing(other, line, chat.clone(), NOW).await), Refusal::ChatNotFound);
    assert_eq!(refusal(store.receipts(other, line, chat).await), Refusal::ChatNotFound);
}

pub(crate) async fn a_reset_ends_the_pairing(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let account = shared.world.account;
    shared.pair(account, CODE, ANN).await;
    shared.write(account, contact(ANN), message(), NOW).await.unwrap();
    let (sandbox, _) = store.reset_sandbox(account, OTHER_CODE.into(), NOW).await.unwrap();
    assert_eq!(
        (sandbox.status, sandbox.activation_code.as_deref()),
        (SandboxStatus::Pending, Some(OTHER_CODE))
    );
    assert_eq!((sandbox.contact_identifier, sandbox.activated_at), (None, None));
    // A new code is no way round the quota.
    assert_eq!(sandbox.usage.used, 1);
    // The phone is nobody's now.
    let received = shared.world.receive(vec![text_from(ANN, "later")]).await;
    assert_eq!(received.committed.events[0].account_id, shared.owner);
    assert_eq!(shared.sees(shared.owner).await, ["later"]);
    // Paired again, it goes on where it was.
    let told = shared.world.receive_one(text(ANN, "again", OTHER_CODE)).await;
    assert_eq!(shared.sees(account).await.last().map(String::as_str), Some("again"));
    assert_eq!(
        shared.write(account, contact(ANN), message(), NOW).await.unwrap().chat_id,
        told.chat_id.unwrap()
    );
}

pub(crate) async fn the_quota_ends_at_midnight_utc(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let (account, other) = (shared.world.account, shared.world.other_account);
    shared.pair(account, CODE, ANN).await;
    shared.pair(other, OTHER_CODE, BOB).await;
    shared.world.advance().await;
    let midnight = end_of_day(NOW);
    let last = Timestamp(midnight.0 - 1);
    let write = async |content, now| shared.write(account, contact(ANN), content, now).await;
    let used = async |now| {
        let usage = store.sandbox(account, now).await.unwrap().usage;
        (usage.used, usage.remaining, usage.resets_at)
    };
    let love = |guid: &str| NewContent::Reaction {
        message: MessageRef::Guid(guid.into()),
        reaction_type: ReactionType::Love,
        remove: false,
    };
    let code = format!("code {CODE} of {ANN}");
    write(love(&code), last).await.unwrap();
    // What is refused does not count, nor what stays on nobody's phone.
    assert_eq!(refusal(write(love("nothing"), last).await), Refusal::MessageNotFound);
    write(NewContent::Typing { on: true }, last).await.unwrap();
    write(NewContent::Read, last).await.unwrap();
    assert_eq!(used(last).await, (1, DAILY_LIMIT - 1, midnight));
    for _ in 1..DAILY_LIMIT {
        write(message(), last).await.unwrap();
    }
    assert_eq!(used(last).await, (DAILY_LIMIT, 0, midnight));
    assert_eq!(refusal(write(message(), last).await), Refusal::SandboxQuotaExceeded);
    assert_eq!(refusal(write(love("nothing"), last).await), Refusal::SandboxQuotaExceeded);
    let stranger = shared.write(account, contact(BOB), message(), last).await;
    assert_eq!(refusal(stranger), Refusal::SandboxContactMismatch);
    write(NewContent::Read, last).await.unwrap();
    // Each account has its own.
    shared.write(other, contact(BOB), message(), last).await.unwrap();
    assert_eq!(used(midnight).await, (0, DAILY_LIMIT, end_of_day(midnight)));
    write(message(), midnight).await.unwrap();
    assert_eq!(used(midnight).await.0, 1);
}

pub(crate) async fn events_are_the_paired_accounts(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let (account, other) = (shared.world.account, shared.world.other_account);
    let hook = async |account_id, line_ids| {
        let new = NewWebhook {
            account_id,
            line_ids,
            ..shared.world.new_webhook(&[EventKind::MessageReceived, EventKind::TypingStarted])
        };
        take(store.create_webhook(new, None, NOW).await).unwrap()
    };
    let own = store.lines(account).await.unwrap()[0].id;
    let all = hook(account, None).await;
    assert_eq!(all.line_ids, [own, shared.world.line]);
    let named = hook(account, Some(vec![shared.world.line])).await.id;
    hook(account, Some(vec![own])).await;
    let theirs = hook(other, None).await.id;
    let owners = hook(shared.owner, None).await.id;
    shared.pair(account, CODE, ANN).await;
    shared.pair(other, OTHER_CODE, BOB).await;
    let went = async |entry| {
        let committed = shared.world.receive(vec![entry]).await.committed;
        let hooks: Vec<_> = committed.deliveries.iter().map(|one| one.webhook_id).collect();
        (committed.events[0].account_id, hooks)
    };
    let typing = |who| {
        let (chat, handle) = (chat_with(who), handle(who));
        Inbound::Typing(InboundTyping { chat, handle, is_typing: true, at: NOW })
    };
    let ours = (account, vec![all.id, named]);
    assert_eq!(went(text_from(ANN, "g1")).await, ours);
    assert_eq!(went(typing(ANN)).await, ours);
    assert_eq!(went(typing(BOB)).await, (other, vec![theirs]));
    assert_eq!(went(text_from("+15550133333", "g2")).await, (shared.owner, vec![owners]));
    let in_group = text_in(group("g", &[ANN]), ANN, "g3");
    assert_eq!(went(in_group).await, (shared.owner, vec![owners]));
    let lines = Some(vec![shared.world.line]);
    let kinds = EventKind::ALL.to_vec();
    let after =
        store.events_after(account, EventPosition::START, lines, kinds, 100).await.unwrap().events;
    assert!(after.iter().all(|event| event.account_id == account));
    let told: MessageEvent = data(&after[1]);
    assert_eq!((after.len(), told.message.guid.as_str()), (3, "g1"));
    // An indicator that ends by itself is told to the same.
    let over = store.expire_typing(later(100_000), 10).await.unwrap();
    let mut accounts: Vec<_> = over.events.iter().map(|event| event.account_id).collect();
    accounts.sort_unstable();
    let mut both = [account, other];
    both.sort_unstable();
    assert_eq!(accounts, both);
}

pub(crate) async fn receipts_and_files_follow_the_pairing(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let (account, other) = (shared.world.account, shared.world.other_account);
    shared.pair(account, CODE, ANN).await;
    let file = switchboard_model::file::StoredFile {
        id: Id::generate(),
        filename: None,
        mime_type: "image/png".into(),
        size: 3,
        content: switchboard_model::file::ContentHash([1; 32]),
        created_at: NOW,
    };
    let line = shared.world.line;
    store.create_bridge_file(shared.world.bridge, line, file.clone()).await.unwrap();
    assert_eq!(store.file(account, None, file.id).await.unwrap(), None);
    let picture = |sender, guid| {
        let Inbound::Message(message) = text_from(sender, guid) else { unreachable!() };
        let linked = switchboard_model::link::LinkedFile {
            file_id: file.id,
            filename: None,
            mime_type: "image/png".into(),
            size: 3,
            transcription: None,
            original: None,
        };
        Inbound::Message(InboundMessage { attachments: vec![linked], ..message })
    };
    shared.world.receive_one(picture(ANN, "g1")).await;
    assert_eq!(store.file(account, None, file.id).await.unwrap(), Some(file.clone()));
    assert_eq!(store.file(shared.owner, None, file.id).await.unwrap(), None);
    let read = InboundRead { chat: chat_with(ANN), handle: handle(ANN), at: NOW };
    shared.world.receive_one(Inbound::Read(read)).await;
    assert_eq!(store.receipts(account, line, contact(ANN)).await.unwrap().len(), 1);
    // Told of again by another account's phone, the file stays where it is.
    shared.pair(other, OTHER_CODE, BOB).await;
    shared.world.receive_one(picture(BOB, "g2")).await;
    assert_eq!(store.file(other, None, file.id).await.unwrap(), None);
    assert_eq!(store.file(account, None, file.id).await.unwrap(), Some(file));
}
