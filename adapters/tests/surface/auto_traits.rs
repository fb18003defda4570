//! What may be sent to other threads and shared by them, and what is told of errors.

use std::fmt::Debug;
use std::rc::Rc;

use std::cell::Cell;
use std::error::Error;

use plimsoll::source::{Abilities, Delivery, Pull, Settling, SourceHandle, SourceLimits, SourceRefusal};
use plimsoll::*;

/// Jobs are `Send` and not `Sync`, as they may be: nothing of this crate hands out references to one on two threads.
type OfCells = fn(Cell<u32>) -> Result<Cell<u32>, Cell<u32>>;

const fn shared<T: Send + Sync + Debug + 'static>() {}
const fn sent<T: Send + 'static>() {}
const fn error<T: Send + Sync + Error + 'static>() {}

#[test]
fn auto_traits_are_pinned() {
    shared::<Processor<OfCells>>();
    shared::<Submitter<OfCells>>();
    shared::<Handle<OfCells>>();
    shared::<CancelOnDrop<OfCells>>();
    shared::<Permit<OfCells>>();
    shared::<Subscription<OfCells>>();
    shared::<EmitterHandle<OfCells>>();
    shared::<ScheduleHandle<OfCells>>();
    shared::<SourceHandle<OfCells>>();
    shared::<Context>();
    shared::<Cache<String, u32>>();
    shared::<Builder>();
    shared::<Options>();
    shared::<Report>();
    shared::<Footprint>();
    shared::<Inspection>();
    shared::<Pull>();
    shared::<SourceLimits>();
    shared::<Abilities>();
    shared::<Settling<u8>>();
    sent::<CompletionQueue<OfCells>>();
    sent::<Shutdown<OfCells>>();
    sent::<SubmitWait<OfCells>>();
    sent::<Reserve<OfCells>>();
    sent::<Idle<OfCells>>();
    sent::<Settlement<OfCells>>();
    sent::<Delivery<Cell<u8>, u8>>();
    error::<TaskError<std::io::Error>>();
    error::<Refused<Cell<u32>>>();
    error::<SourceRefusal<u32>>();
    error::<NotLive>();
    error::<NotReady>();
    error::<BuildError>();
}

/// Work that stays on one thread makes no claim on its values.
#[test]
fn local_work_needs_nothing_of_its_values() {
    const fn any<T: 'static>() {}
    type OfRcs = Local<fn(Rc<u32>) -> Result<Rc<u32>, Rc<u32>>>;
    any::<Processor<OfRcs>>();
    any::<Handle<OfRcs>>();
    any::<Settlement<OfRcs>>();
}
