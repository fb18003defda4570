//! Any text in the headers of a message is read, and what is written is read as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The file itself, so that nobody builds a client of NATS for it.
#[allow(dead_code, reason = "the crate uses all of it")]
#[path = "../../adapters/nats/src/wire.rs"]
mod wire;

use wire::Letter;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\u{1}').collect();
    let header = |name: &str| {
        let at = ["Plimsoll-Why", "Plimsoll-Message", "Plimsoll-Deliveries", wire::KEY, "Plimsoll-Cut"]
            .iter()
            .position(|of| *of == name);
        lines.get(at.expect("a header that is not known")).copied()
    };
    let letter = Letter::read(header);
    assert_eq!(letter.key, header(wire::KEY).and_then(wire::key));
    let written: Vec<_> = letter.headers().collect();
    assert!(written.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
    let find = |name: &str| written.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str());
    let read = Letter::read(find);
    assert_eq!((read.deliveries, read.key, read.cut), (letter.deliveries, letter.key, letter.cut));
    assert_eq!(read.message, letter.message.replace(['\r', '\n'], " "));
});
