//! A processor as a tower service, and a service behind it: a queue, retries and time-outs around a client, and an error that is not
//! to be tried again.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use plimsoll::{Context, Drain, Processor, Retry, Thread};
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[derive(Clone, Copy, Debug)]
struct NoSuchPage;

impl fmt::Display for NoSuchPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such page")
    }
}

impl Error for NoSuchPage {}

async fn get(path: String) -> Result<usize, NoSuchPage> {
    if path == "/" { Ok(200) } else { Err(NoSuchPage) }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // A client, which is `Clone`. One that waits by tokio's timers or sockets needs a processor on tokio.
    let client = service_fn(get);
    let processor = Processor::builder()
        .queue(100)
        .concurrency(8)
        .timeout(Duration::from_secs(10))
        .retry(Retry::times(3))
        .spawn_on(Thread::start()?, move |path: String, cx: Context| async move {
            let response = client.oneshot(path).await;
            if let Err(NoSuchPage) = response {
                cx.no_retry(); // without any such error it is `plimsoll::service::calling(client)`
            }
            response
        })?;

    let service =
        ServiceBuilder::new().map_request(|path: &str| path.to_owned()).service(processor.service());
    futures::executor::block_on(async {
        assert_eq!(service.clone().oneshot("/").await?, 200);
        let error = service.oneshot("/nowhere").await.err().ok_or("there is no such page")?;
        println!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
        let report = processor.shutdown(Drain::graceful(Duration::from_secs(10))).await;
        assert_eq!((report.totals.settled.failed, report.totals.retried), (1, 0));
        Ok(())
    })
}
