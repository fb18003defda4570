//! Instants at equal distances, of which none is lost from sight: those that pass unused are counted.

use core::time::Duration;

use crate::Instant;

/// The instants of something that repeats, from the next one on. The instants stay where they are, however late each is
/// used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// The distance, in nanoseconds. 0: nothing follows the next instant.
    every: u64,
    /// `None` past the end of time.
    next: Option<Instant>,
}

impl Grid {
    /// `next` comes first, and the others follow. A distance that is out of range counts as the longest one.
    pub(crate) fn new(every: Duration, next: Option<Instant>) -> Self {
        Self { every: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX), next }
    }

    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Moves all instants, so that this one is next.
    pub(crate) const fn move_to(&mut self, next: Option<Instant>) {
        self.next = next;
    }

    /// Moves all instants, so that the next one is one distance from now; there is none if nothing repeats.
    pub(crate) fn move_behind(&mut self, now: Instant) {
        let next = now.as_nanos().checked_add(self.every).map(Instant::from_nanos);
        self.next = next.filter(|_| self.every > 0);
    }

    /// Passes the instants up to now. Returns the last of them, and how many it passed before that one; `None` if there
    /// is no instant to pass.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<(Instant, u64)> {
        let next = self.next.filter(|next| *next <= now)?.as_nanos();
        let passed = (now.as_nanos() - next).checked_div(self.every).unwrap_or(0);
        // The product is not above the difference.
        let last = next.saturating_add(passed.saturating_mul(self.every));
        self.next = last.checked_add(self.every).map(Instant::from_nanos).filter(|_| self.every > 0);
        Some((Instant::from_nanos(last), passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn instants_that_pass_unused_are_counted() {
        let mut grid = Grid::new(Duration::from_millis(10), Some(ms(25)));
        assert_eq!((grid.pass(ms(24)), grid.next()), (None, Some(ms(25))));
        assert_eq!((grid.pass(ms(25)), grid.next()), (Some((ms(25), 0)), Some(ms(35))));
        assert_eq!((grid.pass(ms(54)), grid.next()), (Some((ms(45), 1)), Some(ms(55))));
        grid.move_behind(ms(58));
        assert_eq!((grid.pass(ms(68)), grid.next()), (Some((ms(68), 0)), Some(ms(78))));
    }

    #[test]
    fn nothing_follows_without_a_distance_or_past_the_end_of_time() {
        let mut once = Grid::new(Duration::ZERO, Some(ms(5)));
        assert_eq!((once.pass(ms(50)), once.next(), once.pass(ms(60))), (Some((ms(5), 0)), None, None));
        once.move_behind(ms(7));
        assert_eq!(once.next(), None);
        let mut last = Grid::new(Duration::MAX, Some(ms(5)));
        assert_eq!((last.pass(Instant::MAX), last.next()), (Some((ms(5), 0)), None));
        let mut dense = Grid::new(Duration::from_nanos(1), Some(Instant::ZERO));
        assert_eq!((dense.pass(Instant::MAX), dense.next()), (Some((Instant::MAX, u64::MAX)), None));
        dense.move_behind(Instant::MAX);
        assert_eq!(dense.next(), None);
    }
}
