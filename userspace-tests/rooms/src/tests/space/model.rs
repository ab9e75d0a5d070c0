// SPDX-License-Identifier: GPL-2.0

//! A literal model of the allocator: a list of buffers by address, walked whenever anything is to
//! be known, with the C driver's accounting of oneway buffers.
//!
//! It does not choose places: it is told where a range was put, and says whether there may be one.

/// A buffer or a gap.
#[derive(Debug, Clone, PartialEq)]
struct Piece {
    start: u32,
    size: u32,
    free: bool,
    oneway: bool,
    /// Written when a buffer is made, after the search for spam, and never erased: a gap keeps it.
    sender: i32,
}

#[derive(Debug)]
pub(super) struct Model {
    size: u32,
    pieces: Vec<Piece>,
    pub(super) free_async: u32,
    reported: bool,
}

impl Model {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            pieces: vec![Piece {
                start: 0,
                size,
                free: true,
                oneway: false,
                sender: 0,
            }],
            free_async: size / 2,
            reported: false,
        }
    }

    /// Whether the C driver finds room.
    pub(super) fn has_room(&self, size: u32, oneway: bool) -> bool {
        let room = !oneway || self.free_async >= size;
        room && self
            .pieces
            .iter()
            .any(|piece| piece.free && piece.size >= size)
    }

    /// Puts a buffer at the front of the gap at `start`. Returns whether it looks like spam.
    pub(super) fn put(&mut self, start: u32, size: u32, sender: i32, oneway: bool) -> bool {
        let at = self
            .pieces
            .iter()
            .position(|piece| piece.free && piece.start == start && piece.size >= size)
            .expect("a buffer lies at the front of a gap that is large enough");
        let rest = self.pieces[at].size - size;
        if rest != 0 {
            self.pieces.insert(
                at + 1,
                Piece {
                    start: start + size,
                    size: rest,
                    free: true,
                    oneway: false,
                    sender: 0,
                },
            );
        }
        let piece = &mut self.pieces[at];
        piece.size = size;
        piece.free = false;
        piece.oneway = oneway;
        let mut spam = false;
        if oneway {
            self.free_async -= size;
            spam = self.looks_like_spam(sender);
        }
        self.pieces[at].sender = sender;
        spam
    }

    fn looks_like_spam(&mut self, sender: i32) -> bool {
        if self.free_async >= self.size / 10 {
            self.reported = false;
            return false;
        }
        let theirs = || {
            self.pieces
                .iter()
                .filter(|piece| !piece.free && piece.oneway && piece.sender == sender)
        };
        let buffers = theirs().count();
        let bytes: u32 = theirs().map(|piece| piece.size).sum();
        if buffers > 50 || bytes > self.size / 4 {
            return !std::mem::replace(&mut self.reported, true);
        }
        false
    }

    /// Frees the buffer at `start`.
    pub(super) fn free(&mut self, start: u32) {
        let mut at = self
            .pieces
            .iter()
            .position(|piece| !piece.free && piece.start == start)
            .expect("only buffers are freed");
        if self.pieces[at].oneway {
            self.free_async += self.pieces[at].size;
        }
        self.pieces[at].free = true;
        if self.pieces.get(at + 1).is_some_and(|next| next.free) {
            self.pieces[at].size += self.pieces.remove(at + 1).size;
        }
        if at != 0 && self.pieces[at - 1].free {
            let size = self.pieces.remove(at).size;
            at -= 1;
            self.pieces[at].size += size;
        }
    }

    /// Start and size of all gaps, or of all buffers, by address.
    pub(super) fn places(&self, free: bool) -> Vec<(u32, u32)> {
        self.pieces
            .iter()
            .filter(|piece| piece.free == free)
            .map(|piece| (piece.start, piece.size))
            .collect()
    }
}
