//! The promises, in the order in which they are tried: what rests on another comes after it.

use super::subject::{OfOneThread, OfThreads, Subject};
use super::trial::Part::{Binding, Clock, End, Polling, Processors, Spawning, Timers, Turns, Wakes};
use super::trial::{Law, Part, Trial};
use super::{Executor, LocalExecutor, clocks, end, gone, processors, spawning, timers, wakes};

pub(super) fn of_one_thread<E: LocalExecutor>() -> Vec<Law<OfOneThread<E>>> {
    of_both()
}

pub(super) fn of_threads<E: Executor>() -> Vec<Law<OfThreads<E>>> {
    let mut laws = of_both();
    laws.push(law(
        Processors,
        "a processor serves other threads, which submit tasks to it and end it",
        processors::serve_other_threads,
        "wakers, when they are called from another thread",
    ));
    laws
}

fn law<S>(part: Part, promise: &'static str, run: Trial<S>, look_at: &'static str) -> Law<S> {
    Law { part, promise, look_at, ends: false, run }
}

fn of_both<S: Subject>() -> Vec<Law<S>> {
    let mut laws = of_clock_and_spawn();
    laws.extend(of_wakes());
    laws.extend(of_turns());
    laws.extend(of_timers());
    laws.push(Law {
        ends: true,
        ..law(
            End,
            "the executor drops the futures that were spawned when it ends, and its clock may be read afterwards",
            end::drops_what_was_spawned,
            "what keeps the executor alive: a clock, a timer or a waker that holds it, or tasks that hold each other",
        )
    });
    laws.extend(of_processors());
    laws
}

fn of_clock_and_spawn<S: Subject>() -> Vec<Law<S>> {
    vec![
        law(Binding, "the executor can run a processor", spawning::can_run, "`check` of the binding"),
        law(
            Clock,
            "the clock never goes backwards, on whichever thread it is read",
            clocks::never_goes_backwards,
            "`clock`: it has to be monotonic, so it can't be the time of day; `since_start` is",
        ),
        law(
            Clock,
            "the clock goes on as real time does",
            clocks::counts_real_time,
            "`clock`: its unit (an `Instant` counts nanoseconds), and whether somebody has to move it",
        ),
        law(
            Clock,
            "all clocks of a runtime have one origin",
            clocks::has_one_origin,
            "`clock`: the origin has to be fixed before the call, by the runtime",
        ),
        law(
            Spawning,
            "spawned futures are polled, and dropped when they are done",
            spawning::runs_futures,
            "`spawn`: whether it detaches the task, as many executors cancel one whose handle is dropped; and `block_on`, \
             where nobody else runs the executor",
        ),
        law(
            Polling,
            "spawned futures are polled by the executor: not within `spawn`, and local ones on their thread",
            spawning::polls_on_the_executor,
            "`spawn`: it has to put the future where the executor finds it",
        ),
    ]
}

fn of_wakes<S: Subject>() -> Vec<Law<S>> {
    let tried: [(Trial<S>, &'static str); 6] = [
        (wakes::by_itself, "a future that wakes itself while it is polled is polled again"),
        (
            wakes::from_another_thread,
            "a future that another thread wakes is polled, also when the executor sleeps",
        ),
        (wakes::during_a_poll, "a future that another thread wakes while it is polled is polled again"),
        (wakes::many_times, "a future that is woken many times in a row is polled"),
        (wakes::after_a_rest, "a future that is woken after a rest is polled"),
        (wakes::by_one_another, "futures that wake each other are polled"),
    ];
    let look_at = "the waker, `wake` and `wake_by_ref`: no wake-up may be lost between a poll that returns `Pending` and the \
                   sleep of the executor, and another thread has to end that sleep";
    let mut laws: Vec<_> = tried.map(|(run, promise)| law(Wakes, promise, run, look_at)).into();
    laws.push(law(
        Wakes,
        "wakers of a future that is done may be called, and do nothing",
        wakes::after_the_end_of_a_future,
        "the waker: it outlives its future, which must not be polled again",
    ));
    laws
}

fn of_turns<S: Subject>() -> Vec<Law<S>> {
    vec![
        law(
            Turns,
            "spawned futures go on, whatever becomes of the binding",
            spawning::goes_on_without_the_binding,
            "what the binding owns: its tasks, or the executor, must not go with it",
        ),
        law(
            Turns,
            "a runtime that says `Threads::One` polls one future at a time",
            spawning::threads_are_as_said,
            "`threads`: `Threads::Several` is right for every executor",
        ),
        law(
            Turns,
            "a task may go on at the beginning of its turn",
            spawning::a_turn_begins_with_a_budget,
            "`may_go_on`: the default is right where tasks have no budget",
        ),
        law(
            Turns,
            "futures that are woken get their turn beside some that wake themselves all the time",
            spawning::nobody_is_starved,
            "the queue of futures that are ready: it has to be first in, first out, or nearly so",
        ),
    ]
}

fn of_timers<S: Subject>() -> Vec<Law<S>> {
    let look_at = "`Timer::reset` and `Timer::poll`: each poll leaves the waker anew, each reset counts from the clock of the \
                   binding, and what it rounds it rounds up";
    vec![
        law(
            Timers,
            "a timer fires when it is due, and again when it is set again",
            timers::fires_again_and_again,
            look_at,
        ),
        law(
            Timers,
            "a timer that is set to an instant that has passed fires",
            timers::fires_when_past,
            look_at,
        ),
        law(
            Timers,
            "a timer that is set can be set again in place, earlier or later",
            timers::is_set_in_place,
            "`Timer::reset`: it has to take back what was set before, and the next poll to leave the waker for the new instant",
        ),
        law(
            Timers,
            "a timer that was unset can be set again",
            timers::is_unset,
            "`Timer::reset` to `Instant::MAX`, and afterwards",
        ),
        law(
            Timers,
            "a timer wakes the waker that it was polled with last",
            timers::wakes_the_last_waker,
            "`Timer::poll`: it has to replace the waker by the one of this poll",
        ),
        law(
            Timers,
            "a timer may be set to any instant",
            timers::may_be_set_far_away,
            "`Timer::reset`: what the executor can't be told is set to the last instant that it can be told",
        ),
        law(Timers, "timers do not disturb each other", timers::do_not_disturb_each_other, look_at),
        law(
            Timers,
            "a timer fires beside futures that are always ready",
            timers::fire_beside_busy_futures,
            "the loop of the executor: it has to look at its timers also when it does not sleep",
        ),
    ]
}

fn of_processors<S: Subject>() -> Vec<Law<S>> {
    let look_at = "what only a processor does: several futures that wake each other, and a timer that is set earlier while it waits";
    let mut laws = vec![
        law(Processors, "a processor does its tasks", processors::do_tasks, look_at),
        law(
            Processors,
            "a processor keeps time: sleeps, time-outs, delays, retries, schedules",
            processors::keep_time,
            look_at,
        ),
        law(Processors, "a handler that panics hurts no other", processors::survive_panics, look_at),
        law(Processors, "submitters and streams wait for room", processors::hold_submitters_back, look_at),
        law(
            Processors,
            "processors run beside each other, and end one by one",
            processors::run_beside_each_other,
            "how many futures and timers the executor has room for",
        ),
        law(
            Processors,
            "a processor can be dropped, and ended from outside of the executor",
            processors::end_at_once,
            "the drop of a timer, and wakers that are called where the executor does not run",
        ),
    ];
    laws.push(Law {
        ends: true,
        ..law(
            Processors,
            "an executor that ends ends its processors, and everybody is told",
            gone::is_told_to_everybody,
            "the end of the executor: it has to drop the futures, and must not hold a lock meanwhile that their wakers take",
        )
    });
    laws
}
