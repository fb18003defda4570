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
//! - load shedding: a full queue, or a host's full lane, is a `429` that says when to come again, so that the memory of the
//!   service has a bound and a refusal costs one request ([`accept`]);
//! - a lane for each host, so that one that is slow delays no other, and a rate for all together ([`terms`], [`lane_of`]);
//! - what is tried again and when: Retry-After, for the job and for its host, time-outs, and statuses that no further attempt
//!   changes ([`deliver`]). How a request is made is a parameter ([`start_with`]), so that the tests can run a minute of all of
//!   this on a simulated clock;
//! - dead letters, from the settlements that callbacks are given ([`DeadLetters::record`]);
//! - a graceful end on SIGTERM, with a report of what was left ([`main`]).

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use plimsoll::{
    Builder, Cloning, Context, Drain, Lane, LaneLimits, Processor, Rate, Refusal, Retry, Runtime, Settlement,
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
    start_with(terms, Tokio::current(), move |delivery| post_over_http(client.clone(), delivery))
}

/// A processor whose attempts make their requests by this function.
fn start_with<P, F>(
    terms: Builder<Cloning>,
    runtime: impl Runtime,
    post: P,
) -> anyhow::Result<Processor<Deliver>>
where
    P: Fn(Arc<Delivery>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply, DeliveryError>> + Send + 'static,
{
    Ok(terms.spawn_on(runtime, move |delivery: Arc<Delivery>, cx: Context| deliver(post(delivery), cx))?)
}

/// What a target has answered, as far as a delivery depends on it.
struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
}

async fn post_over_http(client: reqwest::Client, delivery: Arc<Delivery>) -> Result<Reply, DeliveryError> {
    let request = client.post(&delivery.url).json(&delivery.body);
    let response = request.send().await.map_err(DeliveryError::Transport)?;
    Ok(Reply { status: response.status(), retry_after: retry_after(response.headers()) })
}

/// Deliveries to one host, two at a time. What is no URL fails on its first attempt, and needs no lane of its own.
fn lane_of(url: &str) -> Lane {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    Lane::new(lane_key(&host)).concurrency(2)
}

/// One attempt. Its time-out drops it wherever it stands, and with it the connection.
async fn deliver(
    posted: impl Future<Output = Result<Reply, DeliveryError>>,
    cx: Context,
) -> Result<u16, DeliveryError> {
    let Reply { status, retry_after } = posted.await?;
    if status.is_success() {
        return Ok(status.as_u16());
    }
    if is_permanent(status) {
        cx.no_retry();
    } else if let Some(delay) = retry_after {
        cx.hold_lane(delay);
        cx.retry_after(delay);
    } // Else the backoff of `terms` decides.
    Err(DeliveryError::Status(status.as_u16()))
}

/// Retry-After in seconds, no more than an hour. Its other form, a date, is left to the backoff.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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

/// The seconds after which a sender may offer again what there was no room for.
const COME_AGAIN: &str = "5";

async fn accept(State(app): State<App>, Json(delivery): Json<Delivery>) -> Response {
    let delivery = Arc::new(delivery);
    let (copy, dead) = (delivery.clone(), app.dead);
    let lane = lane_of(&delivery.url);
    match app.deliveries.task(delivery).lane(lane).call(move |settled| dead.record(copy, settled)) {
        Ok(task) => {
            (StatusCode::ACCEPTED, Json(json!({ "task": format!("{:x}", task.to_bits()) }))).into_response()
        }
        Err(refused) => {
            let is_closed = refused.reason == Refusal::Closed;
            let status =
                if is_closed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS };
            let error = Json(json!({ "error": refused.reason.to_string() }));
            (status, [(header::RETRY_AFTER, COME_AGAIN)], error).into_response()
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
mod ten_hosts;
#[cfg(test)]
mod tests;
