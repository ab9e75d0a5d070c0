// SPDX-License-Identifier: GPL-2.0

//! Calls and oneway messages, from the check to the queue.
//!
//! A message is built while nothing is locked. The sender's process is locked once before that, to
//! check the thread's stack and to note the call on it; the receiver's process is locked once after
//! it, to queue the message and to pick the thread that serves it. What was noted is taken back if
//! the message can't be sent, so a failure costs another turn and success does not.

use super::{
    priority::Raise,
    recipient::Recipient,
    Failure,
    Session, //
};
use crate::{
    abi::{
        name::Handle,
        object::Strength,
        returns,
        transaction::{
            TransactionFlags,
            TransactionRequest, //
        }, //
    },
    object::priority::Priority,
    observe::{
        census::{
            self,
            Count, //
        },
        user_error, //
    },
    process::{
        next_debug_id,
        Call,
        Caller,
        Code,
        CodeSlot,
        Frame,
        Hold,
        Kind,
        Message,
        Node,
        OnewayFate,
        Origin,
        Payload,
        Process,
        ThreadKey,
        ThreadState,
        Wakeup, //
    },
    sys::{
        queue::Item,
        sched,
        sleep::Wake, //
    },
};
use core::mem::MaybeUninit;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc,
        UniqueArc, //
    },
    task::Kuid, //
};

/// The sender was told: its next read says why.
pub(super) struct Refused;

/// Memory for a message.
pub(super) type MessageSlot = KBox<MaybeUninit<Item<Message>>>;

impl Session<'_> {
    /// Sends a call or a oneway message.
    ///
    /// Follows `binder_transaction()` where `reply` is zero; the order of the checks is that of C.
    pub(super) fn send(&self, request: &TransactionRequest) -> Result<(), Refused> {
        let debug_id = next_debug_id();
        let sent = if request.flags.is_one_way() {
            self.send_oneway(debug_id, request)
        } else {
            self.send_call(debug_id, request)
        };
        sent.or_else(|failure| self.refuse_transaction(debug_id, failure))
    }

    /// Tells the thread that its command was refused before it got a number.
    pub(super) fn refuse(&self, failure: Failure) -> Result<(), Refused> {
        self.refuse_transaction(next_debug_id(), failure)
    }

    /// Tells the thread why its transaction was not sent.
    #[cold]
    pub(super) fn refuse_transaction(&self, id: u32, failure: Failure) -> Result<(), Refused> {
        if let Some(thread) = self.process.lock().thread(self.thread) {
            thread.extended_error.id = id;
            thread.extended_error.command = failure.code();
            thread.extended_error.param = failure.param();
        }
        self.push_return_error(failure.code());
        user_error!(
            self.process,
            "transaction {id} refused: {:#x}, error {}\n",
            failure.code(),
            failure.param()
        );
        Err(Refused)
    }

    /// Stops the thread's write until it has read `number`.
    pub(super) fn push_return_error(&self, number: u32) {
        self.process.attention.add(1, Relaxed);
        if let Some(thread) = self.process.lock().thread(self.thread) {
            thread.push_return_error(number);
        }
    }

    fn send_call(&self, debug_id: u32, request: &TransactionRequest) -> Result<(), Failure> {
        let target = self.target(request.target)?;
        let receiver = target.node().owner.clone();
        let (call, mut begun) = self.begin_call(debug_id, request)?;
        let serving = call
            .parent
            .as_ref()
            .and_then(|parent| waiting_thread(parent, &receiver));
        self.build(Recipient::node(&receiver, target), request)
            .and_then(|payload| {
                self.announce(debug_id, &begun, Announcement::Deferred)?;
                let kind = Kind::Call(call.clone());
                let message = self.message(&mut begun, request, kind, payload)?;
                queue_call(&receiver, serving, message)
            })
            .inspect_err(|_| self.cancel(debug_id, Some(&call)))
    }

    fn send_oneway(&self, debug_id: u32, request: &TransactionRequest) -> Result<(), Failure> {
        let target = self.target(request.target)?;
        let node = target.node().clone();
        let mut begun = self.begin(debug_id, |thread| {
            if request.offsets.len != 0 {
                return Ok(false);
            }
            Ok(thread.push_own_first(completion(debug_id)))
        })?;
        self.build(Recipient::node(&node.owner, target), request)
            .and_then(|payload| {
                self.announce(debug_id, &begun, Announcement::Immediate)?;
                let suspect = payload.buffer.spam_suspect();
                let kind = Kind::Oneway {
                    sender: kernel::current!().tgid(),
                };
                let message = self.message(&mut begun, request, kind, payload)?;
                match Node::send_oneway(&node, message) {
                    Ok(OnewayFate::Waits) => self.announce_wait(debug_id),
                    Ok(OnewayFate::Queued) if suspect => self.warn_of_spam(debug_id),
                    Ok(OnewayFate::Queued) => {}
                    Err(_) => return Err(Failure::Dead(None)),
                }
                Ok(())
            })
            .inspect_err(|_| self.cancel(debug_id, None))
    }

    /// Finds and holds the node behind `handle`, and checks that it may be sent to.
    fn target(&self, handle: Handle) -> Result<Hold, Failure> {
        let target = if handle == Handle::MANAGER {
            let node = self.process.context.manager_node();
            let node = node.filter(|node| !node.is_dead());
            let node = node.ok_or(Failure::Dead(Some(EINVAL)))?;
            if node.owner.pid == self.process.pid {
                user_error!(self.process, "the context manager called itself\n");
                return Err(EINVAL.into());
            }
            Node::hold(&node, Strength::Strong).map_err(|_| Failure::Dead(Some(EINVAL)))?
        } else {
            self.process.hold_target(handle)?
        };
        let owner = &target.node().owner;
        if target.node().is_dead() {
            return Err(Failure::Dead(Some(EINVAL)));
        }
        if core::ptr::eq(&**owner, &*self.process) {
            return Err(EINVAL.into());
        }
        kernel::security::binder_transaction(&self.process.cred, &owner.cred).map_err(|_| EPERM)?;
        Ok(target)
    }

    /// The turn with the sender's own lock: forgets the last error, lets `check` look at the thread
    /// and fetches memory for the message.
    ///
    /// `check` says whether it has noted that the message was sent.
    pub(super) fn begin(
        &self,
        debug_id: u32,
        check: impl FnOnce(&mut ThreadState) -> Result<bool, Failure>,
    ) -> Result<Begun, Failure> {
        let mut inner = self.process.lock();
        let thread = inner.thread(self.thread).ok_or(ESRCH)?;
        thread.extended_error.id = debug_id;
        thread.extended_error.command = returns::OK;
        thread.extended_error.param = 0;
        let announced = check(thread)?;
        let slot = thread.spare_message.take();
        Ok(Begun { slot, announced })
    }

    /// Notes a call on the thread's stack, and with it, if nothing else is to be read before it,
    /// that it was sent.
    fn begin_call(
        &self,
        debug_id: u32,
        request: &TransactionRequest,
    ) -> Result<(Arc<Call>, Begun), Failure> {
        let mut memory = CallMemory::default();
        loop {
            let mut depth = None;
            let mut noted = None;
            let begun = self.begin(debug_id, |thread| {
                if thread.todo.starts_with_message() {
                    // The thread has work of its own before it may give work to others.
                    return Err(EPROTO.into());
                }
                let parent = match thread.stack.last() {
                    None => None,
                    Some(Frame::Incoming(parent, _)) => Some(parent.clone()),
                    // It waits for a reply already.
                    Some(Frame::Outgoing(_)) => return Err(EPROTO.into()),
                };
                let unused = thread.spare_call.take().and_then(Arc::into_unique_or_drop);
                if let Some(call) = unused {
                    memory.call = Some(call);
                }
                if !thread.make_stack_room(&mut memory.stack) {
                    depth = Some(thread.stack.len());
                    return Ok(false);
                }
                let Some(mut call) = memory.call.take() else {
                    return Ok(false);
                };
                let fields = call.as_mut().get_mut();
                fields.flags = request.flags;
                fields.parent = parent;
                let call: Arc<Call> = call.into();
                // There is room: it was made just now.
                let _ = thread
                    .stack
                    .push_within_capacity(Frame::Outgoing(call.clone()));
                noted = Some(call);
                // Sending nodes queues work that is to be read before the completion, so a message
                // with objects announces itself later.
                Ok(request.offsets.len == 0 && thread.todo.push_first(completion(debug_id)))
            })?;
            if let Some(call) = noted {
                return Ok((call, begun));
            }
            self.fetch(&mut memory, depth)?;
        }
    }

    /// Fetches what a call takes and the thread does not have: a `Call`, or a stack deeper than
    /// `depth`.
    #[cold]
    fn fetch(&self, memory: &mut CallMemory, depth: Option<usize>) -> Result {
        if let Some(depth) = depth {
            let depth = depth.saturating_mul(2).max(1);
            memory.stack = Some(KVVec::with_capacity(depth, GFP_KERNEL_ACCOUNT)?);
        }
        if memory.call.is_none() {
            let call = Call {
                from: Caller {
                    process: Arc::from(self.process),
                    thread: self.thread,
                },
                flags: TransactionFlags::from_bits(0),
                parent: None,
                abandoned: Atomic::new(false),
                _count: Count::new(census::Kind::Call),
            };
            memory.call = Some(UniqueArc::new(call, GFP_KERNEL_ACCOUNT)?.into());
        }
        Ok(())
    }

    /// Announces to the thread that its message is sent, if that was not done at the beginning.
    pub(super) fn announce(
        &self,
        debug_id: u32,
        begun: &Begun,
        when: Announcement,
    ) -> Result<(), Failure> {
        if begun.announced {
            return Ok(());
        }
        let mut slot: Option<CodeSlot> = None;
        loop {
            {
                let mut inner = self.process.lock();
                let thread = inner.thread(self.thread).ok_or(ESRCH)?;
                let pushed = match when {
                    Announcement::Deferred => {
                        thread.todo.push_code(completion(debug_id), &mut slot)
                    }
                    Announcement::Immediate => thread.push_own(completion(debug_id), &mut slot),
                };
                if pushed.is_ok() {
                    return Ok(());
                }
            }
            let code = Item::new(completion(debug_id));
            slot = Some(KBox::new(code, GFP_KERNEL_ACCOUNT)?);
        }
    }

    /// Takes back what was noted for a message that was not sent.
    #[cold]
    pub(super) fn cancel(&self, debug_id: u32, call: Option<&Arc<Call>>) {
        let mut inner = self.process.lock();
        let Some(thread) = inner.thread(self.thread) else {
            return;
        };
        let code = thread.todo.cancel_code(debug_id);
        let frame = call.and_then(|call| thread.take_outgoing(call));
        drop(inner);
        drop((code, frame));
    }

    /// Tells the sender that its oneway message has to wait until the receiver is thawed.
    #[cold]
    fn announce_wait(&self, debug_id: u32) {
        if let Some(thread) = self.process.lock().thread(self.thread) {
            thread
                .todo
                .amend_code(debug_id, returns::TRANSACTION_PENDING_FROZEN);
        }
    }

    /// Tells the sender, if it wants to know when it reads that, that it floods the receiver with oneway messages.
    #[cold]
    fn warn_of_spam(&self, debug_id: u32) {
        let mut inner = self.process.lock();
        if let Some(thread) = inner.thread(self.thread) {
            thread
                .todo
                .amend_code(debug_id, returns::ONEWAY_SPAM_SUSPECT);
        }
    }

    /// Puts a message together.
    // The payload is large, and is moved once more if this is a call.
    #[inline(always)]
    pub(super) fn message(
        &self,
        begun: &mut Begun,
        request: &TransactionRequest,
        kind: Kind,
        payload: Payload,
    ) -> Result<KBox<Item<Message>>, Failure> {
        let target = payload.target.as_ref();
        let priority = self.priority_at(target, matches!(kind, Kind::Call(_)));
        let slot = match begun.slot.take() {
            Some(slot) => slot,
            None => KBox::new_uninit(GFP_KERNEL_ACCOUNT)?,
        };
        Ok(KBox::write(
            slot,
            Item::new(Message {
                kind,
                code: request.code,
                flags: request.flags,
                sender_euid: Kuid::current_euid(),
                nice: sched::nice(self.task),
                priority,
                payload: Some(payload),
            }),
        ))
    }
}

/// What the first turn with the sender's lock brought.
pub(super) struct Begun {
    /// Memory for the message, if some was left over.
    slot: Option<MessageSlot>,
    /// That the message was sent is noted.
    announced: bool,
}

/// What a call may take memory for.
#[derive(Default)]
struct CallMemory {
    call: Option<Pin<UniqueArc<Call>>>,
    /// A larger stack for the thread.
    stack: Option<KVVec<Frame>>,
}

/// When the sender is to be told that its message is on its way.
#[derive(Clone, Copy)]
pub(super) enum Announcement {
    /// Along with whatever wakes it next: it is going to wait for a reply anyway.
    Deferred,
    /// At its next read.
    Immediate,
}

/// What a thread reads once its message is sent.
pub(super) fn completion(debug_id: u32) -> Code {
    Code {
        number: returns::TRANSACTION_COMPLETE,
        origin: Origin::Completion,
        debug_id,
    }
}

/// A thread of `receiver` that waits, directly or through others, for the outcome of `call`.
///
/// It is idle in that sense and knows what it waits for, so it serves nested calls itself.
fn waiting_thread(call: &Arc<Call>, receiver: &Arc<Process>) -> Option<ThreadKey> {
    call.chain()
        .filter(|call| Arc::ptr_eq(&call.from.process, receiver))
        .map(|call| call.from.thread)
        .find(|thread| receiver.lock().thread(*thread).is_some())
}

/// Queues a call for the thread that is to serve it, or for any thread of the receiver, and wakes it.
fn queue_call(
    receiver: &Process,
    serving: Option<ThreadKey>,
    message: KBox<Item<Message>>,
) -> Result<(), Failure> {
    match message.priority {
        None => queue(receiver, serving, message, |_, _| ()).map(drop),
        Some(priority) => queue_demanding(receiver, serving, message, priority),
    }
}

/// The same, but the thread is raised before it is woken.
#[cold]
fn queue_demanding(
    receiver: &Process,
    serving: Option<ThreadKey>,
    message: KBox<Item<Message>>,
    priority: Priority,
) -> Result<(), Failure> {
    let mut raise = None;
    let wakeup = queue(receiver, serving, message, |key, thread| {
        raise = Raise::begin(key, thread, priority);
    })?;
    if let Some(raise) = raise {
        raise.finish(receiver);
    }
    drop(wakeup);
    Ok(())
}

/// Queues a call; `chosen` sees the thread that is to serve it, if there is one already.
#[inline(always)]
fn queue(
    receiver: &Process,
    serving: Option<ThreadKey>,
    message: KBox<Item<Message>>,
    chosen: impl FnOnce(ThreadKey, &mut ThreadState),
) -> Result<Wakeup, Failure> {
    let wakeup = {
        let mut inner = receiver.lock();
        let queued = match (inner.freezer.refuses_call(), inner.is_dead, serving) {
            (true, _, _) => Err((message, Failure::Frozen)),
            (_, true, _) => Err((message, Failure::Dead(None))),
            (_, _, Some(key)) => match inner.thread(key) {
                Some(thread) => {
                    chosen(key, thread);
                    Ok(thread.push::<Message>(message, Wake::Sync))
                }
                None => Err((message, Failure::Dead(None))),
            },
            (_, _, None) => {
                let idle = inner.last_idle();
                Ok(match (idle, inner.take_idle()) {
                    (Some(key), Some(thread)) => {
                        chosen(key, thread);
                        thread.push::<Message>(message, Wake::Sync)
                    }
                    _ => inner.push::<Message>(message, Wake::Sync),
                })
            }
        };
        if queued.is_ok() {
            inner.freezer.sent();
        }
        queued
    };
    // The wake-up, or the end of the message, comes after the lock.
    wakeup.map_err(|(_, failure)| failure)
}
