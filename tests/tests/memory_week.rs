//! The picture of the README is what its program measures.

use plimsoll_tests::alloc::Counting;
use plimsoll_tests::before::Leaks;
use plimsoll_tests::memory_week::{original, points, week};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const COMMITTED: &str = include_str!("../memory_week.svg");

#[test]
fn the_committed_picture_is_what_is_measured() {
    let (leaky, bounded, svg) = week();
    for class in ["leaky", "bounded"] {
        let (drawn, measured) = (points(COMMITTED, class), points(&svg, class));
        assert_eq!((drawn.len(), measured.len()), (7 * 24, 7 * 24));
        for (drawn, measured) in drawn.into_iter().zip(measured) {
            // Another standard library may have other nodes in its maps: a few pixels, in four hundred.
            let apart = (drawn.0 - measured.0).abs().max((drawn.1 - measured.1).abs());
            assert!(apart < 6.0, "{class}: {drawn:?} is drawn, {measured:?} measured");
        }
    }
    // From the first hour on plimsoll holds the same at the same time of day, to a timer's waker.
    for (hour, bytes) in bounded.iter().enumerate() {
        assert!(bytes.abs_diff(bounded[0]) < 4_096, "hour {hour}: {bytes} bytes, {} before", bounded[0]);
    }
    assert!(leaky.windows(2).all(|pair| pair[0] < pair[1]), "the original grows each hour");
}

#[test]
fn the_original_without_its_leaks_does_not_grow() {
    let hours = original(30, Leaks::NONE);
    assert!(hours[28] < hours[1] * 11 / 10, "{hours:?}");
}
