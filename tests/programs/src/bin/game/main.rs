//! The core in a game loop: paths are searched within a budget a frame, on the clock of the game.
//!
//! ```sh
//! cargo run --bin game -- 600 7   # frames, seed
//! ```
//!
//! There is no thread, no executor and no `async`. The loop owns the machine, tells it the time, and does what it is asked to.
//! A frame follows the clock rule of the core: reports first, then time and effects, then new commands and starts
//! ([`Game::frame`]). The clock is the game's, so a second of it takes as long as sixty frames take, and the same seed plays
//! the same game.

mod grid;

use std::collections::VecDeque;
use std::time::Duration;

use plimsoll_core::{
    AttemptId, Drain, Effect, Instant, Limits, Offer, Outcome, Plan, Priority, Processor, Remains, Route,
    Settlement, TaskId, Terms, Timeouts,
};

use grid::{Cell, Grid, Looked, Search};

/// A path that comes later than this is of no use.
const HURRIED: Terms =
    Terms::new().timeouts(Timeouts { schedule_to_close: Some(Duration::from_millis(500)), ..Timeouts::NONE });

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let frames: u32 = args.next().map_or(Ok(600), |frames| frames.parse())?;
    let seed: u64 = args.next().map_or(Ok(7), |seed| seed.parse())?;

    let mut game = Game::new(seed, 100)?;
    for frame in 0..frames {
        game.frame();
        if frame % 60 == 30 {
            // Something happens to one of them, whatever it is doing.
            let unit = game.rng.usize(..game.units.len());
            game.kill(unit);
        }
        if frame % 60 == 59 {
            let health = game.machine.health(game.now);
            println!("{:?}: {} paths wait, {} are searched", game.now, health.queued, health.running);
        }
    }
    let totals = game.machine.totals();
    println!("asked for {}, refused {}, {:?}", totals.offered, totals.refused, totals.settled);
    println!("the busiest frame looked at {} cells", game.busiest);
    println!("paths that were open at the end: {}", game.end().cancelled);
    Ok(())
}

/// What the machine keeps for the game. What a game has no use for is `()`.
struct Paths;

impl Plan for Paths {
    type Job = Request;
    type Output = Vec<Cell>;
    type Error = Unreachable;
    type Panic = ();
    type Meta = ();
    type Callback = usize; // Which unit asked.
    type Waiter = ();
    type Listener = ();
    type Key = ();
    type Value = ();
}

struct Request {
    from: Cell,
    to: Cell,
}

struct Unreachable;

struct Game {
    grid: Grid,
    units: Vec<Unit>,
    machine: Processor<Paths>,
    /// The attempts that run: as many as the machine has concurrency.
    searches: VecDeque<(AttemptId, Search)>,
    now: Instant,
    rng: fastrand::Rng,
    /// Which of the units begins.
    first: usize,
    /// The most cells that a frame has looked at.
    busiest: u32,
}

impl Game {
    /// Sixty of them are a second.
    const FRAME: Duration = Duration::from_nanos(16_666_667);
    /// How many cells may be looked at in a frame, by all searches together.
    const BUDGET: u32 = 500;
    /// Whose paths come first.
    const HERO: usize = 0;

    /// A hero and so many others.
    fn new(seed: u64, others: usize) -> anyhow::Result<Self> {
        let mut limits = Limits::default();
        (limits.queue, limits.concurrency, limits.seed) = (40, 4, seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let grid = Grid::new(32, &mut rng);
        let units = (0..=others).map(|_| Unit::at(grid.free_cell(&mut rng))).collect();
        let machine = Processor::new(limits, Instant::ZERO)?;
        Ok(Self {
            grid,
            units,
            machine,
            searches: VecDeque::new(),
            now: Instant::ZERO,
            rng,
            first: 0,
            busiest: 0,
        })
    }

    fn frame(&mut self) {
        self.now = self.now.saturating_add(Self::FRAME);
        self.search();
        self.take_effects();
        self.move_units();
        while let Some(start) = self.machine.start_next(self.now) {
            let Request { from, to } = start.job;
            self.searches.push_back((start.attempt, Search::new(from, to)));
        }
    }

    /// Gives each search in turn a cell to look at, and reports those that have come to an end.
    fn search(&mut self) {
        let mut looked_at = 0;
        while looked_at < Self::BUDGET {
            let Some((attempt, mut search)) = self.searches.pop_front() else { break };
            looked_at += 1;
            // A report of an attempt that is over is late, and hands its value back. Here none is: `take_effects` has
            // dropped the searches that are.
            let _ = match search.look_at_next(&self.grid) {
                Looked::GoesOn => {
                    self.searches.push_back((attempt, search));
                    continue;
                }
                Looked::Found(path) => self.machine.completed(self.now, attempt, path).is_ok(),
                Looked::Nowhere => {
                    let message = "unreachable".into();
                    self.machine.failed(self.now, attempt, Unreachable, None, None, &message).is_ok()
                }
            };
        }
        self.busiest = self.busiest.max(looked_at);
    }

    /// Lets time act, then does what the machine asks for.
    fn take_effects(&mut self) {
        while self.machine.advance(self.now, 64).more {}
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Settle(settled) => self.hand_over(settled),
                Effect::Stop(stop) => {
                    self.searches.retain(|(attempt, _)| *attempt != stop.attempt);
                    let _ = self.machine.stopped(self.now, stop.attempt, None);
                }
                // No handles, emitters, subscribers, cache or intervals are used.
                _ => {}
            }
        }
    }

    fn hand_over(&mut self, settled: Settlement<Paths>) {
        let Some(unit) = settled.callback.and_then(|unit| self.units.get_mut(unit)) else { return };
        unit.asked = None;
        unit.longest_wait = unit.longest_wait.max(settled.times.waited());
        match settled.outcome {
            Outcome::Completed(path) if unit.is_alive => unit.path = path.into(),
            // It stays where it is, and asks for another way in the next frame.
            _ => {}
        }
    }

    /// The hero moves first. Which of the others comes next changes from frame to frame, or the last ones would always find the
    /// queue full: the priority of a task says when it is started, not whether there is room for it.
    fn move_units(&mut self) {
        let others = self.units.len() - 1;
        self.move_unit(Self::HERO);
        (0..others).for_each(|unit| self.move_unit(1 + (unit + self.first) % others));
        self.first += 1;
    }

    fn move_unit(&mut self, unit: usize) {
        let Some(Unit { at, path, asked, is_alive, .. }) = self.units.get_mut(unit) else { return };
        if let Some(next) = path.pop_front() {
            *at = next;
        } else if *is_alive && asked.is_none() {
            self.ask_for_path(unit);
        }
    }

    /// A game would rather have no path than an old one. One that is refused is asked for again in the next
    /// frame.
    fn ask_for_path(&mut self, unit: usize) {
        let Some(Unit { at, asked, .. }) = self.units.get_mut(unit) else { return };
        let request = Request { from: *at, to: self.grid.free_cell(&mut self.rng) };
        let offer = Offer::new(request, ()).route(Route::Callback(unit));
        let terms = if unit == Self::HERO { HURRIED.priority(Priority::HIGHEST) } else { HURRIED };
        *asked = self.machine.submit(self.now, offer, &terms).ok();
    }

    /// The unit is no more: nobody needs its path.
    fn kill(&mut self, unit: usize) {
        let Some(unit) = self.units.get_mut(unit) else { return };
        unit.is_alive = false;
        unit.path.clear();
        if let Some(task) = unit.asked {
            let _ = self.machine.cancel(self.now, task);
        }
    }

    /// Ends the machine: every request that is open is settled as cancelled, and what was left is told.
    fn end(mut self) -> Remains {
        self.machine.drain(self.now, Drain::Cancel);
        loop {
            while self.machine.advance(self.now, 64).more {}
            if let Some(Effect::Settle(settled)) = self.machine.poll_effect() {
                self.hand_over(settled);
            }
            if let Some(remains) = self.machine.remains() {
                return remains;
            }
        }
    }
}

struct Unit {
    at: Cell,
    /// The cells before it.
    path: VecDeque<Cell>,
    /// The task that is to find a path for it.
    asked: Option<TaskId>,
    is_alive: bool,
    longest_wait: Duration,
}

impl Unit {
    fn at(at: Cell) -> Self {
        Self { at, path: VecDeque::new(), asked: None, is_alive: true, longest_wait: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(frames: u32, seed: u64) -> anyhow::Result<Game> {
        let mut game = Game::new(seed, 100)?;
        (0..frames).for_each(|_| game.frame());
        Ok(game)
    }

    #[test]
    fn a_seed_plays_the_same_game() -> anyhow::Result<()> {
        let places = |game: &Game| game.units.iter().map(|unit| unit.at).collect::<Vec<_>>();
        let (one, two, other) = (played(300, 1)?, played(300, 1)?, played(300, 2)?);
        assert_eq!((places(&one), one.machine.totals()), (places(&two), two.machine.totals()));
        assert_ne!(places(&one), places(&other));
        Ok(())
    }

    #[test]
    fn no_frame_exceeds_its_budget_and_everything_balances() -> anyhow::Result<()> {
        let mut game = Game::new(3, 100)?;
        for _ in 0..600 {
            game.frame();
            assert_eq!(game.machine.census(), game.machine.audit());
        }
        assert_eq!(game.busiest, Game::BUDGET);
        let totals = game.machine.totals();
        assert_eq!(totals.late, 0);
        assert_eq!(totals.offered, totals.refused + totals.admitted);
        assert!(totals.refused > 0 && totals.settled.completed > 100, "{totals:?}");
        assert!(totals.settled.failed > 0 && totals.settled.timed_out > 0, "{totals:?}");
        let (unsettled, remains) = (game.machine.census().unsettled(), game.end());
        assert_eq!(u64::from(remains.cancelled), unsettled);
        assert_eq!(remains.totals.admitted, remains.totals.settled.total());
        Ok(())
    }

    #[test]
    fn units_walk_from_cell_to_cell_and_not_through_walls() -> anyhow::Result<()> {
        let mut game = Game::new(4, 50)?;
        for _ in 0..300 {
            let before: Vec<Cell> = game.units.iter().map(|unit| unit.at).collect();
            game.frame();
            for (unit, from) in game.units.iter().zip(before) {
                assert!(game.grid.is_free(unit.at));
                assert!(unit.at == from || from.neighbours().any(|next| next == unit.at));
            }
        }
        Ok(())
    }

    #[test]
    fn the_hero_waits_less_than_the_others() -> anyhow::Result<()> {
        let game = played(1_200, 5)?;
        let waits: Vec<Duration> = game.units.iter().map(|unit| unit.longest_wait).collect();
        let (hero, others) = waits.split_first().ok_or_else(|| anyhow::anyhow!("no units"))?;
        assert!(others.iter().all(|other| hero < other), "{waits:?}");
        Ok(())
    }

    #[test]
    fn a_search_ends_with_its_unit() -> anyhow::Result<()> {
        let mut game = played(30, 6)?;
        assert_eq!(game.searches.len(), 4);
        (0..game.units.len()).for_each(|unit| game.kill(unit));
        game.frame();
        let census = game.machine.census();
        assert_eq!((game.searches.len(), census.orphans, census.unsettled()), (0, 0, 0));
        Ok(())
    }
}
