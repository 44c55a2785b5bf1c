//! The model under random operations, and under what the fuzzer has kept.

use super::model;
use std::panic::catch_unwind;
use std::path::Path;

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

/// What the fuzzer has found worth keeping still holds (EB-3, EB-4).
#[test]
fn corpus_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/buffer");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        model::run(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "there is a corpus");
}

/// Bytes of a seed, the same each time.
fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u8
    };
    (0..len).map(step).collect()
}
