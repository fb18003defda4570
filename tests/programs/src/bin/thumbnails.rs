//! Pictures through two processors, on all cores, with a progress bar.
//!
//! ```sh
//! cargo run --release --bin thumbnails -- /tmp/thumbnails 500   # a folder, how many pictures
//! ```
//!
//! The first processor renders pictures, the second makes them small. Both compute and never wait, so they need a runtime
//! with several threads: there a handler that keeps its thread busy delays no other.
//!
//! The results of the first are the jobs of the second. Each of the two streams has a limit, and pulls nothing that there is
//! no room for. So when the second is slow the first is held back, and no more pictures are in memory than
//! [`Pipeline::MOST`], however many there are to come.
//!
//! The bar is drawn by a plain thread, which asks the processors how far they are.

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::future::{Ready, ready};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{Stream, StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use plimsoll::{Access, Drain, Phase, Processor, Runtime, SendWork, Settlement, StreamRefusal, Tokio};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().context("usage: thumbnails FOLDER [PICTURES]")?);
    let pictures: u32 = args.next().map_or(Ok(100), |pictures| pictures.parse())?;
    fs::create_dir_all(&folder)?;

    let pipeline = Pipeline::start(Tokio::current(), thread::available_parallelism()?.get().try_into()?)?;
    let bar = pipeline.progress_bar(pictures)?;
    let failed = Cell::new(0);
    {
        let thumbnails = pipeline.run(stream::iter(0..pictures), |error| {
            failed.set(failed.get() + 1);
            eprintln!("{error:#}");
        })?;
        let mut thumbnails = pin!(thumbnails);
        while let Some(Thumbnail { number, file }) = thumbnails.next().await {
            fs::write(folder.join(format!("{number}.pgm")), file)?;
        }
    }
    pipeline.end().await;
    let _ = bar.join();
    println!("{} thumbnails in {}, {} failed", pictures - failed.get(), folder.display(), failed.get());
    Ok(())
}

/// A grey picture. The large ones are what must not pile up.
struct Picture {
    number: u32,
    side: u32,
    pixels: Vec<u8>,
}

/// A picture as a file in the PGM format.
#[derive(Debug, PartialEq)]
struct Thumbnail {
    number: u32,
    file: Vec<u8>,
}

type Render = fn(u32) -> Result<Picture, Blank>;
type Shrink = fn(Picture) -> Result<Thumbnail, Blank>;

struct Pipeline {
    renderer: Processor<Render>,
    shrinker: Processor<Shrink>,
}

impl Pipeline {
    /// How many tasks of each processor may be under way, from their submission until their result is taken.
    const EACH: u32 = 8;
    const SIDE: u32 = 96;
    /// The most pictures that there are at a time.
    const MOST: u64 = 2 * Self::EACH as u64;

    fn start(runtime: impl Runtime + Clone, threads: u32) -> anyhow::Result<Self> {
        let renderer = Processor::builder()
            .concurrency(threads)
            .spawn_on(runtime.clone(), async |n| render(n, Self::SIDE))?;
        let shrinker =
            Processor::builder().concurrency(threads).spawn_on(runtime, async |picture| shrink(&picture))?;
        Ok(Self { renderer, shrinker })
    }

    /// The thumbnails, as they get ready. What fails, in whichever processor, is told to `report`.
    fn run(
        &self,
        numbers: impl Stream<Item = u32>,
        report: impl Fn(anyhow::Error),
    ) -> anyhow::Result<impl Stream<Item = Thumbnail>> {
        let report = Rc::new(report);
        let rendered = self.renderer.process(numbers, Self::EACH)?;
        let pictures = rendered.filter_map(keep_output(report.clone()));
        let shrunk = self.shrinker.process(pictures, Self::EACH)?;
        Ok(shrunk.filter_map(keep_output(report)))
    }

    /// Draws until the shrinker has ended: a submitter tells how far a processor is, and does not keep it alive.
    fn progress_bar(&self, pictures: u32) -> anyhow::Result<JoinHandle<()>> {
        let (renderer, shrinker) = (self.renderer.submitter(), self.shrinker.submitter());
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?;
        let bar = ProgressBar::new(pictures.into()).with_style(style);
        Ok(thread::spawn(move || {
            while shrinker.phase() != Phase::Drained {
                let rendered = renderer.totals().settled;
                let failed = rendered.total() - rendered.completed;
                bar.set_position(failed + shrinker.totals().settled.total());
                bar.set_message(format!(
                    "{} in memory, at most {}",
                    in_memory(&renderer, &shrinker),
                    Self::MOST
                ));
                thread::sleep(Duration::from_millis(50));
            }
            bar.finish();
        }))
    }

    async fn end(self) {
        self.renderer.shutdown(Drain::Cancel).await;
        self.shrinker.shutdown(Drain::Cancel).await;
    }
}

/// How many pictures there are: rendered, and not shrunk.
fn in_memory(renderer: &Access<Render>, shrinker: &Access<Shrink>) -> u64 {
    // This one first: what happens between the two calls then makes it more, and never less than none.
    let shrunk = shrinker.totals().settled.total();
    renderer.totals().settled.completed - shrunk
}

/// What a stream of results consists of.
type Settled<W> = Result<Settlement<W>, StreamRefusal<W>>;

/// The output of each task, which goes on, with its error told to `report`.
fn keep_output<W, R>(report: Rc<R>) -> impl FnMut(Settled<W>) -> Ready<Option<W::Output>>
where
    W: SendWork<Error = Blank>,
    R: Fn(anyhow::Error),
{
    move |settled| {
        let output = settled.map_err(anyhow::Error::new).and_then(|settled| Ok(settled.result?));
        ready(output.map_err(&*report).ok())
    }
}

/// A picture on which there is nothing to be seen.
#[derive(Debug)]
struct Blank(u32);

impl fmt::Display for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "picture {} is blank", self.0)
    }
}

impl std::error::Error for Blank {}

/// A part of the Mandelbrot set, another one for each number.
fn render(number: u32, side: u32) -> Result<Picture, Blank> {
    if number % 50 == 49 {
        return Err(Blank(number));
    }
    let width = 3.0 / f64::from(1 + number % 20);
    let at = |n: u32, from: f64| from + width * f64::from(n) / f64::from(side);
    let pixels = (0..side * side).map(|n| escape_time(at(n % side, -2.0), at(n / side, -1.0))).collect();
    Ok(Picture { number, side, pixels })
}

fn escape_time(re: f64, im: f64) -> u8 {
    let (mut x, mut y) = (0.0, 0.0);
    for step in 0..u8::MAX {
        if x * x + y * y > 4.0 {
            return step;
        }
        (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
    }
    u8::MAX
}

/// A quarter as wide and as high, each pixel the mean of sixteen.
fn shrink(picture: &Picture) -> Result<Thumbnail, Blank> {
    let (from, side) = (picture.side as usize, picture.side as usize / 4);
    let mean = |x: usize, y: usize| {
        let pixels = (0..16).filter_map(|n| picture.pixels.get((4 * y + n / 4) * from + 4 * x + n % 4));
        (pixels.map(|pixel| u32::from(*pixel)).sum::<u32>() / 16) as u8
    };
    let mut file = format!("P5 {side} {side} 255\n").into_bytes();
    file.extend((0..side * side).map(|n| mean(n % side, n / side)));
    Ok(Thumbnail { number: picture.number, file })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_picture_is_a_thumbnail_or_told() -> anyhow::Result<()> {
        let pipeline = Pipeline::start(Tokio::current(), 2)?;
        let errors = RefCell::new(Vec::new());
        let report = |error: anyhow::Error| errors.borrow_mut().push(format!("{error:#}"));
        let thumbnails: Vec<Thumbnail> = pipeline.run(stream::iter(0..100), report)?.collect().await;
        assert_eq!(
            errors.take(),
            ["the task failed: picture 49 is blank", "the task failed: picture 99 is blank"]
        );
        let all: BTreeMap<u32, Vec<u8>> =
            thumbnails.into_iter().map(|Thumbnail { number, file }| (number, file)).collect();
        let alone = (0..100)
            .filter_map(|number| Some((number, shrink(&render(number, Pipeline::SIDE).ok()?).ok()?.file)));
        assert!(all.into_iter().eq(alone));
        Ok(())
    }

    /// The stream of thumbnails is not polled for a while: then the pipeline comes to rest, however many are to come.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_takes_no_thumbnails_holds_the_renderer_back() -> anyhow::Result<()> {
        let pipeline = Pipeline::start(Tokio::current(), 2)?;
        let mut thumbnails = pin!(pipeline.run(stream::iter(0..).filter(|n| ready(n % 50 != 49)), |_| {})?);
        let mut highest = 0;
        for _ in 0..100 {
            assert!(thumbnails.next().await.is_some());
            highest = highest.max(in_memory(&pipeline.renderer, &pipeline.shrinker));
        }
        assert!(highest <= Pipeline::MOST, "{highest}");
        pipeline.renderer.idle().await;
        pipeline.shrinker.idle().await;
        let rendered = pipeline.renderer.totals().settled.completed;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(pipeline.renderer.totals().settled.completed, rendered);
        assert!(rendered <= 100 + Pipeline::MOST, "{rendered}");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_bar_ends_with_the_pipeline() -> anyhow::Result<()> {
        let pipeline = Pipeline::start(Tokio::current(), 2)?;
        let bar = pipeline.progress_bar(10)?;
        assert_eq!(pipeline.run(stream::iter(0..10), |_| {})?.count().await, 10);
        assert!(!bar.is_finished());
        pipeline.end().await;
        assert!(bar.join().is_ok());
        Ok(())
    }
}
