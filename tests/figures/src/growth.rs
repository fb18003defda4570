//! What each operation costs among ever more live tasks, timers, results, cache entries and so on.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::meter::{self, Figure, Meter, Pass};
use crate::operations;

const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// By how much more instructions among the most than among the fewest count as growth.
const TOLERANCE: f64 = 0.10;

/// One operation's figures, a size each.
type Row<'a> = [&'a Figure; SIZES.len()];

fn program(meter: &mut Meter) {
    SIZES.iter().for_each(|size| operations::measure(meter, *size));
}

/// Prints the table, writes `growth.csv` and `growth.svg` to `folder`, and fails if an operation's instructions grow.
pub fn run(pass: Pass, folder: Option<String>) -> ExitCode {
    let figures = meter::figures(pass, program);
    let rows = rows(&figures);
    print(&rows);
    let folder = folder.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    match write(&folder, &rows) {
        Ok(()) => {}
        Err(why) => {
            eprintln!("cannot write to {}: {why}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    judge(&rows)
}

fn rows(figures: &[Figure]) -> Vec<Row<'_>> {
    let each = figures.len() / SIZES.len();
    (0..each).map(|at| std::array::from_fn(|size| &figures[size * each + at])).collect()
}

/// How many more instructions it takes among the most than among the fewest, as a fraction.
fn growth(row: &Row<'_>) -> f64 {
    row[SIZES.len() - 1].instructions / row[0].instructions - 1.0
}

fn print(rows: &[Row<'_>]) {
    println!("{:26}{:^32} {:^36}", "", "ns", "instructions");
    println!(
        "{:26}{:>8}{:>8}{:>8}{:>8} {:>9}{:>9}{:>9}{:>9}{:>9}",
        "among", "1e3", "1e4", "1e5", "1e6", "1e3", "1e4", "1e5", "1e6", "growth"
    );
    for row in rows {
        let mut line = format!("{:26}", row[0].name);
        for figure in row {
            let _ = write!(line, "{:8.1}", figure.nanos);
        }
        line.push(' ');
        for figure in row {
            let _ = write!(line, "{:9.1}", figure.instructions);
        }
        println!("{line}{:+8.1}%", 100.0 * growth(row));
    }
}

fn write(folder: &Path, rows: &[Row<'_>]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let mut csv = String::from("operation,size,ns,instructions\n");
    for figure in rows.iter().flatten() {
        let Figure { name, size, nanos, instructions, .. } = figure;
        let _ = writeln!(csv, "\"{name}\",{size},{nanos:.1},{instructions:.1}");
    }
    fs::write(folder.join("growth.csv"), csv)?;
    println!("written: growth.csv");
    plot(&folder.join("growth.svg"), rows)
}

#[cfg(feature = "peers")]
fn plot(file: &Path, rows: &[Row<'_>]) -> Result<(), Box<dyn Error>> {
    let points = |row: &Row<'_>| row.iter().map(|figure| (f64::from(figure.size), figure.nanos)).collect();
    let lines: Vec<_> = rows.iter().map(|row| (row[0].name, points(row))).collect();
    crate::peers::plot::draw(file, "The core's operations, ns among ever more that is live", &lines)?;
    println!("written: growth.svg");
    Ok(())
}

#[cfg(not(feature = "peers"))]
fn plot(_: &Path, _: &[Row<'_>]) -> Result<(), Box<dyn Error>> {
    println!("no plot without the feature peers");
    Ok(())
}

/// Success if the instructions of no operation grow.
fn judge(rows: &[Row<'_>]) -> ExitCode {
    if rows.iter().any(|row| growth(row).is_nan()) {
        println!("not judged: instructions were not counted");
        return ExitCode::FAILURE;
    }
    let grown: Vec<_> = rows.iter().filter(|row| growth(row) > TOLERANCE).collect();
    for row in &grown {
        println!("GROWS: {} by {:.1} %", row[0].name, 100.0 * growth(row));
    }
    if grown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
