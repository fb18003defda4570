//! What travels in the headers of jobs and dead letters. Anybody may publish to the stream, so what is read may be any text; the
//! fuzz target `nats_headers` reads this file.

/// The header of a job's key.
pub(crate) const KEY: &str = "Plimsoll-Key";
const WHY: &str = "Plimsoll-Why";
const MESSAGE: &str = "Plimsoll-Message";
const DELIVERIES: &str = "Plimsoll-Deliveries";

/// What is written beside the payload of a dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) why: String,
    pub(crate) message: String,
    pub(crate) deliveries: u32,
    pub(crate) key: Option<u64>,
}

impl Letter {
    /// Reads the headers, of which each may be missing or may be nonsense.
    pub(crate) fn read<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Self {
        Self {
            why: header(WHY).unwrap_or_default().to_owned(),
            message: header(MESSAGE).unwrap_or_default().to_owned(),
            deliveries: header(DELIVERIES).and_then(|text| text.parse().ok()).unwrap_or(0),
            key: header(KEY).and_then(key),
        }
    }

    /// The headers to be written: each is one line.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let texts = [(WHY, one_line(&self.why)), (MESSAGE, one_line(&self.message))];
        let deliveries = (DELIVERIES, self.deliveries.to_string());
        let key = self.key.map(|key| (KEY, key.to_string()));
        texts.into_iter().chain([deliveries]).chain(key)
    }
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
        let letter =
            Letter { why: "failed".into(), message: "a\r\nb: c".into(), deliveries: 3, key: Some(u64::MAX) };
        let headers: HashMap<_, _> = letter.headers().collect();
        assert!(headers.values().all(|value| !value.contains(['\r', '\n'])));
        assert_eq!(read(&headers), Letter { message: "a  b: c".into(), ..letter });
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
