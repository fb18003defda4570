//! Refusals by reason.

use crate::Refusal;

impl Refusal {
    /// How many reasons there are in this version.
    pub const COUNT: usize = 15;

    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Full,
        Self::Delayed,
        Self::Unclaimed,
        Self::UsedUp,
        Self::Untaken,
        Self::Backlog,
        Self::Closed,
        Self::Attempts,
        Self::NotRetained,
        Self::NotMonitored,
        Self::Lanes,
        Self::LaneFull,
        Self::Duplicate,
        Self::NotDeduplicated,
        Self::ZeroTimeout,
    ];

    /// The reason in a few lower case words, such as `lane full`. [`Display`](core::fmt::Display) says what to do about
    /// it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delayed => "delayed",
            Self::Unclaimed => "unclaimed",
            Self::UsedUp => "used up",
            Self::Untaken => "untaken",
            Self::Backlog => "backlog",
            Self::Closed => "closed",
            Self::Attempts => "attempts",
            Self::NotRetained => "not retained",
            Self::NotMonitored => "not monitored",
            Self::Lanes => "lanes",
            Self::LaneFull => "lane full",
            Self::Duplicate => "duplicate",
            Self::NotDeduplicated => "not deduplicated",
            Self::ZeroTimeout => "zero timeout",
        }
    }
}

/// A count for each [`Refusal`]. See [`Processor::refusals`](crate::Processor::refusals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByRefusal([u64; Refusal::COUNT]);

impl ByRefusal {
    /// The count for one reason.
    #[must_use]
    pub fn get(&self, reason: Refusal) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// The sum for all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    pub(crate) fn add(&mut self, reason: Refusal, count: u64) {
        if let Some(sum) = self.0.get_mut(reason as usize) {
            *sum = sum.wrapping_add(count);
        } else {
            debug_assert!(false, "each reason has a count");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        let mut counts = ByRefusal::default();
        for (index, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            counts.add(reason, 1 << index);
        }
        assert!(Refusal::ALL.iter().enumerate().all(|(index, reason)| counts.get(*reason) == 1 << index));
        assert_eq!(counts.total(), (1 << Refusal::COUNT) - 1);
    }
}
