//! A cache with single flight: of a hundred callers that miss at the same time one loads, and all have the value.

use std::error::Error;
use std::time::Duration;

use futures::future::join_all;
use plimsoll::{Cache, CacheLimits, Context, Processor, Thread, infallible};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // At most a thousand users, each for a minute.
    let users = Cache::<u64, String>::new(CacheLimits::new(1_000).ttl(Duration::from_secs(60)))?;
    let processor = Processor::builder()
        .cache(&users) // it ends with the processor
        .spawn_on(
            Thread::start()?,
            infallible(|id: u64, cx: Context| async move {
                println!("SELECT name FROM users WHERE id = {id}");
                let _ = cx.sleep(Duration::from_millis(5)).await;
                format!("user {id}")
            }),
        )?;

    let (users, database) = (&users, &processor);
    let user = |id: u64| {
        users.get_or_insert_with(id, move || async move {
            Ok::<_, Box<dyn Error>>(database.submit_wait(id).await?.await?)
        })
    };
    let names = futures::executor::block_on(join_all((0..100).map(|caller| user(caller % 2))));
    for name in names {
        assert!(name?.starts_with("user"));
    }
    println!("{} queries for 100 callers", database.totals().settled.completed);
    assert_eq!(database.totals().settled.completed, 2);
    Ok(())
}
