// SPDX-License-Identifier: GPL-2.0

//! What a thread of an actor does with a binder device.

use crate::command::Bc;
use crate::returns::{self, Br, Delivery};
use crate::seen;
use crate::thread::{Pending, Thread};
use crate::wire::{Argument, GUARD, POISON, RawExchange, Request, Response};
use anyhow::{Context, Result, bail, ensure};
use binder_abi::*;
use nix::errno::Errno;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What libbinder maps.
pub const USUAL_SIZE: u64 = 1024 * 1024 - 2 * crate::thread::PAGE;
/// More than enough for one read.
const READ_SIZE: u64 = 1024;

/// An open device and its mapping.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The descriptor, or -1.
    pub fd: i32,
    /// Where received data appears, or 0.
    pub base: u64,
    /// How much was mapped.
    pub size: u64,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            fd: -1,
            base: 0,
            size: 0,
        }
    }
}

/// One `BINDER_WRITE_READ` to be done.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    commands: Vec<Bc>,
    write_size: Option<u64>,
    write_consumed: u64,
    read_size: u64,
    read_consumed: u64,
    read_buffer: Option<u64>,
    nonblocking: bool,
}

impl Exchange {
    /// Only writes.
    pub fn write(commands: &[Bc]) -> Self {
        Self {
            commands: commands.to_vec(),
            ..Self::default()
        }
    }

    /// Only reads.
    pub fn read() -> Self {
        Self::default().and_read()
    }

    /// Reads as well.
    pub fn and_read(self) -> Self {
        self.read_size(READ_SIZE)
    }

    /// Reads with a buffer of this size.
    pub fn read_size(mut self, size: u64) -> Self {
        self.read_size = size;
        self
    }

    /// Says that so much of the read buffer is in use.
    pub fn read_consumed(mut self, consumed: u64) -> Self {
        self.read_consumed = consumed;
        self
    }

    /// Reads to this address.
    pub fn read_buffer(mut self, address: u64) -> Self {
        self.read_buffer = Some(address);
        self
    }

    /// Claims another size of the write buffer.
    pub fn write_size(mut self, size: u64) -> Self {
        self.write_size = Some(size);
        self
    }

    /// Says that so much of the write buffer is done.
    pub fn write_consumed(mut self, consumed: u64) -> Self {
        self.write_consumed = consumed;
        self
    }

    /// Does not wait for work.
    pub fn nonblocking(mut self) -> Self {
        self.nonblocking = true;
        self
    }

    pub(crate) fn request(&self, fd: i32) -> Request {
        Request::Exchange(RawExchange {
            fd,
            write: self.commands.iter().map(Bc::segment).collect(),
            write_size: self.write_size,
            write_consumed: self.write_consumed,
            read_size: self.read_size,
            read_consumed: self.read_consumed,
            read_buffer: self.read_buffer,
            nonblocking: self.nonblocking,
        })
    }
}

/// What came of a `BINDER_WRITE_READ`.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the ioctl.
    pub result: Result<(), Errno>,
    /// As the driver left it.
    pub write_consumed: u64,
    /// As the driver left it.
    pub read_consumed: u64,
    /// The read buffer, with poison where nothing was written and a guard behind.
    pub buffer: Vec<u8>,
}

impl Outcome {
    pub(crate) fn new(response: Response) -> Result<Self> {
        match response {
            Response::Exchange {
                errno,
                write_consumed,
                read_consumed,
                returned,
            } => Ok(Self {
                result: if errno == 0 {
                    Ok(())
                } else {
                    Err(Errno::from_raw(errno))
                },
                write_consumed,
                read_consumed,
                buffer: returned,
            }),
            other => bail!("not the answer to an exchange: {other:?}"),
        }
    }

    /// Insists on success.
    pub fn ok(self) -> Result<Self> {
        self.result
            .with_context(|| format!("BINDER_WRITE_READ: {self:?}"))?;
        Ok(self)
    }

    /// What was returned.
    pub fn returns(&self) -> Result<Vec<Br>> {
        self.returns_from(0)
    }

    /// What was returned behind the part of the buffer that was in use.
    pub fn returns_from(&self, start: u64) -> Result<Vec<Br>> {
        let bytes = self.buffer.get(start as usize..self.read_consumed as usize);
        returns::parse(bytes.context("read_consumed lies outside the buffer")?)
    }

    /// How many bytes of the read buffer, guard included, were written to.
    pub fn touched(&self) -> usize {
        self.buffer
            .iter()
            .rposition(|byte| *byte != POISON)
            .map_or(0, |last| last + 1)
    }

    /// Whether the driver wrote behind the read buffer.
    pub fn overran(&self) -> bool {
        self.touched() > self.buffer.len().saturating_sub(GUARD)
    }
}

impl Pending<'_> {
    /// Waits for the end of an exchange.
    pub fn outcome(self) -> Result<Outcome> {
        Outcome::new(self.finish()?)
    }

    /// Waits for the end of an exchange that has to succeed.
    pub fn returns(self) -> Result<Vec<Br>> {
        self.outcome()?.ok()?.returns()
    }
}

impl Thread {
    /// Opens a file; the result is not remembered.
    pub fn open_raw(&mut self, path: &Path, flags: i32) -> Result<Result<i32, Errno>> {
        let path = CString::new(path.as_os_str().as_bytes())?.into_bytes_with_nul();
        let arguments = vec![
            Argument::Value(libc::AT_FDCWD as u64),
            Argument::Memory(path),
            Argument::Value(flags as u64),
        ];
        let (result, _) = self.syscall_with(libc::SYS_openat, arguments)?;
        Ok(result.map(|fd| fd as i32))
    }

    /// Opens a device and makes it the one this thread uses.
    pub fn open(&mut self, path: &Path) -> Result<()> {
        let fd = self.open_raw(path, libc::O_RDWR | libc::O_CLOEXEC)?;
        let fd = fd.with_context(|| format!("open {}", path.display()))?;
        self.endpoint = Endpoint {
            fd,
            ..Endpoint::default()
        };
        Ok(())
    }

    /// Closes the device.
    pub fn close(&mut self) -> Result<()> {
        self.must(libc::SYS_close, &[self.endpoint.fd as u64])?;
        self.endpoint.fd = -1;
        Ok(())
    }

    /// Maps the device any way; the result is not remembered.
    pub fn map_raw(
        &mut self,
        size: u64,
        protection: i32,
        flags: i32,
        offset: u64,
    ) -> Result<Result<u64, Errno>> {
        let arguments = [
            0,
            size,
            protection as u64,
            flags as u64,
            self.endpoint.fd as u64,
            offset,
        ];
        Ok(self
            .syscall(libc::SYS_mmap, &arguments)?
            .map(|address| address as u64))
    }

    /// Maps the device as libbinder does.
    pub fn map(&mut self, size: u64) -> Result<()> {
        let base = self.map_raw(
            size,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_NORESERVE,
            0,
        )?;
        self.endpoint.base = base.context("mmap of the device")?;
        self.endpoint.size = size;
        Ok(())
    }

    /// Unmaps the device.
    pub fn unmap(&mut self) -> Result<()> {
        self.must(libc::SYS_munmap, &[self.endpoint.base, self.endpoint.size])
            .map(drop)
    }

    /// An ioctl whose argument is a number or an address.
    pub fn ioctl_raw(&mut self, number: u32, argument: u64) -> Result<Result<i64, Errno>> {
        self.syscall(
            libc::SYS_ioctl,
            &[self.endpoint.fd as u64, u64::from(number), argument],
        )
    }

    /// An ioctl with an argument that goes both ways.
    pub fn ioctl<T>(&mut self, number: u32, argument: T) -> Result<Result<T, Errno>>
    where
        T: FromBytes + IntoBytes + Immutable,
    {
        let arguments = vec![
            Argument::Value(self.endpoint.fd as u64),
            Argument::Value(u64::from(number)),
            Argument::Memory(argument.as_bytes().to_vec()),
        ];
        let (result, memory) = self.syscall_with(libc::SYS_ioctl, arguments)?;
        let value = T::read_from_bytes(&memory[0])
            .ok()
            .context("an argument of the size sent")?;
        Ok(result.map(|_| value))
    }

    /// Asks for the version.  Also what makes the driver know the thread, so that
    /// its next read is not its first call.
    pub fn version(&mut self) -> Result<Result<i32, Errno>> {
        Ok(self
            .ioctl(BINDER_VERSION, Version::default())?
            .map(|version| version.protocol_version))
    }

    /// Takes the thread's extended error.
    pub fn extended_error(&mut self) -> Result<ExtendedError> {
        self.ioctl(BINDER_GET_EXTENDED_ERROR, ExtendedError::default())?
            .context("BINDER_GET_EXTENDED_ERROR")
    }

    /// Begins an exchange.
    pub fn begin_exchange(&mut self, exchange: &Exchange) -> Result<Pending<'_>> {
        let request = exchange.request(self.endpoint.fd);
        self.begin(&request)
    }

    /// Does an exchange.
    pub fn exchange(&mut self, exchange: &Exchange) -> Result<Outcome> {
        self.begin_exchange(exchange)?.outcome()
    }

    /// Events of the device that this thread can wait for.
    pub fn poll_events(&mut self) -> Result<i16> {
        #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
        #[repr(C)]
        struct PollFd {
            fd: i32,
            events: i16,
            revents: i16,
        }
        let fd = PollFd {
            fd: self.endpoint.fd,
            events: !0,
            revents: 0,
        };
        let arguments = vec![
            Argument::Memory(fd.as_bytes().to_vec()),
            Argument::Value(1),
            Argument::Value(0),
        ];
        let (result, memory) = self.syscall_with(libc::SYS_poll, arguments)?;
        result.context("poll")?;
        Ok(PollFd::read_from_bytes(&memory[0])
            .ok()
            .context("pollfd")?
            .revents)
    }
}

/// Sending and receiving, for the usual case that everything works.
pub trait Transactions {
    /// Writes commands, whatever happens.
    fn write(&mut self, commands: &[Bc]) -> Result<Outcome>;
    /// Writes commands, all of which have to be consumed.
    fn send(&mut self, commands: &[Bc]) -> Result<()>;
    /// Waits for returns.
    fn read(&mut self) -> Result<Vec<Br>>;
    /// Takes what is there; nothing gives an empty list.
    fn try_read(&mut self) -> Result<Vec<Br>>;
    /// Waits for a call or a reply, before which nothing but completions may come.
    fn receive(&mut self) -> Result<Delivery>;
    /// The data of a delivery.
    fn data(&mut self, delivery: &Delivery) -> Result<Vec<u8>>;
    /// The flat object at an index of a delivery's offsets.
    fn object(&mut self, delivery: &Delivery, index: usize) -> Result<FlatObject>;
    /// Gives a delivery's buffer back.
    fn free(&mut self, delivery: &Delivery) -> Result<()>;
    /// Answers a call and gives its buffer back, in that order.
    fn answer(&mut self, delivery: &Delivery, reply: crate::Call) -> Result<()>;
    /// Answers every `BR_INCREFS` and `BR_ACQUIRE` in a list.
    fn acknowledge(&mut self, returns: &[Br]) -> Result<()>;
}

impl Transactions for Thread {
    fn write(&mut self, commands: &[Bc]) -> Result<Outcome> {
        self.exchange(&Exchange::write(commands))
    }

    fn send(&mut self, commands: &[Bc]) -> Result<()> {
        let size: u64 = commands.iter().map(Bc::size).sum();
        let outcome = self.write(commands)?.ok()?;
        ensure!(
            outcome.write_consumed == size,
            "{} of {size} bytes consumed",
            outcome.write_consumed
        );
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<Br>> {
        self.begin_exchange(&Exchange::read())?.returns()
    }

    fn try_read(&mut self) -> Result<Vec<Br>> {
        let outcome = self.exchange(&Exchange::read().nonblocking())?;
        match outcome.result {
            Err(Errno::EAGAIN) => Ok(Vec::new()),
            _ => outcome.ok()?.returns(),
        }
    }

    fn receive(&mut self) -> Result<Delivery> {
        let returns = self.read()?;
        let Some((Br::Delivery(delivery), before)) = returns.split_last() else {
            bail!("expected a call or a reply, got {returns:?}");
        };
        let expected = [BR_NOOP, BR_SPAWN_LOOPER, BR_TRANSACTION_COMPLETE];
        ensure!(
            before.iter().all(|r| expected.contains(&r.code())),
            "unexpected returns in {returns:?}"
        );
        Ok(delivery.clone())
    }

    fn data(&mut self, delivery: &Delivery) -> Result<Vec<u8>> {
        let data = &delivery.data;
        self.peek(data.buffer, data.data_size)?
            .context("received data can be read")
    }

    fn object(&mut self, delivery: &Delivery, index: usize) -> Result<FlatObject> {
        let data = &delivery.data;
        ensure!(
            (index as u64) < data.offsets_size / 8,
            "only {} bytes of offsets",
            data.offsets_size
        );
        let offset = self
            .peek(data.offsets + 8 * index as u64, 8)?
            .context("offsets can be read")?;
        let offset = u64::read_from_bytes(&offset).ok().context("eight bytes")?;
        let object = self.peek(data.buffer + offset, size_of::<FlatObject>() as u64)?;
        let bytes = object.context("objects can be read")?;
        let object = FlatObject::read_from_bytes(&bytes)
            .ok()
            .context("an object's size")?;
        seen::record(seen::Item::Object(object.hdr.kind));
        Ok(object)
    }

    fn free(&mut self, delivery: &Delivery) -> Result<()> {
        self.send(&[Bc::FreeBuffer(delivery.data.buffer)])
    }

    fn answer(&mut self, delivery: &Delivery, reply: crate::Call) -> Result<()> {
        self.send(&[reply.into(), Bc::FreeBuffer(delivery.data.buffer)])
    }

    fn acknowledge(&mut self, returns: &[Br]) -> Result<()> {
        let done: Vec<Bc> = returns
            .iter()
            .filter_map(|r| match r {
                Br::Node(BR_INCREFS, node) => Some(Bc::IncrefsDone(node.ptr, node.cookie)),
                Br::Node(BR_ACQUIRE, node) => Some(Bc::AcquireDone(node.ptr, node.cookie)),
                _ => None,
            })
            .collect();
        self.send(&done)
    }
}
