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

use crate::Ledger;

/// A budget that no test uses up.
const AMPLE: u32 = 1 << 20;

/// The flaws that need nothing to be told of them.
macro_rules! flaws {
    ($($name:ident),* $(,)?) => {
        /// A deliberate fault, in the model or in the host that finishes all work. A test sees that the comparison finds it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names say what is wrong")]
        pub enum Flaw {
            $($name,)*
            RefusesTooSoon(Class),
            RefusesTooLate(Class),
            /// The class of the ledger with this number.
            ForgetsHighest(usize),
        }

        impl Flaw {
            /// All flaws.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$name),*]
                    .into_iter()
                    .chain(Class::ALL.map(Self::RefusesTooSoon))
                    .chain(Class::ALL.map(Self::RefusesTooLate))
                    .chain((0..Ledger::CLASSES).map(Self::ForgetsHighest))
            }
        }
    };
}

flaws! {
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
}

/// The classes of things, other than tasks, with a limit.
macro_rules! classes {
    ($($name:ident),* $(,)?) => {
        /// A class of things, other than tasks, with a limit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "named as in the limits")]
        pub enum Class {
            $($name,)*
        }

        impl Class {
            const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];
        }
    };
}

classes! {
    Waiters,
    Sources,
    Subscribers,
    Sleeps,
}
