//! The model under random operations, and under what the fuzzer has kept.

use std::panic::catch_unwind;

use super::model;
use crate::support::{random, replay};

/// Made-up limits and some ten thousand operations on streams that obey them (RL-2, RL-3, RL-6).
///
/// `LEVENT_SEED` repeats one run.
#[test]
fn any_limit_holds() {
    let seed = std::env::var("LEVENT_SEED").ok();
    let seeds = match seed.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..400,
    };
    let (runs, mut grants) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        let bytes = random(seed, 400);
        match catch_unwind(|| model::run(&bytes)) {
            Ok(done) => grants += done,
            Err(panic) => {
                println!("LEVENT_SEED={seed} repeats it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(runs < 400 || grants >= 2_000, "{grants} grants");
}

/// What the fuzzer has found worth keeping still holds (RL-2, RL-3).
#[test]
fn corpus_is_replayed() {
    replay("limits", model::run);
}
