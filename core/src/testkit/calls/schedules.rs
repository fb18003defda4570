//! Schedules.

use crate::testkit::host::Host;
use crate::{Instant, Schedule, ScheduleId, ScheduleRefusal};

/// Begins a schedule, says that its work is over, moves it or ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Schedule { now: Instant, schedule: Schedule },
    Done { now: Instant, id: ScheduleId },
    Reschedule { now: Instant, id: ScheduleId, at: Instant },
    Unschedule { id: ScheduleId },
}

/// The schedule, or whether there was something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer")]
pub enum Answer {
    Schedule(Result<ScheduleId, ScheduleRefusal>),
    Was(bool),
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Schedule { now, .. } | Self::Done { now, .. } | Self::Reschedule { now, .. } => Some(now),
            Self::Unschedule { .. } => None,
        }
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        let machine = &mut host.machine;
        Answer::Was(match *self {
            Self::Schedule { now, ref schedule } => return Answer::Schedule(machine.schedule(now, schedule)),
            Self::Done { now, id } => machine.schedule_done(now, id),
            Self::Reschedule { now, id, at } => machine.reschedule(now, id, at),
            Self::Unschedule { id } => machine.unschedule(id),
        })
    }
}
