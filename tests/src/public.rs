//! Public traces, which the project does not contain: tests that read them skip aloud where they are missing.

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

/// Where they lie, beside the project.
const FOLDER: &str = "../shared/data";

/// The file of a public trace. Where it is missing, `test` is said to be skipped, on the process's own stderr: the test
/// harness captures what `println` and `eprintln` say, and shows it of failed tests only.
#[must_use]
pub fn trace(test: &str, name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FOLDER);
    find(&folder, test, name, &mut stderr())
}

fn find(folder: &Path, test: &str, name: &str, aloud: &mut impl Write) -> Option<PathBuf> {
    let file = folder.join(name);
    if file.exists() {
        return Some(file);
    }
    // In one piece, since other tests write at the same time. Who can't be told can't be helped.
    let _ = aloud.write_all(format!("SKIPPED: {test}, for {FOLDER}/{name} is missing\n").as_bytes());
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_found_or_missed_aloud() {
        let (folder, mut said) = (Path::new(env!("CARGO_MANIFEST_DIR")), Vec::new());
        assert_eq!(find(folder, "this test", "Cargo.toml", &mut said), Some(folder.join("Cargo.toml")));
        assert_eq!(said, b"");
        assert_eq!(find(folder, "this test", "no.swf", &mut said), None);
        assert_eq!(said, b"SKIPPED: this test, for ../shared/data/no.swf is missing\n");
    }
}
