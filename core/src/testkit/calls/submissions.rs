//! Tasks that are submitted one at a time.

use crate::testkit::host::Host;
use crate::testkit::order::{Order, Way};
use crate::testkit::token::Kit;
use crate::{FeedRefusal, Instant, PermitRefusal, Refusal, Refused, Route, TaskId, Terms};

/// Submits a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Submit { now: Instant, offer: Offer },
    TrySubmit { now: Instant, offer: Offer },
}

/// What became of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "there is one")]
pub enum Answer {
    Task(Offered),
}

/// An offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its job.
    pub job: u32,
    /// Its metadata: a number that no other task has.
    pub meta: u32,
    /// Its callback, if its order says so.
    pub callback: Option<u32>,
    /// Its terms.
    pub order: Order,
}

/// The id of an admitted task, or why it was refused, with what is given back.
pub type Offered = Result<TaskId, (Why, Returned)>;

/// The job and the callback of a refused task.
pub type Returned = (u32, Option<u32>);

/// Why a task was refused, by the way it was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each way")]
pub enum Why {
    Submit(Refusal),
    Permit(PermitRefusal),
    Feed(FeedRefusal),
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::Submit { now, .. } | Self::TrySubmit { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        let answer = match *self {
            Self::Submit { now, offer } => {
                let (offer, terms) = offer.made(host);
                host.machine.submit(now, offer, &terms)
            }
            Self::TrySubmit { now, offer } => {
                let (offer, terms) = offer.made(host);
                host.machine.try_submit(now, offer, &terms)
            }
        };
        Answer::Task(offered(answer, Why::Submit))
    }
}

impl Offer {
    /// The offer with counted values, and its terms.
    pub(super) fn made(self, host: &Host) -> (crate::Offer<Kit>, Terms) {
        let route = match (self.order.way(), self.callback) {
            (Way::Callback, Some(callback)) => Route::Callback(host.token(callback)),
            (Way::Callback | Way::Nowhere, _) => Route::Nowhere,
            (Way::Handle, _) => Route::Handle,
            (Way::Retain, _) => Route::Retain,
        };
        (crate::Offer::new(host.token(self.job), self.meta).route(route), self.order.terms())
    }

    /// What is given back if the task is refused.
    pub(in crate::testkit) const fn returned(self) -> Returned {
        (self.job, self.callback)
    }
}

/// The answer of the machine to an offer.
pub(super) fn offered<R>(
    answer: Result<TaskId, Refused<crate::Offer<Kit>, R>>,
    why: impl FnOnce(R) -> Why,
) -> Offered {
    answer.map_err(|refused| {
        let (reason, offer) = refused.into_parts();
        (why(reason), returned(offer))
    })
}

pub(super) fn returned(offer: crate::Offer<Kit>) -> Returned {
    let callback = match offer.route {
        Route::Callback(callback) => Some(callback.out()),
        _ => None,
    };
    (offer.job.out(), callback)
}
