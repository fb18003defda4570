//! Types that keep their fields to themselves.

use super::*;

/// Each comes back from JSON as it was.
fn come_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(all: &[T]) -> Checked {
    for one in all {
        let text = serde_json::to_string(one)?;
        assert_eq!(&serde_json::from_str::<T>(&text)?, one, "{text}");
    }
    Ok(())
}

#[test]
fn what_has_a_form_of_its_own_comes_back() -> Checked {
    let (second, odd) = (Duration::from_secs(1), Duration::from_nanos(1_234_567_891));
    let rate = Rate::new(3, second).burst(5);
    come_back(&[rate, Rate::new(0, Duration::ZERO), Rate::new(1, Duration::MAX).burst(0)])?;
    let mut rng = fastrand::Rng::with_seed(2);
    for _ in 0..1_000 {
        let mut any = || Duration::from_nanos(rng.u64(..) >> rng.u32(0..64));
        come_back(&[Retry::times(3).base(any()).cap(any()).least(any())])?;
    }
    let retry = Retry::NONE.unlimited().jitter(Jitter::Equal).on_panic(true).cap(Duration::MAX);
    come_back(&[retry, Retry::NONE, Retry::times(7).fixed(odd).on_timeout(true)])?;
    let lane = Lane::new(u64::MAX).weight(3).concurrency(2).rate(rate);
    come_back(&[lane, Lane::new(0), Lane::new(1).concurrency(u32::MAX)])?;
    let unique = Unique::new(9).window(odd).replace().longest(second);
    come_back(&[unique, Unique::new(0), Unique::new(1).window(Duration::MAX).longest(Duration::MAX)])?;
    let schedule =
        Schedule::fixed_rate(second).first_after(Duration::ZERO).jitter(odd).overlap(Overlap::Allow);
    come_back(&[schedule, Schedule::fixed_delay(odd), Schedule::on_request().missed(Missed::Delay)])?;
    let each = Some(odd);
    let timeouts =
        Timeouts { schedule_to_start: each, start_to_close: each, schedule_to_close: each, heartbeat: each };
    let terms =
        Terms::new().priority(Priority::LOWEST).delay(odd).timeouts(timeouts).slow_after(odd).retry(retry);
    come_back(&[terms.lane(lane).unique(unique), terms, Terms::new(), Terms::new().delay(Duration::MAX)])
}

#[test]
fn what_is_missing_has_its_default() -> Checked {
    assert_eq!(serde_json::from_str::<Retry>("{}")?, Retry::NONE);
    assert_eq!(serde_json::from_str::<Terms>("{}")?, Terms::new());
    assert_eq!(serde_json::from_str::<Schedule>("{}")?, Schedule::on_request());
    assert_eq!(serde_json::from_str::<Timeouts>("{}")?, Timeouts::NONE);
    assert_eq!(serde_json::from_str::<Lane>(r#"{"key":7}"#)?, Lane::new(7));
    assert_eq!(serde_json::from_str::<Unique>(r#"{"key":7}"#)?, Unique::new(7));
    let hundred = serde_json::from_str::<Rate>(r#"{"starts":100,"per":"1s"}"#)?;
    assert_eq!(hundred, Rate::new(100, Duration::from_secs(1)));
    Ok(())
}

#[test]
fn what_is_read_goes_through_the_constructor() -> Checked {
    assert_eq!(serde_json::from_str::<Priority>("200")?, Priority::LOWEST);
    assert!(serde_json::from_str::<Retry>(r#"{"attempts":4294967295}"#)?.is_unlimited());
    assert_eq!(serde_json::from_str::<Schedule>(r#"{"every":"0s"}"#)?, Schedule::fixed_rate(Duration::ZERO));
    // So what needs a part that is off for most is known to need it.
    assert!(serde_json::from_str::<Terms>(r#"{"slow_after":"1s"}"#)?.need_monitor());
    Ok(())
}

#[test]
fn a_zero_that_a_constructor_would_take_for_one_is_refused() {
    fn refuses<T: DeserializeOwned + Debug>(text: &str) {
        let error = serde_json::from_str::<T>(text).expect_err(text).to_string();
        assert!(error.starts_with("invalid value: integer `0`, expected a nonzero u"), "{error}");
    }
    refuses::<Rate>(r#"{"starts":0,"per":"1s"}"#);
    refuses::<Rate>(r#"{"starts":1,"per":"1s","burst":0}"#);
    refuses::<Retry>(r#"{"attempts":0}"#);
    refuses::<Lane>(r#"{"key":1,"weight":0}"#);
    refuses::<Lane>(r#"{"key":1,"concurrency":0}"#);
    refuses::<Limits>(r#"{"rate":{"starts":0,"per":"1s"}}"#);
}

#[test]
fn what_is_no_form_is_told_what_is_expected() {
    let error = toml::from_str::<Limits>("rate = 10").expect_err("it has no unit");
    let told = "invalid type: integer `10`, expected a rate: `per`, and perhaps `starts` and `burst`";
    assert!(error.message().contains(told), "{error}");
    fn tells<T: DeserializeOwned + Debug>(what: &str) {
        let error = serde_json::from_str::<T>("10").expect_err(what).to_string();
        assert!(error.contains(&format!("integer `10`, expected {what}: `")), "{error}");
    }
    tells::<Retry>("retries");
    tells::<Terms>("terms");
    tells::<Schedule>("a schedule");
    tells::<Lane>("a lane");
    tells::<Unique>("an identity");
    tells::<Rate>("a rate");
}

#[test]
fn an_unknown_field_is_refused() {
    fn refuses<T: DeserializeOwned + Debug>(text: &str) {
        let error = serde_json::from_str::<T>(text).expect_err(text).to_string();
        assert!(error.starts_with("unknown field `tyop`"), "{error}");
    }
    refuses::<Retry>(r#"{"tyop":1}"#);
    refuses::<Terms>(r#"{"tyop":1}"#);
    refuses::<Schedule>(r#"{"tyop":1}"#);
    refuses::<Timeouts>(r#"{"tyop":1}"#);
    refuses::<Lane>(r#"{"key":1,"tyop":1}"#);
    refuses::<Unique>(r#"{"key":1,"tyop":1}"#);
    refuses::<Rate>(r#"{"per":"1s","tyop":1}"#);
}
