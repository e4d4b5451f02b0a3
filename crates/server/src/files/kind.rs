//! What kind of file it is: what the caller says, unless the bytes certainly say otherwise; and if nobody says
//! anything, what the bytes and the name tell.

mod alias;
mod container;
mod family;
mod signature;
mod vcard;

use switchboard_model::{Code, Problem};

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
/// file name. A declared type that the bytes contradict is refused.
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
    if declared == VCARD && !vcard::begins(head) {
        return Err(contradicted(VCARD, "no vCard: it must begin with BEGIN:VCARD"));
    }
    if declared == VCARD && !vcard::is_readable(head, complete) {
        return Err(contradicted(VCARD, "no vCard that can be read"));
    }
    match contradiction(head, complete, declared) {
        Some(found) => Err(contradicted(declared, &found)),
        None => Ok(declared.to_owned()),
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

/// What the bytes are instead of what was declared, if that is certain.
fn contradiction(head: &[u8], complete: bool, declared: &str) -> Option<String> {
    match signature::find(head) {
        Some(found) if is_contradicted_by(&found, head, declared) => Some(found_name(&found)),
        Some(Found { family: Some(_), .. }) => None,
        // What is not known is no contradiction. But a text is known to be no picture.
        _ => {
            let is_binary = Family::of_type(declared).is_some_and(Family::is_binary);
            (is_binary && is_utf8(head, complete)).then(|| "a text".to_owned())
        }
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
    let guessed = name.and_then(|name| mime_guess::from_path(name).first_raw()).map(canonical);
    let Some(found) = signature::find(head) else {
        // A name alone must not make a picture of what is none.
        let plain =
            guessed.filter(|guess| guess.starts_with("text/") || guess.starts_with("application/"));
        return plain.unwrap_or(UNKNOWN).to_owned();
    };
    let is_text = |guess: &str| {
        is_text_type(guess)
            && found.family.is_none_or(|family| may_begin_a_text(family, head))
            && (is_utf8(head, complete) || is_old_text(head))
    };
    let guessed = guessed.filter(|guess| is_text(guess) || refines(&found, guess));
    guessed.map_or_else(|| found_name(&found), str::to_owned)
}

/// Whether a name says more than the bytes do: they begin alike.
fn refines(found: &Found, guessed: &str) -> bool {
    let is_application = guessed.starts_with("application/");
    let promised = Family::of_type(guessed);
    match found.family {
        Some(Family::Zip) if found.kind == "application/zip" => {
            (is_application || guessed.ends_with("+zip")) && promised.is_none()
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

fn contradicted(declared: &str, found: &str) -> Problem {
    let message = format!("The Content-Type says {declared}, but the file is {found}.");
    Problem::new(Code::InvalidParameterValue, message).param("Content-Type")
}

#[cfg(test)]
mod tests;
