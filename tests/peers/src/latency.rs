//! Runs at a fixed rate: the soak, and the time from when a task was due to when its submitter has the outcome.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::drive::{Drive, Peer, Submitter};
use crate::host::Host;
use crate::measure::{Sample, cpu_ns, resident_kib};
use crate::work::Body;

/// So many tasks a second, for so long.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    pub rate: u64,
    pub seconds: u64,
}

impl Pacing {
    /// How many are due.
    fn due(self, since: Duration) -> u64 {
        let due = since.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        (due as u64).min(self.rate * self.seconds)
    }

    /// When this one is due, in nanoseconds: when [`due`](Self::due) counts it.
    fn at(self, id: u64) -> u64 {
        (u128::from(id + 1) * 1_000_000_000 / u128::from(self.rate)) as u64
    }

    /// Wakes every millisecond, submits what is due and takes what is done.
    pub async fn soak<H: Host, P: Peer, B: Body>(self, mut submitter: Submitter<P>) -> Sample {
        let total = self.rate * self.seconds;
        // After 5 s of 30.
        let settled = total / 6;
        // Reading it takes memory too, the first time.
        let mut resident = [resident_kib(); 2];
        let (wall, cpu) = (Instant::now(), cpu_ns());
        let mut next = 0;
        while next < total {
            let due = self.due(wall.elapsed());
            while next < due {
                submitter.submit(next).await;
                next += 1;
                if next == settled {
                    resident[0] = resident_kib();
                }
            }
            submitter.take_ready(|| ()).await;
            H::sleep(Duration::from_millis(1)).await;
        }
        submitter.finish().await;
        let cpu_ns = cpu_ns() - cpu;
        let wall_ns = wall.elapsed().as_nanos() as u64;
        resident[1] = resident_kib();
        submitter.check::<B>(0..total);
        Sample { tasks: total, wall_ns, cpu_ns, resident, ..Sample::default() }
    }

    /// Submits each task when it is due, and never rests: what is measured is the processor, not how fast the
    /// operating system wakes a thread. A task that is submitted late counts from when it was due.
    pub async fn latency<P: Peer, B: Body>(self, mut submitter: Submitter<P>) -> Sample {
        let total = self.rate * self.seconds;
        let mut latencies: Vec<u64> = Vec::with_capacity(total as usize);
        let (start, cpu) = (Instant::now(), cpu_ns());
        let mut next = 0;
        while (latencies.len() as u64) < total {
            let due = self.due(start.elapsed());
            while next < due && submitter.has_room() {
                submitter.submit(next).await;
                next += 1;
            }
            yield_now().await;
            submitter
                .take_ready(|| {
                    let due = self.at(latencies.len() as u64);
                    latencies.push((start.elapsed().as_nanos() as u64).saturating_sub(due));
                })
                .await;
        }
        let cpu_ns = cpu_ns() - cpu;
        let wall_ns = start.elapsed().as_nanos() as u64;
        submitter.check::<B>(0..total);
        // The first tenth warms up.
        let warm = &mut latencies[total as usize / 10..];
        warm.sort_unstable();
        let at = |per_mille: usize| warm[(warm.len() - 1) * per_mille / 1_000];
        let latency = [at(500), at(990), at(999), at(1_000)];
        Sample { tasks: total, wall_ns, cpu_ns, latency, ..Sample::default() }
    }
}

/// Lets all others run that can.
async fn yield_now() {
    struct Once(bool);
    impl Future for Once {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    Once(false).await;
}
