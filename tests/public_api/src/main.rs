//! Prints the public items of a crate, one a line and sorted, from the JSON of rustdoc whose path is the argument.
//!
//! Of the auto traits `Send` and `Sync` are printed, and blanket implementations, which belong to other crates, are not. Of
//! what is derived only the fact is printed, not the methods.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::io::{self, Write};

use public_api::Builder;

/// Auto traits that nobody chooses a type for.
const LEFT_OUT: [&str; 5] = ["Freeze", "RefUnwindSafe", "UnwindSafe", "Unpin", "UnsafeUnpin"];

fn main() -> Result<(), Box<dyn Error>> {
    let json = env::args_os().nth(1).ok_or("the path of rustdoc's JSON is missing")?;
    let builder = || Builder::from_rustdoc_json(&json).omit_blanket_impls(true);
    let written = builder().omit_auto_derived_impls(true).build()?;
    let written: HashSet<String> = written.items().map(ToString::to_string).collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for item in builder().build()?.items() {
        let line = item.to_string();
        let is_left_out = LEFT_OUT.iter().any(|name| line.contains(&format!("::{name} for ")));
        if !is_left_out && (written.contains(&line) || line.starts_with("impl")) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(())
}
