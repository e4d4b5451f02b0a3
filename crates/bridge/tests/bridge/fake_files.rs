//! The two file routes of the server, by hand: also what no real server would do on purpose.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use switchboard_model::{File, id::Id, link::LinkedFile};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::fake_server::TOKEN;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    Status(u16),
    /// The connection ends before the body does.
    Cut,
}

/// A file that the bridge uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uploaded {
    pub(crate) id: Id<File>,
    pub(crate) line_id: String,
    pub(crate) name: Option<String>,
    pub(crate) mime_type: String,
    pub(crate) data: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct FakeFiles {
    kept: Mutex<HashMap<String, Vec<u8>>>,
    uploads: Mutex<Vec<Uploaded>>,
    troubles: Mutex<VecDeque<Trouble>>,
    requests: Mutex<Vec<String>>,
}

impl FakeFiles {
    /// A file that can be fetched.
    pub(crate) fn put(&self, name: &str, data: &[u8]) -> LinkedFile {
        let file_id: Id<File> = Id::generate();
        self.kept.lock().unwrap().insert(file_id.to_string(), data.to_vec());
        LinkedFile {
            file_id,
            filename: Some(name.to_owned()),
            mime_type: "image/jpeg".to_owned(),
            size: data.len() as u64,
            transcription: None,
            original: None,
        }
    }

    /// The next requests go wrong in these ways.
    pub(crate) fn fail_next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.lock().unwrap().extend(troubles);
    }

    pub(crate) fn uploads(&self) -> Vec<Uploaded> {
        self.uploads.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Answers the one request of a connection.
    pub(crate) async fn serve(&self, mut stream: TcpStream) {
        // Whoever asks may give up at any time.
        let Some((head, body)) = read_request(&mut stream).await else { return };
        let mut lines = head.lines();
        let first = lines.next().unwrap().to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        self.requests.lock().unwrap().push(first.clone());
        assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
        let trouble = self.troubles.lock().unwrap().pop_front();
        let (mut status, mut answer, mut length) = (404, Vec::new(), None);
        if let Some(Trouble::Status(wanted)) = trouble {
            status = wanted;
        } else if let Some(id) = between(&first, "GET /bridge/v1/files?id=") {
            if let Some(data) = self.kept.lock().unwrap().get(id) {
                (status, answer) = (200, data.clone());
            }
        } else if let Some(line_id) = between(&first, "POST /bridge/v1/files?line_id=") {
            (status, answer) = (201, self.take(line_id, &headers, body));
        }
        if matches!(trouble, Some(Trouble::Cut)) {
            length = Some(answer.len());
            answer.truncate(answer.len() / 2);
        }
        let length = length.unwrap_or(answer.len());
        let head = format!(
            "HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    }

    fn take(&self, line_id: &str, headers: &HashMap<String, String>, data: Vec<u8>) -> Vec<u8> {
        let name = headers.get("x-filename").cloned();
        let mime_type = headers["content-type"].clone();
        let file = File {
            id: Id::generate(),
            url: None,
            filename: name.clone(),
            mime_type: mime_type.clone(),
            size: data.len() as u64,
        };
        let line_id = line_id.to_owned();
        self.uploads.lock().unwrap().push(Uploaded { id: file.id, line_id, name, mime_type, data });
        serde_json::to_vec(&file).unwrap()
    }
}

fn between<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(" HTTP/1.1")
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(read[..end].to_vec()).ok()?;
    let mut body = read.split_off(end + 4);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}
