//! Families of types that are told apart for certain by their first bytes. What belongs to none is unknown.

/// Types that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Png,
    Jpeg,
    Gif,
    Webp,
    Bmp,
    /// TIFF, and the raw pictures of most cameras.
    Tiff,
    /// HEIF and AVIF.
    IsoImage,
    /// MP4, QuickTime, 3GPP.
    IsoMedia,
    Ogg,
    /// Matroska and WebM.
    Matroska,
    /// Windows Media.
    Asf,
    Avi,
    Wav,
    Aiff,
    Caf,
    Flac,
    Amr,
    /// What an ID3 tag goes before.
    Tagged,
    Pdf,
    Zip,
    Gzip,
    Rar,
    SevenZip,
    Bzip2,
    Xz,
    Zstd,
    /// The compound files of old Office programs.
    Compound,
    Rtf,
    Html,
    Xml,
    Script,
    Executable,
    /// Any other text. No signature tells it.
    Text,
}

impl Family {
    /// The family that a type promises.
    pub(super) fn of_type(kind: &str) -> Option<Self> {
        Some(match kind {
            "image/png" | "image/apng" => Self::Png,
            "image/jpeg" => Self::Jpeg,
            "image/gif" => Self::Gif,
            "image/webp" => Self::Webp,
            "image/bmp" => Self::Bmp,
            "image/tiff" => Self::Tiff,
            "image/heic"
            | "image/heif"
            | "image/heic-sequence"
            | "image/heif-sequence"
            | "image/avif"
            | "image/avif-sequence" => Self::IsoImage,
            "audio/mp4" | "video/mp4" | "application/mp4" | "audio/3gpp" | "video/3gpp"
            | "audio/3gpp2" | "video/3gpp2" | "video/quicktime" | "video/x-m4v" | "audio/m4b"
            | "audio/x-m4b" | "audio/x-m4p" => Self::IsoMedia,
            "audio/ogg" | "audio/opus" | "audio/vorbis" | "video/ogg" | "application/ogg" => {
                Self::Ogg
            }
            "audio/webm"
            | "video/webm"
            | "audio/x-matroska"
            | "video/x-matroska"
            | "audio/matroska"
            | "video/matroska"
            | "application/x-matroska" => Self::Matroska,
            "audio/x-ms-wma" | "video/x-ms-wmv" | "video/x-ms-asf" | "application/vnd.ms-asf" => {
                Self::Asf
            }
            "video/x-msvideo" => Self::Avi,
            "audio/wav" => Self::Wav,
            "audio/aiff" => Self::Aiff,
            "audio/x-caf" => Self::Caf,
            "audio/flac" => Self::Flac,
            "audio/amr" | "audio/amr-wb" => Self::Amr,
            "audio/mpeg" | "audio/aac" => Self::Tagged,
            "application/pdf" => Self::Pdf,
            "application/zip" => Self::Zip,
            "application/gzip" => Self::Gzip,
            "application/vnd.rar" => Self::Rar,
            "application/x-7z-compressed" => Self::SevenZip,
            "application/x-bzip2" => Self::Bzip2,
            "application/x-xz" => Self::Xz,
            "application/zstd" => Self::Zstd,
            "application/x-ole-storage" => Self::Compound,
            "application/rtf" => Self::Rtf,
            kind if is_text_type(kind) => Self::Text,
            _ => return None,
        })
    }

    /// Whether no file of this family is a text.
    pub(super) fn is_binary(self) -> bool {
        !matches!(self, Self::Rtf | Self::Html | Self::Xml | Self::Script | Self::Text)
            && !self.is_lenient()
    }

    /// Programs take these with something before their first bytes, so a file without the signature may be one.
    fn is_lenient(self) -> bool {
        matches!(
            self,
            Self::Pdf
                | Self::Zip
                | Self::Gzip
                | Self::Rar
                | Self::SevenZip
                | Self::Bzip2
                | Self::Xz
                | Self::Zstd
                | Self::Compound
                | Self::Amr
        )
    }

    fn is_picture(self) -> bool {
        matches!(
            self,
            Self::Png
                | Self::Jpeg
                | Self::Gif
                | Self::Webp
                | Self::Bmp
                | Self::Tiff
                | Self::IsoImage
        )
    }

    /// Whether it is sound or film; several containers carry both.
    pub(super) fn is_recording(self) -> bool {
        matches!(
            self,
            Self::IsoMedia
                | Self::Ogg
                | Self::Matroska
                | Self::Asf
                | Self::Avi
                | Self::Wav
                | Self::Aiff
                | Self::Caf
                | Self::Flac
                | Self::Amr
                | Self::Tagged
        )
    }

    /// Whether nobody is harmed if this goes by its own type instead of the declared one: both are pictures, or
    /// both are recordings.
    pub(super) fn is_harmless_as(self, declared: &str) -> bool {
        Self::of_type(declared).is_some_and(|promised| {
            (self.is_picture() && promised.is_picture())
                || (self.is_recording() && promised.is_recording())
        })
    }

    /// Whether it does something where it is opened.
    fn is_active(self) -> bool {
        matches!(self, Self::Html | Self::Script | Self::Executable)
    }

    fn is_textual(self) -> bool {
        matches!(self, Self::Rtf | Self::Html | Self::Xml | Self::Script | Self::Text)
    }

    /// Whether a file of this family can't be what was declared: both are told for certain, and they differ.
    pub(super) fn contradicts(self, declared: &str) -> bool {
        let top = declared.split('/').next().unwrap_or_default();
        let Some(promised) = Self::of_type(declared) else {
            // A page or a program under the name of a picture is made to deceive.
            return self.is_active() && matches!(top, "image" | "audio" | "video" | "font");
        };
        if self == promised || (self.is_textual() && promised.is_textual()) {
            return false;
        }
        match self {
            // Containers that carry sound and pictures, and tags that go before anything.
            Self::IsoMedia => !(matches!(top, "audio" | "video") || promised == Self::IsoImage),
            Self::IsoImage => promised != Self::IsoMedia || top == "audio",
            Self::Ogg | Self::Matroska | Self::Asf | Self::Tagged => {
                !matches!(top, "audio" | "video")
            }
            Self::Amr => promised != Self::IsoMedia,
            // Web pages, feeds and tables call themselves by the name of the program that opens them.
            Self::Xml | Self::Rtf => promised.is_binary(),
            _ => true,
        }
    }
}

/// Whether this is a kind of text, by its name.
pub(super) fn is_text_type(kind: &str) -> bool {
    kind.starts_with("text/")
        || matches!(kind, "application/json" | "application/xml" | "application/javascript")
        || kind.ends_with("+json")
        || (kind.ends_with("+xml") && kind != "image/svg+xml")
}
