//! In real time, faster than the world: the adapters on a runtime, with everything that a service uses.

mod from_queue;
mod pace;
mod running;
mod traffic;
mod work;

use std::time::Duration;

use plimsoll::Runtime;

use crate::arrivals::Arrival;
use crate::options::Options;
use crate::report::{Log, Report};
use crate::signals;
use crate::words::factor;
use running::{Running, Setting};

pub use from_queue::work_off;
pub use pace::Pace;
pub use work::{Job, Service};

/// What is to be run.
pub struct Scene<A> {
    /// What it is, in a few words.
    pub what: String,
    pub arrivals: A,
    /// How long it takes in simulated time, more or less.
    pub span: Duration,
    pub speed: f64,
    /// How often a failing task is tried.
    pub attempts: u32,
    /// What was read of the log, if it is one.
    pub log: Log,
}

/// Runs a scene on a runtime, to its end or until Ctrl-C.
pub fn run<R: Runtime + Clone + Send + Sync + 'static>(
    options: &Options,
    runtime: R,
    mut scene: Scene<impl Iterator<Item = Arrival>>,
) -> Result<Report, String> {
    let setting =
        Setting { span: Some(scene.span), speed: scene.speed, attempts: scene.attempts, source: None };
    let mut running = Running::start(options, runtime, setting)?;
    let mut next = scene.arrivals.next();
    while let Some(arrival) = next.filter(|_| signals::interrupts() == 0) {
        let wait = running.pace.until(arrival.at);
        if wait.is_zero() {
            running.send(arrival);
            next = scene.arrivals.next();
        } else {
            running.turn(wait);
        }
    }
    while signals::interrupts() == 0 && running.is_busy() {
        running.turn(Duration::ZERO);
    }
    let title = format!(
        "{} on {:?}, {} times faster than the world, {}",
        scene.what,
        options.runtime,
        factor(scene.speed),
        options.size(),
    );
    Ok(running.end().report(title, scene.log, None))
}
