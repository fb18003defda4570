//! Deliberate faults of the model, which the comparison must find.

use crate::Ledger;

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
    RunsTwice,
    ForgetsKeys,
    PutsOffForEver,
    ShedsNewest,
    ShedsEqual,
    KeepsPriorities,
    StartsPausedClasses,
    OrphansLeaveLanes,
    ForgetsHolds,
    CountsStarts,
    CreditsAbsence,
    ForgivesLateness,
    ForgetsMissed,
    LetsGridsDrift,
    OverlapsWork,
    StaysPaused,
    ReportsNothing,
    GivesNoTime,
    ForgetsHeartbeats,
    KeepsFirstProgress,
    KeepsProgress,
    NeverSlow,
    ForgetsSlowOrphans,
    ForgetsUnconfirmed,
    ForgetsVerdicts,
    IgnoresEngineErrors,
    HandsBackWhatTimedOut,
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
    Emitters,
    Subscribers,
    Sleeps,
    Lanes,
    Schedules,
    Sources,
}
