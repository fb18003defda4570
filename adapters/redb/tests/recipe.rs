//! The example that users copy, run: it checks what it shows.

#[path = "../examples/durable_queue.rs"]
mod durable_queue;

#[test]
fn a_durable_queue_goes_on_after_its_worker() {
    let ended = durable_queue::main();
    assert!(ended.is_ok(), "{ended:?}");
}
