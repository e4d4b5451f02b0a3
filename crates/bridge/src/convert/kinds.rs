//! What is converted into what.

use std::path::Path;

/// A form that everybody can show or play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Of pictures.
    Jpeg,
    /// Of sounds: AAC.
    M4a,
}

impl Form {
    /// The form that a file of this type and name is to be given as well; none if most can show or play it.
    pub(crate) fn wanted(mime_type: &str, filename: Option<&str>) -> Option<Self> {
        let extension = filename.and_then(|name| Path::new(name).extension()?.to_str());
        let by_type = match &*mime_type.to_ascii_lowercase() {
            "image/heic" | "image/heif" | "image/heic-sequence" | "image/heif-sequence" => {
                Some(Self::Jpeg)
            }
            "audio/x-caf" | "audio/caf" | "audio/amr" | "audio/amr-wb" | "audio/aiff"
            | "audio/x-aiff" => Some(Self::M4a),
            // Messages does not know: the name may.
            "" | "application/octet-stream" => None,
            _ => return None,
        };
        let by_name = || match &*extension?.to_ascii_lowercase() {
            "heic" | "heif" => Some(Self::Jpeg),
            "caf" | "amr" | "aif" | "aiff" | "aifc" => Some(Self::M4a),
            _ => None,
        };
        by_type.or_else(by_name)
    }

    /// The type of a file in this form.
    pub(crate) fn mime_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::M4a => "audio/mp4",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::M4a => "m4a",
        }
    }

    /// The name in this form of a file with this name.
    pub(crate) fn named(self, original: Option<&str>) -> String {
        let stem = original.and_then(|name| name.rsplit_once('.')).map(|(stem, _)| stem);
        let stem = stem.or(original).map(|stem| stem.trim_start_matches('.'));
        let stem = stem.filter(|stem| !stem.is_empty()).unwrap_or("file");
        format!("{stem}.{}", self.extension())
    }

    /// Whether a file that begins like this is in this form.
    pub(crate) fn begins(self, head: &[u8]) -> bool {
        match self {
            Self::Jpeg => head.starts_with(b"\xff\xd8\xff"),
            Self::M4a => head.get(4..8) == Some(b"ftyp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_most_can_not_show_or_play_is_converted() {
        for (mime_type, filename, wanted) in [
            ("image/heic", Some("IMG_1.HEIC"), Some(Form::Jpeg)),
            ("IMAGE/HEIF", None, Some(Form::Jpeg)),
            ("application/octet-stream", Some("IMG_1.HEIC"), Some(Form::Jpeg)),
            ("audio/x-caf", Some("Audio Message.caf"), Some(Form::M4a)),
            ("", Some("memo.amr"), Some(Form::M4a)),
            ("image/jpeg", Some("IMG_1.HEIC"), None),
            ("image/png", Some("a.png"), None),
            ("audio/mp4", Some("a.m4a"), None),
            ("video/quicktime", Some("a.mov"), None),
            ("application/octet-stream", Some("heic"), None),
            ("application/octet-stream", None, None),
        ] {
            assert_eq!(Form::wanted(mime_type, filename), wanted, "{mime_type} {filename:?}");
        }
    }

    #[test]
    fn a_converted_file_keeps_its_name_but_for_the_end() {
        for (original, named) in [
            (Some("IMG_0007.HEIC"), "IMG_0007.jpg"),
            (Some("a.b.heic"), "a.b.jpg"),
            (Some("picture"), "picture.jpg"),
            (Some(".heic"), "file.jpg"),
            (Some("..heic"), "file.jpg"),
            (Some(""), "file.jpg"),
            (None, "file.jpg"),
        ] {
            assert_eq!(Form::Jpeg.named(original), named, "{original:?}");
        }
    }
}
