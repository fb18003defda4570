//! Steps with the cache.

use crate::testkit::calls;
use crate::testkit::calls::cache::{Answer, Call};
use crate::testkit::oracle::{Fault, Oracle};

/// Writes, reads or removes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    /// Makes room before, unless it `rushes`.
    Insert {
        key: u8,
        weight: u8,
        rushes: bool,
    },
    Get {
        key: u8,
    },
    Peek {
        key: u8,
    },
    Remove {
        key: u8,
    },
    Pop,
}

/// The weights of entries.
const WEIGHTS: [u8; 8] = [1, 0, 0, 2, 3, 5, 11, 13];

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        let key = a % 6;
        match kind {
            233..=239 => Self::Insert { key, weight: WEIGHTS[(b % 8) as usize], rushes: b >= 192 },
            240..=243 => Self::Get { key },
            244 => Self::Peek { key },
            245 => Self::Remove { key },
            _ => Self::Pop,
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let now = oracle.now();
        let call = match self {
            Self::Insert { key, weight, rushes } => {
                let mut in_the_way = !rushes;
                while in_the_way {
                    let answer = oracle.call(Call::MakeRoom { now, key, weight })?;
                    in_the_way = matches!(answer, calls::Answer::Cache(Answer::Removed(Some(_))));
                }
                Call::Insert { now, key, token: oracle.token(), value: oracle.token(), weight }
            }
            Self::Get { key } => Call::Get { now, key, counted: true },
            Self::Peek { key } => Call::Get { now, key, counted: false },
            Self::Remove { key } => Call::Remove { key },
            Self::Pop => Call::Pop,
        };
        oracle.call(call).map(drop)
    }
}
