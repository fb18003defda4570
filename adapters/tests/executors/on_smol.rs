//! The bindings of smol.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use plimsoll::conformance::executor::{Executor, LocalExecutor, check, check_local};
use plimsoll::{LocalRuntime, Runtime, Smol, SmolLocal};
use smol::channel::{Sender, unbounded};

use super::assert_conforms;

type OfSmol = smol::Executor<'static>;

#[test]
fn the_global_executor_conforms() {
    assert_conforms(&check(Smol::global), 2);
}

/// Run by the thread that waits.
struct OnThisThread(Arc<OfSmol>);

impl Executor for OnThisThread {
    fn runtime(&self) -> impl Runtime {
        Smol::on_one_thread(self.0.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(self.0.run(future))
    }
}

#[test]
fn an_executor_on_one_thread_conforms() {
    assert_conforms(&check(|| OnThisThread(Arc::default())), 0);
}

/// Run by two threads of its own, which are stopped and joined when it is dropped.
struct OnTwoThreads {
    executor: Arc<OfSmol>,
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl OnTwoThreads {
    fn start() -> Self {
        let (executor, (stop, is_stopped)) = (Arc::new(OfSmol::new()), unbounded::<()>());
        let run = |_| {
            let (executor, is_stopped) = (executor.clone(), is_stopped.clone());
            // Stopped by the drop of the sender.
            thread::spawn(move || smol::block_on(executor.run(is_stopped.recv())).unwrap_or_default())
        };
        Self { threads: (0..2).map(run).collect(), executor, stop: Some(stop) }
    }
}

impl Drop for OnTwoThreads {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

impl Executor for OnTwoThreads {
    fn runtime(&self) -> impl Runtime {
        Smol::on(self.executor.clone())
    }
}

#[test]
fn an_executor_on_two_threads_conforms() {
    assert_conforms(&check(OnTwoThreads::start), 0);
}

struct Local(Rc<smol::LocalExecutor<'static>>);

impl LocalExecutor for Local {
    fn runtime(&self) -> impl LocalRuntime {
        SmolLocal::on(self.0.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(self.0.run(future))
    }
}

#[test]
fn a_local_executor_conforms() {
    assert_conforms(&check_local(|| Local(Rc::default())), 0);
}
