//! Permits, and the line of waiters for one.

use core::num::NonZeroU32;

use super::submissions::{Offer, Offered, Why, offered};
use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{Instant, PermitId, ReserveRefusal, RoomStatus, WaitRefusal};

/// Reserves room, waits for it, uses it or gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    SubmitReserved { now: Instant, permit: PermitId, offer: Offer },
    Reserve { now: Instant, count: NonZeroU32 },
    WaitForRoom { now: Instant, waiter: u32, count: NonZeroU32 },
    Rewait { id: PermitId, waiter: u32 },
    GiveBack { now: Instant, id: PermitId, count: u32 },
    Leave { now: Instant, id: PermitId },
}

/// What became of a permit, of a waiter for one, or of a task for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Task(Offered),
    Permit(Result<PermitId, ReserveRefusal>),
    Waiter(Result<PermitId, (WaitRefusal, u32)>),
    Room(Room),
    GivenBack(u32),
    Left(Option<Option<u32>>),
}

/// See [`RoomStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Room {
    Granted(u32),
    Waiting(Option<u32>),
    Unclaimed(u32),
    Gone(u32),
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        match *self {
            Self::SubmitReserved { now, .. }
            | Self::Reserve { now, .. }
            | Self::WaitForRoom { now, .. }
            | Self::GiveBack { now, .. }
            | Self::Leave { now, .. } => Some(now),
            Self::Rewait { .. } => None,
        }
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::SubmitReserved { now, permit, offer } => {
                let (offer, terms) = offer.made(host);
                Answer::Task(offered(host.machine.reserved(now, permit).submit(offer, &terms), Why::Permit))
            }
            Self::Reserve { now, count } => Answer::Permit(host.machine.reserve(now, count)),
            Self::WaitForRoom { now, waiter, count } => {
                let answer = host.machine.wait_for_room(now, host.books.token(waiter), count);
                Answer::Waiter(answer.map_err(|refused| (refused.reason, refused.into_value().out())))
            }
            Self::Rewait { id, waiter } => {
                Answer::Room(match host.machine.rewait(id, host.books.token(waiter)) {
                    RoomStatus::Granted(waiter) => Room::Granted(waiter.out()),
                    RoomStatus::Waiting(waiter) => Room::Waiting(waiter.map(Token::out)),
                    RoomStatus::Unclaimed(waiter) => Room::Unclaimed(waiter.out()),
                    RoomStatus::Gone(waiter) => Room::Gone(waiter.out()),
                })
            }
            Self::GiveBack { now, id, count } => Answer::GivenBack(host.machine.give_back(now, id, count)),
            Self::Leave { now, id } => {
                Answer::Left(host.machine.leave(now, id).map(|left| left.map(Token::out)))
            }
        }
    }
}
