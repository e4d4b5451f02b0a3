//! Observations as the link wants them: their files uploaded.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchboard_model::{
    Line,
    id::Id,
    link::{Inbound, LinkedFile, LinkedOriginal},
};
use tracing::{error, warn};

use super::Ledgered;
use crate::{
    connector::{Connector, FetchError, FetchedFile},
    convert::Form,
    driver::{DriverError, HistoryBatch},
    files::FileClient,
    ledger::{ObservedFile, WaitingObservation},
};

/// The bytes of attachments after which a batch goes on its way without further entries.
const UPLOAD_PER_BATCH: u64 = 32 * 1024 * 1024;

/// What was uploaded for entries that the server has not acknowledged: asked again, they are not uploaded again.
#[derive(Default)]
pub(super) struct Uploaded(Mutex<ByEntry>);

/// By line, and by the number of the entry.
type ByEntry = HashMap<Id<Line>, BTreeMap<u64, Vec<LinkedFile>>>;

impl Uploaded {
    pub(super) fn clear(&self) {
        self.all().clear();
    }

    pub(super) fn forget(&self, line: Id<Line>) {
        self.all().remove(&line);
    }

    fn of(&self, line: Id<Line>, n: u64) -> Option<Vec<LinkedFile>> {
        self.all().get(&line)?.get(&n).cloned()
    }

    fn add(&self, line: Id<Line>, n: u64, files: Vec<LinkedFile>) {
        self.all().entry(line).or_default().insert(n, files);
    }

    fn all(&self) -> MutexGuard<'_, ByEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Connector> Ledgered<C> {
    pub(super) async fn batch(
        &self,
        line: Id<Line>,
        waiting: Vec<WaitingObservation>,
        files: &FileClient,
    ) -> Result<HistoryBatch, DriverError> {
        let (mut entries, mut last, mut bytes) = (Vec::with_capacity(waiting.len()), 0, 0);
        for WaitingObservation { n, observation } in waiting {
            let mut what = observation.what;
            if !observation.files.is_empty() {
                let linked = self.upload(line, n, &observation.files, files).await?;
                bytes += linked
                    .iter()
                    .map(|file| {
                        file.size + file.original.as_ref().map_or(0, |original| original.size)
                    })
                    .sum::<u64>();
                attach(&mut what, linked);
            }
            entries.push(what);
            last = n;
            if bytes > UPLOAD_PER_BATCH {
                break;
            }
        }
        Ok(HistoryBatch { position: self.ledger.position(last), entries })
    }

    async fn upload(
        &self,
        line: Id<Line>,
        n: u64,
        observed: &[ObservedFile],
        files: &FileClient,
    ) -> Result<Vec<LinkedFile>, DriverError> {
        if let Some(known) = self.uploaded.of(line, n) {
            return Ok(known);
        }
        let mut uploaded = Vec::with_capacity(observed.len());
        for file in observed {
            let fetched = match self.connector.fetch(file).await {
                Ok(fetched) => fetched,
                Err(FetchError::NotYet) => {
                    let what = "a file that came to the line can't be had now";
                    return Err(DriverError { what, source: None });
                }
                Err(FetchError::Gone) => {
                    warn!(%line, "a message arrives without one of its files: it is gone");
                    continue;
                }
            };
            let name = file.filename.as_deref();
            let original = upload(files, line, fetched.path(), name, &file.mime_type).await?;
            let converted = self.converted(line, file, &fetched, files).await?;
            let linked = match (converted, original) {
                (Some(converted), Some(original)) => {
                    let LinkedFile { file_id, filename, mime_type, size, .. } = original;
                    let original = LinkedOriginal { file_id, filename, mime_type, size };
                    Some(LinkedFile { original: Some(original), ..converted })
                }
                (converted, original) => converted.or(original),
            };
            if linked.is_none() {
                error!(%line, "a message arrives without one of its files");
            }
            let transcription = file.transcription.clone();
            uploaded.extend(linked.map(|linked| LinkedFile { transcription, ..linked }));
        }
        self.uploaded.add(line, n, uploaded.clone());
        Ok(uploaded)
    }

    /// The same file for those who can't show or play it as it came; none where most can, or where none can be made.
    async fn converted(
        &self,
        line: Id<Line>,
        file: &ObservedFile,
        fetched: &FetchedFile,
        files: &FileClient,
    ) -> Result<Option<LinkedFile>, DriverError> {
        let name = file.filename.as_deref();
        let (Some(converter), Some(form)) = (&self.converter, Form::wanted(&file.mime_type, name))
        else {
            return Ok(None);
        };
        let by_line = self.connector.fetch_as(file, form, converter.dir());
        let Some(made) = converter.convert(form, fetched.path(), by_line).await else {
            return Ok(None);
        };
        let name = form.named(name);
        upload(files, line, made.path(), Some(&name), form.mime_type()).await
    }
}

/// Uploads a file; none if the server won't have it, ever: the line would stand still.
async fn upload(
    files: &FileClient,
    line: Id<Line>,
    from: &Path,
    name: Option<&str>,
    mime_type: &str,
) -> Result<Option<LinkedFile>, DriverError> {
    match files.upload(line, from, name, mime_type).await {
        Ok(linked) => Ok(Some(linked)),
        Err(problem) if problem.may_pass() => {
            let what = "a file that came to the line can't be uploaded now";
            Err(DriverError { what, source: Some(Box::new(problem)) })
        }
        Err(problem) => {
            error!(%line, %problem, "a file that came to the line is not taken");
            Ok(None)
        }
    }
}

fn attach(what: &mut Inbound, files: Vec<LinkedFile>) {
    match what {
        Inbound::Message(message) => {
            message.is_audio_message &= !files.is_empty();
            message.attachments = files;
        }
        Inbound::Own(message) => {
            message.is_audio_message &= !files.is_empty();
            message.attachments = files;
        }
        Inbound::Update(update) => update.attachments = Some(files),
        _ => {}
    }
}
