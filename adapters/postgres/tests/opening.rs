//! What can be opened, and what can't; and how the tables come about.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod kit;
mod server;

use std::time::{Duration, Instant};

use kit::{jobs, pull, texts};
use plimsoll_postgres::{Job, OpenError, Options, Queue, QueueError, migrate};
use server::Server;
use server::proxy::Proxy;

async fn refused(config: &str, options: Options) -> OpenError {
    Queue::connect(config, options).await.unwrap_err()
}

#[tokio::test]
async fn what_can_not_be_opened_has_an_error_of_its_own() {
    let Some(server) = Server::start("what_can_not_be_opened_has_an_error_of_its_own") else { return };
    let (mut client, config) = (kit::client(&server).await, server.config());
    let short = || Options::new().time_out(Duration::from_millis(300));
    // Names.
    for schema in ["", "Plimsoll", "a\"b", "1a", "a-b", &"a".repeat(64), "ä"] {
        assert!(
            matches!(refused(&config, Options::new().schema(schema)).await, OpenError::Name(_)),
            "{schema}"
        );
        assert!(matches!(migrate(&mut client, schema).await.unwrap_err(), OpenError::Name(_)), "{schema}");
    }
    for queue in ["", "a\0b", &"a".repeat(256)] {
        assert!(matches!(refused(&config, Options::new().queue(queue)).await, OpenError::Name(_)), "{queue}");
    }
    // The configuration.
    for config in ["nonsense", "host=127.0.0.1 port=many", "user=owner"] {
        assert!(matches!(refused(config, short()).await, OpenError::Config(_)), "{config}");
    }
    // The server: there is none, it is silent, or has no such database.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&server::config(unused), Options::new()).await;
    assert!(matches!(error, OpenError::Unreachable(_)), "{error:?}");
    let proxy = Proxy::start(server.port());
    proxy.set_silent(true);
    let started = Instant::now();
    let error = refused(&server::config(proxy.port()), short()).await;
    assert!(
        matches!(error, OpenError::Unreachable(_)) && started.elapsed() < Duration::from_secs(2),
        "{error:?}"
    );
    let error = refused(&config.replace("dbname=postgres", "dbname=none"), Options::new()).await;
    assert!(matches!(error, OpenError::NoDatabase(_)), "{error:?}");
    // The tables: there are none, and they are not made by themselves.
    let error = refused(&config, Options::new()).await;
    assert_eq!(error, OpenError::NoSchema("plimsoll".to_owned()));
    assert_eq!(migrate(&mut client, "plimsoll").await, Ok(0));
    drop(Queue::connect(&config, Options::new()).await.unwrap());
    assert_eq!(
        refused(&config, Options::new().schema("other")).await,
        OpenError::NoSchema("other".to_owned())
    );
    // The role: a wrong password, none, no such role, and one without permissions.
    client.batch_execute("CREATE ROLE locked LOGIN PASSWORD 'locked'").await.unwrap();
    let locked = config.replace("user=owner", "user=locked");
    for config in
        [format!("{locked} password=wrong"), locked.clone(), config.replace("user=owner", "user=none")]
    {
        let error = refused(&config, Options::new()).await;
        assert!(matches!(error, OpenError::Credentials(_)), "{config}: {error:?}");
    }
    let locked = format!("{locked} password=locked");
    for options in [Options::new(), Options::new().schema("new").migrate(true)] {
        let error = refused(&locked, options).await;
        assert!(matches!(error, OpenError::Permission(_)), "{error:?}");
    }
    // The permissions that the docs ask for.
    let grants = "GRANT USAGE ON SCHEMA plimsoll TO locked; GRANT SELECT ON plimsoll.migrations TO locked; \
                  GRANT SELECT, INSERT, UPDATE, DELETE ON plimsoll.jobs, plimsoll.dead TO locked; \
                  GRANT USAGE ON ALL SEQUENCES IN SCHEMA plimsoll TO locked";
    client.batch_execute(grants).await.unwrap();
    let queue = Queue::connect(&locked, Options::new()).await.unwrap();
    queue.enqueue(&Job::new("a")).await.unwrap();
    assert_eq!(jobs(&pull(&texts(&queue), 9).await), ["a"]);
    // Not UTF-8.
    client.batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0").await.unwrap();
    let latin = config.replace("dbname=postgres", "dbname=latin");
    let error = refused(&latin, Options::new().migrate(true)).await;
    assert_eq!(error, OpenError::Encoding("LATIN1".to_owned()));
}

#[tokio::test]
async fn another_version_is_refused_and_left_as_it_is() {
    let Some((server, queue)) = kit::start("another_version_is_refused_and_left_as_it_is").await else {
        return;
    };
    queue.enqueue(&Job::new("a")).await.unwrap();
    let mut client = kit::client(&server).await;
    assert_eq!(migrate(&mut client, "plimsoll").await, Ok(1), "it is there already");
    client.execute("INSERT INTO plimsoll.migrations (version) VALUES (9)", &[]).await.unwrap();
    let other = OpenError::Version { found: 9, expected: 1 };
    assert_eq!(migrate(&mut client, "plimsoll").await, Err(other.clone()));
    assert_eq!(refused(&server.config(), Options::new()).await, other);
    assert_eq!(refused(&server.config(), Options::new().migrate(true)).await, other);
    // One that was open finds out when it connects.
    let source = texts(&queue);
    let error = plimsoll::source::Source::extend(&source, &[]).await.unwrap_err();
    assert_eq!(error, QueueError::Lost(other.to_string()));
    client.execute("DELETE FROM plimsoll.migrations", &[]).await.unwrap();
    assert_eq!(refused(&server.config(), Options::new()).await, OpenError::Version { found: 0, expected: 1 });
    client.execute("INSERT INTO plimsoll.migrations (version) VALUES (1)", &[]).await.unwrap();
    assert_eq!(jobs(&pull(&source, 9).await), ["a"]);
}

#[tokio::test]
async fn many_migrate_at_once() {
    let Some(server) = Server::start("many_migrate_at_once") else { return };
    let config = server.config();
    let opening = (0..8).map(|_| {
        let config = config.clone();
        tokio::spawn(async move { Queue::connect(&config, Options::new().migrate(true)).await.map(drop) })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }
    // Two schemas are two queues.
    let options = Options::new().schema("other").migrate(true);
    let (one, other) =
        (Queue::connect(&config, Options::new()).await, Queue::connect(&config, options).await);
    let (one, other) = (one.unwrap(), other.unwrap());
    one.enqueue(&Job::new("a")).await.unwrap();
    assert_eq!((one.stats().await.unwrap().ready, other.stats().await.unwrap().jobs()), (1, 0));
}
