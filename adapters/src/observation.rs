//! Watching a processor: its events, its probes, its state in numbers, and the proof that nothing leaks.

use plimsoll_core::{ByRefusal, Census, Health, LastError, Ledger, Limits, Phase, SubscribeRefusal, Totals};

use crate::access::Access;
use crate::probes::{NotLive, NotReady};
use crate::subscription::Subscription;
use crate::work::AnyWork;

impl<W: AnyWork> Access<W> {
    /// Subscribes to the events from now on.
    ///
    /// ```
    /// # use plimsoll::{Event, Notice, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut events = processor.subscribe()?;
    /// processor.task(21).post()?;
    /// let first = futures::executor::block_on(futures::StreamExt::next(&mut events));
    /// assert!(matches!(first, Some(Notice::Event(Event::Admitted { .. }))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Too many subscribers, or the processor has ended.
    pub fn subscribe(&self) -> Result<Subscription<W>, SubscribeRefusal> {
        let id = self.shared.act(|machine| machine.subscribe())?;
        Ok(Subscription::new(self.shared.clone(), id))
    }

    /// The last thing that went wrong, in a fixed number of bytes.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |text: String| async move { text.parse::<u32>() })?;
    /// assert!(processor.submit("many".into())?.wait().is_err());
    /// let last = processor.last_error().ok_or("it has failed")?;
    /// assert!(last.message.as_str().contains("InvalidDigit"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn last_error(&self) -> Option<LastError<W::Meta>> {
        self.shared.read(|machine| machine.last_error())
    }

    /// The state of the processor in numbers.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().queue(6).concurrency(2);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// for job in 0..4 {
    ///     processor.task(job).post()?;
    /// }
    /// let health = processor.health();
    /// assert_eq!((health.saturation, health.free_room), (500, 4)); // half of the load line
    /// # Ok(())
    /// # }
    /// ```
    pub fn health(&self) -> Health {
        let now = self.shared.now();
        self.shared.read(|machine| machine.health(now))
    }

    /// Open, draining or drained.
    pub fn phase(&self) -> Phase {
        self.shared.read(|machine| machine.phase())
    }

    /// What the processor holds now, its cache included. O(1).
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let handle = processor.submit(21)?;
    /// assert_eq!(processor.census().tasks, 1);
    /// assert_eq!(handle.wait()?, 42);
    /// assert!(processor.census().is_empty());
    /// assert_eq!(processor.census(), processor.audit());
    /// # Ok(())
    /// # }
    /// ```
    pub fn census(&self) -> Census {
        let mut census = self.shared.read(|machine| machine.census());
        census.cached = self.shared.cache.count(false).held;
        census
    }

    /// As [`census`](Self::census), recounted by walking everything under the lock: O(limits). They are equal, or the
    /// processor is broken.
    pub fn audit(&self) -> Census {
        let mut census = self.shared.read(|machine| machine.audit());
        census.cached = self.shared.cache.count(true).held;
        census
    }

    /// What has come and gone so far.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// assert_eq!(processor.submit(21)?.wait()?, 42);
    /// let totals = processor.totals();
    /// assert_eq!((totals.offered, totals.refused, totals.settled.completed), (1, 0, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn totals(&self) -> Totals {
        self.shared.read(|machine| machine.totals())
    }

    /// How many tasks were refused for each reason, as far as that was the machine's to say.
    pub fn refusals(&self) -> ByRefusal {
        self.shared.read(|machine| machine.refusals())
    }

    /// The movements of every class of things that could leak.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.shared.read(|machine| machine.ledger());
        ledger.cache = self.shared.cache.count(false).account;
        ledger
    }

    /// The limits that it was built for. Those of the cache are its own: see [`Cache`](crate::Cache).
    pub fn limits(&self) -> Limits {
        self.shared.read(|machine| *machine.limits())
    }

    /// How many attempts may run at the same time, as last set.
    pub fn concurrency(&self) -> u32 {
        self.shared.read(|machine| machine.concurrency())
    }

    /// How many more tasks without a delay would be taken in now. Places that permits hold are taken.
    pub fn free_room(&self) -> u32 {
        self.shared.read(|machine| machine.free_room())
    }

    /// What it is [called](crate::Builder::name).
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The time on the processor's clock, after its end too.
    pub fn now(&self) -> crate::Instant {
        self.shared.now()
    }

    /// Whether the processor makes progress: a liveness probe, by which a supervisor knows when to start the process
    /// again.
    ///
    /// It is live as long as
    /// - it has not ended. A processor that drains is live;
    /// - what is due is done: the timekeeper looks at the timers when one is due. The [health
    ///   check](crate::Builder::health_every) is such a timer, and so with one a runtime that has stopped, or whose
    ///   threads are all blocked, is always noticed. Without one that is noticed only while some other timer is armed,
    ///   a task's time-out for instance;
    /// - not every place is held by attempts that have hung. Those are attempts that were asked to stop and still run,
    ///   whether their task is settled or is [to be tried again](crate::Retry::on_timeout), and attempts that were
    ///   reported as [slow](crate::Builder::slow_after). As many [orphans](crate::Health::orphans) as
    ///   [`Limits::orphans`](crate::Limits::orphans) allows count as every place, for they keep others from starting.
    ///
    /// It takes two probes to see either of the last two, the second more than three health periods (without one,
    /// thirty seconds) after the first, with no timer looked at, or no attempt started, in between. So a process that
    /// was suspended is not taken for dead. Ask it regularly, at least once in that time.
    ///
    /// So a handler that hangs is noticed where its tasks have a time-out or a soft limit. The soft limit should then
    /// be longer than any attempt that is well: where all places are held by attempts beyond it for that long, this
    /// says so.
    ///
    /// O(1), one short hold of the machine's lock, no allocation. For two probes of a processor behind a web server:
    ///
    /// ```
    /// use plimsoll::{Drain, Processor, Submitter, Thread, infallible};
    /// use std::time::Duration;
    ///
    /// type Jobs = fn(u32) -> Result<u32, std::convert::Infallible>;
    ///
    /// /// Status and body of the answers to `GET /livez` and `GET /readyz`.
    /// fn livez(jobs: &Submitter<Jobs>) -> (u16, String) {
    ///     jobs.is_live().map_or_else(|why| (503, why.to_string()), |()| (200, "live".into()))
    /// }
    ///
    /// fn readyz(jobs: &Submitter<Jobs>) -> (u16, String) {
    ///     jobs.is_ready().map_or_else(|why| (503, why.to_string()), |()| (200, "ready".into()))
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .health_every(Duration::from_secs(5))
    ///     .spawn_on(Thread::start()?, infallible(|n: u32| async move { n }))?;
    /// let jobs = processor.submitter();
    /// assert_eq!((livez(&jobs).0, readyz(&jobs).0), (200, 200));
    /// processor.pause();
    /// assert_eq!((livez(&jobs).0, readyz(&jobs)), (200, (503, "the processor is paused".into())));
    /// futures::executor::block_on(processor.shutdown(Drain::Cancel));
    /// assert_eq!(livez(&jobs), (503, "the processor has ended".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotLive`]: why not.
    pub fn is_live(&self) -> Result<(), NotLive> {
        let now = self.shared.now();
        self.shared.lock().check_live(now)
    }

    /// Whether the processor is to be sent work: a readiness probe. It is ready while it is open, not paused, and has
    /// room for a task. Once a probe has found it full, it is ready again when a tenth of its queue is free, so that a
    /// queue that is full now and then doesn't make it come and go. A [hold](Self::hold), a rate and paused classes
    /// leave it ready.
    ///
    /// O(1), one short hold of the machine's lock, no allocation. [`is_live`](Self::is_live) has an example.
    ///
    /// # Errors
    /// [`NotReady`]: why not.
    pub fn is_ready(&self) -> Result<(), NotReady> {
        let now = self.shared.now();
        self.shared.lock().check_ready(now)
    }

    /// Publishes the counters and gauges now, if the processor was built with [`metrics`](crate::Builder::metrics): call it
    /// before they are scraped. Calls the recorder on this thread. One short hold of the machine's lock. Needs the
    /// feature `metrics`.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.shared.publish_metrics();
    }
}
