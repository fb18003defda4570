//! The table of the parts of the machine.

/// Hands the table to the macro with this name, which makes a `match` or an enum of it.
///
/// A row names a part, its file, and the pairs of first bytes with which a step is one of its own; the first row that
/// has a pair takes it. The rows below share the second byte, whatever the first one is. A row that is added takes
/// some values of the first byte from all of them, but not zero, and has the second one for itself. So it stands above
/// them, as `Lanes(lanes): (200..=205, _)`, and kept scripts, which have zero there, do what they did.
macro_rules! for_each_part {
    ($then:ident) => {
        $then! {
            Sources(sources): (188..=196, _),
            Classes(classes): (197, _),
            Overflow(overflow): (198 | 199, _),
            Lanes(lanes): (200..=205, _),
            Schedules(schedules): (206..=209, _),
            Monitor(monitor): (216..=219, _),
            Submissions(submissions): (_, 0..=31),
            Sleeps(sleeps): (_, 32..=39 | 52..=54 | 107 | 108 | 254 | 255),
            Permits(permits): (_, 40..=51 | 55..=60),
            Tasks(tasks): (_, 61..=86),
            Emitters(emitters): (_, 87..=98),
            Subscribers(subscribers): (_, 99..=106 | 109..=112),
            Gate(gate): (_, 113..=142),
            Attempts(attempts): (_, 143..=187),
            Observer(observer): (_, 193 | 228..=230),
            Time(time): (_, 188..=192 | 194..=219 | 231 | 232),
            Effects(effects): (_, 220..=227 | 247..=253),
            Cache(cache): (_, 233..=246),
        }
    };
}

pub(super) use for_each_part;
