//! Notices an episode that hangs, and panics that nobody planned.

use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::World;

struct Watched {
    label: String,
    stage: String,
    since: Instant,
    world: Weak<World>,
}

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Starts the thread that ends the process when a stage of an episode takes longer than it may.
pub fn start(patience: Duration) -> std::io::Result<()> {
    let watch = move || {
        loop {
            thread::sleep(Duration::from_millis(500));
            let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(watched) = watched.as_ref().filter(|watched| watched.since.elapsed() > patience) else {
                continue;
            };
            println!("FINDING hang: {}: it hangs while: {}", watched.label, watched.stage);
            if let Some(world) = watched.world.upgrade() {
                println!("  {world:?}");
            }
            std::process::exit(1);
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
    std::panic::set_hook(Box::new(note_panic));
    Ok(())
}

/// An episode begins.
pub fn watch(label: &str, world: &Arc<World>) {
    let (label, stage) = (label.to_owned(), "starting".to_owned());
    let watched = Watched { label, stage, since: Instant::now(), world: Arc::downgrade(world) };
    *WATCHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
}

/// The episode has come to this.
pub fn stage(name: &str) {
    if let Some(watched) = WATCHED.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        watched.stage.clear();
        watched.stage.push_str(name);
        watched.since = Instant::now();
    }
}

/// Nothing is watched any more.
pub fn rest() {
    *WATCHED.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Planned panics do not come here: they call no hook.
fn note_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    let place = info.location().map_or_else(String::new, ToString::to_string);
    let by_runtime = message.contains("context was found, but it is being shutdown")
        || (message.contains("timer") && message.contains("shutdown"));
    // What tokio says when a sleep is polled while the runtime is being dropped.
    if !by_runtime {
        let panic = format!("{message}, at {place}");
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(panic);
    }
}

/// The panics since the last call that nobody planned.
pub fn take_panics() -> Vec<String> {
    std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner))
}
