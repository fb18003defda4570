//! A webhook deliverer: HTTP requests come in, HTTP requests go out, and the targets are flaky.
//!
//! ```sh
//! cargo run --bin webhooks -- 127.0.0.1:8080 10   # the seconds that the end may take
//! curl localhost:8080/deliver --json '{"url": "http://127.0.0.1:9000/hook", "body": {"order": 7}}'
//! curl localhost:8080/health
//! curl localhost:8080/dead
//! ```
//!
//! It shows
//! - load shedding: a full queue is a `429`, so that the memory of the service has a bound ([`accept`]);
//! - a lane for each host, so that one that is slow delays no other, and a rate for all together ([`terms`], [`lane_of`]);
//! - what is tried again and when: Retry-After, for the job and for its host, time-outs, and statuses that no further attempt
//!   changes ([`deliver`]);
//! - dead letters, from the settlements that callbacks are given ([`DeadLetters::record`]);
//! - a graceful end on SIGTERM, with a report of what was left ([`main`]).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use plimsoll::{
    Builder, Cloning, Context, Drain, Lane, LaneLimits, Processor, Rate, Refusal, Retry, Settlement,
    Submitter, Tokio, lane_key,
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// What is to be sent, and where to.
#[derive(Debug, Deserialize, Serialize)]
struct Delivery {
    url: String,
    body: Value,
}

/// Each further attempt needs the job again, and so does a dead letter: behind an `Arc` that costs nothing.
type Deliver = fn(Arc<Delivery>, Context) -> Result<u16, DeliveryError>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let within = Duration::from_secs(args.next().map_or(Ok(10), |seconds| seconds.parse())?);
    let listener = TcpListener::bind(address).await?;
    let mut terminate = signal(SignalKind::terminate())?;

    let processor = start(terms())?;
    let app = App { deliveries: processor.submitter(), dead: DeadLetters::default() };
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.clone().router())
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await?;

    // Nothing comes in any more. What was accepted has this long to get out.
    let report = processor.shutdown(Drain::graceful(within)).await;
    let settled = report.totals.settled;
    println!("delivered {}, given up {}", settled.completed, report.remains.cancelled);
    for letter in app.dead.list() {
        println!("{}", serde_json::to_string(&letter)?);
    }
    Ok(())
}

/// At most 32 deliveries at a time and 100 a second, 1,000 that wait for their turn, 200 of them for one host, and 1,000 that
/// wait for their next attempt.
fn terms() -> Builder<Cloning> {
    Processor::builder()
        .concurrency(32)
        .rate(Rate::new(100, Duration::from_secs(1)).burst(10))
        .queue(1_000)
        .lanes(LaneLimits::new(10_000).queue(200))
        .delayed(1_000)
        .timeout(Duration::from_secs(5))
        .retry(Retry::times(4).base(Duration::from_millis(500)).cap(Duration::from_secs(60)).on_timeout(true))
}

fn start(terms: Builder<Cloning>) -> anyhow::Result<Processor<Deliver>> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let handler = move |delivery: Arc<Delivery>, cx: Context| deliver(client.clone(), delivery, cx);
    Ok(terms.spawn_on(Tokio::current(), handler)?)
}

/// Deliveries to one host, two at a time. What is no URL fails on its first attempt, and needs no lane of its own.
fn lane_of(url: &str) -> Lane {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    Lane::new(lane_key(&host)).concurrency(2)
}

/// One attempt. Its time-out drops it wherever it stands, and with it the connection.
async fn deliver(
    client: reqwest::Client,
    delivery: Arc<Delivery>,
    cx: Context,
) -> Result<u16, DeliveryError> {
    let response =
        client.post(&delivery.url).json(&delivery.body).send().await.map_err(DeliveryError::Transport)?;
    let status = response.status();
    if status.is_success() {
        return Ok(status.as_u16());
    }
    if is_permanent(status) {
        cx.no_retry();
    } else if let Some(delay) = retry_after(response.headers()) {
        cx.hold_lane(delay);
        cx.retry_after(delay);
    } // Else the backoff of `terms` decides.
    Err(DeliveryError::Status(status.as_u16()))
}

/// Retry-After in seconds, no more than an hour. Its other form, a date, is left to the backoff.
fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3_600)))
}

/// No further attempt changes a redirect or a client's error, but for the two that are about time.
fn is_permanent(status: StatusCode) -> bool {
    let is_about_time = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    !status.is_server_error() && !is_about_time
}

/// Why one attempt has failed.
#[derive(Debug)]
enum DeliveryError {
    Status(u16),
    Transport(reqwest::Error),
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the target answered {status}"),
            Self::Transport(_) => f.write_str("the target was not reached"),
        }
    }
}

impl std::error::Error for DeliveryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Status(_) => None,
            Self::Transport(error) => Some(error),
        }
    }
}

/// What the routes share. A submitter does not keep the processor alive, so [`main`] can end it.
#[derive(Clone)]
struct App {
    deliveries: Submitter<Deliver>,
    dead: DeadLetters,
}

impl App {
    fn router(self) -> Router {
        Router::new()
            .route("/deliver", post(accept))
            .route("/dead", get(list_dead))
            .route("/health", get(health))
            .with_state(self)
    }
}

async fn accept(State(app): State<App>, Json(delivery): Json<Delivery>) -> (StatusCode, Json<Value>) {
    let delivery = Arc::new(delivery);
    let (copy, dead) = (delivery.clone(), app.dead);
    let lane = lane_of(&delivery.url);
    match app.deliveries.task(delivery).lane(lane).call(move |settled| dead.record(copy, settled)) {
        Ok(task) => (StatusCode::ACCEPTED, Json(json!({ "task": format!("{:x}", task.to_bits()) }))),
        Err(refused) => {
            let is_closed = refused.reason == Refusal::Closed;
            let status =
                if is_closed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS };
            (status, Json(json!({ "error": refused.reason.to_string() })))
        }
    }
}

async fn list_dead(State(app): State<App>) -> Json<Vec<DeadLetter>> {
    Json(app.dead.list())
}

async fn health(State(app): State<App>) -> Json<Value> {
    let health = app.deliveries.health();
    let settled = app.deliveries.totals().settled;
    Json(json!({
        "phase": format!("{:?}", health.phase),
        "running": health.running,
        "queued": health.queued,
        "backing_off": health.delayed,
        "saturation": f64::from(health.saturation) / 1_000.0,
        "delivered": settled.completed,
        "dead": settled.total() - settled.completed,
    }))
}

/// A delivery that will not be tried again.
#[derive(Clone, Serialize)]
struct DeadLetter {
    delivery: Arc<Delivery>,
    attempts: u32,
    outcome: &'static str,
    error: String,
}

/// The latest dead letters. Their number has a bound, as everything here has.
#[derive(Clone, Default)]
struct DeadLetters(Arc<Mutex<VecDeque<DeadLetter>>>);

impl DeadLetters {
    const MOST: usize = 1_000;

    /// Called with every delivery that has come to its end, whichever that is. The settlement has the job only where no
    /// attempt took it along, so the route keeps a copy.
    fn record(&self, delivery: Arc<Delivery>, settled: Settlement<Deliver>) {
        let (attempts, outcome) = (settled.attempts, settled.kind().name());
        let Err(error) = settled.result else { return };
        let error = format!("{:#}", anyhow::Error::new(error));
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if letters.len() == Self::MOST {
            letters.pop_front();
        }
        letters.push_back(DeadLetter { delivery, attempts, outcome, error });
    }

    fn list(&self) -> Vec<DeadLetter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    /// What a target has seen.
    #[derive(Default)]
    struct Seen {
        calls: AtomicUsize,
        /// Requests that are being answered, and the most there were of them at a time.
        open: AtomicUsize,
        most: AtomicUsize,
    }

    impl Seen {
        fn call(&self) -> usize {
            self.calls.fetch_add(1, Ordering::SeqCst) + 1
        }
    }

    /// A server whose every route fails in a way of its own: the address of a route, and what it has seen.
    async fn target(route: &str) -> anyhow::Result<(String, Arc<Seen>)> {
        let seen = Arc::new(Seen::default());
        let router = Router::new()
            .route(
                "/flaky",
                post(async |State(seen): State<Arc<Seen>>| match seen.call() {
                    1 | 2 => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::OK,
                }),
            )
            .route(
                "/busy",
                post(async |State(seen): State<Arc<Seen>>| match seen.call() {
                    1 => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]),
                    _ => (StatusCode::OK, [(header::RETRY_AFTER, "")]),
                }),
            )
            .route(
                "/gone",
                post(async |State(seen): State<Arc<Seen>>| {
                    seen.call();
                    StatusCode::GONE
                }),
            )
            .route(
                "/hangs",
                post(async |State(seen): State<Arc<Seen>>| {
                    if seen.call() == 1 {
                        std::future::pending::<()>().await;
                    }
                }),
            )
            .route("/stuck", post(async || std::future::pending::<()>().await))
            .route(
                "/slow",
                post(async |State(seen): State<Arc<Seen>>| {
                    seen.most.fetch_max(seen.open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                    seen.call();
                }),
            )
            .with_state(seen.clone());
        Ok((format!("http://{}{route}", serve(router).await?), seen))
    }

    async fn serve(router: Router) -> anyhow::Result<std::net::SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// The service, as it is but for its patience.
    struct Service {
        processor: Processor<Deliver>,
        client: reqwest::Client,
        url: String,
    }

    impl Service {
        async fn start(terms: Builder<Cloning>) -> anyhow::Result<Self> {
            let processor = start(terms)?;
            let app = App { deliveries: processor.submitter(), dead: DeadLetters::default() };
            let url = format!("http://{}", serve(app.router()).await?);
            Ok(Self { processor, client: reqwest::Client::new(), url })
        }

        async fn send(&self, url: &str) -> anyhow::Result<reqwest::Response> {
            let delivery = json!({ "url": url, "body": { "order": 7 } });
            Ok(self.client.post(format!("{}/deliver", self.url)).json(&delivery).send().await?)
        }

        async fn get(&self, route: &str) -> anyhow::Result<Value> {
            Ok(self.client.get(format!("{}{route}", self.url)).send().await?.json().await?)
        }
    }

    fn impatient() -> Builder<Cloning> {
        let soon = Duration::from_millis(10);
        terms()
            .timeout(Duration::from_millis(300))
            .retry(Retry::times(4).base(soon).cap(soon).on_timeout(true))
    }

    #[tokio::test]
    async fn a_flaky_target_is_tried_again() -> anyhow::Result<()> {
        let (url, seen) = target("/flaky").await?;
        let service = Service::start(impatient()).await?;
        assert_eq!(service.send(&url).await?.status(), StatusCode::ACCEPTED);
        service.processor.idle().await;
        assert_eq!(seen.calls.load(Ordering::SeqCst), 3);
        assert_eq!(service.get("/health").await?["delivered"], 1);
        assert_eq!(service.get("/dead").await?, json!([]));
        Ok(())
    }

    #[tokio::test]
    async fn retry_after_is_honoured() -> anyhow::Result<()> {
        let (url, seen) = target("/busy").await?;
        let service = Service::start(impatient()).await?;
        let start = Instant::now();
        service.send(&url).await?;
        service.processor.idle().await;
        assert!(start.elapsed() >= Duration::from_secs(1), "the backoff alone is 10 ms");
        assert_eq!(seen.calls.load(Ordering::SeqCst), 2);
        Ok(())
    }

    #[tokio::test]
    async fn a_target_that_hangs_is_left_and_tried_again() -> anyhow::Result<()> {
        let (url, seen) = target("/hangs").await?;
        let service = Service::start(impatient().timeout(Duration::from_millis(300))).await?;
        service.send(&url).await?;
        service.processor.idle().await;
        assert!(seen.calls.load(Ordering::SeqCst) >= 2);
        assert_eq!(service.get("/health").await?["delivered"], 1);
        Ok(())
    }

    #[tokio::test]
    async fn what_no_attempt_will_change_is_a_dead_letter_at_once() -> anyhow::Result<()> {
        let (url, seen) = target("/gone").await?;
        let service = Service::start(impatient()).await?;
        service.send(&url).await?;
        service.processor.idle().await;
        service.send("http://127.0.0.1:1/").await?;
        // On the one thread of this test the callbacks have returned too.
        service.processor.idle().await;
        assert_eq!(seen.calls.load(Ordering::SeqCst), 1);
        let dead = service.get("/dead").await?;
        assert_eq!((&dead[0]["attempts"], &dead[0]["outcome"]), (&json!(1), &json!("failed")));
        assert_eq!(dead[0]["error"], "the task failed: the target answered 410");
        assert_eq!(dead[0]["delivery"], json!({ "url": url, "body": { "order": 7 } }));
        assert_eq!((&dead[1]["attempts"], dead.as_array().map(Vec::len)), (&json!(5), Some(2)));
        Ok(())
    }

    #[tokio::test]
    async fn no_more_than_two_deliveries_to_a_host_go_on_at_a_time() -> anyhow::Result<()> {
        let (url, seen) = target("/slow").await?;
        let service = Service::start(impatient()).await?;
        for _ in 0..20 {
            service.send(&url).await?;
        }
        service.processor.idle().await;
        assert_eq!((seen.calls.load(Ordering::SeqCst), seen.most.load(Ordering::SeqCst)), (20, 2));
        Ok(())
    }

    /// One host never answers; `localhost` is another host than `127.0.0.1`.
    #[tokio::test]
    async fn a_host_that_hangs_takes_nothing_from_the_others() -> anyhow::Result<()> {
        let (stuck, _) = target("/stuck").await?;
        let (url, seen) = target("/slow").await?;
        let service = Service::start(terms()).await?;
        for _ in 0..200 {
            assert_eq!(
                service.send(&stuck.replace("127.0.0.1", "localhost")).await?.status(),
                StatusCode::ACCEPTED
            );
        }
        for _ in 0..20 {
            service.send(&url).await?;
        }
        while seen.calls.load(Ordering::SeqCst) < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let health = service.get("/health").await?;
        assert_eq!(
            (&health["running"], &health["queued"]),
            (&json!(2), &json!(198)),
            "two hang, the others wait"
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_retry_after_holds_the_whole_host() -> anyhow::Result<()> {
        let (url, seen) = target("/busy").await?;
        let service = Service::start(impatient()).await?;
        let start = Instant::now();
        service.send(&url).await?;
        while seen.calls.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..5 {
            service.send(&url).await?;
        }
        service.processor.idle().await;
        assert!(start.elapsed() >= Duration::from_secs(1), "none of them went to the host in that second");
        assert_eq!(seen.calls.load(Ordering::SeqCst), 7);
        Ok(())
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_refused_with_a_reason() -> anyhow::Result<()> {
        let (url, _) = target("/slow").await?;
        let service = Service::start(impatient().concurrency(1).queue(2)).await?;
        service.processor.pause();
        for _ in 0..2 {
            assert_eq!(service.send(&url).await?.status(), StatusCode::ACCEPTED);
        }
        let refused = service.send(&url).await?;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let body: Value = refused.json().await?;
        assert!(body["error"].as_str().is_some_and(|error| error.contains("the queue is full")), "{body}");
        Ok(())
    }
}
