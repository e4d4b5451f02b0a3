//! Uploads and downloads: what goes over the wire, and that the key stays with the API.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::{io, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::json;
use switchboard_client::{Client, Error, Upload};
use switchboard_model::Code;

use script::{ID, REQUEST, answer, client_of, header, play, refusal};

mod script;

fn file() -> String {
    let body = json!({
        "id": format!("file_{ID}"), "url": "http://127.0.0.1/files/download?id=1",
        "filename": "a.txt", "mime_type": "text/plain", "size": 6, "request_id": REQUEST,
    });
    answer(201, "", &body)
}

fn redirect(location: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nconnection: close\r\nx-request-id: {REQUEST}\r\n\
         location: {location}\r\ncontent-length: 0\r\n\r\n"
    )
}

fn bytes(length: usize, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn bytes_go_up_with_their_type_and_name() {
    let (url, asked) = play(vec![file(), file()]).await;
    let client = client_of(&url);
    let upload = Upload::bytes("abcdef").mime_type("text/plain").filename("50% größer.txt");
    let made = client.upload(upload).await.unwrap().value;
    assert_eq!((made.id.to_string(), made.size), (format!("file_{ID}"), 6));
    client.upload(Upload::bytes("abcdef")).await.unwrap();
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("POST /v1/files HTTP") && asked[0].ends_with("\r\n\r\nabcdef"));
    assert_eq!(header(&asked[0], "content-type"), Some("text/plain"));
    assert_eq!(header(&asked[0], "x-filename"), Some("50%25 gr%C3%B6%C3%9Fer.txt"));
    assert_eq!((header(&asked[1], "content-type"), header(&asked[1], "x-filename")), (None, None));
    let wrong = Upload::bytes("a").mime_type("text/plain\r\nx: y");
    assert!(matches!(client.upload(wrong).await, Err(Error::Setup(_))));
}

#[tokio::test]
async fn files_and_streams_go_up_as_they_are_read() {
    let (url, asked) = play(vec![file(), file()]).await;
    let client = client_of(&url);
    // This very file is as good as any.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files.rs");
    client.upload(Upload::path(path)).await.unwrap();
    let chunks = ["abc", "def"].map(Ok::<_, io::Error>);
    client.upload(Upload::stream(stream::iter(chunks)).filename("a.txt")).await.unwrap();
    let asked = asked.await.unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(header(&asked[0], "content-length"), Some(text.len().to_string().as_str()));
    assert_eq!(header(&asked[0], "x-filename"), Some("files.rs"));
    assert!(asked[0].ends_with(&text));
    assert_eq!(header(&asked[1], "transfer-encoding"), Some("chunked"));
    assert!(asked[1].ends_with("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"), "{}", asked[1]);
    let missing = client.upload(Upload::path("/nowhere/at/all")).await;
    assert!(matches!(missing, Err(Error::File(_))));
}

#[tokio::test]
async fn a_url_is_told_and_not_followed() {
    let elsewhere = redirect("https://files.example.org/a?signature=x");
    let (url, asked) =
        play(vec![elsewhere, redirect("/files/download?id=1"), redirect(""), bytes(1, "a")]).await;
    let client = client_of(&url);
    let told = client.file_url(format!("file_{ID}")).await.unwrap();
    assert_eq!(told.value, "https://files.example.org/a?signature=x");
    assert_eq!((told.status, told.request_id.as_str()), (302, REQUEST));
    let told = client.file_url("file_x").await.unwrap();
    assert_eq!(told.value, format!("{url}/files/download?id=1"));
    for _ in 0..2 {
        assert!(matches!(client.file_url("file_x").await, Err(Error::Shape { .. })));
    }
    assert!(asked.await.unwrap()[0].starts_with(&format!("GET /v1/files?id=file_{ID} HTTP")));
}

#[tokio::test]
async fn a_download_takes_the_bytes_and_leaves_the_key() {
    let missing = refusal(404, "not_found_error", "file_not_found", "");
    let (url, asked) = play(vec![
        redirect("/files/download?id=1"),
        bytes(6, "abcdef"),
        bytes(6, "abcdef"),
        bytes(6, "abcdef"),
        bytes(6, "abc"),
        missing,
    ])
    .await;
    let client = client_of(&url);
    let download = client.download("file_1").await.unwrap();
    assert_eq!((download.mime_type(), download.size()), (Some("text/plain"), Some(6)));
    assert_eq!(&download.bytes(6).await.unwrap()[..], b"abcdef");
    let from = format!("{url}/files/download?id=1");
    let download = client.download_url(&from).await.unwrap();
    assert!(matches!(download.bytes(5).await, Err(Error::TooLarge)));
    let chunks: Vec<_> = client.download_url(&from).await.unwrap().into_stream().collect().await;
    let whole: Vec<_> = chunks.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(whole, b"abcdef");
    let cut = client.download_url(&from).await.unwrap().bytes(6).await;
    assert!(matches!(cut, Err(Error::Transport(_))));
    let missing = client.download_url(&from).await.unwrap_err();
    assert_eq!(missing.code(), Some(Code::FileNotFound));
    let asked = asked.await.unwrap();
    assert!(header(&asked[0], "authorization").is_some());
    assert!(asked[1..].iter().all(|asked| header(asked, "authorization").is_none()));
    assert!(matches!(client.download_url("nowhere").await, Err(Error::Setup(_))));
}

#[tokio::test]
async fn a_download_that_falls_silent_is_given_up() {
    // A listener that nobody serves: the connection is made by the kernel.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let quick = Duration::from_millis(50);
    let client = Client::builder(&url).key("k").timeout(quick).build().unwrap();
    let error = client.download_url(&url).await.unwrap_err();
    assert!(matches!(error, Error::Silent) && error.is_timeout() && error.is_temporary());
}
