//! Cron expressions, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::runtime::sim::Sim;
use crate::{Context, Cron, CronError, Due, Overlap, Processor, ScheduleHandle, SleepRefusal};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

fn time(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().into()
}

fn text(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap().to_string()
}

/// The times of an expression in Berlin after this one.
fn times(expression: &str, after: &str, count: usize) -> Vec<String> {
    times_in("Europe/Berlin", expression, after, count)
}

fn times_in(zone: &str, expression: &str, after: &str, count: usize) -> Vec<String> {
    let cron = Cron::new(expression, zone).unwrap();
    let times = std::iter::successors(Some(time(after)), |time| cron.next_after(*time));
    times.skip(1).take(count).map(text).collect()
}

#[test]
fn a_time_in_the_gap_comes_after_it() {
    // On 29 March at 02:00 it becomes 03:00, which is 01:00 UTC.
    assert_eq!(
        times("30 2 * * *", "2026-03-27T12:00:00Z", 4),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
    );
    assert_eq!(
        times("*/30 * * * *", "2026-03-29T00:00:00Z", 4),
        ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"]
    );
    // Several in the gap come as one, and one that is there anyway does not come twice.
    for expression in ["0,30 2 * * *", "0 2,3 * * *"] {
        assert_eq!(times(expression, "2026-03-28T12:00:00Z", 1), ["2026-03-29T01:00:00Z"]);
        assert_eq!(times(expression, "2026-03-29T01:00:00Z", 1), ["2026-03-30T00:00:00Z"]);
    }
    assert_eq!(
        times("0 */2 * * *", "2026-03-28T22:00:00Z", 3),
        ["2026-03-28T23:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T04:00:00Z"]
    );
    // Nothing else moves.
    assert_eq!(times("0 3 * * *", "2026-03-28T12:00:00Z", 1), ["2026-03-29T01:00:00Z"]);
    assert_eq!(
        times("0 1 * * *", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z"]
    );
}

/// At midnight, in a gap of half an hour, and where the clock skips a whole day: in Samoa there was no 30 December 2011.
#[test]
fn a_gap_may_be_anywhere_and_of_any_length() {
    assert_eq!(
        times_in("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00Z", 2),
        ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]
    );
    assert_eq!(
        times_in("Australia/Lord_Howe", "15 2 * * *", "2026-10-02T00:00:00Z", 3),
        ["2026-10-02T15:45:00Z", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]
    );
    assert_eq!(
        times_in("Pacific/Apia", "30 12 * * *", "2011-12-29T12:00:00Z", 4),
        ["2011-12-29T22:30:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:30:00Z", "2011-12-31T22:30:00Z"]
    );
    assert_eq!(
        times_in("Pacific/Apia", "*/30 12 * * *", "2011-12-29T22:00:00Z", 3),
        ["2011-12-29T22:30:00Z", "2011-12-30T22:00:00Z", "2011-12-30T22:30:00Z"]
    );
}

/// North Korea has gone back by half an hour in 2015 and forth again in 2018, at midnight; Turkey has stayed with summer time
/// since 2016.
#[test]
fn a_zone_that_changes_its_time_moves_its_times() {
    let pyongyang = |expression, after| times_in("Asia/Pyongyang", expression, after, 3);
    assert_eq!(
        pyongyang("45 23 * * *", "2015-08-13T12:00:00Z"),
        ["2015-08-13T14:45:00Z", "2015-08-14T14:45:00Z", "2015-08-15T15:15:00Z"]
    );
    assert_eq!(
        pyongyang("45 23 * * *", "2018-05-03T12:00:00Z"),
        ["2018-05-03T15:15:00Z", "2018-05-04T15:00:00Z", "2018-05-05T14:45:00Z"]
    );
    assert_eq!(
        pyongyang("*/30 23 * * *", "2015-08-14T14:00:00Z"),
        ["2015-08-14T14:30:00Z", "2015-08-14T15:00:00Z", "2015-08-15T14:30:00Z"]
    );
    let october = |year| times_in("Europe/Istanbul", "0 9 * * *", &format!("{year}-10-30T12:00:00Z"), 1);
    assert_eq!(
        (october(2014), october(2016)),
        (vec!["2014-10-31T07:00:00Z".into()], vec!["2016-10-31T06:00:00Z".into()])
    );
}

#[test]
fn a_day_that_a_month_does_not_have_is_left_out() {
    assert_eq!(
        times("0 0 31 * *", "2026-01-01T00:00:00Z", 4),
        ["2026-01-30T23:00:00Z", "2026-03-30T22:00:00Z", "2026-05-30T22:00:00Z", "2026-07-30T22:00:00Z"]
    );
    assert_eq!(
        times_in("UTC", "0 0 29 2 *", "2093-01-01T00:00:00Z", 3),
        ["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"],
        "2100 is no leap year"
    );
    for never in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "*/5 * 31 4 *"] {
        assert_eq!(Cron::new(never, "UTC").unwrap_err(), CronError::Never, "{never}");
    }
}

#[test]
fn a_time_that_the_clock_repeats_comes_once_and_an_interval_in_both_hours() {
    // On 25 October at 03:00 it becomes 02:00, which is 01:00 UTC.
    assert_eq!(
        times("30 2 * * *", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    assert_eq!(
        times("0,30 2 * * *", "2026-10-24T12:00:00Z", 3),
        ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"]
    );
    // In Havana it is midnight twice, and in the second hour the first one is over.
    assert_eq!(
        times_in("America/Havana", "0 0 * * *", "2025-11-01T12:00:00Z", 2),
        ["2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"]
    );
    assert_eq!(times_in("America/Havana", "30 0 * * *", "2025-11-02T05:10:00Z", 1), ["2025-11-03T05:30:00Z"]);
    assert_eq!(
        times("*/30 * * * *", "2026-10-24T23:30:00Z", 6),
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T02:30:00Z"
        ]
    );
}

#[test]
fn a_year_of_nights_has_one_each_in_every_time_zone() {
    for zone in
        ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo"]
    {
        let cron = Cron::new("30 2 * * *", zone).unwrap();
        let (first, last) = (time("2026-01-01T12:00:00Z"), time("2027-01-01T12:00:00Z"));
        let times = std::iter::successors(cron.next_after(first), |time| cron.next_after(*time));
        let times: Vec<SystemTime> = times.take_while(|time| *time <= last).collect();
        assert_eq!(times.len(), 365, "{zone}");
        assert!(times.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn what_can_not_be_is_refused_with_words() {
    let refused = |expression, zone| Cron::new(expression, zone).unwrap_err();
    for expression in ["", "* * * *", "61 * * * *", "0 25 * * *", "0 3 * * FOO", "0 3 32 * *", "a b c d e"] {
        let error = refused(expression, "UTC");
        assert!(matches!(&error, CronError::Expression(why) if !why.is_empty()), "{expression}: {error}");
        assert!(error.to_string().starts_with("the cron expression can't be read: "));
    }
    assert_eq!(refused("0 3 * * *", "Mars/Olympus"), CronError::TimeZone("Mars/Olympus".into()));
    assert_eq!(refused("0 3 * * *", "").to_string(), "no time zone is known as \"\"");
    assert_eq!(refused("0 0 30 2 *", "UTC"), CronError::Never);
}

type Sleeps = fn(Duration, Context) -> Result<(), SleepRefusal>;

/// A processor in virtual time whose wall clock can be set, and what was due.
struct Night {
    sim: Sim,
    clock: Arc<Mutex<SystemTime>>,
    dues: Arc<Mutex<Vec<Due>>>,
    handle: ScheduleHandle<Sleeps>,
    processor: Processor<Sleeps>,
}

impl Night {
    /// With tasks of this length, from this time on.
    fn new(expression: &str, overlap: Overlap, length: Duration, from: &str) -> Self {
        let sim = Sim::new(3);
        // What the wall clock has shown at the beginning.
        let clock = Arc::new(Mutex::new(time(from)));
        let (virtual_time, begin) = (sim.time(), clock.clone());
        let wall = move || *begin.lock().unwrap() + Duration::from_nanos(virtual_time.now().as_nanos());
        let processor = Processor::builder()
            .spawn_on(sim.clone(), |length: Duration, cx: Context| async move { cx.sleep(length).await })
            .unwrap();
        let cron = Cron::new(expression, "Europe/Berlin").unwrap().overlap(overlap).wall_clock(wall);
        let dues = Arc::new(Mutex::new(Vec::new()));
        let notes = dues.clone();
        let handle = processor.cron(cron, move |due| {
            notes.lock().unwrap().push(due);
            length
        });
        let handle = handle.unwrap();
        Self { sim, clock, dues, handle, processor }
    }

    /// What was due meanwhile: the times, and how many were missed before each.
    fn advance(&self, by: Duration) -> Vec<(String, u64)> {
        self.sim.advance(by).unwrap();
        let dues = std::mem::take(&mut *self.dues.lock().unwrap());
        dues.into_iter().map(|due| (text(due.time.unwrap()), due.missed)).collect()
    }

    fn set(&self, change: impl FnOnce(SystemTime) -> SystemTime) {
        let mut clock = self.clock.lock().unwrap();
        *clock = change(*clock);
    }
}

#[test]
fn a_night_comes_at_its_time() {
    let night = Night::new("0 3 * * *", Overlap::Skip, MINUTE, "2026-03-28T00:00:00.25Z");
    let expected = ["2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"];
    assert_eq!(night.advance(72 * HOUR), expected.map(|time| (time.to_owned(), 0)));
    let stats = night.handle.stats().unwrap();
    assert_eq!((stats.submitted, stats.missed, stats.refused), (3, 0, 0));
    assert_eq!(night.processor.totals().settled.completed, 3);
    assert!(night.handle.end());
    assert_eq!(night.processor.census().timers, 0);
    assert_eq!(night.processor.shared.count_schedules(), 0);
}

#[test]
fn a_schedule_goes_through_the_nights_in_which_the_clock_changes() {
    let come = |expression, from| -> Vec<String> {
        let night = Night::new(expression, Overlap::Skip, Duration::ZERO, from);
        night.advance(24 * HOUR).into_iter().map(|(time, missed)| format!("{time} {missed}")).collect()
    };
    assert_eq!(come("0,30 2 * * *", "2026-03-28T12:00:00Z"), ["2026-03-29T01:00:00Z 0"]);
    assert_eq!(
        come("0,30 2 * * *", "2026-10-24T12:00:00Z"),
        ["2026-10-25T00:00:00Z 0", "2026-10-25T00:30:00Z 0"]
    );
    assert_eq!(come("*/30 2 * * *", "2026-03-28T12:00:00Z").len(), 0);
    assert_eq!(come("*/30 2 * * *", "2026-10-24T12:00:00Z").len(), 4);
}

#[test]
fn it_is_exact_to_the_tick() {
    let night = Night::new("*/10 * * * * *", Overlap::Skip, Duration::ZERO, "2026-03-28T00:00:03.25Z");
    assert_eq!(night.advance(Duration::from_millis(6_749)), []);
    assert_eq!(night.advance(Duration::from_millis(1)), [("2026-03-28T00:00:10Z".to_owned(), 0)]);
}

#[test]
fn overlapping_times_are_skipped_or_not_as_asked() {
    let long = 25 * MINUTE;
    let skips = Night::new("*/10 * * * *", Overlap::Skip, long, "2026-03-28T00:05:00Z");
    let expected = [("2026-03-28T00:10:00Z", 0), ("2026-03-28T00:40:00Z", 2), ("2026-03-28T01:10:00Z", 2)];
    assert_eq!(skips.advance(HOUR + 10 * MINUTE), expected.map(|(time, missed)| (time.to_owned(), missed)));
    let allows = Night::new("*/10 * * * *", Overlap::Allow, long, "2026-03-28T00:05:00Z");
    assert_eq!(allows.advance(HOUR).len(), 6);
    assert_eq!(allows.handle.stats().unwrap().missed, 0);
}

#[test]
fn a_clock_that_is_set_or_has_slept_is_noticed_within_a_minute() {
    let night = Night::new("0 * * * *", Overlap::Skip, Duration::ZERO, "2026-03-28T00:30:00Z");
    assert_eq!(night.advance(HOUR), [("2026-03-28T01:00:00Z".to_owned(), 0)]);
    // 01:30. Five hours pass unseen.
    night.set(|clock| clock + 5 * HOUR);
    assert_eq!(night.advance(MINUTE), [("2026-03-28T06:00:00Z".to_owned(), 4)]);
    // 06:31. Set back over what has come already, by less than an hour.
    night.set(|clock| clock - 40 * MINUTE);
    assert_eq!(night.advance(HOUR), [], "05:51 to 06:51, and 06:00 has come before");
    assert_eq!(night.advance(10 * MINUTE), [("2026-03-28T07:00:00Z".to_owned(), 0)]);
    // 07:01. A clock that was wrong by a day goes right.
    night.set(|clock| clock - 24 * HOUR);
    assert_eq!(night.advance(HOUR), [("2026-03-27T08:00:00Z".to_owned(), 0)]);
}

#[test]
fn a_clock_that_is_set_before_a_time_has_come_moves_it() {
    let night = Night::new("0 * * * *", Overlap::Skip, Duration::ZERO, "2026-03-28T00:30:00Z");
    assert_eq!(night.advance(20 * MINUTE), []);
    // 00:50 becomes 00:20.
    night.set(|clock| clock - 30 * MINUTE);
    assert_eq!(night.advance(40 * MINUTE - Duration::from_millis(1)), [], "it is 00:59");
    assert_eq!(night.advance(Duration::from_millis(1)), [("2026-03-28T01:00:00Z".to_owned(), 0)]);
    // 01:30 becomes 02:00:30.
    assert_eq!(night.advance(30 * MINUTE), []);
    night.set(|clock| clock + 30 * MINUTE + Duration::from_secs(30));
    assert_eq!(night.advance(MINUTE), [("2026-03-28T02:00:00Z".to_owned(), 0)]);
    assert_eq!(night.advance(HOUR - 2 * MINUTE), []);
    assert_eq!(night.advance(MINUTE), [("2026-03-28T03:00:00Z".to_owned(), 0)]);
}

#[test]
fn what_is_slept_through_is_counted_up_to_a_bound() {
    let night = Night::new("* * * * * *", Overlap::Skip, Duration::ZERO, "2026-03-28T00:00:00.5Z");
    assert_eq!(night.advance(Duration::from_secs(1)).len(), 1);
    night.set(|clock| clock + 24 * HOUR);
    let due = night.advance(Duration::from_secs(1));
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].1, 999);
    assert_eq!(night.advance(Duration::from_secs(1)), [("2026-03-29T00:00:03Z".to_owned(), 0)]);
}
