//! Counts instructions with callgrind, in a child process that runs this very program.
//!
//! Collection is on while `counted` is on the stack, and callgrind writes a dump each time it returns: the n-th dump
//! holds the n-th region's count.

use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

/// The first argument of a child.
pub const CHILD: &str = "--counted";

/// Runs a region that is to be counted.
#[inline(never)]
pub fn counted(run: &mut dyn FnMut()) {
    run();
    // Else the call above could become a jump, by which this function would leave the stack too early.
    std::hint::black_box(());
}

/// Runs this program with the same arguments under callgrind, and returns the instructions of each of its regions.
pub fn count_child() -> io::Result<Vec<u64>> {
    let folder = env::temp_dir().join(format!("plimsoll-figures-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let counts = run_child(&folder).and_then(|()| read_dumps(&folder));
    fs::remove_dir_all(&folder)?;
    counts
}

fn run_child(folder: &Path) -> io::Result<()> {
    let function = concat!(module_path!(), "::counted");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--dump-after={function}"))
        .arg(format!("--toggle-collect={function}"))
        .arg(format!("--callgrind-out-file={}", folder.join("dump").display()))
        .arg(env::current_exe()?)
        .arg(CHILD)
        .args(env::args_os().skip(1))
        // Neither what stands in the environment nor its length may change what is counted.
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// The totals of the dumps, which are numbered from 1.
fn read_dumps(folder: &Path) -> io::Result<Vec<u64>> {
    let mut counts = Vec::new();
    while let Ok(dump) = fs::read_to_string(folder.join(format!("dump.{}", counts.len() + 1))) {
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: ")?.parse().ok());
        counts.push(total.ok_or_else(|| io::Error::other("a dump without a total"))?);
    }
    Ok(counts)
}
