//! The engine: what stands between the machine and the surface.
//!
//! # The way of one job
//!
//! ```text
//!  Access::submit                                            Handle::poll ──► Result
//!        │ offer                                                  ▲ try_claim
//!        ▼                                                        │
//!  Shared::submit ─── wake ──► Workers::take_idle, wake           │
//!        │                            │                           │
//!  ══════╪═══ the machine ════════════╪═══════════════════════════╪══════════════════════════════
//!        ▼                            ▼                           │
//!     queued ── State::start ──► Worker::sync_with_machine ── Hand::report ──► settled
//!                                     │        ▲                  ▲               │ take_effects
//!                       Hand::take_new│        │Hand::exchange    │               ▼
//!                                     ▼        │                  │        Shared::perform ──► callback, waker
//!                                 in hand ◄────┘                  │
//!                                     │ Hand::poll ─► Cell::run   │
//!                                     ▼                           │
//!                          the handler, its future ───────────────┘ has ended
//!                                     │    ▲
//!                             pending │    │ Line::take_ready, or at once if it woke itself
//!                                     ▼    │
//!                          Places, Line::give_back
//!                                          ▲
//!                                          │ Wakes::wake ◄── a waker of the place
//! ```
//!
//! A job goes through eight files on its way: `submit`, [`machine`], [`worker`], [`hand`], [`place`], [`wake`],
//! [`effects`], `handle`. Beside it stand [`places`], where attempts lie while no worker has them in hand, [`workers`],
//! the set of idle ones, [`state`], what the machine's lock guards, the [`hook`], [`schedules`] and how they come
//! [`due`], [`signals`], by which attempts are told to stop, [`idle_waiters`], the [`timekeeper`], [`discard`], by which foreign values are let
//! go, and the [end](ending).
//!
//! # Locks
//!
//! Three locks, always taken in this order, and none while foreign code runs: that of the machine, that of the places, that
//! of the line of ready places. A waker takes the last one only, and nothing below it.

pub(crate) mod attempt_host;
pub(crate) mod base;
pub(crate) mod build;
pub(crate) mod close;
pub(crate) mod completions;
mod discard;
mod due;
mod effects;
pub(crate) mod ending;
pub(crate) mod footprint;
mod grace;
mod hand;
pub(crate) mod hook;
mod idle;
pub(crate) mod idle_waiters;
pub(crate) mod lock;
pub(crate) mod machine;
mod place;
mod places;
mod queues;
pub(crate) mod schedules;
mod show;
pub(crate) mod signals;
pub(crate) mod state;
mod stop_waiters;
mod sync;
mod timekeeper;
mod timekeeper_signal;
mod turn;
pub(crate) mod types;
mod wake;
mod worker;
mod workers;
