// SPDX-License-Identifier: GPL-2.0

//! The workloads that use a binder device: their names, and one session of each.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use binder_abi::{self as abi, FlatObject, ObjectHeader};
use zerocopy::IntoBytes;

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
    data: Vec<u8>,
    offsets: Vec<u64>,
    handled: SharedCounter,
    posted: u64,
    _descriptor: Option<File>,
    _server: Child,
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
        let client = Client::new(device)?;
        let mut descriptor = None;
        let (kind, data) = match workload {
            Workload::Sync(size) => (Kind::Call(Action::Answer), vec![0x5a; size]),
            Workload::Oneway(size) => (Kind::Post, vec![0x5a; size]),
            Workload::Descriptor => {
                let file = event_descriptor()?;
                let object = FlatObject {
                    hdr: ObjectHeader {
                        kind: abi::BINDER_TYPE_FD,
                    },
                    binder: file.as_raw_fd() as u64,
                    ..FlatObject::default()
                };
                descriptor = Some(file);
                (
                    Kind::Call(Action::CloseDescriptor),
                    object.as_bytes().to_vec(),
                )
            }
            Workload::FreshObject => (Kind::FreshObject, binder_object(0x1000).as_bytes().to_vec()),
            Workload::KnownObject => (
                Kind::Call(Action::KeepObject),
                binder_object(0x1000).as_bytes().to_vec(),
            ),
            Workload::WriteRead => (Kind::Nothing, Vec::new()),
            Workload::FourByFour => unreachable!("this workload has sessions of its own"),
        };
        let offsets = match workload {
            Workload::Descriptor | Workload::FreshObject | Workload::KnownObject => vec![0],
            _ => Vec::new(),
        };
        Ok(Self {
            client,
            kind,
            data,
            offsets,
            handled,
            posted: 0,
            _descriptor: descriptor,
            _server: server,
        })
    }
}

impl Rounds for Session {
    #[inline]
    fn round(&mut self) -> Result<()> {
        match self.kind {
            Kind::FreshObject => {
                self.posted += 1;
                let object = binder_object(0x1000 + self.posted * 16);
                self.data.copy_from_slice(object.as_bytes());
                self.call(Action::Answer)
            }
            Kind::Call(action) => self.call(action),
            Kind::Post => {
                self.posted += 1;
                let parcel = Parcel {
                    data: &self.data,
                    offsets: &self.offsets,
                };
                self.client.post(Action::Answer, parcel)?;
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
        let parcel = Parcel {
            data: &self.data,
            offsets: &self.offsets,
        };
        self.client.call(action, parcel)
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
