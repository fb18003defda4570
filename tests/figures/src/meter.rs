//! Measures regions of a program: in nanoseconds, and in instructions.
//!
//! A program is run twice, once for each. Regions run often for their times, and once for their instructions, which do
//! not vary.

use std::io;
use std::process::exit;
use std::time::Instant;

use crate::callgrind;

/// How often a region runs for its time, unless it says otherwise.
const ROUNDS: u32 = 15;

/// Something to be measured on a `W`.
pub struct Region<W> {
    pub name: &'static str,
    /// How many operations a round performs; what is reported is the cost of one.
    pub operations: u32,
    /// What the three functions are given.
    pub calls: u32,
    /// How often it runs for its time, of which the lowest counts: whatever else the computer does can only add to it.
    pub rounds: u32,
    /// What is not measured, but has to happen before each round.
    pub before: fn(&mut W, u32),
    pub run: fn(&mut W, u32),
    /// What is not measured, but has to happen after each round: it undoes what `run` did.
    pub after: fn(&mut W, u32),
}

impl<W> Region<W> {
    /// A region that performs one operation a call, and neither prepares nor undoes anything.
    pub const fn new(name: &'static str, operations: u32, run: fn(&mut W, u32)) -> Self {
        Self { name, operations, calls: operations, rounds: ROUNDS, before: |_, _| {}, run, after: |_, _| {} }
    }

    pub const fn before(mut self, before: fn(&mut W, u32)) -> Self {
        self.before = before;
        self
    }

    pub const fn after(mut self, after: fn(&mut W, u32)) -> Self {
        self.after = after;
        self
    }
}

/// A measured region.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub name: &'static str,
    /// How much was live meanwhile; 0 where that is not the point.
    pub size: u32,
    operations: u32,
    /// The time of one operation.
    pub nanos: f64,
    /// The instructions of one operation; not a number if they were not counted.
    pub instructions: f64,
}

/// What is being measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Nanos,
    Instructions,
}

/// Collects the figures of one run of a program.
pub struct Meter {
    unit: Unit,
    figures: Vec<Figure>,
}

impl Meter {
    /// Measures a region, after one round that is not, on a world of `size`.
    pub fn measure<W>(&mut self, world: &mut W, size: u32, region: &Region<W>) {
        let Region { name, operations, calls, rounds, before, run, after } = *region;
        let mut round = |is_counted: bool| {
            before(world, calls);
            let began = Instant::now();
            if is_counted {
                callgrind::counted(&mut || run(world, calls))
            } else {
                run(world, calls)
            }
            let took = began.elapsed();
            after(world, calls);
            took.as_nanos() as f64 / f64::from(operations)
        };
        round(false);
        let nanos = match self.unit {
            Unit::Nanos => (0..rounds).map(|_| round(false)).fold(f64::INFINITY, f64::min),
            Unit::Instructions => round(true),
        };
        self.figures.push(Figure { name, size, operations, nanos, instructions: f64::NAN });
    }
}

/// How a subcommand's program is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// By the user's own process.
    Parent,
    /// By a child under callgrind, whose parent reads what callgrind has written.
    Child,
}

/// Times `program` in this process, and counts its instructions in a child that runs the same subcommand. A child
/// never comes back from here.
pub fn figures(pass: Pass, program: fn(&mut Meter)) -> Vec<Figure> {
    exit_if_child(pass, program);
    let figures = perform(Unit::Nanos, program);
    match callgrind::count_child() {
        Ok(counts) => join(figures, &counts),
        Err(why) => {
            eprintln!("no instructions: {why}");
            figures
        }
    }
}

/// Only counts the instructions of `program`, else like [`figures`].
pub fn instructions(pass: Pass, program: fn(&mut Meter)) -> io::Result<Vec<Figure>> {
    exit_if_child(pass, program);
    Ok(join(perform(Unit::Instructions, program), &callgrind::count_child()?))
}

/// Only times `program`.
#[cfg(feature = "peers")]
pub fn times(program: fn(&mut Meter)) -> Vec<Figure> {
    perform(Unit::Nanos, program)
}

fn perform(unit: Unit, program: fn(&mut Meter)) -> Vec<Figure> {
    let mut meter = Meter { unit, figures: Vec::new() };
    program(&mut meter);
    meter.figures
}

/// A child only has to perform the program: what it costs is written by callgrind.
fn exit_if_child(pass: Pass, program: fn(&mut Meter)) {
    if pass == Pass::Child {
        perform(Unit::Instructions, program);
        exit(0);
    }
}

fn join(mut figures: Vec<Figure>, counts: &[u64]) -> Vec<Figure> {
    assert_eq!(figures.len(), counts.len(), "both runs measure the same regions");
    for (figure, count) in figures.iter_mut().zip(counts) {
        figure.instructions = *count as f64 / f64::from(figure.operations);
    }
    figures
}
