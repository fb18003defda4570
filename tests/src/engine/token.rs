//! Values that are counted while they live, and that misbehave where a script says so.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::task::Wake;
use std::thread;

use super::plan::{Deed, Mood, Order};
use super::stage::Stage;

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Job,
    Output,
    Error,
    Callback,
    Future,
    Handler,
    Waker,
    Cached,
    Options,
    Maker,
}

impl Kind {
    /// How many kinds there are.
    pub const COUNT: usize = 10;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Job,
        Self::Output,
        Self::Error,
        Self::Callback,
        Self::Future,
        Self::Handler,
        Self::Waker,
        Self::Cached,
        Self::Options,
        Self::Maker,
    ];
}

/// How many tokens of each kind are alive.
#[derive(Debug, Default)]
pub struct Counts([AtomicI64; Kind::COUNT]);

impl Counts {
    /// Of this kind.
    pub fn of(&self, kind: Kind) -> i64 {
        self.0[kind as usize].load(SeqCst)
    }

    fn add(&self, kind: Kind, by: i64) {
        self.0[kind as usize].fetch_add(by, SeqCst);
    }
}

/// Panics without a message on the terminal.
pub(super) fn throw() -> ! {
    resume_unwind(Box::new("thrown by a script"))
}

/// A value that is counted as long as it lives.
pub struct Token {
    stage: Arc<Stage>,
    kind: Kind,
    mood: Mood,
}

impl Token {
    /// A new one.
    pub fn new(stage: &Arc<Stage>, kind: Kind, mood: Mood) -> Self {
        stage.counts.add(kind, 1);
        Self { stage: stage.clone(), kind, mood }
    }

    /// From now on it behaves, whatever it was made for: it has come out.
    pub fn calm(&mut self) {
        self.mood = Mood::Calm;
    }

    /// Where it belongs.
    pub fn stage(&self) -> &Arc<Stage> {
        &self.stage
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.stage.counts.add(self.kind, -1);
        match self.mood {
            // A second panic would abort the process.
            Mood::Panics if !thread::panicking() => throw(),
            Mood::Acts(deed) if !thread::panicking() => self.stage.act(deed),
            _ => {}
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

/// The job of a task.
#[derive(Debug)]
pub struct Job {
    /// Which task, in order of submission.
    pub task: u32,
    /// What it is to do.
    pub order: Order,
    /// What is counted.
    pub token: Token,
}

impl Job {
    /// The job of this task.
    pub fn new(stage: &Arc<Stage>, task: u32, order: Order) -> Self {
        Self { task, order, token: Token::new(stage, Kind::Job, order.job_mood()) }
    }

    /// Drops one that was handed back.
    pub fn come_back(mut self) {
        self.token.calm();
    }
}

impl Clone for Job {
    fn clone(&self) -> Self {
        if self.order.clone_panics() {
            self.token.stage.book().note_clone_panic(self.task);
            throw();
        }
        Self::new(&self.token.stage, self.task, self.order)
    }
}

/// What a handler returns, either way.
pub struct Value {
    /// Of which task.
    pub task: u32,
    debug_panics: bool,
    token: Token,
}

/// The output of a handler.
pub type Output = Value;
/// The error of a handler.
pub type Error = Value;

impl Value {
    /// A value of this task.
    pub fn new(stage: &Arc<Stage>, kind: Kind, task: u32, order: Order) -> Self {
        Self { task, debug_panics: order.debug_panics(), token: Token::new(stage, kind, order.value_mood()) }
    }

    /// Drops one that was handed out.
    pub fn come_out(mut self) {
        self.token.calm();
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.debug_panics {
            throw();
        }
        write!(f, "value of {}", self.task)
    }
}

/// Whether what a script waits for has become ready, as its waker was told.
pub struct Flag {
    woken: std::sync::atomic::AtomicBool,
    deed: Deed,
    token: Token,
}

impl Flag {
    /// One that was not woken, and that does this when it is.
    pub fn new(stage: &Arc<Stage>, deed: Deed) -> Arc<Self> {
        let token = Token::new(stage, Kind::Waker, Mood::Calm);
        Arc::new(Self { woken: false.into(), deed, token })
    }

    /// Whether it was woken.
    pub fn is_woken(&self) -> bool {
        self.woken.load(SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.token.stage.act(self.deed);
    }
}
