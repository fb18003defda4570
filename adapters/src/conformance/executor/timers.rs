//! What timers promise. Each is used by a future on the executor.

use super::crew::Crew;
use super::spawning::{StopOnDrop, spin_until};
use super::subject::{Binding, Subject};
use super::timer_scripts::{Bench, SOON, Script};
use super::verdict::{Stage, Verdict};

pub(super) fn fires_again_and_again<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    follow(&subject, stage, &[Script::Again])
}

pub(super) fn fires_when_past<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    follow(&subject, stage, &[Script::Past])
}

pub(super) fn is_set_in_place<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    follow(&subject, stage, &[Script::Earlier])?;
    follow(&subject, stage, &[Script::Later])
}

pub(super) fn is_unset<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    follow(&subject, stage, &[Script::Unset])
}

pub(super) fn wakes_the_last_waker<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    follow(&subject, stage, &[Script::LastWaker])
}

pub(super) fn may_be_set_far_away<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    follow(&subject, stage, &[Script::Far])
}

/// In an order that is none of theirs.
pub(super) fn do_not_disturb_each_other<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let scripts: Vec<_> = (0..32).map(|n| Script::Once(SOON * (n * 7 % 32) / 16)).collect();
    follow(&subject, stage, &scripts)
}

pub(super) fn fire_beside_busy_futures<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let (busy, stop) = (Crew::default(), StopOnDrop::default());
    subject.block_on(async {
        let binding = subject.bind();
        (0..4).for_each(|_| binding.spawn(&busy, spin_until(stop.0.clone())));
    });
    follow(&subject, stage, &[Script::Once(SOON)])
        .map_err(|seen| format!("{seen}, beside futures that are busy"))?;
    drop(stop);
    subject.block_on(busy.all_end())
}

/// Has timers do what these scripts say, all at the same time.
fn follow<S: Subject>(subject: &S, stage: &Stage, scripts: &[Script]) -> Verdict {
    let crew = Crew::default();
    subject.block_on(async {
        stage.set("timers are made");
        let binding = subject.bind();
        let bench = Bench::new(binding.clock(), stage);
        for script in scripts {
            binding.spawn_script(&crew, *script, bench.clone());
        }
        let end = crew.all_end().await;
        bench.verdict()?;
        end.map_err(|seen| format!("a timer did not fire, while {}: {seen}", stage.get()))
    })
}
