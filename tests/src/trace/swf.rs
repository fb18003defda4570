//! The Standard Workload Format: 18 fields a line, separated by white space, times in seconds.

use super::number::number;
use super::{Ending, Record, Why};

/// The fields, in order.
const NAMES: [&str; 18] = [
    "job number",
    "submit time",
    "wait time",
    "run time",
    "processors",
    "CPU time",
    "memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "preceding job",
    "think time",
];
/// Which of them is the status.
const STATUS: usize = 10;

/// Reads one line.
pub(super) fn parse(line: &[u8]) -> Result<Record<'_>, Why> {
    let mut fields = [None; NAMES.len()];
    let mut found = 0;
    let mut outcome = &[][..];
    for text in line.split(u8::is_ascii_whitespace).filter(|text| !text.is_empty()) {
        if let (Some(field), Some(name)) = (fields.get_mut(found), NAMES.get(found)) {
            *field = number(name, text, 3)?;
        }
        if found == STATUS {
            outcome = text;
        }
        found += 1;
    }
    if found < NAMES.len() {
        return Err(Why::Fields { found, wanted: NAMES.len() });
    }
    let [_, arrival, _, duration, _, _, _, _, limit, _, status, _, _, executable, ..] = fields;
    // In thousandths; a fraction makes a status none that is known.
    let status = status.map(|status| if status % 1_000 == 0 { status / 1_000 } else { u64::MAX });
    let ending = Ending::of_status(status);
    Ok(Record {
        arrival,
        duration,
        limit,
        key: executable.map_or(0, |thousandths| thousandths / 1_000),
        ending: ending.unwrap_or(Ending::Completed),
        unknown: ending.is_none().then_some(outcome),
        is_long: found > NAMES.len(),
    })
}
