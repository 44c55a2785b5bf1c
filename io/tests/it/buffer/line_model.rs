//! Lines of a buffer against lines of a vector: a model for the ordinary tests and for the fuzzer, whose inputs are the same bytes.
//!
//! The bytes come in pieces of any kind, are sometimes taken otherwise in between, and the kind of end changes on the way. The vector is looked through from
//! the beginning each time, byte by byte.

use levent_io::Buffer;
use levent_io::buffer::Eol;
use std::collections::VecDeque;
use std::sync::Arc;

const KINDS: [Eol; 5] = [Eol::Any, Eol::Crlf, Eol::CrlfStrict, Eol::Lf, Eol::Nul];

/// Runs the operations that the bytes are, and returns how many lines were taken.
pub(crate) fn run(mut input: &[u8]) -> usize {
    let mut buffer = Buffer::new();
    let mut model = VecDeque::new();
    let mut eol = Eol::Lf;
    let mut lines = 0;
    while let Some((&operation, rest)) = input.split_first() {
        input = rest;
        match operation % 16 {
            kind @ 0..=4 => eol = KINDS[usize::from(kind)],
            5 => {
                let count = usize::from(operation >> 4);
                assert_eq!(buffer.drain(count).unwrap(), count.min(model.len()));
                model.drain(..count.min(model.len()));
            }
            6 => {
                buffer.prepend(b"\r").unwrap();
                model.push_front(b'\r');
            }
            7 => {
                // What is moved away and back has not been looked at.
                let mut other = Buffer::new();
                other
                    .append_from(&mut buffer, usize::from(operation >> 4))
                    .unwrap();
                other.append_buffer(&mut buffer).unwrap();
                buffer.append_buffer(&mut other).unwrap();
            }
            8..=10 => lines += usize::from(take(&mut buffer, &mut model, eol)),
            11 => {
                let limit = usize::from(operation >> 4);
                let expected = first_line(&model, eol);
                match buffer.take_line_within(eol, limit) {
                    Ok(Some(line)) => {
                        let (text, end) = expected.expect("there is a line");
                        assert!(text <= limit && line.iter().eq(model.iter().take(text)));
                        model.drain(..end);
                        lines += 1;
                    }
                    Ok(None) => {
                        assert!(expected.is_none() && model.len().saturating_sub(1) <= limit)
                    }
                    Err(_) => match expected {
                        Some((text, _)) => assert!(text > limit),
                        None => assert!(model.len().saturating_sub(1) > limit),
                    },
                }
            }
            _ => {
                let count = (usize::from(operation >> 4) + 1).min(input.len());
                let (piece, rest) = input.split_at(count);
                input = rest;
                // Mostly ends of lines, or hardly any input would have one.
                let piece: Vec<_> = piece.iter().map(|byte| shown(*byte)).collect();
                model.extend(&piece);
                match operation % 4 {
                    0 => buffer.append(&piece).unwrap(),
                    1 => buffer.append_shared(Arc::from(piece)).unwrap(),
                    _ => {
                        let mut other = Buffer::from(piece);
                        buffer.append_buffer(&mut other).unwrap();
                    }
                }
            }
        }
        assert_eq!(buffer.len(), model.len());
    }
    while take(&mut buffer, &mut model, eol) {
        lines += 1;
    }
    lines
}

fn shown(byte: u8) -> u8 {
    match byte % 8 {
        0 | 1 => b'\n',
        2 | 3 => b'\r',
        4 => 0,
        _ => byte,
    }
}

/// Takes a line from both, and compares.
fn take(buffer: &mut Buffer, model: &mut VecDeque<u8>, eol: Eol) -> bool {
    let expected = first_line(model, eol);
    let found = buffer
        .search_eol(eol, 0)
        .map(|range| (range.start, range.end));
    assert_eq!(found, expected, "{eol:?}");
    let line = buffer.take_line(eol).unwrap();
    match expected {
        Some((text, end)) => {
            assert!(
                line.expect("there is a line")
                    .iter()
                    .eq(model.iter().take(text))
            );
            model.drain(..end);
            true
        }
        None => {
            assert_eq!(line, None);
            false
        }
    }
}

/// Where the first line's text ends, and where its end does.
fn first_line(model: &VecDeque<u8>, eol: Eol) -> Option<(usize, usize)> {
    let is = |at: usize, byte: u8| model.get(at) == Some(&byte);
    for at in 0..model.len() {
        match eol {
            Eol::Any if is(at, b'\r') || is(at, b'\n') => {
                let mut end = at;
                while is(end, b'\r') || is(end, b'\n') {
                    end += 1;
                }
                return Some((at, end));
            }
            Eol::Crlf if is(at, b'\n') => return Some((at, at + 1)),
            Eol::Crlf | Eol::CrlfStrict if is(at, b'\r') && is(at + 1, b'\n') => {
                return Some((at, at + 2));
            }
            Eol::Lf if is(at, b'\n') => return Some((at, at + 1)),
            Eol::Nul if is(at, 0) => return Some((at, at + 1)),
            _ => {}
        }
    }
    None
}
