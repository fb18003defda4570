//! What holds after the end of every episode.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use plimsoll::Phase;

use crate::handler::poll_once;
use crate::names::{Check, End};
use crate::tokens::Kind;
use crate::values::quietly;
use crate::watchdog;
use crate::world::{World, lock, wait_until};

/// Checks all that holds once the owner is gone, and lets go of what the episode has kept.
pub fn check_end(world: &Arc<World>, end: End, patience: Duration) {
    watchdog::stage("checking the end");
    if !wait_until(patience, || world.tokens.left(&[Kind::Actor, Kind::Subscriber]).is_empty()) {
        world.find(Check::Stuck, format!("after the end: {world:?}"));
    }
    world.check_classes();
    check_kept_handles(world, Check::Handle);
    take_what_is_left(world);
    check_tokens(world, patience);
    check_books(world, patience);
    check_events(world, end);
    check_emitters(world);
}

/// After the end a handle is ready.
pub fn check_kept_handles(world: &World, check: Check) {
    let kept = std::mem::take(&mut *lock(&world.kept));
    let parcels = std::mem::take(&mut *lock(&world.parcels));
    for mut held in kept.into_iter().chain(parcels) {
        match poll_once(&mut held.handle) {
            Poll::Ready(outcome) => world.conclude(&held.record, outcome),
            Poll::Pending => {
                world.find(check, format!("after the end the handle of job {} waits", held.record.number));
            }
        }
    }
}

fn take_what_is_left(world: &World) {
    for (task, record) in std::mem::take(&mut *lock(&world.retained)) {
        if let Some(result) = world.submitter().result(task) {
            world.find(Check::Outcome, format!("the result of job {} outlives the end", record.number));
            quietly(|| drop(result));
        }
    }
}

/// Nothing that the processor had is alive, though contexts and wakers of its attempts are still around.
fn check_tokens(world: &World, patience: Duration) {
    if !wait_until(patience, || world.tokens.left(&Kind::HELD).is_empty()) {
        world.find(Check::Tokens, format!("left alive: {:?}", world.tokens.left(&Kind::HELD)));
    }
    let is_cancelled = lock(&world.contexts).iter().all(plimsoll::Context::is_cancelled);
    if !is_cancelled {
        world.find(Check::Context, "a context says after the end that its attempt goes on");
    }
    world.check_callbacks("after the end");
    if world.callbacks_running.load(SeqCst) != 0 {
        world.find(Check::Callback, "a callback runs after the end");
    }
}

/// The ledger balances, and the census is zero.
fn check_books(world: &World, patience: Duration) {
    let submitter = world.submitter();
    let (totals, census) = (submitter.totals(), submitter.census());
    let admitted = world.admitted.load(SeqCst);
    if totals.offered != totals.refused + totals.admitted {
        world.find(Check::Ledger, format!("offered is not refused + admitted: {totals:?}"));
    }
    if totals.admitted != totals.settled.total() {
        world.find(Check::Ledger, format!("admitted is not settled: {totals:?}"));
    }
    let taken = || admitted + world.scheduled.load(SeqCst);
    let is_hooked = world.parts.schedules > 0;
    let hooked = || world.hooked.load(SeqCst);
    let is_told = || !is_hooked || hooked() == totals.settled.total();
    if !wait_until(patience, || totals.admitted == taken() && is_told()) {
        let text = format!("{} jobs were taken, the hook has seen {}: {totals:?}", taken(), hooked());
        world.find(Check::Ledger, text);
    }
    let (cleared, seen) = (world.cleared.load(SeqCst), world.seen_cleared.load(SeqCst));
    if seen > cleared {
        world.find(Check::Outcome, format!("{cleared} tasks were cleared, {seen} tell of it"));
    }
    if submitter.phase() != Phase::Drained || !census.is_empty() || submitter.audit() != census {
        world.find(Check::Census, format!("after the end: {census:?}, audit {:?}", submitter.audit()));
    }
    for (name, account) in submitter.ledger().classes() {
        if account.live() != 0 || account.highest > account.bound {
            world.find(Check::Ledger, format!("after the end: {name}: {account:?}"));
        }
    }
}

/// A graceful end loses no event.
fn check_events(world: &World, end: End) {
    let (heard, published) = (*lock(&world.heard), world.submitter().totals().events);
    match heard {
        None => world.find(Check::Events, "the subscription has not seen the end"),
        Some(heard) if heard > published => {
            world.find(Check::Events, format!("{heard} events were read of {published}"));
        }
        Some(heard) if heard < published && end == End::Graceful && !world.is_discarding() => {
            world
                .find(Check::Events, format!("of {published} events {heard} were read or counted as missed"));
        }
        Some(_) => {}
    }
}

/// The processor's listeners are gone, a stranger's is not.
fn check_emitters(world: &World) {
    for emitter in std::mem::take(&mut *lock(&world.emitters)) {
        let counts = emitter.events.listener_counts();
        if counts != [0, 0, 1] {
            world.find(Check::Tokens, format!("after the end there are {counts:?} listeners"));
        }
        drop(emitter.stranger);
    }
}

/// Lets go of all that the episode has kept, and checks that nobody else has anything.
pub fn check_nothing_is_left(world: &Arc<World>, patience: Duration) {
    watchdog::stage("letting go");
    lock(&world.contexts).clear();
    if !world.lender.release(patience) {
        world.find(Check::Stuck, "the thread that wakes is stuck");
    }
    if !wait_until(patience, || world.tokens.left(&[Kind::Child]).is_empty()) {
        world.find(Check::Context, format!("what outlives its attempt has not seen its end: {world:?}"));
        return;
    }
    if !wait_until(patience, || Arc::strong_count(world) == 1) {
        world.find(Check::Tokens, "something of the processor is still there");
        return;
    }
    for thread in lock(&world.threads).drain(..) {
        if thread.join().is_err() {
            world.find(Check::Panic, "a thread of the episode has panicked");
        }
    }
}
