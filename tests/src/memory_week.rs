//! A week of the leaky original and of plimsoll under the same load, in virtual time: what each holds, hour by hour, and
//! the picture of that in the README.
//!
//! Once a second comes a task with a time-out and a callback, and its result is cached; one in a hundred fails. At midnight
//! the processor is ended, and another one takes its place. All bytes are those of the calling thread, which has to have
//! [`Counting`](crate::alloc::Counting) as its allocator.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Cache, CacheLimits, Context, Processor};

use crate::alloc::here;
use crate::before::{AddOptions, EventLoop, Leaks, Notice, Options, TaskProcessor};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(30);
const HEALTH: Duration = Duration::from_secs(30);
const CLEANUP: Duration = Duration::from_secs(60);
const CONCURRENCY: u32 = 10;
const CACHED: u32 = 100;
/// What a callback captures, and what is cached.
const PAYLOAD: usize = 64;

/// The bytes that are held at the end of each hour.
pub type Hours = Vec<usize>;

/// Measures a week of so many hours: a processor a day, from `begin` to `end`, with `second` for each second of it.
fn measure<P>(
    hours: u32,
    mut begin: impl FnMut() -> P,
    mut second: impl FnMut(&P, u64),
    mut end: impl FnMut(P),
) -> Hours {
    let mut samples = Hours::with_capacity(hours as usize);
    let before = here().live;
    let mut processor = begin();
    for hour in 0..u64::from(hours) {
        if hour > 0 && hour % 24 == 0 {
            end(std::mem::replace(&mut processor, begin()));
        }
        for number in hour * 3_600..(hour + 1) * 3_600 {
            second(&processor, number);
        }
        samples.push(usize::try_from(here().live - before).unwrap_or(0));
    }
    end(processor);
    samples
}

/// The original, with these of its leaks.
#[must_use]
pub fn original(hours: u32, leaks: Leaks) -> Hours {
    let events = EventLoop::default();
    let called = Rc::new(Cell::new(0_u64));
    let options = Options {
        max_concurrency: CONCURRENCY as usize,
        cache_size: CACHED as usize,
        health_every: Some(HEALTH),
        cleanup_every: Some(CLEANUP),
        leaks,
        ..Options::default()
    };
    let begin = || {
        let processor = TaskProcessor::new(&events, options);
        let unsubscribe = processor.subscribe(Rc::new(|_: &Notice| {}));
        (processor, unsubscribe)
    };
    let second = |(processor, _): &(TaskProcessor, _), number: u64| {
        let (payload, called) = ([0_u8; PAYLOAD], called.clone());
        let callback = Rc::new(move |_: &_| called.set(called.get() + u64::from(payload[0]) + 1));
        let work = Rc::new(move |done: crate::before::Done| match number % 100 {
            99 => done.reject("failed"),
            _ => done.resolve(number),
        });
        let options =
            AddOptions { timeout: Some(TIMEOUT), callback: Some(callback), ..AddOptions::default() };
        assert!(processor.add_task(work, options).is_ok(), "it was not destroyed");
        processor.set_cache(number, Rc::new([0_u8; PAYLOAD]));
        events.run_for(SECOND);
    };
    let samples = measure(hours, begin, second, |(processor, _unsubscribe)| processor.destroy());
    assert_eq!(called.get(), u64::from(hours) * 3_600, "each callback was called");
    samples
}

/// plimsoll, on a simulated runtime.
#[must_use]
pub fn plimsoll(hours: u32) -> Hours {
    let sim = Sim::new(1);
    let called = Arc::new(AtomicU64::new(0));
    let begin = || {
        let cache = Cache::<u64, [u8; PAYLOAD]>::new(CacheLimits::new(CACHED)).expect("the limits are legal");
        let processor = Processor::builder()
            .concurrency(CONCURRENCY)
            .timeout(TIMEOUT)
            .health_every(HEALTH)
            .sweep_every(CLEANUP)
            .cache(&cache)
            .spawn_on(sim.clone(), |number: u64, _: Context| async move {
                if number % 100 == 99 { Err("failed") } else { Ok(number) }
            })
            .expect("the limits are legal");
        let subscription = processor.subscribe().expect("there is none yet");
        (processor, cache, subscription)
    };
    let second = |(processor, cache, _): &(Processor<_>, Cache<_, _>, _), number: u64| {
        let (payload, called) = ([0_u8; PAYLOAD], called.clone());
        let task = processor.task(number).call(move |_| {
            called.fetch_add(u64::from(payload[0]) + 1, Relaxed);
        });
        assert!(task.is_ok(), "there is room");
        cache.insert(number, [0_u8; PAYLOAD]);
        sim.advance(SECOND).expect("the simulation is not run by others");
    };
    let samples = measure(hours, begin, second, drop);
    assert_eq!(called.load(Relaxed), u64::from(hours) * 3_600, "each callback was called");
    samples
}

/// A curve of the picture.
#[derive(Clone, Copy, Debug)]
pub struct Curve<'a> {
    /// What it is, beside its end.
    pub name: &'a str,
    /// Its class in the style sheet: its colour.
    pub class: &'a str,
    /// Its points.
    pub hours: &'a [usize],
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 176.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 52.0;
const MIB: f64 = 1_048_576.0;

/// The picture: memory over time, one curve each, legible on a light and on a dark page.
#[must_use]
pub fn picture(title: &str, curves: &[Curve<'_>]) -> String {
    let most = curves.iter().flat_map(|curve| curve.hours).copied().max().unwrap_or(0);
    let hours = curves.iter().map(|curve| curve.hours.len()).max().unwrap_or(1);
    let step = step_of(most as f64 / MIB);
    let top = (most as f64 / MIB / step).ceil().max(1.0) * step;
    let x = |hour: f64| LEFT + (WIDTH - LEFT - RIGHT) * hour / hours as f64;
    let y = |mib: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * mib / top;

    let mut svg = String::new();
    let mut put = |line: String| {
        let _ = writeln!(svg, "{line}");
    };
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    ));
    put(STYLE.to_owned());
    put(format!("<text class=\"title\" x=\"{LEFT}\" y=\"26\">{title}</text>"));
    put(format!("<text x=\"{LEFT}\" y=\"{}\">memory held, in MiB</text>", TOP - 12.0));
    let mut line = 0.0;
    while line <= top + step / 2.0 {
        let (at, end) = (y(line), WIDTH - RIGHT);
        put(format!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{end}\"/>"));
        put(format!("<text class=\"right\" x=\"{}\" y=\"{:.1}\">{line}</text>", LEFT - 10.0, at + 4.5));
        line += step;
    }
    for day in 0..=hours / 24 {
        let at = x(day as f64 * 24.0);
        put(format!("<path class=\"grid\" d=\"M{at:.1} {}v5\"/>", HEIGHT - BOTTOM));
        put(format!("<text class=\"middle\" x=\"{at:.1}\" y=\"{}\">{day}</text>", HEIGHT - BOTTOM + 20.0));
    }
    put(format!(
        "<text class=\"middle\" x=\"{:.1}\" y=\"{}\">time, in days</text>",
        x(hours as f64 / 2.0),
        HEIGHT - 10.0
    ));
    for Curve { name, class, hours } in curves {
        let points = hours
            .iter()
            .enumerate()
            .map(|(hour, bytes)| format!("{:.1},{:.1}", x(hour as f64 + 1.0), y(*bytes as f64 / MIB)));
        let points = points.collect::<Vec<_>>().join(" ");
        put(format!("<polyline class=\"{class}\" points=\"{points}\"/>"));
        let last = hours.last().copied().unwrap_or(0) as f64 / MIB;
        let (beside, at) = (WIDTH - RIGHT + 10.0, y(last));
        put(format!("<text class=\"name {class}\" x=\"{beside}\" y=\"{:.1}\">{name}</text>", at - 10.0));
        put(format!("<text x=\"{beside}\" y=\"{:.1}\">{}</text>", at + 7.0, in_mib(last)));
    }
    put("</svg>".to_owned());
    svg
}

fn in_mib(mib: f64) -> String {
    if mib < 10.0 { format!("{mib:.2} MiB") } else { format!("{mib:.0} MiB") }
}

/// A round step that gives four to eight lines.
fn step_of(most: f64) -> f64 {
    let power = 10_f64.powf((most.max(0.001) / 8.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|by| by * power).into_iter().find(|step| most / step <= 8.0).unwrap_or(power)
}

/// Text has a grey that is legible on white and on black; where the reader's theme is known it is better than that.
const STYLE: &str = "<style>
text { font: 14px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #6e7781 }
.title { font-size: 17px; font-weight: 600 }
.name { font-weight: 600 }
.right { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #8b949e; stroke-opacity: .35; fill: none }
polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round }
polyline.leaky { stroke: #cf4a3c }
polyline.bounded { stroke: #1f8f6a }
text.leaky { fill: #cf4a3c }
text.bounded { fill: #1f8f6a }
@media (prefers-color-scheme: dark) {
  text { fill: #c9d1d9 }
  polyline.leaky { stroke: #ff7b6b }
  polyline.bounded { stroke: #3fc796 }
  text.leaky { fill: #ff7b6b }
  text.bounded { fill: #3fc796 }
}
</style>";

/// The points of a curve in a picture, as they are drawn.
#[must_use]
pub fn points(svg: &str, class: &str) -> Vec<(f64, f64)> {
    let start = format!("<polyline class=\"{class}\" points=\"");
    let drawn = svg.split(&start).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let pairs = drawn.split(' ').filter_map(|pair| pair.split_once(','));
    pairs.filter_map(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?))).collect()
}

/// The picture of the README: a week of the original with all its leaks, and of plimsoll.
#[must_use]
pub fn week() -> (Hours, Hours, String) {
    const WEEK: u32 = 7 * 24;
    let (leaky, bounded) = (original(WEEK, Leaks::ALL), plimsoll(WEEK));
    let curves = [
        Curve { name: "the leaky original", class: "leaky", hours: &leaky },
        Curve { name: "plimsoll", class: "bounded", hours: &bounded },
    ];
    let svg = picture("A week at one task a second, with a new processor each midnight", &curves);
    (leaky, bounded, svg)
}
