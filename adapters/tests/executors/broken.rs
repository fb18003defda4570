//! Bindings that break a promise are found out, each by that promise and in words.

use std::sync::LazyLock;
use std::thread;

use plimsoll::conformance::executor::{Executor, Report, check};
use plimsoll::{Runtime, Thread};

use crate::faults::{Broken, Fault};

/// Of all faults, checked at the same time: most of a check is waiting for what does not come.
static REPORTS: LazyLock<Vec<(Fault, Report)>> = LazyLock::new(|| {
    let check = |fault| thread::spawn(move || (fault, check(move || <Broken>::new(Some(fault)))));
    let checks = Fault::ALL.map(check);
    checks.into_iter().map(|check| check.join().unwrap()).collect()
});

fn check_with(fault: Fault) -> &'static Report {
    let (_, report) = REPORTS.iter().find(|(checked, _)| *checked == fault).unwrap();
    println!("{fault:?}: {report}");
    report
}

/// The only finding is that of this promise; and what was seen, and where it is to be looked for.
#[track_caller]
fn assert_finds(report: &Report, promise: &str, seen: &str, look_at: &str) {
    let [finding] = report.findings() else { panic!("there should be one finding: {report}") };
    let found = [(finding.promise, promise), (&finding.seen, seen), (finding.look_at, look_at)];
    assert!(found.iter().all(|(text, part)| text.contains(part)), "{finding}");
}

/// What rests on that is not tried, processors for instance.
#[track_caller]
fn assert_untried(report: &Report, promise: &str) {
    let untried = report.untried().iter().find(|(untried, _)| untried.contains(promise));
    assert_eq!(untried.map(|(_, why)| *why), Some("what it rests on is broken"), "{report}");
}

#[test]
fn the_wrapper_alone_breaks_nothing() {
    check(|| <Broken>::new(None)).assert_ok();
}

#[test]
fn lost_wakes_are_found() {
    let report = check_with(Fault::LosesWakes);
    let finding = report.findings().first().unwrap();
    assert_eq!(finding.promise, "a future that wakes itself while it is polled is polled again");
    assert!(finding.seen.contains("of 4 spawned futures 4 were polled, 0 done"), "{finding}");
    assert!(finding.seen.contains("while futures wake themselves"), "{finding}");
    assert!(finding.look_at.contains("no wake-up may be lost"), "{finding}");
    assert!(report.findings().iter().all(|finding| finding.look_at.contains("the waker")), "{report}");
    assert_untried(report, "a timer fires when it is due");
    assert_untried(report, "a processor does its tasks");
}

#[test]
fn a_spawn_that_drops_is_found() {
    let report = check_with(Fault::DropsFutures);
    let seen = "of 64 spawned futures 55 were polled, 55 done and 64 dropped (9 before they were done)";
    assert_finds(report, "spawned futures are polled, and dropped", seen, "whether it detaches the task");
    assert_untried(report, "a future that is woken after a rest is polled");
    assert_untried(report, "a processor does its tasks");
}

#[test]
fn a_timer_that_fires_early_for_ever_is_found() {
    let report = check_with(Fault::FiresEarly);
    let finding = report.findings().first().unwrap();
    assert_eq!(finding.promise, "a timer fires when it is due, and again when it is set again");
    assert!(finding.seen.contains("a timer fired 1000 times before it was due"), "{finding}");
    assert!(finding.look_at.contains("what it rounds it rounds up"), "{finding}");
    assert!(report.findings().iter().all(|finding| finding.promise.contains("timer")), "{report}");
    assert_untried(report, "a processor keeps time");
}

#[test]
fn a_clock_that_goes_backwards_is_found() {
    let report = check_with(Fault::GoesBackwards);
    let finding = report.findings().first().unwrap();
    assert_eq!(finding.promise, "the clock never goes backwards, on whichever thread it is read");
    assert!(finding.seen.contains("after it had read"), "{finding}");
    assert!(finding.look_at.contains("`since_start` is"), "{finding}");
    assert!(report.findings().iter().all(|finding| finding.promise.contains("clock")), "{report}");
    assert_untried(report, "a timer fires when it is due");
    assert_untried(report, "a processor keeps time");
}

#[test]
fn other_faults_of_clocks_are_found() {
    let goes_on = "the clock goes on as real time does";
    assert_finds(
        check_with(Fault::StandsStill),
        goes_on,
        "went on by 0ns while",
        "whether somebody has to move it",
    );
    assert_finds(check_with(Fault::HasAnotherUnit), goes_on, "µs while", "nanoseconds");
    let origin = "all clocks of a runtime have one origin";
    assert_finds(
        check_with(Fault::HasManyOrigins),
        origin,
        "a second clock read",
        "the origin has to be fixed",
    );
}

#[test]
fn other_faults_of_spawning_are_found() {
    let runs = "spawned futures are polled, and dropped when they are done";
    let kept = "64 were polled, 64 done and 0 dropped";
    assert_finds(check_with(Fault::KeepsFutures), runs, kept, "`spawn`");
    assert_finds(check_with(Fault::PollsWhatIsDone), runs, "64 polls of futures that were done", "`spawn`");
    let polls = "polled by the executor: not within `spawn`";
    assert_finds(
        check_with(Fault::PollsWithinSpawn),
        polls,
        "polls by the caller of `spawn`",
        "where the executor finds it",
    );
    let threads = "says `Threads::One` polls one future at a time";
    assert_finds(
        check_with(Fault::HasManyThreads),
        threads,
        "futures at the same time",
        "`Threads::Several` is right",
    );
    let report = check(|| Broken::<true>::new(None));
    assert_finds(&report, "a task may go on", "in 20 of 20 turns", "`may_go_on`");
}

#[test]
fn other_faults_of_timers_are_found() {
    let again = "can be set again in place";
    let report = check_with(Fault::IsNotSetAgain);
    let finding = report.findings().iter().find(|finding| finding.promise.contains(again)).unwrap();
    assert!(finding.seen.contains("a timer that was set to an hour from now is set earlier"), "{finding}");
    let last = "a timer wakes the waker that it was polled with last";
    let seen = "a timer did not fire, while a timer is polled with another waker first";
    assert_finds(check_with(Fault::KeepsTheFirstWaker), last, seen, "it has to replace the waker");
}

/// Says that it ends, while its thread goes on as long as there are futures.
struct Endless(Thread);

impl Executor for Endless {
    fn runtime(&self) -> impl Runtime {
        self.0.clone()
    }
}

#[test]
fn an_executor_that_keeps_futures_when_it_ends_is_found() {
    let report = check(|| Endless(Thread::start().unwrap()));
    let seen = "6 of 15 futures were not dropped, 4s later";
    assert_finds(&report, "the executor drops the futures", seen, "what keeps the executor alive");
    assert_untried(&report, "an executor that ends ends its processors");
}
