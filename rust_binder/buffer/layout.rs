// SPDX-License-Identifier: GPL-2.0

//! How one buffer is laid out.
//!
//! A buffer has three sections, each starting on an 8-byte boundary:
//!
//! ```text
//! | data        |pad| offsets |pad| extra: scatter-gather, security context |pad|
//! ```
//!
//! Whoever writes into a buffer names a section and a position inside it. A position is checked
//! against the length of its own section, so a copy can't run over into the next one, whatever
//! the sender claimed (the mistake behind CVE-2024-46740).

/// Buffers and sections start at multiples of this.
pub(crate) const GRANULE: u32 = 8;

/// The largest space a process can have, hence the largest buffer.
pub(crate) const MAX_SPACE: u32 = 4 << 20;

/// The sizes a sender asked for, as they came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sizes {
    /// Bytes of data.
    pub(crate) data: u64,
    /// Bytes of the array of object offsets.
    pub(crate) offsets: u64,
    /// Bytes of scatter-gather buffers and of the security context.
    pub(crate) extra: u64,
}

/// A section of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// The data.
    Data,
    /// The array of object offsets.
    Offsets,
    /// Scatter-gather buffers and the security context.
    Extra,
}

/// Why there is no [`Layout`] for some [`Sizes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayoutError {
    /// The sum does not fit 64 bits: the request makes no sense.
    Overflow,
    /// No space is that large.
    TooLarge,
}

/// The sections of one buffer.
///
/// # Invariants
///
/// The padded lengths add up to at most [`MAX_SPACE`]. So no sum of them overflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    data: u32,
    offsets: u32,
    extra: u32,
}

/// Rounds up to a multiple of [`GRANULE`].
#[inline]
fn pad(len: u64) -> Option<u64> {
    let mask = u64::from(GRANULE - 1);
    Some(len.checked_add(mask)? & !mask)
}

/// The same, where the invariant of [`Layout`] excludes an overflow.
#[inline]
const fn pad_len(len: u32) -> u32 {
    len.wrapping_add(GRANULE - 1) & !(GRANULE - 1)
}

impl Layout {
    /// A buffer without content.
    pub(crate) const EMPTY: Layout = Layout {
        data: 0,
        offsets: 0,
        extra: 0,
    };

    /// Lays out a buffer for these sizes.
    #[inline]
    pub(crate) fn new(sizes: &Sizes) -> Result<Self, LayoutError> {
        const MAX: u64 = MAX_SPACE as u64;

        if sizes.data > MAX || sizes.offsets > MAX || sizes.extra > MAX {
            return Err(Self::too_large(sizes));
        }
        // None of these sums overflows: each length was just bounded.
        let layout = Self {
            data: sizes.data as u32,
            offsets: sizes.offsets as u32,
            extra: sizes.extra as u32,
        };
        if layout.total() > MAX_SPACE {
            return Err(LayoutError::TooLarge);
        }
        // INVARIANT: Just checked.
        Ok(layout)
    }

    /// Tells absurd sizes from those that are merely larger than any space.
    #[cold]
    fn too_large(sizes: &Sizes) -> LayoutError {
        let sum = || {
            pad(sizes.data)?
                .checked_add(pad(sizes.offsets)?)?
                .checked_add(pad(sizes.extra)?)
        };
        match sum() {
            Some(_) => LayoutError::TooLarge,
            None => LayoutError::Overflow,
        }
    }

    /// The room the buffer takes in the space. An empty buffer takes one granule, so that it has
    /// an address of its own.
    #[inline]
    pub(crate) const fn total(&self) -> u32 {
        let sum = pad_len(self.data)
            .wrapping_add(pad_len(self.offsets))
            .wrapping_add(pad_len(self.extra));
        if sum == 0 {
            GRANULE
        } else {
            sum
        }
    }

    /// The exact length of a section.
    #[inline]
    pub(crate) const fn len(&self, section: Section) -> u32 {
        match section {
            Section::Data => self.data,
            Section::Offsets => self.offsets,
            Section::Extra => self.extra,
        }
    }

    /// Where a section starts, counted from the start of the buffer. Defined for an empty section
    /// too: user space is told where the offsets would be.
    #[inline]
    pub(crate) const fn start(&self, section: Section) -> u32 {
        match section {
            Section::Data => 0,
            Section::Offsets => pad_len(self.data),
            Section::Extra => pad_len(self.data).wrapping_add(pad_len(self.offsets)),
        }
    }

    /// Where `len` bytes at position `at` of a section lie, counted from the start of the buffer;
    /// nothing if they are not all inside the section.
    #[inline]
    pub(crate) fn locate(&self, section: Section, at: usize, len: usize) -> Option<u32> {
        let room = (self.len(section) as usize).checked_sub(at)?;
        if len > room {
            return None;
        }
        // `at` is at most the length of the section, so it fits and the sum stays in the buffer.
        Some(self.start(section).wrapping_add(at as u32))
    }
}
