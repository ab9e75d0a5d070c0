// SPDX-License-Identifier: GPL-2.0

//! Commands, typed, and how they become a write buffer.

use crate::parcel::Parcel;
use crate::wire::{Memory, Segment};
use binder_abi::*;
use zerocopy::{Immutable, IntoBytes};

/// A call or a reply to send.
#[derive(Clone, Debug)]
pub struct Call {
    reply: bool,
    head: TransactionData,
    data: Memory,
    offsets: Memory,
    buffers_size: Option<u64>,
}

fn content(bytes: Vec<u8>, buffers: Vec<(usize, Vec<u8>)>) -> Memory {
    Memory::Content { bytes, buffers }
}

impl Call {
    fn new(reply: bool, target: u32) -> Self {
        Self {
            reply,
            head: TransactionData {
                target: u64::from(target),
                ..Default::default()
            },
            data: content(Vec::new(), Vec::new()),
            offsets: content(Vec::new(), Vec::new()),
            buffers_size: None,
        }
    }

    /// A call to a handle.
    pub fn to(handle: u32) -> Self {
        Self::new(false, handle)
    }

    /// A oneway call to a handle.
    pub fn oneway(handle: u32) -> Self {
        Self::new(false, handle).flags(TF_ONE_WAY)
    }

    /// A reply.
    pub fn reply() -> Self {
        Self::new(true, 0)
    }

    /// Sets the code.
    pub fn code(mut self, code: u32) -> Self {
        self.head.code = code;
        self
    }

    /// Adds flags.
    pub fn flags(mut self, flags: u32) -> Self {
        self.head.flags |= flags;
        self
    }

    /// Fills the fields that only the driver is to set.
    pub fn pretend(mut self, cookie: u64, pid: i32, euid: u32) -> Self {
        (
            self.head.cookie,
            self.head.sender_pid,
            self.head.sender_euid,
        ) = (cookie, pid, euid);
        self
    }

    /// Sets plain data.
    pub fn data(self, bytes: &[u8]) -> Self {
        self.parcel(Parcel::new().bytes(bytes))
    }

    /// Sets data with objects.
    pub fn parcel(mut self, parcel: Parcel) -> Self {
        self.head.data_size = parcel.data.len() as u64;
        self.head.offsets_size = parcel.offsets.as_bytes().len() as u64;
        self.data = content(parcel.data, parcel.buffers);
        self.offsets = content(parcel.offsets.as_bytes().to_vec(), Vec::new());
        self
    }

    /// Points to data already in the actor, or nowhere.
    pub fn data_at(mut self, address: u64, size: u64) -> Self {
        self.head.data_size = size;
        self.data = Memory::Address(address);
        self
    }

    /// Points to offsets already in the actor, or nowhere.
    pub fn offsets_at(mut self, address: u64, size: u64) -> Self {
        self.head.offsets_size = size;
        self.offsets = Memory::Address(address);
        self
    }

    /// Claims another size of the offsets.
    pub fn offsets_size(mut self, size: u64) -> Self {
        self.head.offsets_size = size;
        self
    }

    /// Sends with the `_SG` command and this much room for buffers.
    pub fn buffers_size(mut self, size: u64) -> Self {
        self.buffers_size = Some(size);
        self
    }

    fn segment(&self) -> Segment {
        let (command, tail) = match (self.reply, self.buffers_size) {
            (false, None) => (BC_TRANSACTION, Vec::new()),
            (true, None) => (BC_REPLY, Vec::new()),
            (false, Some(size)) => (BC_TRANSACTION_SG, size.to_le_bytes().to_vec()),
            (true, Some(size)) => (BC_REPLY_SG, size.to_le_bytes().to_vec()),
        };
        Segment::Transaction {
            head: with_payload(command, &self.head),
            data: self.data.clone(),
            offsets: self.offsets.clone(),
            tail,
        }
    }
}

/// One command.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Bc {
    Call(Box<Call>),
    FreeBuffer(u64),
    Increfs(u32),
    Acquire(u32),
    Release(u32),
    Decrefs(u32),
    IncrefsDone(u64, u64),
    AcquireDone(u64, u64),
    RegisterLooper,
    EnterLooper,
    ExitLooper,
    RequestDeath(u32, u64),
    ClearDeath(u32, u64),
    DeadBinderDone(u64),
    RequestFreeze(u32, u64),
    ClearFreeze(u32, u64),
    FreezeDone(u64),
    /// Whatever a driver should refuse.
    Raw(Vec<u8>),
}

impl From<Call> for Bc {
    fn from(call: Call) -> Self {
        Bc::Call(Box::new(call))
    }
}

fn with_payload<T: IntoBytes + Immutable>(command: u32, payload: &T) -> Vec<u8> {
    let mut bytes = command.to_le_bytes().to_vec();
    bytes.extend_from_slice(payload.as_bytes());
    bytes
}

impl Bc {
    /// A command word with any payload.
    pub fn raw<T: IntoBytes + Immutable>(command: u32, payload: &T) -> Self {
        Bc::Raw(with_payload(command, payload))
    }

    /// How many bytes the command takes.
    pub fn size(&self) -> u64 {
        match self.segment() {
            Segment::Bytes(bytes) => bytes.len() as u64,
            Segment::Transaction { head, tail, .. } => (head.len() + tail.len()) as u64,
        }
    }

    /// The command as part of a write buffer.
    pub fn segment(&self) -> Segment {
        let pair = |ptr, cookie| PtrCookie { ptr, cookie };
        let named = |handle, cookie| HandleCookie { handle, cookie };
        Segment::Bytes(match *self {
            Bc::Call(ref call) => return call.segment(),
            Bc::FreeBuffer(address) => with_payload(BC_FREE_BUFFER, &address),
            Bc::Increfs(handle) => with_payload(BC_INCREFS, &handle),
            Bc::Acquire(handle) => with_payload(BC_ACQUIRE, &handle),
            Bc::Release(handle) => with_payload(BC_RELEASE, &handle),
            Bc::Decrefs(handle) => with_payload(BC_DECREFS, &handle),
            Bc::IncrefsDone(ptr, cookie) => with_payload(BC_INCREFS_DONE, &pair(ptr, cookie)),
            Bc::AcquireDone(ptr, cookie) => with_payload(BC_ACQUIRE_DONE, &pair(ptr, cookie)),
            Bc::RegisterLooper => with_payload(BC_REGISTER_LOOPER, &()),
            Bc::EnterLooper => with_payload(BC_ENTER_LOOPER, &()),
            Bc::ExitLooper => with_payload(BC_EXIT_LOOPER, &()),
            Bc::RequestDeath(handle, cookie) => {
                with_payload(BC_REQUEST_DEATH_NOTIFICATION, &named(handle, cookie))
            }
            Bc::ClearDeath(handle, cookie) => {
                with_payload(BC_CLEAR_DEATH_NOTIFICATION, &named(handle, cookie))
            }
            Bc::DeadBinderDone(cookie) => with_payload(BC_DEAD_BINDER_DONE, &cookie),
            Bc::RequestFreeze(handle, cookie) => {
                with_payload(BC_REQUEST_FREEZE_NOTIFICATION, &named(handle, cookie))
            }
            Bc::ClearFreeze(handle, cookie) => {
                with_payload(BC_CLEAR_FREEZE_NOTIFICATION, &named(handle, cookie))
            }
            Bc::FreezeDone(cookie) => with_payload(BC_FREEZE_NOTIFICATION_DONE, &cookie),
            Bc::Raw(ref bytes) => bytes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_header() {
        assert_eq!(Bc::from(Call::to(0)).size(), 4 + 64);
        assert_eq!(Bc::from(Call::to(0).buffers_size(8)).size(), 4 + 72);
        assert_eq!(Bc::RequestDeath(1, 2).size(), 4 + 12);
        assert_eq!(Bc::EnterLooper.size(), 4);
    }
}
