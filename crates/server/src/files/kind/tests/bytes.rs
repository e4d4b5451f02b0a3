//! Where the bytes decide against the declared type, and nobody is refused.

use super::*;

#[test]
fn a_picture_or_a_recording_goes_by_the_type_of_its_bytes() {
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
    let wav = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0";
    let webp = b"RIFF\x24\0\0\0WEBPVP8 ";
    let avi = b"RIFF\x24\0\0\0AVI LIST";
    let (caf, flac) = (b"caff\0\x01\0\0desc", b"fLaC\0\0\0\x22");
    let heic = ftyp(&[b"heic", b"mif1"]);
    let table: &[(&[u8], &str, &str)] = &[
        (&heic, "image/jpeg", "image/heic"),
        (&heic, "image/png", "image/heic"),
        (webp, "image/jpeg", "image/webp"),
        (webp, "image/png", "image/webp"),
        (webp, "image/gif", "image/webp"),
        (PNG, "image/jpg", "image/png"),
        (PNG, "image/heic", "image/png"),
        (jpeg, "image/png", "image/jpeg"),
        (b"GIF89a\x01\0", "image/jpeg", "image/gif"),
        (b"II*\0\x08\0\0\0", "image/jpeg", "image/tiff"),
        (caf, "audio/mp4", "audio/x-caf"),
        (caf, "audio/wav", "audio/x-caf"),
        (flac, "audio/mpeg", "audio/flac"),
        (wav, "audio/mp3", "audio/wav"),
        (wav, "video/mp4", "audio/wav"),
        (avi, "video/mp4", "video/x-msvideo"),
        (avi, "video/quicktime", "video/x-msvideo"),
    ];
    for (bytes, declared, kept) in table {
        let what = format!("{} as {declared}", bytes.escape_ascii());
        assert_eq!(kind(bytes, Some(declared), None).as_deref(), Ok(*kept), "{what}");
        assert_eq!(received_type(bytes, true, Some(declared), None), *kept, "{what}");
    }
}

/// So that what is no memo is not sent as one, and what is one can be.
#[test]
fn whether_it_is_a_voice_memo_is_decided_by_the_bytes() {
    let m4a = ftyp(&[b"M4A ", b"mp42"]);
    let track =
        |kind: &[u8]| [b"\0\0\0\x1cmoov\0\0\0\x14hdlr\0\0\0\0\0\0\0\0".as_slice(), kind].concat();
    let recorder = [ftyp(&[b"isom", b"mp42"]), track(b"soun")].concat();
    let film = [ftyp(&[b"isom", b"mp42"]), track(b"vide")].concat();
    let film_of_apple = [m4a.clone(), track(b"vide")].concat();
    let unclear = ftyp(&[b"isom", b"mp42"]);
    let wav = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0";
    let opus = [b"OggS\0\x02".as_slice(), &[0; 22], b"OpusHead\x01\x02"].concat();
    let (mp3, adts, flac) = (mp3(), adts(), tagged(b"fLaC\0\0\0\x22"));
    #[rustfmt::skip]
    let table: &[(&[u8], &[&str], &str)] = &[
        (&m4a, &["video/mp4", "application/mp4", "audio/3gpp", "video/quicktime", "audio/mpeg4-generic", "audio/x-m4r", "audio/x-foo"], "audio/mp4"),
        (&recorder, &["video/mp4", "audio/3gpp"], "audio/mp4"),
        (&mp3, &["audio/mpa", "audio/mpeg-3"], "audio/mpeg"),
        (&adts, &["audio/aac-adts"], "audio/aac"),
        (wav, &["audio/s-wav", "audio/x-foo"], "audio/wav"),
        (&film, &["audio/mp4", "audio/aac", "audio/mpeg", "video/mp4"], "video/mp4"),
        (&film_of_apple, &["video/mp4"], "video/mp4"),
        (&unclear, &["audio/mp4", "audio/m4a"], "audio/mp4"),
        (&unclear, &["video/mp4"], "video/mp4"),
        (&opus, &["audio/mp4", "audio/mpeg", "audio/wav"], "audio/opus"),
        (&flac, &["audio/mpeg"], "audio/flac"),
        (b"#!AMR\n\x3c", &["audio/mp4", "audio/mpeg", "audio/amr"], "audio/amr"),
        (b"\x1a\x45\xdf\xa3\x93\x42\x82\x84webm\x86\x86A_OPUS", &["audio/mp4", "audio/webm"], "audio/webm"),
    ];
    for (bytes, declared, kept) in table {
        for declared in *declared {
            let what = format!("{} as {declared}", bytes.escape_ascii());
            assert_eq!(kind(bytes, Some(declared), None).as_deref(), Ok(*kept), "{what}");
        }
    }
    // What came with a message keeps what the phone told.
    assert_eq!(received_type(&m4a, true, Some("video/mp4"), None), "video/mp4");
    assert_eq!(received_type(&film, true, Some("audio/mp4"), None), "audio/mp4");
}

#[test]
fn a_charset_is_told_of_utf_8_alone() {
    let cut = &"hellö".as_bytes()[..5];
    for (bytes, complete, told) in [
        (b"hello".as_slice(), true, Some("utf-8")),
        ("José 世界".as_bytes(), true, Some("utf-8")),
        (cut, false, Some("utf-8")),
        (b"\x1b[31mred\x1b[0m", true, Some("utf-8")),
        (cut, true, None),
        (b"Jos\xe9", true, None),
        (b"\x93\xfa\x96\x7b", true, None),
        (b"\xff\xfeh\0i\0", true, None),
        (b"\x1b$BF|K\\\x1b(B", true, None),
    ] {
        assert_eq!(charset(bytes, complete), told, "{}", bytes.escape_ascii());
    }
}
