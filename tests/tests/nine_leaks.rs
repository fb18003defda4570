//! The nine leaks, before and after: the leaky processor fails exactly the requirement of each leak that is
//! switched on, and plimsoll fails none, on any runtime. With `--nocapture` the matrix is printed.

use std::time::Instant;

use plimsoll_tests::alloc::Counting;
use plimsoll_tests::before::Leaks;
use plimsoll_tests::requirements::{
    Before, BeforeWorld, Ends, Executor, NAMES, OnSmol, OnThread, OnTokio, Plimsoll, PlimsollWorld, Seen,
    Stage, Subject, all,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// The one test of this binary: the requirements measure bytes of the whole process.
#[test]
fn before_fails_what_it_leaks_and_plimsoll_fails_nothing() {
    print_head();
    let mut wrong = Vec::new();
    let mut check = |row: Row| {
        row.print();
        wrong.extend(row.wrong());
    };
    check(before("before, no leak", Leaks::NONE, |_| true));
    for leak in 1..=Leaks::COUNT {
        check(before(&format!("before, leak {leak}"), Leaks::only(leak), |number| number != leak));
    }
    check(before("before, all leaks", Leaks::ALL, |_| false));
    for ends in [Ends::Dropped, Ends::ShutDown] {
        check(plimsoll::<OnSmol>("smol", ends));
        check(plimsoll::<OnTokio>("tokio", ends));
        check(plimsoll::<OnThread>("thread", ends));
    }
    print_legend();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// One processor against the nine requirements.
struct Row {
    name: String,
    /// Which requirements it is to meet.
    expected: [bool; 9],
    seen: [Seen; 9],
    seconds: f64,
}

fn before(name: &str, leaks: Leaks, meets: impl Fn(usize) -> bool) -> Row {
    row::<Before>(name.into(), meets, || BeforeWorld::new(leaks))
}

fn plimsoll<X: Executor>(name: &str, ends: Ends) -> Row {
    row::<Plimsoll<X>>(format!("plimsoll on {name}, {ends}"), |_| true, || PlimsollWorld::new(ends))
}

/// Each requirement gets a world of its own.
fn row<S: Subject>(name: String, meets: impl Fn(usize) -> bool, world: impl Fn() -> S::World) -> Row {
    let start = Instant::now();
    let seen = all::<S>().map(|requirement| {
        let world = world();
        requirement(&Stage { world: &world, live_bytes: || ALLOCATOR.live() })
    });
    let expected = std::array::from_fn(|index| meets(index + 1));
    Row { name, expected, seen, seconds: start.elapsed().as_secs_f64() }
}

impl Row {
    fn print(&self) {
        let cells = self.seen.iter().map(|seen| if seen.is_ok() { "  ·  " } else { "FAILS" });
        println!("{:<30} {} {:>7.2} s", self.name, cells.collect::<Vec<_>>().join(" "), self.seconds);
    }

    /// What is not as expected, in words.
    fn wrong(&self) -> impl Iterator<Item = String> {
        let cells = NAMES.iter().zip(self.expected).zip(&self.seen).enumerate();
        cells.filter(|(_, ((_, meets), seen))| *meets != seen.is_ok()).map(|(index, ((name, _), seen))| {
            let seen = seen.as_ref().err().map_or("met, but ought not to be", String::as_str);
            format!("{}: requirement {}, {name}: {seen}", self.name, index + 1)
        })
    }
}

fn print_head() {
    let numbers: Vec<String> = (1..=NAMES.len()).map(|number| format!("{number:^5}")).collect();
    println!("\n{:<30} {}", "requirement", numbers.join(" "));
}

fn print_legend() {
    println!("\n· is met. What a failed one has seen, with every leak on:");
    let row = before("", Leaks::ALL, |_| true);
    for (number, (name, seen)) in NAMES.iter().zip(row.seen).enumerate() {
        println!("{} {name:<26} {}", number + 1, seen.err().unwrap_or_default());
    }
}
