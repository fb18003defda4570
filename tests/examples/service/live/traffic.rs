//! What goes on around the processor: an emitter, callers, clients with handles, and subscribers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures::FutureExt;
use plimsoll::{
    Access, Emitter, EmitterHandle, Events, Handle, Notice, Options, Registration, Runtime, Subscription,
    TaskId, Timeouts,
};

use super::work::{Job, Service, World};
use crate::arrivals::{Arrival, Way, Work};
use crate::report::Claim;

/// One in so many arrivals is followed by an error of the emitter.
const ERROR_EVERY: u64 = 1_000;
/// Handles that clients hold at most, and retained results that somebody remembers.
const HELD: usize = 4;
const REMEMBERED: usize = 128;
/// Turns between one subscriber and the next; each stays for twice as many.
const SUBSCRIBE_EVERY: u64 = 40;

/// Everybody who has to do with the processor, and what they counted.
pub struct Traffic<R> {
    world: Arc<World<R>>,
    emitter: Events<Job>,
    /// Somebody else's listener, which has to survive the processor.
    _stranger: Registration,
    attached: EmitterHandle<Service>,
    batch: Vec<Job>,
    handles: VecDeque<Handle<Service>>,
    retained: VecDeque<TaskId>,
    subscriptions: VecDeque<(u64, Subscription<Service>)>,
    turns: u64,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    arrivals: u64,
    emitted: u64,
    returned: u64,
    errors: u64,
    refused: u64,
    calls: u64,
    events: u64,
}

impl<R: Runtime + Send + Sync + 'static> Traffic<R> {
    pub fn new(service: &Access<Service>, world: Arc<World<R>>) -> Result<Self, String> {
        let emitter = Events::new();
        let stranger = emitter.on_error(Box::new(|_| {}));
        let attached = service.attach_with(&emitter, options).map_err(|error| error.to_string())?;
        Ok(Self {
            world,
            emitter,
            _stranger: stranger,
            attached,
            batch: Vec::with_capacity(64),
            handles: VecDeque::with_capacity(HELD),
            retained: VecDeque::with_capacity(REMEMBERED),
            subscriptions: VecDeque::with_capacity(4),
            turns: 0,
            seen: Seen::default(),
        })
    }

    /// Sends one job, whose times were made real ones.
    pub fn send(&mut self, service: &Access<Service>, Arrival { work, way, .. }: Arrival) {
        let job = Job { work, sent: (self.world.clock)() };
        let task = || service.task(job).options(options(&job));
        self.seen.arrivals += 1;
        let admitted = match way {
            Way::Task => {
                self.seen.emitted += 1;
                let returned = self.emitter.emit_task(job).is_err();
                self.seen.returned += u64::from(returned);
                !returned
            }
            Way::Batch => {
                self.batch.push(job);
                if self.batch.len() == self.batch.capacity() {
                    self.flush();
                }
                true
            }
            Way::Callback => {
                let world = self.world.clone();
                let called = task().call(move |_| {
                    world.called.fetch_add(1, Relaxed);
                });
                self.seen.calls += u64::from(called.is_ok());
                called.is_ok()
            }
            Way::Handle => self.hold(task().submit().ok()),
            Way::Retained => self.remember(service, task().retain().ok()),
        };
        self.seen.refused += u64::from(!admitted);
        if way == Way::Batch && self.seen.arrivals % ERROR_EVERY == 0 {
            self.seen.errors += 1;
            self.emitter.emit_error("the upstream connection was reset");
        }
    }

    /// Whatever is done from time to time: batches go out, subscribers come, read and go.
    pub fn turn(&mut self, service: &Access<Service>) {
        self.flush();
        self.turns += 1;
        if self.turns % SUBSCRIBE_EVERY == 1 {
            if let Ok(subscription) = service.subscribe() {
                self.subscriptions.push_back((self.turns + 2 * SUBSCRIBE_EVERY, subscription));
            }
        }
        for (_, subscription) in &mut self.subscriptions {
            while let Some(Some(notice)) = subscription.try_next() {
                self.seen.events += match notice {
                    Notice::Lagged(missed) => missed,
                    _ => 1,
                };
            }
        }
        let turns = self.turns;
        self.subscriptions.retain(|(until, _)| turns < *until);
    }

    /// Lets go of all that would keep a graceful end waiting, and says what has to be true of the emitter.
    pub fn leave(&mut self) -> Vec<Claim> {
        self.flush();
        self.handles.clear();
        let fed = self.attached.fed().unwrap_or_default();
        vec![
            Claim::equal("emitted = fed + handed back", self.seen.emitted, fed.admitted + self.seen.returned),
            Claim {
                // What comes after the first refusal in a batch comes back without having been offered.
                holds: fed.refused <= self.seen.returned,
                text: format!("refused {} of {} handed back", fed.refused, self.seen.returned),
            },
            Claim::equal("errors of the emitter", self.seen.errors, fed.errors),
        ]
    }

    /// What has to be true when the processor has ended.
    pub fn claims(&self) -> Vec<Claim> {
        let [task, batch, error] = self.emitter.listener_counts().map(|count| count as u64);
        vec![
            Claim::equal(
                "callbacks called = calls admitted",
                self.world.called.load(Relaxed),
                self.seen.calls,
            ),
            Claim::equal("listeners for tasks", task, 0),
            Claim::equal("listeners for batches", batch, 0),
            Claim::equal("listeners for errors, the stranger's", error, 1),
        ]
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.seen.emitted += self.batch.len() as u64;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(64));
        if let Err(rest) = self.emitter.emit_batch(batch) {
            self.seen.returned += rest.len() as u64;
            self.seen.refused += rest.len() as u64;
        }
    }

    /// A client keeps a handle for a while; then it takes the outcome, or loses interest: every other one
    /// of these cancels.
    fn hold(&mut self, handle: Option<Handle<Service>>) -> bool {
        let Some(handle) = handle else { return false };
        if self.handles.len() == HELD {
            if let Some(mut oldest) = self.handles.pop_front() {
                if (&mut oldest).now_or_never().is_none() && self.seen.arrivals % 2 == 0 {
                    // It may have ended just now.
                    let _ = oldest.cancel();
                }
            }
        }
        self.handles.push_back(handle);
        true
    }

    /// Somebody asks for every other result, some time later.
    fn remember(&mut self, service: &Access<Service>, task: Option<TaskId>) -> bool {
        let Some(task) = task else { return false };
        if self.retained.len() == REMEMBERED {
            if let Some(oldest) = self.retained.pop_front().filter(|_| self.seen.arrivals % 2 == 0) {
                let _ = service.result(oldest);
            }
        }
        self.retained.push_back(task);
        true
    }
}

/// The terms of a job: its own limit.
fn options(job: &Job) -> Options {
    let Work { limit, .. } = job.work;
    Options::default().timeouts(Timeouts { start_to_close: limit, ..Timeouts::NONE })
}
