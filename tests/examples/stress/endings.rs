//! The ways in which a processor comes to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use futures::channel::oneshot;
use futures::future::{Either, select};
use plimsoll::{Drain, Phase, Report};

use crate::dice::{chance, micros};
use crate::host::{Host, Place};
use crate::names::{Check, End, Runtime, is_skipped};
use crate::tokens::Kind;
use crate::values::Quiet;
use crate::watchdog;
use crate::world::{Inside, Owner, World, lock, wait_until};

/// Longer than any episode.
const LONG: Duration = Duration::from_secs(600);

/// Ends the processor of a world.
pub struct Ender<'a> {
    pub world: &'a Arc<World>,
    pub host: &'a mut Option<Host>,
    pub dice: &'a mut Rng,
    pub patience: Duration,
}

impl Ender<'_> {
    /// Ends it this way. When this returns the owner is gone.
    pub fn end(&mut self, end: End) {
        watchdog::stage(end.name());
        let world = self.world;
        match end {
            End::Graceful => {
                world.begin_to_end();
                self.drain(Drain::graceful(LONG));
            }
            End::Deadline => {
                world.begin_to_discard();
                let within = micros(self.dice, 12_000);
                self.drain(Drain::graceful(within));
            }
            End::Cancel => {
                world.begin_to_end();
                self.drain(Drain::Cancel);
            }
            End::Abort => {
                world.begin_to_discard();
                self.drain(Drain::Abort);
            }
            End::DropElsewhere => self.drop_elsewhere(),
            End::DropInHandler => self.drop_inside(Inside::Handler),
            End::DropInCallback => self.drop_inside(Inside::Callback),
            End::RuntimeFirst => self.kill_the_runtime(),
            End::RuntimeWhileDraining => self.kill_the_runtime_while_draining(),
            End::ShutdownDropped => self.drop_a_shutdown(),
        }
    }

    /// What is left out is not waited for either.
    fn patience_for(&self, check: Check) -> Duration {
        if is_skipped(check.name()) { Duration::from_millis(100) } else { self.patience }
    }

    fn take_owner(&self) -> Option<Owner> {
        lock(&self.world.owner).take()
    }

    fn drop_elsewhere(&self) {
        self.world.begin_to_discard();
        let Some(owner) = self.take_owner() else { return };
        thread::scope(|scope| {
            scope.spawn(|| self.world.drop_owner(owner, true));
        });
    }

    fn drop_inside(&mut self, inside: Inside) {
        self.world.begin_to_discard();
        self.world.want_end_inside(inside);
        for _ in 0..60 {
            match inside {
                Inside::Handler => drop(self.world.submit_detached(self.dice, 2)),
                Inside::Callback => drop(self.world.submit_callback(self.dice, 2)),
            }
            if wait_until(Duration::from_millis(1), || lock(&self.world.owner).is_none()) {
                break;
            }
        }
        // Nothing of the kind has run: everything is stuck, which is legal here.
        if let Some(owner) = self.take_owner() {
            self.world.drop_owner(owner, true);
        }
        if !wait_until(self.patience, || self.world.owner_gone.load(SeqCst)) {
            self.world.find(Check::Stuck, format!("the owner's drop inside a {inside:?} does not return"));
        }
    }

    fn drop_a_shutdown(&mut self) {
        self.world.begin_to_discard();
        let Some(owner) = self.take_owner() else { return };
        let shutdown = owner.shutdown(Drain::graceful(LONG));
        let place = self.some_place();
        let pause = micros(self.dice, 4_000);
        let polls = chance(self.dice, 80);
        let dropped = self.run(place, async move {
            if !polls {
                drop(shutdown);
                return true;
            }
            match select(shutdown, place.sleep(pause)).await {
                Either::Right(((), shutdown)) => {
                    drop(shutdown);
                    true
                }
                Either::Left(_) => false,
            }
        });
        match dropped.recv_timeout(self.patience) {
            // It may have ended gracefully before: then outcomes and events are kept.
            Ok(true) => self.world.check_ended(place == Place::Anywhere, true),
            Ok(false) => {}
            Err(_) => self.world.find(Check::Shutdown, "dropping a shutdown future does not return"),
        }
    }

    /// On a thread, or on the runtime.
    fn some_place(&mut self) -> Place {
        if chance(self.dice, 50) { Place::Anywhere } else { self.world.place }
    }

    /// Runs a future on tokio if that is its place and the runtime, else on a thread.
    fn run<T: Send + 'static>(
        &self,
        place: Place,
        future: impl Future<Output = T> + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (sender, receiver) = mpsc::channel();
        let run = Quiet::new(async move { drop(sender.send(future.await)) });
        match place {
            Place::Tokio => self.world.spawn(run),
            Place::Anywhere => {
                let run = move || futures::executor::block_on(run);
                let spawned = thread::Builder::new().name("ender".to_owned()).spawn(run);
                lock(&self.world.threads).extend(spawned.ok());
            }
        }
        receiver
    }

    /// Awaits a shutdown somewhere, and checks what is then the case.
    fn drain(&mut self, mode: Drain) {
        let place = self.some_place();
        let Some(owner) = self.take_owner() else { return };
        let shutdown = owner.shutdown(mode);
        let (give_up, given_up) = oneshot::channel::<()>();
        let world = self.world.clone();
        let ready = self.run(place, async move {
            match select(shutdown, given_up).await {
                Either::Left((report, _)) => {
                    check_report(&world, mode, &report);
                    true
                }
                Either::Right((_, shutdown)) => {
                    drop(shutdown);
                    false
                }
            }
        });
        self.await_shutdown(&ready, give_up);
    }

    fn await_shutdown(&self, ready: &mpsc::Receiver<bool>, give_up: oneshot::Sender<()>) {
        let world = self.world;
        let check = if world.is_runtime_killed() { Check::RuntimeGone } else { Check::Shutdown };
        match ready.recv_timeout(self.patience_for(check)) {
            Ok(_) => return,
            Err(RecvTimeoutError::Disconnected) => {
                world.find(Check::Shutdown, "the task that awaited the shutdown was dropped");
                return;
            }
            Err(RecvTimeoutError::Timeout) => {
                let (phase, census) = (world.submitter().phase(), world.submitter().census());
                world.find(check, format!("the shutdown is not ready: {phase:?}, {census:?}, {world:?}"));
            }
        }
        world.begin_to_discard();
        drop(give_up);
        if ready.recv_timeout(self.patience).is_err() {
            world.find(Check::Shutdown, "a shutdown that was given up is not dropped");
        }
    }

    fn kill_the_runtime_while_draining(&mut self) {
        self.world.begin_to_discard();
        let Some(owner) = self.take_owner() else { return };
        let shutdown = owner.shutdown(Drain::graceful(LONG));
        let (give_up, given_up) = oneshot::channel::<()>();
        let ready = self
            .run(Place::Anywhere, async move { matches!(select(shutdown, given_up).await, Either::Left(_)) });
        thread::sleep(micros(self.dice, 3_000));
        self.world.begin_to_kill_the_runtime();
        self.drop_host();
        if self.world.runtime == Runtime::Thread {
            // It runs until all is done, and not everything here comes to its end.
            drop(give_up);
            let _ = ready.recv_timeout(self.patience);
        } else {
            self.await_shutdown(&ready, give_up);
        }
    }

    fn drop_host(&mut self) {
        watchdog::stage("dropping the runtime");
        drop(lock(&self.world.spawner).take());
        drop(self.host.take());
        watchdog::stage("after the runtime");
    }

    fn kill_the_runtime(&mut self) {
        let world = self.world;
        // What was settled before is not lost with the runtime.
        let settled = world.mood.finite
            && wait_until(self.patience, || world.tokens.alive(Kind::Actor) == 0)
            && wait_until(self.patience, || world.submitter().census().unsettled() == 0);
        if world.mood.finite && !settled {
            world.find(
                Check::Stuck,
                format!("not all is settled: {:?}, {world:?}", world.submitter().census()),
            );
        }
        if !settled {
            world.begin_to_discard();
        }
        world.begin_to_kill_the_runtime();
        self.drop_host();
        if world.runtime != Runtime::Thread {
            self.check_runtime_gone();
        }
        world.begin_to_discard();
        match self.dice.u32(0..3) {
            0 => self.drop_elsewhere(),
            1 => self.drain_without_runtime(Drain::graceful(LONG)),
            _ => self.drain_without_runtime(Drain::Abort),
        }
    }

    fn drain_without_runtime(&mut self, mode: Drain) {
        let mode = if self.world.runtime == Runtime::Thread { Drain::Abort } else { mode };
        let Some(owner) = self.take_owner() else { return };
        let shutdown = owner.shutdown(mode);
        let (give_up, given_up) = oneshot::channel::<()>();
        let ready = self
            .run(Place::Anywhere, async move { matches!(select(shutdown, given_up).await, Either::Left(_)) });
        self.await_shutdown(&ready, give_up);
    }

    /// Nobody waits for a runtime that is gone, also while the owner is there.
    fn check_runtime_gone(&mut self) {
        let world = self.world;
        let waiting = [Kind::Actor, Kind::Subscriber];
        let is_over =
            || world.submitter().phase() == Phase::Drained && world.tokens.left(&waiting).is_empty();
        if !wait_until(self.patience_for(Check::RuntimeGone).min(Duration::from_secs(3)), is_over) {
            let phase = world.submitter().phase();
            world.find(Check::RuntimeGone, format!("the runtime is gone: {phase:?}, {world:?}"));
            // The owner has to help.
            world.begin_to_discard();
            return;
        }
        if world.submit_detached(self.dice, 2).is_some() {
            world.find(Check::RuntimeGone, "a job is admitted without a runtime");
        }
        if world.submitter().health().phase == Phase::Open {
            world.find(Check::RuntimeGone, "health does not tell that the runtime is gone");
        }
        world.check_callbacks("without a runtime");
        crate::checks::check_kept_handles(world, Check::RuntimeGone);
    }
}

/// What holds when a shutdown is ready.
fn check_report(world: &World, mode: Drain, report: &Report) {
    let census = report.census;
    let keeps = !world.is_discarding();
    let busy = census.unsettled() != 0 || census.callbacks != 0 || census.timers != 0 || census.orphans != 0;
    if busy || (!keeps && mode == Drain::Abort && !census.is_empty()) {
        world.find(Check::Census, format!("when the shutdown {mode:?} is ready: {census:?}"));
    }
    if world.submitter().phase() != Phase::Drained {
        world.find(Check::Shutdown, format!("ready, but {:?}", world.submitter().phase()));
    }
    let running = world.callbacks_running.load(SeqCst);
    if report.remains.abandoned == 0 {
        if running > 0 {
            world.find(Check::Shutdown, format!("{mode:?} is ready, {running} callbacks run"));
        }
        world.check_callbacks("when the shutdown is ready");
        let futures = world.tokens.alive(Kind::Future);
        if futures > 0 {
            world.find(Check::Abandoned, format!("{futures} futures live, none is reported as abandoned"));
        }
    }
    if keeps && mode != Drain::Cancel && report.remains.cancelled > 0 {
        world.find(Check::Outcome, format!("a graceful end cancels {} tasks", report.remains.cancelled));
    }
}
