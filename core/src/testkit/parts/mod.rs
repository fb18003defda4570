//! The parts of the machine, as scripts drive them. A part is a row of the table at the end of this file, and a file of
//! its name, with:
//!
//! - `Step`, an action of a host: `from_bytes` makes it, and `take` makes its calls by the oracle;
//! - `Call`, as plain data: `now` is the time that it passes in, `make` performs it on the machine, and `predict`,
//!   beside the part's model in `model/`, gives the answer that the machine must give;
//! - `Answer`, as plain data: `learn` notes what a host has to remember of it, such as ids.
//!
//! Every payload in a call or an answer is the number of its token.

use super::oracle::{Fault, Memory, Oracle};
use super::{Host, Model};
use crate::Instant;

/// Makes the enums of the table and hands each of their methods on to the part.
///
/// A row names a part, its file, and the pairs of first bytes with which a step is one of its own; the first row that
/// has a pair takes it. The rows below share the second byte, whatever the first one is. A row that is added takes
/// some values of the first byte from all of them, but not zero, and has the second one for itself. So it stands above
/// them, as `Lanes(lanes): (200..=207, _)`, and kept scripts, which have zero there, do what they did.
macro_rules! parts {
    ($($part:ident($file:ident): $bytes:pat,)*) => {
        $(pub mod $file;)*

        /// One action of a host. Numbers choose ids by position from the newest, and times and counts from short
        /// tables. A number above 240 chooses an id that was never given out, mostly one that differs from a real id in
        /// a high bit only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "named as the parts")]
        pub enum Step {
            $($part($file::Step),)*
        }

        /// One call of the machine. The host makes it and records the answer; the model predicts the answer.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "named as the parts")]
        pub enum Call {
            $($part($file::Call),)*
        }

        /// The answer to a call.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "named as the parts")]
        pub enum Answer {
            $($part($file::Answer),)*
        }

        impl Step {
            /// How many bytes are one step.
            pub const BYTES: usize = 8;

            /// The step in these bytes: two choose what it does, and six are its arguments. Actions that are frequent
            /// in life are frequent here.
            #[must_use]
            pub const fn from_bytes([part, kind, arguments @ ..]: [u8; Self::BYTES]) -> Self {
                match (part, kind) {
                    $($bytes => Self::$part($file::Step::from_bytes(kind, arguments)),)*
                }
            }

            /// Makes the calls of the step.
            pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
                match self {
                    $(Self::$part(step) => step.take(oracle),)*
                }
            }
        }

        impl Call {
            /// The time that the call passes in, if it does. The cache has a clock of its own.
            #[must_use]
            pub const fn now(&self) -> Option<Instant> {
                match self {
                    $(Self::$part(call) => call.now(),)*
                }
            }

            /// Makes the call on the machine of this host.
            pub(super) fn make(&self, host: &mut Host) -> Answer {
                match self {
                    $(Self::$part(call) => Answer::$part(call.make(host)),)*
                }
            }

            /// The answer that the machine must give. Its own answer is used only for the ids that it chose.
            pub(super) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
                match (self, given) {
                    $((Self::$part(call), Answer::$part(given)) => Answer::$part(call.predict(model, given)),)*
                    _ => {
                        model.complain("the answer is one of another part");
                        given.clone()
                    }
                }
            }
        }

        impl Answer {
            /// Notes what a host has to remember of the answer.
            pub(super) fn learn(&self, memory: &mut Memory) {
                match self {
                    $(Self::$part(answer) => answer.learn(memory),)*
                }
            }
        }

        $(
            impl From<$file::Step> for Step {
                fn from(step: $file::Step) -> Self {
                    Self::$part(step)
                }
            }

            impl From<$file::Call> for Call {
                fn from(call: $file::Call) -> Self {
                    Self::$part(call)
                }
            }

            impl From<$file::Answer> for Answer {
                fn from(answer: $file::Answer) -> Self {
                    Self::$part(answer)
                }
            }
        )*
    };
}

parts! {
    Classes(classes): (197, _),
    Overflow(overflow): (198 | 199, _),
    Lanes(lanes): (200..=205, _),
    Schedules(schedules): (206..=209, _),
    Monitor(monitor): (216..=219, _),
    Submissions(submissions): (_, 0..=31),
    Sleeps(sleeps): (_, 32..=39 | 52..=54 | 107 | 108 | 254 | 255),
    Permits(permits): (_, 40..=51 | 55..=60),
    Tasks(tasks): (_, 61..=86),
    Sources(sources): (_, 87..=98),
    Subscribers(subscribers): (_, 99..=106 | 109..=112),
    Gate(gate): (_, 113..=142),
    Attempts(attempts): (_, 143..=187),
    Observer(observer): (_, 193 | 228..=230),
    Time(time): (_, 188..=192 | 194..=219 | 231 | 232),
    Effects(effects): (_, 220..=227 | 247..=253),
    Cache(cache): (_, 233..=246),
}

// No part takes zero as the first byte, so kept scripts do what they did.
const _: () = assert!(matches!(Step::from_bytes([0; Step::BYTES]), Step::Submissions(_)));
