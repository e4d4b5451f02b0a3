//! What the name of a file tells.

use std::{ffi::OsStr, path::Path};

use super::{
    UNKNOWN,
    alias::{canonical, says_nothing},
    family::Family,
};

/// The type that the name tells, if it tells one.
pub(super) fn of(name: &str) -> Option<&'static str> {
    // Where the data of the library names a rarer format that ends in the same letters, or none.
    match extension(name)?.as_str() {
        "obj" => return Some("model/obj"),
        "stl" => return Some("model/stl"),
        _ => {}
    }
    let guessed = mime_guess::from_path(name).first_raw().map(canonical);
    guessed.filter(|guess| !says_nothing(guess))
}

/// The same of an archive. Keys of other programs end in `.key` too, but they are texts.
pub(super) fn of_archive(name: &str) -> Option<&'static str> {
    match extension(name)?.as_str() {
        "key" => Some("application/vnd.apple.keynote"),
        "numbers" => Some("application/vnd.apple.numbers"),
        "pages" => Some("application/vnd.apple.pages"),
        _ => of(name),
    }
}

/// The type of a file whose first bytes tell nothing but whether it is a text.
pub(super) fn of_unknown(name: Option<&str>, is_text: bool) -> &'static str {
    // A name alone makes no picture of what has not the signature of one, or of a text.
    let may_be = |guess: &&str| match guess.split('/').next() {
        Some("image" | "audio" | "video" | "font") => {
            !is_text && *guess != "image/svg+xml" && Family::of_type(guess).is_none()
        }
        _ => true,
    };
    let otherwise = if is_text { "text/plain" } else { UNKNOWN };
    name.and_then(of).filter(may_be).unwrap_or(otherwise)
}

fn extension(name: &str) -> Option<String> {
    Path::new(name).extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase)
}
