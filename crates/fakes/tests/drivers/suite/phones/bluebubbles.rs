//! Behind a Mac with BlueBubbles.

use switchboard_fakes::bluebubbles::{Incoming, SendFault, Server};

use super::{Phones, Sample, Shown, ShownFile};

#[async_trait::async_trait]
impl Phones for Server {
    async fn writes(&self, from: &str, text: &str) {
        self.contact_writes(from, text);
    }

    async fn shown(&self, person: &str) -> Vec<Shown> {
        let shown = self.received_by(person).into_iter().map(|one| Shown {
            guid: one.guid,
            text: one.text.unwrap_or_default().replace('\u{fffc}', ""),
            files: one.files.iter().map(|file| ShownFile::new(&file.name, &file.bytes)).collect(),
            reply_to: one.reply_to,
            is_group: one.chat.contains(";+;"),
            is_audio: one.is_audio,
        });
        shown.collect()
    }

    async fn replies(&self, from: &str, guid: &str, text: &str) -> bool {
        self.receive(from, Incoming::text(text).reply_to(guid));
        true
    }

    async fn sends_file(&self, from: &str, file: Sample) -> bool {
        self.receive(from, Incoming::file(file.name, file.mime_type, file.bytes));
        true
    }

    async fn sends_memo(&self, from: &str, memo: Sample) -> bool {
        self.receive(from, Incoming::file(memo.name, memo.mime_type, memo.bytes).audio());
        true
    }

    async fn reacts(&self, from: &str, guid: &str, reaction: &str, add: bool) -> bool {
        let minus = if add { "" } else { "-" };
        self.contact_reacts(from, guid, &format!("{minus}{reaction}")).is_some()
    }

    async fn reactions_on(&self, _person: &str, _guid: &str) -> Vec<String> {
        // Tests react to one message.
        let done = self.carried_out().into_iter().rfind(|one| one.kind == "reaction");
        done.map(|one| one.text).filter(|text| !text.starts_with('-')).into_iter().collect()
    }

    async fn types(&self, from: &str, on: bool) -> bool {
        self.contact_types(from, on);
        true
    }

    async fn sees_typing(&self, person: &str) -> bool {
        self.shows_typing(person)
    }

    async fn sees_read(&self, person: &str) -> bool {
        self.shown_as_read(&self.direct_chat(person)) > 0
    }

    async fn delivers(&self, guid: &str) -> bool {
        self.delivered(guid);
        true
    }

    async fn reads(&self, _from: &str, guid: &str) -> bool {
        self.read_by_contact(guid);
        true
    }

    async fn next_fails_later(&self) -> bool {
        true
    }

    async fn fails_later(&self, guid: &str) {
        self.fails(guid, 22);
    }

    async fn edits(&self, guid: &str, text: &str) -> bool {
        self.edit(guid, text);
        true
    }

    async fn unsends(&self, guid: &str) -> bool {
        self.unsend(guid);
        true
    }

    async fn owner_writes(&self, to: &str, text: &str) -> bool {
        Server::owner_writes(self, &self.direct_chat(to), text);
        true
    }

    async fn group(&self, name: &str, people: &[&str]) -> Option<String> {
        Some(Server::group(self, people, Some(name)))
    }

    async fn writes_in(&self, group: &str, from: &str, text: &str) {
        self.receive(from, Incoming::text(text).chat(group));
    }

    async fn away(&self, away: bool) {
        if away { self.stop().await } else { self.start_again().await.unwrap() }
    }

    /// Who is not on iMessage gets nothing.
    async fn refuse_next(&self, to: &str) {
        self.available(to, false);
    }

    async fn lose_next(&self) -> bool {
        self.fail_send(SendFault::NoRow { sent: true });
        true
    }
}
