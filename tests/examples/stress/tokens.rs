//! Values that are counted while they live.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

/// What a token is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Job,
    Output,
    Failure,
    Future,
    Callback,
    Listener,
    CacheValue,
    Maker,
    Child,
    Actor,
    Subscriber,
}

impl Kind {
    const COUNT: usize = 11;

    /// What the processor has in its hands at some time, and nobody after its end.
    pub const HELD: [Self; 8] = [
        Self::Job,
        Self::Output,
        Self::Failure,
        Self::Future,
        Self::Callback,
        Self::Listener,
        Self::CacheValue,
        Self::Maker,
    ];
}

/// How many tokens were made and how many live, by kind.
#[derive(Default)]
pub struct Tokens {
    made: [AtomicU64; Kind::COUNT],
    alive: [AtomicI64; Kind::COUNT],
}

impl Tokens {
    pub fn token(self: &Arc<Self>, kind: Kind) -> Token {
        self.made[kind as usize].fetch_add(1, SeqCst);
        self.alive[kind as usize].fetch_add(1, SeqCst);
        Token { tokens: self.clone(), kind }
    }

    pub fn alive(&self, kind: Kind) -> i64 {
        self.alive[kind as usize].load(SeqCst)
    }

    /// The kinds of which some live, with their numbers.
    pub fn left(&self, kinds: &[Kind]) -> Vec<(Kind, i64)> {
        kinds.iter().map(|&kind| (kind, self.alive(kind))).filter(|(_, alive)| *alive != 0).collect()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for kind in Kind::HELD.into_iter().chain([Kind::Child, Kind::Actor, Kind::Subscriber]) {
            let made = self.made[kind as usize].load(SeqCst);
            map.entry(&kind, &format_args!("{} of {made}", self.alive(kind)));
        }
        map.finish()
    }
}

/// One value that is alive.
pub struct Token {
    tokens: Arc<Tokens>,
    kind: Kind,
}

impl Clone for Token {
    fn clone(&self) -> Self {
        self.tokens.token(self.kind)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.tokens.alive[self.kind as usize].fetch_sub(1, SeqCst);
    }
}
