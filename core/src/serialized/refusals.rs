//! Refusals by reason: a map of those that there were.

use core::fmt;

use serde::de::MapAccess;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{ByRefusal, Refusal};

impl Serialize for ByRefusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = Refusal::ALL.iter().map(|reason| (reason, self.get(*reason)));
        let counts = counts.filter(|(_, count)| *count > 0);
        // Binary formats need to know how many there are before the first.
        let mut map = serializer.serialize_map(Some(counts.clone().count()))?;
        for (reason, count) in counts {
            map.serialize_entry(reason, &count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for ByRefusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = ByRefusal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counts by reason of refusal")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByRefusal, A::Error> {
        let mut counts = ByRefusal::default();
        while let Some((reason, count)) = map.next_entry()? {
            counts.add(reason, count);
        }
        Ok(counts)
    }
}
