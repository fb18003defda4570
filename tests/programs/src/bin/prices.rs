//! Prices from an exchange, in a cache that is refreshed before anybody has to wait.
//!
//! ```sh
//! cargo run --bin prices
//! ```
//!
//! Some symbols are watched: a task fetches the price of each, again and again, and each of these tasks submits the next one
//! when it is settled ([`Prices::watch`]). All others are fetched when somebody asks, and once for all who ask at the same
//! time ([`Prices::get`]). Both ways go through the same processor: so there is a limit to the requests that the exchange has at
//! a time, and all of them have time-outs and further attempts. What is not refreshed any more expires.
//!
//! The tests run it on a simulated clock, an hour in milliseconds.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use plimsoll::{
    Builder, Cache, CacheLimits, Cloning, Context, Priority, Processor, Refusal, Retry, Run, Runtime, Smol,
    Submitter, Work, running,
};

fn main() -> anyhow::Result<()> {
    let second = Duration::from_secs(1);
    let prices = Prices::start(Smol::global(), terms(), Exchange::default(), second * 5)?;
    smol::block_on(async {
        for symbol in ["AAPL", "MSFT", "NVDA"] {
            prices.watch(symbol.into(), second / 5)?;
        }
        for _ in 0..5 {
            smol::Timer::after(second / 4).await;
            let price = prices.get("MSFT").await?;
            println!("MSFT is at {}, the quote number {}", price.cents, price.quote);
        }
        let rare = try_join_all((0..100).map(|_| prices.get("RARE"))).await?;
        let quotes: HashSet<u64> = rare.iter().map(|price| price.quote).collect();
        println!("{} have asked for RARE, and all were told the quotes {quotes:?}", rare.len());
        Ok(())
    })
}

fn terms() -> Builder<Cloning> {
    let retry = Retry::times(2).base(Duration::from_millis(100)).on_timeout(true);
    Processor::builder().concurrency(4).delayed(100).timeout(Duration::from_secs(2)).retry(retry)
}

type Symbol = Arc<str>;

struct Prices {
    cache: Cache<Symbol, Price>,
    /// Its end is the end of the watches, and empties the cache.
    fetches: Processor<Exchange>,
}

impl Prices {
    /// A price is kept for `ttl` at most, and 1,000 of them.
    fn start(
        runtime: impl Runtime,
        terms: Builder<Cloning>,
        exchange: Exchange,
        ttl: Duration,
    ) -> anyhow::Result<Self> {
        let cache = Cache::new(CacheLimits { entries: 1_000, ttl: Some(ttl), ..CacheLimits::default() })?;
        let fetches = terms.cache(&cache).spawn_on(runtime, running(exchange))?;
        Ok(Self { cache, fetches })
    }

    /// The price from the cache, or else from the exchange. Of several who ask for it one fetches it.
    async fn get(&self, symbol: &str) -> anyhow::Result<Arc<Price>> {
        let symbol = Symbol::from(symbol);
        let fetch = || async { Ok(self.fetches.submit_wait(symbol.clone()).await?.await?) };
        self.cache.get_or_insert_with(symbol.clone(), fetch).await
    }

    /// Has the price of a symbol fetched now, and again and again, so long after each fetch.
    fn watch(&self, symbol: Symbol, every: Duration) -> Result<(), Refusal> {
        let watch = Watch { symbol, every, cache: self.cache.clone(), fetches: self.fetches.submitter() };
        watch.fetch_after(Duration::ZERO)
    }
}

/// A symbol that is watched, on its way from task to task. It has a submitter, which does not keep the processor alive.
struct Watch {
    symbol: Symbol,
    every: Duration,
    cache: Cache<Symbol, Price>,
    fetches: Submitter<Exchange>,
}

impl Watch {
    fn fetch_after(self, delay: Duration) -> Result<(), Refusal> {
        let fetches = self.fetches.clone();
        // A refresh comes last: for a miss somebody waits.
        let task = fetches.task(self.symbol.clone()).delay(delay).priority(Priority::LOWEST);
        task.call(|settled| {
            // Without a price there is the old one, until that expires.
            if let Ok(price) = settled.result {
                self.cache.insert(self.symbol.clone(), price);
            }
            let (symbol, every) = (self.symbol.clone(), self.every);
            match self.fetch_after(every) {
                Ok(()) | Err(Refusal::Closed) => {} // The latter is the end.
                Err(reason) => eprintln!("{symbol} is not watched any more: {reason}"),
            }
        })?;
        Ok(())
    }
}

/// The exchange as its client sees it. This one makes its prices up, and may be shut.
#[derive(Clone, Default)]
struct Exchange {
    asked: Arc<AtomicU64>,
    is_shut: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Price {
    cents: u64,
    /// How many prices the exchange had been asked for, this one included.
    quote: u64,
}

#[derive(Debug)]
struct Shut;

impl std::fmt::Display for Shut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the exchange is shut")
    }
}

impl std::error::Error for Shut {}

impl Work for Exchange {
    type Job = Symbol;
    type Output = Price;
    type Error = Shut;
    type Meta = ();
}

impl Run for Exchange {
    async fn run(&self, symbol: Symbol, cx: Context) -> Result<Price, Shut> {
        let quote = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        cx.sleep(Duration::from_millis(50)).await.map_err(|_| Shut)?;
        if self.is_shut.load(Ordering::Relaxed) {
            return Err(Shut);
        }
        Ok(Price { cents: 10_000 + symbol.len() as u64 + quote % 100, quote })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use plimsoll::runtime::sim::Sim;

    use super::*;

    impl Exchange {
        fn asked(&self) -> u64 {
            self.asked.load(Ordering::Relaxed)
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    fn start(sim: &Sim) -> anyhow::Result<(Prices, Exchange)> {
        let exchange = Exchange::default();
        Ok((Prices::start(sim.clone(), terms(), exchange.clone(), MINUTE * 3)?, exchange))
    }

    #[test]
    fn a_watched_price_is_there_and_new_without_waiting() -> anyhow::Result<()> {
        let sim = Sim::new(1);
        let (prices, exchange) = start(&sim)?;
        prices.watch("MSFT".into(), MINUTE)?;
        for minute in 0..60 {
            sim.advance(MINUTE)?;
            let price = prices.cache.get("MSFT").ok_or_else(|| anyhow::anyhow!("minute {minute}"))?;
            assert!(price.quote + 1 >= exchange.asked());
        }
        assert!((59..=61).contains(&exchange.asked()), "{}", exchange.asked());
        Ok(())
    }

    #[test]
    fn one_fetches_for_all_who_ask_at_the_same_time() -> anyhow::Result<()> {
        let sim = Sim::new(2);
        let (prices, exchange) = start(&sim)?;
        let rare = sim.block_on(join_all((0..100).map(|_| prices.get("RARE"))))?;
        assert!(rare.into_iter().all(|price| price.is_ok_and(|price| price.quote == 1)));
        assert_eq!(exchange.asked(), 1);
        // It is not watched, so it is fetched again when it has expired.
        sim.advance(MINUTE * 3)?;
        assert_eq!(sim.block_on(prices.get("RARE"))??.quote, 2);
        Ok(())
    }

    #[test]
    fn an_exchange_that_is_shut_for_a_while_ends_no_watch() -> anyhow::Result<()> {
        let sim = Sim::new(3);
        let (prices, exchange) = start(&sim)?;
        prices.watch("MSFT".into(), MINUTE)?;
        sim.advance(MINUTE)?;
        exchange.is_shut.store(true, Ordering::Relaxed);
        sim.advance(MINUTE)?;
        assert!(prices.cache.get("MSFT").is_some(), "an old price is better than none");
        sim.advance(MINUTE * 3)?;
        let error = sim.block_on(prices.get("MSFT"))?.map_err(|error| format!("{error:#}"));
        assert_eq!(error, Err("the task failed: the exchange is shut".to_owned()));
        exchange.is_shut.store(false, Ordering::Relaxed);
        sim.advance(MINUTE * 2)?;
        assert!(prices.cache.get("MSFT").is_some());
        Ok(())
    }

    #[test]
    fn the_end_is_the_end_of_all_watches() -> anyhow::Result<()> {
        let sim = Sim::new(4);
        let (prices, exchange) = start(&sim)?;
        for symbol in 0..100 {
            prices.watch(symbol.to_string().into(), MINUTE)?;
        }
        sim.advance(MINUTE * 10)?;
        assert_eq!(prices.cache.len(), 100);
        let (asked, cache) = (exchange.asked(), prices.cache.clone());
        drop(prices);
        sim.advance(MINUTE * 10)?;
        assert_eq!((exchange.asked(), cache.len(), sim.spawned()), (asked, 0, 0));
        Ok(())
    }
}
