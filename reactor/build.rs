//! Sets `levent_std_pipes` where std has `PipeReader` and `PipeWriter` (Rust 1.87), which are `IoSafe` then, as in async-io.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(levent_std_pipes)");
    if minor_version().is_some_and(|minor| minor >= 87) {
        println!("cargo::rustc-cfg=levent_std_pipes");
    }
}

/// The 87 of `rustc 1.87.0 (…)`; a compiler that says something else is taken for an old one.
fn minor_version() -> Option<u32> {
    let output = Command::new(env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let number = version.strip_prefix("rustc 1.")?;
    number.split('.').next()?.parse().ok()
}
