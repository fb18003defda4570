//! The report for programs.

use serde_json::{Map, Value, json};

use super::Report;

/// The keys of the ledger, in the order of the classes.
const KEYS: [&str; 11] = [
    "health_interval",
    "cleanup_interval",
    "listeners",
    "callbacks",
    "cache_at_end",
    "cache_size",
    "subscribers",
    "jobs",
    "timers",
    "sources",
    "deliveries",
];

impl Report {
    /// One object.
    pub fn to_json(&self) -> Value {
        let Self { answer, totals, memory, .. } = self;
        let ledger: Map<String, Value> = KEYS
            .iter()
            .zip(self.classes())
            .map(|(key, (_, account))| {
                let line = json!({
                    "admitted": account.entered,
                    "released": account.left,
                    "live": account.live(),
                    "highest": account.highest,
                    "bound": account.bound,
                });
                ((*key).to_owned(), line)
            })
            .collect();
        json!({
            "arrivals": answer.arrivals,
            "started": answer.started,
            "refused": answer.refused,
            "completed": answer.completed,
            "failed": answer.failed,
            "cancelled": answer.cancelled,
            "timed_out": answer.timed_out,
            "expired": totals.settled.expired,
            "panicked": totals.settled.panicked,
            "skipped": self.log.skipped,
            "remarks": self.log.remarks,
            "source": self.source.as_ref().map(|source| source.to_json(totals)),
            "max_queue": answer.max_queue,
            "max_running": answer.max_running,
            "total_wait_ms": answer.total_wait_ms,
            "max_wait_ms": answer.max_wait_ms,
            "makespan_ms": answer.makespan_ms,
            "retried": totals.retried,
            "orphaned": totals.orphaned,
            "late": totals.late,
            "late_panics": totals.late_panics,
            "abandoned": self.remains.map(|remains| remains.abandoned),
            "cache_hits": self.cache.hits,
            "cache_misses": self.cache.misses,
            "ledger": ledger,
            "live_bytes": memory.left,
            "footprint_bytes": memory.promised,
            "measured_bytes": memory.built,
            "simulated_s": self.simulated.as_secs_f64(),
            "wall_s": self.wall.as_secs_f64(),
            "balanced": self.balances(),
        })
    }
}
