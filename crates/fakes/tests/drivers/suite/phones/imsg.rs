//! Behind a Mac with imsg.

use switchboard_fakes::imsg::{Fault, Mac};

use super::{Phones, Sample, Shown, ShownFile};

#[async_trait::async_trait]
impl Phones for Mac {
    async fn writes(&self, from: &str, text: &str) {
        self.contact(from).writes(text);
    }

    async fn shown(&self, person: &str) -> Vec<Shown> {
        let shown = self.received_by(person).into_iter().map(|one| Shown {
            is_audio: one.files.iter().any(|file| file.voice),
            files: one.files.iter().map(|file| ShownFile::new(&file.name, &file.bytes)).collect(),
            guid: one.guid,
            text: one.text,
            reply_to: one.reply_to,
            is_group: one.group,
        });
        shown.collect()
    }

    async fn replies(&self, from: &str, guid: &str, text: &str) -> bool {
        self.contact(from).replies(guid, text);
        true
    }

    async fn sends_file(&self, from: &str, file: Sample) -> bool {
        self.contact(from).sends_file(file.name, file.bytes);
        true
    }

    async fn sends_memo(&self, from: &str, memo: Sample) -> bool {
        self.contact(from).sends_voice_memo(memo.bytes);
        true
    }

    async fn reacts(&self, from: &str, guid: &str, reaction: &str, add: bool) -> bool {
        let contact = self.contact(from);
        if add {
            contact.reacts(guid, reaction)
        } else {
            contact.unreacts(guid, reaction)
        };
        true
    }

    async fn reactions_on(&self, _person: &str, guid: &str) -> Vec<String> {
        Mac::reactions_on(self, guid)
    }

    async fn types(&self, from: &str, on: bool) -> bool {
        let contact = self.contact(from);
        if on {
            contact.starts_typing()
        } else {
            contact.stops_typing()
        };
        true
    }

    async fn sees_typing(&self, person: &str) -> bool {
        self.contact(person).sees_typing()
    }

    async fn sees_read(&self, person: &str) -> bool {
        self.contact(person).sees_read()
    }

    /// It does so by itself.
    async fn delivers(&self, _guid: &str) -> bool {
        true
    }

    async fn reads(&self, from: &str, guid: &str) -> bool {
        self.contact(from).reads(guid);
        true
    }

    async fn next_fails_later(&self) -> bool {
        true
    }

    async fn fails_later(&self, guid: &str) {
        self.fail_later(guid, 22);
    }

    async fn edits(&self, guid: &str, text: &str) -> bool {
        self.contact("").edits(guid, text);
        true
    }

    async fn unsends(&self, guid: &str) -> bool {
        self.contact("").unsends(guid);
        true
    }

    async fn owner_writes(&self, to: &str, text: &str) -> bool {
        self.owner().writes(self.chat_with(to), text);
        true
    }

    async fn group(&self, name: &str, people: &[&str]) -> Option<String> {
        Some(Mac::group(self, name, people).to_string())
    }

    async fn writes_in(&self, group: &str, from: &str, text: &str) {
        self.contact(from).writes_in(group.parse().unwrap(), text);
    }

    async fn away(&self, away: bool) {
        if away { self.lose_full_disk_access() } else { self.regain_full_disk_access() }
    }

    async fn refuse_next(&self, _to: &str) {
        // It is tried again.
        for _ in 0..3 {
            self.fault("send.rich", Fault::NotStarted);
            self.fault("send", Fault::NotStarted);
        }
    }

    async fn lose_next(&self) -> bool {
        // Used up by whichever is asked: an unused one stays for a send that never comes.
        for method in ["send", "send.tracked"] {
            self.fault(method, Fault::MayHaveCompleted { done: true });
        }
        true
    }
}
