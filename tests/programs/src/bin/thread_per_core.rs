//! A thread for each core, each with an executor, a processor and data of its own: nothing of them is shared, so nothing is
//! locked, and jobs, futures and handlers hold an `Rc`.
//!
//! ```sh
//! cargo run --bin thread_per_core -- 2 20000
//! ```
//!
//! Accounts belong to threads by their number. A transfer between two threads is two jobs: one takes the money, and if it was
//! there the other thread is sent what to put in. No money is lost or made, and at the end every account balances.
//!
//! The executor is compio's, which plimsoll knows nothing about: see [`Compio`] for what it takes to bind it. Its timers can't
//! be sent to another thread, and need not be.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use plimsoll::{Context, Drain, Instant, Local, LocalRuntime, Processor, TaskError, Timer, since_start};
use smol::channel::{Receiver, Sender, unbounded};

/// How many accounts there are, and what is in each at first.
const ACCOUNTS: u64 = 1_000;
const MONEY: u64 = 100;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let threads: u64 = args.next().map_or(Ok(2), |arg| arg.parse()).context("how many threads?")?;
    let transfers: u64 = args.next().map_or(Ok(20_000), |arg| arg.parse()).context("how many transfers?")?;

    let (outs, ins): (Vec<_>, Vec<_>) = (0..threads).map(|_| unbounded()).unzip();
    let branches = (0..).zip(ins).map(|(index, mail)| {
        let others = outs.clone();
        thread::spawn(move || compio_runtime::Runtime::new()?.block_on(branch(index, mail, others)))
    });
    let branches: Vec<_> = branches.collect();

    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..transfers {
        let (from, to, amount) = (random.u64(..ACCOUNTS), random.u64(..ACCOUNTS), random.u64(1..50));
        send(&outs, Order::Move { from, to, amount })?;
    }
    // A branch that is told so has all orders before it, but what it is sent by others for them may still come.
    outs.iter().enumerate().try_for_each(|(index, _)| send_to(&outs, index as u64, Order::LastMove))?;

    let mut sum = Books::default();
    for branch in branches {
        let books = branch.join().map_err(|_| anyhow::anyhow!("a branch panicked"))??;
        println!("{books}");
        sum = Books {
            done: sum.done + books.done,
            refused: sum.refused + books.refused,
            money: sum.money + books.money,
        };
    }
    anyhow::ensure!(sum.money == ACCOUNTS * MONEY, "money was lost or made: {}", sum.money);
    println!("{} transfers, all accounts balance", sum.done + sum.refused);
    Ok(())
}

/// What a branch is told.
enum Order {
    Move {
        from: u64,
        to: u64,
        amount: u64,
    },
    PutIn {
        to: u64,
        amount: u64,
    },
    /// There are no more orders to move.
    LastMove,
    /// Another branch will send nothing any more.
    LastPutIn,
}

/// What a branch has done, and has.
#[derive(Default)]
struct Books {
    done: u64,
    refused: u64,
    money: u64,
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} moved, {} refused, {} in the accounts", self.done, self.refused, self.money)
    }
}

/// Sends an order to the branch that has its account.
fn send(branches: &[Sender<Order>], order: Order) -> anyhow::Result<()> {
    let (Order::Move { from: account, .. } | Order::PutIn { to: account, .. }) = order else {
        anyhow::bail!("this is for a branch, not for an account")
    };
    send_to(branches, account % branches.len() as u64, order)
}

fn send_to(branches: &[Sender<Order>], index: u64, order: Order) -> anyhow::Result<()> {
    let branch = branches.get(index as usize).context("no such branch")?;
    branch.try_send(order).map_err(|_| anyhow::anyhow!("the branch is closed"))
}

/// The accounts of a branch. An `Rc`, not an `Arc` with a lock: only this thread has them.
type Accounts = Rc<RefCell<BTreeMap<u64, u64>>>;

/// What a job is about: the accounts go with it.
struct Change {
    accounts: Accounts,
    account: u64,
    change: i64,
}

/// There is not enough in the account.
#[derive(Debug)]
struct TooLittle;

/// The work of a branch, to be named where a processor, a submitter or a handle of it is kept.
type Changes = Local<fn(Change, Context) -> Result<(), TooLittle>>;

/// The handler. While one job waits for its books, the others of the branch go on.
async fn change(job: Change, cx: Context<(), Local>) -> Result<(), TooLittle> {
    if job.account.is_multiple_of(100) {
        // The books of this account are in the cellar.
        let _ = cx.sleep(Duration::from_millis(1)).await;
    }
    let mut accounts = job.accounts.borrow_mut();
    let balance = accounts.entry(job.account).or_default();
    *balance = balance.checked_add_signed(job.change).ok_or(TooLittle)?;
    Ok(())
}

/// One branch, on its thread.
async fn branch(index: u64, mail: Receiver<Order>, branches: Vec<Sender<Order>>) -> anyhow::Result<Books> {
    let count = branches.len() as u64;
    let accounts: Accounts = Rc::default();
    accounts
        .borrow_mut()
        .extend((0..ACCOUNTS).filter(|account| account % count == index).map(|account| (account, MONEY)));
    let processor: Processor<Changes> =
        Processor::builder().queue(100).concurrency(50).spawn_local_on(Compio, change)?;

    let books = Rc::new(RefCell::new(Books::default()));
    let mut open = count;
    while open > 0 {
        match mail.recv().await? {
            Order::Move { from, to, amount } => {
                let (books, branches) = (books.clone(), branches.clone());
                let job = Change { accounts: accounts.clone(), account: from, change: -(amount as i64) };
                let permit = processor.reserve().await;
                // A callback of this thread may hold an `Rc` too.
                let called = permit?.task(job).call(move |settled| match settled.result {
                    Ok(()) => {
                        books.borrow_mut().done += 1;
                        let _ = send(&branches, Order::PutIn { to, amount });
                    }
                    Err(TaskError::Failed(TooLittle)) => books.borrow_mut().refused += 1,
                    Err(other) => eprintln!("{other:?}"),
                });
                called.map_err(|refused| refused.reason)?;
            }
            Order::PutIn { to, amount } => {
                let job = Change { accounts: accounts.clone(), account: to, change: amount as i64 };
                processor.reserve().await?.task(job).post().map_err(|refused| refused.reason)?;
            }
            Order::LastMove => {
                // What was moved has sent its money by then.
                processor.idle().await;
                (0..count).try_for_each(|other| send_to(&branches, other, Order::LastPutIn))?;
            }
            Order::LastPutIn => open -= 1,
        }
    }
    let report = processor.shutdown(Drain::graceful(Duration::from_secs(10))).await;
    anyhow::ensure!(report.census.is_empty(), "something was left: {report:?}");
    let money = accounts.borrow().values().sum();
    Ok(Books { money, ..books.take() })
}

/// The executor of the calling thread.
struct Compio;

impl LocalRuntime for Compio {
    type Timer = CompioTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> CompioTimer {
        CompioTimer(None)
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        compio_runtime::spawn(future).detach();
    }
}

/// A timer of compio can't be set again, so it is made anew; nor be sent, so it is not for a processor with several threads.
struct CompioTimer(Option<Pin<Box<dyn Future<Output = ()>>>>);

impl Timer for CompioTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let wait = at.saturating_since(since_start());
        self.0 = (at != Instant::MAX).then(|| Box::pin(compio_runtime::time::sleep(wait)) as _);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
