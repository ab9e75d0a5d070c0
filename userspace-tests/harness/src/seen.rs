// SPDX-License-Identifier: GPL-2.0

//! What a case reaches of the ABI: recorded, not declared.
//!
//! Everything a case does to a device leaves its process as a request to an actor
//! and comes back as the answer.  Requests are looked through when they leave; what
//! they hold counts once the answer shows that the driver got that far.  The record
//! is the process's, and a case has a process of its own.

use crate::wire::{Argument, Memory, RawExchange, Request, Response, Segment};
use binder_abi::ioc::payload_size;
use binder_abi::*;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zerocopy::FromBytes;

/// One thing that was reached.  Error numbers are positive, 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Item {
    /// An ioctl and how it ended.
    Ioctl(u32, i32),
    /// A command, and the error with which it ended the write.
    Command(u32, i32),
    /// A return in a read buffer.
    Return(u32),
    /// The type of an object that was sent, or looked at where it arrived.
    Object(u32),
    /// Flags of a transaction that was sent.
    TransactionFlags(u32),
    /// Flags of a node that was sent, or made the manager's.
    NodeFlags(u32),
    /// Flags of a buffer object that was sent.
    BufferFlags(u32),
    /// The protocol version that was told.
    Version(u32),
    /// An extended error: the return, and its parameter.
    ExtendedError(u32, i32),
    /// Mapping a device, and how that ended.
    Map(i32),
}

/// A set of them.
pub type Seen = BTreeSet<Item>;

static SEEN: Mutex<Seen> = Mutex::new(Seen::new());

fn seen() -> MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds to the record.
pub fn record(item: Item) {
    seen().insert(item);
}

/// Takes the record, and leaves an empty one.
pub fn take() -> Seen {
    std::mem::take(&mut *seen())
}

/// What a request asks of a device, kept until the answer is there.
pub(crate) enum Asked {
    Ioctl {
        number: u32,
        /// What counts if it succeeds.
        holds: Vec<Item>,
    },
    Map,
    Exchange {
        commands: Vec<Sent>,
        /// Where writing and reading start.
        write_start: u64,
        read_start: u64,
        reads: bool,
    },
}

/// A command of a write buffer.
pub(crate) struct Sent {
    word: u32,
    /// Where in the buffer the next one is.
    end: u64,
    holds: Vec<Item>,
}

impl Asked {
    /// What a request asks of the device that its actor has open as `device`.
    pub(crate) fn new(request: &Request, device: i32) -> Option<Self> {
        match request {
            Request::Syscall { number, arguments } => system_call(*number, arguments, device),
            Request::Exchange(exchange) => Some(Self::Exchange {
                commands: commands(exchange),
                write_start: exchange.write_consumed,
                read_start: exchange.read_consumed,
                reads: exchange.read_size > 0,
            }),
            _ => None,
        }
    }

    /// Records what the answer shows to have happened.
    pub(crate) fn answered(self, response: &Response) {
        let mut seen = seen();
        match (self, response) {
            (Self::Ioctl { number, holds }, Response::Syscall { result, memory }) => {
                seen.insert(Item::Ioctl(number, error_of(*result)));
                if *result >= 0 {
                    seen.extend(holds);
                    seen.extend(told(number, memory));
                }
            }
            (Self::Map, Response::Syscall { result, .. }) => {
                seen.insert(Item::Map(error_of(*result)));
            }
            (
                Self::Exchange {
                    commands,
                    write_start,
                    read_start,
                    reads,
                },
                Response::Exchange {
                    errno,
                    write_consumed,
                    read_consumed,
                    returned,
                },
            ) => {
                seen.insert(Item::Ioctl(BINDER_WRITE_READ, *errno));
                // An error may be of reading too, but nothing there is invalid.
                let refused = *errno != 0 && (!reads || *errno == Errno::EINVAL as i32);
                let mut rest = commands.into_iter().filter(|sent| sent.end > write_start);
                for sent in rest.by_ref() {
                    if sent.end > *write_consumed {
                        if refused {
                            seen.insert(Item::Command(sent.word, *errno));
                        }
                        break;
                    }
                    seen.insert(Item::Command(sent.word, 0));
                    seen.extend(sent.holds);
                }
                seen.extend(returns(returned, read_start, *read_consumed));
            }
            _ => {}
        }
    }
}

/// The error number in a system call's result.
fn error_of(result: i64) -> i32 {
    if result < 0 { -result as i32 } else { 0 }
}

fn system_call(number: i64, arguments: &[Argument], device: i32) -> Option<Asked> {
    let value = |index: usize| match arguments.get(index) {
        Some(Argument::Value(value)) => Some(*value),
        _ => None,
    };
    match number {
        libc::SYS_ioctl => {
            let number = value(1)? as u32;
            let holds = match arguments.get(2) {
                Some(Argument::Memory(bytes)) if number == BINDER_SET_CONTEXT_MGR_EXT => {
                    let node = FlatObject::read_from_prefix(bytes).ok();
                    node.map(|(node, _)| Item::NodeFlags(node.flags))
                }
                _ => None,
            };
            Some(Asked::Ioctl {
                number,
                holds: holds.into_iter().collect(),
            })
        }
        libc::SYS_mmap if device >= 0 && value(4)? as i32 == device => Some(Asked::Map),
        _ => None,
    }
}

/// What an ioctl told in its argument.
fn told(number: u32, memory: &[Vec<u8>]) -> Option<Item> {
    let bytes = memory.first()?;
    match number {
        BINDER_VERSION => {
            let (version, _) = Version::read_from_prefix(bytes).ok()?;
            Some(Item::Version(version.protocol_version as u32))
        }
        BINDER_GET_EXTENDED_ERROR => {
            let (error, _) = ExtendedError::read_from_prefix(bytes).ok()?;
            Some(Item::ExtendedError(error.command, error.param))
        }
        _ => None,
    }
}

/// The commands of a write buffer, as far as they can be told apart.
fn commands(exchange: &RawExchange) -> Vec<Sent> {
    let mut found = Vec::new();
    let mut end = 0;
    for segment in &exchange.write {
        match segment {
            Segment::Bytes(bytes) => {
                let mut rest = bytes.as_slice();
                while let Ok((word, behind)) = u32::read_from_prefix(rest) {
                    let payload = behind.len().min(payload_size(word));
                    let (payload, behind) = behind.split_at(payload);
                    end += (rest.len() - behind.len()) as u64;
                    let holds = match word {
                        BC_TRANSACTION | BC_REPLY | BC_TRANSACTION_SG | BC_REPLY_SG => {
                            flags(payload).into_iter().collect()
                        }
                        _ => Vec::new(),
                    };
                    found.push(Sent { word, end, holds });
                    rest = behind;
                }
                end += rest.len() as u64;
            }
            Segment::Transaction {
                head,
                data,
                offsets,
                tail,
            } => {
                end += (head.len() + tail.len()) as u64;
                let Ok((word, payload)) = u32::read_from_prefix(head) else {
                    continue;
                };
                let mut holds: Vec<Item> = flags(payload).into_iter().collect();
                if let (Memory::Content { bytes, .. }, Memory::Content { bytes: list, .. }) =
                    (data, offsets)
                {
                    objects(bytes, list, &mut holds);
                }
                found.push(Sent { word, end, holds });
            }
        }
    }
    found
}

fn flags(transaction: &[u8]) -> Option<Item> {
    let (head, _) = TransactionData::read_from_prefix(transaction).ok()?;
    Some(Item::TransactionFlags(head.flags))
}

/// The objects in data, at the offsets listed.
fn objects(data: &[u8], offsets: &[u8], holds: &mut Vec<Item>) {
    for offset in offsets.chunks_exact(size_of::<u64>()) {
        let offset = u64::read_from_bytes(offset).unwrap_or(u64::MAX);
        let Some(bytes) = usize::try_from(offset).ok().and_then(|at| data.get(at..)) else {
            continue;
        };
        // The flags of every object lie behind its type.
        let Ok(([kind, flags], _)) = <[u32; 2]>::read_from_prefix(bytes) else {
            continue;
        };
        holds.push(Item::Object(kind));
        match kind {
            BINDER_TYPE_BINDER | BINDER_TYPE_WEAK_BINDER => holds.push(Item::NodeFlags(flags)),
            BINDER_TYPE_PTR => holds.push(Item::BufferFlags(flags)),
            _ => {}
        }
    }
}

/// What a read buffer was filled with.
fn returns(buffer: &[u8], start: u64, end: u64) -> Vec<Item> {
    let mut found = Vec::new();
    // Written to the start of the buffer, wherever the rest goes.
    if start > 0
        && end > 0
        && u32::read_from_prefix(buffer).is_ok_and(|(w, _)| w == BR_SPAWN_LOOPER)
    {
        found.push(Item::Return(BR_SPAWN_LOOPER));
    }
    let mut rest = buffer.get(start as usize..end as usize).unwrap_or(&[]);
    while let Ok((word, behind)) = u32::read_from_prefix(rest) {
        found.push(Item::Return(word));
        // Announces a payload that drivers do not write.
        let payload = if word == BR_ERROR {
            0
        } else {
            payload_size(word)
        };
        rest = behind.get(payload..).unwrap_or(&[]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bc, Call, Exchange, Parcel};

    fn exchange(commands: &[Bc], errno: i32, consumed: u64, returned: &[u32]) -> Seen {
        let returned: Vec<u8> = returned
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let response = Response::Exchange {
            errno,
            write_consumed: consumed,
            read_consumed: returned.len() as u64,
            returned,
        };
        let request = Exchange::write(commands).request(3);
        // The record is shared with the other tests of this process.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock();
        take();
        Asked::new(&request, 3).unwrap().answered(&response);
        take()
    }

    #[test]
    fn what_was_consumed_counts_with_what_it_holds() {
        let parcel = Parcel::new().binder_with(FLAT_BINDER_FLAG_ACCEPTS_FDS, 1, 2);
        let call = Bc::from(Call::oneway(0).parcel(parcel));
        let size = call.size();
        let seen = exchange(
            &[call, Bc::EnterLooper],
            0,
            size,
            &[BR_NOOP, BR_ERROR, BR_OK],
        );
        let expected = [
            Item::Ioctl(BINDER_WRITE_READ, 0),
            Item::Command(BC_TRANSACTION, 0),
            Item::TransactionFlags(TF_ONE_WAY),
            Item::Object(BINDER_TYPE_BINDER),
            Item::NodeFlags(FLAT_BINDER_FLAG_ACCEPTS_FDS),
            Item::Return(BR_NOOP),
            Item::Return(BR_ERROR),
            Item::Return(BR_OK),
        ];
        assert_eq!(seen, Seen::from(expected));
    }

    #[test]
    fn an_error_is_that_of_the_command_where_writing_stopped() {
        let commands = [
            Bc::EnterLooper,
            Bc::raw(BC_ATTEMPT_ACQUIRE, &0u64),
            Bc::ExitLooper,
        ];
        let seen = exchange(&commands, libc::EINVAL, 4, &[]);
        let expected = [
            Item::Ioctl(BINDER_WRITE_READ, libc::EINVAL),
            Item::Command(BC_ENTER_LOOPER, 0),
            Item::Command(BC_ATTEMPT_ACQUIRE, libc::EINVAL),
        ];
        assert_eq!(seen, Seen::from(expected));
    }
}
