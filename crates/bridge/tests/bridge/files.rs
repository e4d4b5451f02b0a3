//! Files beside the link: whole or an error, tried again only where that may help.

use std::{fs, time::Duration};

use switchboard_bridge::{BridgeConfig, DEFAULT_MAX_BYTES, FileClient, FileError};
use switchboard_model::{id::Id, link::Outcome};
use tokio::net::TcpListener;

use crate::{
    fake_driver::FakeDriver,
    fake_files::Trouble,
    fake_server::{FakeServer, TOKEN},
    no_files, soon,
};

/// Far more than any test needs.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);
/// The SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

async fn server() -> (FakeServer, FileClient) {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver).await;
    let files = server.config.files().clone();
    (server, files)
}

#[tokio::test]
async fn what_is_fetched_is_whole() {
    let (server, files) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("fetched");
    fs::write(&to, "something longer that was here before").unwrap();
    let hello = server.files.put("a.jpg", b"hello");
    let hash = soon(files.fetch(&hello, &to, LONG)).await.unwrap();
    assert_eq!((hash.to_string().as_str(), fs::read(&to).unwrap()), (HELLO, b"hello".to_vec()));
    let large: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let file = server.files.put("large", &large);
    soon(files.fetch(&file, &to, LONG)).await.unwrap();
    assert!(fs::read(&to).unwrap() == large);
    let empty = server.files.put("empty", b"");
    soon(files.fetch(&empty, &to, LONG)).await.unwrap();
    assert!(fs::read(&to).unwrap().is_empty());
}

#[tokio::test]
async fn what_may_pass_is_tried_again_until_it_does() {
    let (server, files) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("fetched");
    let file = server.files.put("a.jpg", b"hello");
    server.files.fail_next([Trouble::Status(503), Trouble::Cut, Trouble::Status(429)]);
    let hash = soon(files.fetch(&file, &to, LONG)).await.unwrap();
    assert_eq!((hash.to_string().as_str(), server.files.requests()), (HELLO, 4));
    // In the end it is a certain failure.
    server.files.fail_next([Trouble::Status(500); 9]);
    let problem = soon(files.fetch(&file, &to, SHORT)).await.unwrap_err();
    assert!(matches!(problem, FileError::Trouble(_)), "{problem:?}");
    assert!(matches!(problem.outcome(), Outcome::Failed { .. }));
}

#[tokio::test]
async fn what_will_not_pass_is_tried_once() {
    let (server, files) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("fetched");
    let mut strange = server.files.put("a.jpg", b"hello");
    strange.file_id = Id::generate();
    let problem = soon(files.fetch(&strange, &to, LONG)).await.unwrap_err();
    assert!(matches!(problem, FileError::NotFound), "{problem:?}");
    let Outcome::Failed { error } = problem.outcome() else { panic!() };
    assert_eq!(
        error,
        "An attachment could not be fetched, so nothing was sent: the server has no such file for \
         this bridge."
    );
    // Neither does the token follow a redirect.
    for status in [401, 403, 302] {
        let file = server.files.put("a.jpg", b"hello");
        server.files.fail_next([Trouble::Status(status)]);
        let problem = soon(files.fetch(&file, &to, LONG)).await.unwrap_err();
        assert!(matches!(problem, FileError::Refused(_)), "{problem:?}");
    }
    for size in [4, 6] {
        let mut file = server.files.put("a.jpg", b"hello");
        file.size = size;
        let problem = soon(files.fetch(&file, &to, LONG)).await.unwrap_err();
        assert!(matches!(problem, FileError::Protocol(_)), "{problem:?}");
    }
    let asked = server.files.requests();
    let mut large = server.files.put("large", b"hello");
    large.size = DEFAULT_MAX_BYTES + 1;
    let problem = soon(files.fetch(&large, &to, LONG)).await.unwrap_err();
    assert!(matches!(problem, FileError::TooLarge(_)), "{problem:?}");
    let narrow = server.config.clone().max_file_bytes(4);
    let hello = server.files.put("a.jpg", b"hello");
    let problem = soon(narrow.files().fetch(&hello, &to, LONG)).await.unwrap_err();
    assert!(matches!(problem, FileError::TooLarge(4)), "{problem:?}");
    assert_eq!(server.files.requests(), asked);
}

#[tokio::test]
async fn a_server_out_of_reach_gives_the_item_back() {
    let (server, _) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let file = server.files.put("a.jpg", b"hello");
    let to = folder.path().join("fetched");
    let problem = soon(no_files().fetch(&file, &to, SHORT)).await.unwrap_err();
    assert!(matches!(problem, FileError::Unreachable(_)), "{problem:?}");
    assert_eq!(problem.outcome(), Outcome::Released);
    assert!(problem.may_pass());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_does_not_hold_an_item_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/bridge/v1/link", listener.local_addr().unwrap());
    let config = BridgeConfig::new(&url, TOKEN).unwrap();
    let (server, _) = server().await;
    let file = server.files.put("a.jpg", b"hello");
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("fetched");
    config.files().fetch(&file, &to, LONG).await.unwrap_err();
    fs::write(&to, "hello").unwrap();
    let upload = config.files().upload(Id::generate(), &to, None, "text/plain").await;
    assert!(upload.unwrap_err().may_pass());
}

#[tokio::test]
async fn an_upload_says_what_it_is() {
    let (server, files) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    let data: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    fs::write(&from, &data).unwrap();
    let line = Id::generate();
    let upload = files.upload(line, &from, Some("gr\u{fc}n \u{1f600}.jpg"), "image/jpeg");
    let linked = soon(upload).await.unwrap();
    let [uploaded] = &server.files.uploads()[..] else { panic!() };
    assert_eq!(uploaded.name.as_deref(), Some("gr%C3%BCn%20%F0%9F%98%80%2Ejpg"));
    assert_eq!((uploaded.line_id.as_str(), uploaded.id), (&*line.to_string(), linked.file_id));
    assert!(uploaded.data == data);
    assert_eq!((linked.size, linked.mime_type.as_str()), (1_000_000, "image/jpeg"));
    // A type that no header can hold is no reason to lose a file.
    let odd = soon(files.upload(line, &from, None, "im\nage")).await.unwrap();
    assert_eq!(odd.mime_type, "application/octet-stream");
    assert_eq!(odd.filename, None);
}

#[tokio::test]
async fn an_upload_that_fails_says_whether_it_may_pass() {
    let (server, files) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    fs::write(&from, "hello").unwrap();
    let line = Id::generate();
    // 400 is what the server says of a file that stalled, 404 of a line that changes its bridge just now.
    let answers = [
        (503, true),
        (429, true),
        (408, true),
        (400, true),
        (404, true),
        (200, true),
        (413, false),
        (415, false),
    ];
    for (status, may_pass) in answers {
        server.files.fail_next([Trouble::Status(status)]);
        let problem = soon(files.upload(line, &from, None, "image/jpeg")).await.unwrap_err();
        assert_eq!(problem.may_pass(), may_pass, "{problem:?}");
    }
    server.files.fail_next([Trouble::Cut]);
    let cut = soon(files.upload(line, &from, None, "image/jpeg")).await.unwrap_err();
    assert!(cut.may_pass(), "{cut:?}");
    let narrow = server.config.clone().max_file_bytes(4);
    let large = soon(narrow.files().upload(line, &from, None, "image/jpeg")).await.unwrap_err();
    assert!(matches!(large, FileError::TooLarge(4)), "{large:?}");
    fs::remove_file(&from).unwrap();
    let gone = files.upload(line, &from, None, "image/jpeg");
    assert!(!soon(gone).await.unwrap_err().may_pass());
}
