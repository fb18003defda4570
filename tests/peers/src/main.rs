//! plimsoll beside what people use instead: all do the same verified work. See `tests/BENCHMARKS.md`.

mod batches;
mod before;
mod contenders;
mod drive;
mod host;
mod latency;
mod local_host;
mod measure;
mod options;
mod report;
mod rounds;
mod work;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

fn main() -> ExitCode {
    match options::parse() {
        Ok(options::Asked::Child(entry, order)) => {
            // One in a thousand of some tasks panics, and is meant to.
            std::panic::set_hook(Box::new(|info| {
                let text = info.payload_as_str().unwrap_or_default();
                if text != work::PANIC {
                    eprintln!("{info}");
                }
            }));
            println!("{}", (entry.run)(order).line());
            std::process::exit(0);
        }
        Ok(options::Asked::Rounds(plan)) => rounds::run(&plan),
        Ok(options::Asked::Instructions(plan)) => rounds::instructions(&plan),
        Ok(options::Asked::Help) => {
            print!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n\n{}", options::HELP);
            ExitCode::FAILURE
        }
    }
}
