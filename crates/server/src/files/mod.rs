//! Files: where their bytes are, and the signed URLs that hand them out.
//!
//! Bytes lie in a folder or in S3, under the file's id, written once and never changed.
//! Each file has an object of its own: two uploads of the same bytes are two objects, so
//! that removing one can't take away the other in the moment it is written.

mod bucket;
pub(crate) mod kind;
mod upload;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use object_store::{
    GetOptions, GetResult, ObjectStore, ObjectStoreExt as _, PutPayload, local::LocalFileSystem,
    path::Path,
};
use switchboard_model::{
    Attachment, File, Message, Timestamp,
    file::StoredFile,
    id::Id,
    signature::{sign_url, verify_url},
};
use url::Url;

pub(crate) use upload::Upload;

use crate::config::Config;

/// The path of downloads; the URL's query says which file, until when, and proves it.
pub(crate) const DOWNLOAD_PATH: &str = "/files/download";

/// The name of the folder in the data directory.
const FOLDER: &str = "files";

/// Where bytes are kept, and how their URLs are made.
#[derive(Debug)]
pub(crate) struct Files {
    objects: Arc<dyn ObjectStore>,
    /// Bytes of one part of an upload: S3 takes no smaller ones than 5 MiB, a folder does.
    part: usize,
    pub(crate) most: u64,
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

impl Files {
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
        check(&*objects)
            .await
            .map_err(|source| FilesError { place: place(), source: Box::new(source) })?;
        Ok(Self {
            objects,
            part,
            most: config.max_file,
            base: base.trim_end_matches('/').to_owned(),
            url_ttl: Duration::from_secs(config.file_url_ttl),
            secret,
        })
    }

    /// Begins to write a file.
    pub(crate) async fn upload(&self, id: Id<File>) -> object_store::Result<Upload> {
        Ok(Upload::new(self.objects.put_multipart(&path(id)).await?, self.part))
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

    /// A URL that downloads this file with no key, until it expires.
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
    }

    /// The same for an event's data, which is kept without URLs because they expire.
    /// Data that names no file comes back as it is, byte for byte.
    pub(crate) fn show_event(
        &self,
        data: &Arc<serde_json::value::RawValue>,
        now: Timestamp,
    ) -> Arc<serde_json::value::RawValue> {
        // A quote inside a text is escaped, so this stands only where a field begins.
        if !data.get().contains("\"file_id\":\"file_") {
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
