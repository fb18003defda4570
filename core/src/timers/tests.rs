//! The wheel against its rules, and against a sorted list.

use super::*;
use core::time::Duration;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Steps until idle; the timers that fired.
fn run(timers: &mut Timers, now: Instant) -> Vec<u32> {
    let mut fired = Vec::new();
    loop {
        match timers.step(now) {
            Step::Fired(index) => fired.push(index),
            Step::Moved => {}
            Step::Idle => return fired,
        }
    }
}

#[test]
fn a_deadline_is_rounded_up_to_its_tick_and_never_early() {
    let mut timers = Timers::new(4, Instant::ZERO);
    timers.arm(1, ms(5));
    timers.arm(2, Instant::from_nanos(5_000_001));
    assert_eq!(timers.next_wake(), Some((ms(5), true)));
    assert_eq!(run(&mut timers, Instant::from_nanos(4_999_999)), []);
    assert_eq!(run(&mut timers, ms(5)), [1]);
    assert_eq!(timers.next_wake(), Some((ms(6), true)));
    assert_eq!(run(&mut timers, Instant::from_nanos(5_999_999)), []);
    assert_eq!(run(&mut timers, ms(6)), [2]);
    assert_eq!((timers.next_wake(), timers.len()), (None, 0));
}

#[test]
fn a_deadline_that_is_over_fires_at_the_next_step() {
    let mut timers = Timers::new(4, ms(1_000));
    timers.arm(1, ms(1_000));
    timers.arm(2, ms(3));
    assert_eq!(run(&mut timers, ms(1_000)), [1, 2]);
    timers.arm(3, ms(1_000));
    assert_eq!(timers.next_wake(), Some((ms(1_000), true)));
    assert_eq!(run(&mut timers, ms(1_000)), [3]);
}

#[test]
fn a_disarmed_timer_is_gone_at_once_and_a_rearmed_one_is_armed_once() {
    let mut timers = Timers::new(2, Instant::ZERO);
    timers.arm(0, ms(1));
    timers.arm(1, ms(100_000));
    assert_eq!((timers.disarm(0), timers.disarm(0), timers.is_armed(0)), (true, false, false));
    assert_eq!((timers.next_wake().unwrap().1, timers.len()), (false, 1));
    timers.arm(0, ms(7));
    timers.arm(0, ms(5));
    assert_eq!((timers.is_armed(0), timers.len(), timers.iter().count()), (true, 2, 2));
    assert_eq!(run(&mut timers, ms(8)), [0]);
    assert_eq!((timers.is_armed(0), timers.disarm(0), timers.len()), (false, false, 1));
    assert_eq!((timers.disarm(2), timers.disarm(u32::MAX), timers.is_armed(u32::MAX)), (false, false, false));
    let none = Timers::new(0, Instant::ZERO);
    assert_eq!((none.next_wake(), none.len()), (None, 0));
}

#[test]
fn all_of_time_is_legal() {
    let mut timers = Timers::new(8, Instant::ZERO);
    let over = Instant::ZERO.saturating_add(Duration::MAX);
    let last_whole = ms(u64::MAX / TICK);
    for (index, at) in
        [over, last_whole, Instant::from_nanos(u64::MAX - 1), ms(1 << 43)].into_iter().enumerate()
    {
        timers.arm(index as u32, at);
    }
    assert_eq!(run(&mut timers, ms(1 << 43)), [3]);
    assert_eq!(run(&mut timers, last_whole), [1]);
    assert_eq!(timers.next_wake(), Some((Instant::MAX, true)));
    assert_eq!(run(&mut timers, Instant::from_nanos(u64::MAX - 1)), []);
    assert_eq!(run(&mut timers, Instant::MAX), [0, 2]);
    timers.arm(4, Instant::MAX);
    timers.arm(5, Instant::ZERO);
    assert_eq!(run(&mut timers, Instant::MAX), [4, 5]);
    let mut late = Timers::new(7, Instant::MAX);
    late.arm(6, Instant::ZERO);
    assert_eq!(run(&mut late, Instant::MAX), [6]);
}

#[test]
fn the_last_tick_is_not_taken_for_the_first() {
    let mut timers = Timers::new(3, Instant::ZERO);
    timers.arm(0, Instant::MAX);
    timers.arm(1, Instant::from_nanos(1));
    timers.arm(2, Instant::ZERO);
    assert_eq!(run(&mut timers, Instant::ZERO), [2]);
    assert_eq!(run(&mut timers, ms(1)), [1]);
    assert_eq!(run(&mut timers, Instant::MAX), [0]);
}

#[test]
fn equal_deadlines_keep_their_order_through_an_interrupted_cascade() {
    let mut timers = Timers::new(8, Instant::ZERO);
    let at = ms(70);
    (0..3).for_each(|index| assert!(!timers.arm(index, at)));
    assert_eq!(timers.next_wake(), Some((ms(64), false)));
    assert_eq!(timers.step(at), Step::Moved);
    assert!(timers.cascading.is_some());
    timers.arm(3, at);
    timers.arm(4, ms(1));
    assert_eq!(timers.step(at), Step::Moved);
    timers.arm(5, at);
    assert_eq!(timers.next_wake(), Some((ms(64), false)));
    assert!(timers.disarm(5));
    assert_eq!(run(&mut timers, at), [4, 0, 1, 2, 3]);
}

#[test]
fn disarming_what_is_left_of_a_cascade_ends_it() {
    let mut timers = Timers::new(8, Instant::ZERO);
    timers.arm(0, ms(70));
    timers.arm(1, ms(71));
    assert_eq!(timers.step(ms(70)), Step::Moved);
    assert!(timers.disarm(1));
    assert_eq!(timers.next_wake(), Some((ms(70), true)));
    timers.arm(2, ms(70));
    assert_eq!(run(&mut timers, ms(70)), [0, 2]);
}

#[test]
fn a_timer_moves_at_most_once_a_level() {
    let mut timers = Timers::new(1, Instant::ZERO);
    let at = ms((1 << 44) - 1);
    timers.arm(0, at);
    let mut moves = 0;
    while timers.step(at) == Step::Moved {
        moves += 1;
    }
    assert_eq!((moves, timers.len()), (7, 0));
}

#[test]
fn a_timer_takes_sixteen_bytes() {
    assert_eq!(size_of::<Node>(), 16);
    let timers = Timers::new(10, Instant::ZERO);
    assert_eq!((timers.nodes.len(), timers.nodes.capacity()), (10 + 512, 10 + 512));
    assert_eq!(Timers::bytes(10), (10 + 512) * 16);
    assert_eq!(Timers::bytes(8_191), (8_191 + 512) * 16);
    let wide = Timers::new(1_000_000, Instant::ZERO);
    assert_eq!(Timers::bytes(1_000_000), (1_000_000 + 2_048 + 4 * 448) * 16);
    assert_eq!(wide.nodes.capacity() * 16, Timers::bytes(1_000_000));
}

#[test]
fn later_ticks_stand_in_later_slots_whatever_the_shape() {
    let mut rng = fastrand::Rng::with_seed(1);
    for bits in 6..=11 {
        let shape = Shape::with_lowest(bits);
        for _ in 0..10_000 {
            let elapsed = rng.u64(..=tick_of(Instant::MAX)) >> rng.u32(..40);
            let mut ticks =
                [(); 2].map(|()| elapsed + (rng.u64(..=tick_of(Instant::MAX) - elapsed) >> rng.u32(..44)));
            ticks.sort_unstable();
            let slots = ticks.map(|tick| shape.slot_of(elapsed, tick));
            let dues = slots.map(|slot| shape.due(elapsed, slot));
            assert!(dues[0].tick <= dues[1].tick && slots[1] < shape.slots());
            for (tick, (slot, due)) in ticks.into_iter().zip(slots.into_iter().zip(dues)) {
                assert!((elapsed..=tick).contains(&due.tick));
                assert!(!shape.is_lowest(slot) || due.tick == tick);
                let strand = if shape.is_lowest(slot) { 0 } else { tick as u32 % shape.strands() };
                assert_eq!((due.slot, shape.slot_of(elapsed, due.tick) + strand), (slot, slot));
            }
        }
    }
}

#[test]
fn the_first_of_the_occupied_slots_is_known() {
    let mut rng = fastrand::Rng::with_seed(2);
    let (mut occupied, mut naive) = (Occupied::NONE, alloc::collections::BTreeSet::new());
    for _ in 0..100_000 {
        let slot = rng.u32(..4_096) >> rng.u32(..12);
        if rng.u32(..16) < 7 {
            occupied.insert(slot);
            naive.insert(slot);
        } else {
            occupied.remove(slot);
            naive.remove(&slot);
        }
        assert_eq!(
            (occupied.first(), occupied.contains(slot)),
            (naive.first().copied(), naive.contains(&slot))
        );
    }
}

#[test]
fn a_cascade_takes_from_all_strands_in_turn() {
    let mut timers = Timers::with_shape(Shape::with_lowest(8), 9, Instant::ZERO);
    for (index, tick) in (0..).zip([300, 304, 308, 312, 301, 305, 303, 307, 511]) {
        timers.arm(index, ms(tick));
    }
    assert_eq!(timers.next_wake(), Some((ms(256), false)));
    let mut moved = Vec::new();
    while timers.step(ms(256)) == Step::Moved {
        moved.push(timers.strand);
    }
    assert_eq!(moved, [1, 2, 0, 1, 2, 0, 1, 0, 1]);
    assert_eq!(run(&mut timers, ms(511)), [0, 4, 6, 1, 5, 7, 2, 3, 8]);
}

#[test]
fn a_timer_is_prefetched_before_it_fires() {
    const TICKS: u32 = 200;
    let mut timers = Timers::with_shape(Shape::with_lowest(8), TICKS * 50, Instant::ZERO);
    (0..TICKS * 50).for_each(|index| assert!(!timers.arm(index, ms(u64::from(index % TICKS)))));
    let (mut seen, mut unseen) = (alloc::collections::BTreeSet::new(), 0);
    while let Step::Fired(index) = timers.step(ms(1_000)) {
        unseen += u32::from(index % TICKS >= 2 * 8 && !seen.contains(&timers.node_of(index)));
        seen.extend(timers.prefetch.iter().flat_map(Prefetch::cursors).map(|place| *place as usize));
    }
    assert_eq!((timers.len(), unseen), (0, 0));
}

/// How many timers the model has.
const TIMERS: u32 = 64;

/// A timer as the naive model knows it: armed `seq`th, to fire as if its tick were one of
/// `lo..=hi`, which are the same unless it was overdue when it was armed and the wheel was
/// halfway through its work.
struct Expected {
    index: u32,
    seq: u32,
    lo: u64,
    hi: u64,
}

struct Model {
    rng: fastrand::Rng,
    timers: Timers,
    armed: Vec<Expected>,
    seq: u32,
    now: Instant,
    /// The last instant at which the wheel was idle.
    idle: Instant,
    pool: [Instant; 4],
    armed_in_a_cascade: u32,
}

impl Model {
    fn new(seed: u64, shape: Shape) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = match seed % 4 {
            0 => Instant::ZERO,
            1 => Instant::from_nanos(u64::MAX - rng.u64(..1 << 44)),
            _ => Instant::from_nanos(rng.u64(..) >> rng.u32(1..40)),
        };
        let timers = Timers::with_shape(shape, TIMERS, now);
        Self { rng, timers, armed: Vec::new(), seq: 0, now, idle: now, pool: [now; 4], armed_in_a_cascade: 0 }
    }

    fn span(&mut self, longest: u32) -> Duration {
        let bits = self.rng.u32(1..=longest);
        Duration::from_nanos(self.rng.u64(..) >> (64 - bits))
    }

    fn arm(&mut self) {
        let span = self.span(64);
        let near = self.span(28);
        let at = match self.rng.u32(..8) {
            0 => self.now.saturating_add(span),
            1 => Instant::from_nanos(self.now.as_nanos().saturating_sub(near.as_nanos() as u64)),
            2..5 => *self.rng.choice(&self.pool).unwrap(),
            _ => self.now.saturating_add(near),
        };
        *self.rng.choice(&mut self.pool).unwrap() = at;
        let index = self.rng.u32(..TIMERS);
        self.armed.retain(|timer| timer.index != index);
        self.timers.arm(index, at);
        self.armed_in_a_cascade += u32::from(self.timers.cascading.is_some());
        let (lo, hi) = (tick_of(at).max(tick_at(self.idle)), tick_of(at).max(tick_at(self.now)));
        self.armed.push(Expected { index, seq: self.seq, lo, hi });
        self.seq += 1;
    }

    fn disarm(&mut self) {
        let index = self.rng.u32(..TIMERS);
        let armed = self.armed.iter().position(|timer| timer.index == index);
        assert_eq!(self.timers.is_armed(index), armed.is_some());
        assert_eq!(self.timers.disarm(index), armed.is_some());
        armed.map(|place| self.armed.swap_remove(place));
    }

    /// Up to `budget` steps; true when the wheel became idle.
    fn steps(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            match self.timers.step(self.now) {
                Step::Moved => {}
                Step::Fired(index) => self.fired(index),
                Step::Idle => {
                    self.idle = self.now;
                    assert!(self.armed.iter().all(|timer| timer.lo > tick_at(self.now)), "due but not fired");
                    assert!(
                        self.timers.next_wake().is_none_or(|(at, _)| at > self.now),
                        "a driver would spin"
                    );
                    assert_eq!(self.timers.elapsed, tick_at(self.now));
                    return true;
                }
            }
            self.audit();
        }
        false
    }

    fn fired(&mut self, index: u32) {
        let place = self.armed.iter().position(|timer| timer.index == index).unwrap();
        let timer = self.armed.swap_remove(place);
        assert!(start_of(timer.lo) <= self.now, "early");
        for other in &self.armed {
            let armed_before = other.seq < timer.seq && other.lo <= timer.lo;
            assert!(!armed_before && other.hi >= timer.lo, "out of order");
        }
        assert!(!self.timers.is_armed(index));
    }

    fn audit(&mut self) {
        assert_eq!(self.timers.len() as usize, self.armed.len());
        let mut indices: Vec<u32> = self.armed.iter().map(|timer| timer.index).collect();
        indices.sort_unstable();
        assert!(self.timers.iter().eq(indices));
        for (slot, sentinel) in (0..self.timers.slots).zip(&self.timers.nodes) {
            assert_eq!(self.timers.occupied.contains(slot), sentinel.next != slot);
        }
        let earliest = self.armed.iter().map(|timer| timer.hi).min();
        let wake = self.timers.next_wake();
        assert_eq!(wake.is_some(), earliest.is_some());
        assert!(wake.is_none_or(|(at, _)| Some(at) <= earliest.map(start_of)), "a wake-up after a deadline");
    }

    /// Goes to what is next and sees that it makes progress there.
    fn wake(&mut self) {
        if let Some((at, fires)) = self.timers.next_wake() {
            self.now = self.now.max(at);
            match self.timers.step(self.now) {
                Step::Fired(index) => {
                    assert!(fires);
                    self.fired(index);
                }
                step => assert!(step == Step::Moved && !fires),
            }
        }
    }
}

#[test]
fn it_fires_what_a_sorted_list_would() {
    let mut armed_in_a_cascade = 0;
    for seed in 0..400 {
        let lowest_bits = [6, 6, 6, 7, 11][seed as usize % 5];
        let mut model = Model::new(seed, Shape::with_lowest(lowest_bits));
        for _ in 0..400 {
            match model.rng.u32(..16) {
                0..7 => model.arm(),
                7 => model.disarm(),
                8..10 => {
                    let longest = if model.rng.u32(..16) == 0 { 62 } else { 28 };
                    model.now = model.now.saturating_add(model.span(longest));
                }
                10..13 => drop(model.steps(2)),
                13 => model.wake(),
                _ => drop(model.steps(20)),
            }
            model.audit();
        }
        assert!(model.steps(64 * 8 + 1), "the work at one instant is bounded");
        model.now = Instant::MAX;
        assert!(model.steps(64 * 8 + 1) && model.armed.is_empty());
        armed_in_a_cascade += model.armed_in_a_cascade;
    }
    assert!(armed_in_a_cascade > 1_000, "only {armed_in_a_cascade} timers were armed in a cascade under way");
}
