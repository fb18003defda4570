//! What a script holds of the processor, and polls by hand: handles, waits for room, subscriptions, emitters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::Stream;
use plimsoll::{
    CancelOnDrop, CompletionQueue, EmitterHandle, Handle, Idle, Notice, Permit, Phase, Refusal, Reserve,
    ScheduleHandle, Settlement, StreamRefusal, SubmitWait, Subscription, TaskError, TaskResult,
};

use super::ending::Discards;
use super::plan::Deed;
use super::stage::{Service, Stage};
use super::token::Flag;

/// Something that is held, and the waker that was left with it.
pub(super) struct Held {
    pub(super) thing: Thing,
    flag: Option<Arc<Flag>>,
}

pub(super) enum Thing {
    Handle(u32, Handle<Service>),
    Cancelling(u32, CancelOnDrop<Service>),
    Wait(u32, SubmitWait<Service>),
    /// Until every task is settled, and how many had been admitted when it was polled first.
    Idle(Idle<Service>, Option<u64>),
    Reserve(Reserve<Service>),
    Permit(Permit<Service>),
    Queue(CompletionQueue<Service>),
    Stream(Results),
    Subscription(Subscription<Service>),
    Emitter(EmitterHandle<Service>),
    /// Which one, and its handle.
    Schedule(usize, ScheduleHandle<Service>),
}

/// A stream of jobs that is processed.
pub(super) type Results = Pin<Box<dyn Stream<Item = Result<Settlement<Service>, StreamRefusal<Service>>>>>;

/// What a poll came to.
pub(super) enum Polled {
    Pending,
    /// It has given something, and may have more.
    More(Option<Notice<u32>>),
    Over,
}

type Answer = Result<Polled, String>;

impl Held {
    pub(super) const fn new(thing: Thing) -> Self {
        Self { thing, flag: None }
    }

    /// Polls it once, with a waker that does this when it is woken. If the runtime has been idle before, it cannot have
    /// become ready without having been woken.
    pub(super) fn poll(&mut self, stage: &Arc<Stage>, deed: Deed, was_idle: bool) -> Answer {
        let flag = Flag::new(stage, deed);
        let waker = Waker::from(flag.clone());
        let last = self.flag.take();
        let polled = self.poll_thing(stage, &mut Context::from_waker(&waker), was_idle)?;
        if let Polled::Pending = polled {
            self.flag = Some(flag);
        } else if was_idle && last.is_some_and(|last| !last.is_woken()) {
            return Err("ready, but it was not woken".into());
        }
        Ok(polled)
    }

    fn poll_thing(&mut self, stage: &Arc<Stage>, cx: &mut Context<'_>, was_idle: bool) -> Answer {
        // What is polled may end the processor, for it may drop values.
        let discards = stage.book().ending.discards;
        let polled = match &mut self.thing {
            Thing::Handle(task, handle) => claimed(stage, *task, Pin::new(handle).poll(cx), discards),
            Thing::Cancelling(task, handle) => claimed(stage, *task, Pin::new(handle).poll(cx), discards),
            Thing::Wait(task, wait) => {
                let order = stage.book().task(*task).order;
                let look = stage.look(order);
                let (task, polled) = (*task, Pin::new(wait).poll(cx));
                if let Poll::Ready(submitted) = polled {
                    let entry =
                        submitted.as_ref().map(|handle| Some(handle.id())).map_err(|refused| refused.reason);
                    stage.note_keyed(task, look, entry);
                    match submitted {
                        Ok(handle) => {
                            *self = Self::new(Thing::Handle(task, handle));
                            return Ok(Polled::More(None));
                        }
                        Err(refused) => refused.into_value().come_back(),
                    }
                    return Ok(Polled::Over);
                }
                let is_closed = was_idle && stage.book().ending.is_closing;
                return if is_closed {
                    Err("waits for room after the end".into())
                } else {
                    Ok(Polled::Pending)
                };
            }
            Thing::Idle(idle, admitted) => {
                let (is_over, totals) = (Pin::new(idle).poll(cx).is_ready(), stage.desk().totals());
                let before = *admitted.get_or_insert(totals.admitted);
                return match is_over {
                    false if stage.desk().is_idle() && was_idle => {
                        Err("it waits although every task is settled".into())
                    }
                    false => Ok(Polled::Pending),
                    true if totals.settled.total() < before => Err("not every task was settled".into()),
                    true => Ok(Polled::Over),
                };
            }
            Thing::Reserve(reserve) => match Pin::new(reserve).poll(cx) {
                Poll::Ready(Ok(permit)) => {
                    *self = Self::new(Thing::Permit(permit));
                    return Ok(Polled::More(None));
                }
                Poll::Ready(Err(_)) => return Ok(Polled::Over),
                Poll::Pending if was_idle && stage.book().ending.is_closing => {
                    return Err("waits for a permit after the end".into());
                }
                Poll::Pending => return Ok(Polled::Pending),
            },
            Thing::Queue(queue) => match Pin::new(queue).poll_next(cx) {
                Poll::Pending => Ok(Polled::Pending),
                Poll::Ready(Some(settled)) => {
                    stage.hear(settled.meta, settled);
                    Ok(Polled::More(None))
                }
                Poll::Ready(None) => Ok(Polled::Over),
            },
            Thing::Stream(results) => match results.as_mut().poll_next(cx) {
                Poll::Pending => Ok(Polled::Pending),
                Poll::Ready(Some(Ok(settled))) => {
                    stage.hear(settled.meta, settled);
                    Ok(Polled::More(None))
                }
                Poll::Ready(Some(Err(refused))) => {
                    stream_refused(stage, refused);
                    Ok(Polled::More(None))
                }
                Poll::Ready(None) => Ok(Polled::Over),
            },
            Thing::Subscription(subscription) => match Pin::new(subscription).poll_next(cx) {
                Poll::Pending => Ok(Polled::Pending),
                Poll::Ready(Some(notice)) => Ok(Polled::More(Some(notice))),
                Poll::Ready(None) if stage.desk().phase() == Phase::Drained => Ok(Polled::Over),
                Poll::Ready(None) => Err("a subscription ends before the processor".into()),
            },
            Thing::Emitter(_) | Thing::Permit(_) | Thing::Schedule(..) => return Ok(Polled::Pending),
        };
        match polled {
            Ok(Polled::Pending) if stage.desk().phase() == Phase::Drained => {
                Err("it hangs after the end".into())
            }
            polled => polled,
        }
    }

    /// Whether it is ready more than once.
    pub(super) const fn may_have_more(&self) -> bool {
        matches!(
            self.thing,
            Thing::Wait(..) | Thing::Handle(..) | Thing::Subscription(_) | Thing::Queue(_) | Thing::Stream(_)
        )
    }

    /// Which task it stands for.
    pub(super) fn task(&self) -> Option<u32> {
        match &self.thing {
            Thing::Handle(task, _) | Thing::Cancelling(task, _) | Thing::Wait(task, _) => Some(*task),
            _ => None,
        }
    }
}

/// The rest of a stream is not processed.
fn stream_refused(stage: &Arc<Stage>, refused: StreamRefusal<Service>) {
    let (reason, job) = refused.into_parts();
    let is_closing = stage.book().ending.is_closing;
    let is_right = is_closing || reason != Refusal::Closed;
    stage.expect(if is_right { Ok(()) } else { Err("a stream ends before the processor".into()) });
    if let Some(job) = job {
        stage.book().refuse(job.task);
        job.come_back();
    }
}

/// What has come out of a handle, when this became of outcomes that were fixed.
fn claimed(stage: &Arc<Stage>, task: u32, polled: Poll<TaskResult<Service>>, discards: Discards) -> Answer {
    match polled {
        Poll::Pending => Ok(Polled::Pending),
        Poll::Ready(Err(TaskError::Ended)) if discards == Discards::No => {
            Err("its outcome was discarded".into())
        }
        Poll::Ready(Err(TaskError::Ended)) => Ok(Polled::Over),
        Poll::Ready(result) => {
            stage.tell(task, result);
            if discards == Discards::Yes {
                Err("an outcome that was to be discarded".into())
            } else {
                Ok(Polled::Over)
            }
        }
    }
}
