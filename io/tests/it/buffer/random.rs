//! The model under random operations, and under what the fuzzer has kept.

use super::{line_model, model};
use crate::support::{random, replay};
use std::panic::catch_unwind;

/// Operations in one run, and bytes for each of them: about what one reads.
const RUN: usize = 1000;
const BYTES: usize = 8;

/// A hundred thousand operations of all kinds on two buffers and their models (EB-3, EB-4, EB-100, EB-101).
///
/// `LEVENT_SEED` repeats one run, and `LEVENT_RUNS` sets how many there are.
#[test]
fn buffers_agree_with_vectors() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("LEVENT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LEVENT_RUNS").unwrap_or(150),
    };
    let (runs, mut steps) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        let bytes = random(seed, RUN * BYTES);
        match catch_unwind(|| model::run(&bytes)) {
            Ok(done) => steps += done,
            Err(panic) => {
                println!("LEVENT_SEED={seed} repeats it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(runs < 150 || steps >= 100_000, "{steps} operations");
}

/// Some thousand lines of five kinds, in pieces, against a search from the beginning each time (EB-67, EB-72, EB-77).
///
/// `LEVENT_SEED` repeats one run.
#[test]
fn lines_agree_with_vectors() {
    let seed = std::env::var("LEVENT_SEED").ok();
    let seeds = match seed.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..200,
    };
    let (runs, mut lines) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        let bytes = random(seed, 2_000);
        match catch_unwind(|| line_model::run(&bytes)) {
            Ok(taken) => lines += taken,
            Err(panic) => {
                println!("LEVENT_SEED={seed} repeats it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(runs < 200 || lines >= 5_000, "{lines} lines");
}

/// What the fuzzer has found worth keeping still holds (EB-3, EB-4, EB-67).
#[test]
fn corpus_is_replayed() {
    replay("buffer", model::run);
    replay("lines", line_model::run);
}
