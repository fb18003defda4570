//! The executors to which plimsoll has bindings.

use std::rc::Rc;
use std::sync::Arc;

use plimsoll::conformance::executor::{Executor, LocalExecutor};
use plimsoll::{LocalRuntime, Runtime, Smol, SmolLocal, Tokio, TokioLocal};
use tokio::runtime::{self, Builder};
use tokio::task::LocalSet;

#[derive(Default)]
pub struct OfSmol(Arc<smol::Executor<'static>>);

impl Executor for OfSmol {
    fn runtime(&self) -> impl Runtime {
        Smol::on_one_thread(self.0.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(self.0.run(future))
    }
}

#[derive(Default)]
pub struct LocalOfSmol(Rc<smol::LocalExecutor<'static>>);

impl LocalExecutor for LocalOfSmol {
    fn runtime(&self) -> impl LocalRuntime {
        SmolLocal::on(self.0.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(self.0.run(future))
    }
}

pub struct OfTokio(runtime::Runtime);

impl OfTokio {
    pub fn one_thread() -> Self {
        Self(Builder::new_current_thread().enable_time().build().expect("tokio"))
    }

    pub fn two_threads() -> Self {
        Self(Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("tokio"))
    }
}

impl Executor for OfTokio {
    fn runtime(&self) -> impl Runtime {
        Tokio::on(self.0.handle().clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

pub struct LocalOfTokio(LocalSet, OfTokio);

impl LocalOfTokio {
    pub fn new() -> Self {
        Self(LocalSet::new(), OfTokio::one_thread())
    }
}

impl LocalExecutor for LocalOfTokio {
    fn runtime(&self) -> impl LocalRuntime {
        TokioLocal::current()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(&self.1.0, future)
    }
}
