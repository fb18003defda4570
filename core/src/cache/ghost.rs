//! What was evicted lately, by fingerprint.

use alloc::vec;
use alloc::vec::Vec;

/// How many fingerprints are in a line.
const LINE: usize = 16;

/// One line of the processor's cache, the latest fingerprint first.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u32; LINE]);

/// As many lines as this are searched as one queue, more are a queue each.
const JOINED: usize = 4;

/// Where there is no fingerprint.
const NONE: u32 = 0;

/// How far back to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Whole,
    /// The latest third of what is remembered.
    Third,
}

/// The keys evicted last as fingerprints of 32 bits (Yang et al., SOSP '23, section 4.2), in lines that are a queue
/// each: the oldest of a line makes room. Up to 64 keys are one exact queue. Above, their number is rounded up to
/// whole lines, and a fingerprint is forgotten after as many evictions on average, give or take a quarter.
///
/// O(1) whatever the keys. The line is chosen by bits of the fingerprint, so that among `n` lines a stranger is taken
/// for a ghost with a probability of at most `16 n / 2^32`. That, as everything else in here, costs a hit at worst.
#[derive(Debug)]
pub(super) struct Ghost {
    lines: Vec<Line>,
    /// How many places there are, if these are one queue.
    window: u32,
}

impl Ghost {
    /// Remembers `window` evictions. Allocates [`Ghost::bytes`].
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

    /// Remembers that the key of this tag was evicted.
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

    /// Whether the key of this tag is remembered, within this reach; in any case it is forgotten.
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
            // All of the line, whatever is found: a few vectors are compared, with no branch to mispredict.
            for (other, from_end) in line.iter_mut().zip((1..=LINE as u32).rev()) {
                let is_it = *other == fingerprint;
                found |= if is_it { from_end } else { 0 };
                *other = if is_it { NONE } else { *other };
            }
            is_known |= found > (LINE as u32).saturating_sub(reach);
            reach = reach.saturating_sub(LINE as u32);
        }
        is_known
    }

    /// The queue that the key of this tag would be in.
    #[inline]
    fn queue(&mut self, tag: u32) -> &mut [Line] {
        if self.lines.len() <= JOINED {
            return &mut self.lines;
        }
        let at = (u64::from(tag) * self.lines.len() as u64) >> u32::BITS;
        self.lines.get_mut(at as usize..=at as usize).unwrap_or_default()
    }
}

/// Of a key: its tag, which is not quite every `u32`.
const fn fingerprint(tag: u32) -> u32 {
    if tag == NONE { 1 } else { tag }
}

/// How many lines hold so many fingerprints.
const fn lines(window: u32) -> usize {
    (window as usize).div_ceil(LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As far apart as the hashes of keys.
    fn tag(key: u32) -> u32 {
        key.wrapping_mul(0x9E37_79B9).rotate_left(7).wrapping_mul(0x85EB_CA6B)
    }

    #[test]
    fn a_small_one_remembers_exactly_the_last_and_each_once() {
        for window in 1..=64 {
            let mut ghost = Ghost::new(window);
            (0..100).for_each(|key| ghost.remember(tag(key)));
            let known: Vec<u32> = (0..100).filter(|&key| ghost.recall(tag(key), Reach::Whole)).collect();
            assert!(known.iter().copied().eq(100 - window..100));
            assert!(!(0..100).any(|key| ghost.recall(tag(key), Reach::Whole)));
        }
    }

    #[test]
    fn a_large_one_remembers_about_the_last() {
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
    fn a_third_reaches_back_a_third() {
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
    fn every_tag_can_be_remembered_and_none_is_by_itself() {
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
