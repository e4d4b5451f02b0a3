//! One name for each type that goes by several: the registered one, or the one that most programs know.

/// The type by the name that is kept.
pub(super) fn canonical(kind: &str) -> &str {
    match kind {
        "application/csv" | "text/comma-separated-values" | "text/x-csv" => "text/csv",
        "application/gzip-compressed"
        | "application/gzipped"
        | "application/x-gunzip"
        | "application/x-gzip"
        | "gzip/document" => "application/gzip",
        "application/acrobat" | "application/nappdf" | "application/x-pdf" | "image/pdf" => {
            "application/pdf"
        }
        "application/x-7z" => "application/x-7z-compressed",
        "application/bzip2" | "application/x-bzip2-compressed" => "application/x-bzip2",
        "application/x-cfb" | "application/x-ole2" => "application/x-ole-storage",
        "application/x-dosexec"
        | "application/x-exe"
        | "application/x-ms-dos-executable"
        | "application/x-msdos-program"
        | "application/x-msdownload" => "application/vnd.microsoft.portable-executable",
        "application/x-jar" | "application/x-java-archive" => "application/java-archive",
        "application/x-javascript" | "application/javascript" | "text/x-javascript" => {
            "text/javascript"
        }
        "application/x-rar" | "application/x-rar-compressed" => "application/vnd.rar",
        "application/x-rtf" | "text/richtext" | "text/rtf" | "text/x-rtf" => "application/rtf",
        "application/x-sh" | "text/x-sh" => "text/x-shellscript",
        "application/x-sqlite3" => "application/vnd.sqlite3",
        "application/x-zip" | "application/x-zip-compressed" | "multipart/x-zip" => {
            "application/zip"
        }
        "application/x-zstd" => "application/zstd",
        "application/vcard"
        | "application/x-vcard"
        | "text/directory"
        | "text/v-card"
        | "text/x-vcard" => super::VCARD,
        "audio/m4a"
        | "audio/mp4a-latm"
        | "audio/mpeg4"
        | "audio/mpeg4-generic"
        | "audio/x-m4a"
        | "audio/x-m4r"
        | "audio/x-mp4" => "audio/mp4",
        "audio/mid" | "audio/x-mid" | "audio/x-midi" | "application/x-midi" => "audio/midi",
        "audio/mp3" | "audio/mpa" | "audio/mpeg-3" | "audio/mpeg3" | "audio/mpg"
        | "audio/x-mp3" | "audio/x-mpeg" | "audio/x-mpeg-3" | "audio/x-mpeg3" | "audio/x-mpg" => {
            "audio/mpeg"
        }
        "audio/aac-adts"
        | "audio/aacp"
        | "audio/vnd.dlna.adts"
        | "audio/x-aac"
        | "audio/x-hx-aac-adts" => "audio/aac",
        "audio/x-flac" => "audio/flac",
        "audio/s-wav" | "audio/vnd.wave" | "audio/wave" | "audio/x-pn-wav" | "audio/x-w64"
        | "audio/x-wav" => "audio/wav",
        "audio/aifc" | "audio/aif" | "audio/x-aifc" | "audio/x-aif" | "audio/x-aiff"
        | "audio/x-pn-aiff" => "audio/aiff",
        "audio/caf" => "audio/x-caf",
        "audio/x-amr" => "audio/amr",
        "audio/x-amr-wb" => "audio/amr-wb",
        "audio/x-ogg" => "audio/ogg",
        "image/ico" | "image/icon" | "image/x-ico" | "image/x-icon" => "image/vnd.microsoft.icon",
        "image/jpg" | "image/pjpeg" | "image/x-jpeg" | "image/x-jpg" => "image/jpeg",
        "image/x-bmp" | "image/x-bitmap" | "image/x-ms-bmp" => "image/bmp",
        "image/vnd.mozilla.apng" | "image/x-apng" => "image/apng",
        "image/x-png" => "image/png",
        "image/gi_" | "image/x-gif" => "image/gif",
        "image/x-webp" => "image/webp",
        "image/svg" | "image/svg-xml" => "image/svg+xml",
        "image/psd" | "image/x-psd" | "image/x-photoshop" | "application/x-photoshop" => {
            "image/vnd.adobe.photoshop"
        }
        "image/tif" | "image/x-tif" | "image/x-tiff" => "image/tiff",
        "text/x-html" => "text/html",
        "text/json" => "application/json",
        "text/x-markdown" => "text/markdown",
        "video/3gp" | "video/x-3gp" => "video/3gpp",
        "video/3g2" | "video/x-3g2" => "video/3gpp2",
        "video/avi" | "video/msvideo" | "video/vnd.avi" => "video/x-msvideo",
        "video/x-mp4" => "video/mp4",
        "video/x-quicktime" => "video/quicktime",
        "video/x-webm" => "video/webm",
        other => other,
    }
}

/// Whether this type says nothing of the file: what programs write that do not know it themselves.
pub(super) fn says_nothing(kind: &str) -> bool {
    matches!(
        kind,
        "application/octet-stream"
            | "application/binary"
            | "application/download"
            | "application/force-download"
            | "application/octetstream"
            | "application/unknown"
            | "application/x-binary"
            | "application/x-download"
            | "application/x-empty"
            | "application/x-force-download"
            | "application/x-octet-stream"
            | "application/x-unknown"
            | "application/x-www-form-urlencoded"
            | "binary/octet-stream"
            | "content/unknown"
            | "unknown/unknown"
    )
}
