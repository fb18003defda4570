//! A day of work in virtual time: nothing is more at its end than after its first hour. And 200,000 fresh keys, which leave nothing;
//! the example `fresh_keys` runs ten million of them.

use std::time::Duration;

use plimsoll_core::{Instant, OutcomeKind};
use plimsoll_tests::alloc::{Counting, here};
use plimsoll_tests::fresh_keys::{self, Outcome};
use plimsoll_tests::load::Load;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const HOURS: u64 = 24;
const KEYS: u64 = 200_000;

#[test]
fn a_day_of_work_leaves_nothing() {
    let before = here().live;
    let began = std::time::Instant::now();
    let mut load = Load::new(1, Load::limits()).unwrap();
    let mut at_hours = Vec::with_capacity(HOURS as usize);
    for hour in 1..=HOURS {
        load.run_until(Instant::ZERO.saturating_add(Duration::from_secs(3_600 * hour)));
        let snapshot = load.snapshot();
        assert_eq!(snapshot.census, load.machine().audit());
        at_hours.push((snapshot.census, here().live));
    }
    for (hour, at) in at_hours.iter().enumerate() {
        assert_eq!(*at, at_hours[0], "after hour {} and after the first", hour + 1);
    }
    let snapshot = load.snapshot();
    let (census, totals, seen) = (snapshot.census, snapshot.totals, snapshot.seen);
    assert_eq!(
        (census.tasks, census.timers, census.intervals),
        (0, 2, 2),
        "at rest there are the intervals only"
    );
    assert_eq!((census.cached, census.emitters, census.subscribers, census.waiters), (0, 0, 0, 0));

    // It was a real load: about 100 tasks a second, and everything happened often.
    let expected = 100 * 3_600 * HOURS;
    assert!(seen.offered.abs_diff(expected) < expected / 20, "{} tasks were offered", seen.offered);
    // Nothing is shed: a full queue refuses.
    for kind in OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Shed) {
        assert!(totals.settled.get(kind) > 1_000, "{kind}: {totals:?}");
    }
    assert!(totals.refused > 1_000 && totals.retried > 1_000 && totals.orphaned > 1_000 && totals.late > 0);
    assert_eq!(totals.offered, totals.refused + totals.admitted);
    assert_eq!(totals.admitted, totals.settled.total());
    assert_eq!(seen.callbacks.0, seen.callbacks.1, "every callback came back");
    assert_eq!(seen.emitters.0, seen.emitters.1);
    assert!(seen.subscribers.0 > 1_000 && seen.cycles == 60 * HOURS);
    let ledger = load.machine().ledger();
    assert!(ledger.cache.entered > 100_000 && ledger.results.entered > 100_000);
    assert!(ledger.queued.highest > 200 && ledger.running.highest == 64, "bursts fill it");

    let remains = load.end(Some(Duration::from_secs(60)));
    assert_eq!((remains.abandoned, remains.cancelled), (0, 0));
    assert!(load.machine().census().is_empty());
    drop((load, at_hours));
    assert_eq!(here().live, before);
    // Last, for a captured output takes memory, too.
    println!("{:?} for {} tasks: {totals:?}\n{seen:?}", began.elapsed(), seen.offered);
}

#[test]
fn fresh_keys_leave_nothing() {
    let before = here().live;
    let Outcome { census, lanes, keys, settled, duplicates, allocations } = fresh_keys::run(KEYS);
    assert!(census.is_empty(), "{census:?}");
    assert_eq!((allocations, here().live), (0, before));
    // A lane is shut for the tenth of a second after a start, or longer if there is a second one: for 100 to 200 keys.
    assert_eq!((lanes.entered, lanes.left, keys.left), (KEYS, KEYS, keys.entered));
    assert!((100..200).contains(&lanes.highest), "{lanes:?}");
    assert!((5..50).contains(&keys.highest), "{keys:?}");
    // Each key has a task that completes, but for two in eight that are cancelled and one that completes two.
    assert_eq!(settled, [KEYS * 7 / 8, KEYS * 3 / 8]);
    assert!(duplicates > KEYS / 5, "{duplicates}");
}
