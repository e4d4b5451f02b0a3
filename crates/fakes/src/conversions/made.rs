//! What the programs make of a file: its form's beginning, and then the file itself.

/// The samples of a second.
const SECOND: i64 = 24_000;

/// The JPEG that `sips` makes of this picture.
pub fn jpeg_of(picture: &[u8]) -> Vec<u8> {
    [b"\xff\xd8\xff\xe0\0\x10JFIF\0", picture].concat()
}

/// The M4A that `afconvert` makes of this sound.
pub fn m4a_of(sound: &[u8]) -> Vec<u8> {
    [b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", sound].concat()
}

/// The voice memo that `afconvert` makes of this sound: a CAF file with one second of Opus, 24 kHz, one channel.
pub fn memo_of(sound: &[u8]) -> Vec<u8> {
    memo(sound, SECOND)
}

/// The same, of so many samples. Chunks as in Apple's Core Audio Format specification.
pub(super) fn memo(sound: &[u8], samples: i64) -> Vec<u8> {
    let mut caf = b"caff\0\x01\0\0".to_vec();
    let mut chunk = |kind: &[u8; 4], bytes: &[u8]| {
        caf.extend(kind);
        caf.extend((bytes.len() as u64).to_be_bytes());
        caf.extend(bytes);
    };
    // Flags, bytes of a packet (it varies), samples of one, channels, bits of a sample (none when compressed).
    let numbers = [0_u32, 0, 480, 1, 0].map(u32::to_be_bytes).concat();
    chunk(b"desc", &[&24_000_f64.to_be_bytes()[..], b"opus", &numbers].concat());
    // Packets, samples, and those at the beginning and the end that are not heard.
    let table = [&[50, samples].map(i64::to_be_bytes).concat()[..], &[0; 8]].concat();
    chunk(b"pakt", &table);
    chunk(b"data", &[&1_u32.to_be_bytes()[..], sound].concat());
    caf
}
