//! Prints the public items of a crate, one a line and sorted, from the JSON of rustdoc whose path is the argument.
//!
//! Auto traits are left out, for tests pin them, and so are blanket implementations, which belong to other crates. Of what is
//! derived only the fact is printed, not the methods.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::io::{self, Write};

use public_api::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let json = env::args_os().nth(1).ok_or("the path of rustdoc's JSON is missing")?;
    let builder = || Builder::from_rustdoc_json(&json).omit_auto_trait_impls(true).omit_blanket_impls(true);
    let written = builder().omit_auto_derived_impls(true).build()?;
    let written: HashSet<String> = written.items().map(ToString::to_string).collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for item in builder().build()?.items() {
        let line = item.to_string();
        if written.contains(&line) || line.starts_with("impl") {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(())
}
