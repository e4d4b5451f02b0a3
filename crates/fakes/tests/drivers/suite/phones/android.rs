//! Behind an Android phone.

use std::{sync::Arc, time::Duration};

use switchboard_fakes::{
    android_sms::{Phone, SendFault},
    wire::File,
};

use super::{Phones, Sample, Shown};

#[async_trait::async_trait]
impl Phones for Arc<Phone> {
    async fn writes(&self, from: &str, text: &str) {
        self.contact_writes(from, text);
    }

    async fn shown(&self, person: &str) -> Vec<Shown> {
        let shown = self.received_by(person).into_iter();
        shown.map(|one| Shown { text: one.text, ..Shown::default() }).collect()
    }

    async fn sends_file(&self, from: &str, file: Sample) -> bool {
        let mms = File {
            name: file.name.to_owned(),
            mime_type: file.mime_type.to_owned(),
            bytes: file.bytes.into(),
        };
        self.receive_mms(from, "", None, &[mms], false);
        true
    }

    /// It does so by itself.
    async fn delivers(&self, _guid: &str) -> bool {
        true
    }

    async fn next_fails_later(&self) -> bool {
        self.timing(|timing| timing.delivered = Duration::from_millis(300));
        self.fail_send(SendFault::RefusedLater("blocked".to_owned()));
        true
    }

    async fn away(&self, away: bool) {
        Phone::away(self, away).await.unwrap();
    }

    async fn refuse_next(&self, _to: &str) {
        self.fail_send(SendFault::Refused("RESULT_ERROR_NO_SERVICE".to_owned()));
    }

    async fn lose_next(&self) -> bool {
        self.fail_send(SendFault::NoReport);
        false
    }
}
