//! Rows that others have written: any value that a column takes is a job, or a dead letter, and stops nobody.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod kit;
mod server;

use std::time::{Duration, SystemTime};

use kit::{client, pull, settle, start, texts};
use plimsoll::Message;
use plimsoll::source::{Death, Settling, Source, Verdict};
use plimsoll_postgres::Job;

/// As many jobs and as many dead letters.
const STRANGE: usize = 100;

fn number(random: &mut fastrand::Rng, least: i64, most: i64) -> i64 {
    random.choice([least, least + 1, -1, 0, 1, most - 1, most]).unwrap()
}

fn time(random: &mut fastrand::Rng) -> &'static str {
    random.choice(["-infinity", "4713-01-01 BC", "1969-12-31", "2000-01-01"]).unwrap()
}

fn bytes(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = random.usize(..40);
    if random.bool() {
        vec![b'a'; length]
    } else {
        std::iter::repeat_with(|| random.u8(..)).take(length).collect()
    }
}

/// Rows with extreme values in every column, in both tables.
async fn write(client: &tokio_postgres::Client) {
    let mut random = fastrand::Rng::with_seed(5);
    for id in 0..STRANGE as i64 {
        let small = i64::from(i16::MIN)..=i64::from(i16::MAX);
        let priority = i16::try_from(number(&mut random, *small.start(), *small.end())).unwrap();
        let deliveries = i32::try_from(number(&mut random, i32::MIN.into(), i32::MAX.into())).unwrap();
        let id = if id % 2 == 0 { id - STRANGE as i64 } else { i64::MAX - id };
        let key = random.bool().then(|| number(&mut random, i64::MIN, i64::MAX));
        let token = random.bool().then(|| number(&mut random, i64::MIN, i64::MAX));
        let job = format!(
            "INSERT INTO plimsoll.jobs (id, queue, payload, key, priority, deliveries, visible_at, token)
             VALUES ($1, 'default', $2, $3, $4, $5, '{}', $6)",
            time(&mut random)
        );
        client
            .execute(&job, &[&id, &bytes(&mut random), &key, &priority, &deliveries, &token])
            .await
            .unwrap();
        let why = i16::try_from(number(&mut random, *small.start(), *small.end())).unwrap();
        let since = if random.bool() { "infinity" } else { time(&mut random) };
        let dead = format!(
            "INSERT INTO plimsoll.dead (id, queue, payload, key, priority, deliveries, why, message, since)
             VALUES ($1, 'default', $2, $3, $4, $5, $6, 'any', '{since}')"
        );
        let dead_id = id.wrapping_add(STRANGE as i64 * 4);
        client
            .execute(&dead, &[&dead_id, &bytes(&mut random), &key, &priority, &deliveries, &why])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn rows_of_strangers_are_jobs_whatever_they_have_in_them() {
    let Some((server, queue)) = start("rows_of_strangers_are_jobs_whatever_they_have_in_them").await else {
        return;
    };
    write(&client(&server).await).await;
    let source = texts(&queue);
    let (mut taken, mut undecodable) = (0, 0);
    while taken < STRANGE {
        let some = pull(&source, 64).await;
        assert!(!some.is_empty(), "{taken} of {STRANGE} were delivered");
        for one in some {
            taken += 1;
            let verdict = match one.job {
                Ok(_) => Verdict::Done,
                Err(message) => {
                    undecodable += 1;
                    Verdict::Dead { why: Death::Undecodable, message }
                }
            };
            assert_eq!(settle(&source, one.receipt, verdict).await, 0);
        }
    }
    assert!(undecodable > 0 && queue.stats().await.unwrap().jobs() == 0);
    let dead = queue.dead(0, 2 * STRANGE).await.unwrap();
    assert!(dead.iter().all(|dead| dead.since <= SystemTime::now() + Duration::from_secs(60)));
    assert_eq!(queue.purge_all().await.unwrap(), (STRANGE + undecodable) as u64);
}

/// A number comes again when its sequence was set back.
#[tokio::test]
async fn a_dead_letter_with_the_number_of_a_job_stops_nobody() {
    let Some((server, queue)) = start("a_dead_letter_with_the_number_of_a_job_stops_nobody").await else {
        return;
    };
    let insert = "INSERT INTO plimsoll.dead (id, queue, payload, priority, deliveries, why, message)
        VALUES (1, 'default', 'an older one', 0, 1, 1, '')";
    client(&server).await.execute(insert, &[]).await.unwrap();
    queue.enqueue_many(&[Job::new("dies"), Job::new("is done")]).await.unwrap();
    let source = texts(&queue);
    let taken = pull(&source, 9).await;
    let dead = Verdict::Dead { why: Death::Failed, message: Message::of("no use") };
    let mut verdicts =
        vec![Settling::new(taken[0].receipt, dead), Settling::new(taken[1].receipt, Verdict::Done)];
    assert_eq!((source.settle(&mut verdicts).await, verdicts.len()), (Ok(0), 0));
    let dead = queue.dead(0, 9).await.unwrap();
    assert_eq!(
        (dead.len(), dead[0].payload.as_slice(), dead[0].message.as_str()),
        (1, &b"dies"[..], "no use")
    );
}

/// A job that is never to be delivered is in nobody's way, and a pull that waits goes on to wait.
#[tokio::test]
async fn a_job_for_no_time_at_all_stops_nobody() {
    let Some((server, queue)) = start("a_job_for_no_time_at_all_stops_nobody").await else { return };
    let insert =
        "INSERT INTO plimsoll.jobs (queue, payload, visible_at) VALUES ('default', 'never', 'infinity')";
    client(&server).await.execute(insert, &[]).await.unwrap();
    let source = texts(&queue);
    let mut into = Vec::new();
    source.pull(std::num::NonZeroU32::MIN, Duration::from_millis(300), &mut into).await.unwrap();
    assert!(into.is_empty());
    queue.enqueue(&Job::new("now")).await.unwrap();
    source.pull(std::num::NonZeroU32::MIN, Duration::from_secs(9), &mut into).await.unwrap();
    assert_eq!(into.len(), 1);
}
