//! The CSV form: `arrival_ms,duration_ms,limit_ms,outcome,key`.

use super::number::number;
use super::{Ending, Job, Why};

const HEADER: [&str; 5] = ["arrival_ms", "duration_ms", "limit_ms", "outcome", "key"];

/// Whether this line is the header. It may stand before the first job only.
pub(super) fn is_header(line: &[u8]) -> bool {
    line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).eq(HEADER.map(str::as_bytes))
}

/// Reads one line; `None` if the job is to be skipped.
pub(super) fn parse(line: &[u8]) -> Result<Option<Job>, Why> {
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
    let key = number(k, key, 0)?.unwrap_or(0);
    Ok(arrival.zip(duration).map(|(arrival, duration)| Job { arrival, duration, limit, key, ending }))
}

/// The outcome as a word, or as the number that a workload log has. As there, whatever is neither failed
/// nor cancelled is completed; only what looks like a number has to be one.
fn ending(name: &'static str, text: &[u8]) -> Result<Ending, Why> {
    let word = text.first().is_some_and(u8::is_ascii_alphabetic);
    match text.to_ascii_lowercase().as_slice() {
        b"failed" => Ok(Ending::Failed),
        b"cancelled" | b"canceled" => Ok(Ending::Cancelled),
        _ if word => Ok(Ending::Completed),
        _ => Ok(match number(name, text, 0)? {
            Some(0) => Ending::Failed,
            Some(5) => Ending::Cancelled,
            _ => Ending::Completed,
        }),
    }
}
