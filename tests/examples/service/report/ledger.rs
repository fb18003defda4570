//! The report for people.

use std::fmt;

use plimsoll_core::OutcomeKind;

use super::Report;
use crate::words::{bytes, grouped, span};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answer, totals, memory, .. } = self;
        let per_second = totals.offered as f64 / self.wall.as_secs_f64().max(1e-9);
        writeln!(f, "{}", self.title)?;
        writeln!(
            f,
            "{} tasks{} in {:.2} s: {} tasks/s",
            grouped(totals.offered),
            if self.source.is_some() {
                String::new()
            } else {
                format!(", {} simulated", span(self.simulated))
            },
            self.wall.as_secs_f64(),
            grouped(per_second as u64),
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "{:<30}{:>14}{:>14}{:>10}{:>10}{:>12}",
            "ledger", "admitted", "released", "live now", "highest", "bound"
        )?;
        for (number, (name, account)) in (1..).zip(self.classes()) {
            writeln!(
                f,
                "{number:>2} {name:<27}{:>14}{:>14}{:>10}{:>10}{:>12}",
                grouped(account.entered),
                grouped(account.left),
                account.live(),
                grouped(account.highest.into()),
                grouped(account.bound.into()),
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "arrivals {}, refused {}, admitted {}, started {}, retried {}, orphaned {}, late {}, late panics {}",
            totals.offered,
            totals.refused,
            totals.admitted,
            totals.started,
            totals.retried,
            totals.orphaned,
            totals.late,
            totals.late_panics,
        )?;
        write!(f, "settled  {}", totals.settled.total())?;
        for kind in OutcomeKind::ALL {
            write!(f, ", {kind} {}", totals.settled.get(kind))?;
        }
        writeln!(f)?;
        for remark in &self.log.remarks {
            writeln!(f, "log      {remark}")?;
        }
        if let Some(source) = &self.source {
            source.show(totals, f)?;
        }
        writeln!(
            f,
            "queue    longest {}, most running {}, waited {} ms in all and {} ms at most, makespan {} ms",
            answer.max_queue,
            answer.max_running,
            answer.total_wait_ms,
            answer.max_wait_ms,
            answer.makespan_ms,
        )?;
        writeln!(
            f,
            "cache    {} hits, {} misses, {} evicted, {} expired",
            self.cache.hits, self.cache.misses, self.cache.evicted, self.cache.expired,
        )?;
        if let Some(remains) = &self.remains {
            writeln!(
                f,
                "remains  {} abandoned, {} cancelled, {} discarded, {} detached, {} subscribers, {} cached",
                remains.abandoned,
                remains.cancelled,
                remains.discarded,
                remains.detached,
                remains.subscribers,
                remains.cached,
            )?;
        }
        writeln!(f, "memory   {}; {} left at the end", memory.words(), bytes(memory.left),)?;
        for claim in self.claims().iter().filter(|claim| !claim.holds) {
            writeln!(f, "DOES NOT HOLD: {}", claim.text)?;
        }
        writeln!(f, "{}", if self.balances() { "everything balances" } else { "THE BOOKS DO NOT BALANCE" })
    }
}
