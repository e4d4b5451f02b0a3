//! What a name adds where nothing is declared.

use super::*;

#[test]
fn a_name_says_more_but_never_something_else() {
    let zip = zip(&["a.txt"]);
    let recorded = ftyp(&[b"isom", b"mp42"]);
    let xml = b"<?xml version='1.0'?><x/>";
    for (bytes, name, found) in [
        (PNG, "a.txt", "image/png"),
        (b"hello", "a.csv", "text/csv"),
        (b"hello", "a.png", "text/plain"),
        (b"hello", "a.vcf", VCARD),
        (b"BMW is a car maker", "car.txt", "text/plain"),
        (b"BMW is a car maker", "car.bmp", "text/plain"),
        (b"solid ground", "a.md", "text/markdown"),
        (b"true, that", "a.txt", "text/plain"),
        (b"# Title", "a.md", "text/markdown"),
        (&zip, "a.pkpass", "application/vnd.apple.pkpass"),
        (&zip, "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (&zip, "a.png", "application/zip"),
        (&zip, "a.pdf", "application/zip"),
        (&zip, "a.txt", "application/zip"),
        (&recorded, "memo.m4a", "audio/mp4"),
        (&recorded, "memo.wav", "video/mp4"),
        (&recorded, "a.mov", "video/quicktime"),
        (xml, "a.gpx", "application/gpx+xml"),
        (xml, "a.png", "text/xml"),
        (b"II*\0\x08\0\0\0", "a.dng", "image/x-adobe-dng"),
        (b"\x1f\x8b\x08\0\0\0", "a.tgz", "application/gzip"),
        (b"\x1f\x8b\x08\0\0\0", "a.txt.gz", "application/gzip"),
        (&compound("Contents"), "a.doc", "application/msword"),
        (b"From: ann@example.org\r\n\r\nhello", "mail.eml", "message/rfc822"),
        (b"v 1.0 0.0 0.0\nf 1 2 3\n", "a.obj", "model/obj"),
        (b"\x9a\x01\x02\xfe\0", "a.stl", "model/stl"),
        (b"\x9a\x01\x02\xfe\0", "a.igs", "model/iges"),
        (b"{\"asset\":{}}", "a.gltf", "model/gltf+json"),
        (b"\x9a\x01\x02\xfe\0", "a.ttc", "font/collection"),
        (b"hello", "a.ttf", "text/plain"),
        (b"\0\0\x02\0\0\0\0\0\0\0\0\0\x40\0\x30\0", "a.tga", "image/x-tga"),
        (b"\x9a\x01\x02\xfe\0", "a.heic", UNKNOWN),
        (b"\x9a\x01\x02\xfe\0", "a.mp3", UNKNOWN),
        (b"\x9a\x01\x02\xfe\0", "a.svg", UNKNOWN),
        (b"\x9a\x01\x02\xfe\0", "a.dat", UNKNOWN),
        (b"export const a = 1;", "a.ts", "text/plain"),
        (b"hello", "readme", "text/plain"),
        ("grüße".as_bytes(), "notes.zzz", "text/plain"),
        (&zip, "a.pages", "application/vnd.apple.pages"),
        (&zip, "a.numbers", "application/vnd.apple.numbers"),
        (&zip, "A.KEY", "application/vnd.apple.keynote"),
        (b"hello", "a.key", "text/plain"),
        (&tagged(b"?"), "a.aac", "audio/aac"),
    ] {
        let what = format!("{} named {name}", bytes.escape_ascii());
        assert_eq!(kind(bytes, None, Some(name)).as_deref(), Ok(found), "{what}");
    }
}

#[test]
fn a_text_needs_no_name() {
    for text in ["hello", "grüße\n", "a,b\r\n1,2\r\n", "{\"a\":1}", "\u{feff}hello"] {
        assert_eq!(kind(text.as_bytes(), None, None).as_deref(), Ok("text/plain"), "{text}");
    }
    // The last character of the first bytes may be cut in two.
    let cut = &"hellö".as_bytes()[..5];
    assert_eq!(mime_type(cut, false, None, None).as_deref(), Ok("text/plain"));
    for bytes in [cut, b"", b"a\0b", b"\x01\x02\x03", b"Stra\xdfe"] {
        let what = bytes.escape_ascii();
        assert_eq!(kind(bytes, None, None).as_deref(), Ok(UNKNOWN), "{what}");
    }
}
