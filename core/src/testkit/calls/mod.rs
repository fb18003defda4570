//! The calls of the machine and their answers, as plain data. Every payload in them is the number of its token.
//!
//! Each part has a file of its name, with:
//!
//! - `Call`: `now` is the time that it passes in, and `make` performs it on the machine of a host;
//! - `Answer`: what the machine answered.

pub mod attempts;
pub mod cache;
pub mod classes;
pub mod effects;
pub mod emitters;
pub mod gate;
pub mod lanes;
pub mod monitor;
pub mod observer;
pub mod overflow;
pub mod permits;
pub mod schedules;
pub mod sleeps;
pub mod sources;
pub mod submissions;
pub mod subscribers;
pub mod tasks;
pub mod time;

use super::host::Host;
use super::parts::for_each_part;
use crate::Instant;

/// Makes the enums of calls and answers, and hands each call on to its part.
macro_rules! calls {
    ($($part:ident($file:ident): $bytes:pat,)*) => {
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

        impl Call {
            /// The time that the call passes in, if it does. The cache has a clock of its own.
            #[must_use]
            pub const fn now(&self) -> Option<Instant> {
                match self {
                    $(Self::$part(call) => call.now(),)*
                }
            }
        }

        impl Host {
            /// Makes one call, and returns its answer.
            pub fn call(&mut self, call: &Call) -> Answer {
                match call {
                    $(Call::$part(call) => Answer::$part(call.make(self)),)*
                }
            }
        }

        $(
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

for_each_part!(calls);
