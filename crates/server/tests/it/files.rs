//! Files: taken as they come, kept whole or not at all, handed out by URLs that need no key (§7).

use std::{fs, path::PathBuf, sync::Arc};

use http::Method;
use serde_json::json;
use switchboard_model::{Code, outbox::OutboxStatus, time::Clock};
use switchboard_testkit::{LINE, Setup, Tenant, TestClock, TestServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    call::{Call, assert_refused, query},
    fixtures::Sample,
    world::{CONTACT, OPEN, settled},
};

const MAX: usize = 100_000;

pub(crate) async fn server_with_clock() -> (TestServer, Arc<TestClock>) {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (setup.config(|config| config.max_file = MAX as u64).start().await, clock)
}

pub(crate) fn post() -> Call {
    Call::new(Method::POST, "/v1/files")
}

/// What lies in the folder of files, beside the mark that says whose it is.
pub(crate) fn kept(server: &TestServer) -> Vec<PathBuf> {
    let folder = fs::read_dir(server.data_dir().join("files")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    paths.filter(|path| !path.ends_with("owner")).collect()
}

/// Waits until the folder holds so many files.
pub(crate) async fn keeps(server: &TestServer, count: usize) {
    eventually("the folder holds what it should", async || {
        (kept(server).len() == count).then_some(())
    })
    .await;
}

pub(crate) async fn signed(server: &TestServer, tenant: &Tenant, id: &str) -> String {
    let call = Call::get(query("/v1/files", &[("id", id)])).key(&tenant.key);
    let answer = call.send(&server.url).await;
    assert_eq!((answer.status, answer.bytes.len()), (302, 0), "{answer:?}");
    assert!(answer.header("x-request-id").is_some());
    answer.header("location").unwrap().to_owned()
}

/// The type that a download tells of these bytes.
pub(crate) fn with_charset(mime_type: &str, bytes: &[u8]) -> String {
    let is_utf8 = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
    let charset = if mime_type.starts_with("text/") && is_utf8 { "; charset=utf-8" } else { "" };
    format!("{mime_type}{charset}")
}

#[tokio::test]
async fn the_bytes_say_what_a_file_is_and_the_header_must_agree() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let (png, memo, card) = (Sample::png().bytes, Sample::memo().bytes, Sample::card().bytes);
    let wav = b"RIFF\x24\0\0\0WAVEfmt ".to_vec();
    let caf = b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20".to_vec();
    let aiff = b"FORM\0\0\0\x20AIFFCOMM".to_vec();
    let aac = b"\xff\xf1\x50\x80\x02\x1f\xfc".to_vec();
    let mp3 = b"ID3\x03\0\0\0\0\0\0".to_vec();
    let text = b"hello".to_vec();
    let bad_card = b"BEGIN:VCARD\r\nhello".to_vec();
    for (bytes, declared, name, found) in [
        (&png, None, None, Some("image/png")),
        (&png, Some("image/png"), Some("a.png"), Some("image/png")),
        (&png, Some("image/png; charset=binary"), None, Some("image/png")),
        (&png, Some("application/octet-stream"), Some("a.txt"), Some("image/png")),
        (&png, Some("image/jpeg"), None, Some("image/png")),
        (&png, Some("text/plain"), None, None),
        (&text, Some("text/plain; charset=utf-8"), None, Some("text/plain")),
        (&text, Some("image/png"), None, None),
        (&text, Some("audio/wav"), None, None),
        (&text, Some("audio/mpeg"), None, None),
        (&text, Some("nonsense"), None, Some("text/plain")),
        (&png, Some("jpg"), None, Some("image/png")),
        (&text, Some("text/vcard"), None, None),
        (&text, None, Some("a.csv"), Some("text/csv")),
        (&text, None, Some("a.png"), Some("text/plain")),
        (&text, None, None, Some("text/plain")),
        (&text, None, Some("mail.eml"), Some("message/rfc822")),
        (&memo, Some("audio/x-m4a"), None, Some("audio/mp4")),
        (&memo, None, None, Some("audio/mp4")),
        (&wav, Some("audio/wav"), None, Some("audio/wav")),
        (&wav, None, None, Some("audio/wav")),
        (&caf, Some("audio/x-caf"), None, Some("audio/x-caf")),
        (&caf, None, Some("memo.caf"), Some("audio/x-caf")),
        (&caf, Some("audio/wav"), None, Some("audio/x-caf")),
        (&aiff, Some("audio/aiff"), None, Some("audio/aiff")),
        (&aac, Some("audio/aac"), None, Some("audio/aac")),
        (&mp3, Some("audio/mpeg"), None, Some("audio/mpeg")),
        (&card, Some("text/vcard"), None, Some("text/vcard")),
        (&card, Some("text/x-vcard"), None, Some("text/vcard")),
        (&card, None, None, Some("text/vcard")),
        (&bad_card, Some("text/vcard"), None, None),
    ] {
        let mut call = post().raw(bytes.clone()).key(&tenant.key);
        if let Some(declared) = declared {
            call = call.header("content-type", declared);
        }
        if let Some(name) = name {
            call = call.header("x-filename", name);
        }
        let what = format!("{:?} as {declared:?} named {name:?}", bytes.get(..12));
        let answer = call.send(&server.url).await;
        let Some(found) = found else {
            let code = Code::InvalidParameterValue;
            assert_refused(&what, &answer, code, Some("Content-Type"));
            continue;
        };
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
        assert_eq!(answer.body["mime_type"], found, "{what}");
        assert_eq!(answer.body["size"], bytes.len(), "{what}");
        assert_eq!(answer.body["filename"], json!(name), "{what}");
        // The URL of the answer works as it is.
        let url = answer.body["url"].as_str().unwrap();
        let down = Call::get(url).send("").await;
        assert_eq!((down.status, &down.bytes[..]), (200, &bytes[..]), "{what}");
        let told = with_charset(found, bytes);
        assert_eq!(down.header("content-type"), Some(told.as_str()), "{what}");
    }
    server.stop().await;
}

/// Texts that begin like something else, and types that go by several names.
#[tokio::test]
async fn a_good_file_is_not_refused_for_how_it_begins_or_what_it_is_called() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let opus = [b"OggS\0\x02".as_slice(), &[0; 22], b"OpusHead\x01\x02"].concat();
    let long = format!("{}ä", "BM, ".repeat(16 * 1024 - 1) + "xxx");
    let zip = b"PK\x03\x04\x14\0\0\0";
    let pdf = b"%PDF-1.7\n%\xe2\xe3";
    let cases: &[(&[u8], &str, Option<&str>)] = &[
        (b"BMW is a car maker", "text/plain", Some("text/plain")),
        (b"BM,BN\n1,2\n", "text/csv; charset=utf-8", Some("text/csv")),
        (b"GIF is said with a soft g", "text/plain", Some("text/plain")),
        (b"MZ is a zone of the city", "text/markdown", Some("text/markdown")),
        (b"ID3 tags are old", "text/plain", Some("text/plain")),
        (b"BC, before", "text/plain", Some("text/plain")),
        (b"SQLite is a library", "text/plain", Some("text/plain")),
        (b"caffeine helps", "text/plain", Some("text/plain")),
        (b"About files that begin with %PDF", "text/plain", Some("text/plain")),
        (long.as_bytes(), "text/plain", Some("text/plain")),
        (b"BM\xdcller f\xe4hrt", "text/plain", Some("text/plain")),
        (b"BM\0\0", "text/plain", None),
        (b"BMW is a car maker", "audio/wav", None),
        (&opus, "audio/ogg; codecs=opus", Some("audio/ogg")),
        (&opus, "audio/opus", Some("audio/opus")),
        (b"{\\rtf1 hello}", "text/rtf", Some("application/rtf")),
        (b"{\\rtf1 hello}", "application/rtf", Some("application/rtf")),
        (b"\0\0\x01\0\x01\0", "image/x-icon", Some("image/vnd.microsoft.icon")),
        (b"#!/bin/sh\n", "application/x-sh", Some("text/x-shellscript")),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/apng", Some("image/apng")),
        (b"RIFF\x24\0\0\0AVI LIST", "video/avi", Some("video/x-msvideo")),
        (b"FORM\0\0\0\x20AIFCFVER", "audio/x-aiff", Some("audio/aiff")),
        (b"FORM\0\0\0\x20AIFFCOMM", "audio/x-aiff", Some("audio/aiff")),
        (pdf, "application/pdf", Some("application/pdf")),
        (pdf, "application/zip", None),
        (pdf, "application/gzip", None),
        (pdf, "text/plain", None),
        (b"%PDF-1.7\n", "text/plain", None),
        (zip, "application/zip", Some("application/zip")),
        (zip, "application/x-zip-compressed", Some("application/zip")),
        (zip, "application/vnd.apple.pages", Some("application/vnd.apple.pages")),
        (zip, "model/vnd.usdz+zip", Some("model/vnd.usdz+zip")),
        (b"\x1f\x8b\x08\0\0\0", "application/zip", None),
    ];
    for (bytes, declared, found) in cases {
        let call = post().raw(bytes.to_vec()).header("content-type", declared).key(&tenant.key);
        let answer = call.send(&server.url).await;
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]);
        let what = format!("{start:?} as {declared}");
        match found {
            Some(found) => {
                assert_eq!(answer.status, 201, "{what}: {answer:?}");
                assert_eq!(answer.body["mime_type"], **found, "{what}");
            }
            None => {
                let code = Code::InvalidParameterValue;
                assert_refused(&what, &answer, code, Some("Content-Type"));
            }
        }
    }
    // Nothing declared: a name can say that it is a text, but not that a text is a picture.
    for (name, found) in [("car.txt", "text/plain"), ("car.bmp", "text/plain")] {
        let call = post().raw("BMW is a car maker").header("x-filename", name).key(&tenant.key);
        assert_eq!(call.send(&server.url).await.body["mime_type"], found, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn names_are_made_safe_on_the_way_in_and_out() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let long = format!("{}.jpeg", "x".repeat(400));
    let short = format!("{}.jpeg", "x".repeat(195));
    for (given, name, ascii) in [
        ("photo.jpg", Some("photo.jpg"), "photo.jpg"),
        ("100%.png", Some("100%.png"), "100_.png"),
        ("50% off.png", Some("50% off.png"), "50__off.png"),
        ("100%25.png", Some("100%.png"), "100_.png"),
        ("%ff.png", Some("%ff.png"), "_ff.png"),
        ("UTF-8''Jos%C3%A9.vcf", Some("José.vcf"), "Jos_.vcf"),
        ("=?UTF-8?B?Sm9zw6kudmNm?=", Some("José.vcf"), "Jos_.vcf"),
        ("👨\u{200d}👩\u{200d}👧.jpg", Some("👨\u{200d}👩\u{200d}👧.jpg"), "_____.jpg"),
        ("می\u{200c}خواهم.pdf", Some("می\u{200c}خواهم.pdf"), "________.pdf"),
        ("a\u{2067}b\u{61c}\u{2028}.txt", Some("ab.txt"), "ab.txt"),
        ("../../etc/passwd", Some("passwd"), "passwd"),
        ("C:\\temp\\a.txt", Some("a.txt"), "a.txt"),
        ("%2e%2e%2fx.txt", Some("x.txt"), "x.txt"),
        ("a%0d%0aSet-Cookie: x.txt", Some("aSet-Cookie x.txt"), "aSet-Cookie_x.txt"),
        ("\"quo\\ted\".pdf", Some("ted.pdf"), "ted.pdf"),
        ("a\";filename=b.exe", Some("a;filename=b.exe"), "a;filename=b.exe"),
        ("gpj.%E2%80%AEexe", Some("gpj.exe"), "gpj.exe"),
        ("Grüße 世界.txt", Some("Grüße 世界.txt"), "Gr__e___.txt"),
        ("Gr%C3%BC%C3%9Fe.txt", Some("Grüße.txt"), "Gr__e.txt"),
        (&long, Some(&short), &short),
        ("...", None, "file"),
        ("", None, "file"),
    ] {
        let answer = post()
            .raw("hello")
            .header("x-filename", given)
            .key(&tenant.key)
            .send(&server.url)
            .await;
        assert_eq!(answer.status, 201, "{given}: {answer:?}");
        assert_eq!(answer.body["filename"], json!(name), "{given}");
        let url = signed(&server, &tenant, answer.body["id"].as_str().unwrap()).await;
        let down = Call::get(&url).send("").await;
        let disposition = down.header("content-disposition").unwrap();
        let start = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''");
        assert!(disposition.starts_with(&start), "{given}: {disposition}");
        let encoded = disposition.strip_prefix(&start).unwrap();
        let whole = percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap();
        assert_eq!(whole, name.unwrap_or("file"), "{given}");
        assert_eq!(down.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(down.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    }
    server.stop().await;
}

/// fetch and Python's requests put Latin-1 into a header; a contact's card then comes out with the name it had.
#[tokio::test]
async fn a_name_in_latin_1_is_the_same_name() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    for (given, name) in [
        (b"Jos\xe9.vcf".as_slice(), "José.vcf"),
        (b"M\xfcller.vcf", "Müller.vcf"),
        (b"\x80 100% \x96 \xdf.vcf", "€ 100% – ß.vcf"),
        ("José 世界.vcf".as_bytes(), "José 世界.vcf"),
    ] {
        let card = Sample::card();
        let call = post().raw(card.bytes.clone()).header("content-type", "text/vcard");
        let answer = call.header("x-filename", given).key(&tenant.key).send(&server.url).await;
        assert_eq!(answer.status, 201, "{name}: {answer:?}");
        assert_eq!(answer.body["filename"], name);
        let down = Call::get(answer.body["url"].as_str().unwrap()).send("").await;
        let disposition = down.header("content-disposition").unwrap();
        let encoded = disposition.split_once("filename*=UTF-8''").unwrap().1;
        let told = percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap();
        assert_eq!(told, name);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_large_or_breaks_off_leaves_nothing_behind() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let key = &tenant.key;
    let empty = post().key(key).send(&server.url).await;
    assert_refused("empty", &empty, Code::EmptyFile, None);
    let largest = post().raw(vec![1; MAX]).key(key).send(&server.url).await;
    assert_eq!(largest.status, 201);
    keeps(&server, 1).await;
    let over = post().raw(vec![1; MAX + 1]).key(key).send(&server.url).await;
    assert_refused("over", &over, Code::FileTooLarge, None);
    let zipped = post().raw("x").header("content-encoding", "gzip").key(key);
    let zipped = zipped.send(&server.url).await;
    assert_refused("zipped", &zipped, Code::UnsupportedMediaType, None);
    let contradicted = post().raw(vec![1; 5000]).header("content-type", "image/png").key(key);
    let contradicted = contradicted.send(&server.url).await;
    let code = Code::InvalidParameterValue;
    assert_refused("contradicted", &contradicted, code, Some("Content-Type"));

    let address = server.url.strip_prefix("http://").unwrap();
    let head = format!("POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n");
    let open = async |rest: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
        stream
    };
    let answer = async |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let told =
        answer(open(&format!("connection: close\r\ncontent-length: {}\r\n\r\n", MAX + 1)).await);
    assert!(told.await.starts_with("HTTP/1.1 413 "), "told from its length alone");
    // No length, and more than is taken.
    let chunked = "connection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut endless = open(chunked).await;
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..=MAX / 0x4000 {
        endless.write_all(chunk.as_bytes()).await.unwrap();
    }
    assert!(answer(endless).await.starts_with("HTTP/1.1 413 "));

    // A client that goes away in the middle, once by a lie about the length.
    for rest in [format!("content-length: {MAX}\r\n\r\n"), chunked.to_owned()] {
        let mut cut = open(&rest).await;
        let some = if rest == chunked { chunk.clone() } else { "y".repeat(50_000) };
        cut.write_all(some.as_bytes()).await.unwrap();
        eventually("the upload is under way", async || (kept(&server).len() == 2).then_some(()))
            .await;
        drop(cut);
        keeps(&server, 1).await;
    }
    // One that says that it is finished too early.
    let mut early = open(&format!("content-length: {MAX}\r\n\r\n")).await;
    early.write_all(b"not all of it").await.unwrap();
    early.shutdown().await.unwrap();
    let mut rest = String::new();
    let _ = early.read_to_string(&mut rest).await;
    assert!(!rest.contains("201"), "{rest}");
    keeps(&server, 1).await;
    server.stop().await;
}

#[tokio::test]
async fn a_slow_upload_holds_nobody_up() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    let address = server.url.strip_prefix("http://").unwrap();
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/files HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-length: 10\r\n\r\nhello",
            tenant.key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    keeps(&server, 20).await;
    let send = json!({ "from": OPEN, "to": CONTACT, "text": "meanwhile" });
    let sent = Call::post("/v1/messages", &send).key(&tenant.key).send(&server.url).await;
    let item = sent.body["id"].as_str().unwrap().parse().unwrap();
    settled(&tenant, item, OutboxStatus::Sent).await;
    assert_eq!(Sample::png().upload(&tenant.key).send(&server.url).await.status, 201);
    for mut stream in slow {
        stream.write_all(b"world").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    keeps(&server, 21).await;
    server.stop().await;
}
