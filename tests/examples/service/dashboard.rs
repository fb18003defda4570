//! The live line.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::memory;
use crate::words::{bytes, grouped, span};

/// A line that is rewritten on a terminal twice a second, and printed anew every few seconds elsewhere. It
/// goes to the standard error, so that the standard output has the report alone.
pub struct Dashboard {
    terminal: bool,
    started: Instant,
    shown: Instant,
    offered: u64,
}

/// What the line tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// How much of it is done, from 0 to 1.
    pub progress: f64,
    pub simulated: Duration,
    pub offered: u64,
    pub queued: u32,
    pub running: u32,
    pub orphans: u32,
    pub hits: u64,
    pub misses: u64,
    /// Median and 99th percentile of the time in the queue, simulated.
    pub waits: [Duration; 2],
}

impl Dashboard {
    pub fn new() -> Self {
        let now = Instant::now();
        Self { terminal: stderr().is_terminal(), started: now, shown: now, offered: 0 }
    }

    /// Shows the figures if it is time to. Cheap if it is not.
    pub fn tick(&mut self, figures: impl FnOnce() -> Figures) {
        let every = if self.terminal { Duration::from_millis(500) } else { Duration::from_secs(3) };
        if self.shown.elapsed() >= every {
            self.show(&figures());
        }
    }

    fn show(&mut self, figures: &Figures) {
        let now = Instant::now();
        let seconds = now.duration_since(self.shown).as_secs_f64().max(1e-9);
        let rate = (figures.offered.saturating_sub(self.offered)) as f64 / seconds;
        let reads = (figures.hits + figures.misses).max(1);
        let line = format!(
            "{:>3.0}% {} | {}/s | queue {} running {} orphans {} | cache {:.0}% | {} resident | queued p50 {} p99 {}",
            figures.progress.clamp(0.0, 1.0) * 100.0,
            span(figures.simulated),
            grouped(rate as u64),
            figures.queued,
            figures.running,
            figures.orphans,
            figures.hits as f64 * 100.0 / reads as f64,
            memory::resident_bytes().map_or_else(|| "?".to_owned(), bytes),
            span(figures.waits[0]),
            span(figures.waits[1]),
        );
        let mut out = stderr().lock();
        // Nobody is helped by an error when the terminal is gone.
        let _ = if self.terminal { write!(out, "\r\x1b[2K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
        (self.shown, self.offered) = (now, figures.offered);
    }

    /// Says something on a line of its own.
    pub fn say(&mut self, text: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let _ = writeln!(stderr(), "{clear}{text}");
    }

    /// Ends the live line; gives how long it all took.
    pub fn finish(self) -> Duration {
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
        self.started.elapsed()
    }
}
