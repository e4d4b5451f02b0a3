//! Who a request is for (rpc.md, "send" and "Bridge Message Actions").

use super::{dispatch::Call, failure::Failure, params::Params};
use crate::imsg::{chat::Chat, database::Service, state::State};

/// A target as it was given.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// `to`, as E.164 or an address.
    To(String),
    /// `chat_id`.
    Id(i64),
    /// `chat_identifier` or `chat_guid`.
    Name(String),
}

/// What it is on this Mac.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Chat(Chat),
    /// A selector that names no chat.
    Missing,
    /// Somebody without a chat.
    New(String),
}

/// The parameters that choose a chat.
pub(crate) const SELECTORS: [&str; 3] = ["chat_id", "chat_identifier", "chat_guid"];

impl Target {
    /// Exactly one target; `to` only where it is allowed.
    pub(crate) fn read(params: &Params, direct: bool) -> Result<Self, Failure> {
        let region = if direct { params.str("region")?.unwrap_or("US") } else { "US" };
        let to = if direct { params.str("to")? } else { None };
        let given = SELECTORS.into_iter().filter(|name| params.has(name)).collect::<Vec<_>>();
        match (to, &given[..]) {
            (Some(_), [_, ..]) => Err(Failure::params("use either to or a chat selector")),
            (Some(to), []) => Ok(Self::To(handle(to, region)?)),
            (None, ["chat_id"]) => match params.int("chat_id")? {
                Some(id) if id > 0 => Ok(Self::Id(id)),
                _ => Err(Failure::params("chat_id must be positive")),
            },
            (None, [name]) => Ok(Self::Name(params.text(name)?.to_owned())),
            (None, []) => Err(Failure::params("a target is required")),
            (None, _) => Err(Failure::params("exactly one of chat_id, chat_identifier, chat_guid")),
        }
    }

    /// Looks it up.
    pub(crate) fn find(&self, call: &Call<'_>, service: Service) -> Result<Found, Failure> {
        if let Self::Id(_) = self {
            call.database()?;
        }
        let look = |state: &State| match self {
            Self::Id(id) => match state.db.chats.get(id) {
                Some(chat) => Ok(Found::Chat(chat.clone())),
                None => Err(Failure::params(format!("unknown chat_id {id}"))),
            },
            Self::Name(name) => Ok(state
                .db
                .chat_named(name)
                .map_or(Found::Missing, |chat| Found::Chat(chat.clone()))),
            // Without the database imsg can't know of a chat.
            Self::To(handle) if state.db_error.is_some() => Ok(Found::New(handle.clone())),
            Self::To(handle) => {
                let chat = state.db.direct(handle, service);
                Ok(chat
                    .map_or_else(|| Found::New(handle.clone()), |chat| Found::Chat(chat.clone())))
            }
        };
        call.shared().look(look)
    }
}

/// A recipient as imsg normalizes it. A name would be looked up in Contacts, where nobody is.
pub(crate) fn handle(to: &str, region: &str) -> Result<String, Failure> {
    let to = to.trim();
    if to.is_empty() {
        return Err(Failure::params("to is required"));
    }
    if to.contains('@') {
        return Ok(to.to_lowercase());
    }
    if to.chars().any(char::is_alphabetic) {
        return Err(Failure::params("no contact has this name"));
    }
    let code = match region.to_ascii_uppercase().as_str() {
        "US" | "CA" => "1",
        "GB" => "44",
        "DE" => "49",
        "FR" => "33",
        "AT" => "43",
        "CH" => "41",
        _ => return Err(Failure::params("region must be an ISO 3166-1 alpha-2 code")),
    };
    let digits = to.chars().filter(char::is_ascii_digit).collect::<String>();
    Ok(match &digits[..] {
        _ if to.starts_with('+') => format!("+{digits}"),
        short if short.len() <= 6 => short.to_owned(),
        long if long.len() == 11 && code == "1" && long.starts_with('1') => format!("+{long}"),
        national => format!("+{code}{}", national.trim_start_matches('0')),
    })
}

/// The chat of a request that takes only existing ones.
pub(crate) fn chat(call: &Call<'_>, params: &Params, operation: &str) -> Result<Chat, Failure> {
    match Target::read(params, false)?.find(call, Service::Auto)? {
        Found::Chat(chat) => Ok(chat),
        Found::Missing | Found::New(_) => {
            let transport = super::failure::Transport::Helper;
            Err(Failure::not_started(transport, operation, "no such chat"))
        }
    }
}
