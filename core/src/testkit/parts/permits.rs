//! Permits, and the line of waiters for one.

use core::num::NonZeroU32;

use super::submissions::{Offer, Offered, Why, offered};
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::{Host, Order, Token};
use crate::{Instant, PermitId, ReserveRefusal, RoomStatus, WaitRefusal};

/// Reserves room, waits for it, uses it or gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    SubmitReserved { permit: u8, order: Order },
    Reserve { count: u8 },
    WaitForRoom { count: u8 },
    Rewait { permit: u8 },
    GiveBack { permit: u8, count: u8 },
    Leave { permit: u8 },
}

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

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        match kind {
            40..=45 => Self::SubmitReserved { permit: f, order: Order::new(a, b, c, d, e) },
            46..=51 if b >= 160 => Self::Reserve { count: a % 3 + 1 },
            46..=51 => Self::WaitForRoom { count: a % 3 + 1 },
            55..=57 => Self::Rewait { permit: a },
            _ if b >= 160 => Self::GiveBack { permit: a, count: c % 4 },
            _ => Self::Leave { permit: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        Some(match self {
            Self::SubmitReserved { permit, order } => {
                let permit = oracle.memory.ids.permits.chosen(permit)?;
                Call::SubmitReserved { now, permit, offer: oracle.offer(order) }
            }
            Self::Reserve { count } => Call::Reserve { now, count: places(count) },
            Self::WaitForRoom { count } => {
                Call::WaitForRoom { now, waiter: oracle.token(), count: places(count) }
            }
            Self::Rewait { permit } => {
                let id = oracle.memory.ids.permits.chosen(permit)?;
                Call::Rewait { id, waiter: oracle.token() }
            }
            Self::GiveBack { permit, count } => {
                let id = oracle.memory.ids.permits.chosen(permit)?;
                Call::GiveBack { now, id, count: u32::from(count) }
            }
            Self::Leave { permit } => Call::Leave { now, id: oracle.memory.ids.permits.chosen(permit)? },
        })
    }
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

impl Answer {
    pub(super) fn learn(&self, memory: &mut Memory) {
        match self {
            Self::Task(offered) => memory.ids.tasks.learn(offered),
            Self::Permit(reserved) => memory.ids.permits.learn(reserved),
            Self::Waiter(in_line) => memory.ids.permits.learn(in_line),
            _ => {}
        }
    }
}

/// How many places a number asks for, at least one.
fn places(count: u8) -> NonZeroU32 {
    NonZeroU32::new(u32::from(count)).unwrap_or(NonZeroU32::MIN)
}
