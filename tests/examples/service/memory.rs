//! Memory, as the allocator and as the system see it.

use plimsoll_tests::alloc::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Bytes on the heap now.
pub fn live_bytes() -> u64 {
    ALLOCATOR.live() as u64
}

/// Resident bytes of this process, where the system tells (Linux).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024)
}
