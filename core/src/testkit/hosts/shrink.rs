//! Makes a script shorter that breaks a promise.

use super::finding::Finding;
use super::script::Script;

/// How many scripts are tried at most.
const MOST_TRIES: u32 = 500;

/// Leaves out steps for as long as the same promise is broken: all that were not made, then halves, single steps
/// last, these until every one is needed, or [`MOST_TRIES`] are made.
pub(super) fn shrunk(found: Finding, mut check: impl FnMut(&Script) -> Option<Finding>) -> Finding {
    let (mut best, mut tries) = (found, 0);
    let mut try_without = |best: &mut Finding, start, count| {
        if tries >= MOST_TRIES {
            return false;
        }
        tries += 1;
        let shorter = best.script.without(start, count);
        let found = check(&shorter).filter(|found| found.promise == best.promise);
        found.map(|found| *best = found).is_some()
    };
    let made = best.step.saturating_add(1);
    try_without(&mut best, made, usize::MAX);
    let mut count = best.script.len().div_ceil(2);
    while count > 0 {
        let (mut start, mut is_shorter) = (0, false);
        while start < best.script.len() {
            if try_without(&mut best, start, count) {
                is_shorter = true;
            } else {
                start += count;
            }
        }
        if count > 1 || !is_shorter {
            count /= 2;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::finding::Promise;
    use super::*;
    use crate::Instant;

    #[test]
    fn a_long_script_of_which_every_step_is_needed_takes_no_more_runs_than_said() {
        let script = Script::from_bytes(&[0; 10_000]);
        let what = "it shows with all of its steps only".into();
        let step = script.len();
        let found = Finding { promise: Promise::End, what, step, at: Instant::ZERO, script };
        let mut runs = 0;
        let shrunk = shrunk(found.clone(), |_| {
            runs += 1;
            None
        });
        assert_eq!((runs, shrunk), (MOST_TRIES, found));
    }
}
