//! What makes jobs of the payloads that an engine keeps.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plimsoll_core::Message;

use super::Delivery;

type Decode<J> = dyn Fn(Vec<u8>) -> Result<J, Message> + Send + Sync;

/// Makes jobs of payloads, for a [`Source`](super::Source) whose engine keeps bytes. What can't be decoded, or makes the decoder
/// panic, becomes a delivery that is dead, and the others go on.
///
/// ```
/// use plimsoll::source::Decoder;
///
/// let decoder = Decoder::new(String::from_utf8);
/// assert!(decoder.delivery(b"a job".to_vec(), "receipt", 1).job.is_ok());
/// assert!(decoder.delivery(vec![0xff], "receipt", 1).job.is_err());
/// ```
pub struct Decoder<J>(Box<Decode<J>>);

impl<J> Decoder<J> {
    /// Decodes with this function. The text of its error becomes the message of the dead letter.
    pub fn new<E, D>(decode: D) -> Self
    where
        E: fmt::Display,
        D: Fn(Vec<u8>) -> Result<J, E> + Send + Sync + 'static,
    {
        Self(Box::new(move |payload| {
            // A panic would end the puller.
            let decoded =
                catch_unwind(AssertUnwindSafe(|| decode(payload).map_err(|error| Message::of(&error))));
            decoded.unwrap_or_else(|panic| {
                drop(catch_unwind(AssertUnwindSafe(|| drop(panic))));
                Err(Message::from("the decoder has panicked"))
            })
        }))
    }

    /// A delivery of what this payload stands for, delivered for the `deliveries`th time. Never panics.
    pub fn delivery<R>(&self, payload: Vec<u8>, receipt: R, deliveries: u32) -> Delivery<J, R> {
        match (self.0)(payload) {
            Ok(job) => Delivery::new(job, receipt, deliveries),
            Err(why) => Delivery::undecodable(why, receipt, deliveries),
        }
    }
}

impl<J> fmt::Debug for Decoder<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    #[test]
    fn a_decoder_that_panics_makes_a_dead_delivery() {
        // An index that is out of bounds panics.
        let decoder = Decoder::new(|payload: Vec<u8>| Ok::<_, String>(payload[0]));
        assert_eq!(decoder.delivery(vec![1], (), 1).job.ok(), Some(1));
        let dead = decoder.delivery(Vec::new(), (), 3);
        assert_eq!(
            (dead.job.err().map(|why| why.to_string()), dead.deliveries),
            (Some("the decoder has panicked".to_owned()), 3)
        );
    }
}
