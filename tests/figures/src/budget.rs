//! The instructions of every life and operation, one a line, to be compared with what they were.

use std::process::ExitCode;

use crate::meter::{self, Meter, Pass};
use crate::{life, operations};

/// How much is live while an operation is measured.
const SIZE: u32 = 1_000;

fn program(meter: &mut Meter) {
    life::program(meter);
    operations::measure(meter, SIZE);
}

/// Prints `name instructions` lines, in names without spaces.
pub fn run(pass: Pass) -> ExitCode {
    let figures = match meter::instructions(pass, program) {
        Ok(figures) => figures,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    for figure in figures {
        let words: Vec<_> =
            figure.name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let kind = if figure.size == 0 { "life" } else { "operation" };
        println!("{kind}.{} {:.2}", words.join("-"), figure.instructions);
    }
    ExitCode::SUCCESS
}
