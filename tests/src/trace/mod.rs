//! Job logs: what arrived when, how long it took, and how it ended.
//!
//! Two formats are read, told apart by the file's name unless somebody says which: the Standard Workload Format (`.swf`) and CSV
//! (`.csv`). Either may be packed by gzip, which a `.gz` behind the name says, or the first two bytes. A job takes 48
//! bytes of memory, whatever its line holds besides.
//!
//! Rules for both:
//! - `-1` is unknown. A job whose run time is unknown never ran, and one whose arrival is unknown can't be
//!   placed in time: both are skipped. An unknown limit is none.
//! - Every other number is not negative. Fractions are rounded to the nearest millisecond, halves up; what
//!   is beyond the range of `u64` milliseconds is taken for its end.
//! - Time 0 is the first arrival among the jobs that are not skipped.
//! - Jobs arrive in the order of their arrival times, those of one instant in file order. A log that is not
//!   sorted is sorted so (stably).
//! - An outcome is a word of a CSV (`completed`, `failed`, `cancelled`, `unknown`), or the status of a workload log (0: failed, 1:
//!   completed, 2 to 4: of a part of a job, 5: cancelled, -1: unknown). Whatever is neither failed nor cancelled counts as completed,
//!   what is none of these too.
//! - A line of a workload log may have more than its 18 fields: what follows is not read. A line with fewer is an error, as one of a
//!   CSV is that has not exactly five.
//! - Blank lines are skipped; lines may end in `\n` or `\r\n`; a byte order mark is skipped.
//! - Gzip streams may follow one another, and zeros the last. Anything else behind a stream is an error.
//!
//! What is skipped, sorted, taken for something, or not read is counted in the [`Remarks`], with the line that was the first.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

mod csv;
mod gzip;
mod number;
mod remarks;
mod swf;

pub use gzip::Fault as GzipFault;
pub use number::Fault;
pub use remarks::{Lines, Remarks};

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

const _: () =
    assert!(size_of::<Job>() <= 48, "the documentation of this module says how many bytes a job takes");

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

impl Ending {
    /// Of a status of the Standard Workload Format; `None` if that has no such status.
    const fn of_status(status: Option<u64>) -> Option<Self> {
        match status {
            Some(0) => Some(Self::Failed),
            Some(5) => Some(Self::Cancelled),
            None | Some(1..=4) => Some(Self::Completed),
            Some(_) => None,
        }
    }
}

/// A log that was read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The jobs that ran, by arrival.
    pub jobs: Vec<Job>,
    /// What was odd.
    pub remarks: Remarks,
}

/// A line as it was read.
struct Record<'l> {
    /// In milliseconds from whenever the log counts; `None` if unknown, as for the others.
    arrival: Option<u64>,
    duration: Option<u64>,
    limit: Option<u64>,
    key: u64,
    ending: Ending,
    /// The text of the outcome, if it has no known meaning.
    unknown: Option<&'l [u8]>,
    /// Whether it has more fields than the format.
    is_long: bool,
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
    /// Reading failed.
    Io(io::Error),
    /// It is packed, and not as it must be.
    Gzip(GzipFault),
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
            Why::Format => f.write_str(
                "the name says no format: it must end in .swf or .csv, or in one of these and .gz",
            ),
            Why::Io(error) => write!(f, "{error}"),
            Why::Gzip(fault) => write!(f, "{fault}"),
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
    /// Reads a whole log from a file, in this format; `None` is the format that the file's name says.
    ///
    /// # Errors
    /// The first thing that is wrong with the file.
    pub fn open(file: &Path, format: Option<Format>) -> Result<Self, Error> {
        let fail = |why| Error { file: file.to_owned(), line: 0, why };
        let name =
            file.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let (plain, is_packed) = name.strip_suffix(".gz").map_or((&*name, false), |plain| (plain, true));
        let named = plain.rsplit_once('.').and_then(|(_, end)| Format::named(end));
        let format = format.or(named).ok_or_else(|| fail(Why::Format))?;
        let bytes = BufReader::new(File::open(file).map_err(|error| fail(Why::Io(error)))?);
        if is_packed { Self::unpack(file, format, bytes) } else { Self::read(file, format, bytes) }
    }

    /// Reads a whole log from anywhere, packed by gzip or not; `file` is only for the error.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(file: &Path, format: Format, mut bytes: impl BufRead) -> Result<Self, Error> {
        let mut start = Vec::new();
        let begun = (&mut bytes).take(gzip::MAGIC.len() as u64).read_to_end(&mut start);
        begun.map_err(|error| Error { file: file.to_owned(), line: 0, why: Why::Io(error) })?;
        let is_packed = start == gzip::MAGIC;
        let bytes = Cursor::new(start).chain(bytes);
        if is_packed { Self::unpack(file, format, bytes) } else { Self::parse(file, format, bytes) }
    }

    fn unpack(file: &Path, format: Format, bytes: impl BufRead) -> Result<Self, Error> {
        let bytes = gzip::Gunzip::new(bytes);
        let bytes = bytes.map_err(|error| Error { file: file.to_owned(), line: 0, why: Why::of(error) })?;
        Self::parse(file, format, BufReader::new(bytes))
    }

    fn parse(file: &Path, format: Format, mut bytes: impl BufRead) -> Result<Self, Error> {
        let fail = |line, why| Error { file: file.to_owned(), line, why };
        let mut trace = Self::default();
        let (mut header, mut latest) = (format == Format::Csv, 0);
        let mut buffer = Vec::new();
        for number in 1.. {
            buffer.clear();
            let most = LINE_BYTES as u64 + 1;
            let length = (&mut bytes).take(most).read_until(b'\n', &mut buffer);
            if length.map_err(|error| fail(number, Why::of(error)))? == 0 {
                break;
            }
            trace.remarks.lines = number;
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
            let record = match format {
                Format::Swf => swf::parse(line),
                Format::Csv => csv::parse(line),
            };
            trace.take_in(number, record.map_err(|why| fail(number, why))?, &mut latest);
        }
        trace.settle();
        Ok(trace)
    }

    /// Takes in what a line says, or notes why not. `latest` is the latest arrival so far.
    fn take_in(&mut self, line: u64, record: Record<'_>, latest: &mut u64) {
        let Record { arrival, duration, limit, key, ending, unknown, is_long } = record;
        if is_long {
            self.remarks.long.note(line);
        }
        let Some(duration) = duration else { return self.remarks.never_ran.note(line) };
        let Some(arrival) = arrival else { return self.remarks.never_arrived.note(line) };
        if let Some(outcome) = unknown {
            self.remarks.note_outcome(line, outcome);
        }
        if arrival < *latest {
            self.remarks.unsorted.note(line);
        }
        *latest = arrival.max(*latest);
        self.jobs.push(Job { arrival, duration, limit, key, ending });
    }

    /// Brings the jobs in order and counts time from the first.
    fn settle(&mut self) {
        self.remarks.jobs = self.jobs.len() as u64;
        if !self.remarks.unsorted.is_empty() {
            self.jobs.sort_by_key(|job| job.arrival);
        }
        let first = self.jobs.first().map_or(0, |job| job.arrival);
        for job in &mut self.jobs {
            job.arrival -= first;
        }
        self.jobs.shrink_to_fit();
    }
}

impl Why {
    /// Why reading failed.
    fn of(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<GzipFault>()) {
            Some(fault) => Self::Gzip(*fault),
            None => Self::Io(error),
        }
    }
}

/// Text for people: cut, and without what would move their cursor.
fn cut(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(40).collect()
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
    /// The format with this name, which is also what a file's name ends in.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "swf" => Some(Self::Swf),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    fn comment(self) -> &'static [u8] {
        match self {
            Self::Swf => b";",
            Self::Csv => b"#",
        }
    }
}

#[cfg(test)]
mod tests;
