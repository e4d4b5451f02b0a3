//! The text of a live stream, as the HTML standard has it (§9.2.6, "Interpreting an event
//! stream"): bytes in, blocks out, wherever the bytes were cut.
//!
//! `retry:` is not obeyed: this client has its own pauses, and they have bounds.

/// The longest block that is taken, in bytes. A message of the longest text, each character in
/// its longest JSON escape, is 120 kB.
pub(crate) const MAX_BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// What stands between two empty lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// The place in the stream; it counts even if there is nothing else.
    pub(crate) id: Option<String>,
    /// The event's name; none means `message`.
    pub(crate) event: Option<String>,
    /// The data, its lines joined; none if there was no such line.
    pub(crate) data: Option<String>,
}

/// A block or a line has no end within [`MAX_BLOCK_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// A stream, read so far.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    block: Block,
    /// Bytes of the block's finished lines.
    taken: usize,
    /// Whether the last byte was a CR: an LF after it ends no second line.
    after_cr: bool,
    /// Whether a line was finished: a byte order mark may stand before the first only.
    begun: bool,
}

impl Parser {
    /// Takes the next bytes and gives the blocks that they complete to `out`.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        out: &mut impl Extend<Block>,
    ) -> Result<(), TooLong> {
        for &byte in bytes {
            let second_half = std::mem::take(&mut self.after_cr) && byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    out.extend(self.end_line());
                }
                _ if self.line.len() + self.taken >= MAX_BLOCK_BYTES => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<Block> {
        let bytes = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.begun, true);
        let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if first => rest,
            _ => &bytes[..],
        };
        if bytes.is_empty() {
            self.taken = 0;
            let block = std::mem::take(&mut self.block);
            // A name alone is no event; an id alone moves the place.
            return (block.data.is_some() || block.id.is_some()).then_some(block);
        }
        self.taken += bytes.len();
        // No cut can fall inside a character: CR and LF are no part of any.
        let text = String::from_utf8_lossy(bytes);
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.block.event = Some(value.to_owned()),
            "data" => match &mut self.block.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.block.id = Some(value.to_owned()),
            // A comment has no name; what has another name is not for us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<Block> {
        let (mut parser, mut blocks) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser.push(chunk, &mut blocks).unwrap();
        }
        blocks
    }

    fn block(id: Option<&str>, event: Option<&str>, data: Option<&str>) -> Block {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Block { id: own(id), event: own(event), data: own(data) }
    }

    #[test]
    fn blocks_are_read_as_the_standard_has_them() {
        for (text, blocks) in [
            ("", vec![]),
            ("data: a\n\n", vec![block(None, None, Some("a"))]),
            ("data: a\n", vec![]),
            ("data\n\n", vec![block(None, None, Some(""))]),
            ("data:a\ndata:  b\ndata\n\n", vec![block(None, None, Some("a\n b\n"))]),
            ("id: 1\nevent: x\ndata: a\n\n", vec![block(Some("1"), Some("x"), Some("a"))]),
            ("id: 1\n\n", vec![block(Some("1"), None, None)]),
            ("id\n\n", vec![block(Some(""), None, None)]),
            ("id: a\0b\ndata: x\n\n", vec![block(None, None, Some("x"))]),
            ("event: x\n\ndata: a\n\n", vec![block(None, None, Some("a"))]),
            (": hello\n\n:\n\nretry: 5\nother: 1\n\n", vec![]),
            (":\ndata: a\n: b\n\n", vec![block(None, None, Some("a"))]),
            ("data: a: b\n\n", vec![block(None, None, Some("a: b"))]),
            ("\u{feff}data: a\n\n", vec![block(None, None, Some("a"))]),
            ("\n\u{feff}data: a\n\n", vec![]),
            ("data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", {
                ["a", "b", "c"].map(|data| block(None, None, Some(data))).to_vec()
            }),
        ] {
            assert_eq!(parse(&[text.as_bytes()]), blocks, "{text:?}");
        }
        let broken = parse(&[b"data: \xff\xc3\n\n"]);
        assert_eq!(broken, [block(None, None, Some("\u{fffd}\u{fffd}"))]);
    }

    #[test]
    fn nothing_is_kept_without_end() {
        let mut parser = Parser::default();
        let (line, mut out) = ([b"data: ", &[b'x'; 1000][..], b"\n"].concat(), Vec::new());
        let mut pushed = 0;
        while parser.push(&line, &mut out).is_ok() {
            pushed += line.len();
            assert!(pushed <= 2 * MAX_BLOCK_BYTES);
        }
        assert!(pushed > MAX_BLOCK_BYTES - 2 * line.len() && out.is_empty());
        // Blocks that end are no part of the next.
        let (mut parser, block) = (Parser::default(), [&line[..], b"\n"].concat());
        for _ in 0..2 * MAX_BLOCK_BYTES / block.len() {
            parser.push(&block, &mut out).unwrap();
            assert_eq!(out.drain(..).count(), 1);
        }
    }

    /// Lines that mean something, and some that do not, with every kind of end.
    fn streams() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just(String::new()),
            "(data|id|event|retry|x)(: ?[a-zü😀: ]{0,6})?",
            ":[a-z]{0,3}",
            "\\PC{0,8}",
        ];
        let end = prop_oneof![Just("\n"), Just("\r"), Just("\r\n")];
        let lines = prop::collection::vec((line, end), 0..40);
        (any::<bool>(), lines).prop_map(|(mark, lines)| {
            let text: String = lines.into_iter().map(|(line, end)| line + end).collect();
            if mark { format!("\u{feff}{text}") } else { text }
        })
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_cut(
            text in streams(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let whole = parse(&[bytes]);
            prop_assert_eq!(&parse(&chunks), &whole);
            let single: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(&parse(&single), &whole);
        }

        #[test]
        fn it_does_not_matter_how_lines_end(text in streams()) {
            let same = |end: &str| {
                let lines = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', end);
                parse(&[lines.as_bytes()])
            };
            prop_assert_eq!(same("\n"), same("\r\n"));
            prop_assert_eq!(same("\r"), same("\r\n"));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Parser::default().push(&bytes, &mut Vec::new());
        }
    }
}
