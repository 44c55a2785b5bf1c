//! The model under random operations, and under what the fuzzer has kept.

use super::model;
use crate::support::{replay, under_seeds};

/// Made-up limits and some ten thousand operations on streams that obey them (RL-2, RL-3, RL-6).
///
/// `LEVENT_SEED` repeats one run.
#[test]
fn any_limit_holds() {
    if let Some(grants) = under_seeds(400, 400, model::run) {
        assert!(grants >= 2_000, "{grants} grants");
    }
}

/// What the fuzzer has found worth keeping still holds (RL-2, RL-3).
#[test]
fn corpus_is_replayed() {
    replay("limits", model::run);
}
