//! Watching a processor: its events, its state in numbers, and the proof that nothing leaks.

use plimsoll_core::{ByRefusal, Census, Health, LastError, Ledger, Limits, Phase, SubscribeRefusal, Totals};

use crate::access::Access;
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
}
