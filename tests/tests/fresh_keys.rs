//! Fresh keys leave nothing behind, and take no memory. The example `fresh_keys` runs ten million of them.

use plimsoll_tests::alloc::{Counting, here};
use plimsoll_tests::fresh_keys::{Outcome, run};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const KEYS: u64 = 200_000;

#[test]
fn fresh_keys_leave_nothing() {
    let before = here().live;
    let Outcome { census, lanes, keys, settled, duplicates, allocations } = run(KEYS);
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
