// SPDX-License-Identifier: GPL-2.0

//! The actor's side: obeys requests until the test closes the socket.
//!
//! An actor lives in a forked child of the test.  It decides nothing, so that a
//! test can be read in one place; it does own all memory that requests mention,
//! for exactly as long as the system call that uses it.

use crate::race;
use crate::wire::{self, Argument, GUARD, Memory, POISON, RawExchange, Request, Response, Segment};
use binder_abi::{BINDER_WRITE_READ, TransactionData, WriteRead};
use std::mem::offset_of;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock};
use std::thread;

/// Where the transaction structure lies behind the command word.
const HEAD: usize = size_of::<u32>();

/// Sockets for threads and children that do not exist yet, by index.
static SPARE: OnceLock<Mutex<Vec<Option<UnixStream>>>> = OnceLock::new();

/// Becomes an actor.  Called in a forked child with one thread.
pub fn run(main: UnixStream, spare: Vec<UnixStream>) -> ! {
    interruptible_by_signal();
    let spare = spare.into_iter().map(Some).collect();
    let _ = SPARE.set(Mutex::new(spare));
    serve(&main);
    exit(0)
}

/// Ends the process without running what the test registered for its own end.
pub fn exit(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Lets `SIGUSR1` interrupt a system call and do nothing else.
fn interruptible_by_signal() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: the handler touches nothing; no `SA_RESTART`, or reads would go on.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
    }
}

/// Serves one socket; returns when it is closed or the thread is told to end.
fn serve(socket: &UnixStream) {
    // SAFETY: no arguments, cannot fail.
    let tid = unsafe { libc::gettid() };
    if wire::send(socket, &Response::Ready { tid }).is_err() {
        return;
    }
    while let Ok(request) = wire::receive(socket) {
        let ending = matches!(request, Request::EndThread);
        let response = obey(request);
        if wire::send(socket, &response).is_err() || ending {
            return;
        }
    }
}

fn obey(request: Request) -> Response {
    match request {
        Request::Syscall { number, arguments } => syscall(number, arguments),
        Request::Exchange(request) => exchange(request),
        Request::Peek { address, length } => Response::Peek(peek(address, length)),
        Request::Poke { address, bytes } => Response::Poke(poke(address, bytes)),
        Request::Touch { address } => {
            // SAFETY: none: the test wants to see what the kernel does about it.
            // No reference is made and the value is not used.
            unsafe { std::ptr::read_volatile(address as *const u8) };
            Response::Touched
        }
        Request::Timed {
            start,
            asleep,
            requests,
        } => {
            let in_time = race::wait_until(start, asleep);
            let responses = requests.into_iter().map(obey).collect();
            Response::Timed {
                took: in_time.then(|| race::now().saturating_sub(start)),
                responses,
            }
        }
        Request::SpawnThread => {
            let (index, socket) = next_spare();
            thread::spawn(move || serve(&socket));
            Response::Spawned {
                socket: index,
                pid: 0,
            }
        }
        Request::Fork => {
            let (index, socket) = next_spare();
            // SAFETY: the child only goes on serving; the harness steps one thread
            // of an actor at a time, so no lock is held by another.
            match unsafe { libc::fork() } {
                0 => {
                    serve(&socket);
                    exit(0)
                }
                pid => Response::Spawned { socket: index, pid },
            }
        }
        Request::EndThread => Response::Ending,
    }
}

fn next_spare() -> (usize, UnixStream) {
    let mut spare = SPARE
        .get()
        .expect("set by run")
        .lock()
        .expect("no holder panics");
    let index = spare
        .iter()
        .position(Option::is_some)
        .expect("a spare socket is left");
    (index, spare[index].take().expect("just seen"))
}

fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}

fn syscall(number: i64, mut arguments: Vec<Argument>) -> Response {
    let mut words = [0u64; 6];
    for (word, argument) in words.iter_mut().zip(&mut arguments) {
        *word = match argument {
            Argument::Value(value) => *value,
            Argument::Memory(bytes) => bytes.as_mut_ptr() as u64,
        };
    }
    let [a, b, c, d, e, f] = words;
    // SAFETY: memory arguments outlive the call.  What else the test passes is the
    // test's business: it is its own process that may break.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    let result = if result == -1 {
        -i64::from(errno())
    } else {
        result
    };
    let memory = arguments
        .into_iter()
        .filter_map(|argument| match argument {
            Argument::Memory(bytes) => Some(bytes),
            Argument::Value(_) => None,
        })
        .collect();
    Response::Syscall { result, memory }
}

/// Memory that has to stay where it is until an ioctl is over.
#[derive(Default)]
struct Arena(Vec<Vec<u8>>);

impl Arena {
    fn keep(&mut self, bytes: Vec<u8>) -> u64 {
        let address = bytes.as_ptr() as u64;
        self.0.push(bytes);
        address
    }

    fn place(&mut self, memory: Memory) -> u64 {
        match memory {
            Memory::Address(address) => address,
            Memory::Content { mut bytes, buffers } => {
                for (offset, buffer) in buffers {
                    let address = self.keep(buffer);
                    bytes[offset..offset + 8].copy_from_slice(&address.to_le_bytes());
                }
                self.keep(bytes)
            }
        }
    }
}

fn write_buffer(segments: Vec<Segment>, arena: &mut Arena) -> Vec<u8> {
    let mut buffer = Vec::new();
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => buffer.extend(bytes),
            Segment::Transaction {
                mut head,
                data,
                offsets,
                tail,
            } => {
                let fields = [
                    (offset_of!(TransactionData, buffer), data),
                    (offset_of!(TransactionData, offsets), offsets),
                ];
                for (offset, memory) in fields {
                    let address = arena.place(memory).to_le_bytes();
                    head[HEAD + offset..HEAD + offset + 8].copy_from_slice(&address);
                }
                buffer.extend(head);
                buffer.extend(tail);
            }
        }
    }
    buffer
}

fn exchange(request: RawExchange) -> Response {
    let mut arena = Arena::default();
    let write = write_buffer(request.write, &mut arena);
    let mut read = match request.read_buffer {
        Some(_) => Vec::new(),
        None => vec![POISON; request.read_size as usize + GUARD],
    };
    let mut argument = WriteRead {
        write_size: request.write_size.unwrap_or(write.len() as u64),
        write_consumed: request.write_consumed,
        write_buffer: write.as_ptr() as u64,
        read_size: request.read_size,
        read_consumed: request.read_consumed,
        read_buffer: request.read_buffer.unwrap_or(read.as_mut_ptr() as u64),
    };
    let blocking = request.nonblocking.then(|| set_nonblocking(request.fd));
    // SAFETY: the argument and all memory it leads to live until after the call,
    // except for addresses that the test wants to be wrong.
    let result = unsafe { libc::ioctl(request.fd, u64::from(BINDER_WRITE_READ), &mut argument) };
    let errno = if result < 0 { errno() } else { 0 };
    if let Some(flags) = blocking {
        // SAFETY: restores the flags read before.
        unsafe { libc::fcntl(request.fd, libc::F_SETFL, flags) };
    }
    Response::Exchange {
        errno,
        write_consumed: argument.write_consumed,
        read_consumed: argument.read_consumed,
        returned: read,
    }
}

/// Sets `O_NONBLOCK` and returns the flags before.
fn set_nonblocking(fd: i32) -> i32 {
    // SAFETY: file status flags are numbers.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK);
        flags
    }
}

fn peek(address: u64, length: u64) -> Result<Vec<u8>, i32> {
    let mut bytes = vec![0; length as usize];
    // The kernel reports an address that is not there, where a plain read would
    // end the process.
    let (local, remote) = vectors(&mut bytes, address);
    // SAFETY: the local side is ours; the remote side is checked by the kernel.
    let done = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    transferred(done, length).map(|()| bytes)
}

fn poke(address: u64, mut bytes: Vec<u8>) -> Result<(), i32> {
    let (local, remote) = vectors(&mut bytes, address);
    // SAFETY: the local side is ours; the remote side is checked by the kernel.
    let done = unsafe { libc::process_vm_writev(libc::getpid(), &local, 1, &remote, 1, 0) };
    transferred(done, bytes.len() as u64)
}

fn vectors(bytes: &mut [u8], address: u64) -> (libc::iovec, libc::iovec) {
    let iov_len = bytes.len();
    (
        libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len,
        },
        libc::iovec {
            iov_base: address as *mut _,
            iov_len,
        },
    )
}

/// A transfer that stopped early met memory that is not there.
fn transferred(done: isize, length: u64) -> Result<(), i32> {
    match done {
        -1 => Err(errno()),
        done if done as u64 == length => Ok(()),
        _ => Err(libc::EFAULT),
    }
}
