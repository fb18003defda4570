//! Durations: text for people, serde's own form otherwise.

use serde_test::{Configure, Token, assert_tokens};

use super::*;

fn written(duration: Duration) -> String {
    let timeouts = Timeouts { heartbeat: Some(duration), ..Timeouts::NONE };
    let json = serde_json::to_value(timeouts).expect("durations are text");
    json["heartbeat"].as_str().expect("durations are text").into()
}

fn parsed(text: &str) -> Result<Duration, String> {
    let read = serde_json::from_value::<Timeouts>(serde_json::json!({ "heartbeat": text }));
    read.map(|timeouts| timeouts.heartbeat.expect("it was given")).map_err(|error| error.to_string())
}

#[test]
fn a_duration_is_text_for_people_and_numbers_otherwise() {
    let drain = Drain::graceful(Duration::new(5_400, 7));
    let variant = Token::NewtypeVariant { name: "Drain", variant: "graceful" };
    assert_tokens(&drain.readable(), &[variant, Token::Str("1h30m7ns")]);
    let own = [
        Token::Struct { name: "Duration", len: 2 },
        Token::Str("secs"),
        Token::U64(5_400),
        Token::Str("nanos"),
        Token::U32(7),
        Token::StructEnd,
    ];
    assert_tokens(&drain.compact(), &[[variant].as_slice(), &own].concat());
}

#[test]
fn its_text_is_exact() {
    for (text, duration) in [
        ("0s", Duration::ZERO),
        ("1ns", Duration::from_nanos(1)),
        ("999us", Duration::from_micros(999)),
        ("250ms", Duration::from_millis(250)),
        ("1s500ms", Duration::from_millis(1_500)),
        ("10s", Duration::from_secs(10)),
        ("1m30s", Duration::from_secs(90)),
        ("24h", Duration::from_secs(86_400)),
        ("1h1m1s1ms1us1ns", Duration::new(3_661, 1_001_001)),
        ("5124095576030431h15s999ms999us999ns", Duration::MAX),
    ] {
        assert_eq!(written(duration), text);
        assert_eq!(parsed(text), Ok(duration));
    }
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..10_000 {
        let secs = rng.u64(..) >> rng.u32(0..64);
        let duration = Duration::new(secs, rng.u32(0..1_000_000_000));
        assert_eq!(parsed(&written(duration)), Ok(duration));
    }
}

#[test]
fn what_people_write_is_understood_or_refused() {
    for (text, micros) in [
        ("1m 30s", 90_000_000),
        ("10 s", 10_000_000),
        ("90s", 90_000_000),
        ("30s1m", 90_000_000),
        ("0ms", 0),
        ("2000µs", 2_000),
    ] {
        assert_eq!(parsed(text), Ok(Duration::from_micros(micros)), "{text}");
    }
    let too_long = format!("{}s1000ms", u64::MAX);
    let refused =
        ["", " ", " 1s", "10", "s", "1.5s", "-1s", "+1s", "1d", "1 2s", "1S", "1s,", "5124095576030432h"];
    for text in refused.into_iter().chain([too_long.as_str()]) {
        let expected = r#"expected a duration in whole h, m, s, ms, us and ns, such as "10s" or "1h30m""#;
        assert!(parsed(text).is_err_and(|error| error.contains(expected)), "{text}");
    }
    let number =
        serde_json::from_str::<Timeouts>(r#"{"heartbeat":10}"#).expect_err("which unit?").to_string();
    assert!(number.starts_with("invalid type: integer `10`, expected a duration"), "{number}");
}
