//! Any value of a column is read, and what is written is read as it was.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

// The file itself, so that nobody builds a client of PostgreSQL for it.
#[allow(dead_code, reason = "the crate uses all of it")]
#[path = "../../adapters/postgres/src/wire.rs"]
mod wire;

fuzz_target!(|bytes: &[u8]| check(&mut Unstructured::new(bytes)).expect("bytes that are missing are zeros"));

fn check(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (number, key): (i64, u64) = (bytes.arbitrary()?, bytes.arbitrary()?);
    assert_eq!(wire::signed(wire::unsigned(number)), number);
    assert_eq!(wire::unsigned(wire::signed(key)), key);
    let deliveries: i32 = bytes.arbitrary()?;
    assert_eq!(i64::from(wire::count(deliveries)), i64::from(deliveries.max(0)));
    let priority: i16 = bytes.arbitrary()?;
    let place = wire::place(priority, number);
    assert!(wire::START < place);
    assert!(priority == i16::MAX || wire::place(priority + 1, number) < place);
    let code: i16 = bytes.arbitrary()?;
    assert!(wire::death(code).is_none_or(|why| wire::code(why) == code));
    let time = Duration::new(bytes.arbitrary()?, bytes.arbitrary::<u32>()? % 1_000_000_000);
    let micros = wire::micros(time);
    assert!((0..=wire::LONGEST).contains(&micros));
    assert!(micros == wire::LONGEST || Duration::from_micros(micros.unsigned_abs()) >= time);
    assert!(
        !wire::text(&String::from_utf8_lossy(bytes.peek_bytes(bytes.len()).unwrap_or_default()))
            .contains('\0')
    );
    Ok(())
}
