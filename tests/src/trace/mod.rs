//! Job logs: what arrived when, how long it took, and how it ended.
//!
//! Two formats are read, told apart by the file's name: the Standard Workload Format (`.swf`) and CSV
//! (`.csv`), each also with `.gz` behind. Memory is 40 bytes a job, whatever the lines hold besides.
//!
//! Rules for both:
//! - `-1` is unknown. A job whose run time is unknown never ran, and one whose arrival is unknown can't be
//!   placed in time: both are skipped and counted. An unknown limit is none.
//! - Every other number is not negative. Fractions are rounded to the nearest millisecond, halves up; what
//!   is beyond the range of `u64` milliseconds is taken for its end.
//! - Time 0 is the first arrival among the jobs that are not skipped.
//! - Jobs arrive in the order of their arrival times, those of one instant in file order. A log that is not
//!   sorted is sorted so (stably), and the lines that were out of order are counted.
//! - Blank lines are skipped; lines may end in `\n` or `\r\n`; a byte order mark is skipped.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

mod csv;
mod number;
mod swf;

pub use number::Fault;

/// A job as the log has it, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// When it arrived, counted from the first arrival.
    pub arrival: u64,
    /// How long it ran.
    pub duration: u64,
    /// How long it was allowed to run.
    pub limit: Option<u64>,
    /// What it is the same as: the executable of a workload log, the key of a CSV.
    pub key: u64,
    /// How it ended.
    pub ending: Ending,
}

/// How a job ended, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As anything that is not one of the others.
    Completed,
    /// Status 0, or `failed`.
    Failed,
    /// Status 5, or `cancelled`.
    Cancelled,
}

/// A log that was read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The jobs that ran, by arrival.
    pub jobs: Vec<Job>,
    /// How many jobs were skipped: they never ran, or it is not known when they arrived.
    pub skipped: u64,
    /// How many lines arrived before a line above them.
    pub unsorted: u64,
}

/// A log that can't be read: which file, which line, and why. It prints as one line.
#[derive(Debug)]
pub struct Error {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 if the file can't be read at all.
    pub line: u64,
    /// Why.
    pub why: Why,
}

/// Why a log can't be read.
#[derive(Debug)]
pub enum Why {
    /// The name says no format that is known.
    Format,
    /// Reading failed; for a `.gz` also: it is no gzip file, or cut off, or damaged.
    Io(io::Error),
    /// A line has another number of fields than it must.
    Fields {
        /// How many it has.
        found: usize,
        /// How many it must have.
        wanted: usize,
    },
    /// A line is longer than [`LINE_BYTES`].
    Long,
    /// A field is not what it must be.
    Field {
        /// Its name.
        name: &'static str,
        /// Its text, cut.
        text: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        match &self.why {
            Why::Format => {
                f.write_str("unknown kind of log: the name must end in .swf, .csv, .swf.gz or .csv.gz")
            }
            Why::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the gzip stream is truncated")
            }
            Why::Io(error) => write!(f, "{error}"),
            Why::Fields { found, wanted } => write!(f, "malformed line: {found} fields instead of {wanted}"),
            Why::Long => write!(f, "malformed line: longer than {LINE_BYTES} bytes"),
            Why::Field { name, text, fault } => write!(f, "field `{name}` {fault}: `{text}`"),
        }
    }
}

impl std::error::Error for Error {}

/// The longest line that is read. No log has one that is nearly as long; a damaged file may.
pub const LINE_BYTES: usize = 64 * 1024;

impl Trace {
    /// Reads a whole log.
    ///
    /// # Errors
    /// The first thing that is wrong with the file.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let fail = |why| Error { file: file.to_owned(), line: 0, why };
        let name =
            file.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let (plain, gzip) = name.strip_suffix(".gz").map_or((&*name, false), |plain| (plain, true));
        let format = match plain.rsplit_once('.') {
            Some((_, "swf")) => Format::Swf,
            Some((_, "csv")) => Format::Csv,
            _ => return Err(fail(Why::Format)),
        };
        let bytes = BufReader::new(File::open(file).map_err(|error| fail(Why::Io(error)))?);
        if gzip {
            Self::read(file, format, BufReader::new(MultiGzDecoder::new(bytes)))
        } else {
            Self::read(file, format, bytes)
        }
    }

    /// Reads a whole log from anywhere; `file` is only for the error.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(file: &Path, format: Format, mut bytes: impl BufRead) -> Result<Self, Error> {
        let fail = |line, why| Error { file: file.to_owned(), line, why };
        let mut trace = Self::default();
        let (mut header, mut latest) = (format == Format::Csv, 0);
        let mut buffer = Vec::new();
        for number in 1.. {
            buffer.clear();
            let most = LINE_BYTES as u64 + 1;
            let length = (&mut bytes).take(most).read_until(b'\n', &mut buffer);
            if length.map_err(|error| fail(number, Why::Io(error)))? == 0 {
                break;
            }
            if buffer.len() > LINE_BYTES {
                return Err(fail(number, Why::Long));
            }
            let mut line = buffer.as_slice();
            if number == 1 {
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            }
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(format.comment()) {
                continue;
            }
            if std::mem::take(&mut header) && csv::is_header(line) {
                continue;
            }
            let parsed = match format {
                Format::Swf => swf::parse(line),
                Format::Csv => csv::parse(line),
            };
            match parsed.map_err(|why| fail(number, why))? {
                Some(job) => {
                    trace.unsorted += u64::from(job.arrival < latest);
                    latest = latest.max(job.arrival);
                    trace.jobs.push(job);
                }
                None => trace.skipped += 1,
            }
        }
        trace.settle();
        Ok(trace)
    }

    /// Brings the jobs in order and counts time from the first.
    fn settle(&mut self) {
        if self.unsorted > 0 {
            self.jobs.sort_by_key(|job| job.arrival);
        }
        let first = self.jobs.first().map_or(0, |job| job.arrival);
        for job in &mut self.jobs {
            job.arrival -= first;
        }
        self.jobs.shrink_to_fit();
    }
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Standard Workload Format of the Parallel Workloads Archive: `;` comments, then 18 fields a line.
    Swf,
    /// `arrival_ms,duration_ms,limit_ms,outcome,key`, with or without that line as its header; `#` comments.
    Csv,
}

impl Format {
    fn comment(self) -> &'static [u8] {
        match self {
            Self::Swf => b";",
            Self::Csv => b"#",
        }
    }
}

#[cfg(test)]
mod tests;
