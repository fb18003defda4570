//! Access to a processor that may be kept anywhere.

use std::fmt;
use std::ops::Deref;

use crate::access::Access;
use crate::work::AnyWork;

/// Gives [`Access`] to a processor. Cheap to clone; it does not keep the processor alive, so the processor's own jobs may
/// hold one. After the end it is still there, and refuses everything. Made by
/// [`Processor::submitter`](crate::Processor::submitter).
pub struct Submitter<W: AnyWork> {
    access: Access<W>,
}

impl<W: AnyWork> Submitter<W> {
    pub(crate) fn new(access: &Access<W>) -> Self {
        Self { access: Access { shared: access.shared.clone() } }
    }
}

impl<W: AnyWork> Deref for Submitter<W> {
    type Target = Access<W>;

    #[inline]
    fn deref(&self) -> &Access<W> {
        &self.access
    }
}

impl<W: AnyWork> Clone for Submitter<W> {
    fn clone(&self) -> Self {
        Self::new(&self.access)
    }
}

impl<W: AnyWork> fmt::Debug for Submitter<W> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Submitter").field(&self.access).finish()
    }
}
