//! The reference model and the simulated host. The property tests and the fuzz target of this crate use them; so can
//! anybody who patches the machine.
//!
//! A [`Script`] is a list of small steps, made from any bytes. [`check`] runs it on a real machine and on a naive
//! [`Model`] in lock step. It compares the answer after every call, and after every step everything that can be seen:
//! census, audit, totals, ledger, health, last error, wake-up. After the last step it finishes all work without a
//! drain, within a number of calls that is known before. Then it ends the machine, in one of the possible ways, and
//! nothing may be left but what that end keeps. All payloads are counted [`Token`]s, so that it also sees whether each
//! comes out exactly once.
//!
//! ```
//! use plimsoll_core::testkit::{Script, check};
//! let script = Script::from_bytes(b"any bytes will do, and the more there are the longer is the script");
//! check(&script).unwrap();
//! ```

mod answer;
mod call;
mod host;
mod model;
mod oracle;
mod order;
mod script;
mod token;
mod wheel;

pub use answer::{
    Answer, Claimed, Detached, Done, Failure, Returned, Room, Settled, Slept, Started, Stopped, Swept,
    Unwanted, Why,
};
pub use call::{Call, Offer};
pub use host::Host;
pub use model::Model;
pub use oracle::{Fault, Oracle, Summary, check, check_flawed, trace};
pub use order::Order;
pub use script::{Script, Setup, Step};
pub use token::{Books, Key, Kit, Token};
pub use wheel::Wheel;

/// A budget that no test uses up.
const AMPLE: u32 = 1 << 20;

/// A deliberate fault, in the model or in the host that finishes all work. A test sees that the comparison finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what is wrong")]
pub enum Flaw {
    ServesNewest,
    OneTooMany,
    ForgetsTimers,
    ForgetsOrphans,
    ForgetsCallbacks,
    ExpiresEarly,
    JudgesReports,
    IgnoresBegan,
    KeepsNothing,
    AbandonsAtOnce,
    DelayedTakesRoom,
    ForgetsOverflow,
    PermitsTakeNoHandles,
    UsesTwoPlaces,
    GrantsRoomForOne,
    LeavesOnePlace,
    NeverHalts,
    HaltingTakesNoPlace,
    HaltsTooLate,
    ClaimsUnseen,
    FreesWhatIsShown,
    ForgetsWhoWaits,
    ShowsTwice,
    CountsSnoozes,
    WearsNothingOut,
    ForgetsReasons,
    ComparesHalvesOfIds,
    NarrowsWheels,
    LosesOrderInLongQueues,
    TakesTermsOfFirst,
    CutsBatches,
    StaysPaused,
    ReportsNothing,
    GivesNoTime,
    RefusesTooSoon(Class),
    RefusesTooLate(Class),
    /// The class of the ledger with this number.
    ForgetsHighest(usize),
}

/// A class of things, other than tasks, with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the limits")]
pub enum Class {
    Waiters,
    Sources,
    Subscribers,
    Sleeps,
}

impl Flaw {
    /// All flaws.
    pub const ALL: [Self; 58] = [
        Self::ServesNewest,
        Self::OneTooMany,
        Self::ForgetsTimers,
        Self::ForgetsOrphans,
        Self::ForgetsCallbacks,
        Self::ExpiresEarly,
        Self::JudgesReports,
        Self::IgnoresBegan,
        Self::KeepsNothing,
        Self::AbandonsAtOnce,
        Self::DelayedTakesRoom,
        Self::ForgetsOverflow,
        Self::PermitsTakeNoHandles,
        Self::UsesTwoPlaces,
        Self::GrantsRoomForOne,
        Self::LeavesOnePlace,
        Self::NeverHalts,
        Self::HaltingTakesNoPlace,
        Self::HaltsTooLate,
        Self::ClaimsUnseen,
        Self::FreesWhatIsShown,
        Self::ForgetsWhoWaits,
        Self::ShowsTwice,
        Self::CountsSnoozes,
        Self::WearsNothingOut,
        Self::ForgetsReasons,
        Self::ComparesHalvesOfIds,
        Self::NarrowsWheels,
        Self::LosesOrderInLongQueues,
        Self::TakesTermsOfFirst,
        Self::CutsBatches,
        Self::StaysPaused,
        Self::ReportsNothing,
        Self::GivesNoTime,
        Self::RefusesTooSoon(Class::Waiters),
        Self::RefusesTooSoon(Class::Sources),
        Self::RefusesTooSoon(Class::Subscribers),
        Self::RefusesTooSoon(Class::Sleeps),
        Self::RefusesTooLate(Class::Waiters),
        Self::RefusesTooLate(Class::Sources),
        Self::RefusesTooLate(Class::Subscribers),
        Self::RefusesTooLate(Class::Sleeps),
        Self::ForgetsHighest(0),
        Self::ForgetsHighest(1),
        Self::ForgetsHighest(2),
        Self::ForgetsHighest(3),
        Self::ForgetsHighest(4),
        Self::ForgetsHighest(5),
        Self::ForgetsHighest(6),
        Self::ForgetsHighest(7),
        Self::ForgetsHighest(8),
        Self::ForgetsHighest(9),
        Self::ForgetsHighest(10),
        Self::ForgetsHighest(11),
        Self::ForgetsHighest(12),
        Self::ForgetsHighest(13),
        Self::ForgetsHighest(14),
        Self::ForgetsHighest(15),
    ];
}
