//! The types that the machine keeps for this crate.

use std::any::Any;
use std::marker::PhantomData;
use std::task::Waker;

use plimsoll_core::Plan;

use crate::carried::Carried;
use crate::panics::PanicMessage;
use crate::recipient::Recipient;
use crate::work::AnyWork;

/// What the machine keeps for this crate.
pub(crate) struct Types<W>(PhantomData<fn() -> W>);

impl<W: AnyWork> Plan for Types<W> {
    type Job = Carried<W::Job>;
    type Output = W::Output;
    type Error = W::Error;
    type Panic = PanicMessage;
    type Meta = W::Meta;
    type Callback = Recipient<W>;
    type Waiter = Waker;
    type Listener = Box<dyn Any + Send>;
    // The cache has a lock of its own, and so is not a part of this machine.
    type Key = ();
    type Value = ();
}

pub(crate) type Machine<W> = plimsoll_core::Processor<Types<W>>;

/// A job as it is offered to the machine.
pub(crate) type OfferOf<W> = plimsoll_core::Offer<Types<W>>;
