//! The model under random operations, and under what the fuzzer has kept.

use super::{line_model, model};
use crate::support::{replay, under_seeds};

/// Operations in one run, and bytes for each of them: about what one reads.
const RUN: usize = 1000;
const BYTES: usize = 8;

/// A hundred thousand operations of all kinds on two buffers and their models (EB-3, EB-4, EB-100, EB-101).
///
/// `LEVENT_SEED` repeats one run, and `LEVENT_RUNS` sets how many there are.
#[test]
fn buffers_agree_with_vectors() {
    let runs = std::env::var("LEVENT_RUNS").ok();
    let runs = runs.and_then(|runs| runs.parse().ok()).unwrap_or(150);
    let steps = under_seeds(runs, RUN * BYTES, model::run);
    if let (Some(steps), 150..) = (steps, runs) {
        assert!(steps >= 100_000, "{steps} operations");
    }
}

/// Some thousand lines of five kinds, in pieces, against a search from the beginning each time (EB-67, EB-72, EB-77).
///
/// `LEVENT_SEED` repeats one run.
#[test]
fn lines_agree_with_vectors() {
    if let Some(lines) = under_seeds(200, 2_000, line_model::run) {
        assert!(lines >= 5_000, "{lines} lines");
    }
}

/// What the fuzzer has found worth keeping still holds (EB-3, EB-4, EB-67).
#[test]
fn corpus_is_replayed() {
    replay("buffer", model::run);
    replay("lines", line_model::run);
}
