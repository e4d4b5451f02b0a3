//! What kind of file it is: what the caller says, unless the bytes certainly say otherwise; and if nobody says
//! anything, what the bytes and the name tell.

mod alias;
mod container;
mod family;
mod named;
mod signature;
mod vcard;

use switchboard_model::{Code, Problem, file::is_audio_message_type};

use alias::{canonical, says_nothing};
use family::{Family, is_text_type};
use signature::{Found, is_old_text, is_utf8};

/// How many first bytes are looked at.
pub(crate) const HEAD: usize = 64 * 1024;

const UNKNOWN: &str = "application/octet-stream";
const VCARD: &str = "text/vcard";

/// The longest type that is kept, in bytes: twice what RFC 6838 allows a name.
const MAX_TYPE_BYTES: usize = 255;

/// The type of a file whose bytes begin with `head`. `declared` is the caller's Content-Type, `name` its
/// file name. Where the bytes certainly say otherwise, the file goes by what they say if that harms nobody, as with
/// a picture under the type of another picture; anything else is refused.
pub(crate) fn mime_type(
    head: &[u8],
    complete: bool,
    declared: Option<&str>,
    name: Option<&str>,
) -> Result<String, Problem> {
    let Some(declared) = declared.and_then(essence) else {
        return Ok(identified(head, complete, name));
    };
    let declared = canonical(&declared);
    let refused = |found: &str| {
        let kind = identified(head, complete, None);
        // What begins like a card that nobody can read is a text all the same.
        let kind = if kind == VCARD { "text/plain" } else { &kind };
        Err(contradicted(declared, found, kind))
    };
    if declared == VCARD && !vcard::begins(head) {
        return refused("no vCard: it must begin with BEGIN:VCARD");
    }
    if declared == VCARD && !vcard::is_readable(head, complete) {
        return refused("no vCard that can be read");
    }
    let found = match signature::find(head) {
        Some(found @ Found { family: Some(_), .. }) => found,
        // What is not known is no contradiction. But a text is known to be no picture.
        _ => {
            let is_binary = Family::of_type(declared).is_some_and(Family::is_binary);
            return if is_binary && is_utf8(head, complete) {
                refused("a text")
            } else {
                Ok(declared.to_owned())
            };
        }
    };
    let is_other = is_contradicted_by(&found, head, declared);
    if is_other && !found.family.is_some_and(|family| family.is_harmless_as(declared)) {
        return refused(&found_name(&found));
    }
    let is_found = is_other || is_heard_otherwise(&found, head, declared);
    Ok(if is_found { found_name(&found) } else { declared.to_owned() })
}

/// Whether the bytes decide that this is a voice memo, or that it is none, against the declared type.
fn is_heard_otherwise(found: &Found, head: &[u8], declared: &str) -> bool {
    let top = declared.split('/').next().unwrap_or_default();
    let is_declared = matches!(top, "audio" | "video")
        || matches!(declared, "application/mp4" | "application/ogg");
    let is_memo = is_audio_message_type(&found_name(found));
    if !is_declared || is_memo == is_audio_message_type(declared) {
        return false;
    }
    match found.family {
        // Unless a track of pictures is seen, these may hold sound alone; if one is, they do not.
        Some(Family::IsoMedia) => is_memo != container::has_video(head),
        Some(family) => family.is_recording(),
        None => false,
    }
}

/// The type of a file that came with a message. Nobody could do better if it were refused, so
/// where the phone says one thing and the bytes certainly another, the bytes decide.
pub(crate) fn received_type(
    head: &[u8],
    complete: bool,
    declared: Option<&str>,
    name: Option<&str>,
) -> String {
    let Some(declared) = declared.and_then(essence) else {
        return identified(head, complete, name);
    };
    let declared = canonical(&declared);
    match signature::find(head) {
        Some(found) if is_contradicted_by(&found, head, declared) => found_name(&found),
        _ => declared.to_owned(),
    }
}

fn is_contradicted_by(found: &Found, head: &[u8], declared: &str) -> bool {
    let Some(family) = found.family else { return false };
    family.contradicts(declared) && !(is_text_type(declared) && may_begin_a_text(family, head))
}

/// Whether a text may begin like what was found: `BMW is a car maker` is no bitmap.
fn may_begin_a_text(found: Family, head: &[u8]) -> bool {
    found != Family::Pdf && head.first().is_some_and(u8::is_ascii_graphic) && is_old_text(head)
}

/// What the bytes tell, and where they tell only a part, what the name adds.
fn identified(head: &[u8], complete: bool, name: Option<&str>) -> String {
    if vcard::begins(head) && vcard::is_readable(head, complete) {
        return VCARD.to_owned();
    }
    let Some(found) = signature::find(head) else {
        return named::of_unknown(name, is_plain_text(head, complete)).to_owned();
    };
    let is_archive = found.family == Some(Family::Zip);
    let guessed = name.and_then(if is_archive { named::of_archive } else { named::of });
    let is_text = |guess: &str| {
        is_text_type(guess)
            && found.family.is_none_or(|family| may_begin_a_text(family, head))
            && (is_utf8(head, complete) || is_old_text(head))
    };
    let guessed = guessed.filter(|guess| is_text(guess) || refines(&found, guess));
    guessed.map_or_else(|| found_name(&found), str::to_owned)
}

/// Whether this is a text that needs no program to be read.
pub(crate) fn is_plain_text(head: &[u8], complete: bool) -> bool {
    !head.is_empty() && is_utf8(head, complete) && is_old_text(head)
}

/// The charset of a text, if its first bytes are in the one that all texts should be in.
pub(crate) fn charset(head: &[u8], complete: bool) -> Option<&'static str> {
    // The Japanese one of mails is all ASCII, and changes between its alphabets by these.
    let has_shift = head.windows(2).any(|pair| matches!(pair, [0x1b, b'$' | b'(']));
    (is_utf8(head, complete) && !has_shift).then_some("utf-8")
}

/// Whether a name says more than the bytes do: they begin alike.
fn refines(found: &Found, guessed: &str) -> bool {
    let is_application = guessed.starts_with("application/");
    let promised = Family::of_type(guessed);
    match found.family {
        Some(Family::Zip) if found.kind == "application/zip" => {
            let may_be =
                is_application || guessed.ends_with("+zip") || guessed.starts_with("model/");
            may_be && promised.is_none()
        }
        // Office has several types for each of its archives.
        Some(Family::Zip) => {
            found.kind.starts_with("application/vnd.openxmlformats-")
                && (guessed.starts_with("application/vnd.ms-")
                    || guessed.starts_with("application/vnd.openxmlformats-"))
        }
        Some(Family::Compound) if found.kind == "application/x-ole-storage" => {
            is_application && promised.is_none()
        }
        Some(Family::Tiff) => guessed.starts_with("image/x-"),
        Some(Family::Xml) if found.kind == "text/xml" => {
            is_application || guessed.ends_with("+xml")
        }
        // What a container of sound or pictures holds is told by more than its first bytes.
        Some(Family::IsoMedia | Family::Ogg | Family::Matroska | Family::Asf | Family::Tagged) => {
            promised == found.family
        }
        _ => false,
    }
}

/// The type itself, lower-case; none if it says nothing, or is no type.
fn essence(declared: &str) -> Option<String> {
    let first = declared.split([';', ',']).next().unwrap_or_default();
    let essence = first.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let (family, kind) = essence.split_once('/')?;
    let is_type = is_token(family) && is_token(kind) && essence.len() <= MAX_TYPE_BYTES;
    (is_type && !says_nothing(&essence)).then_some(essence)
}

fn found_name(found: &Found) -> String {
    canonical(&found.kind).to_owned()
}

fn contradicted(declared: &str, found: &str, kind: &str) -> Problem {
    let message = format!(
        "The Content-Type says {declared}, but the file is {found}. Send Content-Type: {kind}, or leave it out."
    );
    Problem::new(Code::InvalidParameterValue, message).param("Content-Type")
}

#[cfg(test)]
mod tests;
