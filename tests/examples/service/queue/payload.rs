//! A job as it lies in a queue: `duration_us=500 limit_us=41666 fate=completes key=17`, in any order, `limit_us` or not.

use std::fmt::Write;
use std::time::Duration;

use crate::arrivals::{Fate, Work};

/// Writes a job down, to the microsecond.
pub fn encode(work: &Work) -> String {
    let Work { duration, limit, fate, key } = work;
    let mut text = format!("duration_us={}", duration.as_micros());
    // Writing to a string does not fail.
    if let Some(limit) = limit {
        let _ = write!(text, " limit_us={}", limit.as_micros());
    }
    let _ = match fate {
        Fate::Completed => write!(text, " fate=completes"),
        Fate::Fails(u32::MAX) => write!(text, " fate=fails"),
        Fate::Fails(attempts) => write!(text, " fate=fails:{attempts}"),
        Fate::Panics => write!(text, " fate=panics"),
        Fate::Cancelled => write!(text, " fate=cancels"),
        Fate::Hangs => write!(text, " fate=hangs"),
    };
    let _ = write!(text, " key={key}");
    text
}

/// Reads a job, or says in a few words what is wrong with it.
pub fn decode(payload: &[u8]) -> Result<Work, String> {
    let text = std::str::from_utf8(payload).map_err(|_| "the payload is no text")?;
    let (mut duration, mut limit, mut fate, mut key) = (None, None, None, None);
    for field in text.split_ascii_whitespace() {
        let (name, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is no field"))?;
        let wrong = || format!("field `{name}` can't be `{value}`");
        let is_new = match name {
            "duration_us" => duration.replace(time(value).ok_or_else(wrong)?).is_none(),
            "limit_us" => limit.replace(time(value).ok_or_else(wrong)?).is_none(),
            "fate" => fate.replace(fate_of(value).ok_or_else(wrong)?).is_none(),
            "key" => key.replace(value.parse().map_err(|_| wrong())?).is_none(),
            _ => return Err(format!("field `{name}` is not known")),
        };
        if !is_new {
            return Err(format!("field `{name}` is there twice"));
        }
    }
    let missing = |name: &str| format!("field `{name}` is missing");
    Ok(Work {
        duration: duration.ok_or_else(|| missing("duration_us"))?,
        limit,
        fate: fate.ok_or_else(|| missing("fate"))?,
        key: key.ok_or_else(|| missing("key"))?,
    })
}

fn time(micros: &str) -> Option<Duration> {
    micros.parse().ok().map(Duration::from_micros)
}

fn fate_of(text: &str) -> Option<Fate> {
    Some(match text {
        "completes" => Fate::Completed,
        "fails" => Fate::Fails(u32::MAX),
        "panics" => Fate::Panics,
        "cancels" => Fate::Cancelled,
        "hangs" => Fate::Hangs,
        _ => Fate::Fails(text.strip_prefix("fails:")?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_out_as_it_was_written_down() {
        for fate in [
            Fate::Completed,
            Fate::Fails(1),
            Fate::Fails(u32::MAX),
            Fate::Panics,
            Fate::Cancelled,
            Fate::Hangs,
        ] {
            for limit in [None, Some(Duration::from_micros(41_666))] {
                let work = Work { duration: Duration::from_millis(7), limit, fate, key: 17 };
                assert_eq!(decode(encode(&work).as_bytes()), Ok(work));
            }
        }
        let work =
            Work { duration: Duration::from_nanos(500_999), limit: None, fate: Fate::Fails(2), key: 0 };
        assert_eq!(encode(&work), "duration_us=500 fate=fails:2 key=0");
    }

    #[test]
    fn what_is_no_job_says_why() {
        for (payload, why) in [
            ("", "field `duration_us` is missing"),
            ("hello", "`hello` is no field"),
            ("duration_us=-1 fate=fails key=1", "field `duration_us` can't be `-1`"),
            ("duration_us=1 fate=fails:x key=1", "field `fate` can't be `fails:x`"),
            ("duration_us=1 fate=sleeps key=1", "field `fate` can't be `sleeps`"),
            ("duration_us=1 fate=fails", "field `key` is missing"),
            ("duration_us=1 key=1 key=1", "field `key` is there twice"),
            ("duration_us=1 fate=fails key=1 color=red", "field `color` is not known"),
        ] {
            assert_eq!(decode(payload.as_bytes()), Err(why.to_owned()));
        }
        assert_eq!(decode(&[0xff]), Err("the payload is no text".to_owned()));
    }
}
