//! vCards as address books write them.

use super::*;

#[test]
fn a_vcard_of_any_encoding_is_one() {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Müller;José\r\nFN:José Müller\r\nEND:VCARD\r\n";
    let shift_jis = b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=SHIFT_JIS:\x93\xfa\x96\x7b\x83\x5c\r\nEND:VCARD\r\n";
    let quoted = "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E5=B1=B1;=\r\n=E7=94=B0\r\nEND:VCARD\r\n";
    let wide = |big: bool, mark: bool| -> Vec<u8> {
        let units = card.encode_utf16();
        let mark = mark.then_some(0xfeff);
        let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        mark.into_iter().chain(units).flat_map(unit).collect()
    };
    let utf32 = |unit: fn(u32) -> [u8; 4]| -> Vec<u8> {
        ['\u{feff}'].into_iter().chain(card.chars()).flat_map(|c| unit(c.into())).collect()
    };
    for (what, bytes) in [
        ("utf-8", bytes(card)),
        ("windows-1252", encoding_rs::WINDOWS_1252.encode(card).0.into_owned()),
        ("shift_jis", shift_jis.to_vec()),
        (
            "gb2312",
            encoding_rs::GBK
                .encode("BEGIN:VCARD\nVERSION:2.1\nFN;CHARSET=GB2312:李娜\nEND:VCARD")
                .0
                .into_owned(),
        ),
        ("utf-16le with a mark", wide(false, true)),
        ("utf-16be with a mark", wide(true, true)),
        ("utf-16le", wide(false, false)),
        ("utf-16be", wide(true, false)),
        ("a mark", [b"\xef\xbb\xbf".as_slice(), card.as_bytes()].concat()),
        ("a blank line", [b"\r\n\r\n \t\n".as_slice(), card.as_bytes()].concat()),
        ("a mark and a blank line", [b"\xef\xbb\xbf\r\n".as_slice(), card.as_bytes()].concat()),
        ("lower case", bytes(&card.to_lowercase())),
        ("cr alone", bytes(&card.replace("\r\n", "\r"))),
        ("lf alone", bytes(&card.replace("\r\n", "\n"))),
        ("no end of the last line", bytes(card.trim_end())),
        ("several", bytes(&card.repeat(3))),
        ("quoted-printable", bytes(quoted)),
        (
            "version 4",
            bytes("BEGIN:VCARD\r\nVERSION:4.0\r\nKIND:individual\r\nFN:Ann\r\nEND:VCARD\r\n"),
        ),
        (
            "groups",
            bytes(
                "BEGIN:VCARD\nVERSION:3.0\nitem1.TEL;type=pref:+15550100002\nitem1.X-ABLabel:x\nEND:VCARD\n",
            ),
        ),
        ("no version", bytes("BEGIN:VCARD\nFN:Ann\nEND:VCARD\n")),
        ("many blank lines", [b"\r\n".repeat(3000).as_slice(), card.as_bytes()].concat()),
        ("a space of no width", bytes(&format!("\u{200b}{card}"))),
        ("a space", bytes(&card.replace(":VCARD", ": VCARD"))),
        ("a space before the colon", bytes(&card.replace(":VCARD", " :VCARD"))),
        ("an encoding before it", bytes(&format!("ENCODING:UTF-8\r\n{card}"))),
        ("comments before it", bytes(&format!("# by hand\r\n\r\n#\r\n{card}"))),
        ("utf-32le", utf32(u32::to_le_bytes)),
        ("utf-32be", utf32(u32::to_be_bytes)),
        ("spaces after", bytes("BEGIN:VCARD  \nFN:Ann\nEND:VCARD  \n")),
    ] {
        for declared in
            [Some("text/vcard"), Some("text/x-vcard; charset=x"), Some("text/directory"), None]
        {
            assert_eq!(
                kind(&bytes, declared, None).as_deref(),
                Ok(VCARD),
                "{what} as {declared:?}"
            );
        }
        assert_eq!(received_type(&bytes, true, Some("text/x-vCard"), None), VCARD, "{what}");
    }
    // What is none is a text like any other, but no card.
    for bytes in [
        b"hello".as_slice(),
        b"BEGIN:VCARD\r\n",
        b"BEGIN:VCARD\r\nhello",
        b"BEGIN:VCALENDAR\n",
        b"ENCODING:UTF-8\nBEGIN:VCARD\n",
        b"Dear Ann,\nBEGIN:VCARD\nFN:Ann\nEND:VCARD\n",
    ] {
        assert!(kind(bytes, Some(VCARD), None).is_err());
        assert_eq!(kind(bytes, Some("text/plain"), None).as_deref(), Ok("text/plain"));
    }
}
