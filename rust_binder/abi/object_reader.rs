// SPDX-License-Identifier: GPL-2.0

//! Finds the objects in the data of a transaction.
//!
//! The array of offsets says where objects start; between them lie bytes that are copied as they
//! are. [`ObjectReader`] keeps the two apart: for each offset it first gives the bytes that have
//! to be copied before the object, then the bytes to be read to see what the object is, and last
//! it parses those. The order is that in which user space learns of errors. Objects are read
//! exactly once, from the sender; what was read is not in the receiver's reach.

use super::object::{
    Object,
    ObjectError,
    MAX_OBJECT, //
};

/// Objects start at multiples of this.
const ALIGNMENT: usize = size_of::<u32>();

/// A range of the data of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataRange {
    /// Where it starts.
    pub(crate) start: usize,
    /// Bytes.
    pub(crate) len: usize,
}

/// Where an object is said to start: not before the end of the one before it, and not behind the
/// end of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectOffset(usize);

impl ObjectOffset {
    /// Bytes from the start of the data.
    pub(crate) const fn get(self) -> usize {
        self.0
    }
}

/// Walks the objects of a transaction in the order of its array of offsets.
///
/// # Invariants
///
/// `done <= data_size`.
pub(crate) struct ObjectReader {
    data_size: usize,
    /// End of the object before.
    done: usize,
}

impl ObjectReader {
    /// Starts on data of `data_size` bytes.
    pub(crate) const fn new(data_size: usize) -> Self {
        // INVARIANT: Nothing is done.
        Self { data_size, done: 0 }
    }

    /// Takes the next entry of the array of offsets.
    ///
    /// Also returns the bytes between the object before and this one, which are to be copied as
    /// they are.
    #[inline]
    pub(crate) fn seek(&self, offset: u64) -> Result<(DataRange, ObjectOffset), ObjectError> {
        let offset = usize::try_from(offset).map_err(|_| ObjectError::BeyondData)?;
        let len = offset.checked_sub(self.done).ok_or(ObjectError::Overlap)?;
        if offset > self.data_size {
            return Err(ObjectError::BeyondData);
        }
        let before = DataRange {
            start: self.done,
            len,
        };
        Ok((before, ObjectOffset(offset)))
    }

    /// The bytes that have to be read to see what the object at `offset` is.
    ///
    /// They are at least those of a type and at most [`MAX_OBJECT`]. That they can't be read
    /// counts as a bad argument, not as a bad address.
    #[inline]
    pub(crate) fn window(&self, offset: ObjectOffset) -> Result<DataRange, ObjectError> {
        let start = offset.get();
        let left = self.data_size.saturating_sub(start);
        if left < size_of::<u32>() {
            return Err(ObjectError::Truncated);
        }
        if start % ALIGNMENT != 0 {
            return Err(ObjectError::Misaligned);
        }
        let len = left.min(MAX_OBJECT);
        Ok(DataRange { start, len })
    }

    /// Parses the object at `offset` from the bytes of its window, and moves on behind it.
    #[inline]
    pub(crate) fn parse(
        &mut self,
        offset: ObjectOffset,
        window: &[u8],
    ) -> Result<Object, ObjectError> {
        let object = Object::parse(window)?;
        let end = offset
            .get()
            .checked_add(object.size())
            .filter(|&end| end <= self.data_size)
            .ok_or(ObjectError::Truncated)?;
        // INVARIANT: Just checked.
        self.done = end;
        Ok(object)
    }

    /// The bytes behind the last object, which are to be copied as they are.
    #[inline]
    pub(crate) fn tail(&self) -> DataRange {
        DataRange {
            start: self.done,
            len: self.data_size.saturating_sub(self.done),
        }
    }
}
