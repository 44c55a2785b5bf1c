//! `pair-ours [ROUND_TRIPS [ROUNDS]]`: the program of `both/pair.rs` on levent-smol.

#[path = "../both/pair.rs"]
mod pair;

fn main() -> std::io::Result<()> {
    pair::main()
}
