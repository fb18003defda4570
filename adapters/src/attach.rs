//! Attaching an emitter to a processor.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use plimsoll_core::{
    AttachRefusal, Detached, EmitterId, Fed, FeedRefusal, Guard, Message, Offer, Refused, Terms,
};

use crate::access::Access;
use crate::emitter::Emitter;
use crate::engine::machine::Shared;
use crate::options::Options;
use crate::panics::{catch, discard_panic};
use crate::work::{AnyWork, SendWork};

/// An emitter that is attached to a processor.
///
/// The processor owns its three registrations with the emitter: they go when [`detach`](Self::detach) is called, when
/// the processor drains, or when it ends. Dropping the handle leaves it attached.
pub struct EmitterHandle<W: AnyWork> {
    shared: Arc<Shared<W>>,
    id: EmitterId,
}

impl<W: AnyWork> EmitterHandle<W> {
    /// Which emitter.
    #[must_use]
    pub const fn id(&self) -> EmitterId {
        self.id
    }

    /// What it has fed so far; `None` when it is not attached any more.
    #[must_use]
    pub fn fed(&self) -> Option<Fed> {
        self.shared.read(|machine| machine.emitter_fed(self.id))
    }

    /// Detaches it: drops its three registrations. Returns what it had fed; `None` when it was not attached any more.
    pub fn detach(self) -> Option<Fed> {
        let now = self.shared.now();
        let Detached { guard, fed, .. } = self.shared.act(|machine| machine.detach(now, self.id))?;
        drop_guard(&self.shared, guard);
        Some(fed)
    }
}

impl<W: AnyWork> fmt::Debug for EmitterHandle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmitterHandle").field("id", &self.id).field("fed", &self.fed()).finish()
    }
}

impl<W: SendWork> Access<W> {
    /// Attaches an emitter: its tasks and batches are submitted on the default terms, with outcomes that
    /// go nowhere, and its errors are noted as last error. What is refused goes back to the caller of `emit` and is
    /// counted for the emitter.
    ///
    /// # Errors
    /// Too many emitters, or the processor is draining. Nothing is registered then.
    pub fn attach(&self, emitter: &impl Emitter<W::Job>) -> Result<EmitterHandle<W>, AttachRefusal>
    where
        W::Meta: Default,
    {
        self.attach_with(emitter, |_| Options::default())
    }

    /// As [`attach`](Self::attach), with the terms that `options` gives for each job. A panic in it is caught and counted;
    /// the job, and in a batch those after it, go back to the caller of `emit` with
    /// [`FeedRefusal::Terms`].
    ///
    /// # Errors
    /// Too many emitters, or the processor is draining. Nothing is registered then.
    pub fn attach_with(
        &self,
        emitter: &impl Emitter<W::Job>,
        options: impl Fn(&W::Job) -> Options<W::Meta> + Send + Sync + 'static,
    ) -> Result<EmitterHandle<W>, AttachRefusal> {
        // The id is known only once the registrations are in the machine's hands; until then nothing is fed.
        let feeder = Arc::new(Feeder { shared: self.shared.clone(), id: OnceLock::new(), options });
        let (task, batch, error) = (feeder.clone(), feeder.clone(), feeder.clone());
        let guard = Guard {
            task: erase(emitter.on_task(Box::new(move |job| task.feed(job)))),
            batch: erase(emitter.on_batch(Box::new(move |jobs| batch.feed_batch(jobs)))),
            error: erase(emitter.on_error(Box::new(move |message| error.feed_error(message)))),
        };
        let now = self.shared.now();
        let attached = self.shared.act(|machine| {
            let attached = machine.attach(now, guard);
            if let Ok(id) = attached {
                let _ = feeder.id.set(id);
            }
            attached
        });
        match attached {
            Ok(id) => Ok(EmitterHandle { shared: self.shared.clone(), id }),
            Err(refused) => {
                let (reason, guard) = refused.into_parts();
                drop_guard(&self.shared, guard);
                Err(reason)
            }
        }
    }
}

fn erase(listener: impl Send + 'static) -> Box<dyn Any + Send> {
    Box::new(listener)
}

fn drop_guard<W: AnyWork>(shared: &Shared<W>, guard: Guard<Box<dyn Any + Send>>) {
    shared.discard(guard.task);
    shared.discard(guard.batch);
    shared.discard(guard.error);
}

/// What the three listeners of an emitter have in common.
struct Feeder<W: AnyWork, F> {
    shared: Arc<Shared<W>>,
    id: OnceLock<EmitterId>,
    options: F,
}

/// The most tasks that one hold of the lock takes in.
const FED_A_HOLD: usize = 64;

impl<W: AnyWork, F: Fn(&W::Job) -> Options<W::Meta>> Feeder<W, F> {
    /// The metadata and the terms of a job. A panic of the user's function is caught and counted; then there are none.
    fn terms(&self, job: &W::Job) -> Result<(W::Meta, Terms), FeedRefusal> {
        let shared = &self.shared;
        match catch(|| (self.options)(job)) {
            Ok(options) => match shared.defaults.with(&options) {
                Ok(terms) => Ok((options.meta, terms)),
                Err(reason) => Err(FeedRefusal::Task(reason)),
            },
            Err(panic) => {
                discard_panic(panic);
                shared.note_panics(1);
                Err(FeedRefusal::Terms)
            }
        }
    }

    fn feed(&self, job: W::Job) -> Result<(), Refused<W::Job, FeedRefusal>> {
        let shared = &self.shared;
        let Some(id) = self.id.get().copied() else {
            return Err(Refused::new(FeedRefusal::Detached, job));
        };
        let (meta, terms) = match self.terms(&job) {
            Ok(terms) => terms,
            Err(reason) => return Err(Refused::new(reason, job)),
        };
        let (now, offer) = (shared.now(), Offer::new(shared.carry(job), meta));
        let fed = shared.act(|machine| machine.feed(now, id, offer, &terms));
        fed.map(drop).map_err(|refused| refused.map(|offer| offer.job.into_job()))
    }

    fn feed_batch(&self, jobs: Vec<W::Job>) -> Result<(), Refused<Vec<W::Job>, FeedRefusal>> {
        let shared = &self.shared;
        let Some(id) = self.id.get().copied() else {
            return Err(Refused::new(FeedRefusal::Detached, jobs));
        };
        let mut jobs = jobs.into_iter();
        loop {
            let mut offers = Vec::with_capacity(jobs.len().min(FED_A_HOLD));
            let mut without_terms = None;
            for job in jobs.by_ref().take(FED_A_HOLD) {
                match self.terms(&job) {
                    Ok((meta, terms)) => offers.push(Some((Offer::new(shared.carry(job), meta), terms))),
                    Err(reason) => {
                        without_terms = Some((reason, job));
                        break;
                    }
                }
            }
            let now = shared.now();
            let fed = shared.act(|machine| machine.feed_batch(now, id, &mut offers));
            let (reason, without_terms) = without_terms.unzip();
            let reason = fed.refused.or(reason);
            if let Some(reason) = reason {
                let left = offers.into_iter().flatten().map(|(offer, _)| offer.job.into_job());
                let value = left.chain(without_terms).chain(jobs).collect();
                return Err(Refused::new(reason, value));
            }
            if jobs.len() == 0 {
                return Ok(());
            }
        }
    }

    fn feed_error(&self, message: &str) {
        let shared = &self.shared;
        if let Some(id) = self.id.get().copied() {
            let (now, message) = (shared.now(), Message::from(message));
            // Not attached any more: then the error is nobody's.
            let _ = shared.act(|machine| machine.feed_error(now, id, message));
        }
    }
}
