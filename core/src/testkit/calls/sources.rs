//! Sources, and their deliveries.

use core::num::NonZeroU32;
use core::time::Duration;

use super::submissions::Offer;
use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{
    Arrival, Delivery, DeliveryId, Instant, Message, OpenRefusal, Operation, Refusal, SourceId, SourceTerms,
    TaskId, Verdict,
};

/// Opens a source, pulls, tells verdicts, renews, fails, waits or closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Open { now: Instant, terms: SourceTerms },
    BeginPull { now: Instant, source: SourceId },
    EndPull { now: Instant, source: SourceId },
    StopPulling { now: Instant, source: SourceId },
    Deliver { now: Instant, source: SourceId, offer: Offer, deliveries: u32 },
    Bury { now: Instant, source: SourceId, deliveries: u32, text: u32 },
    NextVerdict { now: Instant, source: SourceId },
    Confirmed { now: Instant, delivery: DeliveryId },
    Unconfirmed { now: Instant, delivery: DeliveryId },
    Stale { now: Instant, source: SourceId, count: u32 },
    NextRenewal { now: Instant, source: SourceId },
    Failed { now: Instant, source: SourceId, operation: Operation, text: u32 },
    Wait { source: SourceId, waiter: u32 },
    Close { now: Instant, source: SourceId },
    GiveUp { source: SourceId, budget: u32 },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer")]
pub enum Answer {
    Source(Result<SourceId, OpenRefusal>),
    Room(Option<NonZeroU32>),
    Was(bool),
    Arrived(Arrived),
    Buried(Option<DeliveryId>),
    Verdict(Option<(DeliveryId, Verdict)>),
    Renewal(Option<DeliveryId>),
    LeftAlone(Option<Duration>),
    /// The waiter that was replaced, or the one that was refused.
    Waits(Result<Option<u32>, u32>),
    Closed(Option<Option<u32>>),
}

/// See [`Arrival`]. What comes back is its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Arrived {
    Admitted { delivery: DeliveryId, task: TaskId },
    Judged { delivery: DeliveryId, reason: Option<Refusal>, back: u32 },
    Refused(u32),
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Open { now, .. }
            | Self::BeginPull { now, .. }
            | Self::EndPull { now, .. }
            | Self::StopPulling { now, .. }
            | Self::Deliver { now, .. }
            | Self::Bury { now, .. }
            | Self::NextVerdict { now, .. }
            | Self::Confirmed { now, .. }
            | Self::Unconfirmed { now, .. }
            | Self::Stale { now, .. }
            | Self::NextRenewal { now, .. }
            | Self::Failed { now, .. }
            | Self::Close { now, .. } => Some(now),
            Self::Wait { .. } | Self::GiveUp { .. } => None,
        }
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Open { now, terms } => Answer::Source(host.machine.open_source(now, &terms)),
            Self::BeginPull { now, source } => Answer::Room(host.machine.begin_pull(now, source)),
            Self::EndPull { now, source } => Answer::Was(host.machine.end_pull(now, source)),
            Self::StopPulling { now, source } => Answer::Was(host.machine.stop_pulling(now, source)),
            Self::Deliver { now, source, offer, deliveries } => {
                let (crate::Offer { job, meta, .. }, terms) = offer.made(host);
                let arrival = host.machine.deliver(now, source, Delivery::new(job, meta, deliveries), &terms);
                Answer::Arrived(match arrival {
                    Arrival::Admitted { delivery, task } => Arrived::Admitted { delivery, task },
                    Arrival::Judged { delivery, reason, back } => {
                        Arrived::Judged { delivery, reason, back: back.job.out() }
                    }
                    Arrival::Refused(back) => Arrived::Refused(back.job.out()),
                })
            }
            Self::Bury { now, source, deliveries, text } => {
                Answer::Buried(host.machine.bury(now, source, deliveries, Message::of(&text)))
            }
            Self::NextVerdict { now, source } => Answer::Verdict(host.machine.next_verdict(now, source)),
            Self::Confirmed { now, delivery } => Answer::Was(host.machine.confirmed(now, delivery)),
            Self::Unconfirmed { now, delivery } => Answer::Was(host.machine.unconfirmed(now, delivery)),
            Self::Stale { now, source, count } => Answer::Was(host.machine.stale(now, source, count)),
            Self::NextRenewal { now, source } => Answer::Renewal(host.machine.next_renewal(now, source)),
            Self::Failed { now, source, operation, text } => {
                Answer::LeftAlone(host.machine.source_failed(now, source, operation, &Message::of(&text)))
            }
            Self::Wait { source, waiter } => {
                let waits = host.machine.wait_source(source, host.books.token(waiter));
                Answer::Waits(waits.map(|old| old.map(Token::out)).map_err(Token::out))
            }
            Self::Close { now, source } => {
                Answer::Closed(host.machine.close_source(now, source).map(|waiter| waiter.map(Token::out)))
            }
            Self::GiveUp { source, budget } => Answer::Was(host.machine.give_up(source, budget)),
        }
    }
}
