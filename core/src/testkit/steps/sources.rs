//! Steps with sources.

use core::time::Duration;

use super::{attempts, gate};
use crate::testkit::calls::Answer;
use crate::testkit::calls::sources::{self, Call};
use crate::testkit::choices::pick;
use crate::testkit::oracle::{Fault, Oracle};
use crate::testkit::order::Order;
use crate::{Jitter, Operation, Retry, SourceTerms};

/// Opens a source, pulls, tells verdicts, renews, fails, waits or closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods, or as the calls that are made together")]
pub enum Step {
    Open {
        terms: [u8; 3],
    },
    /// Begins a pull, delivers this often on the same terms, and ends the pull.
    Pull {
        source: u8,
        times: u8,
        order: Order,
    },
    /// Pulls one delivery, starts the next attempt, ends it in some way, and takes a verdict.
    Serve {
        source: u8,
        how: [u8; 2],
        order: Order,
    },
    BeginPull {
        source: u8,
    },
    Deliver {
        source: u8,
        order: Order,
    },
    EndPull {
        source: u8,
    },
    StopPulling {
        source: u8,
    },
    Bury {
        source: u8,
        deliveries: u8,
    },
    /// Takes as many verdicts, and tells of each that it was confirmed or not.
    Settle {
        source: u8,
        times: u8,
        how: u8,
    },
    NextVerdict {
        source: u8,
    },
    Confirmed {
        delivery: u8,
    },
    Unconfirmed {
        delivery: u8,
    },
    Stale {
        source: u8,
        count: u8,
    },
    /// Pulls a delivery, lets a third of the usual lease pass, and asks this often for something to renew.
    Renew {
        source: u8,
        times: u8,
    },
    Failed {
        source: u8,
        how: u8,
    },
    Wait {
        source: u8,
    },
    Close {
        source: u8,
        budget: u8,
    },
    GiveUp {
        source: u8,
        budget: u8,
    },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        let order = Order::new(b, c, d, e, f);
        match kind {
            0..=9 => Self::Open { terms: [a, b, c] },
            10..=39 => Self::Pull { source: a, times: b % 4, order },
            40..=109 => Self::Serve { source: a, how: [f, e], order: Order::new(b, c, d, 0, 0) },
            110..=115 => Self::BeginPull { source: a },
            116..=129 => Self::Deliver { source: a, order },
            130..=135 => Self::EndPull { source: a },
            136..=143 => Self::Bury { source: a, deliveries: b },
            144..=179 => Self::Settle { source: a, times: b % 4, how: c },
            180..=187 => Self::NextVerdict { source: a },
            188..=197 => Self::Confirmed { delivery: a },
            198..=203 => Self::Unconfirmed { delivery: a },
            204..=207 => Self::Stale { source: a, count: b % 3 },
            208..=221 => Self::Renew { source: a, times: b % 4 },
            222..=231 => Self::Failed { source: a, how: b },
            232..=247 => Self::Wait { source: a },
            248..=252 => Self::Close { source: a, budget: b % 4 },
            253 => Self::StopPulling { source: a },
            _ => Self::GiveUp { source: a, budget: b % 4 },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        match self {
            Self::Pull { source, times, order } => {
                Self::BeginPull { source }.take(oracle)?;
                for place in 0..times {
                    Self::Deliver { source, order: order.at(place) }.take(oracle)?;
                }
                Self::EndPull { source }.take(oracle)
            }
            Self::Serve { source, how: [end, verdict], order } => {
                Self::Pull { source, times: 1, order }.take(oracle)?;
                gate::Step::Start { count: 1 }.take(oracle)?;
                end_attempt(oracle.memory.newest(), end).take(oracle)?;
                settle(oracle, source, 0, verdict)
            }
            Self::Settle { source, times, how } => settle(oracle, source, times, how),
            Self::Renew { source, times } => {
                Self::Pull { source, times: 1, order: Order::default() }.take(oracle)?;
                oracle.wait(Duration::from_millis(10));
                oracle.advance(64)?;
                (0..=times).try_for_each(|_| {
                    let call = renewal(oracle, source);
                    oracle.call_if(call)
                })
            }
            Self::Failed { source, .. } => {
                let call = self.call(oracle);
                oracle.call_if(call)?;
                // The engine is left alone, unless only a renewal has failed.
                Self::NextVerdict { source }.take(oracle)
            }
            _ => {
                let call = self.call(oracle);
                oracle.call_if(call)
            }
        }
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        let sources = &oracle.memory.ids.sources;
        let chosen = |choice| sources.chosen_of(3, choice);
        let delivery = |choice| oracle.memory.ids.deliveries.chosen_of(6, choice);
        Some(match self {
            Self::Open { terms } => Call::Open { now, terms: source_terms(terms) },
            Self::BeginPull { source } => Call::BeginPull { now, source: chosen(source)? },
            Self::EndPull { source } => Call::EndPull { now, source: chosen(source)? },
            Self::StopPulling { source } => Call::StopPulling { now, source: chosen(source)? },
            Self::Deliver { source, order } => {
                let source = chosen(source)?;
                let deliveries =
                    pick(&[1, 1, 2, 1, 0, 3, 1, 1, 2, 1, 1, 1, 2, 1, 1, u32::MAX], order.0[0] ^ order.0[1]);
                Call::Deliver { now, source, offer: oracle.offer(order.delivered()), deliveries }
            }
            Self::Bury { source, deliveries } => {
                let text = u32::from(deliveries);
                Call::Bury { now, source: chosen(source)?, deliveries: u32::from(deliveries % 3), text }
            }
            Self::NextVerdict { source } => Call::NextVerdict { now, source: chosen(source)? },
            Self::Confirmed { delivery: choice } => Call::Confirmed { now, delivery: delivery(choice)? },
            Self::Unconfirmed { delivery: choice } => Call::Unconfirmed { now, delivery: delivery(choice)? },
            Self::Stale { source, count } => {
                Call::Stale { now, source: chosen(source)?, count: u32::from(count) }
            }
            Self::Failed { source, how } => {
                let operation = match how % 3 {
                    0 => Operation::Pull,
                    1 => Operation::Settle,
                    _ => Operation::Renew,
                };
                Call::Failed { now, source: chosen(source)?, operation, text: u32::from(how) }
            }
            Self::Wait { source } => Call::Wait { source: chosen(source)?, waiter: oracle.token() },
            Self::Close { source, .. } => Call::Close { now, source: chosen(source)? },
            Self::GiveUp { source, budget } => {
                Call::GiveUp { source: chosen(source)?, budget: u32::from(budget) }
            }
            Self::Pull { .. } | Self::Serve { .. } | Self::Settle { .. } | Self::Renew { .. } => return None,
        })
    }
}

fn renewal(oracle: &mut Oracle, source: u8) -> Option<Call> {
    let now = oracle.now();
    Some(Call::NextRenewal { now, source: oracle.memory.ids.sources.chosen_of(3, source)? })
}

/// Ends the attempt that this number chooses.
const fn end_attempt(attempt: u8, how: u8) -> attempts::Step {
    match how % 8 {
        0..=2 => attempts::Step::Complete { attempt },
        3 | 4 => attempts::Step::Fail { attempt, with_job: how < 192 },
        5 => attempts::Step::Panic { attempt, with_job: how < 128 },
        6 => attempts::Step::Snooze { attempt, delay: how >> 4 },
        _ => attempts::Step::Stopped { attempt, with_job: how < 128 },
    }
}

/// Takes verdicts. The bits of `how` say which of them are confirmed.
fn settle(oracle: &mut Oracle, source: u8, times: u8, how: u8) -> Result<(), Fault> {
    for turn in 0..=times {
        let Some(call) = Step::NextVerdict { source }.call(oracle) else { return Ok(()) };
        let answer = oracle.call(call)?;
        let Answer::Sources(sources::Answer::Verdict(Some((delivery, _)))) = answer else { continue };
        let now = oracle.now();
        oracle.call(match how >> turn & 3 {
            0 => Call::Unconfirmed { now, delivery },
            _ => Call::Confirmed { now, delivery },
        })?;
    }
    Ok(())
}

/// The terms of a source that these bytes choose: mostly with a lease of a few milliseconds.
fn source_terms([a, b, c]: [u8; 3]) -> SourceTerms {
    let ms = Duration::from_millis;
    let lease =
        pick(&[ms(30), Duration::ZERO, ms(3), ms(1_000), Duration::MAX, Duration::from_micros(2_500)], b);
    let backoff = pick(&[(2, 20), (0, 0), (70, 1_000), (1, u64::MAX)], c);
    let retry = Retry::times(1).base(ms(backoff.0)).cap(ms(backoff.1));
    SourceTerms::new(u32::from(a % 4))
        .lease(lease)
        .deliveries(pick(&[3, 1, 2, 16], a >> 2))
        .delays(a & 16 != 0)
        .uncounted(a & 32 != 0)
        .backoff(retry.jitter(if a & 64 == 0 { Jitter::Full } else { Jitter::None }))
}
