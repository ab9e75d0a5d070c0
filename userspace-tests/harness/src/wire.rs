// SPDX-License-Identifier: GPL-2.0

//! The language between a test and its actors: requests, responses and their
//! framing on a stream socket.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// Bytes behind the read buffer of an exchange, to see a driver write too far.
pub const GUARD: usize = 16;
/// What read buffers are filled with beforehand.
pub const POISON: u8 = 0xA5;

/// What a test asks of one thread of an actor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Any system call.
    Syscall {
        /// Its number.
        number: i64,
        /// At most six.
        arguments: Vec<Argument>,
    },
    /// `BINDER_WRITE_READ`.
    Exchange(RawExchange),
    /// Reads the actor's memory.
    Peek {
        /// Where.
        address: u64,
        /// How much.
        length: u64,
    },
    /// Writes the actor's memory.
    Poke {
        /// Where.
        address: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Reads one byte without a safety net: the actor may die of a signal.
    Touch {
        /// Where.
        address: u64,
    },
    /// Carries out requests one after the other, from a moment on.
    Timed {
        /// The moment, in nanoseconds of the monotonic clock.
        start: u64,
        /// Whether to sleep until then, and so to interrupt whoever runs, or to spin.
        asleep: bool,
        /// What is to be done.
        requests: Vec<Request>,
    },
    /// Starts a thread; it serves the next spare socket.
    SpawnThread,
    /// Forks; the child serves the next spare socket.
    Fork,
    /// Ends the thread that gets this.
    EndThread,
}

/// An argument of a system call.
#[derive(Debug, Serialize, Deserialize)]
pub enum Argument {
    /// A number or an address in the actor.
    Value(u64),
    /// Memory passed by address; sent back as the kernel left it.
    Memory(Vec<u8>),
}

/// `struct binder_write_read`, with its buffers by content.
#[derive(Debug, Serialize, Deserialize)]
pub struct RawExchange {
    /// The device.
    pub fd: i32,
    /// Pieces of the write buffer.
    pub write: Vec<Segment>,
    /// Overrides the size of the write buffer.
    pub write_size: Option<u64>,
    /// Initial value of the field.
    pub write_consumed: u64,
    /// Size of the read buffer.
    pub read_size: u64,
    /// Initial value of the field.
    pub read_consumed: u64,
    /// Where to read to, instead of a buffer made for the occasion.
    pub read_buffer: Option<u64>,
    /// Whether `O_NONBLOCK` is set on the device meanwhile.
    pub nonblocking: bool,
}

/// A piece of a write buffer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Segment {
    /// As they are.
    Bytes(Vec<u8>),
    /// A transaction: the addresses in `head` are filled in by the actor.
    Transaction {
        /// The command word and `struct binder_transaction_data`.
        head: Vec<u8>,
        /// The data.
        data: Memory,
        /// The offsets.
        offsets: Memory,
        /// What follows, with the `_SG` commands.
        tail: Vec<u8>,
    },
}

/// Memory that a transaction points to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Memory {
    /// Already in the actor, or nowhere.
    Address(u64),
    /// To be put there.
    Content {
        /// The bytes.
        bytes: Vec<u8>,
        /// More memory, whose address is stored at the offset given.
        buffers: Vec<(usize, Vec<u8>)>,
    },
}

/// What an actor answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Response {
    /// First message of every thread: its number in its own namespace.
    Ready {
        /// As `gettid` tells it.
        tid: i32,
    },
    /// Of a system call.
    Syscall {
        /// Not negative, or a negative error number.
        result: i64,
        /// The memory arguments.
        memory: Vec<Vec<u8>>,
    },
    /// Of an exchange.
    Exchange {
        /// 0 or an error number.
        errno: i32,
        /// As the driver left it.
        write_consumed: u64,
        /// As the driver left it.
        read_consumed: u64,
        /// The read buffer with its guard; empty if the address was given.
        returned: Vec<u8>,
    },
    /// Bytes read, or an error number.
    Peek(Result<Vec<u8>, i32>),
    /// Written, or an error number.
    Poke(Result<(), i32>),
    /// The byte was there.
    Touched,
    /// Of requests that were to be done from a moment on.
    Timed {
        /// How long it took, in nanoseconds; nothing if the moment was missed.
        took: Option<u64>,
        /// One for each.
        responses: Vec<Response>,
    },
    /// The spare socket that is now served, and the new process if any.
    Spawned {
        /// Index of the socket.
        socket: usize,
        /// The child, or 0.
        pid: i32,
    },
    /// The thread ends.
    Ending,
}

/// Sends one message.
pub fn send<T: Serialize>(mut stream: impl Write, message: &T) -> io::Result<()> {
    let body = postcard::to_stdvec(message).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    stream.write_all(&frame)
}

/// Receives one message; `UnexpectedEof` when the other end has gone.
pub fn receive<T: DeserializeOwned>(mut stream: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut body)?;
    postcard::from_bytes(&body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_stream() {
        let mut stream = Vec::new();
        send(&mut stream, &Response::Peek(Ok(vec![1, 2, 3]))).unwrap();
        send(&mut stream, &Response::Ready { tid: 7 }).unwrap();
        let mut stream = stream.as_slice();
        assert!(
            matches!(receive(&mut stream), Ok(Response::Peek(Ok(bytes))) if bytes == [1, 2, 3])
        );
        assert!(matches!(
            receive(&mut stream),
            Ok(Response::Ready { tid: 7 })
        ));
        let end = receive::<Response>(&mut stream).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }
}
