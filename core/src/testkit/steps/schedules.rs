//! Steps with schedules.

use core::time::Duration;

use crate::testkit::calls::schedules::Call;
use crate::testkit::choices::pick;
use crate::testkit::oracle::{Fault, Oracle};
use crate::{Missed, Overlap, Schedule};

/// Begins a schedule, says that its work is over, moves it or ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Schedule { terms: [u8; 2] },
    Done { schedule: u8 },
    Reschedule { schedule: u8, at: u8 },
    Unschedule { schedule: u8 },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        match kind {
            0..=79 => Self::Schedule { terms: [a, b] },
            80..=179 => Self::Done { schedule: a },
            180..=235 => Self::Reschedule { schedule: a, at: b },
            _ => Self::Unschedule { schedule: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        let chosen = |choice| oracle.memory.ids.schedules.chosen_of(4, choice);
        Some(match self {
            Self::Schedule { terms } => Call::Schedule { now, schedule: schedule(terms) },
            Self::Done { schedule } => Call::Done { now, id: chosen(schedule)? },
            Self::Reschedule { schedule, at } => {
                Call::Reschedule { now, id: chosen(schedule)?, at: oracle.instant(at) }
            }
            Self::Unschedule { schedule } => Call::Unschedule { id: chosen(schedule)? },
        })
    }
}

/// The schedule that these bytes choose: mostly short ones.
fn schedule([when, how]: [u8; 2]) -> Schedule {
    let micros = [10_000, 1_000, 2_500, 3_000, 70_000, 1_000_000];
    let every = match when >> 4 {
        14 => return with_first(Schedule::on_request(), when, how),
        15 => Duration::MAX,
        choice => Duration::from_micros(pick(&micros, choice)),
    };
    with_first(Schedule::fixed_rate(every), when, how)
}

fn with_first(schedule: Schedule, when: u8, how: u8) -> Schedule {
    let schedule = match when & 15 {
        0..=7 => schedule,
        8..=10 => schedule.first_after(Duration::ZERO),
        11..=14 => schedule.first_after(Duration::from_micros(2_500)),
        _ => schedule.first_after(Duration::MAX),
    };
    let jitter = match how >> 2 & 15 {
        0..=7 => Duration::ZERO,
        8..=11 => Duration::from_micros(300),
        12..=14 => Duration::from_millis(2),
        _ => Duration::MAX,
    };
    schedule
        .jitter(jitter)
        .missed(if how & 1 == 0 { Missed::Skip } else { Missed::Delay })
        .overlap(if how & 2 == 0 { Overlap::Allow } else { Overlap::Skip })
}
