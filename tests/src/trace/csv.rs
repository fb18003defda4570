//! The CSV form: `arrival_ms,duration_ms,limit_ms,outcome,key`.

use super::number::number;
use super::{Ending, Record, Why};

const HEADER: [&str; 5] = ["arrival_ms", "duration_ms", "limit_ms", "outcome", "key"];

/// Whether this line is the header. It may stand before the first job only.
pub(super) fn is_header(line: &[u8]) -> bool {
    line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).eq(HEADER.map(str::as_bytes))
}

/// Reads one line.
pub(super) fn parse(line: &[u8]) -> Result<Record<'_>, Why> {
    let mut fields = [&[][..]; HEADER.len()];
    let mut found = 0;
    for text in line.split(|&byte| byte == b',') {
        if let Some(field) = fields.get_mut(found) {
            *field = text.trim_ascii();
        }
        found += 1;
    }
    if found != HEADER.len() {
        return Err(Why::Fields { found, wanted: HEADER.len() });
    }
    let ([arrival, duration, limit, outcome, key], [a, d, l, o, k]) = (fields, HEADER);
    let arrival = number(a, arrival, 0)?;
    let duration = number(d, duration, 0)?;
    let limit = number(l, limit, 0)?;
    let ending = ending(o, outcome)?;
    let unknown = ending.is_none().then_some(outcome);
    let ending = ending.unwrap_or(Ending::Completed);
    let key = number(k, key, 0)?.unwrap_or(0);
    Ok(Record { arrival, duration, limit, key, ending, unknown, is_long: false })
}

/// The outcome as a word, or as the number that a workload log has; only what looks like a number has to be one. `None` if it is
/// neither of those that are known.
fn ending(name: &'static str, text: &[u8]) -> Result<Option<Ending>, Why> {
    let word = text.first().is_some_and(u8::is_ascii_alphabetic);
    match text.to_ascii_lowercase().as_slice() {
        b"completed" | b"unknown" => Ok(Some(Ending::Completed)),
        b"failed" => Ok(Some(Ending::Failed)),
        b"cancelled" | b"canceled" => Ok(Some(Ending::Cancelled)),
        _ if word => Ok(None),
        _ => number(name, text, 0).map(Ending::of_status),
    }
}
