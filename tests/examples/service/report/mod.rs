//! What is said at the end: the ledger, the totals, the footprint, and whether all of it balances.

mod json;
mod ledger;
mod source;

use std::cmp::Ordering;
use std::time::Duration;

use plimsoll_core::{Account, CacheStats, Census, Ledger, Remains, Totals};
use plimsoll_tests::replay::Answer;

use crate::words::{bytes, grouped};

pub use source::FromQueue;

/// Everything that is known when a run is over.
pub struct Report {
    /// What was run, in a few words.
    pub title: String,
    /// The answer, times in simulated milliseconds.
    pub answer: Answer,
    /// What was read of a log, if there was one.
    pub log: Log,
    /// What a durable queue was told, if there was one.
    pub source: Option<FromQueue>,
    /// The processor's own books.
    pub totals: Totals,
    pub ledger: Ledger,
    pub census: Census,
    /// What the end found, if it could tell.
    pub remains: Option<Remains>,
    /// The cache before it was emptied.
    pub cache: CacheStats,
    pub memory: Memory,
    /// Simulated and real time; nothing is simulated for a durable queue.
    pub simulated: Duration,
    pub wall: Duration,
    /// What the service counted by itself, as claims that hold or don't.
    pub claims: Vec<Claim>,
}

/// What was read of a log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Jobs that were left out, since it is not known how long they ran or when they arrived.
    pub skipped: u64,
    /// What was odd, in sentences.
    pub remarks: Vec<String>,
}

/// Bytes on the heap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What the limits promised that the processor takes.
    pub promised: u64,
    /// What it was seen to take when it was built, on the thread that built it.
    pub built: u64,
    /// What is still there after its end of what was not there before it was built.
    pub left: u64,
}

impl Memory {
    /// The promise is exact on x86_64, and a bound elsewhere.
    fn claim(self) -> Claim {
        let Self { promised, built, .. } = self;
        let exact = cfg!(target_arch = "x86_64");
        let holds = if exact { built == promised } else { built <= promised };
        Claim { holds, text: format!("built with {built} bytes of {promised} promised") }
    }

    /// The promise beside what was measured. Both to the byte where they differ, for rounded they may not seem to.
    fn words(self) -> String {
        let Self { promised, built, .. } = self;
        match built.cmp(&promised) {
            Ordering::Equal => format!("{} promised, and taken to the byte", bytes(promised)),
            Ordering::Less => {
                format!("{} of at most {} bytes promised were taken", grouped(built), grouped(promised))
            }
            Ordering::Greater => format!(
                "{} bytes promised, and {} more than that taken",
                grouped(promised),
                grouped(built - promised)
            ),
        }
    }
}

/// Something that has to be true at the end.
pub struct Claim {
    pub holds: bool,
    pub text: String,
}

impl Claim {
    pub fn equal(what: &str, left: u64, right: u64) -> Self {
        Self { holds: left == right, text: format!("{what}: {left} = {right}") }
    }
}

/// The nine ways to leak, each with the account that shows it.
fn classes(ledger: &Ledger) -> [(&'static str, Account); 9] {
    [
        ("health-check interval", ledger.health_intervals),
        ("cleanup interval", ledger.sweep_intervals),
        ("emitter listeners", ledger.listeners),
        ("callbacks", ledger.callbacks),
        ("cache entries at the end", ledger.cache),
        ("cache entries ever", ledger.cache),
        ("subscribers", ledger.subscribers),
        ("jobs (in last error: none)", ledger.jobs),
        ("task timers", ledger.timers),
    ]
}

/// The accounts of a durable queue's deliveries, which every other run leaves empty.
fn source_classes(ledger: &Ledger) -> [(&'static str, Account); 2] {
    [("sources", ledger.sources), ("deliveries", ledger.deliveries)]
}

impl Report {
    /// The accounts that are shown.
    fn classes(&self) -> Vec<(&'static str, Account)> {
        let mut accounts = classes(&self.ledger).to_vec();
        if self.source.is_some() {
            accounts.extend(source_classes(&self.ledger));
        }
        accounts
    }

    /// Every claim, the service's and the processor's.
    pub fn claims(&self) -> Vec<Claim> {
        let totals = &self.totals;
        let mut claims = vec![
            Claim::equal("offered = refused + admitted", totals.offered, totals.refused + totals.admitted),
            Claim::equal("admitted = settled", totals.admitted, totals.settled.total()),
            Claim { holds: self.census.is_empty(), text: format!("nothing is live: {:?}", self.census) },
            self.memory.claim(),
        ];
        claims.extend(self.classes().into_iter().map(|(name, account)| Claim {
            holds: account.entered == account.left && account.live() == 0 && account.highest <= account.bound,
            text: format!("{name}: {account:?}"),
        }));
        claims.extend(self.source.as_ref().map(|source| source.claim(totals)));
        claims.extend(self.claims.iter().map(|claim| Claim { holds: claim.holds, text: claim.text.clone() }));
        claims
    }

    /// Whether everything balances.
    pub fn balances(&self) -> bool {
        self.claims().iter().all(|claim| claim.holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_reads_as_what_it_is() {
        let words = |promised, built| Memory { promised, built, left: 0 }.words();
        assert_eq!(words(584_499, 584_499), "570.8 KiB promised, and taken to the byte");
        assert_eq!(words(584_499, 584_400), "584,400 of at most 584,499 bytes promised were taken");
        assert_eq!(words(584_499, 584_500), "584,499 bytes promised, and 1 more than that taken");
    }
}
