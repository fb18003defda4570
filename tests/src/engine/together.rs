//! Permits, completion queues, batches and streams, as a script uses them.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use plimsoll::{CompletionQueue, Permit, Refusal};

use super::held::{Held, Results, Thing};
use super::plan::{Deed, Order, Way};
use super::stage::{Service, Stage};
use super::token::Job;
use super::world::{Fault, World};

/// The most tasks that a completion queue of a script has room for.
const ROOM: [u32; 4] = [2, 0, 1, 8];

impl World {
    /// Submits with the newest permit. Without one, a new one is waited for, and nothing is submitted yet if there is no room.
    pub(super) fn submit_reserved(&mut self, order: Order) -> Result<(), Fault> {
        if self.permit().is_none() {
            self.held.push(Held::new(Thing::Reserve(self.stage.desk().reserve())));
            self.poll(0, Deed::Nothing)?;
        }
        let stage = self.stage.clone();
        if self.permit().is_none() {
            return Ok(());
        }
        let way = if order.way() == Way::Handle { Way::Handle } else { Way::Nowhere };
        let Some(task) = stage.open(order, way) else { return Ok(()) };
        let look = stage.look(order);
        let (job, options) = (Job::new(&stage, task, order), order.options(task, stage.has_lanes));
        let Some(permit) = self.permit() else { return Ok(()) };
        let places = permit.places();
        let submission = permit.task(job).options(options);
        let entry = match way {
            Way::Handle => submission.submit().map(|handle| (handle.id(), Some(handle))),
            _ => submission.post().map(|id| (id, None)),
        };
        let (left, reason) = (permit.places(), entry.as_ref().err().map(|refused| refused.reason));
        let is_right = match reason {
            None => left + 1 == places,
            // Of a permit without places it says so first.
            Some(Refusal::UsedUp) => places == 0,
            Some(
                Refusal::Closed
                | Refusal::Delayed
                | Refusal::Attempts
                | Refusal::Duplicate
                | Refusal::Lanes
                | Refusal::LaneFull,
            ) => left == places,
            Some(_) => false,
        };
        stage.expect(if is_right {
            Ok(())
        } else {
            Err(format!("a permit for {places} has {left} after {reason:?}"))
        });
        match &entry {
            Err(refused) if refused.reason == Refusal::UsedUp => stage.book().refuse(task),
            Err(refused) => stage.note_keyed(task, look, Err(refused.reason)),
            Ok((id, _)) => stage.note_keyed(task, look, Ok(Some(*id))),
        }
        match entry {
            Ok((_, handle)) => self.held.extend(handle.map(|handle| Held::new(Thing::Handle(task, handle)))),
            Err(refused) => refused.into_value().come_back(),
        }
        Ok(())
    }

    fn permit(&mut self) -> Option<&mut Permit<Service>> {
        self.held.iter_mut().rev().find_map(|held| match &mut held.thing {
            Thing::Permit(permit) => Some(permit),
            _ => None,
        })
    }

    /// The newest completion queue, or a new one.
    fn queue(&mut self, room: u8) -> Option<&mut CompletionQueue<Service>> {
        if !self.held.iter().any(|held| matches!(held.thing, Thing::Queue(_))) {
            let room = ROOM[usize::from(room) % ROOM.len()];
            let queue = self.stage.desk().completion_queue(room).expect("it is small");
            self.held.push(Held::new(Thing::Queue(queue)));
        }
        self.held.iter_mut().rev().find_map(|held| match &mut held.thing {
            Thing::Queue(queue) => Some(queue),
            _ => None,
        })
    }

    pub(super) fn submit_to_queue(&mut self, order: Order, room: u8) {
        let order = order.without_key();
        let stage = self.stage.clone();
        let Some(task) = stage.open(order, Way::Queue) else { return };
        let Some(queue) = self.queue(room) else { return };
        let (job, is_full) = (Job::new(&stage, task, order), queue.len() == queue.capacity());
        let submitted = stage.desk().task(job).options(order.options(task, stage.has_lanes)).submit_to(queue);
        let is_untaken = submitted.as_ref().is_err_and(|refused| refused.reason == Refusal::Untaken);
        stage.expect(if is_full == is_untaken { Ok(()) } else { Err("a queue miscounts".into()) });
        // Of a queue that is full it says so first.
        if is_untaken {
            stage.book().refuse(task);
        } else {
            stage.note_entry(task, submitted.as_ref().map(|id| Some(*id)).map_err(|refused| refused.reason));
        }
        if let Err(refused) = submitted {
            refused.into_value().come_back();
        }
    }

    pub(super) fn submit_many(&mut self, order: Order, count: u8) {
        let order = order.without_key();
        let stage = self.stage.clone();
        let mut pulled = Vec::new();
        let Some(queue) = self.queue(count) else { return };
        let before = queue.len();
        let mut jobs = (0..count).filter_map(|_| {
            let task = stage.open(order, Way::Queue)?;
            pulled.push(task);
            Some(Job::new(&stage, task, order))
        });
        let submitted = queue.submit_many(&mut jobs, &order.options((), stage.has_lanes), |job| job.task);
        drop(jobs);
        let taken = queue.len() - before;
        for job in &submitted.refused {
            pulled.retain(|task| *task != job.task);
            stage.book().refuse(job.task);
        }
        let is_right = pulled.len() == submitted.tasks && taken == submitted.tasks;
        stage.expect(if is_right { Ok(()) } else { Err(format!("{pulled:?} of {submitted:?}")) });
        pulled.into_iter().for_each(|task| stage.note_entry(task, Ok(None)));
        submitted.refused.into_iter().for_each(Job::come_back);
    }

    pub(super) fn stream(&mut self, order: Order, count: u8, is_ordered: bool) -> Result<(), Fault> {
        let order = order.without_key();
        let stage = self.stage.clone();
        let way = if is_ordered { Way::Handle } else { Way::Queue };
        let jobs: Vec<Job> = (0..count)
            .filter_map(|_| {
                let task = stage.open(order, way)?;
                let mut job = Job::new(&stage, task, order);
                // As long as it is not pulled, it is dropped where nobody catches a panic.
                job.token.calm();
                Some(job)
            })
            .collect();
        let jobs = stream::iter(jobs.into_iter().inspect(pulled(&stage)));
        // Without a delay, for which there may be no room although there is a permit: the stream would tell of that only after
        // all results.
        // Without a lane: a job that is pulled must not be refused.
        let terms = move |job: &Job| order.options(job.task, false).delay(Duration::ZERO);
        let results: Results = if is_ordered {
            Box::pin(stage.desk().process_ordered(jobs, 3).expect("it is small").options(terms))
        } else {
            Box::pin(stage.desk().process(jobs, 3).expect("it is small").options(terms))
        };
        self.held.push(Held::new(Thing::Stream(results)));
        self.poll(0, Deed::Nothing)
    }
}

/// Notes that a task is taken in. Of a stream a job is pulled only where there is room for it.
fn pulled(stage: &Arc<Stage>) -> impl Fn(&Job) + use<> {
    let stage = stage.clone();
    move |job| {
        let now = stage.now();
        stage.book().admit(job.task, None, now);
    }
}
