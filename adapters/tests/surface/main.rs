//! What a new user tripped over once.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::Cell;
use std::error::Error;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Wake};
use std::time::Duration;

// As a user may write it: no name of ours stands in the way of a package or of the standard library.
#[allow(clippy::wildcard_imports)]
use plimsoll::*;

mod auto_traits;
mod handlers;
mod limits;
mod looking;
mod results;

type Nap<M = ()> = fn(Duration, Context<M>) -> Result<(), SleepRefusal>;

const LONG: Duration = Duration::from_secs(3_600);

fn thread() -> Thread {
    Thread::start().unwrap()
}
