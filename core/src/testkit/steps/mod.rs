//! The steps of scripts: each is one action of a host, and makes none, one or several calls.
//!
//! Each part has a file of its name, with its `Step`: `from_bytes` makes it, and `take` makes its calls by the oracle.

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

use super::oracle::{Fault, Oracle};
use super::parts::for_each_part;

/// Makes the enum of steps, and hands each step on to its part.
macro_rules! steps {
    ($($part:ident($file:ident): $bytes:pat,)*) => {
        /// One action of a host. Numbers choose ids by position from the newest, and times and counts from short
        /// tables. A number above 240 chooses an id that was never given out, mostly one that differs from a real id in
        /// a high bit only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "named as the parts")]
        pub enum Step {
            $($part($file::Step),)*
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

        $(
            impl From<$file::Step> for Step {
                fn from(step: $file::Step) -> Self {
                    Self::$part(step)
                }
            }
        )*
    };
}

for_each_part!(steps);

// No part takes zero as the first byte, so kept scripts do what they did.
const _: () = assert!(matches!(Step::from_bytes([0; Step::BYTES]), Step::Submissions(_)));
