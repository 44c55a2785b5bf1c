//! `pair-smol [ROUND_TRIPS [ROUNDS]]`: levent-bench's `both/pair.rs` on smol.

#[path = "../../../src/both/pair.rs"]
mod pair;

fn main() -> std::io::Result<()> {
    pair::main()
}
