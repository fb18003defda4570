//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` says.
pub const HELP: &str = "\
A task processor at work: bounded, accounted for, and empty at its end.

usage: service [options]

  --trace FILE     replay a job log (.swf or .csv, also .gz) as the external emitter,
                   instead of the production scenario
  --workers N      concurrency limit                          [64]
  --queue N        places to wait in           [1024; 256 with --virtual alone]
  --speed X        times faster than the world                [done in about 15 s]
  --runtime NAME   smol, tokio or thread                      [smol]
  --virtual        a simulated clock, as fast as it goes; --speed and --runtime do nothing
  --duration D     how much to simulate: 90s, 15m, 2h, 28d    [1h; a log: all of it]
  --seed N         seed of everything random                  [1]
  --json           one JSON object at the end, on the standard output
  --help           this

Ctrl-C drains gracefully, a second one aborts. The exit status is 0 only if the books balance.
";

/// The options, checked one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub trace: Option<PathBuf>,
    pub workers: Option<u32>,
    pub queue: Option<u32>,
    pub speed: Option<f64>,
    pub runtime: RuntimeName,
    pub simulated: bool,
    pub duration: Option<Duration>,
    pub seed: u64,
    pub json: bool,
}

impl Options {
    pub fn workers(&self) -> u32 {
        self.workers.unwrap_or(64)
    }

    pub fn queue(&self) -> u32 {
        self.queue.unwrap_or(1_024)
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
            workers: None,
            queue: None,
            speed: None,
            runtime: RuntimeName::Smol,
            simulated: false,
            duration: None,
            seed: 1,
            json: false,
        }
    }
}

/// Reads the options; `None` is a call for help.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("trace") => {
                options.trace = Some(parser.value().map_err(|error| error.to_string())?.into())
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
            Arg::Long("json") => options.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long(_) | Arg::Short(_) | Arg::Value(_) => {
                return Err(format!("{}; --help tells what is known", argument.unexpected()));
            }
        }
    }
    Ok(Some(options))
}

fn value<T>(
    parser: &mut Parser,
    name: &str,
    wanted: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let text = parser.value().and_then(ValueExt::string).map_err(|error| error.to_string())?;
    read(&text).ok_or_else(|| format!("option '--{name}' wants {wanted}, not '{text}'"))
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
            }))
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
        assert_eq!(read("--nope").unwrap_err(), "invalid option '--nope'; --help tells what is known");
        assert_eq!(read("--speed 0").unwrap_err(), "option '--speed' wants a number above 0, not '0'");
    }
}
