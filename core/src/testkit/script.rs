//! Scripts: the actions of a host, in small steps with small numbers as arguments.
//!
//! Any bytes are a script. The first [`Setup::BYTES`] choose the limits; each following [`Step::BYTES`] are one step.
//! Ids are chosen by position among all ids so far, stale ones included, so that random scripts make sense.

use alloc::vec::Vec;

use super::setup::Setup;
use super::steps::Step;

/// Limits, and the steps of a host under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The limits and the first instant.
    pub setup: Setup,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Script {
    /// The script in these bytes. An incomplete last step is left out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (setup, steps) = bytes.split_at(bytes.len().min(Setup::BYTES));
        let mut first = [0; Setup::BYTES];
        first.iter_mut().zip(setup).for_each(|(to, from)| *to = *from);
        let step = |chunk: &[u8]| Step::from_bytes(chunk.try_into().unwrap_or_default());
        Self { setup: Setup(first), steps: steps.chunks_exact(Step::BYTES).map(step).collect() }
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Script {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let len = bytes.len();
        bytes.bytes(len).map(Self::from_bytes)
    }
}
