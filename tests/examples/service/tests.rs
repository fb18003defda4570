//! The service as a whole: what its reports say.

use super::*;
use futures::executor::block_on;
use plimsoll_tests::trace::Format;
use report::Claim;

/// What a live run leaves is left out: it is counted over all threads, and other tests allocate at the same time.
fn failing(report: &Report) -> Vec<String> {
    let fails = |claim: &Claim| !claim.holds && !claim.text.ends_with("bytes are left");
    report.claims().into_iter().filter(fails).map(|claim| claim.text).collect()
}

#[test]
fn the_production_scenario_balances_on_every_runtime() {
    for runtime in [RuntimeName::Smol, RuntimeName::Tokio, RuntimeName::Thread] {
        let duration = Some(Duration::from_secs(60));
        let options = Options { runtime, duration, workers: Some(8), queue: Some(16), ..Options::default() };
        let report = on_runtime(&options, scenes::of_production(&options)).unwrap();
        assert_eq!(failing(&report), Vec::<String>::new(), "{runtime:?}");
        assert!(report.totals.offered > 4_000 && report.totals.settled.total() > 0, "{runtime:?}");
    }
}

#[test]
fn a_runtime_that_can_run_no_processor_is_refused_when_it_is_metered_too() {
    let without_time = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let runtime = Tokio::on(without_time.handle().clone());
    let refused = memory::Metered::new(runtime.clone()).check();
    assert!(refused.is_err() && refused == runtime.check(), "{refused:?}");
}

#[test]
fn a_log_comes_out_as_recorded_on_every_runtime() {
    let log = "0,20,-1,failed,1\n5,10,-1,cancelled,2\n9,999999,30,x,3\n10,5,-1,x,1\n10,-1,-1,x,4\n";
    let file = Path::new("log.csv");
    let trace = Trace::read(file, Format::Csv, log.as_bytes()).unwrap();
    for runtime in [RuntimeName::Smol, RuntimeName::Tokio, RuntimeName::Thread] {
        let options = Options { runtime, speed: Some(1.0), ..Options::default() };
        let report = on_runtime(&options, scenes::of_log(&options, file, &trace)).unwrap();
        assert_eq!(failing(&report), Vec::<String>::new(), "{runtime:?}");
        let settled = report.totals.settled;
        let counts = (settled.completed, settled.failed, settled.cancelled, settled.timed_out);
        assert_eq!((report.answer.arrivals, counts, report.log.skipped), (4, (1, 1, 1, 1), 1), "{runtime:?}");
    }
}

#[test]
fn a_log_is_read_as_the_options_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.txt");
    std::fs::write(&file, "0,1,-1,completed,1\n900,1,-1,completed,1\n1000,1,-1,completed,1\n").unwrap();
    let error = read(&file, &Options::default()).unwrap_err();
    assert!(error.starts_with("--trace: ") && error.ends_with("; or say it with --format"), "{error}");
    let duration = Some(Duration::from_secs(1));
    let options = Options { format: Some(Format::Csv), duration, simulated: true, ..Options::default() };
    let (name, trace) = read(&file, &options).unwrap();
    let report = replayed::run(&options, &name, &trace).unwrap();
    assert_eq!((report.totals.offered, failing(&report)), (2, Vec::new()));
    assert!(
        report.to_string().contains("\nlog      1 more jobs: beyond --duration, and left out\n"),
        "{report}"
    );
}

#[test]
fn what_does_not_balance_is_said() {
    let options = Options { duration: Some(Duration::from_secs(30)), ..Options::default() };
    let mut report = simulated::run(&options).unwrap();
    assert_eq!(failing(&report), Vec::<String>::new());
    assert_eq!(report.to_json()["ledger"]["timers"]["live"], 0);
    report.ledger.timers.left -= 1;
    assert!(!report.balances() && report.to_json()["balanced"] == false);
    let text = report.to_string();
    assert!(text.contains("DOES NOT HOLD: task timers") && text.ends_with("DO NOT BALANCE\n"), "{text}");
}

#[test]
fn what_is_put_into_a_queue_is_worked_off_on_every_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for runtime in [RuntimeName::Smol, RuntimeName::Tokio, RuntimeName::Thread] {
        let location = Location::Redb(folder.path().join(format!("{runtime:?}.redb")));
        let duration = Some(Duration::from_secs(20));
        let options = Options { runtime, duration, ..Options::default() };
        let produced = producer::produce(&location, scenes::of_production(&options)).unwrap();
        let jobs = arrivals::of_production(options.seed, Duration::from_secs(20)).count() as u64;
        assert_eq!(produced.to_json()["put"], jobs);
        assert_eq!(produced.to_json()["jobs_left"], jobs);

        let options = Options { duration: None, until_empty: true, ..options };
        let report = on_runtime(&options, WorkOff(&location)).unwrap();
        assert_eq!(failing(&report), Vec::<String>::new(), "{runtime:?}");
        let (totals, json) = (report.totals, report.to_json());
        let source = &json["source"];
        // Each delivery that was not for the first time is one of a job that was to be tried again.
        assert_eq!(totals.pulled - totals.redelivered, jobs, "{runtime:?}");
        assert_eq!((totals.redelivered, totals.confirmed), (totals.retried, totals.pulled), "{runtime:?}");
        // Whatever did not complete in the end is a dead letter, and nothing is left.
        assert_eq!(totals.settled.completed + totals.dead, jobs, "{runtime:?}");
        assert_eq!((&source["dead_letters"], &source["jobs_left"]), (&totals.dead.into(), &0.into()));
        assert!(totals.retried > 0 && totals.dead > 0 && source["unconfirmed"] == 0, "{source}");
    }
}

#[test]
fn a_log_goes_through_a_queue_and_what_is_no_job_is_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.redb");
    let (location, name) = (Location::Redb(file.clone()), Path::new("log.csv"));
    // One over its limit, one that cancels itself, and two that end as they should.
    let log =
        "0,1,-1,x,1\n1,900000,20,completed,2\n2,1,-1,cancelled,3\n3,1,50,completed,4\n4,-1,-1,completed,5\n";
    let trace = Trace::read(name, Format::Csv, log.as_bytes()).unwrap();
    let options = Options { speed: Some(1.0), until_empty: true, ..Options::default() };
    let produced = producer::produce(&location, scenes::of_log(&options, name, &trace)).unwrap();
    assert!(produced.to_string().contains("log      1 outcome: not known"), "{produced}");
    let queue = plimsoll_redb::Queue::open(&file).unwrap();
    block_on(queue.enqueue(&plimsoll_redb::Job::new("hello"))).unwrap();

    let error = on_runtime(&options, WorkOff(&location)).map(drop).unwrap_err();
    assert!(error.starts_with("--source: ") && error.contains("belongs to one process at a time"), "{error}");
    drop(queue);
    let report = on_runtime(&options, WorkOff(&location)).unwrap();
    assert_eq!(failing(&report), Vec::<String>::new());
    assert_eq!((produced.jobs, report.totals.pulled, report.totals.settled.completed), (4, 5, 2));
    let dead = block_on(plimsoll_redb::Queue::open(&file).unwrap().dead(0, 9)).unwrap();
    let mut dead: Vec<_> = dead.iter().map(|dead| (dead.payload.as_slice(), dead.message.as_str())).collect();
    dead.sort();
    let expected: [(&[u8], &str); 3] = [
        (b"duration_us=1000 fate=cancels key=3", ""),
        (b"duration_us=900000000 limit_us=20000 fate=completes key=2", "OverLimit"),
        (b"hello", "`hello` is no field"),
    ];
    assert_eq!(dead, expected);
}

#[test]
fn a_log_of_centuries_ends_in_a_moment() {
    const YEAR: u64 = 365 * 86_400_000;
    let rows = |mut row: Box<dyn FnMut(u64) -> (u64, u64)>| -> String {
        let rows = (0..100).map(|n| (n, row(n)));
        rows.map(|(n, (arrival, duration))| format!("{arrival},{duration},-1,completed,{n}\n")).collect()
    };
    let name = Path::new("log.csv");
    for log in [
        rows(Box::new(|n| (n * 5 * YEAR, YEAR))),
        rows(Box::new(|n| (n, 4 * YEAR))),
        rows(Box::new(|n| (if n < 99 { n } else { 500 * YEAR }, 1))),
    ] {
        let trace = Trace::read(name, Format::Csv, log.as_bytes()).unwrap();
        let options = Options { workers: Some(1), simulated: true, ..Options::default() };
        let report = replayed::run(&options, name, &trace).unwrap();
        assert_eq!(failing(&report), Vec::<String>::new());
        assert_eq!(report.totals.settled.completed, 100);
        // Nothing but its jobs and a bounded number of intervals happens in it.
        assert!(report.simulated > Duration::from_millis(399 * YEAR) && report.totals.events < 12_000);
        let scene = scenes::of_log(&options, name, &trace);
        let seconds = scene.span.as_secs_f64() / scene.speed;
        assert!((14.9..15.1).contains(&seconds), "{seconds} s live");
    }
}
