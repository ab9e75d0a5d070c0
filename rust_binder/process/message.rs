// SPDX-License-Identifier: GPL-2.0

//! Messages on their way, and what is left of them in a receiver's buffer.
//!
//! A [`Message`] is owned by the queue it waits in, alone. As long as it is not delivered, dropping
//! it gives back all that it carries: files, counts on nodes and references, buffer space. At
//! delivery what must outlive it moves into the receiver's space as [`Delivered`], and goes when
//! the receiver frees the buffer.

use super::{
    Call,
    Hold,
    Process,
    Work, //
};
use crate::{
    abi::{
        name::Handle,
        object::Strength,
        transaction::TransactionFlags, //
    },
    buffer::{
        Allocation,
        Section, //
    },
    object::priority::Priority,
    observe::census::{
        self,
        Count, //
    },
    sys::queue::{
        Item,
        Queued, //
    },
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    task::{
        Kuid,
        Pid, //
    }, //
};

/// A call, a oneway message or a reply that was sent and not read.
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The sender's code, passed on as it is.
    pub code: u32,
    /// The sender's flags, passed on as they are.
    pub flags: TransactionFlags,
    /// Who the sender was when it sent it.
    pub sender_euid: Kuid,
    /// The nice value of the sender when it sent it.
    pub nice: i8,
    /// At what priority it is to be served, if the node is not a plain one.
    pub priority: Option<Priority>,
    /// What it carries; gone once it is delivered or refused.
    pub payload: Option<Payload>,
}

/// The three kinds of messages.
pub enum Kind {
    /// Somebody waits for the reply.
    Call(Arc<Call>),
    /// Nobody does.
    Oneway {
        /// The thread group of the sender, in the initial pid namespace.
        sender: Pid,
    },
    /// This is the reply.
    Reply,
}

/// What a message carries.
///
/// The fields are dropped in this order: the space goes when nothing depends on it.
pub struct Payload {
    /// The node that it is addressed to; none for a reply.
    pub target: Option<Hold>,
    /// Objects and files, if there are any.
    pub attachments: Option<KBox<Attachments>>,
    /// The buffer in the receiver's space.
    pub buffer: Allocation<Delivered>,
    /// Where in the receiver's memory the sender's security context is; 0 if it was not asked for.
    pub security_context: u64,
}

/// The objects that a message carries, as the receiver holds them.
pub struct Attachments {
    receiver: Arc<Process>,
    objects: KVVec<Translated>,
    /// Files that the receiver gets when it reads the message.
    pub files: KVVec<FileFixup>,
    /// The numbers that the receiver got for those that lie in lists. They are closed with the
    /// buffer; what the numbers mean, and whether they mean anything then, is up to the receiver.
    pub listed: Option<KVVec<u32>>,
    /// How many objects there can be.
    capacity: usize,
    _count: Count,
}

/// What one object became for the receiver.
pub enum Translated {
    /// A node of its own, held while the buffer exists.
    Node(Hold),
    /// One count of a reference.
    Reference(Handle, Strength),
}

/// A file on its way.
pub struct FileFixup {
    /// The file.
    pub file: ARef<File>,
    /// Where its number goes: in the data, or in a list in the buffers behind it.
    pub section: Section,
    /// Where in the section, in bytes.
    pub at: u32,
}

impl Message {
    /// Tells whether this message takes the place of `other`, which waits for the same node.
    ///
    /// Follows `binder_can_update_transaction()`, for a message that [is](Self::is_update) an update.
    pub(super) fn updates(&self, other: &Message) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Oneway { sender }, Kind::Oneway { sender: earlier }) => {
                sender == earlier && self.flags == other.flags && self.code == other.code
            }
            _ => false,
        }
    }

    /// Tells whether the sender wants that, should the receiver be frozen.
    pub(super) fn is_update(&self) -> bool {
        self.flags.contains(TransactionFlags::UPDATE_TXN)
    }
}

impl Queued for Message {
    type Work = Work;
    type Handle = KBox<Item<Message>>;

    #[inline]
    fn into_work(handle: Self::Handle) -> Work {
        Work::Message(handle)
    }
}

impl Attachments {
    /// For a message to `receiver` with up to `capacity` objects.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(receiver: Arc<Process>, capacity: usize) -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                receiver,
                objects: KVVec::new(),
                files: KVVec::new(),
                listed: None,
                capacity,
                _count: Count::new(census::Kind::Attachments),
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// Makes room for the objects, so that [`Attachments::push`] cannot fail.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn reserve(&mut self) -> Result {
        if self.objects.capacity() == 0 {
            self.objects = KVVec::with_capacity(self.capacity, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(())
    }

    /// Records an object. What finds no room is given back at once.
    pub fn push(&mut self, object: Translated) {
        if let Err(error) = self.objects.push_within_capacity(object) {
            self.give_back(error.0);
        }
    }

    /// Records a file.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn push_file(&mut self, file: FileFixup) -> Result {
        self.reserve_files(1)?;
        self.files.push_within_capacity(file).map_err(|_| ENOMEM)
    }

    /// Makes room for `more` files: a list may have more of them than the message has objects.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn reserve_files(&mut self, more: usize) -> Result {
        let len = self.files.len();
        let wanted = len.saturating_add(more);
        if wanted <= self.files.capacity() {
            return Ok(());
        }
        let room = wanted.max(len.saturating_mul(2)).max(self.capacity);
        let larger = KVVec::with_capacity(room, GFP_KERNEL_ACCOUNT)?;
        for file in core::mem::replace(&mut self.files, larger) {
            self.files.push_within_capacity(file).map_err(|_| ENOMEM)?;
        }
        Ok(())
    }

    fn give_back(&self, object: Translated) {
        match object {
            Translated::Node(hold) => drop(hold),
            Translated::Reference(handle, strength) => {
                self.receiver.drop_reference(handle, strength);
            }
        }
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        for object in core::mem::replace(&mut self.objects, KVVec::new()) {
            self.give_back(object);
        }
    }
}

/// What a buffer of a receiver keeps alive until it is freed.
pub struct Delivered {
    /// The node that the message was addressed to; none for a reply.
    pub target: Option<Hold>,
    /// The objects in it.
    pub attachments: Option<KBox<Attachments>>,
}
