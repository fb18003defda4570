//! What is odd about a log that can be read all the same.

use std::fmt;

use super::cut;

/// How many lines are odd in one way, and which is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// How many.
    pub count: u64,
    /// The number of the first, from 1; 0 if there is none.
    pub first: u64,
}

impl Lines {
    /// Notes a line.
    pub(super) fn note(&mut self, line: u64) {
        self.count += 1;
        if self.first == 0 {
            self.first = line;
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }
}

/// What is odd about a log that can be read all the same. It prints as sentences, one a line, or as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// All lines of the log.
    pub lines: u64,
    /// Jobs that are read.
    pub jobs: u64,
    /// Jobs that are skipped, since their run time is unknown: they never ran.
    pub never_ran: Lines,
    /// Jobs that ran and are skipped, since their arrival is unknown: they can't be placed in time.
    pub never_arrived: Lines,
    /// Lines whose job arrives before one of a line above. They are sorted.
    pub unsorted: Lines,
    /// Outcomes with no known meaning. They count as completed.
    pub outcomes: Lines,
    /// The first of these outcomes, cut.
    pub outcome: String,
    /// Lines with more fields than the format has. What follows is not read.
    pub long: Lines,
}

impl Remarks {
    /// How many jobs are skipped.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.never_ran.count + self.never_arrived.count
    }

    /// Notes an outcome that is not known.
    pub(super) fn note_outcome(&mut self, line: u64, text: &[u8]) {
        if self.outcomes.is_empty() {
            self.outcome = cut(text);
        }
        self.outcomes.note(line);
    }

    /// Each remark as a sentence.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.jobs == 0 {
            sentences.push(format!("no job to run in {}", counted(self.lines, "line", "lines")));
        }
        let mut say = |lines: Lines, what: (&str, &str), then: &str| {
            if !lines.is_empty() {
                let (what, first) = (counted(lines.count, what.0, what.1), lines.first);
                sentences.push(format!("{what}: {then}; the first in line {first}"));
            }
        };
        let jobs = ("job", "jobs");
        say(self.never_ran, jobs, "never ran (the run time is -1), and skipped");
        say(self.never_arrived, jobs, "never arrived (the arrival is -1), and skipped");
        say(self.unsorted, ("line", "lines"), "earlier than a line above, and sorted");
        let outcome = format!("not known, and taken for completed, as `{}`", self.outcome);
        say(self.outcomes, ("outcome", "outcomes"), &outcome);
        say(self.long, ("line", "lines"), "more than 18 fields, of which the others are not read");
        sentences
    }
}

impl fmt::Display for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentences().iter().try_for_each(|sentence| writeln!(f, "{sentence}"))
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
