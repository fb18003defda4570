//! Every file in `examples`, run: each checks what it shows, and prints it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

/// Runs each recipe as a test of its name, and lists all of them.
macro_rules! recipes {
    ($($(#[$cfg:meta])? $name:ident)*) => {
        #[path = "../examples"]
        mod examples {
            $($(#[$cfg])? pub(crate) mod $name;)*
        }

        $(
            $(#[$cfg])?
            #[test]
            fn $name() {
                let ended: Result<(), Box<dyn std::error::Error>> = examples::$name::main();
                assert!(ended.is_ok(), "{ended:?}");
            }
        )*

        const RECIPES: &[&str] = &[$(stringify!($name)),*];
    };
}

recipes! {
    backpressure
    batch_inserts
    cancel_on_disconnect
    circuit_breaker
    #[cfg(feature = "cron")]
    cron_job
    debounce
    dedupe_in_flight
    #[cfg(feature = "tokio")]
    graceful_shutdown
    health_probes
    #[cfg(feature = "conformance")]
    leak_test
    #[cfg(feature = "serde")]
    limits_from_toml
    load_shedding
    #[cfg(feature = "metrics")]
    metrics_prometheus
    order_per_key
    per_tenant_limits
    priority_queue
    progress
    rate_limit_per_host
    retry_with_backoff
    single_flight_cache
    stream_in_order
    test_weeks_in_a_second
    timeouts_and_heartbeats
    #[cfg(feature = "tower")]
    tower_service
    #[cfg(feature = "tracing")]
    tracing_spans
}

#[test]
fn every_recipe_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let found: BTreeSet<_> =
        files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let run: BTreeSet<_> = RECIPES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, run);
}
