//! Text of a fixed size: a stored message keeps no other memory alive.

use core::fmt::{self, Write};

use arrayvec::ArrayString;

/// A text of at most [`Message::BYTES`] bytes, stored in place: it is `Copy` and allocates nothing.
///
/// Longer text is cut at a character boundary, and [`is_cut`](Self::is_cut) says so. The write that is cut and all
/// later ones fail, so a message is always a prefix of the text that was written, and a derived `Debug` stops as soon
/// as the message is full.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Message {
    text: ArrayString<{ Message::BYTES }>,
    cut: bool,
}

impl Message {
    /// How many bytes of text a message holds.
    pub const BYTES: usize = 96;

    pub(crate) const EMPTY: Self = Self { text: ArrayString::new_const(), cut: false };

    /// The text that `value` displays, cut to fit. This runs the value's own code, so call it outside any lock. Once
    /// the message is full, that code gets an error, so that a long text costs no more than a short one.
    #[must_use]
    pub fn of(value: &(impl fmt::Display + ?Sized)) -> Self {
        let mut message = Self::default();
        // An error comes from the value itself or from a full message; the text before it is kept.
        let _ = write!(message, "{value}");
        message
    }

    /// The text that was kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Whether the text was cut.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Write for Message {
    /// Appends what fits. O(bytes kept).
    ///
    /// # Errors
    /// The text does not fit, or an earlier one did not.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        let room = self.text.remaining_capacity();
        if text.len() <= room {
            return self.text.try_push_str(text).or(Err(fmt::Error));
        }
        self.cut = true;
        // A character has at most four bytes, so a boundary lies within three bytes of any place.
        let end = (0..=room).rev().find(|&end| text.is_char_boundary(end));
        let kept = end.and_then(|end| text.get(..end)).unwrap_or_default();
        let _ = self.text.try_push_str(kept);
        Err(fmt::Error)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        let mut message = Self::default();
        let _ = message.write_str(text);
        message
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Shows the text in quotes, followed by `…` if it was cut.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)?;
        f.write_str(if self.cut { "…" } else { "" })
    }
}

/// Its text, followed by `…` if it was cut.
#[cfg(feature = "serde")]
impl serde::Serialize for Message {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mark = if self.cut { "…" } else { "" };
        serializer.collect_str(&format_args!("{}{mark}", self.as_str()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alloc::{format, string::String, vec::Vec};
    use core::cell::Cell;

    #[test]
    fn its_size_is_constant() {
        assert_eq!(size_of::<Message>(), Message::BYTES + 8);
    }

    #[test]
    fn text_that_fits_is_kept_whole() {
        let exact = "x".repeat(Message::BYTES);
        for text in ["", "short", exact.as_str()] {
            let message = Message::from(text);
            assert_eq!((message.as_str(), message.is_cut()), (text, false));
        }
    }

    #[test]
    fn longer_text_is_cut_at_a_boundary() {
        for letter in ["x", "é", "€", "🦀"] {
            for shift in 0..4 {
                let text = format!("{}{}", "-".repeat(shift), letter.repeat(Message::BYTES + 1));
                let message = Message::from(text.as_str());
                assert!(message.is_cut() && text.starts_with(message.as_str()));
                assert!(Message::BYTES - message.as_str().len() < letter.len());
            }
        }
    }

    #[test]
    fn nothing_follows_a_cut() {
        let mut message = Message::from("x".repeat(Message::BYTES - 1).as_str());
        assert!(write!(message, "🦀").is_err() && write!(message, "y").is_err());
        assert!(message.is_cut() && message.as_str().ends_with('x'));
        assert_eq!(message.as_str().len(), Message::BYTES - 1);
    }

    #[test]
    fn a_full_message_ends_the_formatting() {
        struct Item<'a>(&'a Cell<u32>);
        impl fmt::Debug for Item<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.set(self.0.get() + 1);
                f.write_str("item")
            }
        }
        let written = Cell::new(0);
        let many: Vec<Item<'_>> = (0..1_000_000).map(|_| Item(&written)).collect();
        let message = Message::of(&format_args!("{many:?}"));
        // The separator after the 16th item does not fit.
        assert_eq!(written.get(), 16);
        assert!(message.is_cut() && message.as_str().starts_with("[item, item"));
        assert_eq!(message.as_str().len(), Message::BYTES);
    }

    #[test]
    fn a_value_that_fails_to_display_keeps_its_beginning() {
        struct Bad;
        impl fmt::Display for Bad {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(Message::of(&Bad), Message::from("half"));
        assert_eq!(Message::of("text"), Message::from("text"));
    }

    #[test]
    fn it_shows_its_text() {
        let whole = Message::from("a \"b\"");
        assert_eq!(format!("{whole}|{whole:?}|{whole:>6}"), "a \"b\"|\"a \\\"b\\\"\"| a \"b\"");
        let cut: String = format!("{:?}", Message::from("x".repeat(200).as_str()));
        assert!(cut.ends_with("x\"…"));
    }
}
