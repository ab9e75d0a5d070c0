// SPDX-License-Identifier: GPL-2.0

//! Commands: what a write buffer is made of, and how to take it apart.

use super::{
    announced_size,
    io,
    iow,
    name::{
        Cookie,
        Handle,
        NodeName, //
    },
    transaction::{
        Payload,
        TransactionData,
        TransactionDataSg, //
    }, //
};
use zerocopy::{
    FromBytes,
    Immutable,
    KnownLayout,
    Unaligned, //
};

/// The letter of all commands.
const LETTER: u8 = b'c';

/// Sends a call.
pub(crate) const TRANSACTION: u32 = iow::<TransactionData>(LETTER, 0);
/// Answers the last call that the thread took and has not answered.
pub(crate) const REPLY: u32 = iow::<TransactionData>(LETTER, 1);
/// Never implemented.
pub(crate) const ACQUIRE_RESULT: u32 = iow::<i32>(LETTER, 2);
/// Gives a received buffer back.
pub(crate) const FREE_BUFFER: u32 = iow::<u64>(LETTER, 3);
/// Takes a weak reference.
pub(crate) const INCREFS: u32 = iow::<u32>(LETTER, 4);
/// Takes a strong reference.
pub(crate) const ACQUIRE: u32 = iow::<u32>(LETTER, 5);
/// Drops a strong reference.
pub(crate) const RELEASE: u32 = iow::<u32>(LETTER, 6);
/// Drops a weak reference.
pub(crate) const DECREFS: u32 = iow::<u32>(LETTER, 7);
/// Answers `BR_INCREFS`.
pub(crate) const INCREFS_DONE: u32 = iow::<PtrCookie>(LETTER, 8);
/// Answers `BR_ACQUIRE`.
pub(crate) const ACQUIRE_DONE: u32 = iow::<PtrCookie>(LETTER, 9);
/// Never implemented.
pub(crate) const ATTEMPT_ACQUIRE: u32 = iow::<PriDesc>(LETTER, 10);
/// The thread was started because the driver asked for it.
pub(crate) const REGISTER_LOOPER: u32 = io(LETTER, 11);
/// The thread serves calls of its own accord.
pub(crate) const ENTER_LOOPER: u32 = io(LETTER, 12);
/// The thread stops serving calls.
pub(crate) const EXIT_LOOPER: u32 = io(LETTER, 13);
/// Asks to be told of the death of a node's owner.
pub(crate) const REQUEST_DEATH_NOTIFICATION: u32 = iow::<HandleCookie>(LETTER, 14);
/// Takes that back.
pub(crate) const CLEAR_DEATH_NOTIFICATION: u32 = iow::<HandleCookie>(LETTER, 15);
/// Answers `BR_DEAD_BINDER`.
pub(crate) const DEAD_BINDER_DONE: u32 = iow::<u64>(LETTER, 16);
/// Sends a call with buffers.
pub(crate) const TRANSACTION_SG: u32 = iow::<TransactionDataSg>(LETTER, 17);
/// Answers a call with buffers.
pub(crate) const REPLY_SG: u32 = iow::<TransactionDataSg>(LETTER, 18);
/// Asks to be told when a node's owner is frozen or thawed.
pub(crate) const REQUEST_FREEZE_NOTIFICATION: u32 = iow::<HandleCookie>(LETTER, 19);
/// Takes that back.
pub(crate) const CLEAR_FREEZE_NOTIFICATION: u32 = iow::<HandleCookie>(LETTER, 20);
/// Answers `BR_FROZEN_BINDER`.
pub(crate) const FREEZE_NOTIFICATION_DONE: u32 = iow::<u64>(LETTER, 21);

wire! {
    /// A payload of one word.
    struct Word {
        value: u32,
    }

    /// A payload of one address or cookie.
    struct Number {
        value: u64,
    }

    /// `struct binder_ptr_cookie`.
    pub(crate) struct PtrCookie {
        /// See [`NodeName::ptr`].
        pub(crate) ptr: u64,
        /// See [`NodeName::cookie`].
        pub(crate) cookie: u64,
    }

    /// `struct binder_handle_cookie`, which is packed on the C side too: 12 bytes.
    pub(crate) struct HandleCookie {
        /// Whose node.
        pub(crate) handle: u32,
        /// To be told along with the notification.
        pub(crate) cookie: u64,
    }

    /// `struct binder_pri_desc`; only its size is of interest.
    pub(crate) struct PriDesc {
        /// Never read.
        pub(crate) priority: i32,
        /// Never read.
        pub(crate) desc: u32,
    }
}

/// A command with its payload.
#[derive(Clone, Copy)]
pub(crate) enum Command<'a> {
    /// Takes a weak reference.
    IncRefs(Handle),
    /// Takes a strong reference.
    Acquire(Handle),
    /// Drops a strong reference.
    Release(Handle),
    /// Drops a weak reference.
    DecRefs(Handle),
    /// The owner of a node has noted that it is referenced.
    IncRefsDone(NodeName),
    /// The owner of a node has noted that it is referenced strongly.
    AcquireDone(NodeName),
    /// Known, and refused; its payload is not looked at.
    AttemptAcquire,
    /// Known, and refused; its payload is not looked at.
    AcquireResult,
    /// Gives the received buffer at this address back.
    FreeBuffer(u64),
    /// Sends a call.
    Transaction(Payload<'a>),
    /// Sends a reply.
    Reply(Payload<'a>),
    /// The thread was started because the driver asked for it.
    RegisterLooper,
    /// The thread serves calls of its own accord.
    EnterLooper,
    /// The thread stops serving calls.
    ExitLooper,
    /// Asks to be told of the death of a node's owner.
    RequestDeath(Handle, Cookie),
    /// Takes that back.
    ClearDeath(Handle, Cookie),
    /// A notification of death was taken note of.
    DeadBinderDone(Cookie),
    /// Asks to be told when a node's owner is frozen or thawed.
    RequestFreeze(Handle, Cookie),
    /// Takes that back.
    ClearFreeze(Handle, Cookie),
    /// A notification of freezing or thawing was taken note of.
    FreezeDone(Cookie),
}

/// What [`CommandReader::next`] found.
pub(crate) enum Parsed<'a> {
    /// A complete command.
    Command {
        /// Its code, for statistics and traces.
        code: u32,
        /// What it asks for.
        command: Command<'a>,
        /// How many bytes it takes, code included.
        len: usize,
    },
    /// The block ends within a command.
    NeedMore {
        /// Its code, if the block has that much of it.
        code: Option<u32>,
        /// How many bytes have to be there, counted from the start of the command.
        len: usize,
    },
    /// A code that is no command. The payload, if it has one, can't be skipped.
    Unknown(u32),
    /// Nothing is left.
    End,
}

/// Takes a block of commands apart, one at a time.
///
/// The block is a copy of user space's write buffer or of as much of it as could be copied: a
/// command that the block holds only in part is reported as [`Parsed::NeedMore`], upon which the
/// caller copies a new block from the start of that command on. It copies as much as it is asked
/// for even if the write buffer is said to end earlier, because the protocol executes a command
/// that starts within the buffer, and finds out by the failure of that copy whether the rest of
/// the command exists at all.
pub(crate) struct CommandReader<'a> {
    rest: &'a [u8],
}

impl<'a> CommandReader<'a> {
    /// Starts at the beginning of `block`.
    #[inline]
    pub(crate) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// Parses the next command.
    ///
    /// The reader moves on only over a complete command; everything else it reports again.
    #[inline]
    pub(crate) fn next(&mut self) -> Parsed<'a> {
        let Some((&code, payload)) = self.rest.split_first_chunk() else {
            if self.rest.is_empty() {
                return Parsed::End;
            }
            return Parsed::NeedMore {
                code: None,
                len: size_of::<u32>(),
            };
        };
        let code = u32::from_ne_bytes(code);
        let found = match code {
            TRANSACTION => take(payload, |data| Command::Transaction(Payload::plain(data))),
            REPLY => take(payload, |data| Command::Reply(Payload::plain(data))),
            FREE_BUFFER => take(payload, |number: &Number| Command::FreeBuffer(number.value)),
            TRANSACTION_SG => take(payload, |data| {
                Command::Transaction(Payload::with_buffers(data))
            }),
            REPLY_SG => take(payload, |data| Command::Reply(Payload::with_buffers(data))),
            INCREFS => take(payload, |word: &Word| Command::IncRefs(Handle(word.value))),
            ACQUIRE => take(payload, |word: &Word| Command::Acquire(Handle(word.value))),
            RELEASE => take(payload, |word: &Word| Command::Release(Handle(word.value))),
            DECREFS => take(payload, |word: &Word| Command::DecRefs(Handle(word.value))),
            INCREFS_DONE => take(payload, |name| Command::IncRefsDone(node(name))),
            ACQUIRE_DONE => take(payload, |name| Command::AcquireDone(node(name))),
            ATTEMPT_ACQUIRE => Some((Command::AttemptAcquire, payload)),
            ACQUIRE_RESULT => Some((Command::AcquireResult, payload)),
            REGISTER_LOOPER => Some((Command::RegisterLooper, payload)),
            ENTER_LOOPER => Some((Command::EnterLooper, payload)),
            EXIT_LOOPER => Some((Command::ExitLooper, payload)),
            REQUEST_DEATH_NOTIFICATION => listener(payload, Command::RequestDeath),
            CLEAR_DEATH_NOTIFICATION => listener(payload, Command::ClearDeath),
            DEAD_BINDER_DONE => cookie(payload, Command::DeadBinderDone),
            REQUEST_FREEZE_NOTIFICATION => listener(payload, Command::RequestFreeze),
            CLEAR_FREEZE_NOTIFICATION => listener(payload, Command::ClearFreeze),
            FREEZE_NOTIFICATION_DONE => cookie(payload, Command::FreezeDone),
            _ => return Parsed::Unknown(code),
        };
        let Some((command, rest)) = found else {
            return Parsed::NeedMore {
                code: Some(code),
                len: size_of::<u32>() + announced_size(code),
            };
        };
        let len = self.rest.len().saturating_sub(rest.len());
        self.rest = rest;
        Parsed::Command { code, command, len }
    }
}

/// Splits a payload of type `W` off and makes a command of it.
#[inline]
fn take<'a, W>(
    payload: &'a [u8],
    command: impl FnOnce(&'a W) -> Command<'a>,
) -> Option<(Command<'a>, &'a [u8])>
where
    W: FromBytes + KnownLayout + Immutable + Unaligned + 'a,
{
    let (payload, rest) = W::ref_from_prefix(payload).ok()?;
    Some((command(payload), rest))
}

/// Splits off what the two commands about a listener carry.
#[inline]
fn listener<'a>(
    payload: &'a [u8],
    command: impl FnOnce(Handle, Cookie) -> Command<'a>,
) -> Option<(Command<'a>, &'a [u8])> {
    take(payload, |raw: &HandleCookie| {
        command(Handle(raw.handle), Cookie(raw.cookie))
    })
}

/// Splits a cookie off.
#[inline]
fn cookie<'a>(
    payload: &'a [u8],
    command: impl FnOnce(Cookie) -> Command<'a>,
) -> Option<(Command<'a>, &'a [u8])> {
    take(payload, |raw: &Number| command(Cookie(raw.value)))
}

/// The name of a node in a payload.
#[inline]
fn node(raw: &PtrCookie) -> NodeName {
    NodeName {
        ptr: raw.ptr,
        cookie: raw.cookie,
    }
}
