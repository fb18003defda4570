//! `--produce`: puts what would arrive at a service into a durable queue, when it would arrive.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::arrivals::Arrival;
use crate::dashboard::{Dashboard, Figures};
use crate::live::{Pace, Scene};
use crate::queue::{self, Location, Stock};
use crate::report::Log;
use crate::signals;
use crate::words::{factor, grouped};

/// Jobs that are put in together at most.
const TOGETHER: usize = 1_000;
/// How long the producer waits at a time.
const WAIT: Duration = Duration::from_millis(20);

/// What was put in.
pub struct Produced {
    queue: String,
    title: String,
    pub jobs: u64,
    /// What is in the queue now, whoever has put it in.
    stock: Option<Stock>,
    wall: Duration,
    log: Log,
}

/// Puts the arrivals of a scene in, to its end or until Ctrl-C. A queue that can't keep up is not overtaken: the rest comes later.
pub fn produce(location: &Location, scene: Scene<impl Iterator<Item = Arrival>>) -> Result<Produced, String> {
    let engine = queue::runtime()?;
    let queue = location.open(&engine)?;
    let mut dashboard = Dashboard::new();
    let pace = Pace::start(scene.speed);
    let mut arrivals = scene.arrivals.peekable();
    let mut jobs = 0;
    while arrivals.peek().is_some() && signals::interrupts() == 0 {
        let due = std::iter::from_fn(|| arrivals.next_if(|arrival| pace.until(arrival.at).is_zero()));
        // Workers take the times as they are.
        let payloads = due.take(TOGETHER).map(|arrival| queue::encode(&pace.real_work(arrival.work)));
        let payloads: Vec<_> = payloads.collect();
        if payloads.is_empty() {
            let next = arrivals.peek().map_or(WAIT, |arrival| pace.until(arrival.at));
            std::thread::sleep(next.min(WAIT));
        } else {
            let together = payloads.len() as u64;
            let put = engine.block_on(queue.put(payloads));
            put.map_err(|error| format!("--source: {error}, after {jobs} jobs were put in"))?;
            jobs += together;
        }
        let time = arrivals.peek().map_or(scene.span, |next| next.at.min(pace.now()));
        let progress = Some(time.as_secs_f64() / scene.span.as_secs_f64().max(1e-9));
        dashboard.tick(|| Figures { progress, time, count: jobs, ..Figures::default() });
    }
    if signals::interrupts() > 0 {
        dashboard.say("interrupted: nothing more is put in");
    }
    let stock = engine.block_on(queue.stock()).ok();
    Ok(Produced {
        queue: location.to_string(),
        title: format!("{}, {} times faster than the world", scene.what, factor(scene.speed)),
        jobs,
        stock,
        wall: dashboard.finish(),
        log: scene.log,
    })
}

impl Produced {
    /// One object.
    pub fn to_json(&self) -> Value {
        json!({
            "queue": self.queue,
            "put": self.jobs,
            "skipped": self.log.skipped,
            "remarks": self.log.remarks,
            "jobs_left": self.stock.map(|stock| stock.jobs),
            "dead_letters": self.stock.map(|stock| stock.dead),
            "wall_s": self.wall.as_secs_f64(),
        })
    }
}

impl fmt::Display for Produced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.jobs as f64 / self.wall.as_secs_f64().max(1e-9);
        writeln!(f, "{}, put into {}", self.title, self.queue)?;
        writeln!(
            f,
            "{} jobs in {:.2} s: {} jobs/s",
            grouped(self.jobs),
            self.wall.as_secs_f64(),
            grouped(per_second as u64)
        )?;
        for remark in &self.log.remarks {
            writeln!(f, "log      {remark}")?;
        }
        writeln!(f, "{}", queue::left(&self.queue, self.stock))
    }
}
