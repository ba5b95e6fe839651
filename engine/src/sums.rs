//! Sums of what the cores count, each for itself.

/// Adds the counters of one value to those of another. Every field of the type is named, so that a new one cannot be
/// forgotten: first those that are added, then those that the caller sees to.
macro_rules! add_counters {
    ($sum:expr, $other:expr, $kind:ident { $($counter:ident),+ $(,)? } but { $($other_field:ident),+ }) => {
        let $kind { $($counter,)+ $($other_field: _,)+ } = $other;
        $($sum.$counter += $counter;)+
    };
}
pub(crate) use add_counters;
