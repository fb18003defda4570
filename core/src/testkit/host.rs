//! The simulated host: a machine with counted payloads. How it makes calls is in `calls/`.

use super::setup::Setup;
use super::token::{Books, Kit, Token};
use crate::{BuildError, Processor};

/// A machine whose payloads are counted.
#[derive(Debug)]
pub struct Host {
    pub(super) machine: Processor<Kit>,
    pub(super) books: Books,
}

impl Host {
    /// Builds a machine.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn new(setup: &Setup) -> Result<Self, BuildError> {
        let machine =
            Processor::with_generation_bits(setup.limits(), setup.start(), setup.generation_bits())?;
        Ok(Self { machine, books: Books::default() })
    }

    /// The machine, for inspection.
    #[must_use]
    pub const fn machine(&self) -> &Processor<Kit> {
        &self.machine
    }

    /// The counts of the payloads.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// A payload to move into the machine.
    pub(super) fn token(&self, number: u32) -> Token {
        self.books.token(number)
    }
}
