//! An upload on its way: hashed, counted and handed on in parts, never whole in memory.
//! One that is not finished leaves nothing behind.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use object_store::{MultipartUpload, PutPayload};
use sha2::{Digest, Sha256};
use switchboard_model::{File, file::ContentHash, id::Id};

use super::kind::HEAD;
use crate::outage;

/// Bytes that are being written.
#[derive(Debug)]
pub(crate) struct Upload {
    parts: Option<Box<dyn MultipartUpload>>,
    part: usize,
    waiting: BytesMut,
    /// The first bytes, which tell what kind of file it is.
    head: Vec<u8>,
    hash: Sha256,
    size: u64,
    _place: UploadGuard,
}

/// The uploads that are on their way, or finished and not written down yet: their bytes are no file's, and
/// still nobody may sweep them away.
#[derive(Debug, Default, Clone)]
pub(super) struct UnderWay(Arc<Mutex<HashSet<Id<File>>>>);

/// An upload's place among those; ends with the upload.
#[derive(Debug)]
pub(super) struct UploadGuard {
    all: UnderWay,
    id: Id<File>,
}

impl UnderWay {
    pub(super) fn enter(&self, id: Id<File>) -> UploadGuard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        UploadGuard { all: self.clone(), id }
    }

    pub(super) fn has(&self, id: Id<File>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}

impl Drop for UploadGuard {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Upload {
    pub(super) fn new(parts: Box<dyn MultipartUpload>, part: usize, place: UploadGuard) -> Self {
        Self {
            parts: Some(parts),
            part,
            waiting: BytesMut::with_capacity(part),
            head: Vec::new(),
            hash: Sha256::new(),
            size: 0,
            _place: place,
        }
    }

    /// How many bytes came so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The SHA-256 of all that came so far.
    pub(crate) fn content(&self) -> ContentHash {
        ContentHash(self.hash.clone().finalize().into())
    }

    /// The first bytes, which tell what kind of file it is.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Takes the next bytes. Waits for each full part to be written: one part is all the memory it takes.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> object_store::Result<()> {
        let head = bytes.len().min(HEAD.saturating_sub(self.head.len()));
        self.head.extend_from_slice(&bytes[..head]);
        self.hash.update(&bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.part - self.waiting.len();
            self.waiting.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.waiting.len() == self.part {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> object_store::Result<()> {
        let full = self.waiting.split().freeze();
        if let Some(parts) = &mut self.parts {
            parts.put_part(PutPayload::from_bytes(full)).await?;
        }
        self.waiting.reserve(self.part);
        Ok(())
    }

    /// Finishes: from now on the bytes are there. Not to be dropped half-way: they could come to be there all the
    /// same, with nobody to know of them. Until the upload itself is dropped they are not swept away.
    pub(crate) async fn finish(&mut self) -> object_store::Result<()> {
        if !self.waiting.is_empty() {
            self.flush().await?;
        }
        if let Some(parts) = &mut self.parts {
            parts.complete().await?;
        }
        self.parts = None;
        Ok(())
    }

    /// Keeps none of the bytes, those that came and those to come: only what they are is still asked for.
    pub(crate) fn only_hash(&mut self) {
        self.waiting.clear();
        self.abort();
    }

    fn abort(&mut self) {
        if let Some(mut parts) = self.parts.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                if let Err(error) = parts.abort().await {
                    outage::report_files(&error, "an unfinished upload could not be removed");
                }
            });
        }
    }
}

/// A client that went away, a limit that was met, a write that failed: all the same.
impl Drop for Upload {
    fn drop(&mut self) {
        self.abort();
    }
}
