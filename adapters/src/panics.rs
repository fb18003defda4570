//! Panics of foreign code: caught, and told in a bounded text.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plimsoll_core::Message;

/// What a handler said when it panicked. It is on the heap, as a panic itself is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
// One word, for every task has room for it.
#[allow(clippy::box_collection, reason = "a box of a string is a third as large")]
pub struct PanicMessage(Box<String>);

impl PanicMessage {
    /// Its text. Where the panic had a value that is no text, it says that.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for PanicMessage {
    fn from(text: String) -> Self {
        Self(Box::new(text))
    }
}

impl From<&str> for PanicMessage {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl AsRef<str> for PanicMessage {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for PanicMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PanicMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The value that a panic carries.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Runs foreign code. What it may leave half done is its own affair: nothing of it is looked at after a panic.
pub(crate) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(run))
}

/// Drops the value that a panic carried. If that panics too, the value of the second panic is leaked.
pub(crate) fn discard_panic(panic: Panic) {
    if let Err(again) = catch(|| drop(panic)) {
        std::mem::forget(again);
    }
}

/// The first of two panics; the value of the second one is dropped.
pub(crate) fn first_panic(first: Option<Panic>, second: Option<Panic>) -> Option<Panic> {
    match (first, second) {
        (Some(first), Some(second)) => {
            discard_panic(second);
            Some(first)
        }
        (first, second) => first.or(second),
    }
}

/// The text of a panic, as far as it is one.
pub(crate) fn panic_text(panic: &Panic) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panicked with a value that is no text")
}

/// An error as its `Debug` shows it. Runs that.
pub(crate) fn error_message(error: &impl fmt::Debug) -> Message {
    catch(|| Message::of(&format_args!("{error:?}"))).unwrap_or_else(|panic| {
        discard_panic(panic);
        Message::from("an error whose `Debug` panics")
    })
}
