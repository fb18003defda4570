//! The types of ids, one for each class of things. `slots` makes the ids.
//!
//! An id is one non-zero `u64`: the low bits, as many as the limit of its class needs, are the index of a slot; all
//! bits above are the slot's generation. No generation of a slot is used twice, so a stale id is never taken for a live
//! one.

use core::fmt;
use core::num::NonZeroU64;

/// What `slots` needs of an id type.
pub(crate) trait Id: Copy + Eq {
    /// The id with these bits.
    fn from_raw(raw: NonZeroU64) -> Self;
    /// The bits of this id.
    fn raw(self) -> NonZeroU64;
}

macro_rules! id {
    ($(#[$doc:meta])* $vis:vis struct $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        $vis struct $name(NonZeroU64);

        impl Id for $name {
            #[inline]
            fn from_raw(raw: NonZeroU64) -> Self {
                Self(raw)
            }

            #[inline]
            fn raw(self) -> NonZeroU64 {
                self.0
            }
        }
    };
}

macro_rules! public_id {
    ($(#[$doc:meta])* $name:ident) => {
        id! {
            $(#[$doc])*
            ///
            /// The generation in the high bits, the slot index in as many low bits as the limit needs. Ids are ordered
            /// by their bits, which says nothing about time. An `Option` of an id is no larger than the id.
            #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
            pub struct $name
        }

        impl $name {
            /// The id as one integer, never zero: for logs, for another process, for a C interface.
            #[must_use]
            pub const fn to_bits(self) -> u64 {
                self.0.get()
            }

            /// The id with these bits; `None` for zero, which is no id. Bits that were never an id make one that is
            /// treated as stale.
            #[must_use]
            pub const fn from_bits(bits: u64) -> Option<Self> {
                match NonZeroU64::new(bits) {
                    Some(bits) => Some(Self(bits)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            /// Its [bits](Self::to_bits), as a number.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

public_id! {
    /// Names one submitted task, from its admission until its outcome is taken.
    TaskId
}
public_id! {
    /// Names one attempt at a task. Each attempt has an id of its own, so a late report of the first attempt cannot
    /// complete the second.
    ///
    /// A report names an attempt, never a task:
    ///
    /// ```compile_fail,E0308
    /// # use plimsoll_core::{Instant, Processor, Simple, TaskId};
    /// fn report(machine: &mut Processor<Simple<&str, usize>>, task: TaskId) {
    ///     let _ = machine.completed(Instant::ZERO, task, 1);
    /// }
    /// ```
    AttemptId
}
public_id! {
    /// Names one attached emitter.
    EmitterId
}
public_id! {
    /// Names one subscriber of the event ring.
    SubscriberId
}
public_id! {
    /// Names one permit for room, or one waiter for a permit.
    PermitId
}
public_id! {
    /// Names one sleep of a running attempt.
    SleepId
}
public_id! {
    /// Names one schedule.
    ScheduleId
}
public_id! {
    /// Names one source.
    SourceId
}
public_id! {
    /// Names one delivery of a source, from its arrival until its verdict is confirmed. A job that is delivered again has
    /// another one.
    DeliveryId
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_id_is_no_larger_than_an_id() {
        assert_eq!(size_of::<Option<TaskId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<AttemptId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<EmitterId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<SubscriberId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<PermitId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<SleepId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<ScheduleId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<SourceId>>(), size_of::<u64>());
        assert_eq!(size_of::<Option<DeliveryId>>(), size_of::<u64>());
    }

    #[test]
    fn bits_round_trip() {
        assert_eq!(TaskId::from_bits(0), None);
        for bits in [1, 1 << 32, u64::MAX] {
            let id = TaskId::from_bits(bits).unwrap();
            assert_eq!(id.to_bits(), bits);
            assert_eq!(TaskId::from_raw(id.raw()), id);
        }
        assert!(TaskId::from_bits(1) < TaskId::from_bits(2));
    }
}
