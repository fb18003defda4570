//! Node's `EventEmitter`, for one type of events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

type Listener<T> = Rc<dyn Fn(&T)>;
type ByEvent<T> = BTreeMap<&'static str, Vec<(ListenerId, Listener<T>)>>;

/// Keeps listeners by the name of the event, and calls them in the order in which they came. Clones share it.
pub struct EventEmitter<T> {
    listeners: Rc<RefCell<ByEvent<T>>>,
    ids: Rc<Cell<u64>>,
}

/// Names a registered listener. In the original the function itself does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerId(u64);

impl<T> EventEmitter<T> {
    /// Registers a listener. The emitter keeps it until it is removed.
    pub fn on(&self, event: &'static str, listener: impl Fn(&T) + 'static) -> ListenerId {
        let id = ListenerId(self.ids.get());
        self.ids.set(id.0 + 1);
        self.listeners.borrow_mut().entry(event).or_default().push((id, Rc::new(listener)));
        id
    }

    /// Removes one listener and nobody else's.
    pub fn off(&self, event: &'static str, id: ListenerId) {
        let mut listeners = self.listeners.borrow_mut();
        let Some(of_event) = listeners.get_mut(event) else { return };
        let place = of_event.iter().position(|(other, _)| *other == id);
        let removed = place.map(|place| of_event.remove(place));
        drop(listeners);
        drop(removed);
    }

    /// Calls the event's listeners; whether there was one.
    pub fn emit(&self, event: &'static str, value: &T) -> bool {
        let called: Vec<_> = self.listeners.borrow().get(event).into_iter().flatten().cloned().collect();
        called.iter().for_each(|(_, listener)| listener(value));
        !called.is_empty()
    }

    /// How many listeners an event has.
    #[must_use]
    pub fn listener_count(&self, event: &'static str) -> usize {
        self.listeners.borrow().get(event).map_or(0, Vec::len)
    }
}

impl<T> Clone for EventEmitter<T> {
    fn clone(&self) -> Self {
        Self { listeners: self.listeners.clone(), ids: self.ids.clone() }
    }
}

impl<T> Default for EventEmitter<T> {
    fn default() -> Self {
        Self { listeners: Rc::default(), ids: Rc::default() }
    }
}

impl<T> fmt::Debug for EventEmitter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = self.listeners.borrow();
        f.debug_map().entries(listeners.iter().map(|(event, of_event)| (event, of_event.len()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_removed_listener_goes() {
        let emitter = EventEmitter::default();
        let heard = Rc::new(Cell::new(0));
        let listen = |weight: i32| {
            let heard = heard.clone();
            move |value: &i32| heard.set(heard.get() + weight * value)
        };
        let (one, ten) = (emitter.on("task", listen(1)), emitter.on("task", listen(10)));
        assert!(emitter.emit("task", &2) && !emitter.emit("error", &2));
        assert_eq!(heard.get(), 22);
        emitter.off("task", one);
        emitter.off("error", ten);
        assert_eq!(emitter.listener_count("task"), 1);
        assert!(emitter.emit("task", &1));
        assert_eq!(heard.get(), 32);
        emitter.off("task", ten);
        assert_eq!((Rc::strong_count(&heard), emitter.emit("task", &1)), (1, false));
    }
}
