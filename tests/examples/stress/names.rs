//! What a run is made of, by name, and how often each was done.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An enum whose variants have names and are counted.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident, $counts:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)* }

        static $counts: [AtomicU64; $name::ALL.len()] = [const { AtomicU64::new(0) }; $name::ALL.len()];

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            #[allow(dead_code, reason = "not every name is asked for")]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }

            pub fn count(self) {
                $counts[self as usize].fetch_add(1, Relaxed);
            }

            pub fn counted(self) -> u64 {
                $counts[self as usize].load(Relaxed)
            }
        }
    };
}

names! {
    /// The executors.
    Runtime, RUNTIMES {
        TokioCurrent = "tokio-current",
        Tokio2 = "tokio-2",
        Tokio8 = "tokio-8",
        Smol1 = "smol-1",
        Smol2 = "smol-2",
        Thread = "thread",
    }
}

names! {
    /// How an episode's processor comes to its end.
    End, ENDS {
        Graceful = "graceful",
        Deadline = "deadline",
        Cancel = "cancel",
        Abort = "abort",
        DropElsewhere = "drop-elsewhere",
        DropInHandler = "drop-in-handler",
        DropInCallback = "drop-in-callback",
        RuntimeFirst = "runtime-first",
        RuntimeWhileDraining = "runtime-while-draining",
        ShutdownDropped = "shutdown-dropped",
    }
}

names! {
    /// What submitters and handlers do.
    Action, ACTIONS {
        SubmitHandle = "submit-handle",
        SubmitCallback = "submit-callback",
        SubmitDetached = "submit-detached",
        SubmitRetained = "submit-retained",
        SubmitWait = "submit-wait",
        SubmitWaitDropped = "submit-wait-dropped",
        Refused = "refused",
        TakeRetained = "take-retained",
        AwaitHandle = "await-handle",
        DropHandle = "drop-handle",
        PollHandle = "poll-handle",
        SelectHandle = "select-handle",
        SwapHandle = "swap-handle",
        KeepHandle = "keep-handle",
        CancelHandle = "cancel-handle",
        CancelOnDrop = "cancel-on-drop",
        CancelById = "cancel-by-id",
        Pause = "pause",
        SetConcurrency = "set-concurrency",
        Subscribe = "subscribe",
        Emit = "emit",
        Cache = "cache",
        WaitUntilIdle = "wait-until-idle",
        Observe = "observe",
        SetPriority = "set-priority",
        Clear = "clear",
        HoldAll = "hold",
        HoldLane = "hold-lane",
        PauseClass = "pause-class",
        Schedule = "schedule",
        EndSchedule = "end-schedule",
        Unique = "unique",
        Duplicate = "duplicate",
        Supersede = "supersede",
        UseLane = "lane",
        RunBatch = "batch",
        RunLargeBatch = "large-batch",
        LeaveUnanswered = "leave-unanswered",
        Heartbeat = "heartbeat",
        Progress = "progress",
        Slow = "slow",
        CacheTooHeavy = "cache-too-heavy",
        Return = "return",
        Fail = "fail",
        Panic = "panic",
        PanicInCall = "panic-in-call",
        Yield = "yield",
        RuntimeSleep = "runtime-sleep",
        ContextSleep = "context-sleep",
        ContextSleepDropped = "context-sleep-dropped",
        LendWaker = "lend-waker",
        WakeOften = "wake-often",
        WakeAfterEnd = "wake-after-end",
        LoseWaker = "lose-waker",
        Block = "block",
        SubmitInside = "submit-inside",
        AwaitInside = "await-inside",
        CancelSelf = "cancel-self",
        AwaitCancelled = "await-cancelled",
        ChildTask = "child-task",
        ChildThread = "child-thread",
        KeepContext = "keep-context",
        PanicInCallback = "panic-in-callback",
        PanicInDrop = "panic-in-drop",
        PanicInDebug = "panic-in-debug",
        PanicInClone = "panic-in-clone",
        PanicInOptions = "panic-in-options",
        PanicInMaker = "panic-in-maker",
    }
}

names! {
    /// What a finding violates.
    Check, CHECKS {
        Once = "once",
        Outcome = "outcome",
        Ended = "ended",
        Handle = "handle",
        Callback = "callback",
        Ledger = "ledger",
        Census = "census",
        Events = "events",
        Tokens = "tokens",
        Keys = "keys",
        Lanes = "lanes",
        Classes = "classes",
        Batches = "batches",
        Schedules = "schedules",
        Slow = "slow-once",
        Cache = "cache-weight",
        Context = "context",
        Shutdown = "shutdown",
        Abandoned = "abandoned",
        Stuck = "stuck",
        RuntimeGone = "runtime-gone",
        Panic = "panic",
        Heap = "heap",
        Threads = "threads",
        Hang = "hang",
    }
}

names! {
    /// The outcomes that were seen by their handle or callback, or as a result.
    Seen, SEEN {
        Completed = "completed",
        Failed = "failed",
        TimedOut = "timed-out",
        Cancelled = "cancelled",
        Expired = "expired",
        Panicked = "panicked",
        Shed = "shed",
        Ended = "ended",
    }
}

static SKIPPED: OnceLock<HashSet<&'static str>> = OnceLock::new();

/// Leaves these ends, actions and checks out of the whole run.
pub fn skip(names: HashSet<&'static str>) {
    let _ = SKIPPED.set(names);
}

/// Whether an end, an action or a check was left out by its name.
pub fn is_skipped(name: &str) -> bool {
    SKIPPED.get().is_some_and(|skipped| skipped.contains(name))
}

/// The name as it is declared, if there is an end, an action or a check of that name.
pub fn known(name: &str) -> Option<&'static str> {
    let end = End::named(name).map(End::name);
    end.or_else(|| Action::named(name).map(Action::name)).or_else(|| Check::named(name).map(Check::name))
}
