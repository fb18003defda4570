//! What a check has found.

use std::fmt;
use std::time::Duration;

/// A promise that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What an executor promises, as the docs of [`Runtime`](crate::Runtime) and [`Timer`](crate::Timer) have it.
    pub promise: &'static str,
    /// What was seen instead.
    pub seen: String,
    /// Where the cause is likely to be.
    pub look_at: &'static str,
}

impl fmt::Display for Finding {
    /// In one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken: {}. Seen: {}. Look at: {}.", self.promise, self.seen, self.look_at)
    }
}

/// What a check has found, and what it has tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a report says what is wrong, and fails no test by itself"]
pub struct Report {
    pub(super) kept: Vec<&'static str>,
    pub(super) findings: Vec<Finding>,
    pub(super) untried: Vec<(&'static str, &'static str)>,
    pub(super) took: Duration,
}

impl Report {
    /// What is wrong: one finding for each promise that is broken, none for an executor that conforms.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The promises that were found kept.
    pub fn kept(&self) -> &[&'static str] {
        &self.kept
    }

    /// The promises that were not tried, each with the reason.
    pub fn untried(&self) -> &[(&'static str, &'static str)] {
        &self.untried
    }

    /// How long the check took.
    pub const fn took(&self) -> Duration {
        self.took
    }

    /// Asserts that there are no findings, for a test.
    ///
    /// # Panics
    /// With the whole report if there are.
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.findings.is_empty(), "the executor does not conform: {self}");
    }
}

impl fmt::Display for Report {
    /// Counts in one line, a line for each finding, and one for each reason not to try something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, broken, untried) = (self.kept.len(), self.findings.len(), self.untried.len());
        write!(f, "{kept} promises kept, {broken} broken, {untried} not tried, in {:.1?}", self.took)?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n- {finding}"))?;
        let mut last = None;
        for (promise, why) in &self.untried {
            let begins = last.replace(why) != Some(why);
            if begins { write!(f, "\n- Not tried, as {why}: {promise}")? } else { write!(f, "; {promise}")? }
        }
        Ok(())
    }
}
