//! plimsoll as it is for values that stay on one thread: the same engine, with a `RefCell` in place of the lock.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use plimsoll::{Handle, Local, LocalRuntime, Processor, SmolLocal, TokioLocal};

use super::Contender;
use super::plimsoll::{builder, outcome};
use crate::drive::Peer;
use crate::local_host::{OnThisThread, SmolSet, TokioSet};
use crate::work::{Body, Limits, Outcome};

pub struct OnSmol;

impl Contender<SmolSet> for OnSmol {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        Stays::<B>::new(limits, SmolLocal::on(SmolSet::executor()))
    }
}

pub struct OnTokio;

impl Contender<TokioSet> for OnTokio {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        Stays::<B>::new(limits, TokioLocal::current())
    }
}

type Work = Local<fn(u64) -> Result<u64, u64>>;

struct Stays<B>(OnThisThread<Rc<Processor<Work>>>, PhantomData<B>);

impl<B: Body> Stays<B> {
    fn new(limits: Limits, runtime: impl LocalRuntime) -> Self {
        let processor = builder(limits).spawn_local_on(runtime, |id: u64| B::run(id));
        Self(OnThisThread(Rc::new(processor.expect("limits in bounds"))), PhantomData)
    }
}

impl<B> Clone for Stays<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<B: Body> Peer for Stays<B> {
    type Handle = Told;

    async fn submit(&mut self, id: u64) -> Told {
        let task = &self.0;
        let submission = OnThisThread(if B::OWN_LIMIT {
            task.0.task(id).timeout(B::limit(id)).submit_wait()
        } else {
            task.0.submit_wait(id)
        });
        let handle = submission.await;
        Told(OnThisThread(handle.unwrap_or_else(|refused| panic!("refused: {:?}", refused.reason))))
    }
}

struct Told(OnThisThread<Handle<Work>>);

impl Future for Told {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx).map(outcome)
    }
}
