//! What running attempts share: a key has one at a time, and a lane no more than it may.

use std::collections::HashMap;
use std::sync::Arc;

use crate::names::Check;
use crate::parts::concurrency_of;
use crate::record::Record;
use crate::world::{World, lock};

/// Which attempts run.
#[derive(Default)]
pub struct Shares {
    /// The job that has a key.
    keys: HashMap<u64, u64>,
    /// How many attempts a lane has.
    lanes: HashMap<u64, u32>,
}

/// The share of one attempt, as long as its handler goes on.
pub struct Share {
    world: Arc<World>,
    key: Option<u64>,
    lane: Option<u64>,
}

impl Share {
    pub fn take(world: &Arc<World>, record: &Record) -> Self {
        let (key, lane, number) = (record.key(), record.lane, record.number);
        let mut shares = lock(&world.shares);
        let other = key.and_then(|key| shares.keys.insert(key, number));
        let running = lane.map_or(0, |lane| {
            let running = shares.lanes.entry(lane).or_default();
            *running += 1;
            *running
        });
        drop(shares);
        if let Some(other) = other {
            world.find(Check::Keys, format!("jobs {other} and {number} have key {key:?} and run at once"));
        }
        if lane.is_some_and(|lane| running > concurrency_of(lane)) {
            world.find(Check::Lanes, format!("lane {lane:?} runs {running} attempts"));
        }
        Self { world: world.clone(), key, lane }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = lock(&self.world.shares);
        if let Some(key) = self.key {
            shares.keys.remove(&key);
        }
        if let Some(running) = self.lane.and_then(|lane| shares.lanes.get_mut(&lane)) {
            *running -= 1;
        }
    }
}
