//! The links of the texts that people read in the repository lead somewhere.

use std::path::{Path, PathBuf};

const TEXTS: &[&str] =
    &["README.md", "COMPARISON.md", "CONTRIBUTING.md", "SECURITY.md", "tests/BENCHMARKS.md"];

/// The targets of `[text](target)` and `[text]: target` that are no addresses on the web.
fn local_links(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let reference =
        text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    let all = inline.chain(reference.map(|(_, target)| target.trim()));
    all.filter(|target| !target.contains("://") && !target.is_empty()).collect()
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn leads_somewhere(text: &str, folder: &Path, target: &str) -> bool {
    match target.strip_prefix('#') {
        Some(name) => text.lines().any(|line| line.starts_with('#') && anchor(line) == name),
        None => folder.join(target.split('#').next().unwrap_or(target)).exists(),
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut links, mut broken) = (0, Vec::new());
    for name in TEXTS {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        for target in local_links(&text) {
            links += 1;
            if !leads_somewhere(&text, path.parent().unwrap(), target) {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(links > 60, "only {links} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}
