//! The form of limits, terms, reports and events in serde's data model, which is a part of the interface.
#![cfg(feature = "serde")]
#![allow(clippy::expect_used)]

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use plimsoll_core::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

mod durations;
mod forms;
mod limits;
mod reports;

type Checked = Result<(), Box<dyn Error>>;
