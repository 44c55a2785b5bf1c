//! Bugs that have bitten users of event loops, by the symptom. Those that another page's test proves are listed here.
//!
//! | Bug | Test |
//! |---|---|
//! | B1, libuv#4250 | here |
//! | B2, tokio#8334 | here; `lib engine::deadlines::tests::ticks_beside_a_month` |
//! | B3, libevent#1727 | here; common timeouts, `remote::deleted_nearest_deadline_is_not_waited_for` |
//! | B4, libevent#1530 | here |
//! | B6, rakshasa/libtorrent#757 | here; `idle::deadlines_are_not_approached_by_spinning` |
//! | B7, libevent#379 | here |
//! | B8, libuv@06cb00c84 | here |
//! | B13, libuv#5039 | here |
//! | B15, tokio-core#172 | here |
//! | B17, libuv#4328 | here |
//! | B21, libuv#3483 | here |
//! | B23, libevent#741 | here |
//! | B24, libevent#1460, tmux/tmux#3626 | here |
//! | B25, libevent#225, libevent#512 | here |
//! | B43, tokio#4044 | `lib clock::tests::reading_before_the_origin_is_zero` |
//! | B46, systemd#13236, libevent#1466 | here |
//! | B48, libevent#636 | here |
//! | B50, embassy@a2aa93f81 | here; `lib engine::deadlines::tests::reset_and_remove_at_expiry` |

mod descriptors;
mod signals;
mod threads;
mod timers;

use std::cell::Cell;
use std::rc::Rc;

use levent_reactor::{Event, Flags, LoopFlags};

use crate::support::*;

/// B46: with aging a level has its turn after so many passes, however much there is to do above; without, never (ACT-12).
#[test]
fn b46_low_priority_has_its_turn() {
    for aging in [0_u32, 1, 5] {
        for_each_backend_with(
            |config| config.aging(aging),
            |base| {
                base.set_priorities(3).unwrap();
                let (busy, low) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0_u32)));
                let counts = busy.clone();
                let high = Event::user(base, move |event, _| {
                    counts.set(counts.get() + 1);
                    if counts.get() == 100 {
                        event.base().unwrap().loop_break();
                    }
                    event.activate_later(Flags::NONE);
                });
                high.set_priority(0).unwrap();
                let counts = low.clone();
                let idle = Event::user(base, move |event, _| {
                    counts.set(counts.get() + 1);
                    event.activate_later(Flags::NONE);
                });
                idle.set_priority(2).unwrap();
                high.activate(Flags::NONE);
                idle.activate(Flags::NONE);
                base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
                assert_eq!(busy.get(), 100);
                let expected = 100_u32.checked_div(aging).unwrap_or(0);
                assert!(
                    low.get().abs_diff(expected) <= 1 + expected / 10,
                    "{} turns with aging {aging}",
                    low.get()
                );
                high.del().unwrap();
                idle.del().unwrap();
            },
        );
    }
}
