//! Two buffers and two vectors: whatever is done to both, they hold the same bytes.
//!
//! The operations are read from bytes, so that a generator of random numbers and a fuzzer drive the same code: `random.rs` beside this file and
//! `fuzz/fuzz_targets/buffer.rs`, which includes it.
//!
//! Invariants, after each operation
//! 1. The bytes are the model's, and so is what each way of looking at them shows.
//! 2. The operation succeeded if and only if the model says so; if not, nothing has changed.
//! 3. Observers were told of what was added and deleted, and of nothing else.

use levent_io::Buffer;
use levent_io::buffer::{Eol, Segment, Side};
use std::fs::File;
use std::io::{BufRead, IoSlice, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The longest that a buffer is allowed to become before half of it is drained.
const LEN_MAX: usize = 40_000;

static TEXT: [u8; 3000] = text();

/// A little of everything that means something, and no long repetitions; in the first half no end of a line, so that some searches find none.
const fn text() -> [u8; 3000] {
    let mut bytes = [0; 3000];
    let letters = *b"abacaaab\r\ncd\n\0ab\r\n";
    let (mut index, mut state) = (0, 12345_u32);
    while index < bytes.len() {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let kinds = if index < 1500 { 8 } else { letters.len() };
        bytes[index] = letters[(state >> 16) as usize % kinds];
        index += 1;
    }
    bytes
}

/// A buffer, what it should hold, and what its observer was told.
struct Pair {
    real: Buffer,
    model: Vec<u8>,
    /// Sums of what was added and deleted, and where the last change ended.
    told: Arc<[AtomicUsize; 3]>,
    /// What should have been told.
    added: usize,
    deleted: usize,
    is_deferred: bool,
}

impl Pair {
    fn new() -> Pair {
        let mut real = Buffer::new();
        let told = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let copy = told.clone();
        real.observe(move |buffer, change| {
            assert_eq!(change.before, copy[2].load(Ordering::Relaxed));
            assert_eq!(change.after(), buffer.len());
            assert!(change.added + change.deleted > 0);
            copy[0].fetch_add(change.added, Ordering::Relaxed);
            copy[1].fetch_add(change.deleted, Ordering::Relaxed);
            copy[2].store(change.after(), Ordering::Relaxed);
        });
        Pair {
            real,
            model: Vec::new(),
            told,
            added: 0,
            deleted: 0,
            is_deferred: false,
        }
    }

    fn front(&self) -> bool {
        !self.real.is_frozen(Side::Front)
    }

    fn back(&self) -> bool {
        !self.real.is_frozen(Side::Back)
    }

    /// What should have been appended, if it was allowed.
    fn appended(&mut self, is_done: bool, data: &[u8]) {
        if is_done {
            self.model.extend_from_slice(data);
            self.added += data.len();
        }
    }

    /// What should have been taken.
    fn taken(&mut self, count: usize) -> Vec<u8> {
        self.deleted += count;
        self.model.drain(..count).collect()
    }

    fn check(&self) {
        assert_eq!(self.real.len(), self.model.len());
        let mut rest = &self.model[..];
        for piece in self.real.slices(..) {
            assert!(!piece.is_empty());
            let expected;
            (expected, rest) = rest.split_at(piece.len());
            assert!(piece == expected, "the bytes differ");
        }
        assert!(rest.is_empty());
        if !self.is_deferred {
            assert_eq!(self.told[0].load(Ordering::Relaxed), self.added);
            assert_eq!(self.told[1].load(Ordering::Relaxed), self.deleted);
        }
    }
}

/// The operations that are still to come.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    /// A count: mostly small, sometimes larger than blocks, and seldom absurd.
    fn count(&mut self) -> usize {
        let (kind, low) = (self.byte(), usize::from(self.byte()));
        match kind {
            0..128 => low % 32,
            128..208 => low * 17,
            208..240 => low * 80,
            240..252 => usize::from(kind - 240) * 4096 + low % 3,
            252 => usize::MAX - low,
            253 => isize::MAX as usize - low,
            254 => u32::MAX as usize - low,
            _ => i32::MAX as usize - low,
        }
    }

    /// The same, for what has to be done: no more than a few thousand.
    fn small(&mut self) -> usize {
        self.count() % 9000
    }

    fn data(&mut self) -> &'static [u8] {
        let start = usize::from(self.byte()) * 11;
        let len = self.count() % (TEXT.len() - start);
        &TEXT[start..start + len]
    }

    fn eol(&mut self) -> Eol {
        match self.byte() % 5 {
            0 => Eol::Any,
            1 => Eol::Crlf,
            2 => Eol::CrlfStrict,
            3 => Eol::Lf,
            _ => Eol::Nul,
        }
    }

    fn side(&mut self) -> Side {
        match self.byte() % 2 {
            0 => Side::Front,
            _ => Side::Back,
        }
    }
}

/// Does what `data` says, and panics if a buffer and its model differ. Returns how many operations that were.
pub(crate) fn run(data: &[u8]) -> usize {
    let mut input = Input(data);
    let mut steps = 0;
    let (mut one, mut two) = (Pair::new(), Pair::new());
    while !input.0.is_empty() {
        if input.byte() % 4 == 0 {
            std::mem::swap(&mut one, &mut two);
        }
        step(&mut input, &mut one, &mut two);
        steps += 1;
        one.check();
        two.check();
        for pair in [&mut one, &mut two] {
            if pair.model.len() > LEN_MAX {
                pair.real.unfreeze(Side::Front);
                let half = pair.model.len() / 2;
                assert_eq!(pair.real.drain(half).unwrap(), half);
                pair.taken(half);
            }
        }
    }
    steps
}

/// One operation, with the model's opinion of it.
fn step(input: &mut Input<'_>, one: &mut Pair, two: &mut Pair) {
    match input.byte() % 40 {
        0..16 => add(input, one),
        16..24 => take(input, one),
        24..28 => look(input, one),
        28..34 => exchange(input, one, two),
        34..37 => lines(input, one),
        _ => settings(input, one),
    }
}

fn add(input: &mut Input<'_>, pair: &mut Pair) {
    let (front, back) = (pair.front(), pair.back());
    match input.byte() % 14 {
        0 | 1 => {
            let data = input.data();
            assert_eq!(pair.real.append(data).is_ok(), back);
            pair.appended(back, data);
        }
        2 => {
            let (first, second) = (input.data(), input.data());
            let slices = [first, second].map(IoSlice::new);
            let total = first.len() + second.len();
            let answer = pair.real.append_vectored(&slices).ok();
            assert_eq!(answer, back.then_some(total));
            pair.appended(back, &[first, second].concat());
        }
        3 => {
            let (width, number) = (input.small(), input.byte());
            let expected = format!("<{number:>width$}>");
            assert_eq!(write!(pair.real, "<{number:>width$}>").is_ok(), back);
            pair.appended(back, expected.as_bytes());
        }
        4 => {
            let data = input.data();
            let is_done = front || data.is_empty();
            assert_eq!(pair.real.prepend(data).is_ok(), is_done);
            if is_done {
                pair.model.splice(0..0, data.iter().copied());
                pair.added += data.len();
            }
        }
        5 => {
            // More than a length can be is refused. What lies in between is not asked for: it might be given, and a sanitizer's
            // allocator ends the program instead of refusing.
            let count = input.count();
            if count < 40_000 {
                pair.real.expand(count).unwrap();
            } else if count > isize::MAX as usize - pair.model.len() {
                assert!(pair.real.expand(count).is_err());
            }
        }
        6 | 7 => {
            let (count, fill) = (input.small(), input.data());
            let committed = reserve(input, &mut pair.real, count, fill);
            assert_eq!(committed.is_some(), back);
            if let Some([first, second]) = committed {
                pair.appended(true, first);
                pair.appended(true, second);
            }
        }
        8 => {
            let data = input.data();
            assert_eq!(pair.real.append_static(data).is_ok(), back);
            pair.appended(back, data);
        }
        9 => {
            let data = input.data();
            assert_eq!(pair.real.append_shared(Arc::from(data)).is_ok(), back);
            pair.appended(back, data);
        }
        10 => {
            let (data, offset, len) = (input.data(), input.count(), input.count());
            let part = offset
                .checked_add(len)
                .and_then(|end| data.get(offset..end))
                .filter(|_| back);
            let owner = Arc::new(data.to_vec());
            let answer = pair.real.append_owner_part(owner, offset, len);
            assert_eq!(answer.is_ok(), part.is_some());
            pair.appended(part.is_some(), part.unwrap_or_default());
        }
        11 => {
            let (offset, len) = (input.count(), input.count());
            let segment = Segment::new(file(), 0, None).unwrap();
            if input.byte() % 4 == 0 {
                segment.load().unwrap();
            }
            let part = offset
                .checked_add(len)
                .and_then(|end| TEXT.get(offset..end))
                .filter(|_| back);
            let answer = pair.real.append_segment(&segment, offset, Some(len));
            assert_eq!(answer.ok(), part.map(<[u8]>::len));
            pair.appended(part.is_some(), part.unwrap_or_default());
        }
        12 => {
            let (mut data, limit) = (input.data(), input.count());
            let all = data;
            let expected = limit.min(all.len()).min(pair.real.max_read());
            let answer = pair.real.read_from(&mut data, limit).ok();
            // A reader that has no vectored reads, or a room that is smaller, may bring less; not here, where the room is enough.
            assert_eq!(answer, back.then_some(expected));
            pair.appended(back, &all[..expected]);
        }
        _ => {
            let data = input.data();
            pair.real.extend(data);
            pair.appended(back, data);
        }
    }
}

/// Reserves room, fills it, and commits some of it: which bytes of `fill`, unless the reservation was refused.
fn reserve(
    input: &mut Input<'_>,
    buffer: &mut Buffer,
    count: usize,
    fill: &'static [u8],
) -> Option<[&'static [u8]; 2]> {
    let room = match input.byte() % 2 {
        0 => buffer.reserve_split(count),
        _ => buffer.reserve(count),
    };
    let mut room = room.ok()?;
    assert!(room.capacity() >= count);
    let [first, second] = room.pieces();
    let (one, rest) = fill.split_at(fill.len().min(first.len()));
    let two = &rest[..rest.len().min(second.len())];
    first[..one.len()].copy_from_slice(one);
    second[..two.len()].copy_from_slice(two);
    let too_much = [0, second.len() + 1];
    match input.byte() % 4 {
        0 => {
            room.commit(one.len() + two.len()).unwrap();
            return Some([one, two]);
        }
        1 => {
            let halves = [&one[..one.len() / 2], &two[..two.len() / 2]];
            room.commit_parts(&halves.map(<[u8]>::len)).unwrap();
            return Some(halves);
        }
        2 => assert!(room.commit_parts(&too_much).is_err()),
        _ => drop(room),
    }
    Some([&[], &[]])
}

fn take(input: &mut Input<'_>, pair: &mut Pair) {
    let (front, len) = (pair.front(), pair.model.len());
    let is_done = front || len == 0;
    let count = input.count();
    let least = count.min(len);
    match input.byte() % 8 {
        0 => {
            assert_eq!(pair.real.drain(count).ok(), is_done.then_some(least));
            if is_done {
                pair.taken(least);
            }
        }
        1 => {
            let answer = pair.real.take_vec(count).ok();
            let is_done = front || least == 0;
            assert_eq!(answer.is_some(), is_done);
            if is_done {
                assert!(answer == Some(pair.taken(least)));
            }
        }
        2 => {
            let mut into = vec![0; count % 9000];
            let least = into.len().min(len);
            let is_done = front || least == 0;
            assert_eq!(pair.real.read(&mut into).ok(), is_done.then_some(least));
            if is_done {
                assert!(into[..least] == pair.taken(least));
            }
        }
        3 => {
            let mut into = vec![0; count % 9000];
            let is_done = into.len() <= len && (front || into.is_empty());
            assert_eq!(pair.real.read_exact(&mut into).is_ok(), is_done);
            if is_done {
                assert!(into == pair.taken(into.len()));
            }
        }
        4 => {
            let answer = pair.real.fill_buf();
            assert_eq!(answer.is_ok(), is_done);
            let shown = answer.map_or(0, <[u8]>::len);
            pair.real.consume(least.min(shown));
            pair.taken(least.min(shown));
        }
        5 | 6 => {
            let mut written = Vec::new();
            // A file is written in pieces, so less than the limit may go at once.
            let answer = pair.real.write_to(&mut written, count);
            assert_eq!(answer.is_ok(), is_done);
            let count = answer.unwrap_or(0);
            assert!(count <= least && (count > 0) == (is_done && least > 0));
            assert!(written == pair.taken(count));
        }
        _ => {
            let mut target = file_to_write();
            let answer = pair.real.send_to(&mut target, count);
            assert_eq!(answer.is_ok(), is_done);
            let count = answer.unwrap_or(0);
            assert!(count <= least && (count > 0) == (is_done && least > 0));
            pair.taken(count);
        }
    }
}

fn look(input: &mut Input<'_>, pair: &mut Pair) {
    let (front, len) = (pair.front(), pair.model.len());
    let (from, count) = (input.count(), input.count());
    let least = count.min(len.saturating_sub(from));
    match input.byte() % 7 {
        0 => {
            let answer = pair.real.pull_up(count).ok();
            assert!(answer == pair.model.get(..count));
        }
        1 => {
            let mut into = vec![0; count % 9000];
            let least = into.len().min(len.saturating_sub(from));
            let is_done = from <= len && (front || least == 0);
            let answer = pair.real.copy_out_at(from, &mut into).ok();
            assert_eq!(answer, is_done.then_some(least));
            if is_done {
                assert!(into[..least] == pair.model[from..][..least]);
            }
        }
        2 => {
            let mut slices = [IoSlice::new(&[]); 5];
            let needed = pair.real.peek(from, count, &mut slices);
            let shown: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            assert!(needed == 0 || pair.model[from..].starts_with(&shown));
            assert!(needed > 5 || shown.len() >= least);
            assert_eq!(needed > 0, least > 0);
        }
        3 => {
            let shown: Vec<&[u8]> = pair.real.slices(from..from.saturating_add(count)).collect();
            let expected = pair.model.get(from..from.saturating_add(least));
            assert!(shown.concat() == expected.unwrap_or_default());
            assert_eq!(pair.real.byte_at(from), pair.model.get(from).copied());
        }
        4 => {
            let what = input.data();
            let what = &what[..what.len().min(20)];
            let end = from.saturating_add(count).min(len);
            let expected = match pair.model.get(from..end.max(from)) {
                Some(part) if what.is_empty() => Some(0).filter(|_| part.len() <= len),
                Some(part) => part.windows(what.len()).position(|window| window == what),
                None => None,
            };
            let found = pair.real.search_in(what, from..from.saturating_add(count));
            assert_eq!(found, expected.map(|at| from + at));
        }
        5 => {
            let cursor = pair.real.cursor(from);
            assert_eq!(cursor.is_ok(), from <= len);
            let Ok(mut cursor) = cursor else { return };
            let is_within = from.checked_add(count).is_some_and(|end| end <= len);
            assert_eq!(cursor.advance(count).is_ok(), is_within);
            let at = if is_within { from + count } else { from };
            assert_eq!(cursor.position(), at);
            let mut rest = Vec::new();
            cursor.read_to_end(&mut rest).unwrap();
            assert!(rest == pair.model[at..]);
        }
        _ => assert!(pair.real.to_vec().unwrap() == pair.model),
    }
}

fn exchange(input: &mut Input<'_>, one: &mut Pair, two: &mut Pair) {
    let source = two.model.len();
    let count = input.count();
    match input.byte() % 5 {
        0 => {
            let is_done = source == 0 || one.back() && two.front();
            let answer = one.real.append_buffer(&mut two.real).ok();
            assert_eq!(answer, is_done.then_some(source));
            let moved = if is_done { two.taken(source) } else { vec![] };
            one.appended(is_done, &moved);
        }
        1 => {
            let is_done = source == 0 || one.front() && two.front();
            let answer = one.real.prepend_buffer(&mut two.real).ok();
            assert_eq!(answer, is_done.then_some(source));
            if is_done {
                let moved = two.taken(source);
                one.added += moved.len();
                one.model.splice(0..0, moved);
            }
        }
        2 | 3 => {
            let least = count.min(source);
            let is_done = least == 0 || one.back() && two.front();
            let answer = one.real.append_from(&mut two.real, count).ok();
            assert_eq!(answer, is_done.then_some(least));
            let moved = if is_done { two.taken(least) } else { vec![] };
            one.appended(is_done, &moved);
        }
        _ => {
            let is_done = source == 0 || one.back();
            let answer = one.real.append_view(&mut two.real).ok();
            assert_eq!(answer, is_done.then_some(source));
            let seen = two.model.clone();
            one.appended(is_done, &seen);
        }
    }
}

fn lines(input: &mut Input<'_>, pair: &mut Pair) {
    let eol = input.eol();
    match input.byte() % 4 {
        0 => {
            let start = input.count();
            assert_eq!(
                pair.real.search_eol(eol, start),
                end_of_line(&pair.model, eol, start)
            );
        }
        1 => {
            let limit = input.small();
            let found = end_of_line(&pair.model, eol, 0).filter(|_| pair.front());
            let answer = pair.real.take_line_within(eol, limit);
            match found {
                Some(end) if end.start <= limit => {
                    let mut line = pair.taken(end.end);
                    line.truncate(end.start);
                    assert!(answer.unwrap() == Some(line));
                }
                Some(_) => assert!(answer.is_err()),
                None if pair.front() => {
                    // The last byte may belong to the end of the line.
                    let is_sure = pair.model.len().saturating_sub(1) > limit;
                    assert_eq!(answer.is_err(), is_sure);
                    assert!(is_sure || answer.unwrap().is_none());
                }
                None => assert!(answer.is_err()),
            }
        }
        _ => {
            let answer = pair.real.take_line(eol);
            assert_eq!(answer.is_ok(), pair.front());
            let Ok(answer) = answer else { return };
            let expected = end_of_line(&pair.model, eol, 0).map(|end| {
                let mut line = pair.taken(end.end);
                line.truncate(end.start);
                line
            });
            assert!(answer == expected);
        }
    }
}

/// The rules of the five ends, as plainly as they can be said.
fn end_of_line(bytes: &[u8], eol: Eol, start: usize) -> Option<std::ops::Range<usize>> {
    let rest = bytes.get(start..)?;
    let is_any = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let (at, len) = match eol {
        Eol::Any => {
            let at = rest.iter().position(is_any)?;
            (
                at,
                rest[at..].iter().take_while(|byte| is_any(byte)).count(),
            )
        }
        Eol::Crlf => {
            let lf = rest.iter().position(|byte| *byte == b'\n')?;
            match lf.checked_sub(1).map(|before| rest[before]) {
                Some(b'\r') => (lf - 1, 2),
                _ => (lf, 1),
            }
        }
        Eol::CrlfStrict => (rest.windows(2).position(|pair| pair == b"\r\n")?, 2),
        Eol::Lf => (rest.iter().position(|byte| *byte == b'\n')?, 1),
        Eol::Nul => (rest.iter().position(|byte| *byte == 0)?, 1),
    };
    Some(start + at..start + at + len)
}

fn settings(input: &mut Input<'_>, pair: &mut Pair) {
    match input.byte() % 8 {
        0 => pair.real.freeze(input.side()),
        // More often than the other, or nothing would be done for most of the time.
        1..4 => pair.real.unfreeze(input.side()),
        4 => {
            let count = input.count();
            let is_valid = (1..=i32::MAX as usize).contains(&count);
            assert_eq!(pair.real.set_max_read(count).is_ok(), is_valid);
        }
        5 => pair.real.load().unwrap(),
        6 => {
            pair.real.defer_changes();
            pair.is_deferred = true;
        }
        _ => {
            pair.real.deliver_changes();
            pair.is_deferred = false;
        }
    }
}

/// The text as a file without a name.
fn file() -> File {
    static FILE: OnceLock<File> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let name = format!("levent-model-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, TEXT).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    });
    file.try_clone().unwrap()
}

/// A descriptor that takes everything.
fn file_to_write() -> File {
    static FILE: OnceLock<File> = OnceLock::new();
    let file = FILE.get_or_init(|| File::options().write(true).open("/dev/null").unwrap());
    file.try_clone().unwrap()
}
