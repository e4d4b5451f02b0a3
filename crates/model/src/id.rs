//! Ids: a prefix that names the kind, and a UUIDv7 in lower-case Crockford base32 (§1).

use std::{
    cmp::Ordering,
    fmt, hash,
    marker::PhantomData,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::base32;

const ENCODED_LEN: usize = 26;

/// The kinds of id and their prefixes. The resource itself is its own kind:
/// `Id<Chat>` is not `Id<Message>`.
pub trait Kind {
    /// The prefix with its underscore: `msg_`.
    const PREFIX: &'static str;
}

/// All prefixes of the contract, to tell "an id of another kind" from "no id of ours".
pub const PREFIXES: &[&str] = &[
    "ln_", "cht_", "msg_", "rxn_", "obx_", "wh_", "ind_", "rcp_", "file_", "dlv_", "req_", "evt_",
    "acc_", "key_", "brg_", "rpl_",
];

/// Whether `text` wears the prefix of any kind of id.
pub fn has_any_prefix(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// An id of one kind. Sorts by the time of its making.
pub struct Id<K> {
    bits: u128,
    kind: PhantomData<fn() -> K>,
}

/// Why a text is no id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Another kind's id, or no id at all: a mistake in the caller's program.
    #[error("not an id that starts with '{0}'")]
    Prefix(&'static str),
    /// The right prefix with a rest that was never given out: nothing has this id.
    #[error("nothing has this id")]
    NeverIssued,
}

impl<K: Kind> Id<K> {
    /// Wraps a UUIDv7. Time and randomness are the caller's.
    pub fn new(uuid: uuid::Uuid) -> Self {
        Self { bits: uuid.as_u128(), kind: PhantomData }
    }

    /// A fresh id: the system's clock and randomness, monotonic within this process. By a clock that stands before 1970,
    /// the time is that of 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "an id's time tells nobody when something happened"
    )]
    pub fn generate() -> Self {
        if SystemTime::now() < UNIX_EPOCH {
            let began = uuid::Timestamp::from_unix(uuid::NoContext, 0, 0);
            return Self::new(uuid::Uuid::new_v7(began));
        }
        Self::new(uuid::Uuid::now_v7())
    }

    /// All that tells it from others of its kind, in its order.
    pub fn to_bits(self) -> u128 {
        self.bits
    }

    /// The id with these bits.
    pub fn from_bits(bits: u128) -> Self {
        Self { bits, kind: PhantomData }
    }

    /// The id that nothing has, for whoever names what was never made.
    pub fn of_nothing() -> Self {
        Self::new(uuid::Uuid::nil())
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = base32::encode::<ENCODED_LEN>(self.bits);
        f.write_str(K::PREFIX)?;
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let rest = text.strip_prefix(K::PREFIX).ok_or(ParseIdError::Prefix(K::PREFIX))?;
        // 26 digits of 5 bits are 130: the first digit may only carry three.
        if rest.len() != ENCODED_LEN || rest.as_bytes()[0] > b'7' {
            return Err(ParseIdError::NeverIssued);
        }
        let bits = base32::decode(rest.as_bytes()).ok_or(ParseIdError::NeverIssued)?;
        Ok(Self { bits, kind: PhantomData })
    }
}

// By hand, because a derive would ask the same of `K`, which is only a name.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Chat, Message};

    proptest! {
        #[test]
        fn every_id_survives_text(bits: u128) {
            let id = Id::<Message>::new(uuid::Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<Id<Message>>(), Ok(id));
        }

        #[test]
        fn text_sorts_as_the_id_sorts(a: u128, b: u128) {
            let of = |bits| Id::<Message>::new(uuid::Uuid::from_u128(bits));
            prop_assert_eq!(of(a).cmp(&of(b)), of(a).to_string().cmp(&of(b).to_string()));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Id<Message>>();
            let _ = format!("msg_{text}").parse::<Id<Message>>();
        }
    }

    #[test]
    fn another_kind_is_a_mistake_and_a_made_up_rest_is_nothing() {
        let chat = Id::<Chat>::generate().to_string();
        assert_eq!(chat.parse::<Id<Message>>(), Err(ParseIdError::Prefix("msg_")));
        assert_eq!("msg_nope".parse::<Id<Message>>(), Err(ParseIdError::NeverIssued));
        assert_eq!("msg_é".parse::<Id<Message>>(), Err(ParseIdError::NeverIssued));
    }
}
