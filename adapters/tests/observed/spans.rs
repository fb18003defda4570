//! A subscriber that keeps every span, and how often each is held.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest, Subscriber, set_default};
use tracing::{Event, Metadata};
use tracing_core::span::Current;

/// A span as its subscriber sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) is_root: bool,
    pub(crate) follows: Vec<u64>,
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// How often it was entered, and how many handles there are.
    pub(crate) entered: u32,
    pub(crate) held: u32,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// All spans there were, by their numbers from 1. Cloning gives a further handle.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    spans: Vec<Seen>,
    metadata: Vec<&'static Metadata<'static>>,
    /// Those that are entered, the innermost last.
    stack: Vec<u64>,
    /// Called by every call.
    look: Option<Arc<dyn Fn() + Send + Sync>>,
    /// No span of this target is wanted.
    without: Option<&'static str>,
}

impl Spans {
    /// Sees the spans of this thread, until the guard is dropped.
    pub(crate) fn watch(&self) -> DefaultGuard {
        set_default(self.clone())
    }

    pub(crate) fn set_look(&self, look: impl Fn() + Send + Sync + 'static) {
        self.lock().look = Some(Arc::new(look));
    }

    pub(crate) fn set_without(&self, target: &'static str) {
        self.lock().without = Some(target);
    }

    /// The spans of attempts, in order.
    pub(crate) fn attempts(&self) -> Vec<Seen> {
        self.lock().spans.iter().filter(|span| span.target == "plimsoll").cloned().collect()
    }

    /// How many spans are open.
    pub(crate) fn open(&self) -> usize {
        self.lock().spans.iter().filter(|span| span.held > 0).count()
    }

    /// The field of the innermost span that is entered.
    pub(crate) fn current(&self, field: &str) -> Option<String> {
        let state = self.lock();
        let current = *state.stack.last()?;
        state.spans[current as usize - 1].field(field).map(str::to_owned)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn look(&self) {
        let look = self.lock().look.clone();
        if let Some(look) = look {
            look();
        }
    }

    fn change<T>(&self, span: &Id, change: impl FnOnce(&mut Seen) -> T) -> T {
        self.look();
        change(&mut self.lock().spans[span.into_u64() as usize - 1])
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.lock().without != Some(metadata.target())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.look();
        let metadata = attributes.metadata();
        let mut span = Seen { name: metadata.name(), target: metadata.target(), held: 1, ..Seen::default() };
        span.is_root = attributes.is_root();
        attributes.record(&mut span);
        let mut state = self.lock();
        state.spans.push(span);
        state.metadata.push(metadata);
        Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.change(span, |span| values.record(span));
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        assert!(
            self.lock().spans[follows.into_u64() as usize - 1].held > 0,
            "a span follows from an open one"
        );
        self.change(span, |span| span.follows.push(follows.into_u64()));
    }

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.change(span, |span| span.entered += 1);
        self.lock().stack.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        self.look();
        assert_eq!(self.lock().stack.pop(), Some(span.into_u64()));
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.change(span, |span| span.held += 1);
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        self.change(&span, |span| {
            span.held -= 1;
            span.held == 0
        })
    }

    fn current_span(&self) -> Current {
        let state = self.lock();
        let Some(current) = state.stack.last().copied() else { return Current::none() };
        Current::new(Id::from_u64(current), state.metadata[current as usize - 1])
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
}
