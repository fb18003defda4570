//! The Standard Workload Format: 18 fields a line, separated by white space, times in seconds.

use super::number::number;
use super::{Ending, Job, Why};

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

/// Reads one line; `None` if the job is to be skipped.
pub(super) fn parse(line: &[u8]) -> Result<Option<Job>, Why> {
    let mut fields = [None; NAMES.len()];
    let mut found = 0;
    for text in line.split(u8::is_ascii_whitespace).filter(|text| !text.is_empty()) {
        if let (Some(field), Some(name)) = (fields.get_mut(found), NAMES.get(found)) {
            *field = number(name, text, 3)?;
        }
        found += 1;
    }
    if found != NAMES.len() {
        return Err(Why::Fields { found, wanted: NAMES.len() });
    }
    let [_, submit, _, run, _, _, _, _, requested, _, status, _, _, executable, ..] = fields;
    Ok(submit.zip(run).map(|(arrival, duration)| Job {
        arrival,
        duration,
        limit: requested,
        key: executable.map_or(0, |thousandths| thousandths / 1_000),
        ending: match status {
            Some(0) => Ending::Failed,
            Some(5_000) => Ending::Cancelled,
            _ => Ending::Completed,
        },
    }))
}
