//! What a CAF file says of itself: the container of Apple's voice memos (Core Audio Format, version 1).

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Chunks that are looked at before a file counts as none.
const MOST_CHUNKS: usize = 256;
/// The rate of a voice memo, in Hz.
const MEMO_RATE: f64 = 24_000.0;

/// What a CAF file holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Caf {
    /// Samples a second.
    rate: f64,
    format: [u8; 4],
    channels: u32,
    /// Samples of each channel.
    frames: u64,
}

impl Caf {
    /// Reads what stands at the beginning of its chunks. Blocks. None if it is no such file.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        match parse(&mut file, length) {
            Ok(found) => Ok(found),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether Messages shows and plays it as a voice memo.
    pub(super) fn is_memo(&self) -> bool {
        let rate = (self.rate - MEMO_RATE).abs() < 1.0;
        &self.format == b"opus" && rate && self.channels == 1
    }

    pub(super) fn is_silent(&self) -> bool {
        self.frames == 0
    }
}

fn parse(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<Caf>> {
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    if &head[..6] != b"caff\0\x01" {
        return Ok(None);
    }
    let (mut description, mut counted, mut data) = (None, None, 0);
    let mut at = 8;
    for _ in 0..MOST_CHUNKS {
        if at + 12 > length {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let kind: [u8; 4] = bytes(file)?;
        let said = i64::from_be_bytes(bytes(file)?);
        at += 12;
        // The last chunk may not know its own length.
        let size = u64::try_from(said).unwrap_or(length - at).min(length - at);
        match &kind {
            b"desc" => {
                let rate = f64::from_be_bytes(bytes(file)?);
                let format = bytes(file)?;
                let _flags: [u8; 4] = bytes(file)?;
                let packet_bytes = u32::from_be_bytes(bytes(file)?);
                let packet_frames = u32::from_be_bytes(bytes(file)?);
                let channels = u32::from_be_bytes(bytes(file)?);
                description = Some((rate, format, channels, packet_bytes, packet_frames));
            }
            b"pakt" => {
                let _packets: [u8; 8] = bytes(file)?;
                counted = u64::try_from(i64::from_be_bytes(bytes(file)?)).ok();
            }
            // It begins with a count of edits.
            b"data" => data = size.saturating_sub(4),
            _ => {}
        }
        at += size;
    }
    let Some((rate, format, channels, packet_bytes, packet_frames)) = description else {
        return Ok(None);
    };
    let by_length = || {
        let packets = data.checked_div(packet_bytes.into()).unwrap_or(0);
        packets.saturating_mul(packet_frames.into())
    };
    // What has no bytes has no sound, whatever is said of it.
    let frames = if data == 0 { 0 } else { counted.unwrap_or_else(by_length) };
    Ok(Some(Caf { rate, format, channels, frames }))
}

fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn chunk(kind: &[u8; 4], said: i64, bytes: &[u8]) -> Vec<u8> {
        [&kind[..], &said.to_be_bytes(), bytes].concat()
    }

    fn described(rate: f64, format: &[u8; 4], channels: u32, packet: (u32, u32)) -> Vec<u8> {
        let numbers = [0, packet.0, packet.1, channels, 0].map(u32::to_be_bytes).concat();
        let bytes = [&rate.to_be_bytes()[..], format, &numbers].concat();
        [b"caff\0\x01\0\0".to_vec(), chunk(b"desc", 32, &bytes)].concat()
    }

    fn memo(frames: i64, data: &[u8]) -> Vec<u8> {
        let table = [1, frames].map(i64::to_be_bytes).concat();
        let table = [&table[..], &[0; 8]].concat();
        let table = chunk(b"pakt", 24, &table);
        let data = [&[0; 4], data].concat();
        [described(24_000.0, b"opus", 1, (0, 480)), table, chunk(b"data", -1, &data)].concat()
    }

    fn parsed(bytes: &[u8]) -> Option<Caf> {
        let mut file = Cursor::new(bytes);
        parse(&mut file, bytes.len() as u64).ok().flatten()
    }

    #[test]
    fn a_memo_is_opus_of_24_khz_and_one_channel_that_is_not_empty() {
        let good = parsed(&memo(24_000, b"sound")).unwrap();
        assert!(good.is_memo() && !good.is_silent());
        for silent in
            [memo(0, b"sound"), memo(24_000, b""), described(24_000.0, b"opus", 1, (0, 480))]
        {
            let silent = parsed(&silent).unwrap();
            assert!(silent.is_memo() && silent.is_silent(), "{silent:?}");
        }
        for other in [
            described(44_100.0, b"opus", 1, (0, 480)),
            described(24_000.0, b"lpcm", 1, (2, 1)),
            described(24_000.0, b"opus", 2, (0, 480)),
        ] {
            assert!(!parsed(&other).unwrap().is_memo());
        }
        for none in [&b"caff"[..], b"", b"RIFF....WAVE", b"caff\0\x01\0\0"] {
            assert_eq!(parsed(none), None);
        }
    }

    #[test]
    fn the_length_is_known_without_a_table_of_packets() {
        let data = chunk(b"data", 4 + 8, &[0; 12]);
        let file = [described(44_100.0, b"lpcm", 1, (2, 1)), data].concat();
        assert_eq!(parsed(&file).unwrap().frames, 4);
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_it_is_read_or_not(mut bytes in prop::collection::vec(any::<u8>(), 0..200), good: bool, at in 0_usize..120, byte: u8) {
            if good {
                bytes = memo(5, &bytes);
                let at = at.min(bytes.len() - 1);
                bytes[at] = byte;
            }
            parsed(&bytes);
        }
    }
}
