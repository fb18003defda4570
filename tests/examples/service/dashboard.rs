//! The live line.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use plimsoll_core::{CacheStats, Census};

use crate::memory;
use crate::words::{bytes, grouped, span};

/// A line that is rewritten on a terminal twice a second, no wider than that. Elsewhere, and on a terminal that can't rewrite, it
/// is printed anew: every few seconds at first, then once a minute. It goes to the standard error, so that the standard
/// output has the report alone.
pub struct Dashboard {
    is_live: bool,
    started: Instant,
    shown: Instant,
    count: u64,
}

/// What the line tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// How much of it is done, from 0 to 1, if it has an end.
    pub progress: Option<f64>,
    /// How far it is.
    pub time: Duration,
    /// Tasks so far.
    pub count: u64,
    /// A processor at work.
    pub processor: Option<Processor>,
    /// Jobs that are left in a queue outside.
    pub left: Option<u64>,
    /// Whether that queue does not answer.
    pub is_down: bool,
}

/// A processor at work.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    pub queued: u32,
    pub running: u32,
    pub orphans: u32,
    pub hits: u64,
    pub misses: u64,
    /// Median and 99th percentile of the time in the queue, simulated.
    pub waits: [Duration; 2],
}

impl Processor {
    pub fn of(census: &Census, cache: &CacheStats, waits: [Duration; 2]) -> Self {
        let (queued, running, orphans) = (census.queued, census.running, census.orphans);
        Self { queued, running, orphans, hits: cache.hits, misses: cache.misses, waits }
    }
}

impl Dashboard {
    pub fn new() -> Self {
        let now = Instant::now();
        let rewrites = can_rewrite(std::env::var("TERM").ok().as_deref());
        Self { is_live: rewrites && stderr().is_terminal(), started: now, shown: now, count: 0 }
    }

    /// Shows the figures if it is time to. Cheap if it is not.
    pub fn tick(&mut self, figures: impl FnOnce() -> Figures) {
        let every = match self.started.elapsed().as_secs() {
            _ if self.is_live => Duration::from_millis(500),
            0..60 => Duration::from_secs(3),
            _ => Duration::from_secs(60),
        };
        if self.shown.elapsed() >= every {
            self.show(&figures());
        }
    }

    fn show(&mut self, figures: &Figures) {
        let now = Instant::now();
        let seconds = now.duration_since(self.shown).as_secs_f64().max(1e-9);
        let rate = (figures.count.saturating_sub(self.count)) as f64 / seconds;
        let parts = parts(figures, rate as u64, memory::resident_bytes());
        let mut out = stderr().lock();
        // Nobody is helped by an error when the terminal is gone.
        let _ = out.write_all(frame(&fit(&parts, columns()), self.is_live).as_bytes());
        let _ = out.flush();
        (self.shown, self.count) = (now, figures.count);
    }

    /// Says something on a line of its own.
    pub fn say(&mut self, text: &str) {
        let clear = if self.is_live { "\r\x1b[2K" } else { "" };
        let _ = writeln!(stderr(), "{clear}{text}");
    }

    /// Ends the live line; gives how long it all took.
    pub fn finish(self) -> Duration {
        if self.is_live {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
        self.started.elapsed()
    }
}

/// What shows the line: in place of the one before, or below it.
fn frame(line: &str, is_live: bool) -> String {
    if is_live { format!("\r\x1b[2K{line}") } else { format!("{line}\n") }
}

/// Whether a terminal of this kind can rewrite a line.
fn can_rewrite(term: Option<&str>) -> bool {
    !matches!(term, None | Some("" | "dumb"))
}

/// How wide the terminal is now. One that does not say has the usual width, and what is no terminal has any.
fn columns() -> usize {
    if !stderr().is_terminal() {
        return usize::MAX;
    }
    let size = terminal_size::terminal_size_of(stderr());
    size.map(|(width, _)| usize::from(width.0)).filter(|&columns| columns > 0).unwrap_or(80)
}

/// Parts of the line in their order, each with its rank: where there is too little room, those with the highest are left out.
fn parts(figures: &Figures, rate: u64, resident: Option<u64>) -> Vec<(u32, String)> {
    let time = span(figures.time);
    let first = match figures.progress {
        Some(progress) => format!("{:>3.0}% {time}", progress.clamp(0.0, 1.0) * 100.0),
        None => time,
    };
    let mut parts = vec![(0, first)];
    if figures.is_down {
        parts.push((1, "QUEUE IS DOWN".to_owned()));
    }
    if let Some(left) = figures.left {
        parts.push((2, format!("{} left", grouped(left))));
    }
    parts.push((2, format!("{}/s", grouped(rate))));
    if let Some(processor) = &figures.processor {
        let Processor { queued, running, orphans, hits, misses, waits: [median, high] } = processor;
        let hits = *hits as f64 * 100.0 / (hits + misses).max(1) as f64;
        parts.push((3, format!("queue {queued}")));
        parts.push((4, format!("running {running}")));
        parts.push((6, format!("orphans {orphans}")));
        parts.push((5, format!("wait p99 {}", span(*high))));
        parts.push((9, format!("p50 {}", span(*median))));
        parts.push((7, format!("cache {hits:.0}%")));
    }
    parts.extend(resident.map(|resident| (8, bytes(resident))));
    parts
}

/// As many parts as there is room for. A character short of the width, for some terminals go to the next line after the last one.
fn fit(parts: &[(u32, String)], columns: usize) -> String {
    const BETWEEN: &str = " | ";
    let most = columns.saturating_sub(1);
    let mut ranks: Vec<u32> = parts.iter().map(|(rank, _)| *rank).collect();
    ranks.sort_unstable();
    for &limit in ranks.iter().rev() {
        let fitting = parts.iter().filter(|(rank, _)| *rank <= limit).map(|(_, text)| text.as_str());
        let line = fitting.collect::<Vec<_>>().join(BETWEEN);
        if line.chars().count() <= most {
            return line;
        }
    }
    parts.first().map_or_else(String::new, |(_, text)| text.chars().take(most).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Vec<(u32, String)> {
        let processor = Processor {
            queued: 1_024,
            running: 1_000,
            orphans: 1_000,
            hits: 1,
            misses: 0,
            waits: [Duration::from_secs(86_399), Duration::from_secs(864_000)],
        };
        let figures = Figures {
            progress: Some(1.0),
            time: Duration::from_secs(213_517 * 86_400),
            count: 1,
            processor: Some(processor),
            left: Some(1_234_567),
            is_down: true,
        };
        parts(&figures, 1_234_567, Some(200 << 20))
    }

    #[test]
    fn the_line_is_never_wider_than_the_terminal() {
        let parts = busy();
        for columns in 0..200 {
            assert!(fit(&parts, columns).chars().count() <= columns.saturating_sub(1), "{columns}");
        }
        let whole = fit(&parts, usize::MAX);
        assert_eq!(
            whole,
            "100% 213517d 0h | QUEUE IS DOWN | 1,234,567 left | 1,234,567/s | queue 1024 | running 1000 \
             | orphans 1000 | wait p99 10d 0h | p50 23h 59m | cache 100% | 200.0 MiB"
        );
        assert_eq!(fit(&parts, whole.len() + 1), whole);
    }

    #[test]
    fn what_matters_most_stays() {
        let parts = busy();
        assert_eq!(
            fit(&parts, 80),
            "100% 213517d 0h | QUEUE IS DOWN | 1,234,567 left | 1,234,567/s | queue 1024"
        );
        assert_eq!(fit(&parts, 40), "100% 213517d 0h | QUEUE IS DOWN");
        assert_eq!(fit(&parts, 20), "100% 213517d 0h");
        assert_eq!(fit(&parts, 5), "100%");
    }

    #[test]
    fn a_terminal_that_can_not_rewrite_gets_lines() {
        assert_eq!([frame("1 %", true), frame("1 %", false)], ["\r\x1b[2K1 %", "1 %\n"]);
        assert_eq!(
            [None, Some(""), Some("dumb"), Some("xterm")].map(can_rewrite),
            [false, false, false, true]
        );
    }
}
