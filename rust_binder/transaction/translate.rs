// SPDX-License-Identifier: GPL-2.0

//! One object on its way from one process to another.
//!
//! Each object that arrives is recorded with the message as what the receiver holds because of it,
//! and given back from that record, whatever becomes of the buffer's bytes. An object is written to
//! the buffer only after it is recorded.

use super::{
    recipient::Recipient,
    Failure,
    Session, //
};
use crate::{
    abi::{
        name::Handle,
        object::{
            FileObject,
            FlatObject,
            HandleObject,
            NodeObject,
            Object, //
        },
        transaction::TransactionRequest,
    },
    buffer::Section,
    object::scatter::{
        Scatter,
        Standing, //
    },
    observe::user_error,
    process::{
        Attachments,
        FileFixup,
        Node,
        Payload,
        Refused,
        Translated, //
    },
    sys::{
        files,
        queue::Item, //
    },
};
use kernel::{
    prelude::*,
    security,
    sync::Arc, //
};
use zerocopy::IntoBytes;

/// The translation of the objects of one message.
pub(super) struct Translation<'a> {
    pub(super) session: Session<'a>,
    recipient: &'a Recipient<'a>,
    /// How many objects there are.
    pub(super) objects: usize,
    /// How many were begun with.
    begun: u32,
    /// Bytes that there are for buffers.
    pub(super) room: usize,
    /// The buffers, if there are any.
    pub(super) scatter: Option<Scatter>,
}

impl<'a> Translation<'a> {
    pub(super) fn new(
        session: Session<'a>,
        recipient: &'a Recipient<'a>,
        request: &TransactionRequest,
    ) -> Self {
        Self {
            session,
            recipient,
            objects: request.offsets.len / size_of::<u64>(),
            begun: 0,
            room: request.buffers_size,
            scatter: None,
        }
    }

    /// Translates the next object, which is at `place` in the data.
    pub(super) fn object(
        &mut self,
        object: Object,
        place: usize,
        payload: &mut Payload,
    ) -> Result<(), Failure> {
        let standing = Standing {
            index: self.begun,
            offset: place,
        };
        self.begun = self.begun.wrapping_add(1);
        match object {
            Object::Node(node) => {
                let attachments = self.attachments(&mut payload.attachments)?;
                let bytes = self.node(node, attachments)?;
                Ok(payload
                    .buffer
                    .write(Section::Data, place, bytes.as_bytes())?)
            }
            Object::Handle(handle) => {
                let attachments = self.attachments(&mut payload.attachments)?;
                let bytes = self.handle(handle, attachments)?;
                Ok(payload
                    .buffer
                    .write(Section::Data, place, bytes.as_bytes())?)
            }
            Object::File(file) => {
                let attachments = self.attachments(&mut payload.attachments)?;
                let at = place.wrapping_add(FileObject::FD_OFFSET);
                self.file(file.fd, Section::Data, at, attachments)?;
                let bytes = file.to_blank();
                Ok(payload
                    .buffer
                    .write(Section::Data, place, bytes.as_bytes())?)
            }
            Object::Pointer(pointer) => self.pointer(pointer, standing, payload),
            Object::FileArray(array) => self.file_array(array, standing, payload),
        }
    }

    /// What the recipient holds because of the message, from the first object on that counts.
    #[inline]
    pub(super) fn attachments<'p>(
        &self,
        attachments: &'p mut Option<KBox<Attachments>>,
    ) -> Result<&'p mut Attachments> {
        Ok(match attachments {
            Some(attachments) => attachments,
            none => none.insert(Attachments::new(
                self.recipient.process.clone(),
                self.objects,
            )?),
        })
    }

    /// The sender's own node becomes a reference of the recipient.
    ///
    /// Follows `binder_translate_binder()`.
    fn node(
        &self,
        object: NodeObject,
        attachments: &mut Attachments,
    ) -> Result<FlatObject, Failure> {
        let owner = Arc::from(self.session.process);
        loop {
            let node = Node::find_or_create(&owner, object.name, object.flags)?;
            match self.refer(&node, &object, attachments) {
                Ok(Some(handle)) => return Ok(object.to_handle(handle)),
                // It went out of use just now; the next will be a new one.
                Ok(None) => continue,
                Err(failure) => {
                    Node::drop_unused(&node);
                    return Err(failure);
                }
            }
        }
    }

    /// Gives the recipient a reference to the sender's `node`, unless it went out of use.
    fn refer(
        &self,
        node: &Arc<Item<Node>>,
        object: &NodeObject,
        attachments: &mut Attachments,
    ) -> Result<Option<Handle>, Failure> {
        if node.name.cookie != object.name.cookie {
            user_error!(
                self.session.process,
                "node {:#x} sent with cookie {:#x}, known with {:#x}\n",
                object.name.ptr,
                object.name.cookie,
                node.name.cookie
            );
            return Err(EINVAL.into());
        }
        self.may_transfer()?;
        attachments.reserve()?;
        match self.recipient.process.add_reference(
            node,
            object.strength,
            Some(self.session.thread),
            node.is_manager(),
        )? {
            Ok(handle) => {
                attachments.push(Translated::Reference(handle, object.strength));
                Ok(Some(handle))
            }
            Err(Refused::Detached) => Ok(None),
            Err(Refused::NotStrong) => Err(EINVAL.into()),
        }
    }

    /// The sender's reference becomes one of the recipient, or the recipient's own node.
    ///
    /// Follows `binder_translate_handle()`.
    fn handle(
        &self,
        object: HandleObject,
        attachments: &mut Attachments,
    ) -> Result<FlatObject, Failure> {
        let node = self
            .session
            .process
            .node_of(object.handle, object.strength)
            .inspect_err(|_| {
                user_error!(
                    self.session.process,
                    "sent handle {}, which is not held\n",
                    object.handle.0
                )
            })?;
        self.may_transfer()?;
        attachments.reserve()?;
        if Arc::ptr_eq(&node.owner, self.recipient.process) {
            let hold = Node::hold(&node, object.strength).map_err(|_| EINVAL)?;
            attachments.push(Translated::Node(hold));
            return Ok(object.to_node(node.name));
        }
        let added = self.recipient.process.add_reference(
            &node,
            object.strength,
            None,
            node.is_manager(),
        )?;
        let handle = added.map_err(|_| EINVAL)?;
        attachments.push(Translated::Reference(handle, object.strength));
        Ok(object.to_handle(handle))
    }

    /// The sender's file waits to get a number of the recipient, to be written `at` in a section.
    ///
    /// Follows `binder_translate_fd()`.
    pub(super) fn file(
        &self,
        number: u32,
        section: Section,
        at: usize,
        attachments: &mut Attachments,
    ) -> Result<(), Failure> {
        if !self.recipient.accepts_files {
            user_error!(
                self.session.process,
                "sent file {number} to somebody who takes none\n"
            );
            return Err(EPERM.into());
        }
        let file = files::get(number).map_err(|_| EBADF)?;
        let (from, to) = (&self.session.process.cred, &self.recipient.process.cred);
        security::binder_transfer_file(from, to, &file).map_err(|_| EPERM)?;
        // No buffer is longer than a `u32` can say.
        let at = at as u32;
        Ok(attachments.push_file(FileFixup { file, section, at })?)
    }

    fn may_transfer(&self) -> Result {
        let (from, to) = (&self.session.process.cred, &self.recipient.process.cred);
        security::binder_transfer_binder(from, to).map_err(|_| EPERM)
    }
}
