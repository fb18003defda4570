//! What the tests of a queue have in common.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::num::NonZeroU32;
use std::time::Duration;

use plimsoll::source::{Delivery, Settling, Source, Verdict};
use plimsoll_postgres::{Options, Queue, QueueSource, Receipt};
use tokio_postgres::{Client, NoTls};

use crate::server::Server;

pub(crate) type Text = Delivery<String, Receipt>;

/// A server with an empty queue. `None` where there can be none.
pub(crate) async fn start(test: &str) -> Option<(Server, Queue)> {
    let server = Server::start(test)?;
    let queue = connect(&server.config(), Options::new()).await;
    Some((server, queue))
}

/// A queue whose tables are made.
pub(crate) async fn connect(config: &str, options: Options) -> Queue {
    Queue::connect(config, options.migrate(true)).await.unwrap()
}

/// A connection of the caller's.
pub(crate) async fn client(server: &Server) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.config(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn texts(queue: &Queue) -> QueueSource<String> {
    queue.source_with(String::from_utf8)
}

/// Pulls what there is, without waiting.
pub(crate) async fn pull(source: &QueueSource<String>, room: u32) -> Vec<Text> {
    let mut into = Vec::new();
    source.pull(NonZeroU32::new(room).unwrap(), Duration::ZERO, &mut into).await.unwrap();
    into
}

pub(crate) fn jobs(deliveries: &[Text]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.job.as_ref().unwrap().as_str()).collect()
}

pub(crate) async fn settle(source: &QueueSource<String>, receipt: Receipt, verdict: Verdict) -> u32 {
    source.settle(&mut vec![Settling::new(receipt, verdict)]).await.unwrap()
}

pub(crate) const fn again(after: Duration, counted: bool) -> Verdict {
    Verdict::Again { after, counted }
}
