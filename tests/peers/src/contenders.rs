//! Those who take part, one file each, and what several of them share.

mod apalis;
pub mod attempt;
mod cronoq;
mod floor;
mod futures_bounded;
mod futures_buffered;
mod futures_unordered;
mod grommet;
mod plimsoll;
mod plimsoll_batches;
mod plimsoll_local;
mod pool_async_channel;
mod pool_kanal;
mod queue;
mod smol_spawn;
mod taskvisor;
mod tokio_join_set;
mod tokio_spawn;
mod tower;

use std::future::Future;

use attempt::{ByLibrary, Late, Tuned};

use crate::batches::BatchPeer;
use crate::drive::Peer;
use crate::host::{Host, Smol, Tokio, TokioThreads};
use crate::local_host::{SmolSet, TokioSet};
use crate::measure::{Order, Sample, run, run_batches};
use crate::work::{
    Body, FaultsBody, Limits, ReadyBody, SleepBody, TimeOutBody,
    Workload::{self, Faults, Latency, LatencyHigh, Ready, Sleep, Soak, Threads, TimeOut, Yield},
    YieldBody,
};

/// A way to have tasks done, on a runtime.
pub trait Contender<H: Host>: 'static {
    /// Starts it, from a task of the runtime.
    fn start<B: Body>(limits: Limits) -> impl Future<Output = impl Peer> + Send;
}

/// A way to have tasks done in batches.
pub trait BatchContender<H: Host>: 'static {
    /// Starts it, from a task of the runtime.
    fn start<B: Body>(limits: Limits) -> impl Future<Output = impl BatchPeer> + Send;
}

/// On which side a contender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Plimsoll,
    Peer,
    /// A peer with a time-out of its own making, which is cheaper than the library's.
    Tuned,
    /// A peer that does a little less than is asked for.
    Late,
    /// No processor at all: what the harness costs. Not in W2, where a yield of the job would be one of the submitter.
    Floor,
}

/// A contender on a runtime.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub side: Side,
    /// The kind of runtime: `tokio`, `smol` or `thread`.
    pub runtime: &'static str,
    /// How many threads that has at least.
    pub threads: usize,
    /// The contender of an earlier program that it is compared with.
    pub before: &'static str,
    /// Has it do what is asked for, in this process.
    pub run: fn(Order) -> Sample,
    /// What it takes part in.
    pub does: fn(Workload) -> bool,
}

const fn entry<H: Host, C: Contender<H>>(name: &'static str, side: Side, runtime: &'static str) -> Entry {
    Entry { name, side, runtime, threads: H::THREADS, before: name, run: body::<H, C>, does: |_| true }
}

const fn peer<H: Host, C: Contender<H>>(name: &'static str, runtime: &'static str) -> Entry {
    entry::<H, C>(name, Side::Peer, runtime)
}

const fn tuned<H: Host, C: Contender<H>>(name: &'static str, runtime: &'static str) -> Entry {
    entry::<H, C>(name, Side::Tuned, runtime)
}

const fn late<H: Host, C: Contender<H>>(name: &'static str, runtime: &'static str) -> Entry {
    entry::<H, C>(name, Side::Late, runtime)
}

const fn ours<H: Host, C: Contender<H>>(name: &'static str, runtime: &'static str) -> Entry {
    entry::<H, C>(name, Side::Plimsoll, runtime)
}

const fn batches<H: Host, C: BatchContender<H>>(name: &'static str, runtime: &'static str) -> Entry {
    let run: fn(Order) -> Sample = |order| match order.workload {
        Faults => run_batches::<H, C, FaultsBody>(order),
        _ => run_batches::<H, C, ReadyBody>(order),
    };
    let (side, threads) = (Side::Plimsoll, H::THREADS);
    Entry { name, side, runtime, threads, before: name, run, does: batched }
}

fn body<H: Host, C: Contender<H>>(order: Order) -> Sample {
    match order.workload {
        Ready | Threads | Latency | LatencyHigh => run::<H, C, ReadyBody>(order),
        Yield | Soak => run::<H, C, YieldBody>(order),
        Sleep => run::<H, C, SleepBody<H>>(order),
        TimeOut => run::<H, C, TimeOutBody>(order),
        Faults => run::<H, C, FaultsBody>(order),
    }
}

/// Where two threads are of interest.
const fn for_threads(workload: Workload) -> bool {
    matches!(workload, Ready | Yield | Faults | Threads)
}

/// Where one thread is enough.
const fn on_one_thread(workload: Workload) -> bool {
    matches!(workload, Ready | Yield | Sleep | TimeOut | Faults)
}

/// Where the cost of handing over is of interest.
const fn batched(workload: Workload) -> bool {
    matches!(workload, Ready | Faults | Threads)
}

/// All of them.
pub const ALL: &[Entry] = &[
    Entry {
        does: |workload| matches!(workload, Ready | Faults),
        ..entry::<Tokio, floor::Floor>("harness", Side::Floor, "none")
    },
    ours::<Smol, plimsoll::OnSmol>("plimsoll-smol", "smol"),
    // With two threads it is the next one.
    Entry {
        does: |workload| workload != Threads,
        ..ours::<Tokio, plimsoll::OnTokio>("plimsoll-tokio", "tokio")
    },
    // Everything on one thread, with submitters that are there too.
    Entry { does: on_one_thread, ..ours::<SmolSet, plimsoll_local::OnSmol>("plimsoll-smol-local", "smol") },
    Entry {
        does: on_one_thread,
        ..ours::<TokioSet, plimsoll_local::OnTokio>("plimsoll-tokio-local", "tokio")
    },
    ours::<TokioThreads, plimsoll::OnTokio>("plimsoll-tokio-mt", "tokio"),
    Entry {
        does: for_threads,
        before: "plimsoll-tokio-mt",
        ..ours::<TokioThreads, plimsoll::OnTokioInThrees>("plimsoll-tokio-mt-by-3", "tokio")
    },
    batches::<Smol, plimsoll_batches::OnSmol>("plimsoll-smol-batches", "smol"),
    // With two threads it is the next one.
    Entry {
        does: |workload| matches!(workload, Ready | Faults),
        ..batches::<Tokio, plimsoll_batches::OnTokio>("plimsoll-tokio-batches", "tokio")
    },
    batches::<TokioThreads, plimsoll_batches::OnTokio>("plimsoll-tokio-mt-batches", "tokio"),
    ours::<Smol, plimsoll::OnThread>("plimsoll-thread", "thread"),
    Entry {
        does: |workload| workload == Sleep,
        ..ours::<Smol, plimsoll::OnSmolAsleep>("plimsoll-smol-ctx-sleep", "smol")
    },
    Entry {
        does: |workload| workload == Sleep,
        ..ours::<Tokio, plimsoll::OnTokioAsleep>("plimsoll-tokio-ctx-sleep", "tokio")
    },
    peer::<Tokio, tokio_spawn::Spawn>("tokio-spawn", "tokio"),
    peer::<Tokio, tokio_join_set::Joined>("tokio-join-set", "tokio"),
    peer::<Tokio, tower::Layers>("tower", "tokio"),
    // Its sink panics when several submitters use it at the same moment.
    Entry { does: |workload| workload != Threads, ..peer::<Tokio, apalis::Worker>("apalis", "tokio") },
    peer::<Tokio, cronoq::Scheduled>("cronoq", "tokio"),
    peer::<Tokio, grommet::Shard>("grommet", "tokio"),
    peer::<Tokio, taskvisor::Supervised>("taskvisor", "tokio"),
    peer::<Smol, smol_spawn::Spawn>("smol-spawn", "smol"),
    peer::<Tokio, futures_unordered::Driven<ByLibrary>>("futures-unordered-tokio", "tokio"),
    peer::<Smol, futures_unordered::Driven<ByLibrary>>("futures-unordered-smol", "smol"),
    peer::<Tokio, futures_bounded::Driven>("futures-bounded-tokio", "tokio"),
    peer::<Smol, futures_bounded::Driven>("futures-bounded-smol", "smol"),
    peer::<Tokio, futures_buffered::Driven<ByLibrary>>("futures-buffered-tokio", "tokio"),
    peer::<Smol, futures_buffered::Driven<ByLibrary>>("futures-buffered-smol", "smol"),
    // With two threads it is the next one.
    Entry {
        does: |workload| workload != Threads,
        ..peer::<Tokio, pool_async_channel::Pool<ByLibrary>>("pool-async-channel-tokio", "tokio")
    },
    Entry {
        does: for_threads,
        ..peer::<TokioThreads, pool_async_channel::Pool<ByLibrary>>("pool-async-channel-tokio-mt", "tokio")
    },
    peer::<Smol, pool_async_channel::Pool<ByLibrary>>("pool-async-channel-smol", "smol"),
    Entry {
        does: |workload| workload != Threads,
        ..peer::<Tokio, pool_kanal::Pool<ByLibrary>>("pool-kanal-tokio", "tokio")
    },
    Entry {
        does: for_threads,
        ..peer::<TokioThreads, pool_kanal::Pool<ByLibrary>>("pool-kanal-tokio-mt", "tokio")
    },
    peer::<Smol, pool_kanal::Pool<ByLibrary>>("pool-kanal-smol", "smol"),
    tuned::<Tokio, futures_buffered::Driven<Tuned>>("tuned-futures-buffered-tokio", "tokio"),
    tuned::<Smol, futures_buffered::Driven<Tuned>>("tuned-futures-buffered-smol", "smol"),
    tuned::<Tokio, pool_kanal::Pool<Tuned>>("tuned-pool-kanal-tokio", "tokio"),
    tuned::<Smol, pool_kanal::Pool<Tuned>>("tuned-pool-kanal-smol", "smol"),
    late::<Tokio, futures_buffered::Driven<Late>>("late-futures-buffered-tokio", "tokio"),
    late::<Smol, futures_buffered::Driven<Late>>("late-futures-buffered-smol", "smol"),
    late::<Tokio, pool_kanal::Pool<Late>>("late-pool-kanal-tokio", "tokio"),
    late::<Smol, pool_kanal::Pool<Late>>("late-pool-kanal-smol", "smol"),
];

/// The contender of this name.
pub fn find(name: &str) -> Option<Entry> {
    ALL.iter().copied().find(|entry| entry.name == name)
}
