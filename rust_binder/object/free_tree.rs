// SPDX-License-Identifier: GPL-2.0

//! Finds the lowest free number of many.
//!
//! A tree of bits of fixed depth: a bit of the lowest level is set if its number is free, a bit
//! of any other level if the word below it is not zero. Each word stands for 64 bits or words
//! below. Taking a number, giving it back and finding the lowest free one look at one word per
//! level, whether there are ten numbers or ten million.

use crate::mem::{
    self,
    NoMemory,
    Vec, //
};

/// Bits in a word, words below a word.
const FAN_OUT: usize = u64::BITS as usize;

/// Levels. The highest is one word.
const LEVELS: usize = 4;

/// The most words of the lowest level that one word of the highest can stand for.
pub(super) const MAX_WORDS: usize = FAN_OUT.pow(LEVELS as u32 - 1);

/// See the [module](self).
///
/// The lowest level comes first in `words`. Numbers that the tree was not allocated for are never
/// passed in, and can't do harm beyond making a wrong number free.
///
/// # Invariants
///
/// Above the lowest level a bit is set exactly if the word it stands for is not zero.
pub(super) struct FreeTree {
    words: Vec<u64>,
    starts: [usize; LEVELS],
}

/// Where in the array of words each level starts, and how long the array is, if the lowest level
/// has `words` words.
fn layout(words: usize) -> ([usize; LEVELS], usize) {
    let mut starts = [0; LEVELS];
    let mut total = 0_usize;
    let mut level = words;
    for start in &mut starts {
        *start = total;
        total = total.saturating_add(level);
        level = level.div_ceil(FAN_OUT);
    }
    (starts, total)
}

impl FreeTree {
    /// A tree without numbers.
    pub(super) const fn new() -> Self {
        Self {
            words: Vec::new(),
            starts: [0; LEVELS],
        }
    }

    /// Allocates a tree of `words` times 64 numbers, none of them free. May sleep.
    pub(super) fn allocate(words: usize) -> Result<Self, NoMemory> {
        if words > MAX_WORDS {
            return Err(NoMemory);
        }
        let (starts, total) = layout(words);
        // INVARIANT: All words are zero, and so are the bits that stand for them.
        Ok(Self {
            words: mem::filled(0, total)?,
            starts,
        })
    }

    /// The lowest free number.
    #[inline]
    pub(super) fn lowest(&self) -> Option<usize> {
        let mut index = 0_usize;
        for start in self.starts.iter().rev() {
            let word = *self.words.get(start.wrapping_add(index))?;
            if word == 0 {
                // Only the root can be zero: by the invariant, the way leads to words that
                // aren't.
                return None;
            }
            let bit = word.trailing_zeros() as usize;
            index = index.wrapping_mul(FAN_OUT).wrapping_add(bit);
        }
        Some(index)
    }

    /// Which of the 64 numbers from `word * 64` on are free.
    #[inline]
    pub(super) fn word(&self, word: usize) -> u64 {
        self.words.get(word).copied().unwrap_or(0)
    }

    /// Says which of the 64 numbers from `word * 64` on are free.
    pub(super) fn set_word(&mut self, word: usize, free: u64) {
        let Some(place) = self.words.get_mut(word) else {
            return;
        };
        let mut before = core::mem::replace(place, free);
        let mut after = free;
        let mut index = word;
        for start in self.starts.iter().skip(1) {
            if (before == 0) == (after == 0) {
                // The bit for this word is right already, and so are all above it.
                return;
            }
            let bit = 1_u64.wrapping_shl((index % FAN_OUT) as u32);
            index /= FAN_OUT;
            let Some(place) = self.words.get_mut(start.wrapping_add(index)) else {
                return;
            };
            before = *place;
            // INVARIANT: The bit follows the word below, and the loop goes on if that makes this
            // word zero or non-zero.
            if after == 0 {
                *place &= !bit;
            } else {
                *place |= bit;
            }
            after = *place;
        }
    }

    /// Takes `number`, which is no longer free.
    #[inline]
    pub(super) fn take(&mut self, number: usize) {
        let bit = 1_u64.wrapping_shl((number % FAN_OUT) as u32);
        let word = number / FAN_OUT;
        self.set_word(word, self.word(word) & !bit);
    }

    /// Gives `number` back, which is free again.
    #[inline]
    pub(super) fn give(&mut self, number: usize) {
        let bit = 1_u64.wrapping_shl((number % FAN_OUT) as u32);
        let word = number / FAN_OUT;
        self.set_word(word, self.word(word) | bit);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        FreeTree,
        FAN_OUT,
        MAX_WORDS, //
    };

    #[test]
    fn the_lowest_number_is_found_on_any_level() {
        let mut tree = FreeTree::allocate(MAX_WORDS).expect("memory");
        assert_eq!(tree.lowest(), None);
        // The last number, and then ever lower ones that share ever fewer words with it.
        let last = MAX_WORDS * FAN_OUT - 1;
        for distance in [0, 1, 64, 64 * 64, 64 * 64 * 64, last] {
            tree.give(last - distance);
            assert_eq!(tree.lowest(), Some(last - distance));
        }
        for distance in [last, 64 * 64 * 64, 64 * 64, 64, 1, 0] {
            assert_eq!(tree.lowest(), Some(last - distance));
            tree.take(last - distance);
        }
        assert_eq!(tree.lowest(), None);
    }

    #[test]
    fn a_number_is_free_however_often_it_is_given_back() {
        let mut tree = FreeTree::allocate(2).expect("memory");
        tree.give(65);
        tree.give(65);
        assert_eq!(tree.lowest(), Some(65));
        tree.take(65);
        assert_eq!(tree.lowest(), None);
    }

    #[test]
    fn there_are_no_more_numbers_than_one_root_stands_for() {
        assert!(FreeTree::allocate(MAX_WORDS + 1).is_err());
        let mut none = FreeTree::new();
        none.give(0);
        assert_eq!(none.lowest(), None);
    }
}
