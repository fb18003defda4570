//! The cache.

use crate::testkit::host::Host;
use crate::testkit::token::{Key, Token};
use crate::{Inserted, Instant};

/// Writes, reads or removes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    MakeRoom { now: Instant, key: u8, weight: u8 },
    Insert { now: Instant, key: u8, token: u32, value: u32, weight: u8 },
    Get { now: Instant, key: u8, counted: bool },
    Remove { key: u8 },
    Pop,
}

/// What became of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Inserted(&'static str, Option<Pair>),
    Value(Option<u32>),
    Removed(Option<Pair>),
}

/// A key, its token, and the token of its value.
pub type Pair = (u8, u32, u32);

impl Call {
    /// The cache has a clock of its own.
    pub(super) const fn now(&self) -> Option<Instant> {
        None
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        let books = &host.books;
        let mut cache = host.machine.cache();
        match *self {
            Self::MakeRoom { now, key, weight } => {
                let hash = cache.hasher().hash_of(&key);
                Answer::Removed(cache.make_room(now, hash, &key, weight.into()).map(pair))
            }
            Self::Insert { now, key, token, value, weight } => {
                let (name, token, value) = (key, books.token(token), books.token(value));
                let hash = cache.hasher().hash_of(&name);
                let inserted = cache.insert_weighted(now, hash, Key { name, token }, value, weight.into());
                let how = match inserted {
                    Inserted::New => "New",
                    Inserted::Replaced(..) => "Replaced",
                    Inserted::Evicted(..) => "Evicted",
                    Inserted::Expired(..) => "Expired",
                    Inserted::Refused(..) => "Refused",
                    Inserted::TooHeavy(..) => "TooHeavy",
                    Inserted::NoRoom(..) => "NoRoom",
                };
                Answer::Inserted(how, inserted.into_pair().map(pair))
            }
            Self::Get { now, key, counted } => {
                let hash = cache.hasher().hash_of(&key);
                let found = if counted { cache.get(now, hash, &key) } else { cache.peek(now, hash, &key) };
                Answer::Value(found.map(Token::number))
            }
            Self::Remove { key } => {
                let hash = cache.hasher().hash_of(&key);
                Answer::Removed(cache.remove(hash, &key).map(pair))
            }
            Self::Pop => Answer::Removed(cache.pop().map(pair)),
        }
    }
}

pub(super) fn pair((key, value): (Key, Token)) -> Pair {
    (key.name, key.token.out(), value.out())
}
