//! Replays a fuzz corpus as an ordinary test, then shakes every input a little: cut short, bytes changed, values swapped,
//! blocks doubled. The same cases on every run. A failure prints its input, ready to become a corpus file.
//!
//! Included by `crates/*/tests/fuzz/main.rs`; the fuzzer itself does not use it.

#![allow(clippy::disallowed_methods, reason = "the corpora are files; the crates under test still read none")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Changed copies of one input, and of all inputs of a target together. Large inputs get fewer.
const COPIES: usize = 60;
const BYTES: usize = 128 << 10;

/// Small pieces that parsers trip over.
const TRICKY: [&[u8]; 24] = [
    b"\"", b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r", b"\r\n\r\n", b"\x00", b"\xff", b" ", b"null",
    b"{}", b"[]", b"\"\"", b"-1", b"1e400", b"4294967296", b"\\ud83d", b"\\u0000", b"true",
];

/// Runs `check` over the corpus of `target`, over the files of the folders `seeds` (relative to the workspace), and over changed
/// copies of both.
pub(crate) fn replay(target: &str, seeds: &[&str], check: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let own = root.join("fuzz/corpus").join(target);
    let mut files = listed(&own);
    assert!(!files.is_empty(), "{} holds no corpus", own.display());
    files.extend(seeds.iter().flat_map(|seed| listed(&root.join(seed))));
    for file in &files {
        let input = fs::read(file).expect("a corpus file is readable");
        run(&check, &input, file, "as it is");
        let copies = COPIES.min(BYTES / input.len().max(1));
        let mut dice = Dice::new(&input);
        for copy in 0..copies {
            run(&check, &shaken(&input, &mut dice), file, &format!("changed copy {copy}"));
        }
    }
}

/// The files below a folder, sorted.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("a folder is readable").path()) {
        if path.is_dir() { files.extend(listed(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn run(check: &impl Fn(&[u8]), input: &[u8], file: &Path, which: &str) {
    let passed = catch_unwind(AssertUnwindSafe(|| check(input))).is_ok();
    assert!(passed, "{} fails, {which}:\n{}", file.display(), input.escape_ascii());
}

fn shaken(input: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut copy = input.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(copy.len() + 1);
        let piece = TRICKY[dice.below(TRICKY.len())];
        match dice.below(6) {
            0 => copy.truncate(at),
            1 => drop(copy.splice(at..at, piece.iter().copied())),
            2 => drop(
                copy.splice(at..(at + dice.below(16)).min(input.len()).clamp(at, copy.len()), piece.iter().copied()),
            ),
            3 => swap_value(&mut copy, at, piece),
            4 => {
                let end = (at + dice.below(64)).min(copy.len());
                let block = copy[at..end].to_vec();
                let to = dice.below(copy.len() + 1);
                drop(copy.splice(to..to, block));
            }
            _ => {
                if let Some(byte) = copy.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
    }
    copy
}

/// Puts `piece` in the place of the JSON value that follows the next colon after `at`.
fn swap_value(copy: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let Some(colon) = copy[at..].iter().position(|byte| *byte == b':') else { return };
    let start = at + colon + 1;
    let length = copy[start..].iter().position(|byte| b",}]\n".contains(byte)).unwrap_or(copy.len() - start);
    drop(copy.splice(start..start + length, piece.iter().copied()));
}

/// A generator of the same numbers on every run.
struct Dice(u64);

impl Dice {
    fn new(seed: &[u8]) -> Self {
        Self(
            seed.iter()
                .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
                | 1,
        )
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }
}
