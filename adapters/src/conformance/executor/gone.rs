//! An executor that ends before its processors: all that wait for them are told.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use plimsoll_core::{CancelReason, Drain, OutcomeKind, Phase, Refusal};

use super::jobs::{Called, Job};
use super::processors::{builder, ms, submit};
use super::subject::{Binding, Subject};
use super::tally::{happens, nap};
use super::verdict::{PATIENCE, Stage, Verdict, ensure};
use crate::park;
use crate::task_error::TaskError;

pub(super) fn is_told_to_everybody<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let (token, called) = (Arc::new(()), Called::default());
    let (processor, mut fixed, mut waiting, mut events, mut room) = subject.block_on(async {
        stage.set("a processor is given tasks that never end");
        let processor = subject.bind().processor(builder().concurrency(2).queue(4))?;
        let fixed = submit(&processor, Job::Value(7))?;
        while processor.totals().settled.completed == 0 {
            nap(ms(1)).await;
        }
        let mut waiting = Vec::new();
        for _ in 0..2 {
            waiting.push(submit(&processor, Job::Hangs(token.clone()))?);
        }
        for _ in 0..2 {
            S::call(&processor, Job::Hangs(token.clone()), &called)?;
            waiting.push(submit(&processor, Job::Hangs(token.clone()))?);
        }
        let delayed = processor.task(Job::Value(0)).delay(Duration::from_secs(3_600)).submit();
        waiting.push(delayed.map_err(|refused| refused.reason.to_string())?);
        let events = processor.subscribe().map_err(|refused| refused.to_string())?;
        let mut room = processor.submit_wait(Job::Value(0));
        let is_told = poll_fn(|cx| Poll::Ready(Pin::new(&mut room).poll(cx).is_ready())).await;
        ensure(!is_told, || "a submitter found room in a queue that was full".to_owned())?;
        nap(ms(5)).await;
        Ok::<_, String>((processor, fixed, waiting, events, room))
    })?;
    stage.set("the executor is dropped");
    drop(subject);
    stage.set("handles, callbacks, submitters and subscriptions have to be told");
    for handle in &mut waiting {
        let result = park::block_on_for(handle, PATIENCE);
        ensure(result == Some(Err(TaskError::Cancelled(Some(CancelReason::ENDED)))), || {
            format!("a task whose executor has ended had the result {result:?} {PATIENCE:?} later")
        })?;
    }
    let cancelled = happens(|| called.count_of(OutcomeKind::Cancelled) == 2);
    ensure(cancelled, || {
        format!("of 2 callbacks {} were called, not all with `Cancelled`", called.count.count())
    })?;
    let refused = park::block_on_for(&mut room, PATIENCE).map(|told| told.map_err(|refused| refused.reason));
    ensure(matches!(refused, Some(Err(Refusal::Closed))), || {
        "a submitter that waits was not told".to_owned()
    })?;
    let ended = park::block_on_for(&mut Box::pin(async { while events.next().await.is_some() {} }), PATIENCE);
    ensure(ended.is_some(), || "a subscription did not end".to_owned())?;
    let is_drained = happens(|| processor.phase() == Phase::Drained);
    ensure(is_drained, || format!("the processor is {:?}, and not drained", processor.phase()))?;
    let result = park::block_on_for(&mut fixed, PATIENCE);
    ensure(result == Some(Ok(7)), || format!("what was done before came out as {result:?}"))?;
    let mut shutdown = processor.shutdown(Drain::Abort);
    let report = park::block_on_for(&mut shutdown, PATIENCE);
    ensure(report.is_some_and(|report| report.census.is_empty()), || {
        "the processor holds something".to_owned()
    })?;
    let dropped = happens(|| Arc::strong_count(&token) == 1);
    ensure(dropped, || "the futures of attempts outlived the executor".to_owned())
}
