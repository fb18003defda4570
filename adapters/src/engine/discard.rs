//! Letting go of foreign values, without a lock: a panic of one is caught and counted, and each is dropped on its own, for
//! two panics at a time would abort the process.

use super::machine::Shared;
use super::place::Contents;
use super::types::Types;
use crate::carried::Carried;
use crate::panics::{catch, discard_panic};
use crate::settlement::Settlement;
use crate::trace::Origin;
use crate::work::AnyWork;

impl<W: AnyWork> Shared<W> {
    /// A settlement as its recipient gets it: without its origin, which ends here.
    pub(crate) fn settlement_of(&self, settled: plimsoll_core::Settlement<Types<W>>) -> Settlement<W> {
        let (settled, origin) = Settlement::split(settled);
        self.discard_origin(origin);
        settled
    }

    /// Drops an origin, if there is one. Without the feature `tracing` there is nothing in it.
    #[inline]
    pub(super) fn discard_origin(&self, origin: Option<Origin>) {
        if let Some(origin) = origin.filter(Origin::has_span) {
            self.discard(origin);
        }
    }

    /// Drops what leaves with a task, each value on its own.
    pub(crate) fn discard_settlement(&self, unwanted: Settlement<W>) {
        self.discard(unwanted.result);
        self.discard(unwanted.job);
    }

    /// Drops what a place has left, each value on its own.
    pub(super) fn discard_contents<H>(&self, contents: Contents<W, H>) {
        let Contents { job, copy, output, error, handler, has_panicked } = contents;
        if has_panicked {
            self.note_panics(1);
        }
        self.discard_carried(job);
        self.discard_carried(copy);
        self.discard(output);
        self.discard(error);
        self.discard(handler);
    }

    /// Drops a job and its origin, each on its own.
    pub(crate) fn discard_carried(&self, carried: Option<Carried<W::Job>>) {
        if let Some(Carried { job, origin }) = carried {
            self.discard(job);
            self.discard_origin(Some(origin));
        }
    }

    /// Drops a value; a panic of it is caught and counted.
    #[inline]
    pub(crate) fn discard<T>(&self, value: T) {
        if std::mem::needs_drop::<T>() {
            self.guarded(|| drop(value));
        }
    }

    /// Runs foreign code after the outcome was fixed: a panic of it is caught and counted.
    pub(crate) fn guarded(&self, run: impl FnOnce()) {
        if let Err(panic) = catch(run) {
            discard_panic(panic);
            self.note_panics(1);
        }
    }

    /// Counts panics of foreign code that came after an outcome was fixed.
    pub(crate) fn note_panics(&self, panics: u32) {
        for _ in 0..panics {
            self.lock().machine.late_panic();
        }
    }
}
