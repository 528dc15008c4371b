//! Bytes that grow without being copied: a long text needs memory for its own length, not for twice as much while it grows.

use bytes::{Bytes, BytesMut};

/// Size at which a chunk is full and the next one begins.
const CHUNK: usize = 256 << 10;

/// Bytes in the order they came.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    full: Vec<BytesMut>,
    last: BytesMut,
}

impl Chunks {
    /// Adds `data` at the end.
    pub(super) fn push(&mut self, data: &[u8]) {
        if !self.last.is_empty() && self.last.len() + data.len() > CHUNK {
            self.full.push(std::mem::take(&mut self.last));
            self.last.reserve(CHUNK.max(data.len()));
        }
        self.last.extend_from_slice(data);
    }

    /// All bytes in one piece, copied.
    pub(super) fn to_bytes(&self) -> Bytes {
        if self.full.is_empty() {
            return Bytes::copy_from_slice(&self.last);
        }
        let chunks: Vec<&[u8]> = self.full.iter().chain([&self.last]).map(|chunk| &chunk[..]).collect();
        Bytes::from(chunks.concat())
    }

    /// The bytes of memory in use.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.full.iter().chain([&self.last]).map(BytesMut::capacity).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_takes_its_own_length() {
        let (mut chunks, mut whole) = (Chunks::default(), Vec::new());
        assert!(chunks.to_bytes().is_empty());
        for (at, size) in [1, 300, CHUNK - 301, 1, 70_000, 3 * CHUNK, 5].into_iter().cycle().take(70).enumerate() {
            let data = vec![b'a' + u8::try_from(at % 26).unwrap(); size];
            chunks.push(&data);
            whole.extend_from_slice(&data);
        }
        assert!(!chunks.to_bytes().is_empty());
        assert_eq!(chunks.to_bytes(), whole);
        assert!(chunks.capacity() <= whole.len() * 3 / 2, "{} for {}", chunks.capacity(), whole.len());
    }
}
