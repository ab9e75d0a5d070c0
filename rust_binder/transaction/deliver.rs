// SPDX-License-Identifier: GPL-2.0

//! A message becomes a return and a buffer.

use super::{
    reply::fail_call,
    Session, //
};
use crate::{
    abi::{
        returns::{
            self,
            Full,
            ReturnBuffer, //
        },
        transaction::TransactionData, //
    },
    buffer::{
        Allocation,
        Section, //
    },
    process::{
        Attachments,
        Delivered,
        FileFixup,
        Frame,
        Kind,
        Message,
        Node,
        Payload, //
    },
    sys::{
        files::O_CLOEXEC,
        queue::Item, //
    },
};
use kernel::{
    fs::{
        file::FileDescriptorReservation,
        File, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::ordering::Relaxed, //
    },
    task::CurrentTask, //
};

/// What became of a message whose files were to be installed.
pub(super) enum Prepared {
    /// It can be delivered.
    Ready,
    /// It was given up; the read goes on.
    Skip,
    /// It was a reply and was given up; the reader learns that its call failed.
    ReplyFailed,
}

impl Session<'_> {
    /// Gives the files of a message to the current process and writes their numbers into the
    /// buffer; all of them, or none, and then the message is given up.
    pub(super) fn install_files(&self, message: &mut KBox<Item<Message>>) -> Prepared {
        let Some(payload) = &mut message.payload else {
            return Prepared::Skip;
        };
        let Some(attachments) = &mut payload.attachments else {
            return Prepared::Ready;
        };
        if attachments.files.is_empty() {
            return Prepared::Ready;
        }
        match install(attachments, &payload.buffer) {
            Ok(()) => Prepared::Ready,
            Err(_) => self.give_up(message),
        }
    }

    /// Gives up a message that the reader has taken from its queue.
    #[cold]
    pub(super) fn give_up(&self, message: &mut KBox<Item<Message>>) -> Prepared {
        let payload = message.payload.take();
        match &message.kind {
            Kind::Call(call) => {
                self.forget_incoming();
                fail_call(call, returns::FAILED_REPLY, None);
                drop(payload);
                Prepared::Skip
            }
            Kind::Oneway { .. } => {
                if let Some(target) = payload.as_ref().and_then(|payload| payload.target.as_ref()) {
                    Node::next_oneway(target.node());
                }
                drop(payload);
                Prepared::Skip
            }
            Kind::Reply => {
                drop(payload);
                Prepared::ReplyFailed
            }
        }
    }

    /// Takes back that the thread serves the call that it has just taken from its queue.
    fn forget_incoming(&self) {
        let mut inner = self.process.lock();
        let wake = inner.freezer.settled(1);
        let frame = inner
            .thread(self.thread)
            .and_then(|thread| thread.stack.pop());
        drop(inner);
        if let Some(Frame::Incoming(_, saved)) = &frame {
            self.restore_priority_of_node(*saved);
        }
        drop(frame);
        if wake {
            self.process.wake_freezers();
        }
    }

    /// Appends the return that announces a message.
    ///
    /// Follows the end of `binder_thread_read()`.
    pub(super) fn encode<const N: usize>(
        &self,
        message: &Message,
        out: &mut ReturnBuffer<N>,
    ) -> Result<(), Full> {
        let Some(payload) = &message.payload else {
            return Err(Full);
        };
        let data = match (&payload.target, payload.security_context) {
            (None, _) => out.transaction(returns::REPLY)?,
            (Some(_), 0) => out.transaction(returns::TRANSACTION)?,
            (Some(_), context) => {
                let item = out.transaction_secctx()?;
                item.secctx = context;
                &mut item.transaction_data
            }
        };
        let (ptr, cookie) = match &payload.target {
            Some(target) => {
                let name = target.node().name;
                (name.ptr, name.cookie)
            }
            None => (0, 0),
        };
        let layout = payload.buffer.layout();
        *data = TransactionData {
            target: ptr,
            cookie,
            code: message.code,
            flags: message.flags.bits(),
            sender_pid: sender_pid(self.task, message),
            sender_euid: message.sender_euid.into_uid_in_current_ns(),
            data_size: layout.len(Section::Data).into(),
            offsets_size: layout.len(Section::Offsets).into(),
            buffer: payload.buffer.user_address(),
            offsets: payload.buffer.section_address(Section::Offsets),
        };
        Ok(())
    }

    /// The reader has been told of the message: its buffer is the reader's to free.
    pub(super) fn hand_over(&self, message: &mut KBox<Item<Message>>) {
        if let Some(payload) = message.payload.take() {
            let Payload {
                buffer,
                target,
                attachments,
                ..
            } = payload;
            // It fails only for a file that is released, which one that is read from is not.
            drop(buffer.deliver(Delivered {
                target,
                attachments,
            }));
        }
    }
}

/// The process that waits for the reply, as the current task's pid namespace numbers it; 0 if none
/// does.
fn sender_pid(task: &CurrentTask, message: &Message) -> i32 {
    let call = match &message.kind {
        Kind::Call(call) if !call.abandoned.load(Relaxed) => call,
        _ => return 0,
    };
    task.active_pid_ns()
        .map_or(0, |namespace| call.from.process.group.number_in(namespace))
}

/// Reserves numbers for all files, writes them into the buffer, then installs the files. The numbers
/// of those that lie in lists are kept.
fn install(attachments: &mut Attachments, buffer: &Allocation<Delivered>) -> Result {
    let files = core::mem::replace(&mut attachments.files, KVVec::new());
    let mut reserved: KVVec<(FileDescriptorReservation, ARef<File>)> =
        KVVec::with_capacity(files.len(), GFP_KERNEL)?;
    let count = files.len();
    let mut listed: Option<KVVec<u32>> = None;
    for FileFixup { file, section, at } in files {
        let number = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
        let fd = number.reserved_fd();
        buffer.write(section, at as usize, &fd.to_ne_bytes())?;
        reserved
            .push_within_capacity((number, file))
            .map_err(|_| ENOMEM)?;
        if section == Section::Extra {
            let numbers = match &mut listed {
                Some(numbers) => numbers,
                none => none.insert(KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?),
            };
            numbers.push_within_capacity(fd).map_err(|_| ENOMEM)?;
        }
    }
    for (number, file) in reserved {
        number.fd_install(file);
    }
    attachments.listed = listed;
    Ok(())
}
