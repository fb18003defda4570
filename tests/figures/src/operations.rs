//! The core's operations, one by one, among a crowd.

use plimsoll_core::{Claim, Effect, Next, Policy, Route, Wake};

use crate::crowd::{Crowd, ROUND};
use crate::machine::{self, MILLISECOND, callback, limited};
use crate::meter::{Meter, Region};

/// Measures each operation among crowds of `size`.
pub fn measure(meter: &mut Meter, size: u32) {
    for setting in SETTINGS {
        let mut crowd = (setting.crowd)(size);
        for operation in setting.operations {
            meter.measure(&mut crowd, size, operation);
        }
    }
}

/// Operations that are measured among the same crowd, each of which leaves it as large as it was.
struct Setting {
    crowd: fn(u32) -> Crowd,
    operations: &'static [Region<Crowd>],
}

const SETTINGS: &[Setting] = &[
    Setting { crowd: Crowd::queued, operations: QUEUED },
    Setting { crowd: Crowd::running, operations: RUNNING },
    Setting { crowd: Crowd::running_for_handles, operations: AWAITED },
    Setting { crowd: Crowd::settled_for_handles, operations: CLAIMED },
    Setting { crowd: Crowd::delayed, operations: DELAYED },
    Setting { crowd: Crowd::results, operations: RESULTS },
    Setting { crowd: |size| Crowd::cached(size, Policy::Fifo), operations: CACHE },
    Setting { crowd: |size| Crowd::cached(size, Policy::Lru), operations: CACHE_LRU },
    Setting { crowd: |size| Crowd::cached(size, Policy::S3Fifo), operations: CACHE_S3_FIFO },
    Setting { crowd: Crowd::connected, operations: CONNECTED },
];

/// Performed by random ones of the crowd.
const fn of_any(name: &'static str, run: fn(&mut Crowd, u32)) -> Region<Crowd> {
    Region::new(name, ROUND, run).before(Crowd::pick)
}

const QUEUED: &[Region<Crowd>] = &[
    of_any("census", |crowd, count| {
        (0..count).for_each(|_| assert!(machine::census(&mut crowd.machine).queued > 0));
    }),
    of_any("submit", |crowd, count| {
        for _ in 0..count {
            let task = crowd.submit_queued();
            crowd.tasks.push(task);
        }
    })
    .after(|crowd, count| {
        for (task, _) in crowd.tasks.drain(crowd.tasks.len() - count as usize..) {
            machine::cancel(&mut crowd.machine, crowd.now, task);
        }
        crowd.poll_all();
    }),
    of_any("cancel", |crowd, count| {
        for (task, _) in crowd.tasks.iter().take(count as usize) {
            machine::cancel(&mut crowd.machine, crowd.now, *task);
        }
    })
    .after(|crowd, count| {
        crowd.poll_all();
        (0..count as usize).for_each(|at| crowd.tasks[at] = crowd.submit_queued());
    }),
    of_any("submit delayed and cancel", |crowd, count| {
        for at in 0..count {
            let task = crowd.submit_delayed((50 * at + 1) * MILLISECOND);
            machine::cancel(&mut crowd.machine, crowd.now, task);
        }
    })
    .after(|crowd, _| crowd.poll_all()),
    // The last one, for the oldest ones start, whichever those are.
    of_any("start", |crowd, count| {
        for _ in 0..count {
            let start = machine::start(&mut crowd.machine, crowd.now);
            crowd.started.push(start.attempt);
        }
    })
    .after(|crowd, _| {
        for attempt in std::mem::take(&mut crowd.started) {
            crowd.complete(Some(attempt));
            let _ = crowd.submit_queued();
        }
        crowd.poll_all();
    }),
];

const RUNNING: &[Region<Crowd>] = &[
    of_any("next_wake", |crowd, count| {
        (0..count).for_each(|_| assert!(matches!(machine::next_wake(&mut crowd.machine), Wake::At(..))));
    }),
    of_any("complete", complete_picked).after(|crowd, count| {
        crowd.poll_all();
        rerun_picked(crowd, count, callback);
    }),
    of_any("settle", |crowd, count| {
        for _ in 0..count {
            assert!(matches!(machine::poll(&mut crowd.machine), Some(Effect::Settle(_))));
        }
    })
    .before(|crowd, count| {
        crowd.pick(count);
        complete_picked(crowd, count);
    })
    .after(|crowd, count| rerun_picked(crowd, count, callback)),
    of_any("time-out fires", |crowd, count| {
        assert_eq!(machine::advance(&mut crowd.machine, crowd.now, count).used, count);
    })
    .before(|crowd, count| {
        for _ in 0..count {
            crowd.submit(callback(), &const { limited(MILLISECOND) });
            let _ = machine::start(&mut crowd.machine, crowd.now);
        }
        crowd.pass(2 * MILLISECOND);
    })
    .after(|crowd, _| crowd.poll_all()),
];

const AWAITED: &[Region<Crowd>] = &[
    of_any("claim, not settled", |crowd, count| {
        for (task, _) in crowd.tasks.iter().take(count as usize) {
            let claim = machine::claim(&mut crowd.machine, crowd.now, *task);
            assert!(matches!(claim, Claim::Pending(_)));
        }
    }),
    of_any("complete, awaited", complete_picked)
        .before(|crowd, count| {
            crowd.pick(count);
            for (task, _) in crowd.tasks.iter().take(count as usize) {
                let _ = machine::claim(&mut crowd.machine, crowd.now, *task);
            }
        })
        .after(|crowd, count| {
            crowd.poll_all();
            for at in 0..count as usize {
                let _ = machine::claim(&mut crowd.machine, crowd.now, crowd.tasks[at].0);
                crowd.tasks[at] = crowd.submit_running(Route::Handle);
            }
        }),
];

const CLAIMED: &[Region<Crowd>] = &[of_any("claim, settled", |crowd, count| {
    for (task, _) in crowd.tasks.iter().take(count as usize) {
        assert!(matches!(machine::claim(&mut crowd.machine, crowd.now, *task), Claim::Ready(..)));
    }
})
.after(|crowd, count| {
    (0..count as usize).for_each(|at| crowd.tasks[at] = crowd.submit_completed(Route::Handle))
})];

const DELAYED: &[Region<Crowd>] = &[of_any("delay ends", |crowd, count| {
    assert_eq!(machine::advance(&mut crowd.machine, crowd.now, count).used, count);
})
.before(|crowd, _| crowd.pass(MILLISECOND))
.after(|crowd, count| {
    crowd.run_queued(count);
    crowd.poll_all();
    (0..count).for_each(|_| _ = crowd.submit_delayed(MILLISECOND));
})];

const RESULTS: &[Region<Crowd>] = &[
    of_any("take_result", |crowd, count| {
        for (task, _) in crowd.tasks.iter().take(count as usize) {
            drop(machine::take_result(&mut crowd.machine, crowd.now, *task));
        }
    })
    .after(|crowd, count| {
        (0..count as usize).for_each(|at| crowd.tasks[at] = crowd.submit_completed(Route::Retain));
    }),
    // The last one, for it takes the oldest ones, whichever those are.
    of_any("sweep a result", |crowd, count| {
        assert_eq!(machine::sweep(&mut crowd.machine, crowd.now, count), count as usize);
    })
    .before(|crowd, _| crowd.pass_ttl())
    .after(|crowd, count| (0..count).for_each(|_| _ = crowd.submit_completed(Route::Retain))),
];

const HIT: fn(&mut Crowd, u32) = |crowd, count| {
    for key in crowd.keys.iter().take(count as usize) {
        assert!(machine::cached(&mut crowd.machine, crowd.now, *key).is_some());
    }
};

/// Inserts keys that are not there, each of which takes the place of another.
const EVICT: fn(&mut Crowd, u32) = |crowd, count| {
    for _ in 0..count {
        machine::insert(&mut crowd.machine, crowd.now, crowd.fresh_key);
        crowd.fresh_key += 1;
    }
};

const CACHE: &[Region<Crowd>] = &[
    of_any("cache hit, FIFO", HIT),
    of_any("cache miss", |crowd, count| {
        for key in crowd.keys.iter().take(count as usize) {
            assert!(machine::cached(&mut crowd.machine, crowd.now, u64::MAX - key).is_none());
        }
    }),
    of_any("cache remove", |crowd, count| {
        for key in crowd.keys.iter().take(count as usize) {
            assert!(machine::uncache(&mut crowd.machine, *key).is_some());
        }
    })
    .after(insert_picked),
    of_any("cache insert", insert_picked).before(|crowd, count| {
        crowd.pick(count);
        for key in crowd.keys.iter().take(count as usize) {
            let _ = machine::uncache(&mut crowd.machine, *key);
        }
    }),
    of_any("cache overwrite", insert_picked),
    // These two last, for they take entries whose keys are not known here.
    of_any("cache evict, FIFO", EVICT),
    of_any("sweep a cache entry", |crowd, count| {
        assert_eq!(machine::sweep(&mut crowd.machine, crowd.now, count), count as usize);
    })
    .before(|crowd, _| crowd.pass_ttl())
    .after(EVICT),
];

const CACHE_LRU: &[Region<Crowd>] = &[of_any("cache hit, LRU", HIT), of_any("cache evict, LRU", EVICT)];

/// How many a scan passes over before it finds one to evict depends on the keys, so only hits are counted.
const CACHE_S3_FIFO: &[Region<Crowd>] = &[of_any("cache hit, S3-FIFO", HIT)];

const CONNECTED: &[Region<Crowd>] = &[
    of_any("subscribe", |crowd, count| {
        for _ in 0..count {
            let subscriber = crowd.subscribe();
            crowd.subscribers.push(subscriber);
        }
    })
    .after(|crowd, count| {
        for subscriber in crowd.subscribers.drain(crowd.subscribers.len() - count as usize..) {
            machine::unsubscribe(&mut crowd.machine, subscriber);
        }
    }),
    of_any("unsubscribe", |crowd, count| {
        for subscriber in crowd.subscribers.iter().take(count as usize) {
            machine::unsubscribe(&mut crowd.machine, *subscriber);
        }
    })
    .after(|crowd, count| (0..count as usize).for_each(|at| crowd.subscribers[at] = crowd.subscribe())),
    of_any("publish", |crowd, count| {
        for emitter in crowd.emitters.iter().take(count as usize) {
            machine::publish(&mut crowd.machine, crowd.now, *emitter);
        }
    }),
    of_any("next_event", |crowd, count| {
        for subscriber in crowd.subscribers.iter().take(count as usize) {
            let event = machine::next_event(&mut crowd.machine, *subscriber);
            assert!(matches!(event, Some(Next::Event(_))));
        }
    })
    .before(|crowd, count| {
        crowd.pick(count);
        crowd.catch_up(count);
        machine::publish(&mut crowd.machine, crowd.now, crowd.emitters[0]);
    }),
    of_any("attach", |crowd, count| {
        for _ in 0..count {
            let emitter = crowd.attach();
            crowd.emitters.push(emitter);
        }
    })
    .after(|crowd, count| {
        for emitter in crowd.emitters.drain(crowd.emitters.len() - count as usize..) {
            machine::detach(&mut crowd.machine, crowd.now, emitter);
        }
    }),
    of_any("detach", |crowd, count| {
        for emitter in crowd.emitters.iter().take(count as usize) {
            machine::detach(&mut crowd.machine, crowd.now, *emitter);
        }
    })
    .after(|crowd, count| (0..count as usize).for_each(|at| crowd.emitters[at] = crowd.attach())),
    of_any("wait_for_room", |crowd, count| {
        for _ in 0..count {
            let waiter = crowd.wait_for_room();
            crowd.waiters.push(waiter);
        }
    })
    .after(|crowd, count| {
        for waiter in crowd.waiters.drain(crowd.waiters.len() - count as usize..) {
            machine::leave(&mut crowd.machine, crowd.now, waiter);
        }
    }),
    of_any("leave", |crowd, count| {
        for waiter in crowd.waiters.iter().take(count as usize) {
            machine::leave(&mut crowd.machine, crowd.now, *waiter);
        }
    })
    .after(|crowd, count| (0..count as usize).for_each(|at| crowd.waiters[at] = crowd.wait_for_room())),
];

fn complete_picked(crowd: &mut Crowd, count: u32) {
    for at in 0..count as usize {
        crowd.complete(crowd.tasks[at].1);
    }
}

fn rerun_picked(crowd: &mut Crowd, count: u32, route: fn() -> Route<machine::Callback>) {
    (0..count as usize).for_each(|at| crowd.tasks[at] = crowd.submit_running(route()));
}

fn insert_picked(crowd: &mut Crowd, count: u32) {
    for at in 0..count as usize {
        machine::insert(&mut crowd.machine, crowd.now, crowd.keys[at]);
    }
}
