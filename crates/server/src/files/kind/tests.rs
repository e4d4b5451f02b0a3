use proptest::prelude::*;

use super::*;

mod bytes;
mod cards;
mod names;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const CARD: &[u8] = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann Lee\r\nEND:VCARD\r\n";

fn kind(head: &[u8], declared: Option<&str>, name: Option<&str>) -> Result<String, &'static str> {
    mime_type(head, true, declared, name).map_err(|problem| problem.code.as_str())
}

fn ftyp(brands: &[&[u8; 4]]) -> Vec<u8> {
    let mut bytes = u32::try_from(12 + 4 * brands.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(b"ftyp");
    bytes.extend(brands[0]);
    bytes.extend([0; 4]);
    brands[1..].iter().for_each(|brand| bytes.extend(*brand));
    bytes.extend(b"\0\0\0\x08free");
    bytes
}

fn zip(names: &[&str]) -> Vec<u8> {
    let entry = |name: &&str| {
        let mut entry = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        entry.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        entry.extend([0, 0]);
        entry.extend(name.as_bytes());
        entry
    };
    names.iter().flat_map(entry).collect()
}

fn compound(stream: &str) -> Vec<u8> {
    let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    bytes.resize(1024, 0);
    bytes.extend(stream.encode_utf16().flat_map(u16::to_le_bytes));
    bytes.resize(2048, 0);
    bytes
}

fn tagged(then: &[u8]) -> Vec<u8> {
    [b"ID3\x04\0\0\0\0\0\x14".as_slice(), &[0; 20], then].concat()
}

/// Four frames of silence.
fn frames(header: &[u8], length: usize) -> Vec<u8> {
    let mut frame = header.to_vec();
    frame.resize(length, 0);
    frame.repeat(4)
}

fn mp3() -> Vec<u8> {
    frames(b"\xff\xfb\x90\x00", 417)
}

fn adts() -> Vec<u8> {
    frames(b"\xff\xf1\x50\x80\x02\x1f\xfc", 16)
}

fn transport(start: usize, step: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; start + 5 * step];
    bytes.iter_mut().skip(start).step_by(step).for_each(|byte| *byte = 0x47);
    bytes
}

/// Of every kind: its bytes, the types under which it is sent, each with the one that is kept, and the one that
/// is found if nothing is said.
#[test]
fn a_file_keeps_the_type_that_it_is_sent_under() {
    let wav =
        |format: &[u8]| [b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0".as_slice(), format, &[0; 14]].concat();
    let asf = |guid: &[u8]| [container::ASF, &[0; 14], guid].concat();
    let ebml = |kind: &[u8], codec: &[u8]| {
        [b"\x1a\x45\xdf\xa3\x93\x42\x82\x88".as_slice(), kind, b"\x86\x86", codec].concat()
    };
    let ogg = |first: &[u8]| [b"OggS\0\x02".as_slice(), &[0; 22], first].concat();
    let bmp = b"BM\x8a\x10\0\0\0\0\0\0\x8a\0\0\0\x7c\0\0\0".to_vec();
    let exe = [b"MZ\x90\0\x03\0\0\0".as_slice(), &[0; 64]].concat();
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    #[rustfmt::skip]
    let table: &[(&str, Vec<u8>, &[&str], &str)] = &[
        // Pictures.
        ("png", PNG.to_vec(), &["image/png", "image/x-png=image/png", "image/apng"], "image/png"),
        ("jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec(), &["image/jpeg", "image/jpg=image/jpeg", "image/pjpeg=image/jpeg"], "image/jpeg"),
        ("gif", b"GIF89a\x01\0\x01\0".to_vec(), &["image/gif"], "image/gif"),
        ("webp", b"RIFF\x24\0\0\0WEBPVP8 ".to_vec(), &["image/webp"], "image/webp"),
        ("bmp", bmp, &["image/bmp", "image/x-ms-bmp=image/bmp"], "image/bmp"),
        ("tiff", b"II*\0\x08\0\0\0".to_vec(), &["image/tiff", "image/x-adobe-dng", "image/x-nikon-nef", "image/x-canon-cr2", "image/dng"], "image/tiff"),
        ("big tiff", b"MM\0+\0\x08\0\0".to_vec(), &["image/tiff"], "image/tiff"),
        ("heic", ftyp(&[b"heic", b"mif1"]), &["image/heic", "image/heif", "image/heic-sequence"], "image/heic"),
        ("heic of an album", ftyp(&[b"mif1", b"mif1", b"heic"]), &["image/heic", "image/heif"], "image/heic"),
        ("heif", ftyp(&[b"mif1", b"miaf"]), &["image/heif", "image/heic"], "image/heif"),
        ("live picture", ftyp(&[b"hevc", b"msf1"]), &["image/heic-sequence", "image/heic", "video/quicktime"], "image/heic-sequence"),
        ("heif sequence", ftyp(&[b"msf1", b"iso8"]), &["image/heif-sequence", "image/heic-sequence"], "image/heif-sequence"),
        ("avif", ftyp(&[b"avif", b"mif1"]), &["image/avif"], "image/avif"),
        ("avif under another name", ftyp(&[b"mif1", b"avif"]), &["image/avif", "image/heif"], "image/avif"),
        ("avif sequence", ftyp(&[b"avis", b"msf1"]), &["image/avif", "image/avif-sequence"], "image/avif"),
        ("cr3", ftyp(&[b"crx ", b"isom"]), &["image/x-canon-cr3"], "image/x-canon-cr3"),
        ("jpeg xl", b"\xff\x0a\xfa\x1f\x41\x91\x08\x06\x01\0".to_vec(), &["image/jxl"], "image/jxl"),
        ("jpeg xl in boxes", b"\0\0\0\x0cJXL \r\n\x87\n".to_vec(), &["image/jxl"], "image/jxl"),
        ("jpeg 2000", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ".to_vec(), &["image/jp2", "image/jpx"], "image/jp2"),
        ("psd", b"8BPS\0\x01\0\0".to_vec(), &["image/vnd.adobe.photoshop", "image/x-photoshop=image/vnd.adobe.photoshop"], "image/vnd.adobe.photoshop"),
        ("icon", b"\0\0\x01\0\x01\0".to_vec(), &["image/vnd.microsoft.icon", "image/x-icon=image/vnd.microsoft.icon"], "image/vnd.microsoft.icon"),
        ("cursor", b"\0\0\x02\0\x01\0\x20\x20".to_vec(), &["image/x-win-bitmap"], "image/x-win-bitmap"),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), &["image/svg+xml", "text/xml", "text/plain"], "image/svg+xml"),
        ("svg with a head", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg/>".to_vec(), &["image/svg+xml"], "image/svg+xml"),
        ("svgz", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), &["image/svg+xml", "image/svg+xml-compressed"], "application/gzip"),
        ("tga", b"\0\0\x02\0\0\0\0\0\0\0\0\0\x40\0\x30\0\x18\x20\x80".to_vec(), &["image/x-tga", "image/x-targa"], "application/octet-stream"),
        ("xbm", b"#define i_width 64\n".to_vec(), &["image/x-xbitmap"], "text/plain"),
        // Sound.
        ("m4a", ftyp(&[b"M4A ", b"mp42"]), &["audio/mp4", "audio/x-m4a=audio/mp4", "audio/m4a=audio/mp4", "audio/mp4a-latm=audio/mp4", "audio/aac", "audio/mpeg"], "audio/mp4"),
        ("m4b", ftyp(&[b"M4B ", b"mp42"]), &["audio/mp4", "audio/x-m4b", "audio/m4b"], "audio/mp4"),
        ("audio of a recorder", [ftyp(&[b"isom", b"mp42"]), b"\0\0\0\x1cmoov\0\0\0\x14hdlr\0\0\0\0\0\0\0\0soun".to_vec()].concat(), &["audio/mp4"], "audio/mp4"),
        ("film whose index is further back", [ftyp(&[b"isom", b"mp42"]), b"\0\x01\0\0moov\0\0\0\x18hdlr\0\0\0\0\0\0\0\0soun".to_vec()].concat(), &["audio/mp4", "video/mp4"], "video/mp4"),
        ("mp3", mp3(), &["audio/mpeg", "audio/mp3=audio/mpeg", "audio/x-mp3=audio/mpeg"], "audio/mpeg"),
        ("mp3 with a tag", tagged(&mp3()), &["audio/mpeg", "audio/mp3=audio/mpeg"], "audio/mpeg"),
        ("mp3 after silence", [vec![0; 700], mp3()].concat(), &["audio/mpeg"], "audio/mpeg"),
        ("mpeg 2.5", frames(b"\xff\xe3\x40\x00", 208), &["audio/mpeg"], "audio/mpeg"),
        ("mp2", frames(b"\xff\xfd\x80\x00", 417), &["audio/mpeg", "audio/mp2"], "audio/mpeg"),
        ("aac", adts(), &["audio/aac", "audio/x-aac=audio/aac", "audio/aacp=audio/aac", "audio/mp4", "audio/x-hx-aac-adts=audio/aac"], "audio/aac"),
        ("aac with a tag", tagged(&adts()), &["audio/aac", "audio/mpeg"], "audio/aac"),
        ("adif", b"ADIF\0\x14\0\0".to_vec(), &["audio/aac"], "audio/aac"),
        ("latm", b"\x56\xe0\x22\x20\0\x11".to_vec(), &["audio/aac", "audio/mp4a-latm=audio/mp4"], "*"),
        ("flac", b"fLaC\0\0\0\x22".to_vec(), &["audio/flac", "audio/x-flac=audio/flac"], "audio/flac"),
        ("flac with a tag", tagged(b"fLaC\0\0\0\x22"), &["audio/flac"], "audio/flac"),
        ("wav", wav(b"\x01\0"), &["audio/wav", "audio/x-wav=audio/wav", "audio/wave=audio/wav", "audio/vnd.wave=audio/wav"], "audio/wav"),
        ("mp3 in wav", wav(b"\x55\0"), &["audio/wav", "audio/mpeg"], "audio/wav"),
        ("long wav", b"RF64\xff\xff\xff\xffWAVEds64".to_vec(), &["audio/wav"], "audio/wav"),
        ("wave64", b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0".to_vec(), &["audio/wav", "audio/x-w64=audio/wav"], "audio/wav"),
        ("aiff", b"FORM\0\0\0\x20AIFFCOMM".to_vec(), &["audio/aiff", "audio/x-aiff=audio/aiff"], "audio/aiff"),
        ("aifc", b"FORM\0\0\0\x20AIFCFVER".to_vec(), &["audio/aiff", "audio/x-aifc=audio/aiff"], "audio/aiff"),
        ("caf", b"caff\0\x01\0\0desc".to_vec(), &["audio/x-caf", "audio/caf=audio/x-caf"], "audio/x-caf"),
        ("amr", b"#!AMR\n\x3c".to_vec(), &["audio/amr", "audio/3gpp", "video/3gpp", "audio/AMR=audio/amr"], "audio/amr"),
        ("amr-wb", b"#!AMR-WB\n\x44".to_vec(), &["audio/amr-wb", "audio/AMR-WB=audio/amr-wb", "audio/amr"], "audio/amr-wb"),
        ("opus", ogg(b"OpusHead\x01\x02"), &["audio/ogg", "audio/opus", "application/ogg"], "audio/opus"),
        ("vorbis", ogg(b"\x01vorbis\0\0"), &["audio/ogg", "audio/vorbis", "application/ogg"], "audio/ogg"),
        ("flac in ogg", ogg(b"\x7fFLAC\x01\0"), &["audio/ogg", "audio/flac"], "audio/ogg"),
        ("ac-3", b"\x0b\x77\x9b\x20\x14\x40\x2f\x84".to_vec(), &["audio/ac3", "audio/x-ac3"], "audio/ac3"),
        ("e-ac-3", b"\x0b\x77\x01\xff\x14\x80\x2f\x84".to_vec(), &["audio/eac3"], "audio/eac3"),
        ("dts", b"\x7f\xfe\x80\x01\xfc\x3c\x3f\xf0".to_vec(), &["audio/vnd.dts", "audio/x-dts"], "audio/vnd.dts"),
        ("wma", asf(b"\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\0\x80\x5f\x5c\x44\x2b"), &["audio/x-ms-wma", "video/x-ms-asf"], "audio/x-ms-wma"),
        ("midi", b"MThd\0\0\0\x06\0\x01".to_vec(), &["audio/midi", "audio/x-midi=audio/midi", "audio/sp-midi"], "audio/midi"),
        ("au", b".snd\0\0\0\x18\0\0\0\0".to_vec(), &["audio/basic", "audio/x-au"], "audio/basic"),
        ("playlist", b"#EXTM3U\n".to_vec(), &["audio/x-mpegurl", "application/vnd.apple.mpegurl"], "audio/x-mpegurl"),
        ("raw samples", vec![0x80; 400], &["audio/L16=audio/l16", "audio/basic", "audio/wav"], "application/octet-stream"),
        // Films.
        ("mp4", ftyp(&[b"isom", b"mp42", b"avc1"]), &["video/mp4", "audio/mp4", "video/quicktime"], "video/mp4"),
        ("mp4 with a new brand", ftyp(&[b"iso9", b"cmfc"]), &["video/mp4"], "video/mp4"),
        ("mp4 with a brand that nobody knows", ftyp(&[b"zzzz"]), &["video/mp4", "image/heic"], "video/mp4"),
        ("mp4 fragment", b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix".to_vec(), &["video/mp4", "video/iso.segment"], "video/mp4"),
        ("quicktime", ftyp(&[b"qt  ", b"qt  "]), &["video/quicktime", "video/mp4"], "video/quicktime"),
        ("quicktime of old", b"\0\0\x10\0moov\0\0\0\x6cmvhd".to_vec(), &["video/quicktime"], "video/quicktime"),
        ("quicktime with room", b"\0\0\0\x08wide\0\x12\x34\x56mdat".to_vec(), &["video/quicktime"], "video/quicktime"),
        ("3gp", ftyp(&[b"3gp5", b"isom"]), &["video/3gpp", "audio/3gpp", "video/3gp=video/3gpp"], "video/3gpp"),
        ("3gp, newer", ftyp(&[b"3gp6", b"3gp4"]), &["video/3gpp"], "video/3gpp"),
        ("3g2", ftyp(&[b"3g2a", b"3g2a"]), &["video/3gpp2"], "video/3gpp2"),
        ("m4v", ftyp(&[b"M4V ", b"mp42"]), &["video/x-m4v", "video/mp4"], "video/x-m4v"),
        ("webm", ebml(b"webm\0\0\0\0", b"V_VP8"), &["video/webm", "audio/webm", "video/x-matroska"], "video/webm"),
        ("webm of sound", ebml(b"webm\0\0\0\0", b"A_OPUS"), &["audio/webm", "audio/ogg", "video/webm"], "audio/webm"),
        ("mkv", ebml(b"matroska", b"V_MPEG4"), &["video/x-matroska", "video/matroska"], "video/x-matroska"),
        ("mka", ebml(b"matroska", b"A_FLAC"), &["audio/x-matroska"], "audio/x-matroska"),
        ("avi", b"RIFF\x24\0\0\0AVI LIST".to_vec(), &["video/x-msvideo", "video/avi=video/x-msvideo", "video/vnd.avi=video/x-msvideo"], "video/x-msvideo"),
        ("wmv", asf(b"\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\0\x80\x5f\x5c\x44\x2b"), &["video/x-ms-wmv", "video/x-ms-asf"], "video/x-ms-wmv"),
        ("flv", b"FLV\x01\x05\0\0\0\x09".to_vec(), &["video/x-flv"], "video/x-flv"),
        ("transport stream", transport(0, 188), &["video/mp2t", "video/mpeg"], "video/mp2t"),
        ("m2ts", transport(4, 192), &["video/mp2t", "video/m2ts"], "video/mp2t"),
        ("mpeg", b"\0\0\x01\xba\x44\0\x04\0".to_vec(), &["video/mpeg", "video/mp2p"], "video/mpeg"),
        ("theora", ogg(b"\x80theora\x03"), &["video/ogg", "application/ogg"], "video/ogg"),
        ("typescript", b"export const a: number = 1;\n".to_vec(), &["video/mp2t", "text/typescript"], "text/plain"),
        // Documents.
        ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3".to_vec(), &["application/pdf", "application/x-pdf=application/pdf", "application/vnd.adobe.illustrator"], "application/pdf"),
        ("pdf after something else", [b"\0\r\n\r\n".as_slice(), b"%PDF-1.3\n%\xe2\xe3"].concat(), &["application/pdf"], "application/pdf"),
        ("word of old", compound("WordDocument"), &["application/msword", "application/vnd.ms-word"], "application/msword"),
        ("excel of old", compound("Workbook"), &["application/vnd.ms-excel", "application/msexcel"], "application/vnd.ms-excel"),
        ("powerpoint of old", compound("PowerPoint Document"), &["application/vnd.ms-powerpoint"], "application/vnd.ms-powerpoint"),
        ("outlook", compound("__properties_version1.0"), &["application/vnd.ms-outlook"], "application/vnd.ms-outlook"),
        ("another compound file", compound("Contents"), &["application/vnd.ms-publisher", "application/x-msi", "application/vnd.ms-works", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"], "application/x-ole-storage"),
        ("docx", zip(&["[Content_Types].xml", "_rels/.rels", "word/document.xml"]), &["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/msword", "application/zip"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("xlsx", zip(&["[Content_Types].xml", "xl/workbook.xml"]), &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.ms-excel", "application/vnd.ms-excel.sheet.macroenabled.12"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("pptx", zip(&["ppt/presentation.xml"]), &["application/vnd.openxmlformats-officedocument.presentationml.presentation"], "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("apk", zip(&["META-INF/MANIFEST.MF", "AndroidManifest.xml"]), &["application/vnd.android.package-archive", "application/java-archive"], "application/vnd.android.package-archive"),
        ("jar", zip(&["META-INF/MANIFEST.MF", "a/B.class"]), &["application/java-archive", "application/x-java-archive=application/java-archive"], "application/java-archive"),
        ("pass", zip(&["icon.png", "pass.json"]), &["application/vnd.apple.pkpass"], "application/vnd.apple.pkpass"),
        ("usdz", zip(&["toy.usdc"]), &["model/vnd.usdz+zip"], "model/vnd.usdz+zip"),
        ("pages", zip(&["Index/Document.iwa"]), &["application/vnd.apple.pages", "application/x-iwork-pages-sffpages"], "application/zip"),
        ("open raster", zip(&["a.txt"]), &["image/openraster", "application/x-krita"], "application/zip"),
        ("empty zip", b"PK\x05\x06\0\0\0\0".to_vec(), &["application/zip", "application/x-zip-compressed=application/zip"], "application/zip"),
        ("rtf", b"{\\rtf1\\ansi}".to_vec(), &["application/rtf", "text/rtf=application/rtf", "application/msword", "text/plain"], "application/rtf"),
        ("html", b"<!DOCTYPE html><title>x</title>".to_vec(), &["text/html", "application/vnd.ms-excel", "application/msword", "application/xhtml+xml", "text/plain"], "text/html"),
        ("html with a mark", b"\xef\xbb\xbf\r\n<!-- saved -->\r\n<HTML>".to_vec(), &["text/html"], "text/html"),
        ("html in utf-16", utf16("<html><body>"), &["text/html", "application/vnd.ms-excel"], "text/html"),
        ("xml", b"<?xml version='1.0'?><gpx/>".to_vec(), &["application/gpx+xml", "text/xml", "application/xml", "application/vnd.google-earth.kml+xml", "application/vnd.ms-excel", "application/msword", "application/x-plist", "application/pdf", "model/vnd.collada+xml"], "text/xml"),
        ("postscript", b"%!PS-Adobe-3.0\n".to_vec(), &["application/postscript", "image/x-eps", "application/vnd.adobe.illustrator"], "application/postscript"),
        ("calendar", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n".to_vec(), &["text/calendar", "application/ics"], "text/calendar"),
        ("json", b"{\"a\":1}".to_vec(), &["application/json", "text/json=application/json", "application/geo+json", "model/gltf+json"], "text/plain"),
        ("csv in latin 1", b"Stra\xdfe;M\xfcnchen\n".to_vec(), &["text/csv", "application/csv=text/csv", "application/vnd.ms-excel"], "application/octet-stream"),
        ("latin 1 that begins like a picture", b"BM\xdcller f\xe4hrt\n".to_vec(), &["text/plain", "text/csv"], "application/octet-stream"),
        ("text in utf-16", utf16("BM, GIF89a"), &["text/plain", "text/csv"], "application/octet-stream"),
        ("text in shift-jis", b"\x93\xfa\x96\x7b\x8c\xea".to_vec(), &["text/plain"], "application/octet-stream"),
        ("one byte", b"a".to_vec(), &["text/plain", "application/pdf"], "text/plain"),
        // Archives and others.
        ("gzip", b"\x1f\x8b\x08\0\0\0".to_vec(), &["application/gzip", "application/x-gzip=application/gzip", "application/x-tgz", "application/x-gtar"], "application/gzip"),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), &["application/x-7z-compressed"], "application/x-7z-compressed"),
        ("rar", b"Rar!\x1a\x07\x01\0".to_vec(), &["application/vnd.rar", "application/x-rar-compressed=application/vnd.rar", "application/x-cbr"], "application/vnd.rar"),
        ("zstd", b"\x28\xb5\x2f\xfd\x04\0".to_vec(), &["application/zstd", "application/x-zstd=application/zstd"], "application/zstd"),
        ("sqlite", b"SQLite format 3\0\x10\0".to_vec(), &["application/vnd.sqlite3", "application/x-sqlite3=application/vnd.sqlite3", "application/geopackage+sqlite3"], "application/vnd.sqlite3"),
        ("plist", b"bplist00\xd1\x01\x02".to_vec(), &["application/x-plist", "application/x-bplist"], "application/x-plist"),
        ("dicom", [vec![0; 128], b"DICM".to_vec()].concat(), &["application/dicom", "image/dicom"], "application/dicom"),
        ("truetype", b"\0\x01\0\0\0\x0f\0\x80".to_vec(), &["font/ttf", "application/x-font-ttf", "font/sfnt"], "font/ttf"),
        ("opentype", b"OTTO\0\x0b\0\x80".to_vec(), &["font/otf", "application/vnd.ms-opentype"], "font/otf"),
        ("woff2", b"wOF2\0\x01\0\0".to_vec(), &["font/woff2", "application/font-woff2"], "font/woff2"),
        ("gltf", b"glTF\x02\0\0\0".to_vec(), &["model/gltf-binary"], "model/gltf-binary"),
        ("stl", vec![7; 84], &["model/stl", "application/vnd.ms-pki.stl"], "application/octet-stream"),
        ("program", exe, &["application/vnd.microsoft.portable-executable", "application/x-msdownload=application/vnd.microsoft.portable-executable", "application/x-msi"], "application/vnd.microsoft.portable-executable"),
        ("script", b"#!/bin/sh\n".to_vec(), &["text/x-shellscript", "application/x-sh=text/x-shellscript", "text/plain", "text/x-python"], "text/x-shellscript"),
        ("vcard", CARD.to_vec(), &["text/vcard", "text/x-vcard=text/vcard", "text/directory=text/vcard", "text/plain"], "text/vcard"),
        ("what nobody knows", b"\x9a\x01\x02\xfe\x00\x7c".to_vec(), &["image/x-foo", "application/x-foo", "video/mp4", "audio/wav", "image/heic", "chemical/x-pdb", "text/plain"], "application/octet-stream"),
    ];
    for (what, bytes, declared, found) in table {
        for declared in *declared {
            let (declared, kept) = declared.split_once('=').unwrap_or((declared, declared));
            assert_eq!(
                kind(bytes, Some(declared), None).as_deref(),
                Ok(kept),
                "{what} as {declared}"
            );
            assert_eq!(
                received_type(bytes, true, Some(declared), None),
                kept,
                "{what} as {declared}"
            );
        }
        let nothing = [
            None,
            Some("application/octet-stream"),
            Some("binary/octet-stream"),
            Some("*/*"),
            Some("image/*"),
            Some("unknown/unknown"),
            Some("application/x-download"),
            Some("application/x-www-form-urlencoded"),
            Some("jpg"),
            Some("undefined"),
            Some(""),
            Some("\u{fffd}"),
        ];
        for declared in nothing {
            let kept = kind(bytes, declared, None).unwrap();
            assert!(*found == "*" || kept == *found, "{what} is found as {kept} ({declared:?})");
        }
    }
}

#[test]
fn only_what_is_certain_is_a_contradiction() {
    let zip = zip(&["a.txt"]);
    let exe = [b"MZ\x90\0\x03\0\0\0".as_slice(), &[0; 64]].concat();
    let elf = b"\x7fELF\x02\x01\x01\0";
    let html = b"<html><script>alert(1)</script>";
    for (bytes, declared) in [
        (PNG, "text/plain"),
        (PNG, "application/json"),
        (PNG, "application/pdf"),
        (PNG, "audio/mpeg"),
        (&ftyp(&[b"heic", b"mif1"]), "audio/mp4"),
        (&ftyp(&[b"isom", b"mp42"]), "image/png"),
        (b"BM\0\0", "text/plain"),
        (b"%PDF-1.7\n", "text/plain"),
        (b"%PDF-1.7\n\0", "application/zip"),
        (&zip, "image/png"),
        (&zip, "text/plain"),
        (&zip, "application/gzip"),
        (b"\x1f\x8b\x08\0\0\0", "application/zip"),
        (&compound("WordDocument"), "application/zip"),
        (html, "image/png"),
        (html, "image/svg+xml"),
        (html, "image/x-icon"),
        (html, "audio/mpeg"),
        (html, "video/mp4"),
        (html, "application/pdf"),
        (b"#!/bin/sh\nrm -r x\n", "image/jpeg"),
        (b"#!/bin/sh\nrm -r x\n", "image/x-foo"),
        (b"#!/bin/sh\nrm -r x\n", "audio/amr"),
        (&exe, "image/png"),
        (&exe, "text/plain"),
        (&exe, "application/pdf"),
        (&exe, "application/zip"),
        (elf, "font/woff2"),
        (elf, "video/x-foo"),
        (b"hello", "image/png"),
        (b"hello", "image/heic"),
        (b"hello", "audio/wav"),
        (b"hello", "audio/mpeg"),
        (b"{\"a\":1}", "audio/aac"),
        (b"<?xml version='1.0'?><x/>", "audio/mpeg"),
        (b"\x1f\x8b\x08\0\0\0", "application/json"),
        (b"hello", "video/mp4"),
        (b"hello", "text/vcard"),
        (b"BEGIN:VCARD\r\n", "text/vcard"),
    ] {
        let what = format!("{} as {declared}", bytes.escape_ascii());
        let problem = mime_type(bytes, true, Some(declared), None).unwrap_err();
        assert_eq!(problem.code.as_str(), "invalid_parameter_value", "{what}");
        // What it says to do works.
        let next = problem.message.split_once("Send Content-Type: ").unwrap().1;
        let (next, _) = next.split_once(", or leave it out.").unwrap();
        assert_eq!(kind(bytes, Some(next), None).as_deref(), Ok(next), "{what}");
        assert!(kind(bytes, None, None).is_ok());
    }
}

#[test]
fn what_came_with_a_message_keeps_what_the_phone_told() {
    let received = |head: &[u8], declared| received_type(head, true, Some(declared), None);
    assert_eq!(received(PNG, "image/jpeg"), "image/png");
    assert_eq!(received(PNG, "text/vcard"), "image/png");
    assert_eq!(received(b"<html>", "image/png"), "text/html");
    assert_eq!(received(b"hello", "image/png"), "image/png");
    assert_eq!(received(b"hello", "text/plain"), "text/plain");
    assert_eq!(received(b"BEGIN:VCARD\r\n", "text/vcard"), VCARD);
    assert_eq!(received(b"", "text/x-vcard"), VCARD);
    assert_eq!(received(b"\x9a\x01\x02", "video/3gpp"), "video/3gpp");
    assert_eq!(received(b"hello", "nonsense"), "text/plain");
    assert_eq!(received(b"\x9a\x01\x02", "nonsense"), UNKNOWN);
    assert_eq!(received(PNG, "nonsense"), "image/png");
}

proptest! {
    #[test]
    fn whatever_begins_a_file_is_looked_at(start in 0..60_usize, bytes: Vec<u8>, complete: bool) {
        let starts: &[&[u8]] = &[
            b"", PNG, CARD, b"RIFF", b"RIFF\0\0\0\0WAVE", b"FORM", b"OggS", b"\x1a\x45\xdf\xa3", b"PK\x03\x04",
            b"ID3\x04\0\0", b"\0\0\0\x20ftyp", b"\xff\xfb\x90", b"\xff\xf1\x50", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf",
            b"BM", b"MZ", b"\xca\xfe\xba\xbe", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"<?xml", b"<!--", b"--",
        ];
        let bytes = [starts[start % starts.len()], &bytes].concat();
        for declared in [None, Some("image/png"), Some("text/vcard"), Some("application/zip")] {
            let kept = mime_type(&bytes, complete, declared, Some("a.docx"));
            let received = received_type(&bytes, complete, declared, Some("a.docx"));
            let is_visible = |kind: &str| kind.is_ascii() && kind.contains('/');
            prop_assert!(kept.is_ok_and(|kept| is_visible(&kept)) || declared.is_some());
            prop_assert!(is_visible(&received));
        }
    }
}
