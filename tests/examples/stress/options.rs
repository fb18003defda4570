//! The command line.

use std::collections::HashSet;
use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::names::{End, Runtime, known};

/// What `--help` says.
pub const HELP: &str = "\
Processors from their first job to their end, on every runtime, with every value counted:
submissions by every route, handles dropped and selected, wakers moved between threads,
panics, cancels, and ends of every kind at any moment. Exit status 0: nothing was found.

usage: stress [options]

  --seconds N      how long to go on                           [60]
  --episodes N     how many episodes, instead
  --seed N         seed of everything random                   [1]
  --runtime NAMES  only on these, separated by commas          [all]
  --only ENDS      only with these ends                        [all]
  --skip NAMES     without these ends, actions or checks; what is left out is not run,
                   so the seed means something else then       [none]
  --episode N      only this one, for as long as given: a finding names its options
  --first          stops at the first finding
  --patience N     seconds to wait for what must come          [10]
  --verbose        tells each episode as it begins
  --help           this
";

/// The options, checked one by one.
pub struct Options {
    pub seconds: u64,
    pub episodes: Option<u64>,
    pub seed: u64,
    pub runtimes: Vec<Runtime>,
    pub ends: Vec<End>,
    pub skipped: HashSet<&'static str>,
    pub episode: Option<u64>,
    pub first: bool,
    pub patience: Duration,
    pub verbose: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: 60,
            episodes: None,
            seed: 1,
            runtimes: Runtime::ALL.to_vec(),
            ends: End::ALL.to_vec(),
            skipped: HashSet::new(),
            episode: None,
            first: false,
            patience: Duration::from_secs(10),
            verbose: false,
        }
    }
}

/// Reads the options; `None` is a call for help.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("seconds") => options.seconds = number(&mut parser, "seconds")?,
            Arg::Long("episodes") => options.episodes = Some(number(&mut parser, "episodes")?),
            Arg::Long("seed") => options.seed = number(&mut parser, "seed")?,
            Arg::Long("runtime") => options.runtimes = names(&mut parser, "runtime", Runtime::named)?,
            Arg::Long("only") => options.ends = names(&mut parser, "only", End::named)?,
            Arg::Long("skip") => options.skipped.extend(names(&mut parser, "skip", known)?),
            Arg::Long("episode") => options.episode = Some(number(&mut parser, "episode")?),
            Arg::Long("first") => options.first = true,
            Arg::Long("patience") => {
                options.patience = Duration::from_secs(number(&mut parser, "patience")?);
            }
            Arg::Long("verbose") => options.verbose = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long(_) | Arg::Short(_) | Arg::Value(_) => {
                return Err(format!("{}; --help tells what is known", argument.unexpected()));
            }
        }
    }
    options.ends.retain(|end| !options.skipped.contains(end.name()));
    if options.ends.is_empty() || options.runtimes.is_empty() {
        return Err("nothing is left to run".to_owned());
    }
    Ok(Some(options))
}

fn number(parser: &mut Parser, option: &str) -> Result<u64, String> {
    let text = parser.value().and_then(ValueExt::string).map_err(|error| error.to_string())?;
    text.parse().map_err(|_| format!("option '--{option}' wants a number, not '{text}'"))
}

fn names<T>(parser: &mut Parser, option: &str, named: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let text = parser.value().and_then(ValueExt::string).map_err(|error| error.to_string())?;
    let one = |name| named(name).ok_or_else(|| format!("option '--{option}' does not know '{name}'"));
    text.split(',').map(one).collect()
}
