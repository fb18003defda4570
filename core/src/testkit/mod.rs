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
//!
//! Steps, calls and answers are enums of the machine's [parts], and what belongs to one part is in a file of its
//! name: the bytes of its steps, the calls that they make, how the host makes a call on the machine, and the answers.
//! The answer that the model must give is in the file beside it, in `model/`. What all parts share:
//!
//! | file | what is there |
//! |---|---|
//! | `parts/mod.rs` | the table of parts, with the bytes that choose each |
//! | `script.rs`, `order.rs` | the bytes that choose the limits, and those that choose the terms of a task |
//! | `oracle/memory.rs` | the ids that were given out, a line each kind, and what a host has in hand |
//! | `oracle/` | what is compared, the turns of a host that behaves, and the end |
//! | `model/accounts.rs`, `model/inspect.rs` | the model's ledger and census, a row each class |
//! | `flaws.rs` | what the comparison must find: a flaw or a class of limits is a line |

mod flaws;
mod host;
mod model;
mod oracle;
mod order;
pub mod parts;
mod script;
mod token;
mod wheel;

pub use flaws::{Class, Flaw};
pub use host::Host;
pub use model::Model;
pub use oracle::{Fault, Oracle, Summary, check, check_flawed, trace};
pub use order::Order;
pub use parts::{Answer, Call, Step};
pub use script::{Script, Setup};
pub use token::{Books, Key, Kit, Token};
pub use wheel::Wheel;

/// A budget that no test uses up.
const AMPLE: u32 = 1 << 20;
