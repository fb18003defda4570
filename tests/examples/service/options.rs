//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use plimsoll::BuildError;
use plimsoll_tests::trace::Format;

use crate::queue::Location;

/// What `--help` says.
pub const HELP: &str = "\
A task processor at work: bounded, accounted for, and empty at its end.

usage: service [options]

  --trace FILE     replay a job log (.swf or .csv, also .gz) as the external emitter,
                   instead of the production scenario; - is the standard input
  --format NAME    the log's format, swf or csv               [what its name says]
  --workers N      concurrency limit                          [64]
  --queue N        places to wait in           [1024; 256 with --virtual alone]
  --speed X        times faster than the world                [done in about 15 s]
  --runtime NAME   smol, tokio or thread                      [smol]
  --virtual        a simulated clock, as fast as it goes; --speed and --runtime do nothing
  --duration D     how much to simulate: 90s, 15m, 2h, 28d    [1h; a log: all of it]
  --seed N         seed of everything random                  [1]
  --json           one JSON object at the end, on the standard output
  --help           this

with a durable queue, which processes share:

  --source QUEUE   work off the jobs of a queue: redb:PATH (a file, of one process at a
                   time), nats://HOST or postgres://USER@HOST/DATABASE (built with
                   --features nats,postgres); --duration is in real time
  --until-empty    end when no job is left in it              [only Ctrl-C or --duration]
  --produce        put the production scenario, or the log, into it instead

Ctrl-C drains gracefully, a second one aborts. The exit status is 0 only if the books balance.
";

/// The options, checked one by one and together.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub trace: Option<PathBuf>,
    pub format: Option<Format>,
    pub workers: Option<u32>,
    pub queue: Option<u32>,
    pub speed: Option<f64>,
    pub runtime: RuntimeName,
    pub simulated: bool,
    pub duration: Option<Duration>,
    pub seed: u64,
    pub json: bool,
    pub source: Option<Location>,
    pub until_empty: bool,
    pub produce: bool,
}

impl Options {
    pub fn workers(&self) -> u32 {
        self.workers.unwrap_or(64)
    }

    pub fn queue(&self) -> u32 {
        self.queue.unwrap_or(1_024)
    }

    /// The size of a processor, for its report.
    pub fn size(&self) -> String {
        format!("{} workers, queue of {}", self.workers(), self.queue())
    }

    /// Whether the log comes from the standard input.
    pub fn reads_stdin(&self) -> bool {
        self.trace.as_deref() == Some(Path::new("-"))
    }

    /// The option to blame for a processor that can't be built.
    pub fn blame(&self, error: &BuildError) -> String {
        let is_queue = match error {
            BuildError::Limits(limits) if limits.field == "concurrency" => false,
            BuildError::Limits(limits) if limits.field == "queue" => true,
            BuildError::Limits(_) | BuildError::Memory { .. } => self.queue() >= self.workers(),
            _ => return error.to_string(),
        };
        format!("{}: {error}", if is_queue { "--queue" } else { "--workers" })
    }

    /// What is wrong with the options together.
    fn check(self) -> Result<Self, String> {
        let has_source = self.source.is_some();
        let wrong = [
            (self.format.is_some() && self.trace.is_none(), "--format: needs --trace, whose format it says"),
            (
                self.reads_stdin() && self.format.is_none(),
                "--trace: the standard input has no name that says its format: add --format swf or --format csv",
            ),
            (self.produce && !has_source, "--produce: needs --source, which says where to"),
            (self.until_empty && !has_source, "--until-empty: needs --source, which says what"),
            (
                self.until_empty && self.produce,
                "--until-empty: does not go with --produce, which works nothing off",
            ),
            (
                self.simulated && has_source,
                "--virtual: does not go with --source, as a queue knows no simulated time",
            ),
            (
                self.trace.is_some() && has_source && !self.produce,
                "--trace: needs --produce beside --source, which puts the log into the queue",
            ),
            (
                self.speed.is_some() && has_source && !self.produce,
                "--speed: needs --produce beside --source, as the jobs of a queue say how long they take",
            ),
        ];
        let wrong = wrong.into_iter().find_map(|(is_wrong, why)| is_wrong.then_some(why));
        wrong.map_or(Ok(self), |why| Err(why.to_owned()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeName {
    Smol,
    Tokio,
    Thread,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trace: None,
            format: None,
            workers: None,
            queue: None,
            speed: None,
            runtime: RuntimeName::Smol,
            simulated: false,
            duration: None,
            seed: 1,
            json: false,
            source: None,
            until_empty: false,
            produce: false,
        }
    }
}

/// Reads the options; `None` is a call for help.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| say(&error))? {
        match argument {
            Arg::Long("trace") => options.trace = Some(parser.value().map_err(|error| say(&error))?.into()),
            Arg::Long("format") => {
                options.format = Some(value(&mut parser, "format", "swf or csv", Format::named)?)
            }
            Arg::Long("workers") => {
                options.workers = Some(value(&mut parser, "workers", "a number from 1 on", count)?)
            }
            Arg::Long("queue") => {
                options.queue = Some(value(&mut parser, "queue", "a number", |text| text.parse().ok())?)
            }
            Arg::Long("speed") => {
                options.speed = Some(value(&mut parser, "speed", "a number above 0", factor)?)
            }
            Arg::Long("runtime") => {
                options.runtime = value(&mut parser, "runtime", "smol, tokio or thread", runtime)?;
            }
            Arg::Long("virtual") => options.simulated = true,
            Arg::Long("duration") => {
                let wanted = "a number above 0 and a unit, such as 90s, 15m, 2h or 28d";
                options.duration = Some(value(&mut parser, "duration", wanted, duration)?);
            }
            Arg::Long("seed") => {
                options.seed = value(&mut parser, "seed", "a number", |text| text.parse().ok())?
            }
            Arg::Long("source") => {
                let wanted = "redb:PATH, nats://HOST or postgres://USER@HOST/DATABASE";
                options.source = Some(value(&mut parser, "source", wanted, Location::read)?);
            }
            Arg::Long("until-empty") => options.until_empty = true,
            Arg::Long("produce") => options.produce = true,
            Arg::Long("json") => options.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long(name) => return Err(format!("--{name}: not known; --help says what is")),
            Arg::Short(name) => return Err(format!("-{name}: not known; --help says what is")),
            Arg::Value(text) => {
                return Err(format!("{}: no option; --help says what is", text.to_string_lossy()));
            }
        }
    }
    options.check().map(Some)
}

fn value<T>(
    parser: &mut Parser,
    name: &str,
    wanted: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let text = parser.value().and_then(ValueExt::string).map_err(|error| say(&error))?;
    read(&text).ok_or_else(|| format!("--{name}: wants {wanted}, not '{text}'"))
}

/// The words of the parser, with the option first.
fn say(error: &lexopt::Error) -> String {
    match error {
        lexopt::Error::MissingValue { option: Some(option) } => format!("{option}: a value is missing"),
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option}: takes no value"),
        _ => error.to_string(),
    }
}

fn count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&count| count > 0)
}

fn factor(text: &str) -> Option<f64> {
    text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0)
}

fn runtime(text: &str) -> Option<RuntimeName> {
    match text {
        "smol" => Some(RuntimeName::Smol),
        "tokio" => Some(RuntimeName::Tokio),
        "thread" => Some(RuntimeName::Thread),
        _ => None,
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_are_read() {
        assert_eq!(read(""), Ok(Some(Options::default())));
        assert_eq!(
            read(
                "--trace a.swf --workers 3 --queue=0 --speed 1.5 --runtime tokio --virtual --duration 28d --seed 9 --json"
            ),
            Ok(Some(Options {
                trace: Some("a.swf".into()),
                workers: Some(3),
                queue: Some(0),
                speed: Some(1.5),
                runtime: RuntimeName::Tokio,
                simulated: true,
                duration: Some(Duration::from_secs(28 * 86_400)),
                seed: 9,
                json: true,
                ..Options::default()
            }))
        );
        let source = Some(Location::Redb("a.redb".into()));
        assert_eq!(
            read("--source redb:a.redb --produce --trace - --format csv"),
            Ok(Some(Options {
                source: source.clone(),
                produce: true,
                trace: Some("-".into()),
                format: Some(Format::Csv),
                ..Options::default()
            }))
        );
        assert_eq!(
            read("--until-empty --source redb:a.redb"),
            Ok(Some(Options { source, until_empty: true, ..Options::default() }))
        );
        assert_eq!(read("--help"), Ok(None));
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in [("90s", 90_000), ("15m", 900_000), ("1.5h", 5_400_000), ("250ms", 250)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5y", "-5s", "5 s", "0s", "1..5s", "99999999999999999999d", "∞s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_option_gets_one_line() {
        for line in [
            "--nope",
            "-x",
            "file.swf",
            "--workers",
            "--workers 0",
            "--workers -1",
            "--workers x",
            "--queue 5000000000",
            "--speed 0",
            "--speed nan",
            "--runtime async-std",
            "--duration 5",
            "--seed 1.5",
            "--json=yes",
            "--trace",
        ] {
            let error = read(line).unwrap_err();
            assert!(!error.contains('\n') && !error.is_empty(), "{line}: {error}");
        }
        assert_eq!(read("--nope").unwrap_err(), "--nope: not known; --help says what is");
        assert_eq!(read("file.swf").unwrap_err(), "file.swf: no option; --help says what is");
        assert_eq!(read("--speed 0").unwrap_err(), "--speed: wants a number above 0, not '0'");
        assert_eq!(read("--trace").unwrap_err(), "--trace: a value is missing");
        assert_eq!(read("--json=yes").unwrap_err(), "--json: takes no value");
    }

    #[test]
    fn options_that_do_not_go_together_name_the_first_of_them() {
        for (line, option) in [
            ("--format csv", "--format"),
            ("--trace -", "--trace"),
            ("--produce", "--produce"),
            ("--until-empty", "--until-empty"),
            ("--source redb:a --produce --until-empty", "--until-empty"),
            ("--source redb:a --virtual", "--virtual"),
            ("--source redb:a --trace a.csv", "--trace"),
            ("--source redb:a --speed 2", "--speed"),
            ("--source a.redb", "--source"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.starts_with(&format!("{option}: ")), "{line}: {error}");
        }
    }

    #[test]
    fn what_can_not_be_built_is_blamed_on_an_option() {
        let build = |options: &Options| {
            let mut limits = plimsoll_core::Limits::default();
            (limits.queue, limits.concurrency) = (options.queue(), options.workers());
            let built = plimsoll_core::Processor::<plimsoll_core::Simple<(), ()>>::new(
                limits,
                plimsoll_core::Instant::ZERO,
            );
            options.blame(&built.map(drop).unwrap_err())
        };
        let queue = build(&Options { queue: Some(u32::MAX), ..Options::default() });
        assert!(queue.starts_with("--queue: limit `"), "{queue}");
        let workers = build(&Options { workers: Some(u32::MAX), ..Options::default() });
        assert!(workers.starts_with("--workers: limit `"), "{workers}");
    }
}
