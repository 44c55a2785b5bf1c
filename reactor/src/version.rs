//! The version as a number.

/// See [`VERSION_NUMBER`](crate::VERSION_NUMBER).
pub(crate) const NUMBER: u32 = byte(env!("CARGO_PKG_VERSION_MAJOR")) << 24
    | byte(env!("CARGO_PKG_VERSION_MINOR")) << 16
    | byte(env!("CARGO_PKG_VERSION_PATCH")) << 8
    | !env!("CARGO_PKG_VERSION_PRE").is_empty() as u32;

/// A decimal number; the largest that fits for one that does not.
const fn byte(text: &str) -> u32 {
    let digits = text.as_bytes();
    let (mut at, mut number) = (0, 0);
    while at < digits.len() {
        number = number * 10 + (digits[at] - b'0') as u32;
        at += 1;
    }
    if number < 255 { number } else { 255 }
}
