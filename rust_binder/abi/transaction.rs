// SPDX-License-Identifier: GPL-2.0

//! Transactions as they are sent and delivered.

use super::{
    name::{
        to_usize,
        Handle,
        TooLarge,
        UserRange, //
    },
    untrusted::{
        Untrusted,
        Validate, //
    }, //
};

wire! {
    /// `struct binder_transaction_data`.
    ///
    /// The unions of the C side are flat here. When sent, the low half of `target` is the handle of
    /// the node that is called; when delivered, `target` and `cookie` are the name of the node.
    pub(crate) struct TransactionData {
        /// Whom the call is for; without meaning in a reply.
        pub(crate) target: u64,
        /// The cookie of the called node, when delivered.
        pub(crate) cookie: u64,
        /// For user space.
        pub(crate) code: u32,
        /// See [`TransactionFlags`].
        pub(crate) flags: u32,
        /// Process of the sender, when delivered.
        pub(crate) sender_pid: i32,
        /// Effective user of the sender, when delivered.
        pub(crate) sender_euid: u32,
        /// Bytes of data.
        pub(crate) data_size: u64,
        /// Bytes of the array of offsets.
        pub(crate) offsets_size: u64,
        /// Address of the data.
        pub(crate) buffer: u64,
        /// Address of the array that says where in the data the objects lie.
        pub(crate) offsets: u64,
    }

    /// `struct binder_transaction_data_secctx`.
    pub(crate) struct TransactionDataSecctx {
        /// The call itself.
        pub(crate) transaction_data: TransactionData,
        /// Address of the caller's security context, in the buffer of the call.
        pub(crate) secctx: u64,
    }

    /// `struct binder_transaction_data_sg`.
    pub(crate) struct TransactionDataSg {
        /// The transaction itself.
        pub(crate) transaction_data: Untrusted<TransactionData>,
        /// Bytes of the buffers that go along.
        pub(crate) buffers_size: u64,
    }
}

/// The flags of a transaction, `TF_*`.
///
/// Bits without a meaning are kept: the receiver gets the word that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionFlags(u32);

impl TransactionFlags {
    /// No reply is expected.
    pub(crate) const ONE_WAY: Self = Self(0x01);
    /// The reply may carry files.
    pub(crate) const ACCEPT_FDS: Self = Self(0x10);
    /// The receiver's buffer is cleared when it is given back.
    pub(crate) const CLEAR_BUF: Self = Self(0x20);
    /// Takes the place of an equal call that waits for a frozen process.
    pub(crate) const UPDATE_TXN: Self = Self(0x40);

    /// The flags in a word of the wire.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The word for the wire, as it came.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all flags in `flags` are set.
    pub(crate) const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether no reply is expected.
    pub(crate) const fn is_one_way(self) -> bool {
        self.contains(Self::ONE_WAY)
    }
}

/// A transaction that a thread asks the driver to send.
///
/// Only what can be judged without knowing the target is: the numbers fit the address space. The
/// target has yet to be looked up, the ranges to be copied, and the sizes to be found room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionRequest {
    /// The node to call; without meaning in a reply.
    pub(crate) target: Handle,
    /// For the receiver.
    pub(crate) code: u32,
    /// How to send it.
    pub(crate) flags: TransactionFlags,
    /// What to send.
    pub(crate) data: UserRange,
    /// Where in it objects lie.
    pub(crate) offsets: UserRange,
    /// Bytes that the buffers of pointer objects take in the receiver's space.
    pub(crate) buffers_size: usize,
}

impl Validate for TransactionData {
    type Trusted = TransactionRequest;
    type Error = TooLarge;

    #[inline]
    fn validate(raw: &Self) -> Result<TransactionRequest, TooLarge> {
        Ok(TransactionRequest {
            // The low half is the handle, as in the union of the C side.
            target: Handle(raw.target as u32),
            code: raw.code,
            flags: TransactionFlags::from_bits(raw.flags),
            data: UserRange::new(raw.buffer, raw.data_size)?,
            offsets: UserRange::new(raw.offsets, raw.offsets_size)?,
            buffers_size: 0,
        })
    }
}

/// The payload of a command that sends a transaction, where it lies in the block of commands.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    data: &'a Untrusted<TransactionData>,
    buffers_size: u64,
}

impl<'a> Payload<'a> {
    /// The payload of a command without buffers.
    #[inline]
    pub(crate) fn plain(data: &'a Untrusted<TransactionData>) -> Self {
        Self {
            data,
            buffers_size: 0,
        }
    }

    /// The payload of a command with buffers.
    #[inline]
    pub(crate) fn with_buffers(data: &'a TransactionDataSg) -> Self {
        Self {
            data: &data.transaction_data,
            buffers_size: data.buffers_size,
        }
    }

    /// Judges the payload.
    #[inline]
    pub(crate) fn validate(&self) -> Result<TransactionRequest, TooLarge> {
        let mut request = self.data.validate()?;
        request.buffers_size = to_usize(self.buffers_size)?;
        Ok(request)
    }
}
