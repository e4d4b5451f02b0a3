//! Files: where their bytes are, and the signed URLs that hand them out.
//!
//! Bytes lie in a folder or in S3, under the file's id, written once and never changed.
//! Each file has an object of its own: two uploads of the same bytes are two objects, so
//! that removing one can't take away the other in the moment it is written.
//!
//! The bytes are there before the file is written down, and go after it is forgotten. What a crash leaves in
//! between is found by [`FileBytes::left_over`] and swept away.

mod bucket;
pub(crate) mod form;
pub(crate) mod kind;
pub(crate) mod name;
mod upload;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{Stream, TryStreamExt as _, future};
use object_store::{
    GetOptions, GetResult, ObjectStore, ObjectStoreExt as _, PutPayload, local::LocalFileSystem,
    path::Path,
};
use sha2::{Digest as _, Sha256};
use switchboard_model::{
    Attachment, File, Message, Timestamp,
    file::{ContentHash, StoredFile},
    id::Id,
    signature::{sign_url, verify_url},
};
use url::Url;

use upload::UnderWay;
pub(crate) use upload::Upload;

use crate::config::Config;

/// The path of downloads; the URL's query says which file, until when, and proves it.
pub(crate) const DOWNLOAD_PATH: &str = "/files/download";

/// The name of the object that says whose files these are.
const MARK: &str = "owner";

/// The name of the folder in the data directory.
const FOLDER: &str = "files";

/// Where bytes are kept, and how their URLs are made.
#[derive(Debug)]
pub(crate) struct FileBytes {
    objects: Arc<dyn ObjectStore>,
    /// Bytes of one part of an upload: S3 takes no smaller ones than 5 MiB, a folder does.
    part: usize,
    under_way: UnderWay,
    /// Whether what lies there is this server's.
    pub(crate) is_own: bool,
    pub(crate) max_bytes: u64,
    base: String,
    url_ttl: Duration,
    secret: [u8; 32],
}

/// The files can't be kept where the configuration says.
#[derive(Debug, thiserror::Error)]
#[error("files can't be kept in {place}")]
pub struct FilesError {
    place: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl FileBytes {
    /// Opens the place for files. `base` is the URL at which clients reach this server.
    pub(crate) async fn open(
        config: &Config,
        base: &str,
        secret: [u8; 32],
    ) -> Result<Self, FilesError> {
        let (objects, part) = match &config.files {
            None => (folder(config)?, 256 * 1024),
            Some(url) => (bucket(url)?, 5 * 1024 * 1024),
        };
        // Better to hear of a wrong bucket or a read-only folder now than with the first upload.
        let place = || match &config.files {
            Some(url) => url.to_string(),
            None => objects.to_string(),
        };
        let failed = |source| FilesError { place: place(), source: Box::new(source) };
        check(&*objects).await.map_err(failed)?;
        let is_own = mark(&*objects, &secret).await.map_err(failed)?;
        if !is_own {
            tracing::warn!(
                place = place(),
                "bytes that no file has will not be swept away: the object '{MARK}' says that those here \
                 are another database's, or the bucket may not be listed"
            );
        }
        Ok(Self {
            objects,
            part,
            under_way: UnderWay::default(),
            is_own,
            max_bytes: config.max_file,
            base: base.trim_end_matches('/').to_owned(),
            url_ttl: Duration::from_secs(config.file_url_ttl),
            secret,
        })
    }

    /// Begins to write a file.
    pub(crate) async fn upload(&self, id: Id<File>) -> object_store::Result<Upload> {
        let place = self.under_way.enter(id);
        Ok(Upload::new(self.objects.put_multipart(&path(id)).await?, self.part, place))
    }

    /// The bytes of a file, or those that `options` asks for.
    pub(crate) async fn read(
        &self,
        id: Id<File>,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.objects.get_opts(&path(id), options).await
    }

    /// Removes the bytes of a file; it may be gone already.
    pub(crate) async fn remove(&self, id: Id<File>) -> object_store::Result<()> {
        match self.objects.delete(&path(id)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => done,
        }
    }

    /// The bytes from before `before` that no upload under way is about to write down. Whichever of these is no
    /// file's never will be one's.
    pub(crate) fn left_over(
        &self,
        before: Timestamp,
    ) -> impl Stream<Item = object_store::Result<Id<File>>> {
        self.objects.list(None).try_filter_map(move |object| {
            let is_old = object.last_modified.timestamp_millis() < before.0;
            // What has another name was not put there by this server.
            let id = object.location.as_ref().parse().ok();
            let id = id.filter(|id| is_old && !self.under_way.has(*id));
            future::ready(Ok(id))
        })
    }

    /// A URL that downloads this file with no key, until it expires: by the steady clock, so that setting the other
    /// makes it live no longer.
    pub(crate) fn url(&self, id: Id<File>, now: Timestamp) -> String {
        let expires = now + self.url_ttl;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(sign_url(&self.secret, id, expires));
        let (base, expires) = (&self.base, expires.seconds());
        format!("{base}{DOWNLOAD_PATH}?id={id}&expires={expires}&signature={signature}")
    }

    /// Whether a URL with these parts was made here and has not expired.
    pub(crate) fn opens(
        &self,
        id: Id<File>,
        expires_seconds: i64,
        signature: &str,
        now: Timestamp,
    ) -> bool {
        let expires = Timestamp(expires_seconds.saturating_mul(1000));
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
        now < expires && verify_url(&self.secret, id, expires, &signature)
    }

    /// The file as the API shows it.
    pub(crate) fn show(&self, file: StoredFile, now: Timestamp) -> File {
        let url = Some(self.url(file.id, now));
        let StoredFile { id, filename, mime_type, size, .. } = file;
        File { id, url, filename, mime_type, size }
    }

    /// Gives a message's attachments the URLs that clients download them by.
    pub(crate) fn show_message(&self, message: &mut Message, now: Timestamp) {
        for attachment in &mut message.attachments {
            self.show_attachment(attachment, now);
        }
    }

    fn show_attachment(&self, attachment: &mut Attachment, now: Timestamp) {
        if let Some(id) = attachment.file_id.take() {
            attachment.url = Some(self.url(id, now));
        }
        if let Some(original) = &mut attachment.original
            && let Some(id) = original.file_id.take()
        {
            original.url = Some(self.url(id, now));
        }
    }

    /// Whether an event's data names a file, so that it is shown with URLs which expire.
    #[allow(clippy::unused_self, reason = "how files are shown is this one's affair")]
    pub(crate) fn has_urls(&self, data: &serde_json::value::RawValue) -> bool {
        // A quote inside a text is escaped, so this stands only where a field begins.
        data.get().contains("\"file_id\":\"file_")
    }

    /// The same for an event's data, which is kept without URLs because they expire.
    /// Data that names no file comes back as it is, byte for byte.
    pub(crate) fn show_event(
        &self,
        data: &Arc<serde_json::value::RawValue>,
        now: Timestamp,
    ) -> Arc<serde_json::value::RawValue> {
        if !self.has_urls(data) {
            return Arc::clone(data);
        }
        let shown = || -> Option<Box<serde_json::value::RawValue>> {
            let mut value: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(data.get()).ok()?;
            let attachments = value.get_mut("attachments")?;
            let mut list: Vec<Attachment> = serde_json::from_value(attachments.take()).ok()?;
            for attachment in &mut list {
                self.show_attachment(attachment, now);
            }
            *attachments = serde_json::to_value(list).ok()?;
            serde_json::value::to_raw_value(&value).ok()
        };
        shown().map_or_else(|| Arc::clone(data), Arc::from)
    }
}

/// Whether bytes can be written at all.
async fn check(objects: &dyn ObjectStore) -> object_store::Result<()> {
    let probe = Path::from("probe");
    objects.put(&probe, PutPayload::from_static(b"ok")).await?;
    objects.delete(&probe).await
}

/// Marks the place as this database's; answers false if it is another's. To who has lost the database, or
/// shares the bucket, every file would look as if it were nobody's, and be swept away.
async fn mark(objects: &dyn ObjectStore, secret: &[u8; 32]) -> object_store::Result<bool> {
    let (path, ours) = (Path::from(MARK), ContentHash(Sha256::digest(secret).into()).to_string());
    match objects.get(&path).await {
        Ok(theirs) => Ok(theirs.bytes().await? == ours),
        Err(object_store::Error::NotFound { .. }) => {
            objects.put(&path, PutPayload::from(ours)).await?;
            Ok(true)
        }
        // What S3 says of an object that is not there to who may not list the bucket, and so can't sweep it.
        Err(object_store::Error::PermissionDenied { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn path(id: Id<File>) -> Path {
    Path::from(id.to_string())
}

fn folder(config: &Config) -> Result<Arc<dyn ObjectStore>, FilesError> {
    let folder = config.data_dir.join(FOLDER);
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| FilesError {
        place: folder.display().to_string(),
        source,
    };
    std::fs::create_dir_all(&folder).map_err(|error| failed(error.into()))?;
    sweep(&folder).map_err(|error| failed(error.into()))?;
    let objects =
        LocalFileSystem::new_with_prefix(&folder).map_err(|error| failed(error.into()))?;
    Ok(Arc::new(objects.with_fsync(true)))
}

/// Removes what uploads left behind that were under way when the process was killed: the
/// folder's store stages them under names with a `#`, which no file has.
fn sweep(folder: &std::path::Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().contains('#') {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn bucket(url: &Url) -> Result<Arc<dyn ObjectStore>, FilesError> {
    bucket::open(url)
        .map_err(|source| FilesError { place: url.to_string(), source: Box::new(source) })
}
