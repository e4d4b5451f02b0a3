//! Kinds of files as people have them: taken under their own names, told apart where nobody says what they are,
//! and kept as the phone told (§7).

use serde_json::json;
use switchboard_model::{Code, outbox::OutboxStatus};
use switchboard_testkit::{LINE, TestServer};

use crate::{
    call::{Call, assert_refused},
    files::{post, with_charset},
    fixtures::{Sample, texts},
    world::{CONTACT, settled},
};

/// The first bytes of a file, the type that it is sent under, and the one that is kept.
type Case = (&'static [u8], &'static str, &'static str);

#[rustfmt::skip]
const OUTGOING: &[Case] = &[
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0", "application/vnd.ms-excel", "application/vnd.ms-excel"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0", "application/vnd.ms-outlook", "application/vnd.ms-outlook"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0", "application/octet-stream", "application/x-ole-storage"),
    (b"\0\0\0\x18ftyp3gp5\0\0\0\0isom3gp5", "video/3gpp", "video/3gpp"),
    (b"\0\0\0\x18ftyp3gp5\0\0\0\0isom3gp5", "binary/octet-stream", "video/3gpp"),
    (b"\0\0\0\x18ftypM4B \0\0\0\0isommp42", "audio/x-m4b", "audio/x-m4b"),
    (b"\0\0\0\x18ftyphevc\0\0\0\0msf1heic", "image/heic-sequence", "image/heic-sequence"),
    (b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmif1", "image/heic", "image/heic"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0heicmiaf", "*/*", "image/heic"),
    (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", "image/avif", "image/avif"),
    (b"\0\0\0\x18ftypiso9\0\0\0\0cmfcmp41", "video/mp4", "video/mp4"),
    (b"\0\0\0\x18ftypXAVC\0\0\0\0XAVCmp42", "video/mp4", "video/mp4"),
    (b"\0\0\x10\0moov\0\0\0\x6cmvhd\0\0\0\0", "video/quicktime", "video/quicktime"),
    (b"#!AMR-WB\n\x44", "audio/amr-wb", "audio/amr-wb"),
    (b"#!AMR-WB\n\x44", "unknown/unknown", "audio/amr-wb"),
    (b"#!AMR\n\x3c", "audio/AMR", "audio/amr"),
    (b"\x47\x40\0\x10\0\0\xb0\x0d\0\x01", "video/mp2t", "video/mp2t"),
    (b"\x0b\x77\x9b\x20\x14\x40", "audio/ac3", "audio/ac3"),
    (b"ID3\x04\0\0\0\0\0\0\xff\xf1\x50\x80\x02\x1f\xfc", "audio/aac", "audio/aac"),
    (b"ID3\x04\0\0\0\0\0\0fLaC\0\0\0\x22", "audio/flac", "audio/flac"),
    (b"\0\0\0\0\xff\xfb\x90\0\0\0", "audio/mpeg", "audio/mpeg"),
    (b"<?xml version='1.0'?><Workbook/>", "application/vnd.ms-excel", "application/vnd.ms-excel"),
    (b"<html><table><tr><td>1", "application/vnd.ms-excel", "application/vnd.ms-excel"),
    (b"{\\rtf1\\ansi hello}", "application/msword", "application/msword"),
    (b"PK\x03\x04\x14\0\0\0\x08\0", "application/vnd.apple.numbers", "application/vnd.apple.numbers"),
    (b"\r\n%PDF-1.4\n%\xe2\xe3\xcf\xd3", "application/pdf", "application/pdf"),
    (b"\x9a\x01\x02\xfe\0\x7c", "image/x-something-new", "image/x-something-new"),
    (b"\x9a\x01\x02\xfe\0\x7c", "application/x-download", "application/octet-stream"),
    (b"BEGIN:VCARD\r\nVERSION:2.1\r\nN:M\xfcller;Jos\xe9\r\nEND:VCARD\r\n", "text/vcard", "text/vcard"),
    (b"\r\nBEGIN:VCARD\r\nVERSION:2.1\r\nN:\x93\xfa\x96\x7b\r\nEND:VCARD", "text/x-vcard", "text/vcard"),
    (b"B\0E\0G\0I\0N\0:\0V\0C\0A\0R\0D\0\n\0F\0N\0:\0A\0\n\0E\0N\0D\0:\0V\0C\0A\0R\0D\0", "text/vcard", "text/vcard"),
    (b"begin:vcard\rversion:3.0\rfn:Ann\rend:vcard", "application/octet-stream", "text/vcard"),
];

#[tokio::test]
async fn a_file_keeps_the_type_that_it_is_sent_under() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    for (bytes, declared, kept) in OUTGOING {
        let what = format!("{} as {declared}", bytes.escape_ascii());
        let call = post().raw(*bytes).header("content-type", declared).key(&tenant.key);
        let answer = call.send(&server.url).await;
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
        assert_eq!(answer.body["mime_type"], *kept, "{what}");
        let down = Call::get(answer.body["url"].as_str().unwrap()).send("").await;
        let told = with_charset(kept, bytes);
        let got = (down.header("content-type"), &down.bytes[..]);
        assert_eq!(got, (Some(told.as_str()), *bytes), "{what}");
    }
    for (bytes, declared) in [
        (b"<!doctype html><script>alert(1)</script>".as_slice(), "image/png"),
        (b"<!doctype html><script>alert(1)</script>", "image/svg+xml"),
        (b"#!/bin/sh\nexit\n", "audio/amr"),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0", "image/x-icon"),
        (b"\x7fELF\x02\x01\x01\0", "video/mp4"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "image/jpeg"),
        (b"hello world", "audio/mpeg"),
        (b"{\"a\":1}", "audio/aac"),
    ] {
        let what = format!("{} as {declared}", bytes.escape_ascii());
        let call = post().raw(bytes).header("content-type", declared).key(&tenant.key);
        let answer = call.send(&server.url).await;
        assert_refused(&what, &answer, Code::InvalidParameterValue, Some("Content-Type"));
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("Send Content-Type: "), "{message}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_phone_tells_of_its_files_is_kept() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    #[rustfmt::skip]
    let cases: &[Case] = &[
        (b"\x9a\x01\x02\xfe\0\x7c", "image/heic", "image/heic"),
        (b"\x9a\x01\x02\xfe\0\x7c", "video/quicktime", "video/quicktime"),
        (b"\0\0\0\x18ftyp3gp5\0\0\0\0isom3gp5", "audio/3gpp", "audio/3gpp"),
        (b"#!AMR-WB\n\x44", "audio/amr-wb", "audio/amr-wb"),
        (b"BEGIN:VCARD\r\nVERSION:2.1\r\nN:M\xfcller\r\nEND:VCARD\r\n", "text/x-vcard", "text/vcard"),
        (b"BEGIN:VCARD", "text/vcard", "text/vcard"),
        (b"loc", "text/x-vlocation", "text/x-vlocation"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/heic", "image/png"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "public.png", "image/png"),
        (b"<html><script>", "image/gif", "text/html"),
    ];
    for (bytes, told, kept) in cases {
        let sample = Sample { name: "José 100%.bin", mime_type: told, bytes: bytes.to_vec() };
        let body = json!({ "line": LINE, "from": CONTACT, "attachments": [sample.attached()] });
        texts(&server, &body).await;
        let page = tenant.client.messages(LINE, CONTACT).limit(1).send().await.unwrap().value;
        let attachment = &page.data[0].attachments[0];
        let what = format!("{} as {told}", bytes.escape_ascii());
        assert_eq!(attachment.mime_type.as_deref(), Some(*kept), "{what}");
        assert_eq!(attachment.filename.as_deref(), Some("José 100%.bin"));
    }
    server.stop().await;
}

#[tokio::test]
async fn every_encoding_of_a_voice_memo_goes_out() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "say it").await;
    #[rustfmt::skip]
    let cases: &[(&[u8], &[&str])] = &[
        (b"\0\0\0\x18ftypM4A \0\0\0\0isommp42", &["audio/mp4", "audio/x-m4a", "audio/mp4a-latm", "audio/aac", "*/*", "video/mp4", "application/mp4", "audio/3gpp", "audio/mpeg4-generic", "audio/x-m4r"]),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", &["audio/mp4", "audio/m4a"]),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x1cmoov\0\0\0\x14hdlr\0\0\0\0\0\0\0\0soun", &["application/octet-stream"]),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", &["audio/aac", "audio/aacp", "audio/mp4", "application/octet-stream", "audio/aac-adts"]),
        (b"ID3\x04\0\0\0\0\0\0\xff\xf1\x50\x80\x02\x1f\xfc", &["audio/aac", "*/*"]),
        (b"ADIF\0\x14", &["audio/aac"]),
        (b"ID3\x03\0\0\0\0\0\0\xff\xfb\x90\0", &["audio/mpeg", "audio/mp3", "audio/x-mp3", "*/*", "audio/mpa", "audio/mpeg-3"]),
        (b"\0\0\0\xff\xf3\x90\0", &["audio/mpeg", "*/*"]),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0", &["audio/wav", "audio/x-wav", "audio/vnd.wave", "audio/wave", "*/*", "audio/s-wav", "audio/mpeg", "video/mp4"]),
        (b"RF64\xff\xff\xff\xffWAVEds64", &["audio/wav", "*/*"]),
        (b"RIFX\0\0\0\x24WAVEfmt ", &["audio/wav", "*/*"]),
        (b"caff\0\x01\0\0desc", &["audio/x-caf", "audio/caf", "*/*"]),
        (b"FORM\0\0\0\x20AIFFCOMM", &["audio/aiff", "audio/x-aiff", "*/*"]),
        (b"FORM\0\0\0\x20AIFCFVER", &["audio/aiff", "audio/x-aifc", "*/*"]),
    ];
    for (bytes, declared) in cases {
        for declared in *declared {
            let what = format!("{} as {declared}", bytes.escape_ascii());
            let call = post().raw(*bytes).header("content-type", declared).key(&tenant.key);
            let answer = call.send(&server.url).await;
            assert_eq!(answer.status, 201, "{what}: {answer:?}");
            let memo = json!({ "from": LINE, "to": CONTACT, "audio_message": answer.body["id"] });
            let call = Call::post("/v1/audio-messages", &memo).key(&tenant.key);
            let answer = call.send(&server.url).await;
            assert_eq!(answer.status, 201, "{what}: {answer:?}");
            let item = answer.body["id"].as_str().unwrap().parse().unwrap();
            settled(&tenant, item, OutboxStatus::Sent).await;
        }
    }
    // Bytes that are certainly something else.
    let opus = [b"OggS\0\x02".as_slice(), &[0; 22], b"OpusHead\x01\x02"].concat();
    let film =
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x1cmoov\0\0\0\x14hdlr\0\0\0\0\0\0\0\0vide";
    for bytes in [opus.as_slice(), film, b"ID3\x04\0\0\0\0\0\0fLaC\0\0\0\x22"] {
        let what = bytes.escape_ascii().to_string();
        let call = post().raw(bytes.to_vec()).header("content-type", "audio/mpeg").key(&tenant.key);
        let file = call.send(&server.url).await.body["id"].take();
        let memo = json!({ "from": LINE, "to": CONTACT, "audio_message": file });
        let call = Call::post("/v1/audio-messages", &memo).key(&tenant.key);
        let answer = call.send(&server.url).await;
        let code = Code::InvalidParameterValue;
        assert_refused(&what, &answer, code, Some("audio_message"));
    }
    server.stop().await;
}
