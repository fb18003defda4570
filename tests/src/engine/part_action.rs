//! What a script does with parts of the processor that are not always there.

use std::time::Duration;

use plimsoll::{Priority, Scope};

use super::choice::{ms, pick};
use super::plan::{KEYS, Order};

/// One thing that is done with a part. Numbers choose by position from the newest.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named as the calls that they make")]
pub enum PartAction {
    Schedule(Order),
    /// Ends the newest schedule that is held, by its handle or by its id.
    EndSchedule {
        by_id: bool,
    },
    SetPriority {
        task: u8,
        class: u8,
    },
    Clear(Scope),
    Hold(Duration),
    HoldLane {
        key: u64,
        time: Duration,
    },
    PauseClass(u8),
    /// Pauses the class of a task.
    PauseClassOf {
        task: u8,
    },
    /// Resumes the class at this place of those that are paused.
    ResumeClass(u8),
    /// A context that was left behind tells that its attempt is alive, and perhaps how far it has got.
    Beat {
        context: u8,
        progress: bool,
    },
}

impl PartAction {
    pub(super) fn from_bytes(kind: u8, mut rest: [u8; 12]) -> Self {
        let [a, b, ..] = rest;
        let time = pick(b, &[ms(2), Duration::ZERO, ms(1), ms(5), ms(20), Duration::MAX]);
        match kind {
            0..90 => {
                // Its last byte says that it is this; another one has its terms.
                rest[11] = b % 224;
                Self::Schedule(Order(rest))
            }
            90..115 => Self::EndSchedule { by_id: a < 128 },
            115..135 => Self::SetPriority { task: a % 8, class: b % 8 },
            135..138 => Self::PauseClass(a % 8),
            138..144 => Self::PauseClassOf { task: a % 4 },
            144..155 => Self::ResumeClass(a),
            155..185 => Self::Clear(match a % 4 {
                0 => Scope::All,
                1 => Scope::Class(Priority::new(b % 8)),
                _ => Scope::Lane(lane_key(b)),
            }),
            185..205 => Self::Hold(time),
            205..230 => Self::HoldLane { key: lane_key(a), time },
            230..=255 => Self::Beat { context: a, progress: b % 2 == 1 },
        }
    }
}

fn lane_key(choice: u8) -> u64 {
    KEYS.start + u64::from(choice) % (KEYS.end - KEYS.start)
}
