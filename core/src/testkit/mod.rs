//! The reference model and the simulated host. The property tests and the fuzz target of this crate use them; so can
//! anybody who patches the machine. If you write a host of your own, see [`hosts`].
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
//! Steps, calls and answers are enums of the machine's parts, a row of the table in `parts.rs` each, and what belongs to
//! one part is in files of its name in three folders: [`calls`], `model/` and [`steps`]. Each file below imports only
//! from those above it:
//!
//! | file | what is there |
//! |---|---|
//! | `parts.rs` | the table of parts, with the bytes that choose each |
//! | `flaws.rs` | what the comparison must find: a flaw or a class of limits is a line |
//! | `token.rs`, `choices.rs` | counted payloads, and values that a byte chooses |
//! | `setup.rs`, `order.rs` | the bytes that choose the limits, and those that choose the terms of a task |
//! | `host.rs` | the simulated host, which has the machine |
//! | `calls/` | for each part its calls and their answers, and how the host makes a call |
//! | `model/` | for each part its naive model, with the answers that the machine must give |
//! | `model/accounts.rs`, `model/inspect.rs` | the model's ledger and census, a row each class |
//! | `oracle/` | what is compared, the turns of a host that behaves, and the end |
//! | `oracle/memory.rs` | the ids that were given out, a line each kind, and what a host has in hand |
//! | `steps/` | for each part its steps, the bytes that choose them, and the calls that they make |
//! | `script.rs`, `check.rs` | scripts of steps, and their run from the first step to the end of the machine |
//! | `hosts/` | the test of hosts, which stands by itself |

pub mod calls;
mod check;
mod choices;
mod flaws;
mod host;
pub mod hosts;
mod model;
mod oracle;
mod order;
mod parts;
mod script;
mod setup;
pub mod steps;
mod token;
mod wheel;

pub use calls::{Answer, Call};
pub use check::{check, check_flawed, trace};
pub use flaws::{Class, Flaw};
pub use host::Host;
pub use model::Model;
pub use oracle::{Fault, Oracle, Summary};
pub use order::Order;
pub use script::Script;
pub use setup::Setup;
pub use steps::Step;
pub use token::{Books, Key, Kit, Token};
pub use wheel::Wheel;
