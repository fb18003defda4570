//! How simulated time passes.

use std::time::{Duration, Instant};

use crate::arrivals::Work;

/// Simulated time, which began at some time and passes at some speed.
#[derive(Clone, Copy)]
pub struct Pace {
    speed: f64,
    began: Instant,
}

impl Pace {
    /// From now on, so many times faster than the world.
    pub fn start(speed: f64) -> Self {
        Self { speed, began: Instant::now() }
    }

    /// Real time since it began.
    pub fn elapsed(self) -> Duration {
        self.began.elapsed()
    }

    /// How long it is until this simulated time.
    pub fn until(self, simulated: Duration) -> Duration {
        self.real(simulated).saturating_sub(self.elapsed())
    }

    /// The simulated time now.
    pub fn now(self) -> Duration {
        self.simulated(self.elapsed())
    }

    pub fn real(self, simulated: Duration) -> Duration {
        Duration::try_from_secs_f64(simulated.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    pub fn simulated(self, real: Duration) -> Duration {
        Duration::try_from_secs_f64(real.as_secs_f64() * self.speed).unwrap_or(Duration::MAX)
    }

    /// The same work in real time.
    pub fn real_work(self, work: Work) -> Work {
        let (duration, limit) = (self.real(work.duration), work.limit.map(|limit| self.real(limit)));
        Work { duration, limit, ..work }
    }
}
