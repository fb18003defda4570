//! What needs the crates of others: comparisons with them, and the plot.

pub mod cache;
pub mod plot;
mod stores;
pub mod timers;
