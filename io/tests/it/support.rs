//! What several tests need.

use std::path::Path;

/// Bytes of a seed, the same each time.
pub(crate) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u8
    };
    (0..len).map(step).collect()
}

/// Runs a fuzz target's model with every input that was kept.
pub(crate) fn replay(target: &str, run: fn(&[u8]) -> usize) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut replayed = 0;
    for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
        run(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "there is a corpus of {target}");
}
