// SPDX-License-Identifier: GPL-2.0

//! Values that came from user space.

use zerocopy::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// A value that user space chose and nobody has judged yet.
///
/// Every bit pattern may be in it. There is no way to look at the value except to judge it, with
/// [`Untrusted::validate`] where the type knows its own rules and with
/// [`Untrusted::validate_with`] where the rules depend on the place; both give a value of another
/// type. What a function takes as `&Untrusted<T>` it has still to check, what it takes as the
/// trusted type it need not.
///
/// The wrapper is free: it has the layout of what it wraps and can be borrowed from a block of
/// bytes in place.
///
/// # Examples
///
/// ```text
/// let sent = Untrusted::<FreezeInfo>::fill(|bytes| reader.read_slice(bytes))?;
/// let order = sent.validate()?; // Now a `Freeze`, whose `enable` is a `bool`.
/// ```
#[derive(
    Clone,
    Copy,
    zerocopy_derive::FromBytes,
    zerocopy_derive::Immutable,
    zerocopy_derive::IntoBytes,
    zerocopy_derive::KnownLayout,
    zerocopy_derive::Unaligned,
)]
#[repr(transparent)]
pub(crate) struct Untrusted<T>(T);

/// The rules of a type that arrives from user space.
///
/// [`Validate::Trusted`] should be a type that can't hold what was refused: ranges instead of
/// pairs of numbers, `bool` instead of an integer, an enum instead of a tag.
pub(crate) trait Validate: Sized {
    /// What the value is once it was found good.
    type Trusted;

    /// Why it may be refused.
    type Error;

    /// Judges `raw`.
    fn validate(raw: &Self) -> Result<Self::Trusted, Self::Error>;
}

impl<T> Untrusted<T> {
    /// Marks a value that came from user space by another way than as bytes, such as the
    /// argument of an ioctl.
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// Judges the value by the rules of its type.
    #[inline]
    pub(crate) fn validate(&self) -> Result<T::Trusted, T::Error>
    where
        T: Validate,
    {
        T::validate(&self.0)
    }

    /// Judges the value by rules given here.
    ///
    /// `judge` should return something that states what was checked, not the value it was given.
    #[inline]
    pub(crate) fn validate_with<R>(&self, judge: impl FnOnce(&T) -> R) -> R {
        judge(&self.0)
    }
}

impl<T: FromBytes + IntoBytes> Untrusted<T> {
    /// Lets `copy` fill the bytes of a value in place, as `copy_from_user()` does.
    ///
    /// The bytes are zero to begin with, so nothing of the kernel's stack is ever in them.
    #[inline]
    pub(crate) fn fill<E>(copy: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut value = T::new_zeroed();
        copy(value.as_mut_bytes())?;
        Ok(Self(value))
    }
}

impl<T: FromBytes + KnownLayout + Immutable + Unaligned> Untrusted<T> {
    /// Borrows a value from the start of `bytes`; also returns the bytes behind it.
    ///
    /// Returns `None` if `bytes` is too short.
    #[inline]
    pub(crate) fn borrow_from(bytes: &[u8]) -> Option<(&Self, &[u8])> {
        Self::ref_from_prefix(bytes).ok()
    }
}
