//! One episode: a processor from its first job to its end, and what is checked after that.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use plimsoll::{Batch, Builder, Cache, Cloning, Processor, Timeouts, batched};

use crate::actors::{self, Actor};
use crate::batches;
use crate::checks::{check_end, check_nothing_is_left};
use crate::dice::{chance, micros};
use crate::endings::Ender;
use crate::handler;
use crate::hearing::hear;
use crate::host::{Host, Place, Spawner};
use crate::lender::Lender;
use crate::names::{Check, End, Runtime};
use crate::parts::{Parts, draw_cache};
use crate::script::{Mood, draw_retry};
use crate::tokens::Kind;
use crate::values::{Quiet, Service};
use crate::watchdog;
use crate::world::{Owner, World, lock, wait_until};

/// Which episode.
#[derive(Clone, Copy, Debug)]
pub struct Episode {
    pub seed: u64,
    pub number: u64,
    pub runtime: Runtime,
    pub end: End,
    pub patience: Duration,
}

/// What was found, and how many jobs there were.
pub struct Found {
    pub findings: Vec<(Check, String)>,
    pub jobs: u64,
}

impl Episode {
    /// The options with which it is run again.
    pub fn label(&self) -> String {
        let Self { seed, number, runtime, end, .. } = self;
        format!("--seed {seed} --episode {number} --runtime {} --only {}", runtime.name(), end.name())
    }

    /// Runs it.
    pub fn run(&self, lender: &Lender) -> Result<Found, String> {
        let mut dice = Rng::with_seed(self.seed ^ self.number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mood = self.mood(&mut dice);
        let (host, spawner) = Host::start(self.runtime)?;
        let actors = dice.usize(1..5);
        let cache = Cache::with_weigher(draw_cache(&mut dice), |key, _| *key);
        let cache = cache.map_err(|error| error.to_string())?;
        let parts = self.parts(&mut dice);
        let world =
            World::new(self.runtime, mood, parts, spawner.clone(), lender.clone(), cache.clone(), actors);
        watchdog::watch(&self.label(), &world);
        let builder = draw_builder(&mut dice).timeouts(mood.timeouts).cache(&cache);
        let owner = build(&world, &spawner, parts.build(&mut dice, builder))?;
        if parts.schedules > 0 {
            let world = world.clone();
            owner.on_settled(move |settled| world.see_settled(settled));
        }
        drop(spawner);
        let _ = world.submitter.set(owner.submitter());
        let subscription = owner.subscribe().map_err(|error| error.to_string())?;
        *lock(&world.owner) = Some(owner);
        let hears = hear(world.clone(), subscription, world.tokens.token(Kind::Subscriber));
        let hears = Quiet::new(hears);
        let spawned = thread::Builder::new()
            .name("subscriber".to_owned())
            .spawn(move || futures::executor::block_on(hears))
            .map_err(|error| error.to_string())?;
        lock(&world.threads).push(spawned);
        self.spawn_actors(&world, &mut dice, actors)?;
        self.let_it_run(&world, &mut dice);

        let mut host = Some(host);
        let patience = self.patience;
        Ender { world: &world, host: &mut host, dice: &mut dice, patience }.end(self.end);
        self.end.count();
        self.runtime.count();
        check_end(&world, self.end, patience);
        watchdog::stage("stopping the runtime");
        drop(lock(&world.spawner).take());
        drop(host);
        check_nothing_is_left(&world, patience);
        for panic in watchdog::take_panics() {
            world.find(Check::Panic, panic);
        }
        watchdog::rest();
        let findings = std::mem::take(&mut *lock(&world.findings));
        Ok(Found { findings, jobs: world.admitted.load(SeqCst) })
    }

    fn mood(&self, dice: &mut Rng) -> Mood {
        let finite = match self.end {
            End::Graceful => true,
            End::RuntimeFirst => chance(dice, 50),
            _ => chance(dice, 20),
        };
        let start_to_close = chance(dice, 10).then_some(Duration::from_millis(4));
        let timeouts = Timeouts { start_to_close, ..Timeouts::NONE };
        Mood { finite, panics: chance(dice, 60), steps: dice.usize(1..7), timeouts }
    }

    fn parts(&self, dice: &mut Rng) -> Parts {
        let mut parts = Parts::draw(dice);
        if self.end == End::RuntimeFirst {
            // Everything is to be settled before the runtime goes.
            parts.schedules = 0;
        }
        parts
    }

    fn spawn_actors(&self, world: &Arc<World>, dice: &mut Rng, actors: usize) -> Result<(), String> {
        for index in 0..actors {
            let on_runtime = chance(dice, 50);
            let place = if on_runtime { world.place } else { Place::Anywhere };
            let (token, actions) = (world.tokens.token(Kind::Actor), dice.usize(3..30));
            let actor = Actor { world: world.clone(), index, dice: dice.fork(), place, actions, token };
            if on_runtime {
                world.spawn(Quiet::new(actor.act()));
            } else {
                let spawned = actors::on_thread(actor).map_err(|error| error.to_string())?;
                lock(&world.threads).push(spawned);
            }
        }
        Ok(())
    }

    /// For a while, or until the submitters are done.
    fn let_it_run(&self, world: &Arc<World>, dice: &mut Rng) {
        watchdog::stage("running");
        let most = if chance(dice, 20) { 500 } else { 15_000 };
        let pause = micros(dice, most);
        if world.mood.finite && chance(dice, 60) {
            if !wait_until(self.patience, || world.tokens.alive(Kind::Actor) == 0) {
                let census = world.submitter().census();
                world.find(Check::Stuck, format!("submitters are not done: {world:?}, {census:?}"));
            }
        } else {
            thread::sleep(pause);
        }
    }
}

/// The processor of a world, which takes jobs one by one or in batches.
fn build(world: &Arc<World>, spawner: &Spawner, builder: Builder<Cloning>) -> Result<Owner, String> {
    let handlers = world.clone();
    match world.parts.batching {
        None => spawner.build(builder, move |job, cx| handler::attempt(&handlers, job, cx)),
        Some((most, batching)) => {
            let call = move |batch: Batch<Service>| batches::call(&handlers, batch, most);
            spawner.build(builder, batched(batching, call))
        }
    }
}

/// Small limits, so that each is reached.
fn draw_builder(dice: &mut Rng) -> Builder<Cloning> {
    let ms = Duration::from_millis;
    let grace = [Duration::ZERO, Duration::ZERO, ms(1), ms(20), Duration::MAX][dice.usize(0..5)];
    let attempts = dice.u32(2..5);
    let mut builder = Processor::builder()
        .queue(dice.u32(0..14))
        .concurrency(dice.u32(1..9))
        .unclaimed(dice.u32(1..24))
        .waiters(dice.u32(0..4))
        .sleeps(dice.u32(0..3))
        .emitters(dice.u32(0..3))
        .subscribers(dice.u32(1..4))
        .events(dice.u32(1..64))
        .attempts(attempts)
        .results(dice.u32(0..4), chance(dice, 50).then(|| ms(3)))
        .cancel_grace(grace)
        .seed(dice.u64(..));
    if chance(dice, 30) {
        builder = builder.orphans(dice.u32(1..4));
    }
    if chance(dice, 30) {
        builder = builder.health_every(ms(dice.u64(1..6)));
    }
    if chance(dice, 30) {
        builder = builder.sweep_every(ms(dice.u64(1..6)));
    }
    let retry = draw_retry(dice);
    builder.retry(retry.attempts(retry.total().min(attempts)))
}
