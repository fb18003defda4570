//! 3,000 deliveries to ten hosts in a minute, and one of the hosts is slow: what the others get, and when, with it and
//! without it.
//!
//! ```sh
//! cargo test --bin webhooks ten_hosts -- --nocapture             # on a simulated clock
//! cargo test --bin webhooks ten_hosts -- --ignored --nocapture   # over loopback, two minutes
//! ```
//!
//! The deliveries come in one of two ways: from senders that use the route, offer at random instants and heed the
//! Retry-After of a refusal ([`offer_by_route`]); or as a backlog that is there at once, in a stream for each host
//! ([`offer_backlog`]). A stream waits for room for its own host only, and is never refused.

use std::net::Ipv4Addr;
use std::sync::MutexGuard;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use plimsoll::Options;
use plimsoll::runtime::sim::{Sim, Time};
use smol::lock::Semaphore;

use super::*;

const HOSTS: usize = 10;
const EACH: usize = 300;
/// The last of the hosts, if it is slow.
const SLOW: usize = HOSTS - 1;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Random deliveries are offered in this time, so that those offered last are delivered within the minute.
const OFFERED_WITHIN: Duration = Duration::from_secs(57);

#[derive(Clone)]
enum Clock {
    Simulated(Time),
    Real(Instant),
}

impl Clock {
    fn now(&self) -> Duration {
        match self {
            Self::Simulated(time) => Duration::from_nanos(time.now().as_nanos()),
            Self::Real(start) => start.elapsed(),
        }
    }

    async fn sleep(&self, time: Duration) {
        match self {
            Self::Simulated(clock) => clock.sleep(time).await,
            Self::Real(_) => tokio::time::sleep(time).await,
        }
    }

    /// How long an answer may be on its way.
    const fn transit(&self) -> Duration {
        match self {
            Self::Simulated(_) => Duration::ZERO,
            Self::Real(_) => Duration::from_millis(250),
        }
    }
}

struct Host {
    is_slow: bool,
    clock: Clock,
    seen: Mutex<Seen>,
}

/// What a host has seen, and the offers of its senders.
#[derive(Clone, Debug, Default)]
struct Seen {
    offers: usize,
    refused: usize,
    requests: usize,
    /// Requests that are being answered, and the most there were of them at a time.
    open: usize,
    most: usize,
    /// From when until when the last Retry-After asks for silence, and how many requests broke it.
    held: (Duration, Duration),
    while_held: usize,
    /// How long each delivery took from its first offer, and when the last one was there.
    took: Vec<Duration>,
    last: Duration,
}

impl Seen {
    /// How long 99 in a hundred of the deliveries took at most.
    fn p99(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get((took.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl Host {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 20 to 80 ms; or 2 s, and each tenth answer is a Retry-After.
    async fn answer(&self, offered: Duration) -> Reply {
        let number = self.begin();
        let takes =
            if self.is_slow { 2 * SECOND } else { Duration::from_millis(20 + number as u64 * 37 % 61) };
        self.clock.sleep(takes).await;

        let now = self.clock.now();
        let mut seen = self.seen();
        seen.open -= 1;
        if self.is_slow && number.is_multiple_of(10) {
            let pause = 5 * SECOND;
            seen.held = (now + self.clock.transit(), now + pause);
            return Reply { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: Some(pause) };
        }
        seen.took.push(now.saturating_sub(offered));
        seen.last = now;
        Reply { status: StatusCode::OK, retry_after: None }
    }

    fn begin(&self) -> usize {
        let now = self.clock.now();
        let mut seen = self.seen();
        seen.requests += 1;
        seen.open += 1;
        seen.most = seen.most.max(seen.open);
        let is_held = seen.held.0 <= now && now < seen.held.1;
        seen.while_held += usize::from(is_held);
        seen.requests
    }
}

/// The hosts, which have the addresses 127.0.0.1 and so on.
#[derive(Clone)]
struct Hosts(Arc<[Host]>);

impl Hosts {
    fn new(clock: &Clock, has_slow: bool) -> Self {
        let host = |index| Host { is_slow: index == SLOW, clock: clock.clone(), seen: Mutex::default() };
        Self((0..if has_slow { HOSTS } else { SLOW }).map(host).collect())
    }

    /// As a request of the deliverer is answered.
    async fn answer(self, delivery: Arc<Delivery>) -> Result<Reply, DeliveryError> {
        let url = Url::parse(&delivery.url).ok();
        let address = url.and_then(|url| url.host_str()?.parse::<Ipv4Addr>().ok());
        let host = address.and_then(|address| self.0.get(usize::from(address.octets()[3]) - 1));
        match host {
            Some(host) => Ok(host.answer(offered(&delivery.body)).await),
            None => Err(DeliveryError::Status(404)),
        }
    }

    fn seen(&self) -> Vec<Seen> {
        self.0.iter().map(|host| host.seen().clone()).collect()
    }
}

fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(index + 1).unwrap_or(u8::MAX))
}

/// A delivery, which says when it is offered first.
fn delivery(url: &str, at: Duration) -> Delivery {
    Delivery { url: url.to_owned(), body: json!(u64::try_from(at.as_micros()).unwrap_or(u64::MAX)) }
}

fn offered(body: &Value) -> Duration {
    Duration::from_micros(body.as_u64().unwrap_or_default())
}

/// Offers one delivery at its time by the route of the service, until it is accepted.
async fn offer_by_route(app: App, hosts: Hosts, index: usize, url: String, at: Duration) {
    let host = &hosts.0[index];
    host.clock.sleep(at.saturating_sub(host.clock.now())).await;
    loop {
        let answer = accept(State(app.clone()), Json(delivery(&url, at))).await;
        host.seen().offers += 1;
        if answer.status() == StatusCode::ACCEPTED {
            return;
        }
        host.seen().refused += 1;
        host.clock.sleep(retry_after(answer.headers()).unwrap_or_default()).await;
    }
}

/// The instants at which deliveries to a host are offered. They do not depend on what else there is.
fn offer_times(index: usize) -> impl Iterator<Item = Duration> {
    let mut rng = fastrand::Rng::with_seed(index as u64);
    (0..EACH).map(move |_| OFFERED_WITHIN.mul_f64(rng.f64()))
}

/// Offers all deliveries to one host, four at a time: two that go on, and the next two. Panics with a refusal.
async fn offer_backlog(app: App, hosts: Hosts, index: usize, url: String) {
    let jobs = stream::iter((0..EACH).map(|_| Arc::new(delivery(&url, Duration::ZERO))));
    let jobs = jobs.inspect(|_| hosts.0[index].seen().offers += 1);
    let lane = lane_of(&url);
    let Ok(settled) = app.deliveries.process(jobs, 4) else { return };
    let settled = settled.options(|_| Options::default().lane(lane));
    settled.for_each(|settled| async { assert!(settled.is_ok(), "{:?}", settled.err()) }).await;
}

/// How the deliveries come.
#[derive(Clone, Copy, Debug)]
enum Way {
    Route,
    Backlog,
}

/// All that is to be done for one host.
fn offer_all(
    way: Way,
    app: &App,
    hosts: &Hosts,
    index: usize,
    url: &str,
) -> Vec<impl Future<Output = ()> + Send + use<>> {
    let (app, hosts, url) = (app.clone(), hosts.clone(), url.to_owned());
    let times = match way {
        Way::Route => offer_times(index).map(Some).collect(),
        Way::Backlog => vec![None],
    };
    let offer = move |at| {
        let (app, hosts, url) = (app.clone(), hosts.clone(), url.clone());
        async move {
            match at {
                Some(at) => offer_by_route(app, hosts, index, url, at).await,
                None => offer_backlog(app, hosts, index, url).await,
            }
        }
    };
    times.into_iter().map(offer).collect()
}

/// A minute on a simulated clock.
fn simulate(way: Way, has_slow: bool) -> anyhow::Result<Vec<Seen>> {
    let sim = Sim::new(1);
    let hosts = Hosts::new(&Clock::Simulated(sim.time()), has_slow);
    let targets = hosts.clone();
    let processor = start_with(terms(), sim.clone(), move |delivery| targets.clone().answer(delivery))?;
    let app = App { deliveries: processor.submitter(), dead: DeadLetters::default() };
    for index in 0..hosts.0.len() {
        let url = format!("http://{}/hook", address(index));
        offer_all(way, &app, &hosts, index, &url).into_iter().for_each(|offer| sim.spawn(offer));
    }
    sim.advance(MINUTE)?;
    check_books(&processor, &hosts.seen());
    Ok(hosts.seen())
}

/// A minute over loopback, by the clock on the wall.
async fn run_over_loopback(way: Way, has_slow: bool) -> anyhow::Result<Vec<Seen>> {
    let hosts = Hosts::new(&Clock::Real(Instant::now()), has_slow);
    let processor = start(terms())?;
    let app = App { deliveries: processor.submitter(), dead: DeadLetters::default() };
    for index in 0..hosts.0.len() {
        let listener = TcpListener::bind((address(index), 0)).await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let router = Router::new().route("/hook", post(hook)).with_state((hosts.clone(), index));
        tokio::spawn(async move { axum::serve(listener, router).await });
        for offer in offer_all(way, &app, &hosts, index, &url) {
            tokio::spawn(offer);
        }
    }
    tokio::time::sleep(MINUTE).await;
    Ok(hosts.seen())
}

async fn hook(State((hosts, index)): State<(Hosts, usize)>, Json(body): Json<Value>) -> Response {
    let Reply { status, retry_after } = hosts.0[index].answer(offered(&body)).await;
    match retry_after {
        Some(pause) => (status, [(header::RETRY_AFTER, pause.as_secs().to_string())]).into_response(),
        None => status.into_response(),
    }
}

/// The processor has seen each offer, and has refused no others.
fn check_books(processor: &Processor<Deliver>, seen: &[Seen]) {
    let sum = |count: fn(&Seen) -> usize| seen.iter().map(count).sum::<usize>() as u64;
    let totals = processor.totals();
    assert_eq!(
        (totals.offered, totals.refused, totals.settled.completed),
        (sum(|host| host.offers), sum(|host| host.refused), sum(|host| host.took.len()))
    );
    assert_eq!(processor.census(), processor.audit());
}

/// What the fast hosts get, and when, is what they get without the slow one; and nobody hurries the slow one.
fn check(without: &[Seen], with: &[Seen], ratio: f64) {
    for (index, (without, with)) in without.iter().zip(with).enumerate() {
        assert_eq!((without.took.len(), with.took.len()), (EACH, EACH), "host {index}");
        assert_eq!((without.refused, with.refused), (0, 0), "host {index}");
        assert!(
            with.last <= without.last.mul_f64(ratio),
            "host {index}: {:?}, {:?}",
            with.last,
            without.last
        );
        assert!(
            with.p99() <= without.p99().mul_f64(ratio),
            "host {index}: {:?}, {:?}",
            with.p99(),
            without.p99()
        );
        assert!(with.most <= 2, "host {index}");
    }
    let slow = &with[SLOW];
    assert!(slow.most == 2 && slow.while_held == 0, "{slow:?}");
    // One answer a second but for the pauses, of which each lasts as long as five answers.
    assert!((30..60).contains(&slow.took.len()), "{}", slow.took.len());
    assert!(slow.requests < 70, "{}", slow.requests);
}

fn print(title: &str, without: &[Seen], with: &[Seen]) {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    println!("\n{title}\n");
    println!("            without the slow host             with it");
    println!("host        delivered       p99     last      offers refused  delivered       p99     last");
    for (index, seen) in with.iter().enumerate() {
        let name = if index == SLOW { "slow".to_owned() } else { format!("fast {}", index + 1) };
        let [took, p99, last] = without.get(index).map_or_else(Default::default, |seen| {
            [seen.took.len().to_string(), seconds(seen.p99()), seconds(seen.last)]
        });
        println!(
            "{name:<10} {took:>10} {p99:>9} {last:>8}    {:>8} {:>7} {:>10} {:>9} {:>8}",
            seen.offers,
            seen.refused,
            seen.took.len(),
            seconds(seen.p99()),
            seconds(seen.last)
        );
    }
    let sum = |seen: &[Seen], count: fn(&Seen) -> usize| seen.iter().map(count).sum::<usize>();
    println!(
        "{:<10} {:>10} {:>9} {:>8}    {:>8} {:>7} {:>10}",
        "all",
        sum(without, |host| host.took.len()),
        "",
        "",
        sum(with, |host| host.offers),
        sum(with, |host| host.refused),
        sum(with, |host| host.took.len())
    );
    if let Some(Seen { requests, most, while_held, .. }) = with.get(SLOW) {
        println!(
            "\nThe slow host: {requests} requests, at most {most} at a time, {while_held} in a Retry-After."
        );
    }
}

#[test]
fn senders_lose_nothing_to_a_slow_host() -> anyhow::Result<()> {
    let (without, with) = (simulate(Way::Route, false)?, simulate(Way::Route, true)?);
    print("3,000 deliveries within 57 s by senders, after 60 s:", &without, &with);
    check(&without, &with, 1.1);
    // What its lane has no room for is offered again each five seconds, and not more often.
    let slow = &with[SLOW];
    assert!(slow.refused > 0 && slow.offers < EACH + 150, "{slow:?}");
    Ok(())
}

#[test]
fn a_backlog_loses_nothing_to_a_slow_host() -> anyhow::Result<()> {
    let (without, with) = (simulate(Way::Backlog, false)?, simulate(Way::Backlog, true)?);
    print("3,000 deliveries that are there at once, after 60 s:", &without, &with);
    check(&without, &with, 1.1);
    assert!(with[SLOW].offers <= with[SLOW].took.len() + 4, "it is held back, not refused");
    Ok(())
}

/// The limit of two as a semaphore for each host within the handler: those that wait for it have places, so much is lost.
#[test]
fn a_semaphore_in_the_handler_loses_places_to_the_slow_host() -> anyhow::Result<()> {
    let sim = Sim::new(1);
    let hosts = Hosts::new(&Clock::Simulated(sim.time()), true);
    let (targets, twos) = (hosts.clone(), Arc::new([const { Semaphore::new(2) }; HOSTS]));
    let post = move |delivery: Arc<Delivery>| {
        let (targets, twos) = (targets.clone(), twos.clone());
        async move {
            let index = (0..HOSTS).find(|index| delivery.url.contains(&format!("{}/", address(*index))));
            let _place = twos[index.unwrap_or_default()].acquire().await;
            targets.answer(delivery).await
        }
    };
    let processor = start_with(terms(), sim.clone(), post)?;
    let submitter = processor.submitter();
    sim.spawn(async move {
        let url = |number: usize| format!("http://{}/hook", address(number % HOSTS));
        let jobs =
            stream::iter((0..HOSTS * EACH).map(|number| Arc::new(delivery(&url(number), Duration::ZERO))));
        if let Ok(settled) = submitter.process(jobs, 1_000) {
            settled.for_each(async |_| ()).await;
        }
    });
    sim.advance(MINUTE)?;
    let delivered: usize = hosts.seen()[..SLOW].iter().map(|host| host.took.len()).sum();
    println!("\nWith semaphores in the handler the fast hosts have {delivered} of 2,700 after 60 s.");
    assert!(delivered < 2_500, "{delivered}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn over_loopback_too() -> anyhow::Result<()> {
    let without = run_over_loopback(Way::Route, false).await?;
    let with = run_over_loopback(Way::Route, true).await?;
    print("3,000 deliveries within 57 s by senders, over loopback, after 60 s:", &without, &with);
    check(&without, &with, 2.0);
    Ok(())
}
