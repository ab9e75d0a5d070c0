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
    },
    buffer::Section,
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
    session: Session<'a>,
    recipient: &'a Recipient<'a>,
    /// How many objects there are.
    objects: usize,
}

impl<'a> Translation<'a> {
    pub(super) fn new(session: Session<'a>, recipient: &'a Recipient<'a>, objects: usize) -> Self {
        Self {
            session,
            recipient,
            objects,
        }
    }

    /// Translates the object at `place` in the data.
    pub(super) fn object(
        &mut self,
        object: Object,
        place: usize,
        payload: &mut Payload,
    ) -> Result<(), Failure> {
        let attachments = match &mut payload.attachments {
            Some(attachments) => attachments,
            none => none.insert(Attachments::new(
                self.recipient.process.clone(),
                self.objects,
            )?),
        };
        match object {
            Object::Node(node) => {
                let bytes = self.node(node, attachments)?;
                Ok(payload
                    .buffer
                    .write(Section::Data, place, bytes.as_bytes())?)
            }
            Object::Handle(handle) => {
                let bytes = self.handle(handle, attachments)?;
                Ok(payload
                    .buffer
                    .write(Section::Data, place, bytes.as_bytes())?)
            }
            Object::File(file) => {
                self.file(file, place, attachments)?;
                let bytes = file.to_blank();
                Ok(payload
                    .buffer
                    .write(Section::Data, place, bytes.as_bytes())?)
            }
            Object::Pointer(_) | Object::FileArray(_) => {
                user_error!(self.session.process, "scatter-gather is not supported\n");
                Err(EINVAL.into())
            }
        }
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

    /// The sender's file waits to get a number of the recipient.
    ///
    /// Follows `binder_translate_fd()`.
    fn file(
        &self,
        object: FileObject,
        place: usize,
        attachments: &mut Attachments,
    ) -> Result<(), Failure> {
        if !self.recipient.accepts_files {
            user_error!(
                self.session.process,
                "sent file {} to somebody who takes none\n",
                object.fd
            );
            return Err(EPERM.into());
        }
        let file = files::get(object.fd).map_err(|_| EBADF)?;
        let (from, to) = (&self.session.process.cred, &self.recipient.process.cred);
        security::binder_transfer_file(from, to, &file).map_err(|_| EPERM)?;
        let fixup = FileFixup {
            file,
            offset: place.wrapping_add(FileObject::FD_OFFSET),
        };
        Ok(attachments.push_file(fixup)?)
    }

    fn may_transfer(&self) -> Result {
        let (from, to) = (&self.session.process.cred, &self.recipient.process.cred);
        security::binder_transfer_binder(from, to).map_err(|_| EPERM)
    }
}
