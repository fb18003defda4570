//! The `TaskProcessor` itself.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use super::{
    AddOptions, Callback, EventEmitter, EventLoop, Leaks, ListenerId, Notice, Options, Settled, Subscriber,
    TimerId, Work,
};

/// The last error, for whoever asks what went wrong.
#[derive(Clone)]
pub struct LastError {
    /// What it says, at most 96 characters of it.
    pub message: String,
    /// Metadata of the task.
    pub metadata: String,
    /// How many tasks waited.
    pub pending: usize,
    /// How many ran.
    pub processing: usize,
    /// Leak 8: all of them, for debugging.
    tasks: Vec<Rc<Task>>,
}

impl LastError {
    /// How many bytes it takes itself, not counting what its tasks refer to.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = self.message.capacity() + self.metadata.capacity();
        size_of::<Self>() + text + self.tasks.capacity() * size_of::<Rc<Task>>()
    }
}

struct Task {
    id: u64,
    work: Work,
    timeout: Option<Duration>,
    metadata: String,
}

/// A task that runs, and its time-out.
struct Processing {
    task: Rc<Task>,
    timer: Option<TimerId>,
}

/// An attached source, with the listeners that it was given.
struct Source {
    emitter: EventEmitter<Vec<Work>>,
    listeners: [(&'static str, ListenerId); 3],
}

/// Runs functions, so many at a time. Clones share it, as references to one object do.
#[derive(Clone)]
pub struct TaskProcessor(Rc<State>);

struct State {
    events: EventLoop,
    options: Options,
    health: EventEmitter<Notice>,
    ids: Cell<u64>,
    destroyed: Cell<bool>,
    pending: RefCell<VecDeque<Rc<Task>>>,
    processing: RefCell<BTreeMap<u64, Processing>>,
    callbacks: RefCell<BTreeMap<u64, Callback>>,
    results: RefCell<BTreeMap<u64, (Duration, Settled)>>,
    subscribers: RefCell<BTreeMap<u64, Subscriber>>,
    cache: RefCell<BTreeMap<u64, Rc<dyn std::any::Any>>>,
    /// The cache's keys as they came.
    cache_order: RefCell<VecDeque<u64>>,
    last_error: RefCell<Option<LastError>>,
    source: RefCell<Option<Source>>,
    health_interval: Cell<Option<TimerId>>,
    cleanup_interval: Cell<Option<TimerId>>,
}

impl TaskProcessor {
    /// A processor on this event loop, with its intervals running.
    #[must_use]
    pub fn new(events: &EventLoop, options: Options) -> Self {
        let this = Self(Rc::new(State {
            events: events.clone(),
            options,
            health: EventEmitter::default(),
            ids: Cell::default(),
            destroyed: Cell::default(),
            pending: RefCell::default(),
            processing: RefCell::default(),
            callbacks: RefCell::default(),
            results: RefCell::default(),
            subscribers: RefCell::default(),
            cache: RefCell::default(),
            cache_order: RefCell::default(),
            last_error: RefCell::default(),
            source: RefCell::default(),
            health_interval: Cell::default(),
            cleanup_interval: Cell::default(),
        }));
        let interval = |every: Option<Duration>, run: fn(&Self)| {
            let captured = this.clone();
            every.map(|every| events.set_interval(every, move || run(&captured)))
        };
        this.0.health_interval.set(interval(options.health_every, Self::check_health));
        this.0.cleanup_interval.set(interval(options.cleanup_every, Self::cleanup));
        this
    }

    /// Adds a task and returns its promise; the options come back when the processor was destroyed.
    ///
    /// # Errors
    /// After [`destroy`](Self::destroy).
    pub fn add_task(&self, work: Work, options: AddOptions) -> Result<Promise, AddOptions> {
        if self.0.destroyed.get() {
            return Err(options);
        }
        let id = self.next_id();
        if let Some(callback) = options.callback {
            self.0.callbacks.borrow_mut().insert(id, callback);
        }
        let task = Task { id, work, timeout: options.timeout, metadata: options.metadata };
        self.0.pending.borrow_mut().push_back(Rc::new(task));
        self.process_soon();
        Ok(Promise { processor: self.clone(), id })
    }

    /// Takes tasks, batches and errors from an emitter.
    pub fn attach(&self, emitter: &EventEmitter<Vec<Work>>) {
        let add = |this: &Self, works: &Vec<Work>| {
            works.iter().for_each(|work| drop(this.add_task(work.clone(), AddOptions::default())));
        };
        let (task, batch, error) = (self.clone(), self.clone(), self.clone());
        let listeners = [
            ("task", emitter.on("task", move |works| add(&task, works))),
            ("batch", emitter.on("batch", move |works| add(&batch, works))),
            ("error", emitter.on("error", move |_| error.note_error("source failed", ""))),
        ];
        self.detach();
        *self.0.source.borrow_mut() = Some(Source { emitter: emitter.clone(), listeners });
    }

    /// Removes the listeners of the attached source, if there is one.
    pub fn detach(&self) {
        let source = self.0.source.borrow_mut().take();
        if let Some(Source { emitter, listeners }) = source {
            listeners.into_iter().for_each(|(event, id)| emitter.off(event, id));
        }
    }

    /// Caches a value, unless the processor was destroyed. A full cache forgets the key that came first.
    pub fn set_cache(&self, key: u64, value: Rc<dyn std::any::Any>) {
        if self.0.destroyed.get() {
            return;
        }
        let overwritten = self.0.cache.borrow_mut().insert(key, value);
        if overwritten.is_some() {
            return;
        }
        self.0.cache_order.borrow_mut().push_back(key);
        if self.0.options.leaks.cache_size {
            return;
        }
        if self.cache_len() > self.0.options.cache_size {
            let oldest = self.0.cache_order.borrow_mut().pop_front();
            let evicted = oldest.and_then(|oldest| self.0.cache.borrow_mut().remove(&oldest));
            drop(evicted);
        }
    }

    /// A cached value.
    #[must_use]
    pub fn get_cache(&self, key: u64) -> Option<Rc<dyn std::any::Any>> {
        self.0.cache.borrow().get(&key).cloned()
    }

    /// How many values are cached.
    #[must_use]
    pub fn cache_len(&self) -> usize {
        self.0.cache.borrow().len()
    }

    /// Tells `subscriber` of every event; the returned function unsubscribes it.
    pub fn subscribe(&self, subscriber: Subscriber) -> impl FnOnce() + use<> {
        let (id, this) = (self.next_id(), self.clone());
        self.0.subscribers.borrow_mut().insert(id, subscriber);
        move || drop(this.0.subscribers.borrow_mut().remove(&id))
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.0.subscribers.borrow().len()
    }

    /// Calls `listener` for every `health` event: the processor is an emitter itself.
    pub fn on_health(&self, listener: impl Fn(&Notice) + 'static) -> ListenerId {
        self.0.health.on("health", listener)
    }

    /// The last error, if there was one.
    #[must_use]
    pub fn last_error(&self) -> Option<LastError> {
        self.0.last_error.borrow().clone()
    }

    /// How many callbacks are kept.
    #[must_use]
    pub fn callbacks(&self) -> usize {
        self.0.callbacks.borrow().len()
    }

    /// How many tasks wait or run.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.0.pending.borrow().len() + self.0.processing.borrow().len()
    }

    /// Ends the processor: what has not settled is cancelled, and nothing is kept.
    pub fn destroy(&self) {
        if self.0.destroyed.replace(true) {
            return;
        }
        let Leaks { health_interval, cleanup_interval, listeners, cache_kept, subscribers, .. } =
            self.0.options.leaks;
        let clear = |timer: &Cell<Option<TimerId>>| {
            timer.take().into_iter().for_each(|timer| self.0.events.clear(timer));
        };
        if !health_interval {
            clear(&self.0.health_interval);
        }
        if !cleanup_interval {
            clear(&self.0.cleanup_interval);
        }
        if !listeners {
            self.detach();
        }
        self.cancel_all();
        if !cache_kept {
            self.0.cache_order.take();
            drop(self.0.cache.take());
        }
        if !subscribers {
            drop(self.0.subscribers.take());
        }
        self.0.results.take();
        drop(self.0.last_error.take());
    }

    fn cancel_all(&self) {
        let pending = self.0.pending.take();
        pending.iter().for_each(|task| self.finish(task, Settled::Cancelled));
        let running: Vec<u64> = self.0.processing.borrow().keys().copied().collect();
        running.into_iter().for_each(|id| self.settle(id, Settled::Cancelled));
    }

    fn next_id(&self) -> u64 {
        self.0.ids.set(self.0.ids.get() + 1);
        self.0.ids.get()
    }

    fn process_soon(&self) {
        let this = self.clone();
        self.0.events.set_immediate(move || while this.process_next() {});
    }

    /// Starts the next task, if there is one and it may run; whether it did.
    fn process_next(&self) -> bool {
        if self.0.processing.borrow().len() >= self.0.options.max_concurrency {
            return false;
        }
        let next = self.0.pending.borrow_mut().pop_front();
        let Some(task) = next else { return false };
        let id = task.id;
        let timer = task.timeout.map(|timeout| {
            let this = self.clone();
            self.0.events.set_timeout(timeout, move || this.settle(id, Settled::TimedOut))
        });
        self.0.processing.borrow_mut().insert(id, Processing { task: task.clone(), timer });
        let done = Done { processor: self.clone(), id };
        if catch_unwind(AssertUnwindSafe(|| (task.work)(done))).is_err() {
            self.settle(id, Settled::Thrown);
        }
        true
    }

    /// Settles a task that runs. One that has settled already keeps its outcome.
    fn settle(&self, id: u64, settled: Settled) {
        let over = self.0.processing.borrow_mut().remove(&id);
        let Some(Processing { task, timer }) = over else { return };
        if !self.0.options.leaks.timeouts {
            timer.into_iter().for_each(|timer| self.0.events.clear(timer));
        }
        match &settled {
            Settled::Failed(message) => self.note_error(message, &task.metadata),
            Settled::Thrown => self.note_error("task threw", &task.metadata),
            Settled::TimedOut => self.note_error("task timed out", &task.metadata),
            Settled::Completed(_) | Settled::Cancelled => {}
        }
        self.finish(&task, settled);
        self.process_soon();
    }

    /// Keeps the result, calls the callback and tells the subscribers.
    fn finish(&self, task: &Task, settled: Settled) {
        let mut callbacks = self.0.callbacks.borrow_mut();
        let callback = match self.0.options.leaks.callbacks {
            true => callbacks.get(&task.id).cloned(),
            false => callbacks.remove(&task.id),
        };
        drop(callbacks);
        callback.inspect(|callback| callback(&settled));
        let mut results = self.0.results.borrow_mut();
        results.insert(task.id, (self.0.events.now(), settled));
        while results.len() > self.0.options.max_results {
            results.pop_first();
        }
        drop(results);
        let subscribers: Vec<_> = self.0.subscribers.borrow().values().cloned().collect();
        let notice = self.notice("settled");
        subscribers.iter().for_each(|subscriber| subscriber(&notice));
    }

    fn note_error(&self, message: &str, metadata: &str) {
        let running = self.0.processing.borrow();
        let pending = self.0.pending.borrow();
        let mut error = LastError {
            message: message.chars().take(96).collect(),
            metadata: metadata.into(),
            pending: pending.len(),
            processing: running.len(),
            tasks: Vec::new(),
        };
        if self.0.options.leaks.last_error {
            error.tasks =
                pending.iter().chain(running.values().map(|running| &running.task)).cloned().collect();
        }
        drop((running, pending));
        let before = self.0.last_error.replace(Some(error));
        drop(before);
    }

    fn check_health(&self) {
        self.0.health.emit("health", &self.notice("health"));
    }

    fn cleanup(&self) {
        let (now, ttl) = (self.0.events.now(), self.0.options.result_ttl);
        self.0.results.borrow_mut().retain(|_, (at, _)| now.saturating_sub(*at) < ttl);
    }

    fn notice(&self, event: &'static str) -> Notice {
        let (pending, processing) = (self.0.pending.borrow().len(), self.0.processing.borrow().len());
        Notice { event, pending, processing }
    }
}

impl fmt::Debug for TaskProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notice { pending, processing, .. } = self.notice("debug");
        f.debug_struct("TaskProcessor").field("pending", &pending).field("processing", &processing).finish()
    }
}

/// The promise of a task's outcome.
#[derive(Clone, Debug)]
pub struct Promise {
    processor: TaskProcessor,
    id: u64,
}

impl Promise {
    /// The outcome, once there is one and while its result is kept.
    #[must_use]
    pub fn settled(&self) -> Option<Settled> {
        self.processor.0.results.borrow().get(&self.id).map(|(_, settled)| settled.clone())
    }
}

/// The `resolve` and `reject` of a task that runs. A task whose function lets go of it stays unsettled, until
/// its time-out.
#[derive(Debug)]
pub struct Done {
    processor: TaskProcessor,
    id: u64,
}

impl Done {
    /// Completes the task.
    pub fn resolve(self, value: u64) {
        self.processor.settle(self.id, Settled::Completed(value));
    }

    /// Fails the task.
    pub fn reject(self, message: &str) {
        self.processor.settle(self.id, Settled::Failed(message.into()));
    }
}
