//! Lanes: what a processor's users see of them.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;
use std::time::Duration;

use plimsoll_core::{HoldRefusal, LaneView};

use crate::access::Access;
use crate::work::AnyWork;

/// The key of a lane, or of a [`Unique`](crate::Unique) task, for anything that can be hashed: a tenant, the name of a
/// host. The same value has the same key for as long as the process runs, and another one in the next process, so that
/// nobody can choose values whose keys collide.
///
/// So it is nothing to keep. The key of a [durable job](crate::source::Delivery::key) is kept by the engine: take a
/// number of your own for that, such as the tenant's in your database.
///
/// ```
/// use plimsoll::{Lane, LaneLimits, Processor, Thread, infallible, lane_key};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = Processor::builder()
///     .lanes(LaneLimits::new(1_000))
///     .spawn_on(Thread::start()?, infallible(|url: String| async move { url.len() }))?;
/// let host = |name: &str| Lane::new(lane_key(name)).concurrency(2);
/// let handle = processor.task("https://example.com/a".into()).lane(host("example.com")).submit()?;
/// assert_eq!(handle.wait()?, 21);
/// # Ok(())
/// # }
/// ```
pub fn lane_key<T: Hash + ?Sized>(value: &T) -> u64 {
    static SEED: OnceLock<RandomState> = OnceLock::new();
    SEED.get_or_init(RandomState::new).hash_one(value)
}

impl<W: AnyWork> Access<W> {
    /// Starts no attempts of the lane with this key for so long: what a server asks for that sends a Retry-After. A
    /// later call replaces this one; zero ends a hold, and `Duration::MAX` pauses the lane until then.
    /// [`Context::hold_lane`](crate::Context::hold_lane) does this from within a handler.
    ///
    /// ```
    /// # use plimsoll::{Lane, LaneLimits, Processor, Thread, infallible, lane_key};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().lanes(LaneLimits::new(100));
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let key = lane_key("example.com");
    /// processor.hold_lane(key, Duration::from_millis(5))?;
    /// let held = processor.task(1).lane(Lane::new(key)).submit()?;
    /// assert_eq!(processor.lane(key).map(|lane| lane.queued), Some(1));
    /// assert_eq!(held.wait()?, 2); // once the hold is over
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`HoldRefusal`]; nothing has changed.
    pub fn hold_lane(&self, key: u64, time: Duration) -> Result<(), HoldRefusal> {
        let now = self.shared.now();
        self.shared.act(|machine| machine.hold_lane(now, key, now.saturating_add(time)))
    }

    /// What is in the lane with this key; `None` if there is nothing, and nothing shuts it.
    pub fn lane(&self, key: u64) -> Option<LaneView> {
        self.shared.read(|machine| machine.lane(key))
    }
}
