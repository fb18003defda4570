//! Types that may grow are `#[non_exhaustive]`: every public type of the core except those listed here.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Types that hosts have to match exhaustively, because they say whether to keep waiting, or when to come back. A
/// catch-all arm would have to guess.
const ANSWERS: [&str; 6] = ["Claim", "Next", "Phase", "RoomStatus", "SleepStatus", "Wake"];

/// Types that hosts write as literals. Those with defaults say in their documentation how to end a literal. A `Guard`
/// has three registrations by definition.
const LITERALS: [&str; 3] = ["CacheLimits", "Guard", "Timeouts"];

#[test]
fn types_that_may_grow_are_non_exhaustive() -> io::Result<()> {
    let (mut sources, mut exhaustive, mut count) = (Vec::new(), BTreeSet::new(), 0);
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut sources)?;
    for source in sources {
        let text = fs::read_to_string(source)?;
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(declared) = line.strip_prefix("pub enum ").or(line.strip_prefix("pub struct ")) else {
                continue;
            };
            count += 1;
            if !is_non_exhaustive(&lines[..at]) && !has_private_field(&lines[at..]) {
                let name = declared.split(['<', '(', ' ']).next().unwrap_or(declared);
                exhaustive.insert(name.to_owned());
            }
        }
    }
    assert!(count > 40, "{count} types are found");
    let allowed = ANSWERS.into_iter().chain(LITERALS).map(str::to_owned);
    assert_eq!(exhaustive, allowed.collect());
    Ok(())
}

/// All source files of the machine. The testkit is not for hosts, and grows with the calls.
fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            sources.push(path);
        } else if !path.ends_with("testkit") {
            collect(&path, sources)?;
        }
    }
    Ok(())
}

/// Whether the attributes at the end of these lines include `#[non_exhaustive]`.
fn is_non_exhaustive(before: &[&str]) -> bool {
    let attributes = before.iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    attributes.into_iter().any(|line| *line == "#[non_exhaustive]")
}

/// Whether the first of these lines declares a struct with a private field.
fn has_private_field(declaration: &[&str]) -> bool {
    let [first, others @ ..] = declaration else { return false };
    if !first.starts_with("pub struct ") {
        return false;
    }
    if !first.ends_with('{') {
        return !first.contains("(pub ");
    }
    let mut fields = others.iter().take_while(|line| **line != "}").filter(|line| line.contains(": "));
    fields.any(|line| !line.starts_with("pub ") && !line.starts_with("//"))
}
