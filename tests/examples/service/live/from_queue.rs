//! `--source`: the service works off the jobs of a durable queue, which it may share with other processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use plimsoll::Runtime;
use plimsoll::source::SourceHandle;
use tokio::task::JoinHandle;

use super::running::{Running, Setting};
use super::work::{Job, Service};
use crate::options::Options;
use crate::queue::{self, Location, Queue, Receive, Stock};
use crate::report::{FromQueue, Log, Report};
use crate::signals;

/// Deliveries that may be here for each that can run, so that no worker waits for verdicts on their way.
const CREDIT: u32 = 4;
/// How often a failing job is tried, by whichever process.
const ATTEMPTS: u32 = 2;
/// How often the queue is asked what is left in it.
const LOOK: Duration = Duration::from_millis(250);
/// How long the service waits at a time.
const WAIT: Duration = Duration::from_millis(20);

/// Works off jobs until Ctrl-C, or for as long as the options say, or until none is left.
pub fn work_off<R: Runtime + Clone + Send + Sync + 'static>(
    options: &Options,
    runtime: R,
    location: &Location,
) -> Result<Report, String> {
    let credit = options.workers().saturating_mul(CREDIT);
    let setting = Setting { span: options.duration, speed: 1.0, attempts: ATTEMPTS, source: Some(credit) };
    let mut running = Running::start(options, runtime, setting)?;
    // Opened after the count of bytes has begun, and closed before it ends.
    let engine = queue::runtime()?;
    let queue = location.open(&engine)?;
    let receive: Receive = {
        let world = running.world.clone();
        Arc::new(move |work| Job { work, sent: (world.clock)() })
    };
    let (handle, puller) = queue.attach(&running.service, receive, credit)?;
    let puller = engine.spawn(puller);

    let mut asked = Asked::new(&*queue, &engine);
    let is_over = |running: &Running<R>, stock: Option<Stock>| {
        signals::interrupts() > 0
            || options.duration.is_some_and(|duration| running.pace.elapsed() >= duration)
            || options.until_empty && stock.is_some_and(|stock| stock.jobs == 0)
    };
    while !is_over(&running, asked.stock) {
        show(&mut running, &asked, &handle);
        running.turn(WAIT);
        asked.look();
    }
    drop(asked);

    let ended = running.end();
    let unconfirmed = block_on(puller).map_err(|error| format!("--source: the puller: {error}"))?;
    let stock = engine.block_on(queue.stock()).ok();
    drop((queue, engine, handle));
    let title = format!("the jobs of {location} on {:?}, {}", options.runtime, options.size());
    let is_cut = ended.is_cut;
    let source = FromQueue { queue: location.to_string(), unconfirmed, is_cut, stock };
    Ok(ended.report(title, Log::default(), Some(source)))
}

fn show<R>(running: &mut Running<R>, asked: &Asked<'_>, handle: &SourceHandle<Service>) {
    running.left = asked.stock.map(|stock| stock.jobs);
    running.is_down = handle.view().is_some_and(|view| view.is_down);
}

/// What the queue says is in it, asked now and then.
struct Asked<'q> {
    queue: &'q dyn Queue,
    engine: &'q tokio::runtime::Runtime,
    /// As it was last said.
    stock: Option<Stock>,
    asked: Instant,
    answer: Option<JoinHandle<Result<Stock, String>>>,
}

impl<'q> Asked<'q> {
    fn new(queue: &'q dyn Queue, engine: &'q tokio::runtime::Runtime) -> Self {
        Self { queue, engine, stock: None, asked: Instant::now(), answer: Some(engine.spawn(queue.stock())) }
    }

    /// Takes the answer if it is there, and asks again if it is time to. A queue that can't say has said nothing.
    fn look(&mut self) {
        if let Some(answer) = self.answer.take_if(|answer| answer.is_finished()) {
            self.stock = block_on(answer).ok().and_then(Result::ok);
        }
        if self.answer.is_none() && self.asked.elapsed() >= LOOK {
            self.asked = Instant::now();
            self.answer = Some(self.engine.spawn(self.queue.stock()));
        }
    }
}
