//! What several tests need.

use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Command;

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

/// Runs a model with the random bytes of so many seeds, or with the one in `LEVENT_SEED`, and adds up what it answers; `None` for one seed alone, of which
/// nothing can be asked. The seed of a failure is printed.
pub(crate) fn under_seeds(seeds: u64, len: usize, run: fn(&[u8]) -> usize) -> Option<usize> {
    let only = std::env::var("LEVENT_SEED").ok();
    let only: Option<u64> = only.and_then(|seed| seed.parse().ok());
    let mut total = 0;
    for seed in only.map_or(0..seeds, |seed| seed..seed + 1) {
        let bytes = random(seed, len);
        match catch_unwind(|| run(&bytes)) {
            Ok(done) => total += done,
            Err(panic) => {
                println!("LEVENT_SEED={seed} repeats it");
                resume_unwind(panic);
            }
        }
    }
    only.is_none().then_some(total)
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

/// Says which test a process was started for.
pub(crate) const MARK: &str = "LEVENT_IO_CHILD";

/// Are we the process that this test was started in for itself?
pub(crate) fn is_child(name: &str) -> bool {
    std::env::var(MARK).is_ok_and(|child| child == name)
}

/// Has a command that ends with this binary's path run one test of it.
pub(crate) fn as_child(mut command: Command, name: &str) -> Command {
    command
        .args([name, "--exact", "--nocapture"])
        .env(MARK, name);
    command
}

/// Runs it, and passes on its failure.
pub(crate) fn run_child(command: Command, name: &str) {
    let output = as_child(command, name)
        .output()
        .expect("the command starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // "1 passed" as well: a misspelled name runs nothing, and that succeeds.
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{name} failed in its own process ({}):\n{stdout}\n{stderr}",
        output.status
    );
}

/// True in the process that shall do the work; elsewhere starts that process, with only that test in it, and passes on its failure.
pub(crate) fn in_child(name: &str) -> bool {
    if is_child(name) {
        return true;
    }
    let binary = std::env::current_exe().expect("a running test has a path");
    run_child(Command::new(binary), name);
    false
}
