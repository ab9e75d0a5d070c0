// SPDX-License-Identifier: GPL-2.0

//! What is said over binder here: a header, a body that both sides can compute, and objects.

use binder_abi::{
    BINDER_TYPE_BINDER, BINDER_TYPE_FD, BINDER_TYPE_HANDLE, FLAT_BINDER_FLAG_ACCEPTS_FDS, FdObject,
    FlatObject, ObjectHeader,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const MAGIC: u64 = 0x6275_7379_6269_6e64;

/// What the receiver is asked to do.
pub mod code {
    /// Send a body of the size asked for back.
    pub const ECHO: u32 = 1;
    /// Call back the binder sent along, as deep as asked.
    pub const NEST: u32 = 2;
    /// Check and count; sent oneway.
    pub const NOTE: u32 = 3;
    /// Send the binders in the call back to their owner.
    pub const RETURN: u32 = 4;
    /// Keep the binder in the call for later.
    pub const KEEP: u32 = 5;
    /// Call the binder in the call, which belongs to somebody else, and tell who answered.
    pub const FORWARD: u32 = 6;
    /// Say who you are.
    pub const WHO: u32 = 7;
    /// Write to the file in the call and send another one back.
    pub const FILES: u32 = 8;
    /// Leave the thread instead of answering.
    pub const VANISH: u32 = 9;
    /// To the directory: here is the binder of a worker.
    pub const ENTER: u32 = 20;
    /// To the directory: send the binder of a worker.
    pub const FIND: u32 = 21;
}

/// The first bytes of every message.
#[derive(
    Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Eq,
)]
#[repr(C)]
pub struct Header {
    magic: u64,
    /// Seed of the body.
    pub seed: u64,
    /// Size of the body.
    pub size: u64,
    /// Of the body; in a reply, of the call's body as it arrived.
    pub checksum: u64,
    /// What the code makes of it.
    pub a: u64,
    /// What the code makes of it.
    pub b: u64,
    /// Process that wrote the message.
    pub pid: u64,
}

/// A random generator that gives the same numbers on every machine.
pub type Random = Xoshiro256StarStar;

/// A generator for one purpose, from the seed of the run and what tells this purpose from others.
pub fn random(parts: &[u64]) -> Random {
    // Any mixing will do that lets no two purposes meet by accident.
    let mix =
        |hash: u64, part: &u64| (hash.rotate_left(23) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Random::seed_from_u64(parts.iter().fold(0x5851_f42d_4c95_7f2d, mix))
}

fn body(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    random(&[seed, size as u64]).fill_bytes(&mut bytes);
    bytes
}

/// Data to send, and where in it the objects are.
#[derive(Default)]
pub struct Parcel {
    /// Header, body, objects.
    pub data: Vec<u8>,
    /// Offsets of the objects.
    pub offsets: Vec<u64>,
}

impl Parcel {
    /// A message with a body of `size` bytes grown from `seed`.
    pub fn new(seed: u64, size: usize, a: u64, b: u64) -> Self {
        let body = body(seed, size);
        Self::with(seed, u64::from(crc32fast::hash(&body)), a, b, &body)
    }

    /// The answer to `call`, with a body of `size` bytes grown from its seed.
    pub fn answer(call: &Message, size: usize, a: u64, b: u64) -> Self {
        let seed = !call.header.seed;
        Self::with(seed, u64::from(call.checksum), a, b, &body(seed, size))
    }

    fn with(seed: u64, checksum: u64, a: u64, b: u64, body: &[u8]) -> Self {
        let (size, pid) = (body.len() as u64, u64::from(std::process::id()));
        let header = Header {
            magic: MAGIC,
            seed,
            size,
            checksum,
            a,
            b,
            pid,
        };
        let mut data = header.as_bytes().to_vec();
        data.extend_from_slice(body);
        // Objects start at a multiple of four, here of eight.
        data.resize(data.len().next_multiple_of(8), 0);
        Self {
            data,
            offsets: Vec::new(),
        }
    }

    fn object(&mut self, object: &(impl IntoBytes + Immutable)) {
        self.offsets.push(self.data.len() as u64);
        self.data.extend_from_slice(object.as_bytes());
    }

    /// Appends a binder of this process.
    pub fn binder(mut self, ptr: u64, cookie: u64) -> Self {
        let hdr = ObjectHeader {
            kind: BINDER_TYPE_BINDER,
        };
        self.object(&FlatObject {
            hdr,
            flags: FLAT_BINDER_FLAG_ACCEPTS_FDS,
            binder: ptr,
            cookie,
        });
        self
    }

    /// Appends a binder of another process.
    pub fn handle(mut self, handle: u32) -> Self {
        let hdr = ObjectHeader {
            kind: BINDER_TYPE_HANDLE,
        };
        self.object(&FlatObject {
            hdr,
            flags: 0,
            binder: u64::from(handle),
            cookie: 0,
        });
        self
    }

    /// Appends an open file.
    pub fn file(self, file: BorrowedFd<'_>) -> Self {
        self.file_number(file.as_raw_fd().cast_unsigned())
    }

    /// Appends a file by its number, which may be of no file.
    pub fn file_number(mut self, fd: u32) -> Self {
        let hdr = ObjectHeader {
            kind: BINDER_TYPE_FD,
        };
        self.object(&FdObject {
            hdr,
            pad_flags: 0,
            fd,
            pad_binder_high: 0,
            cookie: 0,
        });
        self
    }
}

/// An object as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A binder of this process.
    Own {
        /// First word of its name.
        ptr: u64,
        /// Second word of its name.
        cookie: u64,
    },
    /// A binder of another process.
    Handle(u32),
    /// An open file; it is in [`Message::files`].
    File,
}

/// A message as it arrived.
#[derive(Debug, Default)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// Checksum of the body as it arrived.
    pub checksum: u32,
    /// Its objects.
    pub objects: Vec<Object>,
    /// The files among them: closed with the message unless taken out.
    pub files: Vec<OwnedFd>,
    body: Vec<u8>,
}

impl Message {
    /// Takes apart what was received. `adopt` makes the files that came along this process's own.
    pub fn parse(
        data: &[u8],
        offsets: &[u64],
        adopt: impl Fn(u32) -> OwnedFd,
    ) -> Result<Self, String> {
        // Files first: whatever else is wrong with the message, they are open now.
        let mut files = Vec::new();
        let objects = offsets
            .iter()
            .map(|&offset| object(data, offset))
            .collect::<Vec<_>>();
        let objects = objects.into_iter().map(|object| match object? {
            Raw::File(fd) => {
                files.push(adopt(fd));
                Ok(Object::File)
            }
            Raw::Other(object) => Ok(object),
        });
        let objects = objects.collect::<Result<Vec<_>, String>>()?;
        let (header, rest) = Header::read_from_prefix(data)
            .map_err(|_| format!("{} bytes are no header", data.len()))?;
        if header.magic != MAGIC {
            return Err(format!("not a message: {header:x?}"));
        }
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        let body = rest
            .get(..size)
            .ok_or_else(|| format!("{} bytes hold no body of {size}", data.len()))?
            .to_vec();
        Ok(Self {
            header,
            checksum: crc32fast::hash(&body),
            objects,
            files,
            body,
        })
    }

    /// Checks that the body of a call arrived as it was sent.
    pub fn check_call(&self) -> Result<(), String> {
        if u64::from(self.checksum) != self.header.checksum {
            return Err(format!(
                "checksum {:x} instead of {:x}, {} bytes",
                self.checksum,
                self.header.checksum,
                self.body.len()
            ));
        }
        Ok(())
    }

    /// Checks that a reply belongs to the call that `sent` made, whose body arrived as sent, and that its own body did too.
    pub fn check_reply(&self, sent: &Parcel) -> Result<(), String> {
        let call = Header::read_from_prefix(&sent.data)
            .map(|(header, _)| header)
            .unwrap_or_default();
        if self.header.seed != !call.seed {
            return Err(format!(
                "a reply to another call: seed {:x}, expected {:x}",
                self.header.seed, !call.seed
            ));
        }
        if self.header.checksum != call.checksum {
            return Err(format!(
                "the call arrived changed: {:x}, sent {:x}",
                self.header.checksum, call.checksum
            ));
        }
        if self.body != body(self.header.seed, self.body.len()) {
            return Err(format!(
                "the {} bytes of the reply are not those sent",
                self.body.len()
            ));
        }
        Ok(())
    }

    /// The handles among the objects.
    pub fn handles(&self) -> impl Iterator<Item = u32> {
        self.objects.iter().filter_map(|object| match object {
            Object::Handle(handle) => Some(*handle),
            _ => None,
        })
    }
}

/// An object before its file is taken over.
enum Raw {
    File(u32),
    Other(Object),
}

fn object(data: &[u8], offset: u64) -> Result<Raw, String> {
    let bytes = usize::try_from(offset)
        .ok()
        .and_then(|offset| data.get(offset..))
        .unwrap_or_default();
    let (flat, _) =
        FlatObject::read_from_prefix(bytes).map_err(|_| format!("no object at {offset}"))?;
    match flat.hdr.kind {
        BINDER_TYPE_BINDER => Ok(Raw::Other(Object::Own {
            ptr: flat.binder,
            cookie: flat.cookie,
        })),
        BINDER_TYPE_HANDLE => Ok(Raw::Other(Object::Handle(flat.handle()))),
        // The number shares its place with the first word of the other objects.
        BINDER_TYPE_FD => Ok(Raw::File(flat.handle())),
        kind => Err(format!("an object of type {kind:x} at {offset}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(parcel: &Parcel) -> Result<Message, String> {
        Message::parse(&parcel.data, &parcel.offsets, |fd| {
            panic!("file {fd} in a message without files")
        })
    }

    #[test]
    fn what_arrives_unchanged_is_accepted() {
        let call = Parcel::new(7, 1001, 1, 2).binder(0x10, 0x20).handle(5);
        let message = arrive(&call).unwrap();
        message.check_call().unwrap();
        assert_eq!((message.header.a, message.header.b), (1, 2));
        let own = Object::Own {
            ptr: 0x10,
            cookie: 0x20,
        };
        assert_eq!(message.objects, [own, Object::Handle(5)]);
        let reply = arrive(&Parcel::answer(&message, 99, 0, 0)).unwrap();
        reply.check_reply(&call).unwrap();
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let call = Parcel::new(7, 100, 0, 0);
        let mut changed = Parcel::new(7, 100, 0, 0);
        changed.data[size_of::<Header>() + 50] ^= 1;
        let message = arrive(&changed).unwrap();
        assert!(message.check_call().is_err());
        let honest = arrive(&call).unwrap();
        let mut reply = Parcel::answer(&honest, 100, 0, 0);
        reply.data[size_of::<Header>() + 50] ^= 1;
        assert!(arrive(&reply).unwrap().check_reply(&call).is_err());
    }

    #[test]
    fn an_answer_to_another_call_is_seen() {
        let (call, other) = (Parcel::new(7, 10, 0, 0), Parcel::new(8, 10, 0, 0));
        let answer = Parcel::answer(&arrive(&other).unwrap(), 10, 0, 0);
        assert!(arrive(&answer).unwrap().check_reply(&call).is_err());
    }
}
