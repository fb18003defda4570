//! The ghost queue: fingerprints of the keys that were evicted lately.

use alloc::vec;
use alloc::vec::Vec;

/// How many fingerprints are in a line.
const LINE: usize = 16;

/// A CPU cache line of fingerprints, the latest first.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u32; LINE]);

/// Up to this many lines are one queue. If there are more, each line is a queue of its own.
const JOINED: usize = 4;

/// No fingerprint.
const NONE: u32 = 0;

/// How far back a key is recalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All fingerprints.
    Whole,
    /// The latest third of them.
    Third,
}

/// The keys evicted last, as fingerprints of 32 bits (Yang et al., SOSP '23, section 4.2). A window of up to 64 keys is
/// one exact queue. A larger window is rounded up to whole lines, each a queue in which the oldest fingerprint makes
/// room. Then a fingerprint is forgotten after as many evictions on average, give or take a quarter.
///
/// Every call is O(1) whatever the keys. Bits of the fingerprint choose the line, so with `n` lines a key that was not
/// evicted is taken for a ghost with a probability of at most `16 n / 2^32`. An error in here costs a hit at worst.
#[derive(Debug)]
pub(super) struct Ghost {
    lines: Vec<Line>,
    /// How many evictions are remembered. Exact if the lines are one queue.
    window: u32,
}

impl Ghost {
    /// Remembers `window` evictions. Allocates [`Ghost::bytes`], O(window).
    pub(super) fn new(window: u32) -> Self {
        Self { lines: vec![Line([NONE; LINE]); lines(window)], window }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(window: u32) -> usize {
        lines(window).saturating_mul(size_of::<Line>())
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }

    /// Remembers that a key with this tag was evicted.
    pub(super) fn remember(&mut self, tag: u32) {
        let mut moving = fingerprint(tag);
        for Line(line) in self.queue(tag) {
            let [.., last] = *line;
            line.copy_within(..LINE - 1, 1);
            line[0] = moving;
            moving = last;
        }
        let end = self.window as usize;
        if let Some(Line(line)) = self.lines.get_mut(end / LINE).filter(|_| end <= JOINED * LINE) {
            line[end % LINE] = NONE;
        }
    }

    /// Whether a key with this tag is remembered within `reach`. Forgets the key in any case.
    pub(super) fn recall(&mut self, tag: u32, reach: Reach) -> bool {
        let fingerprint = fingerprint(tag);
        let mut reach = match reach {
            Reach::Whole => u32::MAX,
            Reach::Third if self.lines.len() > JOINED => LINE as u32 / 3,
            Reach::Third => self.window / 3,
        };
        let mut is_known = false;
        for Line(line) in self.queue(tag) {
            let mut found = 0;
            // The loop visits the whole line, without a break: that becomes a few vector comparisons and no branches.
            for (other, from_end) in line.iter_mut().zip((1..=LINE as u32).rev()) {
                let is_match = *other == fingerprint;
                found |= if is_match { from_end } else { 0 };
                *other = if is_match { NONE } else { *other };
            }
            is_known |= found > (LINE as u32).saturating_sub(reach);
            reach = reach.saturating_sub(LINE as u32);
        }
        is_known
    }

    /// The queue for keys with this tag.
    #[inline]
    fn queue(&mut self, tag: u32) -> &mut [Line] {
        if self.lines.len() <= JOINED {
            return &mut self.lines;
        }
        let at = (u64::from(tag) * self.lines.len() as u64) >> u32::BITS;
        self.lines.get_mut(at as usize..=at as usize).unwrap_or_default()
    }
}

/// The fingerprint of a key: its tag, or 1 if the tag is [`NONE`].
const fn fingerprint(tag: u32) -> u32 {
    if tag == NONE { 1 } else { tag }
}

/// How many lines hold `window` fingerprints.
const fn lines(window: u32) -> usize {
    (window as usize).div_ceil(LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag that is as well spread as the hash of a key.
    fn tag(key: u32) -> u32 {
        key.wrapping_mul(0x9E37_79B9).rotate_left(7).wrapping_mul(0x85EB_CA6B)
    }

    #[test]
    fn a_small_window_is_exact_and_recalls_each_key_once() {
        for window in 1..=64 {
            let mut ghost = Ghost::new(window);
            (0..100).for_each(|key| ghost.remember(tag(key)));
            let known: Vec<u32> = (0..100).filter(|&key| ghost.recall(tag(key), Reach::Whole)).collect();
            assert!(known.iter().copied().eq(100 - window..100));
            assert!(!(0..100).any(|key| ghost.recall(tag(key), Reach::Whole)));
        }
    }

    #[test]
    fn a_large_window_is_about_as_long_as_promised() {
        for window in [100, 1_000, 90_000] {
            let mut ghost = Ghost::new(window);
            (0..4 * window).for_each(|key| ghost.remember(tag(key)));
            let mut known = |keys: core::ops::Range<u32>| {
                keys.filter(|&key| ghost.recall(tag(key), Reach::Whole)).count() as u32
            };
            let (old, lately, all) =
                (known(0..2 * window), known(4 * window - window / 2..4 * window), known(0..4 * window));
            assert!(old < window / 50, "{window}: {old} of twice as long ago");
            assert!(lately > window / 2 * 9 / 10, "{window}: {lately} of half as long ago");
            assert!(old + lately + all <= window.next_multiple_of(LINE as u32));
        }
    }

    #[test]
    fn the_reach_of_a_third_is_a_third_of_the_window() {
        for window in [3, 10, 48, 64, 90_000] {
            let mut ghost = Ghost::new(window);
            (0..2 * window).for_each(|key| ghost.remember(tag(key)));
            let known = (0..2 * window).filter(|&key| ghost.recall(tag(key), Reach::Third)).count() as u32;
            let most_off = if window <= 64 { 0 } else { window / 20 };
            assert!(known.abs_diff(window / 3) <= most_off, "{window}: {known}");
            assert!(
                !(0..2 * window).any(|key| ghost.recall(tag(key), Reach::Whole)),
                "all of them are forgotten"
            );
        }
    }

    #[test]
    fn every_tag_can_be_remembered_and_a_new_ghost_has_none() {
        let mut ghost = Ghost::new(10);
        for tag in [0, 1, u32::MAX] {
            assert!(!ghost.recall(tag, Reach::Whole));
            ghost.remember(tag);
            assert!(ghost.recall(tag, Reach::Whole));
            assert!(!ghost.recall(tag, Reach::Whole));
        }
        let mut none = Ghost::new(0);
        none.remember(7);
        assert!(!none.recall(7, Reach::Whole));
    }
}
