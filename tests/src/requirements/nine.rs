//! The nine requirements, in the order of DESIGN.md's table of leaks.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Emitter, Ending, Held, Requirement, Seen, Setup, Stage, Subject, Tally, Task, Work, expect};

/// What the nine are about.
pub const NAMES: [&str; 9] = [
    "health interval ends",
    "cleanup interval ends",
    "listeners are removed",
    "callbacks are released",
    "cache ends",
    "cache is bounded",
    "subscribers are cleared",
    "last error holds no task",
    "time-outs are disarmed",
];

/// All nine, for one subject.
#[must_use]
pub fn all<S: Subject>() -> [Requirement<S>; 9] {
    [
        health_interval_ends,
        cleanup_interval_ends,
        listeners_are_removed,
        callbacks_are_released,
        cache_ends,
        cache_is_bounded,
        subscribers_are_cleared,
        last_error_holds_no_task,
        timeouts_are_disarmed,
    ]
}

const TICK: Duration = Duration::from_millis(5);
const SOON: Duration = Duration::from_millis(30);
const NEVER: Duration = Duration::from_secs(3_600);

/// 1: no health event after the end, no timer in the processor, none of its in the world.
fn health_interval_ends<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    let mut subject = S::create(stage.world, Setup { health_every: Some(TICK), ..Setup::default() });
    let count = Arc::new(AtomicUsize::new(0));
    subject.watch_health(count.clone());
    let seen = || count.load(SeqCst);
    stage.wait_for(|| seen() >= 3, || format!("only {} health events while it was live", seen()))?;
    subject.end();
    no_timers(stage, &subject)?;
    // What had been published before the end may still be on its way to the watcher.
    S::let_pass(stage.world, 10 * TICK);
    let before = seen();
    S::let_pass(stage.world, 20 * TICK);
    expect(seen() == before, || format!("{} health events after the end", seen() - before))
}

/// 2: a thousand processors come and go, and nothing of them is left: no instance, no timer, no bytes.
fn cleanup_interval_ends<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    const CYCLES: usize = 1_000;
    /// Less than five bytes a cycle: room for a runtime's own bookkeeping and for nothing else.
    const SLACK: usize = 4_096;

    let instances = Tally::default();
    let cycle = |number: usize| {
        let setup = Setup { cleanup_every: Some(TICK), context: Some(instances.token()), ..Setup::default() };
        let mut subject = S::create(stage.world, setup);
        let endings = Endings::default();
        endings.add(&subject, Task::default());
        if number % 10 == 0 {
            endings.wait(stage, 1)?;
        }
        subject.end();
        Ok::<(), String>(())
    };
    let all_gone = || {
        let timers = || S::world_timers(stage.world);
        stage.wait_for(|| instances.live() == 0, || format!("{} instances live", instances.live()))?;
        stage.wait_for(|| timers() == 0, || format!("{} timers live", timers()))
    };
    (0..CYCLES / 10).try_for_each(cycle)?;
    all_gone()?;
    S::let_pass(stage.world, 10 * TICK);
    let start = (stage.live_bytes)();
    (0..CYCLES).try_for_each(cycle)?;
    all_gone()?;
    let grown = || (stage.live_bytes)().saturating_sub(start);
    stage.wait_for(|| grown() < SLACK, || format!("{} bytes more after {CYCLES} cycles", grown()))
}

/// 3: after detaching and after the end the emitter has the stranger's listeners and no others.
fn listeners_are_removed<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    let emitter = S::emitter(stage.world);
    let listeners = |when: &str, count: usize| {
        let seen = emitter.listeners();
        expect(seen == [count; 3], || format!("listeners {seen:?} {when}, not {count} each"))
    };
    let payload = Tally::default();
    listeners("at the start", 1)?;
    let mut subject = S::create(stage.world, Setup::default());
    subject.attach(&emitter);
    listeners("while attached", 2)?;
    emitter.emit(&payload);
    stage.wait_for(|| payload.live() == 0, || "what was emitted is not done")?;
    subject.detach();
    listeners("after detaching", 1)?;
    subject.attach(&emitter);
    subject.end();
    listeners("after the end", 1)?;
    let before = emitter.heard();
    emitter.emit(&payload);
    let heard = emitter.heard() - before;
    expect(heard == 3, || format!("the stranger heard {heard} of 3 events after the end"))
}

/// 4: every admitted callback is called exactly once and is gone then, whatever the outcome; a refused one is
/// not called.
fn callbacks_are_released<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    let contexts = Tally::default();
    let mut subject = S::create(stage.world, Setup { concurrency: 1, ..Setup::default() });
    let endings = Endings { contexts: contexts.clone(), ..Endings::default() };
    let expected = each_ending(stage, &subject, &endings)?;
    endings.are(&expected)?;
    let released = || subject.held().callbacks == 0 && contexts.live() == 0;
    let otherwise = || format!("{} callbacks kept, {}", subject.held().callbacks, contexts.live());
    stage.wait_for(released, || otherwise() + " contexts live after their outcomes")?;

    let endings = Endings { contexts: contexts.clone(), ..Endings::default() };
    endings.add(&subject, Task { work: Work::Hang, ..Task::default() });
    endings.add(&subject, Task::default());
    endings.add(&subject, Task { timeout: Some(NEVER), ..Task::default() });
    subject.end();
    endings.wait(stage, 3)?;
    endings.are(&[Ending::Cancelled; 3])?;
    expect(endings.add(&subject, Task::default()).is_none(), || "admitted a task after the end")?;
    S::let_pass(stage.world, TICK);
    endings.are(&[Ending::Cancelled; 3])?;
    stage.wait_for(|| contexts.live() == 0, || format!("{} contexts live after the end", contexts.live()))
}

/// 5: after the end the cache is empty, its values are dropped, and it takes no more.
fn cache_ends<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    let values = Tally::default();
    let mut subject = S::create(stage.world, Setup { cache: 50, ..Setup::default() });
    (0..50).for_each(|key| subject.cache_set(key, values.token()));
    let seen = (subject.held().cached, values.live());
    expect(seen == (50, 50), || format!("{seen:?} values cached and live while it was live"))?;
    subject.end();
    subject.cache_set(50, values.token());
    let seen = (subject.held().cached, values.live());
    expect(seen == (0, 0), || format!("{} values cached and {} live after the end", seen.0, seen.1))
}

/// 6: the cache never holds more than its capacity, overwriting evicts nobody, and what it hits is exactly what
/// a first-in, first-out cache of that capacity hits.
fn cache_is_bounded<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    const CAPACITY: usize = 64;
    let values = Tally::default();
    let subject = S::create(stage.world, Setup { cache: CAPACITY as u32, ..Setup::default() });
    for key in 0..1_000 {
        subject.cache_set(key, values.token());
        let seen = subject.held().cached.max(values.live());
        expect(seen <= CAPACITY, || format!("{seen} values cached, {CAPACITY} allowed"))?;
    }
    let newest = || 1_000 - CAPACITY as u64..1_000;
    // In another order than theirs, which overwriting must not change.
    newest().rev().for_each(|key| subject.cache_set(key, values.token()));
    let lost = newest().filter(|&key| !subject.cache_get(key)).count();
    expect(lost == 0 && values.live() == CAPACITY, || format!("overwriting evicted {lost}"))?;

    let mut oracle = (newest().collect::<VecDeque<u64>>(), newest().collect::<HashSet<u64>>());
    for (step, key) in skewed_keys(10_000).enumerate() {
        let hit = subject.cache_get(key);
        expect(hit == oracle.1.contains(&key), || format!("step {step}: hit is {hit}"))?;
        if !hit {
            subject.cache_set(key, values.token());
            oracle.0.push_back(key);
            oracle.1.insert(key);
            oracle.0.pop_front().map(|oldest| oracle.1.remove(&oldest));
        }
    }
    Ok(())
}

/// 7: unsubscribing frees the subscriber and what it captured, and so does the end.
fn subscribers_are_cleared<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    let contexts = Tally::default();
    let mut subject = S::create(stage.world, Setup::default());
    let mut subscriptions: Vec<_> = (0..3).map(|_| subject.subscribe(contexts.token())).collect();
    // Some traffic, so that subscribers have had something to do.
    let endings = Endings::default();
    endings.add(&subject, Task::default());
    endings.wait(stage, 1)?;
    let are = |subject: &S, count: usize, when: &str| {
        let seen = || (subject.held().subscribers, contexts.live());
        stage
            .wait_for(|| seen() == (count, count), || format!("{:?} subscribers and contexts {when}", seen()))
    };
    are(&subject, 3, "while subscribed")?;
    subscriptions.pop().into_iter().for_each(|subscription| subject.unsubscribe(subscription));
    are(&subject, 2, "after one unsubscribed")?;
    subject.end();
    are(&subject, 0, "after the end")
}

/// 8: no payload is reachable from the last error, and its size does not depend on what was waiting.
fn last_error_holds_no_task<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    const WAITING: usize = 50;
    let payloads = Tally::default();
    let subject = S::create(stage.world, Setup { concurrency: 1, ..Setup::default() });
    let add = |endings: &Endings, work, timeout| {
        endings.add(&subject, Task { work, timeout, payload: Some(payloads.token()), ..Task::default() });
    };
    let bytes_after = |waiting: usize, work: Work| {
        let endings = Endings::default();
        add(&endings, work, Some(SOON));
        (0..waiting).for_each(|_| add(&endings, Work::Complete, None));
        endings.wait(stage, waiting + 1)?;
        let live = || format!("{} payloads live after their tasks", payloads.live());
        stage.wait_for(|| payloads.live() == 0, live)?;
        subject.last_error_bytes().ok_or_else(|| format!("no last error after {work:?}"))
    };
    for work in [Work::Hang, Work::Fail, Work::Panic] {
        let (alone, among) = (bytes_after(0, work)?, bytes_after(WAITING, work)?);
        expect(alone == among, || format!("{among} bytes with {WAITING} waiting, {alone} with none"))?;
    }
    Ok(())
}

/// 9: after any outcome no timer of the task is left; at rest there are the intervals and nothing else.
fn timeouts_are_disarmed<S: Subject>(stage: &Stage<'_, S>) -> Seen {
    let mut subject = S::create(stage.world, Setup::default());
    let endings = Endings { timeout: Some(NEVER), ..Endings::default() };
    endings.add(&subject, Task { work: Work::Hang, ..Task::default() });
    let armed = || subject.held().timers == 1;
    stage.wait_for(armed, || "the time-out of a running task is not seen")?;
    subject.end();
    endings.wait(stage, 1)?;
    no_timers(stage, &subject)?;

    let intervals = Some(NEVER);
    let setup =
        Setup { concurrency: 1, health_every: intervals, cleanup_every: intervals, ..Setup::default() };
    let subject = S::create(stage.world, setup);
    let at_rest = |when: &str| {
        let Held { timers, intervals, .. } = subject.held();
        expect(timers == 2 && intervals == 2, || format!("{timers} timers {when}, {intervals} of intervals"))
    };
    at_rest("at the start")?;
    let endings = Endings { timeout: Some(NEVER), ..Endings::default() };
    let expected = each_ending(stage, &subject, &endings)?;
    endings.are(&expected)?;
    at_rest("after all outcomes")?;
    for work in [Work::Complete, Work::Fail, Work::Panic] {
        let endings = Endings { timeout: Some(NEVER), ..Endings::default() };
        (0..100).for_each(|_| drop(endings.add(&subject, Task { work, ..Task::default() })));
        endings.wait(stage, 100)?;
        at_rest(&format!("after 100 tasks that {work:?}"))?;
    }
    Ok(())
}

/// Brings a task to each ending that is possible without ending the subject, which runs one at a time. Answers
/// with the endings in the order in which they come.
fn each_ending<S: Subject>(
    stage: &Stage<'_, S>,
    subject: &S,
    endings: &Endings,
) -> Result<Vec<Ending>, String> {
    let mut expected = Vec::new();
    let works = [
        (Work::Complete, Ending::Completed),
        (Work::Fail, Ending::Failed),
        (Work::Panic, Ending::Panicked),
        (Work::Hang, Ending::TimedOut),
    ];
    for (work, ending) in works {
        let timeout = (work == Work::Hang).then_some(SOON);
        endings.add(subject, Task { work, timeout, ..Task::default() });
        expected.push(ending);
        endings.wait(stage, expected.len())?;
    }
    if S::CANCELS {
        let running = endings.add(subject, Task { work: Work::Hang, ..Task::default() });
        endings.add(subject, Task { expiry: Some(SOON), ..Task::default() });
        expected.push(Ending::Expired);
        endings.wait(stage, expected.len())?;
        let waiting = endings.add(subject, Task::default());
        for task in [waiting, running].into_iter().flatten() {
            subject.cancel(&task);
            expected.push(Ending::Cancelled);
            endings.wait(stage, expected.len())?;
        }
    }
    Ok(expected)
}

/// No timer in the processor, and none of its in the world.
fn no_timers<S: Subject>(stage: &Stage<'_, S>, subject: &S) -> Seen {
    let timers = || (subject.held().timers, S::world_timers(stage.world));
    stage.wait_for(
        || timers() == (0, 0),
        || format!("{} timers, {} in the world after the end", timers().0, timers().1),
    )
}

/// The endings that callbacks were told, in their order.
#[derive(Clone, Default)]
struct Endings {
    told: Arc<Mutex<Vec<Ending>>>,
    /// Each callback captures one.
    contexts: Tally,
    /// The time-out of tasks that have none of their own.
    timeout: Option<Duration>,
}

impl Endings {
    /// Adds a task whose callback notes its ending here.
    fn add<S: Subject>(&self, subject: &S, task: Task) -> Option<S::Task> {
        let (told, context) = (self.told.clone(), self.contexts.token());
        let callback = Box::new(move |ending| {
            let _captured = &context;
            told.lock().unwrap_or_else(PoisonError::into_inner).push(ending);
        });
        subject.add(Task { callback: Some(callback), timeout: task.timeout.or(self.timeout), ..task })
    }

    fn told(&self) -> Vec<Ending> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this many callbacks were called.
    fn wait<S: Subject>(&self, stage: &Stage<'_, S>, count: usize) -> Seen {
        let called = || self.told().len();
        stage.wait_for(|| called() >= count, || format!("{} of {count} callbacks called", called()))
    }

    fn are(&self, expected: &[Ending]) -> Seen {
        let told = self.told();
        expect(told == expected, || format!("callbacks were told {told:?}, not {expected:?}"))
    }
}

/// Keys of which few are frequent and most are rare.
fn skewed_keys(count: usize) -> impl Iterator<Item = u64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [high, low] = [state >> 48, (state >> 32) & 0xFFFF];
        (((high * high) >> 16) * low) >> 22
    })
    .take(count)
}
