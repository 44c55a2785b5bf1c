//! Bytes that show when one is lost, repeated or out of place.

use std::io;

use futures_lite::{AsyncReadExt, AsyncWriteExt};

/// The byte at a position of stream number `stream`; no short period.
pub(crate) fn pattern(stream: u64, position: u64) -> u8 {
    let mixed = (position ^ stream.rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 29) as u8
}

/// The bytes of a range of positions.
pub(crate) fn piece(stream: u64, from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64)
        .map(|position| pattern(stream, position))
        .collect()
}

/// FNV-1a, continued from `sum`.
pub(crate) fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Where a checksum starts.
pub(crate) const SEED: u64 = 0xCBF2_9CE4_8422_2325;

/// Writes `total` bytes of a stream, `chunk` at a time.
pub(crate) async fn send(
    out: &mut (impl AsyncWriteExt + Unpin),
    stream: u64,
    total: u64,
    chunk: usize,
) -> io::Result<()> {
    let mut position = 0;
    while position < total {
        let len = chunk.min((total - position) as usize);
        out.write_all(&piece(stream, position, len)).await?;
        position += len as u64;
    }
    Ok(())
}

/// Reads to the end, at most `chunk` at a time, checks every byte and returns how many there were.
pub(crate) async fn receive(
    input: &mut (impl AsyncReadExt + Unpin),
    stream: u64,
    chunk: usize,
) -> io::Result<u64> {
    let (mut buffer, mut position) = (vec![0; chunk], 0);
    loop {
        let n = input.read(&mut buffer).await?;
        if n == 0 {
            return Ok(position);
        }
        for &byte in &buffer[..n] {
            assert_eq!(
                byte,
                pattern(stream, position),
                "at {position} of stream {stream}"
            );
            position += 1;
        }
    }
}
