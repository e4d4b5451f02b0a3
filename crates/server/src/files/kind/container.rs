//! What is inside containers: formats that carry several kinds of file, told by more than their first bytes.

use super::family::Family;

/// The identifier of the header object of Windows Media.
pub(super) const ASF: &[u8] = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c";
const ASF_AUDIO: &[u8] = b"\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b";
const ASF_VIDEO: &[u8] = b"\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b";

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|here| here == part)
}

pub(super) fn asf(head: &[u8]) -> &'static str {
    match (has(head, ASF_VIDEO), has(head, ASF_AUDIO)) {
        (true, _) => "video/x-ms-wmv",
        (false, true) => "audio/x-ms-wma",
        (false, false) => "application/vnd.ms-asf",
    }
}

pub(super) fn ogg(head: &[u8]) -> &'static str {
    let first = head.get(28..).unwrap_or_default();
    let is_video = |bytes| has(bytes, b"\x80theora") || has(bytes, b"\x01video\0\0\0");
    if first.starts_with(b"OpusHead") {
        "audio/opus"
    } else if first.starts_with(b"\x01vorbis")
        || first.starts_with(b"Speex   ")
        || first.starts_with(b"\x7fFLAC")
    {
        "audio/ogg"
    } else if is_video(head) {
        "video/ogg"
    } else if has(head, b"\x01vorbis") || has(head, b"OpusHead") {
        "audio/ogg"
    } else {
        "application/ogg"
    }
}

pub(super) fn matroska(head: &[u8]) -> &'static str {
    let is_webm = has(&head[..head.len().min(64)], b"webm");
    // Names of codecs: an element of its own, so the letters stand behind its length.
    let has_codec = |kind: u8| {
        head.windows(4)
            .any(|here| here[0] == 0x86 && here[1] & 0x80 != 0 && here[2..] == [kind, b'_'])
    };
    match (is_webm, has_codec(b'A') && !has_codec(b'V')) {
        (true, true) => "audio/webm",
        (true, false) => "video/webm",
        (false, true) => "audio/x-matroska",
        (false, false) => "video/x-matroska",
    }
}

pub(super) fn riff(head: &[u8]) -> Option<(&'static str, Family)> {
    // Wave64 has a longer identifier.
    if head.starts_with(b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00") {
        return Some(("audio/wav", Family::Wav));
    }
    let is_riff = [b"RIFF", b"RIFX", b"RF64", b"BW64"].iter().any(|name| head.starts_with(*name));
    match head.get(8..12).filter(|_| is_riff)? {
        // MPEG audio in this wrapping is declared as either.
        b"WAVE"
            if matches!(head.get(20), Some(0x50 | 0x55)) && head.get(12..16) == Some(b"fmt ") =>
        {
            Some(("audio/wav", Family::Tagged))
        }
        b"WAVE" => Some(("audio/wav", Family::Wav)),
        b"WEBP" => Some(("image/webp", Family::Webp)),
        b"AVI " => Some(("video/x-msvideo", Family::Avi)),
        _ => None,
    }
}

pub(super) fn iff(head: &[u8]) -> Option<(&'static str, Family)> {
    let is_aiff = head.starts_with(b"FORM") && matches!(head.get(8..12), Some(b"AIFF" | b"AIFC"));
    is_aiff.then_some(("audio/aiff", Family::Aiff))
}

/// Files of boxes (ISO 14496-12), and QuickTime's, of which those came.
pub(super) fn iso(head: &[u8]) -> Option<(&'static str, Family)> {
    let media = |kind| Some((kind, Family::IsoMedia));
    let name = head.get(4..8)?;
    if name != b"ftyp" {
        let size = u32::from_be_bytes(head[..4].try_into().ok()?);
        // Texts have such words too, but a length of so many millions behind none of them.
        let is_box = size == 1 || (8..0x0100_0000).contains(&size);
        return match name {
            b"moov" | b"wide" | b"free" | b"skip" | b"pnot" if is_box => media("video/quicktime"),
            b"mdat" if is_box || size == 0 => media("video/quicktime"),
            b"styp" | b"moof" | b"sidx" | b"emsg" if is_box => media("video/mp4"),
            _ => None,
        };
    }
    let brand = head.get(8..12).unwrap_or_default();
    let length = usize::try_from(u32::from_be_bytes(head[..4].try_into().ok()?)).ok()?;
    let compatible = head.get(16..length.min(head.len())).unwrap_or_default();
    let goes_with = |brands: &[&[u8]]| compatible.chunks(4).any(|brand| brands.contains(&brand));
    let image = |kind| Some((kind, Family::IsoImage));
    match brand {
        b"heic" | b"heix" | b"heim" | b"heis" => image("image/heic"),
        b"hevc" | b"hevx" | b"hevm" | b"hevs" => image("image/heic-sequence"),
        b"avif" | b"avis" | b"avio" => image("image/avif"),
        b"mif1" | b"mif2" | b"miaf" if goes_with(&[b"avif", b"avis"]) => image("image/avif"),
        b"mif1" | b"mif2" | b"miaf" if goes_with(&[b"heic", b"heix"]) => image("image/heic"),
        b"msf1" if goes_with(&[b"avis"]) => image("image/avif"),
        b"msf1" if goes_with(&[b"hevc", b"hevx"]) => image("image/heic-sequence"),
        b"mif1" | b"mif2" | b"miaf" => image("image/heif"),
        b"msf1" => image("image/heif-sequence"),
        // Pictures too, but of these others know more.
        b"crx " => None,
        b"M4A " | b"M4B " | b"M4P " | b"F4A " | b"F4B " => media("audio/mp4"),
        b"M4V " | b"M4VH" | b"M4VP" => media("video/x-m4v"),
        b"qt  " => media("video/quicktime"),
        b"mjp2" => media("video/mj2"),
        b"KDDI" => media("video/3gpp2"),
        [b'3', b'g', b'2', _] => media("video/3gpp2"),
        [b'3', b'g', _, _] => media("video/3gpp"),
        _ if goes_with(&[b"M4A "]) && !has_video(head) => media("audio/mp4"),
        _ if has_whole_index(head) && has_sound(head) && !has_video(head) => media("audio/mp4"),
        _ => media("video/mp4"),
    }
}

/// Whether the index of the file is among the first bytes, with all its tracks.
fn has_whole_index(head: &[u8]) -> bool {
    let Some(at) = head.windows(4).position(|here| here == b"moov") else { return false };
    let size = at.checked_sub(4).and_then(|start| head.get(start..at)?.try_into().ok());
    let size = size.map(u32::from_be_bytes).and_then(|size| usize::try_from(size).ok());
    size.is_some_and(|size| size <= head.len() - at + 4)
}

/// Whether the index of the file, if it is among the first bytes, has a track of this kind.
fn has_track(head: &[u8], kind: &[u8; 4]) -> bool {
    head.windows(16).any(|here| here[..4] == *b"hdlr" && here[12..] == *kind)
}

pub(super) fn has_video(head: &[u8]) -> bool {
    has_track(head, b"vide")
}

fn has_sound(head: &[u8]) -> bool {
    has_track(head, b"soun")
}

/// MPEG audio: two frames one after the other, or one if no more is there. Silence may go before them.
pub(super) fn mpeg_audio(head: &[u8]) -> Option<&'static str> {
    let start = head.iter().position(|byte| *byte != 0)?;
    let frames = &head[start..];
    let (kind, length) = mpeg_frame(frames)?;
    match frames.get(length..) {
        Some(next @ [_, _, _, _, ..]) => mpeg_frame(next).map(|_| kind),
        _ => Some(kind),
    }
}

/// The kind of an MPEG audio frame, and its length.
fn mpeg_frame(frame: &[u8]) -> Option<(&'static str, usize)> {
    /// Kilobits a second of MPEG 1, layers 1 to 3, and of MPEG 2, layer 1 and layers 2 and 3.
    const RATES: [[usize; 14]; 5] = [
        [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    let [0xff, second, third, rest @ ..] = frame else { return None };
    if *second == 0xfe {
        // A text in UTF-16 begins like this, and nobody has sound of layer 1 with a checksum.
        return None;
    }
    if second & 0xf6 == 0xf0 {
        let length = |rest: &[u8]| {
            let [fourth, fifth, sixth, ..] = *rest else { return None };
            let length = (usize::from(fourth & 3) << 11)
                | (usize::from(fifth) << 3)
                | usize::from(sixth >> 5);
            (length >= 7).then_some(length)
        };
        let is_frequency = (third >> 2) & 15 < 13;
        return is_frequency.then_some(("audio/aac", length(rest)?));
    }
    if second & 0xe0 != 0xe0 {
        return None;
    }
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    let (rate, frequency, padding) = (third >> 4, (third >> 2) & 3, usize::from((third >> 1) & 1));
    if version == 1 || layer == 0 || rate == 15 || frequency == 3 {
        return None;
    }
    // A rate of the encoder's own says nothing of the length.
    let Some(index) = usize::from(rate).checked_sub(1) else {
        return Some(("audio/mpeg", usize::MAX));
    };
    let (is_first, layer) = (version == 3, 4 - layer);
    let hertz = [44_100, 48_000, 32_000][usize::from(frequency)] >> (3 - version).min(2);
    let table = match (is_first, layer) {
        (true, layer) => usize::from(layer) - 1,
        (false, 1) => 3,
        (false, _) => 4,
    };
    let bits = RATES[table][index] * 1000;
    let length = match (layer, is_first) {
        (1, _) => (12 * bits / hertz + padding) * 4,
        (3, false) => 72 * bits / hertz + padding,
        _ => 144 * bits / hertz + padding,
    };
    Some(("audio/mpeg", length))
}

/// What an archive holds, by the names of its first entries.
pub(super) fn zip(head: &[u8]) -> &'static str {
    const MIMETYPE: &[u8] = b"mimetype";
    let mut kind = "application/zip";
    let mut is_office = false;
    for (name, content) in entries(head) {
        if name == MIMETYPE {
            if let Some(told) = told_inside(content) {
                return told;
            }
        } else if name == b"[Content_Types].xml" || name.starts_with(b"_rels/") {
            is_office = true;
        } else if is_office && let Some(office) = office(name) {
            return office;
        } else if name == b"AndroidManifest.xml" || name == b"classes.dex" {
            return "application/vnd.android.package-archive";
        } else if name == b"pass.json" {
            return "application/vnd.apple.pkpass";
        } else if name == b"META-INF/MANIFEST.MF" {
            kind = "application/java-archive";
        } else if name == b"doc.kml" {
            return "application/vnd.google-earth.kmz";
        } else if name.ends_with(b".usdc") || name.ends_with(b".usda") {
            return "model/vnd.usdz+zip";
        } else if let Some(office) = office(name) {
            kind = office;
        }
    }
    kind
}

fn office(name: &[u8]) -> Option<&'static str> {
    [
        (
            b"word/".as_slice(),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        (b"visio/", "application/vnd.ms-visio.drawing.main+xml"),
    ]
    .into_iter()
    .find_map(|(folder, kind)| name.starts_with(folder).then_some(kind))
}

/// What the entry says that an e-book or an office document begins with.
fn told_inside(content: &[u8]) -> Option<&'static str> {
    /// The longer names first, for each begins with the one it is derived from.
    const TOLD: [&str; 16] = [
        "application/epub+zip",
        "application/vnd.oasis.opendocument.text-template",
        "application/vnd.oasis.opendocument.text-master",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet-template",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation-template",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.graphics-template",
        "application/vnd.oasis.opendocument.graphics",
        "application/vnd.oasis.opendocument.formula",
        "application/vnd.oasis.opendocument.chart",
        "application/vnd.sun.xml.writer",
        "application/vnd.sun.xml.calc",
        "application/vnd.sun.xml.impress",
        "image/openraster",
    ];
    TOLD.into_iter().find(|told| content.starts_with(told.as_bytes()))
}

/// The names in the local headers of an archive, each with what follows it.
fn entries(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    const LOCAL: &[u8] = b"PK\x03\x04";
    head.windows(LOCAL.len()).enumerate().filter(|(_, here)| *here == LOCAL).filter_map(
        move |(at, _)| {
            let length = |at: usize| {
                head.get(at..at + 2).map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])))
            };
            let (name, extra) = (length(at + 26)?, length(at + 28)?);
            let start = at + 30;
            let content = head.get(start + name + extra..).unwrap_or_default();
            Some((head.get(start..start + name)?, content))
        },
    )
}

/// What a compound file holds, by the names of its streams; those of a long one may lie further back.
pub(super) fn compound(head: &[u8]) -> &'static str {
    let has_stream = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).chain([0, 0]).collect();
        has(head, &wide)
    };
    [
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("Book", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("VisioDocument", "application/vnd.visio"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
    ]
    .into_iter()
    .find_map(|(stream, kind)| has_stream(stream).then_some(kind))
    .unwrap_or("application/x-ole-storage")
}
