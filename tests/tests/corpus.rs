//! Replays what the fuzzer has kept, on any compiler.

use std::path::Path;

use plimsoll_core::testkit;
use plimsoll_tests::engine;

/// Calls this with the name and the bytes of each input that was kept for this target.
fn replay(target: &str, check: impl Fn(&str, &[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        let path = file.unwrap().path();
        check(&path.display().to_string(), &std::fs::read(&path).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 64, "only {inputs} inputs were found");
}

#[test]
fn machine_and_model_agree_on_the_kept_corpus() {
    replay("machine", |name, bytes| {
        let script = testkit::Script::from_bytes(bytes);
        assert!(!script.steps.is_empty());
        if let Err(fault) = testkit::check(&script) {
            panic!("{name}: {fault}\n{script:#?}");
        }
    });
}

#[test]
fn the_engine_keeps_its_promises_on_the_kept_corpus() {
    replay("engine", |name, bytes| {
        let script = engine::Script::from_bytes(bytes);
        if let Err(fault) = engine::check(&script) {
            panic!("{name}: {fault}\n{script:#?}");
        }
    });
}
