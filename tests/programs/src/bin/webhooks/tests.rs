//! The deliverer, and targets that fail in ways of their own, over loopback.

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
    terms().timeout(Duration::from_millis(300)).retry(Retry::times(4).base(soon).cap(soon).on_timeout(true))
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
    assert_eq!(retry_after(refused.headers()), Some(Duration::from_secs(5)));
    let body: Value = refused.json().await?;
    assert!(body["error"].as_str().is_some_and(|error| error.contains("the queue is full")), "{body}");
    Ok(())
}
