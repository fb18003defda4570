//! Payloads that are counted.

use alloc::rc::Rc;
use core::borrow::Borrow;
use core::cell::Cell;
use core::hash::{Hash, Hasher};

use crate::Plan;

/// The plan of the simulated host: every payload is a [`Token`].
#[derive(Debug)]
pub struct Kit;

impl Plan for Kit {
    type Job = Token;
    type Output = Token;
    type Error = Token;
    type Panic = Token;
    type Meta = u32;
    type Callback = Token;
    type Waiter = Token;
    type Listener = Token;
    type Key = Key;
    type Value = Token;
}

/// A payload with a number, made when it is moved into the machine. It must come out again: a token that is
/// dropped before [`Token::out`] was called is counted as lost.
#[derive(Debug)]
pub struct Token {
    number: u32,
    books: Books,
    is_out: bool,
}

impl Token {
    /// Its number. The token stays where it is.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Takes the token out of circulation and returns its number.
    pub fn out(mut self) -> u32 {
        self.is_out = true;
        self.books.0.inside.set(self.books.0.inside.get().saturating_sub(1));
        self.number
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.is_out {
            self.books.0.lost.set(self.books.0.lost.get().saturating_add(1));
        }
    }
}

/// A key of the cache, equal by name.
#[derive(Debug)]
pub struct Key {
    /// The name, which decides equality.
    pub name: u8,
    /// The token, which is counted.
    pub token: Token,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Borrow<u8> for Key {
    fn borrow(&self) -> &u8 {
        &self.name
    }
}

/// Counts the tokens of one run.
#[derive(Clone, Debug, Default)]
pub struct Books(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    inside: Cell<u64>,
    lost: Cell<u64>,
}

impl Books {
    /// A token with this number.
    #[must_use]
    pub fn token(&self, number: u32) -> Token {
        self.0.inside.set(self.0.inside.get().saturating_add(1));
        Token { number, books: self.clone(), is_out: false }
    }

    /// How many tokens were made and have not come out.
    #[must_use]
    pub fn inside(&self) -> u64 {
        self.0.inside.get()
    }

    /// How many tokens were dropped before they came out.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.get()
    }
}
