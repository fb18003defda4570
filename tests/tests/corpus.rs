//! Replays what the fuzzer has kept, on any compiler.

use std::path::Path;

use plimsoll_core::testkit::{Script, check};

#[test]
fn machine_and_model_agree_on_the_kept_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/machine");
    let mut scripts = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        let path = file.unwrap().path();
        let script = Script::from_bytes(&std::fs::read(&path).unwrap());
        assert!(!script.steps.is_empty());
        if let Err(fault) = check(&script) {
            panic!("{}: {fault}\n{script:#?}", path.display());
        }
        scripts += 1;
    }
    assert!(scripts >= 64, "only {scripts} scripts were found");
}
