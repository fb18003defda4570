//! What will happen, and when: a calendar queue (Brown, "Calendar queues", CACM 31(10), 1988).

/// The days of a year, each of them a list in the order of time.
const DAYS: usize = 2_048;
/// A day is 2^21 nanoseconds, about 2 ms, on which few things happen; a year is 4.3 s.
const DAY_BITS: u32 = 21;
/// How far ahead something may be, so that no day has things of two years.
const HORIZON: u64 = ((DAYS - 1) as u64) << DAY_BITS;
const WORDS: usize = DAYS / 64;
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    at: u64,
    next: u32,
    what: T,
}

/// Things to come, each at its time in nanoseconds; those of one instant in the order in which they were put
/// down. With few things a day, all calls are O(1). Memory grows only beyond the capacity it was built with.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    days: [u32; DAYS],
    /// Which days have something in them.
    busy: [u64; WORDS],
    entries: Vec<Entry<T>>,
    /// Entries to be used again.
    free: u32,
    next: u64,
}

impl<T: Copy> Agenda<T> {
    /// An empty one, with memory for `capacity` things.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            days: [NIL; DAYS],
            busy: [0; WORDS],
            entries: Vec::with_capacity(capacity),
            free: NIL,
            next: u64::MAX,
        }
    }

    /// When the next thing is; `u64::MAX` if there is none.
    #[inline]
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Puts something down. Everything before `now` must have been taken.
    ///
    /// # Panics
    /// When it is more than four seconds ahead.
    #[inline]
    pub(super) fn put(&mut self, now: u64, after: u64, what: T) {
        assert!(after <= HORIZON, "{after} ns is too far ahead");
        let at = now.saturating_add(after);
        self.next = self.next.min(at);
        let day = day_of(at);
        let (mut before, mut behind) = (NIL, self.days[day]);
        while behind != NIL && self.entries[behind as usize].at <= at {
            (before, behind) = (behind, self.entries[behind as usize].next);
        }
        let index = self.enter(Entry { at, next: behind, what });
        match before {
            NIL => self.days[day] = index,
            _ => self.entries[before as usize].next = index,
        }
        self.busy[day / 64] |= 1 << (day % 64);
    }

    /// Takes the next thing, if its time has come.
    #[inline]
    pub(super) fn take(&mut self, now: u64) -> Option<T> {
        if self.next > now || self.next == u64::MAX {
            return None;
        }
        let day = day_of(self.next);
        let index = self.days[day];
        let entry = &mut self.entries[index as usize];
        let (what, behind) = (entry.what, std::mem::replace(&mut entry.next, self.free));
        self.free = index;
        self.days[day] = behind;
        self.next = match behind {
            NIL => self.next_after(day),
            _ => self.entries[behind as usize].at,
        };
        Some(what)
    }

    #[inline]
    fn enter(&mut self, entry: Entry<T>) -> u32 {
        let index = self.free;
        if index == NIL {
            self.entries.push(entry);
            return self.entries.len() as u32 - 1;
        }
        self.free = self.entries[index as usize].next;
        self.entries[index as usize] = entry;
        index
    }

    /// The time of the first thing on the days from `day` on, which has become empty.
    #[inline]
    fn next_after(&mut self, day: usize) -> u64 {
        let (word, bit) = (day / 64, day % 64);
        self.busy[word] &= !(1 << bit);
        // The next 64 days at one look: hardly ever are they all free.
        let near = self.busy[word] >> bit | self.busy[(word + 1) % WORDS] << 1 << (63 - bit);
        let ahead = if near != 0 { near.trailing_zeros() as usize } else { self.days_of_leisure(day) };
        match self.days[(day + ahead) % DAYS] {
            NIL => u64::MAX,
            first => self.entries[first as usize].at,
        }
    }

    /// How many days it is from `day`, which is free as the next 63 are, to the first that is not; some day that is
    /// free if all are.
    #[cold]
    fn days_of_leisure(&self, day: usize) -> usize {
        let word = day / 64;
        let busy = (word + 1..=word + WORDS).find(|word| self.busy[word % WORDS] != 0);
        busy.map_or(0, |word| word * 64 + self.busy[word % WORDS].trailing_zeros() as usize - day)
    }
}

#[inline]
const fn day_of(at: u64) -> usize {
    (at >> DAY_BITS) as usize % DAYS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    /// A heap with a number for each thing does the same, more slowly.
    #[test]
    fn things_come_in_the_order_of_a_stable_heap() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut agenda, mut heap, mut now) = (Agenda::with_capacity(8), BinaryHeap::new(), 0);
        for number in 0..100_000_u64 {
            // Rarely and often, near and far, and many at one instant.
            let after = match rng.u8(..4) {
                0 => rng.u64(..=HORIZON),
                1 => rng.u64(..50) << 20,
                2 => rng.u64(..10),
                _ => HORIZON,
            };
            agenda.put(now, after, number);
            heap.push(Reverse((now + after, number)));
            if rng.u8(..100) < 5 {
                now += rng.u64(..=HORIZON) * rng.u64(..3);
            } else if rng.bool() {
                now = agenda.next();
            }
            while let Some(number) = agenda.take(now) {
                assert_eq!(heap.pop().map(|Reverse((_, number))| number), Some(number));
            }
            assert_eq!(agenda.next(), heap.peek().map_or(u64::MAX, |Reverse((at, _))| *at));
            assert!(agenda.next() > now);
        }
        assert!(agenda.entries.len() < 10_000, "entries are used again");
    }

    #[test]
    #[should_panic(expected = "too far ahead")]
    fn what_is_too_far_ahead_is_not_lost_in_another_year() {
        Agenda::with_capacity(0).put(0, HORIZON + 1, ());
    }
}
