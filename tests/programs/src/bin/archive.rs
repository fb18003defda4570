//! A stream of lines into SQLite: read at the same time, written in their order, many in a transaction.
//!
//! ```sh
//! printf 'oslo 1 -3.5\noslo 2 -4\nrome 1 warm\n' | cargo run --bin archive -- readings.sqlite
//! ```
//!
//! Why in order? Then what is in the archive is always the beginning of the input. After a crash it goes on behind the last
//! line that was written, and nothing is missing or there twice ([`Archive::lines`]).
//!
//! What cannot be read, took too long or is refused by the database is written too, to a table of its own with its reason:
//! every line ends in one of the two tables.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{Stream, StreamExt};
use plimsoll::{Builder, Context, Processor, Smol, TaskError};
use rusqlite::{Connection, Transaction, params};
use smol::io::{AsyncBufReadExt, BufReader};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("usage: archive FILE < LINES")?;
    let mut archive = Archive::open(Connection::open(path)?)?;
    let done = archive.lines()?;

    // A stream of jobs has no errors in it: the first one ends it, and is reported at the end.
    let broken = Cell::new(None);
    let lines = BufReader::new(smol::Unblock::new(std::io::stdin())).lines().skip(done as usize);
    let lines =
        lines.scan((), |_, line| std::future::ready(line.map_err(|error| broken.set(Some(error))).ok()));

    let written = smol::block_on(archive.write(terms(), lines.map(Arc::from)))?;
    println!("{written:?}, after {done} lines that were there");
    broken.take().map_or(Ok(()), |error| Err(error).context("the input ended early"))
}

fn terms() -> Builder {
    Processor::builder().concurrency(16).timeout(Duration::from_secs(1))
}

/// What a line says.
#[derive(Debug)]
struct Reading {
    station: String,
    hour: u32,
    celsius: f64,
}

/// The handler. Its waiting stands for a service that is asked about each station, and answers late or early.
async fn read(line: Arc<str>, cx: Context) -> anyhow::Result<Reading> {
    let mut words = line.split_whitespace();
    let mut word = |what| words.next().with_context(|| format!("there is no {what}"));
    let station = word("station")?.to_owned();
    let hour = word("hour")?.parse().context("the hour is no number")?;
    let celsius = word("temperature")?.parse().context("the temperature is no number")?;
    cx.sleep(Duration::from_millis(u64::from(hour % 7))).await?;
    Ok(Reading { station, hour, celsius })
}

struct Archive {
    connection: Connection,
}

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Written {
    readings: usize,
    rejected: usize,
    transactions: usize,
}

impl Archive {
    /// The most lines in a transaction, and the most that are under way at a time.
    const MOST: u32 = 256;

    fn open(connection: Connection) -> anyhow::Result<Self> {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS readings
                 (line INTEGER PRIMARY KEY, station TEXT, hour INTEGER, celsius REAL, UNIQUE (station, hour));
             CREATE TABLE IF NOT EXISTS rejected (line INTEGER PRIMARY KEY, text TEXT, reason TEXT);",
        )?;
        Ok(Self { connection })
    }

    /// How many lines of the input it has.
    fn lines(&self) -> anyhow::Result<u32> {
        let count = "SELECT (SELECT count(*) FROM readings) + (SELECT count(*) FROM rejected)";
        Ok(self.connection.query_row(count, [], |row| row.get(0))?)
    }

    /// Writes what there is whenever it is asked: the slower the database, the longer its transactions, and no line waits for
    /// others to come.
    async fn write(
        &mut self,
        terms: Builder,
        lines: impl Stream<Item = Arc<str>>,
    ) -> anyhow::Result<Written> {
        let processor = terms.spawn_on(Smol::global(), read)?;
        // The handler has the line, and what times out or panics does not give it back. So a copy of each that is under way
        // waits here for its settlement, which comes in the same order.
        let pulled = RefCell::new(VecDeque::new());
        let lines = lines.inspect(|line| pulled.borrow_mut().push_back(line.clone()));
        let settlements = processor.process_ordered(lines, Self::MOST)?;
        let mut batches = pin!(settlements.ready_chunks(Self::MOST as usize));

        let (mut written, mut number) = (Written::default(), self.lines()?);
        let mut ended = Ok(());
        while let Some(batch) = batches.next().await {
            let transaction = self.connection.transaction()?;
            for settled in batch {
                // The last item of a stream may say that the rest was refused. What came before is written nevertheless.
                let settled = match settled {
                    Ok(settled) => settled,
                    Err(refused) => {
                        ended = Err(refused.reason);
                        continue;
                    }
                };
                let line = pulled.borrow_mut().pop_front().unwrap_or_default();
                number += 1;
                let reading = settled.result.map_err(reason_of);
                match reading.and_then(|reading| insert(&transaction, number, &reading)) {
                    Ok(()) => written.readings += 1,
                    Err(reason) => {
                        let row = "INSERT INTO rejected VALUES (?1, ?2, ?3)";
                        transaction.execute(row, params![number, line, reason])?;
                        written.rejected += 1;
                    }
                }
            }
            transaction.commit()?;
            written.transactions += 1;
        }
        ended.context("not all lines were taken")?;
        Ok(written)
    }
}

/// Writes a reading, or says why that cannot be: its station and hour are there already, for instance. A statement that fails
/// leaves its transaction as it was.
fn insert(
    transaction: &Transaction<'_>,
    line: u32,
    Reading { station, hour, celsius }: &Reading,
) -> Result<(), String> {
    let row = "INSERT INTO readings VALUES (?1, ?2, ?3, ?4)";
    let inserted = transaction.execute(row, params![line, station, hour, celsius]);
    inserted.map(drop).map_err(|error| error.to_string())
}

/// The handler's own words where it has failed, else how the task has ended.
fn reason_of(error: TaskError<anyhow::Error>) -> String {
    match error {
        TaskError::Failed(error) => format!("{error:#}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn lines(count: usize) -> impl Iterator<Item = Arc<str>> {
        (1..=count).map(|line| match line {
            10 => "lima 10 warm".into(),
            // As line 3 says already.
            20 => "station3 3 0.5".into(),
            30 => "oslo".into(),
            _ => format!("station{line} {line} 0.5").into(),
        })
    }

    fn in_memory() -> anyhow::Result<Archive> {
        Archive::open(Connection::open_in_memory()?)
    }

    fn rows<T: rusqlite::types::FromSql>(archive: &Archive, query: &str) -> anyhow::Result<Vec<(u32, T)>> {
        let mut statement = archive.connection.prepare(query)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    #[test]
    fn every_line_is_in_its_place_in_one_of_the_tables() -> anyhow::Result<()> {
        let mut archive = in_memory()?;
        let written = smol::block_on(archive.write(terms(), stream::iter(lines(1_000))))?;
        assert_eq!((written.readings, written.rejected), (997, 3));
        assert!(written.transactions < 500, "{written:?}");
        // The handler of line 7 is done before that of line 6, and so on: without an order the numbers would not fit.
        for (line, hour) in rows::<u32>(&archive, "SELECT line, hour FROM readings ORDER BY line")? {
            assert_eq!(line, hour);
        }
        let rejected =
            rows::<String>(&archive, "SELECT line, text || ': ' || reason FROM rejected ORDER BY line")?;
        let unique = "UNIQUE constraint failed: readings.station, readings.hour";
        assert_eq!(
            rejected,
            [
                (10, "lima 10 warm: the temperature is no number: invalid float literal".to_owned()),
                (20, format!("station3 3 0.5: {unique}")),
                (30, "oslo: there is no hour".to_owned()),
            ]
        );
        Ok(())
    }

    #[test]
    fn a_line_that_takes_too_long_is_written_as_that() -> anyhow::Result<()> {
        let (mut archive, hurry) = (in_memory()?, Duration::from_millis(3));
        let written = smol::block_on(archive.write(terms().timeout(hurry), stream::iter(lines(7))))?;
        assert_eq!(written.readings + written.rejected, 7);
        let rejected = rows::<String>(&archive, "SELECT line, reason FROM rejected WHERE line = 6")?;
        assert_eq!(rejected, [(6, "the task timed out".to_owned())]);
        Ok(())
    }

    #[test]
    fn after_a_crash_it_goes_on_behind_the_last_line() -> anyhow::Result<()> {
        let mut archive = in_memory()?;
        // As a crash does, this ends it somewhere between two transactions.
        let crash = async {
            let lines = stream::iter(lines(5_000)).enumerate().then(|(at, line)| async move {
                if at == 700 {
                    std::future::pending::<()>().await;
                }
                line
            });
            let end = smol::Timer::after(Duration::from_millis(500));
            futures_util::future::select(pin!(archive.write(terms(), lines)), end).await;
        };
        smol::block_on(crash);
        let done = archive.lines()?;
        assert!((1..=700).contains(&done), "{done}");
        smol::block_on(archive.write(terms(), stream::iter(lines(1_000)).skip(done as usize)))?;
        let all =
            rows::<u32>(&archive, "SELECT line, line FROM readings UNION SELECT line, line FROM rejected")?;
        assert!(all.into_iter().map(|(line, _)| line).eq(1..=1_000));
        Ok(())
    }
}
