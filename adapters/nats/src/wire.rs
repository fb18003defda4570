//! What travels in the headers of jobs and dead letters. Anybody may publish to the stream, so what is read may be any text; the
//! fuzz target `nats_headers` reads this file.

/// The header of a job's key.
pub(crate) const KEY: &str = "Plimsoll-Key";
/// How many bytes an identity may have.
pub(crate) const LONGEST_ID: usize = 256;
const WHY: &str = "Plimsoll-Why";
const MESSAGE: &str = "Plimsoll-Message";
const DELIVERIES: &str = "Plimsoll-Deliveries";
const CUT: &str = "Plimsoll-Cut";

/// What is written beside the payload of a dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) why: String,
    pub(crate) message: String,
    pub(crate) deliveries: u32,
    pub(crate) key: Option<u64>,
    /// How many bytes the payload had, if not all of it is kept.
    pub(crate) cut: Option<usize>,
}

impl Letter {
    /// Reads the headers, of which each may be missing or may be nonsense.
    pub(crate) fn read<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Self {
        Self {
            why: header(WHY).unwrap_or_default().to_owned(),
            message: header(MESSAGE).unwrap_or_default().to_owned(),
            deliveries: header(DELIVERIES).and_then(|text| text.parse().ok()).unwrap_or(0),
            key: header(KEY).and_then(key),
            cut: header(CUT).and_then(|text| text.parse().ok()),
        }
    }

    /// The headers to be written: each is one line.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let texts = [(WHY, one_line(&self.why)), (MESSAGE, one_line(&self.message))];
        let deliveries = (DELIVERIES, self.deliveries.to_string());
        let key = self.key.map(|key| (KEY, key.to_string()));
        let cut = self.cut.map(|bytes| (CUT, bytes.to_string()));
        texts.into_iter().chain([deliveries]).chain(key).chain(cut)
    }
}

/// Whether an identity travels in a header as it is: servers take white space off its ends.
pub(crate) fn is_identity(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.trim() == id && !id.contains(['\r', '\n'])
}

/// The key in a header; `None` if it is no number.
pub(crate) fn key(header: &str) -> Option<u64> {
    header.parse().ok()
}

/// A line break in a header would begin another one.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(headers: &HashMap<&str, String>) -> Letter {
        Letter::read(|name| headers.get(name).map(String::as_str))
    }

    #[test]
    fn what_is_written_is_read() {
        let letter = Letter {
            why: "failed".into(),
            message: "a\r\nb: c".into(),
            deliveries: 3,
            key: Some(u64::MAX),
            cut: Some(7),
        };
        let headers: HashMap<_, _> = letter.headers().collect();
        assert!(headers.values().all(|value| !value.contains(['\r', '\n'])));
        assert_eq!(read(&headers), Letter { message: "a  b: c".into(), ..letter });
    }

    #[test]
    fn an_identity_travels_as_it_is() {
        assert!(["7", "a b", "é", &"x".repeat(LONGEST_ID)].into_iter().all(is_identity));
        let refused = ["", " 7", "7 ", "\t7", "7\u{a0}", "a\nb", "a\rb", &"x".repeat(LONGEST_ID + 1)];
        assert!(!refused.into_iter().any(is_identity));
    }

    #[test]
    fn nonsense_is_read_as_nothing() {
        for text in ["", "-1", "1.5", " 7", "99999999999999999999", "\u{0}", "٣"] {
            let headers = [DELIVERIES, KEY].map(|name| (name, text.to_owned())).into();
            assert_eq!(read(&headers), Letter::default(), "{text:?}");
        }
        assert_eq!(read(&HashMap::new()), Letter::default());
    }
}
