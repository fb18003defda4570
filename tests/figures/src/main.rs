//! What the core costs, in nanoseconds and in instructions. One subcommand a table; see the usage text below.

mod budget;
mod callgrind;
mod crowd;
mod growth;
mod life;
mod machine;
mod memory;
mod meter;
mod operations;
#[cfg(feature = "peers")]
mod peers;

use std::process::ExitCode;

use meter::Pass;

const USAGE: &str = "usage: figures <what>
  life              one task from submit to the free slot: each path, each feature unused and used
  growth [folder]   each operation among 1,000 to 1,000,000; fails if instructions grow; writes growth.csv, growth.svg
  timers            timer stores side by side
  cache [folder]    caches side by side, also on the traces (*.u32le) in a folder
  memory            bytes of a machine, and of each thing in it
  budget            the instructions of all lives and operations, for .ci/instructions";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let pass = match arguments.next_if(|first| first == callgrind::CHILD) {
        Some(_) => Pass::Child,
        None => Pass::Parent,
    };
    match arguments.next().as_deref() {
        Some("life") => life::run(pass),
        Some("growth") => growth::run(pass, arguments.next()),
        #[cfg(feature = "peers")]
        Some("timers") => peers::timers::run(),
        #[cfg(feature = "peers")]
        Some("cache") => peers::cache::run(pass, arguments.next()),
        Some("memory") => memory::run(),
        Some("budget") => budget::run(pass),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}
