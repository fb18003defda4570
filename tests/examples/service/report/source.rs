//! What came from a durable queue, and what it was told.

use std::fmt;

use plimsoll_core::Totals;
use serde_json::{Value, json};

use super::Claim;
use crate::queue::{self, Stock};

/// What the processor's own books do not say about its source.
pub struct FromQueue {
    /// Which queue.
    pub queue: String,
    /// Verdicts that the queue has not confirmed by the end. It delivers these jobs again.
    pub unconfirmed: u32,
    /// Whether the end was cut off. Then the queue may confirm verdicts that the processor has given up waiting for.
    pub is_cut: bool,
    /// What is left in it, if it has said. Others may share it.
    pub stock: Option<Stock>,
}

impl FromQueue {
    /// What holds however many processes share the queue.
    pub fn claim(&self, totals: &Totals) -> Claim {
        let told = totals.confirmed + u64::from(self.unconfirmed);
        if self.is_cut {
            let text =
                format!("jobs pulled >= verdicts confirmed + unconfirmed: {} >= {told}", totals.pulled);
            return Claim { holds: totals.pulled >= told, text };
        }
        Claim::equal("jobs pulled = verdicts confirmed + unconfirmed", totals.pulled, told)
    }

    pub fn show(&self, totals: &Totals, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "source   pulled {}, of which redelivered {}; confirmed {}, of which dead {}, stale {}; unconfirmed {}, errors {}",
            totals.pulled,
            totals.redelivered,
            totals.confirmed,
            totals.dead,
            totals.stale,
            self.unconfirmed,
            totals.source_errors,
        )?;
        writeln!(f, "{}", queue::left(&self.queue, self.stock))
    }

    pub fn to_json(&self, totals: &Totals) -> Value {
        json!({
            "queue": self.queue,
            "pulled": totals.pulled,
            "redelivered": totals.redelivered,
            "confirmed": totals.confirmed,
            "dead": totals.dead,
            "stale": totals.stale,
            "unconfirmed": self.unconfirmed,
            "errors": totals.source_errors,
            "jobs_left": self.stock.map(|stock| stock.jobs),
            "dead_letters": self.stock.map(|stock| stock.dead),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_its_verdict_unless_the_end_was_cut_off() {
        let holds = |unconfirmed, is_cut| {
            let mut totals = Totals::default();
            (totals.pulled, totals.confirmed) = (40, 30);
            FromQueue { queue: String::new(), unconfirmed, is_cut, stock: None }.claim(&totals).holds
        };
        assert_eq!([10, 9, 11].map(|unconfirmed| holds(unconfirmed, false)), [true, false, false]);
        assert_eq!([10, 0, 11].map(|unconfirmed| holds(unconfirmed, true)), [true, true, false]);
    }
}
