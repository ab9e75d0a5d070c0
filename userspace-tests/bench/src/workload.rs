// SPDX-License-Identifier: GPL-2.0

//! The workloads that use a binder device: their names, and one session of each.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use binder_abi::{self as abi, BufferObject, FdArrayObject, FlatObject, ObjectHeader};
use zerocopy::{Immutable, IntoBytes};

use crate::child::{Child, SharedCounter};
use crate::conn::Connection;
use crate::measure::Rounds;
use crate::peer::{self, Action, Client, Parcel};
use binder_bench::results::Figure;

/// A workload between one client and one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// A synchronous call with so many bytes, and its empty reply.
    Sync(usize),
    /// A oneway call with so many bytes.
    Oneway(usize),
    /// A synchronous call with one descriptor, which the server closes.
    Descriptor,
    /// A synchronous call with a buffer of so many bytes, and a smaller one that points to it.
    Buffer(usize),
    /// A synchronous call with a list of so many descriptors, which the driver closes.
    DescriptorArray(usize),
    /// A synchronous call with a binder object that the driver has not seen.
    FreshObject,
    /// A synchronous call with a binder object that the server holds.
    KnownObject,
    /// Four clients call a server with four loopers.
    FourByFour,
    /// A `BINDER_WRITE_READ` that neither writes nor reads.
    WriteRead,
}

/// Every workload, with its name and the size of run that gives a stable figure.
pub const ALL: &[(&str, Workload)] = &[
    ("sync-0", Workload::Sync(0)),
    ("sync-16", Workload::Sync(16)),
    ("sync-256", Workload::Sync(256)),
    ("sync-4k", Workload::Sync(4096)),
    ("sync-64k", Workload::Sync(65536)),
    ("oneway-16", Workload::Oneway(16)),
    ("oneway-4k", Workload::Oneway(4096)),
    ("fd", Workload::Descriptor),
    ("fda-4", Workload::DescriptorArray(4)),
    ("sg-4k", Workload::Buffer(4096)),
    ("obj-fresh", Workload::FreshObject),
    ("obj-known", Workload::KnownObject),
    ("mt4", Workload::FourByFour),
    ("floor-write-read", Workload::WriteRead),
];

/// Oneway calls under way at once. All of them fit the half of the buffer that oneway calls may
/// use, and stay below the number at which a driver suspects spam.
const ONEWAY_BURST: usize = 32;

impl Workload {
    /// Which value of the distribution stands for it.
    pub fn figure(self) -> Figure {
        match self {
            Self::Oneway(_) | Self::FourByFour => Figure::Mean,
            _ => Figure::P50,
        }
    }
}

/// A client and its server, ready for rounds.
pub struct Session {
    client: Client,
    kind: Kind,
    content: Content,
    handled: SharedCounter,
    posted: u64,
    _server: Child,
}

/// What the calls of a session carry.
#[derive(Default)]
struct Content {
    data: Vec<u8>,
    offsets: Vec<u64>,
    buffers_size: u64,
    /// What objects point to.
    buffers: Vec<Vec<u8>>,
    /// What objects name.
    _descriptor: Option<File>,
}

#[derive(Clone, Copy)]
enum Kind {
    Call(Action),
    FreshObject,
    Post,
    Nothing,
}

impl Session {
    /// Starts the server process of a workload and connects to it.
    pub fn start(workload: Workload, device: &Path) -> Result<Self> {
        let handled = SharedCounter::new()?;
        let server = Child::start(|ready| {
            if let Workload::Oneway(_) = workload {
                stand_back()?;
            }
            let connection = Connection::open(device)?;
            connection.become_manager()?;
            ready.tell()?;
            let mut count = 0;
            peer::serve(&connection, |call| {
                if call.flags & abi::TF_ONE_WAY != 0 {
                    count += 1;
                    handled.store(count, Ordering::Release);
                }
            })
        })?;
        let (kind, content) = match workload {
            Workload::Sync(size) => (Kind::Call(Action::Answer), Content::bytes(size)),
            Workload::Oneway(size) => (Kind::Post, Content::bytes(size)),
            Workload::Descriptor => (Kind::Call(Action::CloseDescriptor), Content::descriptor()?),
            Workload::Buffer(size) => (Kind::Call(Action::Answer), Content::buffer(size)),
            Workload::DescriptorArray(count) => (
                Kind::Call(Action::Answer),
                Content::descriptor_array(count)?,
            ),
            Workload::FreshObject => (Kind::FreshObject, Content::object(binder_object(0x1000))),
            Workload::KnownObject => (
                Kind::Call(Action::KeepObject),
                Content::object(binder_object(0x1000)),
            ),
            Workload::WriteRead => (Kind::Nothing, Content::default()),
            Workload::FourByFour => unreachable!("this workload has sessions of its own"),
        };
        Ok(Self {
            client: Client::new(device)?,
            kind,
            content,
            handled,
            posted: 0,
            _server: server,
        })
    }
}

/// Lets the other process go on when this one is woken: a burst is sent before any of it is handled.
///
/// Otherwise the scheduler decides, by how long either ran before, whether the server gets in between for two or three
/// calls of each burst, and the mean has two values, a tenth apart.
fn stand_back() -> Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameters` is the structure that this call reads.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).context("cannot become a batch process"),
    }
}

impl Content {
    /// So many bytes.
    fn bytes(size: usize) -> Self {
        Self {
            data: vec![0x5a; size],
            ..Self::default()
        }
    }

    /// One object.
    fn object(object: FlatObject) -> Self {
        Self {
            data: object.as_bytes().to_vec(),
            offsets: vec![0],
            ..Self::default()
        }
    }

    /// One descriptor.
    fn descriptor() -> Result<Self> {
        let file = event_descriptor()?;
        let object = FlatObject {
            hdr: ObjectHeader {
                kind: abi::BINDER_TYPE_FD,
            },
            binder: file.as_raw_fd() as u64,
            ..FlatObject::default()
        };
        Ok(Self {
            _descriptor: Some(file),
            ..Self::object(object)
        })
    }

    /// A buffer of so many bytes, and the address and length of it in one of its own, which is how
    /// HIDL sends a vector.
    fn buffer(size: usize) -> Self {
        let header = [0, size as u64].as_bytes().to_vec();
        let mut content = Self::default();
        content.push_bytes(&0_u64);
        content.push_buffer(header, BufferObject::default());
        let nesting = BufferObject {
            flags: abi::BINDER_BUFFER_FLAG_HAS_PARENT,
            ..BufferObject::default()
        };
        content.push_buffer(vec![0x5a; size], nesting);
        content
    }

    /// A buffer that lists one descriptor so many times, which is how HIDL sends handles.
    fn descriptor_array(count: usize) -> Result<Self> {
        let file = event_descriptor()?;
        let numbers = vec![file.as_raw_fd(); count].as_bytes().to_vec();
        let mut content = Self {
            _descriptor: Some(file),
            ..Self::default()
        };
        content.push_bytes(&0_u64);
        content.push_buffer(numbers, BufferObject::default());
        content.push_object(&FdArrayObject {
            hdr: ObjectHeader {
                kind: abi::BINDER_TYPE_FDA,
            },
            num_fds: count as u64,
            ..FdArrayObject::default()
        });
        Ok(content)
    }

    fn push_bytes<T: IntoBytes + Immutable>(&mut self, value: &T) {
        self.data.extend_from_slice(value.as_bytes());
    }

    fn push_object<T: IntoBytes + Immutable>(&mut self, object: &T) {
        self.offsets.push(self.data.len() as u64);
        self.push_bytes(object);
    }

    fn push_buffer(&mut self, bytes: Vec<u8>, nesting: BufferObject) {
        self.push_object(&BufferObject {
            hdr: ObjectHeader {
                kind: abi::BINDER_TYPE_PTR,
            },
            buffer: bytes.as_ptr() as u64,
            length: bytes.len() as u64,
            ..nesting
        });
        self.buffers_size += bytes.len().next_multiple_of(8) as u64;
        self.buffers.push(bytes);
    }

    #[inline]
    fn parcel(&self) -> Parcel<'_> {
        Parcel {
            data: &self.data,
            offsets: &self.offsets,
            buffers_size: self.buffers_size,
        }
    }
}

impl Rounds for Session {
    #[inline]
    fn round(&mut self) -> Result<()> {
        match self.kind {
            Kind::FreshObject => {
                self.posted += 1;
                let object = binder_object(0x1000 + self.posted * 16);
                self.content.data.copy_from_slice(object.as_bytes());
                self.call(Action::Answer)
            }
            Kind::Call(action) => self.call(action),
            Kind::Post => {
                self.posted += 1;
                self.client.post(Action::Answer, self.content.parcel())?;
                if self.posted.is_multiple_of(ONEWAY_BURST as u64) {
                    self.settle()?;
                }
                Ok(())
            }
            Kind::Nothing => Ok(self.client.connection().exchange_nothing()?),
        }
    }

    fn settle(&mut self) -> Result<()> {
        if let Kind::Post = self.kind {
            while self.handled.load(Ordering::Acquire) < self.posted {
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

impl Session {
    #[inline]
    fn call(&mut self, action: Action) -> Result<()> {
        self.client.call(action, self.content.parcel())
    }
}

fn binder_object(pointer: u64) -> FlatObject {
    FlatObject {
        hdr: ObjectHeader {
            kind: abi::BINDER_TYPE_BINDER,
        },
        flags: abi::FLAT_BINDER_FLAG_ACCEPTS_FDS,
        binder: pointer,
        cookie: pointer,
    }
}

fn event_descriptor() -> Result<File> {
    // SAFETY: Only makes a descriptor.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("cannot make an eventfd");
    }
    // SAFETY: The descriptor is new and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}
