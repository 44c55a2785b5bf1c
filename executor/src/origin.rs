//! Where tasks were spawned, for those who look for one that is left over.
//!
//! A task has room for a small number only, so places have numbers. They are recorded on threads that ask for it, and cost one load elsewhere.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::Location;

/// The number of a place; 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin(u32);

type Place = &'static Location<'static>;

thread_local! {
    static IS_RECORDING: Cell<bool> = const { Cell::new(false) };
    /// The place of number n at n - 1, and the numbers by place.
    static PLACES: RefCell<(Vec<Place>, HashMap<Place, u32>)> = RefCell::default();
}

impl Origin {
    pub(crate) const NONE: Origin = Origin(0);

    /// Of whoever called the public function, if places are recorded on this thread.
    #[inline]
    #[track_caller]
    pub(crate) fn here() -> Origin {
        match IS_RECORDING.get() {
            false => Origin::NONE,
            true => Origin::of(Location::caller()),
        }
    }

    #[cold]
    fn of(place: Place) -> Origin {
        let number = PLACES.try_with(|places| {
            let (list, numbers) = &mut *places.borrow_mut();
            *numbers.entry(place).or_insert_with(|| {
                list.push(place);
                u32::try_from(list.len()).unwrap_or(0)
            })
        });
        Origin(number.unwrap_or(0))
    }

    pub(crate) fn place(self) -> Option<Place> {
        let index = (self.0 as usize).checked_sub(1)?;
        PLACES
            .try_with(|places| places.borrow().0.get(index).copied())
            .ok()?
    }
}

/// Records from now on where tasks are spawned on this thread, or no longer; says what it was before.
pub(crate) fn record(is_on: bool) -> bool {
    IS_RECORDING.replace(is_on)
}
