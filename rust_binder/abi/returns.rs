// SPDX-License-Identifier: GPL-2.0

//! Returns: what a read buffer is filled with.

use super::{
    command::PtrCookie,
    io,
    ioctl::Span,
    ior,
    name::{
        Cookie,
        NodeName, //
    },
    transaction::{
        TransactionData,
        TransactionDataSecctx, //
    }, //
};
use zerocopy::{
    FromBytes,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// The letter of all returns.
const LETTER: u8 = b'r';

/// A command failed for want of memory. The code announces four bytes, but none follow it.
pub(crate) const ERROR: u32 = ior::<i32>(LETTER, 0);
/// No error; only to be seen in [`ExtendedError`](super::ioctl::ExtendedError).
pub(crate) const OK: u32 = io(LETTER, 1);
/// A call, with the security context of the caller.
pub(crate) const TRANSACTION_SEC_CTX: u32 = ior::<TransactionDataSecctx>(LETTER, 2);
/// A call.
pub(crate) const TRANSACTION: u32 = ior::<TransactionData>(LETTER, 2);
/// A reply.
pub(crate) const REPLY: u32 = ior::<TransactionData>(LETTER, 3);
/// The target of a call has gone.
pub(crate) const DEAD_REPLY: u32 = io(LETTER, 5);
/// A transaction was sent.
pub(crate) const TRANSACTION_COMPLETE: u32 = io(LETTER, 6);
/// A node is referenced.
pub(crate) const INCREFS: u32 = ior::<PtrCookie>(LETTER, 7);
/// A node is referenced strongly.
pub(crate) const ACQUIRE: u32 = ior::<PtrCookie>(LETTER, 8);
/// A node is no longer referenced strongly.
pub(crate) const RELEASE: u32 = ior::<PtrCookie>(LETTER, 9);
/// A node is no longer referenced.
pub(crate) const DECREFS: u32 = ior::<PtrCookie>(LETTER, 10);
/// The first word of every read.
pub(crate) const NOOP: u32 = io(LETTER, 12);
/// The process is asked to start a thread.
pub(crate) const SPAWN_LOOPER: u32 = io(LETTER, 13);
/// The owner of a node has died.
pub(crate) const DEAD_BINDER: u32 = ior::<u64>(LETTER, 15);
/// A death notification was taken back.
pub(crate) const CLEAR_DEATH_NOTIFICATION_DONE: u32 = ior::<u64>(LETTER, 16);
/// A transaction failed.
pub(crate) const FAILED_REPLY: u32 = io(LETTER, 17);
/// The target of a call is frozen.
pub(crate) const FROZEN_REPLY: u32 = io(LETTER, 18);
/// A oneway call was sent that looks like one of a flood.
pub(crate) const ONEWAY_SPAM_SUSPECT: u32 = io(LETTER, 19);
/// A oneway call was sent that has to wait until its target is thawed.
pub(crate) const TRANSACTION_PENDING_FROZEN: u32 = io(LETTER, 20);
/// The owner of a node was frozen or thawed.
pub(crate) const FROZEN_BINDER: u32 = ior::<FrozenStateInfo>(LETTER, 21);
/// A freeze notification was taken back.
pub(crate) const CLEAR_FREEZE_NOTIFICATION_DONE: u32 = ior::<u64>(LETTER, 22);

wire! {
    /// `struct binder_frozen_state_info`.
    pub(crate) struct FrozenStateInfo {
        /// What the listener gave.
        pub(crate) cookie: u64,
        /// 1 if frozen, else 0.
        pub(crate) is_frozen: u32,
        /// Zero.
        pub(crate) reserved: u32,
    }

    /// A return and a word's worth of payload.
    struct WithNumber {
        code: u32,
        number: u64,
    }

    /// A return about a node.
    struct WithNode {
        code: u32,
        ptr: u64,
        cookie: u64,
    }

    /// A return about freezing.
    struct WithState {
        code: u32,
        state: FrozenStateInfo,
    }

    /// A return with a transaction.
    struct WithTransaction {
        code: u32,
        data: TransactionData,
    }

    /// A return with a transaction and a security context.
    struct WithSecctx {
        code: u32,
        data: TransactionDataSecctx,
    }
}

/// The size of the largest return. Reading goes on while the user's buffer has room for it.
pub(crate) const MAX_ITEM: usize = size_of::<WithSecctx>();

/// No page of user space is smaller.
const PAGE: usize = 4096;

/// There is no room for a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Collects returns, so that most reads copy to user space once.
///
/// It knows two limits: the room in the user's buffer, which ends a read
/// ([`ReturnBuffer::has_room`]), and its own `N` bytes, which mean that the bytes collected so
/// far have to be copied out first ([`ReturnBuffer::must_flush`]). If both were asked before, no
/// return is ever refused.
///
/// A return that can't be copied out is lost, and with it whatever is copied out along with it. So
/// returns go out together only where all of them belong in a page that was written to before;
/// elsewhere they go out one by one, and a fault costs the one.
///
/// The owner copies [`ReturnBuffer::as_bytes`] to [`ReturnBuffer::position`] and calls
/// [`ReturnBuffer::flushed`].
///
/// # Invariants
///
/// `len <= N`, and `patience <= N - MAX_ITEM`.
pub(crate) struct ReturnBuffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
    /// How many bytes another return may be added to.
    patience: usize,
    span: Span,
}

impl<const N: usize> ReturnBuffer<N> {
    /// The first word of the user's buffer is `BR_NOOP` at first, hence the 4 bytes more.
    const LARGE_ENOUGH: () = assert!(N >= MAX_ITEM + 4);

    /// Starts to fill `span`, whose first word was written to, if it is free.
    #[inline]
    pub(crate) fn new(span: Span) -> Self {
        let () = Self::LARGE_ENOUGH;
        let patience = match span.consumed() {
            0 => Self::patience_at(&span, span.position()).max(size_of::<u32>()),
            _ => 0,
        };
        Self {
            bytes: [0; N],
            len: 0,
            patience,
            span,
        }
    }

    /// How long returns for the next bytes of `span` may be collected, if `written` was written to.
    #[inline]
    fn patience_at(span: &Span, written: usize) -> usize {
        let last = span.position().wrapping_add(N).wrapping_sub(1);
        match written ^ last < PAGE {
            true => N.saturating_sub(MAX_ITEM),
            false => 0,
        }
    }

    /// Whether the user's buffer takes any return there is.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.room() >= MAX_ITEM
    }

    /// Whether the bytes have to be copied out before any return can be added.
    #[inline]
    pub(crate) fn must_flush(&self) -> bool {
        self.len > self.patience
    }

    /// What was collected since the last flush.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Whether there is nothing to flush.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in user space [`ReturnBuffer::as_bytes`] belong.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.span.position()
    }

    /// What was collected has been copied out.
    #[inline]
    pub(crate) fn flushed(&mut self) {
        self.span.advance(self.len);
        self.len = 0;
        let written = self.span.position().wrapping_sub(1);
        self.patience = Self::patience_at(&self.span, written);
    }

    /// The user's buffer, as far as it was flushed.
    #[inline]
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// How many bytes the user's buffer will hold after the next flush.
    #[inline]
    pub(crate) fn filled(&self) -> usize {
        self.span.consumed().wrapping_add(self.len)
    }

    /// Adds a return without payload.
    #[inline]
    pub(crate) fn word(&mut self, code: u32) -> Result<(), Full> {
        *self.append()? = code.to_ne_bytes();
        Ok(())
    }

    /// Adds a return about a listener.
    #[inline]
    pub(crate) fn cookie(&mut self, code: u32, cookie: Cookie) -> Result<(), Full> {
        *self.append()? = WithNumber {
            code,
            number: cookie.0,
        };
        Ok(())
    }

    /// Adds a return about a node.
    #[inline]
    pub(crate) fn node(&mut self, code: u32, name: NodeName) -> Result<(), Full> {
        *self.append()? = WithNode {
            code,
            ptr: name.ptr,
            cookie: name.cookie,
        };
        Ok(())
    }

    /// Adds a [`FROZEN_BINDER`].
    #[inline]
    pub(crate) fn frozen(&mut self, cookie: Cookie, is_frozen: bool) -> Result<(), Full> {
        *self.append()? = WithState {
            code: FROZEN_BINDER,
            state: FrozenStateInfo {
                cookie: cookie.0,
                is_frozen: u32::from(is_frozen),
                reserved: 0,
            },
        };
        Ok(())
    }

    /// Adds a [`TRANSACTION`] or a [`REPLY`], whose payload the caller assigns in place.
    #[inline]
    pub(crate) fn transaction(&mut self, code: u32) -> Result<&mut TransactionData, Full> {
        let item: &mut WithTransaction = self.append()?;
        item.code = code;
        Ok(&mut item.data)
    }

    /// Adds a [`TRANSACTION_SEC_CTX`], whose payload the caller assigns in place.
    #[inline]
    pub(crate) fn transaction_secctx(&mut self) -> Result<&mut TransactionDataSecctx, Full> {
        let item: &mut WithSecctx = self.append()?;
        item.code = TRANSACTION_SEC_CTX;
        Ok(&mut item.data)
    }

    /// Whether the user's buffer has room for its first word, which is where [`SPAWN_LOOPER`] goes.
    #[inline]
    pub(crate) fn takes_first_word(&self) -> bool {
        self.span.size() >= size_of::<u32>()
    }

    /// Puts [`SPAWN_LOOPER`] over the first word of the user's buffer, if that is still here.
    ///
    /// Returns `false` if the word was flushed already, or was there before this read: then the
    /// caller has to write it to [`Span::base`].
    #[inline]
    pub(crate) fn overwrite_first(&mut self, code: u32) -> bool {
        if self.span.consumed() != 0 || self.len < size_of::<u32>() {
            return false;
        }
        let Some(first) = self.bytes.first_chunk_mut() else {
            return false;
        };
        *first = code.to_ne_bytes();
        true
    }

    /// Room in the user's buffer behind what was collected.
    #[inline]
    fn room(&self) -> usize {
        self.span.left().saturating_sub(self.len)
    }

    /// Makes room for an item.
    #[inline]
    fn append<W>(&mut self) -> Result<&mut W, Full>
    where
        W: FromBytes + IntoBytes + KnownLayout + Unaligned,
    {
        if self.room() < size_of::<W>() {
            return Err(Full);
        }
        let tail = self.bytes.get_mut(self.len..).ok_or(Full)?;
        let (item, _) = W::mut_from_prefix(tail).map_err(|_| Full)?;
        // INVARIANT: `tail` had `N - len` bytes and `W` is not longer.
        self.len = self.len.wrapping_add(size_of::<W>());
        Ok(item)
    }
}
