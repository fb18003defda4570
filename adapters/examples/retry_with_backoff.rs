//! Retries with exponential backoff and jitter. A Retry-After of the server counts more than the backoff, and an error that
//! stays is not tried again.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Processor, Retry, TaskError};

#[derive(Debug, PartialEq)]
enum HttpError {
    NotFound,
    TooManyRequests { retry_after: Duration },
    Unavailable,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Error for HttpError {}

async fn get(url: &'static str, cx: Context) -> Result<String, HttpError> {
    println!("{:>6} ms  attempt {} at {url}", cx.now().as_millis(), cx.attempt());
    let error = match (url, cx.attempt()) {
        ("/missing", _) => HttpError::NotFound,
        ("/busy", 1) => HttpError::TooManyRequests { retry_after: Duration::from_secs(30) },
        ("/flaky", 1 | 2) => HttpError::Unavailable,
        _ => return Ok(format!("the page {url}")),
    };
    match error {
        HttpError::NotFound => cx.no_retry(),
        HttpError::TooManyRequests { retry_after } => cx.retry_after(retry_after),
        HttpError::Unavailable => {}
    }
    Err(error)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let retry = Retry::times(4).base(Duration::from_millis(200)).cap(Duration::from_secs(10));
    let processor = Processor::builder().retry(retry).spawn_on(sim.clone(), get)?;

    let [missing, busy, flaky] = ["/missing", "/busy", "/flaky"].map(|url| processor.submit(url));
    assert_eq!(sim.block_on(missing?)?, Err(TaskError::Failed(HttpError::NotFound)));
    assert_eq!(sim.block_on(flaky?)??, "the page /flaky");
    assert_eq!(sim.block_on(busy?)??, "the page /busy");
    assert_eq!(sim.now().as_millis(), 30_000);
    Ok(())
}
