//! Limits: from a config file, and back.

use super::*;

/// Limits of which none is the default.
fn full() -> Limits {
    let mut limits = Limits::default();
    (limits.queue, limits.delayed, limits.concurrency, limits.orphans) = (1, 2, 3, 4);
    limits.unclaimed = Some(5);
    limits.results = ResultLimits::new(6, Some(Duration::from_secs(7)));
    (limits.sleeps, limits.waiters, limits.emitters, limits.subscribers) = (8, 9, 10, 11);
    (limits.events, limits.schedules) = (12, 13);
    limits.sources = SourceLimits::new(14).credit(15);
    limits.overflow = Overflow::DropLowest;
    limits.rate = Some(Rate::new(100, Duration::from_secs(1)).burst(16));
    limits.lanes = LaneLimits::new(17).queue(18);
    (limits.monitor, limits.dedup, limits.attempts) = (true, Some(19), 20);
    let cache = CacheLimits::new(21).weight(22).ttl(Duration::from_millis(23)).policy(Policy::S3Fifo);
    limits.cache = CacheLimits { seed: 24, ..cache.time_to_idle(Duration::from_micros(25)) };
    limits.health_every = Some(Duration::from_secs(26));
    limits.sweep_every = Some(Duration::from_millis(27_500));
    (limits.seed, limits.origin) = (28, 29);
    limits
}

const FULL: &str = concat!(
    r#"{"queue":1,"delayed":2,"concurrency":3,"orphans":4,"unclaimed":5,"results":{"entries":6,"ttl":"7s"},"#,
    r#""sleeps":8,"waiters":9,"emitters":10,"subscribers":11,"events":12,"schedules":13,"#,
    r#""sources":{"sources":14,"credit":15},"overflow":"drop_lowest","#,
    r#""rate":{"starts":1,"per":"10ms","burst":16},"lanes":{"lanes":17,"queue":18},"monitor":true,"dedup":19,"#,
    r#""cache":{"entries":21,"weight":22,"ttl":"23ms","time_to_idle":"25us","policy":"s3_fifo","seed":24},"#,
    r#""attempts":20,"health_every":"26s","sweep_every":"27s500ms","seed":28,"origin":29}"#,
);

#[test]
fn they_come_back_from_json_and_toml() -> Checked {
    assert_eq!(serde_json::to_string(&full())?, FULL);
    for limits in [Limits::default(), full()] {
        assert_eq!(serde_json::from_str::<Limits>(&serde_json::to_string(&limits)?)?, limits);
        assert_eq!(toml::from_str::<Limits>(&toml::to_string(&limits)?)?, limits);
    }
    Ok(())
}

#[test]
fn what_is_missing_has_its_default() -> Checked {
    assert_eq!(toml::from_str::<Limits>("")?, Limits::default());
    let some =
        "queue = 7\n[cache]\nentries = 8\n[results]\nttl = '1h'\n[lanes]\nlanes = 9\n[sources]\nsources = 1";
    let mut expected = Limits::default();
    expected.queue = 7;
    expected.cache = CacheLimits::new(8);
    expected.results = ResultLimits::new(0, Some(Duration::from_secs(3_600)));
    (expected.lanes, expected.sources) = (LaneLimits::new(9), SourceLimits::new(1));
    assert_eq!(toml::from_str::<Limits>(some)?, expected);
    Ok(())
}

#[test]
fn an_unknown_field_is_refused() {
    for (text, name) in [
        ("queu = 7", "queu"),
        ("[cache]\nsize = 7", "size"),
        ("[results]\nmost = 7", "most"),
        ("[lanes]\nmost = 7", "most"),
        ("[sources]\nmost = 7", "most"),
        ("rate = { per = '1s', bursts = 2 }", "bursts"),
    ] {
        let error = toml::from_str::<Limits>(text).expect_err(text).to_string();
        assert!(error.contains(&format!("unknown field `{name}`, expected ")), "{error}");
    }
}

#[test]
fn what_is_out_of_range_is_read_and_refused_by_the_check() -> Checked {
    for (text, refused) in [
        ("concurrency = 0", "limit `concurrency` must be at least 1, but is 0"),
        ("health_every = '999us'", "limit `health_every` must be at least 1 ms, but is 999000"),
        ("[sources]\nsources = 65", "limit `sources.sources` must be at most 64, but is 65"),
    ] {
        let limits: Limits = toml::from_str(text)?;
        assert_eq!(limits.check().expect_err(text).to_string(), refused);
        let built = Processor::<Simple<(), ()>>::new(limits, Instant::ZERO);
        assert_eq!(built.expect_err(text).to_string(), refused);
    }
    Ok(())
}
