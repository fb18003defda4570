//! The wheel against its rules, and against a sorted list.

use super::*;
use core::time::Duration;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Steps until idle; the owners that fired.
fn run(timers: &mut Timers<u32>, now: Instant) -> Vec<u32> {
    let mut fired = Vec::new();
    loop {
        match timers.step(now) {
            Step::Fired(owner) => fired.push(owner),
            Step::Moved => {}
            Step::Idle => return fired,
        }
    }
}

#[test]
fn a_deadline_is_rounded_up_to_its_tick_and_never_early() {
    let mut timers = Timers::new(4, Instant::ZERO);
    timers.arm(ms(5), 1).unwrap();
    timers.arm(Instant::from_nanos(5_000_001), 2).unwrap();
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
    timers.arm(ms(1_000), 1).unwrap();
    timers.arm(ms(3), 2).unwrap();
    assert_eq!(run(&mut timers, ms(1_000)), [1, 2]);
    timers.arm(ms(1_000), 3).unwrap();
    assert_eq!(timers.next_wake(), Some((ms(1_000), true)));
    assert_eq!(run(&mut timers, ms(1_000)), [3]);
}

#[test]
fn a_full_store_refuses_and_a_disarmed_timer_is_free_at_once() {
    let mut timers = Timers::new(2, Instant::ZERO);
    let (a, _) = (timers.arm(ms(1), 1).unwrap(), timers.arm(ms(100_000), 2).unwrap());
    assert_eq!(timers.arm(ms(3), 3), None);
    assert_eq!((timers.disarm(a), timers.disarm(a)), (Some(1), None));
    assert!(timers.arm(ms(100_000), 3).is_some());
    assert_eq!((timers.len(), timers.nodes.capacity(), timers.retired()), (2, 2, 0));
    let mut none = Timers::new(0, Instant::ZERO);
    assert_eq!((none.arm(ms(1), 1), none.next_wake()), (None, None));
}

#[test]
fn all_of_time_is_legal() {
    let mut timers = Timers::new(8, Instant::ZERO);
    let over = Instant::ZERO.saturating_add(Duration::MAX);
    let last_whole = ms(u64::MAX / TICK);
    for (owner, at) in
        [over, last_whole, Instant::from_nanos(u64::MAX - 1), ms(1 << 43)].into_iter().enumerate()
    {
        timers.arm(at, owner as u32).unwrap();
    }
    assert_eq!(run(&mut timers, ms(1 << 43)), [3]);
    assert_eq!(run(&mut timers, last_whole), [1]);
    assert_eq!(timers.next_wake(), Some((Instant::MAX, true)));
    assert_eq!(run(&mut timers, Instant::from_nanos(u64::MAX - 1)), []);
    assert_eq!(run(&mut timers, Instant::MAX), [0, 2]);
    timers.arm(Instant::MAX, 4).unwrap();
    timers.arm(Instant::ZERO, 5).unwrap();
    assert_eq!(run(&mut timers, Instant::MAX), [4, 5]);
    let mut late = Timers::new(1, Instant::MAX);
    late.arm(Instant::ZERO, 6).unwrap();
    assert_eq!(run(&mut late, Instant::MAX), [6]);
}

#[test]
fn equal_deadlines_keep_their_order_through_an_interrupted_cascade() {
    let mut timers = Timers::new(8, Instant::ZERO);
    let at = ms(70);
    assert!((0..3).all(|owner| timers.arm(at, owner).is_some()));
    assert_eq!(timers.next_wake(), Some((ms(64), false)));
    assert_eq!(timers.step(at), Step::Moved);
    assert!(timers.cascading.is_some());
    timers.arm(at, 3).unwrap();
    timers.arm(ms(1), 4).unwrap();
    assert_eq!(timers.step(at), Step::Moved);
    let last = timers.arm(at, 5).unwrap();
    assert_eq!(timers.next_wake(), Some((ms(64), false)));
    assert_eq!(timers.disarm(last), Some(5));
    assert_eq!(run(&mut timers, at), [4, 0, 1, 2, 3]);
}

#[test]
fn disarming_what_is_left_of_a_cascade_ends_it() {
    let mut timers = Timers::new(8, Instant::ZERO);
    timers.arm(ms(70), 0).unwrap();
    let last = timers.arm(ms(71), 1).unwrap();
    assert_eq!(timers.step(ms(70)), Step::Moved);
    assert_eq!(timers.disarm(last), Some(1));
    assert_eq!(timers.next_wake(), Some((ms(70), true)));
    timers.arm(ms(70), 2).unwrap();
    assert_eq!(run(&mut timers, ms(70)), [0, 2]);
}

#[test]
fn a_timer_moves_at_most_once_a_level() {
    let mut timers = Timers::new(1, Instant::ZERO);
    let at = ms((1 << 44) - 1);
    timers.arm(at, 0).unwrap();
    let mut moves = 0;
    while timers.step(at) == Step::Moved {
        moves += 1;
    }
    assert_eq!((moves, timers.len()), (7, 0));
}

#[test]
fn nothing_grows_after_construction() {
    let timers = Timers::<u32>::new(10, Instant::ZERO);
    assert_eq!(timers.lists.capacity(), LISTS);
    let nodes = Slots::<TimerId, Node<u32>>::bytes(10);
    assert_eq!(Timers::<u32>::bytes(10), nodes + LISTS * size_of::<List>());
}

/// A timer as the naive model knows it: armed `seq`th, to fire as if its tick were one of
/// `lo..=hi`, which are the same unless it was overdue when it was armed and the wheel was
/// halfway through its work.
struct Expected {
    id: TimerId,
    seq: u32,
    lo: u64,
    hi: u64,
}

struct Model {
    rng: fastrand::Rng,
    timers: Timers<u32>,
    armed: Vec<Expected>,
    seq: u32,
    now: Instant,
    /// The last instant at which the wheel was idle.
    idle: Instant,
    pool: [Instant; 4],
    armed_in_a_cascade: u32,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = match seed % 4 {
            0 => Instant::ZERO,
            1 => Instant::from_nanos(u64::MAX - rng.u64(..1 << 44)),
            _ => Instant::from_nanos(rng.u64(..) >> rng.u32(1..40)),
        };
        let timers = Timers::new(64, now);
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
        let id = self.timers.arm(at, self.seq);
        assert_eq!(id.is_none(), self.armed.len() == 64);
        if let Some(id) = id {
            self.armed_in_a_cascade += u32::from(self.timers.cascading.is_some());
            let (lo, hi) = (tick_of(at).max(tick_at(self.idle)), tick_of(at).max(tick_at(self.now)));
            self.armed.push(Expected { id, seq: self.seq, lo, hi });
            self.seq += 1;
        }
    }

    fn disarm(&mut self) {
        if !self.armed.is_empty() {
            let gone = self.armed.swap_remove(self.rng.usize(..self.armed.len()));
            assert_eq!(self.timers.disarm(gone.id), Some(gone.seq));
            assert_eq!(self.timers.disarm(gone.id), None);
        }
    }

    /// Up to `budget` steps; true when the wheel became idle.
    fn steps(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            match self.timers.step(self.now) {
                Step::Moved => {}
                Step::Fired(owner) => self.fired(owner),
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

    fn fired(&mut self, owner: u32) {
        let place = self.armed.iter().position(|timer| timer.seq == owner).unwrap();
        let timer = self.armed.swap_remove(place);
        assert!(start_of(timer.lo) <= self.now, "early");
        for other in &self.armed {
            let armed_before = other.seq < timer.seq && other.lo <= timer.lo;
            assert!(!armed_before && other.hi >= timer.lo, "out of order");
        }
        assert_eq!(self.timers.disarm(timer.id), None);
    }

    fn audit(&mut self) {
        assert_eq!(self.timers.len() as usize, self.armed.len());
        let mut owners: Vec<u32> = self.timers.iter().collect();
        let mut seqs: Vec<u32> = self.armed.iter().map(|timer| timer.seq).collect();
        owners.sort_unstable();
        seqs.sort_unstable();
        assert_eq!(owners, seqs);
        assert_eq!(self.timers.lists.iter().map(List::len).sum::<u32>(), self.timers.len());
        for (list, linked) in self.timers.lists.iter().enumerate() {
            assert_eq!(self.timers.occupied[list >> 6] & (1 << (list & 63)) == 0, linked.is_empty());
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
                Step::Fired(owner) => {
                    assert!(fires);
                    self.fired(owner);
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
        let mut model = Model::new(seed);
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
        assert!(model.steps(64 * LEVELS + 1), "the work at one instant is bounded");
        model.now = Instant::MAX;
        assert!(model.steps(64 * LEVELS + 1) && model.armed.is_empty());
        armed_in_a_cascade += model.armed_in_a_cascade;
    }
    assert!(armed_in_a_cascade > 1_000, "only {armed_in_a_cascade} timers were armed in a cascade under way");
}
