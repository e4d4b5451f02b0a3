//! Observations as the link wants them: their files uploaded.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchboard_model::{
    Line,
    causes::chain,
    id::Id,
    link::{
        Inbound, InboundChat, InboundMessage, InboundUpdate, LinkedFile, LinkedOriginal, OwnMessage,
    },
};
use tracing::{error, warn};

use super::{Ledgered, unreadable};
use crate::{
    connector::{Connector, FetchError, FetchedFile},
    convert::Form,
    driver::{DriverError, HistoryBatch},
    files::FileClient,
    ledger::{LateFiles, Observation, ObservedFile, WaitingObservation, now},
};

/// The bytes of attachments after which a batch goes on its way without further entries.
const UPLOAD_PER_BATCH: u64 = 32 * 1024 * 1024;

/// What was uploaded for entries that the server has not acknowledged: asked again, they are not uploaded again.
#[derive(Default)]
pub(super) struct Uploaded(Mutex<ByEntry>);

/// By line, by the number of the entry, and by the number of its file; none of a file that never will be there.
type ByEntry = HashMap<Id<Line>, BTreeMap<(u64, usize), Option<LinkedFile>>>;

impl Uploaded {
    pub(super) fn clear(&self) {
        self.all().clear();
    }

    pub(super) fn forget(&self, line: Id<Line>) {
        self.all().remove(&line);
    }

    fn of(&self, line: Id<Line>, which: (u64, usize)) -> Option<Option<LinkedFile>> {
        self.all().get(&line)?.get(&which).cloned()
    }

    fn add(&self, line: Id<Line>, which: (u64, usize), file: Option<LinkedFile>) {
        self.all().entry(line).or_default().insert(which, file);
    }

    fn all(&self) -> MutexGuard<'_, ByEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that can't be had now.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
struct Missing {
    file: String,
    why: String,
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
            let entry = match self.entry(line, n, observation, files, &mut bytes).await {
                Ok(entry) => entry,
                // What comes before it need not wait.
                Err(_) if !entries.is_empty() => break,
                Err(error) => return Err(error),
            };
            entries.push(entry);
            last = n;
            if bytes > UPLOAD_PER_BATCH {
                break;
            }
        }
        Ok(HistoryBatch { position: self.ledger.position(last), entries })
    }

    /// An observation with its files, as far as they can be had. An error while it is to be waited for them.
    async fn entry(
        &self,
        line: Id<Line>,
        n: u64,
        Observation { mut what, files: observed, .. }: Observation,
        files: &FileClient,
        bytes: &mut u64,
    ) -> Result<Inbound, DriverError> {
        if observed.is_empty() {
            return Ok(what);
        }
        let known = self.files_known(line, &what, files).await;
        if known.is_some_and(|known| known >= observed.len()) {
            return Ok(what);
        }
        let (mut linked, mut missing) = (Vec::with_capacity(observed.len()), None);
        for (index, file) in observed.iter().enumerate() {
            match self.upload(line, (n, index), file, files).await {
                Ok(uploaded) => linked.extend(uploaded),
                Err(problem) => missing = Some(problem),
            }
        }
        let of_original = |file: &LinkedFile| file.original.as_ref().map_or(0, |one| one.size);
        *bytes += linked.iter().map(|file| file.size + of_original(file)).sum::<u64>();
        let message = message_of(&what).map(|(guid, chat)| (guid.to_owned(), chat.clone()));
        let told = match &message {
            Some((guid, _)) => {
                self.ledger.files_told(line, guid.clone()).await.map_err(unreadable)?
            }
            None => None,
        };
        // One that was told without its files already is not waited for again.
        let missing = match missing {
            Some(missing) if told.is_none() && known.is_none() && self.waits(line) => {
                let what = "a file that came to the line can't be had now";
                return Err(DriverError { what, source: Some(Box::new(missing)) });
            }
            missing => missing,
        };
        if let Some(missing) = &missing {
            let guid = message.as_ref().map(|(guid, _)| guid);
            warn!(%line, message = guid, %missing, "a message is told without one of its files, which follows when it can be had");
        }
        if let Some((guid, chat)) = message {
            let lacks_some = told.is_some_and(|told| observed.len() < told.all);
            if missing.is_some() || lacks_some {
                let (had, chat) = (linked.len().max(known.unwrap_or(0)), chat.clone());
                let late = LateFiles { line, guid: guid.clone(), chat, files: observed, had };
                self.ledger.expect_files(late, n, now()).await.map_err(unreadable)?;
            } else if told.is_some() {
                let over = self.ledger.files_are_told(line, guid.clone(), linked.len(), n).await;
                over.map_err(unreadable)?;
            }
            if known.is_some_and(|known| linked.len() > known) {
                // The message itself would be no news.
                what = Inbound::Update(InboundUpdate::of(chat, guid));
            }
        }
        match (&mut what, told) {
            // What was told has no fewer.
            (Inbound::Update(update), Some(told)) if told.has(linked.len(), n) => {
                update.attachments = None
            }
            _ => attach(&mut what, linked),
        }
        Ok(what)
    }

    /// How many files the server has of a message, if it knows it: the line's other bridge has told it, or this one did before it
    /// died.
    async fn files_known(
        &self,
        line: Id<Line>,
        what: &Inbound,
        files: &FileClient,
    ) -> Option<usize> {
        let (Inbound::Message(InboundMessage { guid, .. }) | Inbound::Own(OwnMessage { guid, .. })) =
            what
        else {
            return None;
        };
        // Of an older server nothing is known, and one that does not answer is asked by the upload.
        let history = files.known(line, &[guid]).await.unwrap_or_default();
        history.known.get(guid).copied()
    }

    /// Whether a line waits for what can't be had now; the line says so.
    fn waits(&self, line: Id<Line>) -> bool {
        let waits = self.patience.waits(line, self.connector.files_within(), self.is_online(line));
        self.tell_statuses();
        waits
    }

    /// Uploads a file. None if it never will be there: the line would stand still.
    async fn upload(
        &self,
        line: Id<Line>,
        which: (u64, usize),
        file: &ObservedFile,
        files: &FileClient,
    ) -> Result<Option<LinkedFile>, Missing> {
        if let Some(known) = self.uploaded.of(line, which) {
            return Ok(known);
        }
        let missing = |why: String| Missing { file: named(file), why };
        let fetched = match self.connector.fetch(file).await {
            Ok(fetched) => fetched,
            Err(FetchError::NotYet(why)) => return Err(missing(why)),
            Err(FetchError::Gone) => {
                warn!(%line, "a message arrives without one of its files: it is gone");
                self.uploaded.add(line, which, None);
                return Ok(None);
            }
        };
        let name = file.filename.as_deref();
        let original = upload(files, line, fetched.path(), name, &file.mime_type);
        let original = original.await.map_err(missing)?;
        let converted = self.converted(line, file, &fetched, files).await.map_err(missing)?;
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
        let linked = linked.map(|linked| LinkedFile { transcription, ..linked });
        self.uploaded.add(line, which, linked.clone());
        self.patience.is_over(line);
        self.tell_statuses();
        Ok(linked)
    }

    /// The same file for those who can't show or play it as it came; none where most can, or where none can be made.
    async fn converted(
        &self,
        line: Id<Line>,
        file: &ObservedFile,
        fetched: &FetchedFile,
        files: &FileClient,
    ) -> Result<Option<LinkedFile>, String> {
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

/// Uploads a file; none if the server won't have it, ever. What is wrong, if that may pass.
async fn upload(
    files: &FileClient,
    line: Id<Line>,
    from: &Path,
    name: Option<&str>,
    mime_type: &str,
) -> Result<Option<LinkedFile>, String> {
    match files.upload(line, from, name, mime_type).await {
        Ok(linked) => Ok(Some(linked)),
        Err(problem) if problem.may_pass() => Err(chain(&problem)),
        Err(problem) => {
            error!(%line, %problem, "a file that came to the line is not taken");
            Ok(None)
        }
    }
}

/// Which file it is, for the log: of a path the folder, which nobody chose.
fn named(file: &ObservedFile) -> String {
    let path = Path::new(&file.source);
    match path.parent().filter(|_| path.is_absolute()) {
        Some(folder) => folder.display().to_string(),
        None => file.source.clone(),
    }
}

/// The message that has the files, and its chat; none of what has no name.
fn message_of(what: &Inbound) -> Option<(&str, &InboundChat)> {
    let (guid, chat) = match what {
        Inbound::Message(message) => (&message.guid, &message.chat),
        Inbound::Own(message) => (&message.guid, &message.chat),
        Inbound::Update(update) => (&update.message_guid, &update.chat),
        _ => return None,
    };
    (!guid.is_empty()).then_some((guid, chat))
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
