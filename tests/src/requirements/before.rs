//! The leaky processor as a subject.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::{Emitter, Ending, Held, Setup, Subject, Tally, Task, Token, Work};
use crate::before::{
    AddOptions, EventEmitter, EventLoop, Leaks, Notice, Options, Settled, TaskProcessor, Work as Function,
};

/// An event loop, and what the processors in it are like.
#[derive(Debug, Default)]
pub struct BeforeWorld {
    events: EventLoop,
    leaks: Leaks,
}

impl BeforeWorld {
    /// An event loop for processors with these leaks.
    #[must_use]
    pub fn new(leaks: Leaks) -> Self {
        Self { leaks, ..Self::default() }
    }
}

/// A [`TaskProcessor`] that its user still refers to after having destroyed it.
#[derive(Debug)]
pub struct Before {
    processor: TaskProcessor,
    events: EventLoop,
    intervals: Cell<usize>,
}

impl Subject for Before {
    type World = BeforeWorld;
    type Emitter = SharedEmitter;
    type Task = ();
    type Subscription = Box<dyn FnOnce()>;

    const CANCELS: bool = false;

    fn let_pass(world: &BeforeWorld, time: Duration) {
        world.events.run_for(time);
    }

    fn world_timers(world: &BeforeWorld) -> usize {
        world.events.timers()
    }

    fn emitter(_: &BeforeWorld) -> SharedEmitter {
        let (emitter, heard) = (EventEmitter::default(), Rc::new(Cell::new(0)));
        for event in EVENTS {
            let heard = heard.clone();
            emitter.on(event, move |_| heard.set(heard.get() + 1));
        }
        SharedEmitter { emitter, heard }
    }

    fn create(world: &BeforeWorld, setup: Setup) -> Self {
        let defaults = Options::default();
        let Setup { concurrency, cache, health_every, cleanup_every, context } = setup;
        let options = Options {
            max_concurrency: if concurrency == 0 { defaults.max_concurrency } else { concurrency as usize },
            cache_size: cache as usize,
            health_every,
            cleanup_every,
            leaks: world.leaks,
            ..defaults
        };
        let intervals = usize::from(health_every.is_some()) + usize::from(cleanup_every.is_some());
        let processor = TaskProcessor::new(&world.events, options);
        // A listener of the processor's own events is referred to by the processor alone.
        processor.on_health(move |_| _ = &context);
        Self { processor, events: world.events.clone(), intervals: Cell::new(intervals) }
    }

    fn add(&self, task: Task) -> Option<()> {
        let Task { work, timeout, payload, callback, .. } = task;
        let callback = callback.map(|callback| {
            let callback: Rc<dyn Fn(&Settled)> = Rc::new(move |settled| callback(ending(settled)));
            callback
        });
        let options = AddOptions { timeout, callback, ..AddOptions::default() };
        self.processor.add_task(function(work, payload), options).ok().map(drop)
    }

    fn cancel(&self, (): &()) {}

    fn attach(&mut self, emitter: &SharedEmitter) {
        self.processor.attach(&emitter.emitter);
    }

    fn detach(&mut self) {
        self.processor.detach();
    }

    fn cache_set(&self, key: u64, value: Token) {
        self.processor.set_cache(key, Rc::new(value));
    }

    fn cache_get(&self, key: u64) -> bool {
        self.processor.get_cache(key).is_some()
    }

    fn subscribe(&self, context: Token) -> Box<dyn FnOnce()> {
        let captured = move |_: &Notice| _ = &context;
        Box::new(self.processor.subscribe(Rc::new(captured)))
    }

    fn unsubscribe(&self, subscription: Box<dyn FnOnce()>) {
        subscription();
    }

    fn watch_health(&self, seen: Arc<AtomicUsize>) {
        self.processor.on_health(move |_| _ = seen.fetch_add(1, SeqCst));
    }

    fn last_error_bytes(&self) -> Option<usize> {
        self.processor.last_error().map(|error| error.bytes())
    }

    fn held(&self) -> Held {
        Held {
            timers: self.events.timers(),
            intervals: self.intervals.get(),
            callbacks: self.processor.callbacks(),
            cached: self.processor.cache_len(),
            subscribers: self.processor.subscribers(),
        }
    }

    fn end(&mut self) {
        self.processor.destroy();
        self.intervals.set(0);
    }
}

const EVENTS: [&str; 3] = ["task", "batch", "error"];

/// The original's emitter, with a stranger's listeners.
#[derive(Debug)]
pub struct SharedEmitter {
    emitter: EventEmitter<Vec<Function>>,
    heard: Rc<Cell<usize>>,
}

impl Emitter for SharedEmitter {
    fn listeners(&self) -> [usize; 3] {
        EVENTS.map(|event| self.emitter.listener_count(event))
    }

    fn emit(&self, payload: &Tally) {
        let job = || function(Work::Complete, Some(payload.token()));
        self.emitter.emit("error", &vec![]);
        self.emitter.emit("task", &vec![job()]);
        self.emitter.emit("batch", &vec![job(), job()]);
    }

    fn heard(&self) -> usize {
        self.heard.get()
    }
}

fn function(work: Work, payload: Option<Token>) -> Function {
    Rc::new(move |done| {
        let _captured = &payload;
        match work {
            Work::Complete => done.resolve(1),
            Work::Fail => done.reject("failed"),
            // Thrown without the panic hook's message, which would fill the output.
            Work::Panic => resume_unwind(Box::new("thrown")),
            Work::Hang => drop(done),
        }
    })
}

fn ending(settled: &Settled) -> Ending {
    match settled {
        Settled::Completed(_) => Ending::Completed,
        Settled::Failed(_) => Ending::Failed,
        Settled::Thrown => Ending::Panicked,
        Settled::TimedOut => Ending::TimedOut,
        Settled::Cancelled => Ending::Cancelled,
    }
}
