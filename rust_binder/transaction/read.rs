// SPDX-License-Identifier: GPL-2.0

//! Waiting, and the loop over what a thread has to read.
//!
//! Returns are collected in a buffer on the stack and copied out once, which for nearly every read
//! is all there is. While the process's lock is held, returns of the driver's own go straight into
//! that buffer; the lock is dropped for what needs another lock or may sleep.

use super::{
    deliver::Prepared,
    Session, //
};
use crate::{
    abi::{
        ioctl::Span,
        returns::{
            self,
            ReturnBuffer, //
        },
    },
    object::{
        death::Delivery,
        freeze::FreezeDelivery, //
    },
    observe::user_error,
    process::{
        looper,
        Death,
        Frame,
        Freeze,
        Inner,
        InnerGuard,
        Kind,
        Message,
        Node,
        Origin,
        ThreadState,
        Ticket,
        Wakeup,
        Work, //
    },
    sys::{
        queue::Item,
        sleep::{
            signal_pending,
            Doze,
            Sleeper,
            Wake, //
        },
        user, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::ordering::Relaxed,
        Arc, //
    }, //
};

/// Room for the first word, a completion and a transaction with security context. Up to this size
/// the compiler clears it with a few instructions of its own.
const COLLECT: usize = 112;

type Returns = ReturnBuffer<COLLECT>;

/// Why the loop over the queues stops.
enum Pause {
    /// There is nothing in them.
    Empty,
    /// The user's buffer takes no more.
    Full,
    /// The buffer on the stack takes no more.
    Flush,
    /// The work of a node, whose lock comes before the process's.
    Node(Arc<Item<Node>>, Ticket),
    /// A message, which ends the read.
    Message(KBox<Item<Message>>),
    /// A notification that ends the read.
    Notified,
}

/// What a thread is, at the beginning of a read.
struct Standing {
    /// It may take work that was sent to the process.
    is_available: bool,
    /// It has offered itself, and is scheduled as no node has changed it.
    is_looper_at_home: bool,
    /// It has something to read, or is to return in any case.
    is_called: bool,
}

impl Session<'_> {
    /// Fills `span` with what the thread has to read, and waits for something if need be.
    ///
    /// Follows `binder_thread_read()`.
    ///
    /// # Errors
    ///
    /// [`EAGAIN`] if `nonblock` and there is nothing, [`EINTR`] on a signal, [`EFAULT`], [`ENOMEM`].
    pub fn read(&self, span: &mut Span, nonblock: bool) -> Result {
        let mut spawn = false;
        let read = self.read_into(span, nonblock, &mut spawn);
        if read.is_err() {
            let mut inner = self.process.lock();
            if spawn {
                // The thread did not learn that it is to start a looper.
                inner.requested_threads = inner.requested_threads.saturating_sub(1);
            }
            // Whoever woke this thread counted on it.
            let wakeup = self.pass_on(&mut inner);
            drop(inner);
            drop(wakeup);
        }
        read
    }

    /// The same; `spawn` is set once the thread is to be asked to start a looper.
    fn read_into(&self, span: &mut Span, nonblock: bool, spawn: &mut bool) -> Result {
        let mut out = Returns::new(*span);
        if span.consumed() == 0 {
            // Where not even the first word fits, C writes behind the end of the buffer.
            if out.word(returns::NOOP).is_ok() {
                // The word goes out twice, here so that a buffer that can't be written to is found
                // out before anything is taken from a queue for it.
                user::write_word(span.position() as u64, returns::NOOP)?;
            }
        }
        loop {
            let (mut guard, for_process) = self.wait(nonblock)?;
            loop {
                match self.collect(&mut guard, for_process, &mut out)? {
                    Pause::Empty if self.has_nothing(&mut guard, &out) => break,
                    Pause::Empty | Pause::Full | Pause::Notified => {
                        *spawn |= self.let_go(guard, &out);
                        return finish(*spawn, &mut out, span);
                    }
                    Pause::Message(mut message) => {
                        *spawn |= self.let_go(guard, &out);
                        self.adopt_priority(&message);
                        match self.install_files(&mut message) {
                            Prepared::Ready => {
                                return self.finish_with(message, *spawn, &mut out, span);
                            }
                            Prepared::Skip => self.recycle(message),
                            Prepared::ReplyFailed => {
                                self.recycle(message);
                                // There is room: the reply would have fitted.
                                let _ = out.word(returns::FAILED_REPLY);
                                return finish(*spawn, &mut out, span);
                            }
                        }
                    }
                    Pause::Node(node, ticket) => {
                        drop(guard);
                        encode_node(&node, ticket, &mut out);
                    }
                    Pause::Flush => {
                        drop(guard);
                        flush(&mut out)?;
                    }
                }
                guard = self.process.lock();
            }
        }
    }

    /// Tells whether the read has brought nothing yet and is to wait again.
    fn has_nothing(&self, inner: &mut Inner, out: &Returns) -> bool {
        out.filled() == size_of::<u32>()
            && inner
                .thread(self.thread)
                .is_some_and(|thread| !thread.need_return)
    }

    /// Waits until there is something to read; returns with the process locked.
    ///
    /// The flag says whether the thread may take work that was sent to the process.
    fn wait(&self, nonblock: bool) -> Result<(InnerGuard<'_>, bool)> {
        let (mut inner, standing) = self.lock_with_stack_room()?;
        let for_process = standing.is_available;
        let mut ready = standing.is_called || for_process && !inner.todo.is_empty();
        if for_process && !(standing.is_looper_at_home && self.has_default_nice()) {
            inner = self.prepare_for_process(inner)?;
            ready = self.has_work(&mut inner, for_process);
        }
        if nonblock && !ready {
            return Err(EAGAIN);
        }
        while !ready {
            {
                let mut doze = Doze::new();
                let sleeper = Sleeper::new(self.task);
                if for_process {
                    inner.enter_idle(self.thread, sleeper);
                } else if let Some(thread) = inner.thread(self.thread) {
                    thread.sleeper = Some(sleeper);
                }
                self.set_waiting(&mut inner, true);
                drop(inner);
                doze.sleep();
            }
            inner = self.process.lock();
            inner.leave_idle(self.thread);
            if self.set_waiting(&mut inner, false) {
                self.await_raise(&mut inner);
            }
            if signal_pending(self.task) {
                return Err(EINTR);
            }
            ready = self.has_work(&mut inner, for_process);
        }
        Ok((inner, for_process))
    }

    /// Schedules the thread as it is to wait for work of the process, for which nothing is locked.
    #[cold]
    fn prepare_for_process(&self, mut inner: InnerGuard<'_>) -> Result<InnerGuard<'_>> {
        let is_looper = inner.thread(self.thread).ok_or(ESRCH)?.is_looper();
        drop(inner);
        self.assume_default_priority();
        if !is_looper {
            user_error!(
                self.process,
                "a thread waits for work without BC_REGISTER_LOOPER or BC_ENTER_LOOPER\n"
            );
        }
        Ok(self.process.lock())
    }

    /// Locks the process, with room on the thread's stack for a call that it may be given.
    #[inline]
    fn lock_with_stack_room(&self) -> Result<(InnerGuard<'_>, Standing)> {
        let mut enlarged = None;
        loop {
            let mut inner = self.process.lock();
            let thread = inner.thread(self.thread).ok_or(ESRCH)?;
            let has_room = thread.make_stack_room(&mut enlarged);
            if has_room && enlarged.is_none() {
                let standing = Standing {
                    is_available: thread.is_available(),
                    is_looper_at_home: thread.is_looper() && !thread.displaced.is_away(),
                    is_called: thread.is_called(),
                };
                return Ok((inner, standing));
            }
            let depth = thread.stack.len().saturating_mul(2).max(1);
            drop(inner);
            enlarged = match has_room {
                // What was too small is dropped here: that may sleep, so it can't wait until the
                // lock is held again.
                true => None,
                false => Some(KVVec::with_capacity(depth, GFP_KERNEL_ACCOUNT)?),
            };
        }
    }

    /// Tells whether the thread has a reason to leave its read.
    #[inline]
    fn has_work(&self, inner: &mut Inner, for_process: bool) -> bool {
        let process = for_process && !inner.todo.is_empty();
        inner
            .thread(self.thread)
            .is_none_or(|thread| thread.is_called() || process)
    }

    /// Notes whether the thread sleeps. A sleeper that nobody took is of no use afterwards.
    ///
    /// Returns whether the thread is being raised, which it must not interfere with.
    fn set_waiting(&self, inner: &mut Inner, waiting: bool) -> bool {
        let Some(thread) = inner.thread(self.thread) else {
            return false;
        };
        if waiting {
            thread.looper |= looper::WAITING;
        } else {
            thread.looper &= !looper::WAITING;
            thread.sleeper = None;
        }
        thread.displaced.is_being_raised()
    }

    /// Waits until the thread is raised: something else has woken it, such as a signal.
    #[cold]
    fn await_raise(&self, inner: &mut InnerGuard<'_>) {
        while inner
            .thread(self.thread)
            .is_some_and(|thread| thread.displaced.is_being_raised())
        {
            self.process.raised.wait(inner);
        }
    }

    /// Moves returns of the driver's own from the queues to `out`, up to what can't be done here.
    fn collect(&self, inner: &mut Inner, for_process: bool, out: &mut Returns) -> Result<Pause> {
        loop {
            // Whether the process asked to be warned counts when it reads, as in C.
            let spam_detection = inner.spam_detection;
            let (thread, shared) = inner.queues(self.thread).ok_or(ESRCH)?;
            let own = !thread.todo.is_empty();
            if !own && (!for_process || shared.is_empty()) {
                return Ok(Pause::Empty);
            }
            if !out.has_room() {
                return Ok(Pause::Full);
            }
            if out.must_flush() {
                return Ok(Pause::Flush);
            }
            let work = match own {
                true => thread.todo.pop(),
                false => shared.pop_front(),
            };
            if thread.todo.is_empty() {
                thread.process_todo = false;
            }
            match work {
                Some(Work::Code(code, slot)) => {
                    let unwanted = code.number == returns::ONEWAY_SPAM_SUSPECT && !spam_detection;
                    let _ = out.word(match unwanted {
                        true => returns::TRANSACTION_COMPLETE,
                        false => code.number,
                    });
                    if code.origin == Origin::ReturnError {
                        self.process.attention.add(-1, Relaxed);
                    }
                    thread.code_read(code, slot);
                }
                Some(Work::Message(message)) => {
                    self.take_message(thread, &message);
                    return Ok(Pause::Message(message));
                }
                Some(Work::Node(node, ticket)) => return Ok(Pause::Node(node, ticket)),
                Some(Work::Death(death)) => match death.deliver() {
                    Some(Delivery::DeadBinder) => {
                        let _ = out.cookie(returns::DEAD_BINDER, death.cookie);
                        drop(inner.delivered_deaths.push_back::<Death>(death));
                        return Ok(Pause::Notified);
                    }
                    Some(Delivery::ClearDone) => {
                        let _ = out.cookie(returns::CLEAR_DEATH_NOTIFICATION_DONE, death.cookie);
                    }
                    None => {}
                },
                Some(Work::Freeze(freeze)) => match freeze.deliver() {
                    Some(FreezeDelivery::State { frozen }) => {
                        let _ = out.frozen(freeze.cookie, frozen);
                        drop(inner.delivered_freezes.push_back::<Freeze>(freeze));
                        return Ok(Pause::Notified);
                    }
                    Some(FreezeDelivery::ClearDone) => {
                        let _ = out.cookie(returns::CLEAR_FREEZE_NOTIFICATION_DONE, freeze.cookie);
                    }
                    None => {}
                },
                None => return Ok(Pause::Empty),
            }
        }
    }

    /// Notes that the thread takes a message: it serves the call, if it is one.
    fn take_message(&self, thread: &mut ThreadState, message: &Message) {
        match &message.kind {
            Kind::Call(call) => {
                let saved = self.save(thread, message.priority);
                // There is room: `lock_with_stack_room` made it.
                let _ = thread
                    .stack
                    .push_within_capacity(Frame::Incoming(call.clone(), saved));
            }
            Kind::Oneway { .. } => self.displace(thread, message.priority),
            Kind::Reply => {}
        }
    }

    /// Tells whether the thread is to be asked to start another looper, and if so counts it.
    fn wants_looper(&self, inner: &mut Inner, out: &Returns) -> bool {
        if inner.requested_threads != 0
            || inner.has_idle()
            || inner.started_threads >= inner.max_threads
        {
            return false;
        }
        // Where the word has no room, another read is to ask.
        let wanted = out.takes_first_word()
            && inner
                .thread(self.thread)
                .is_some_and(|thread| thread.is_looper());
        if wanted {
            inner.requested_threads = inner.requested_threads.saturating_add(1);
        }
        wanted
    }

    /// Unlocks the process at the end of a read; work that is left for it is for another thread.
    ///
    /// Returns whether the thread is to be asked to start another looper.
    fn let_go(&self, mut inner: InnerGuard<'_>, out: &Returns) -> bool {
        let spawn = self.wants_looper(&mut inner, out);
        let wakeup = self.pass_on(&mut inner);
        drop(inner);
        drop(wakeup);
        spawn
    }

    /// Finds a thread for work of the process that this one leaves.
    fn pass_on(&self, inner: &mut Inner) -> Wakeup {
        match inner.todo.is_empty() {
            true => Wakeup::none(),
            false => inner.wake_any(Wake::Normal),
        }
    }

    /// Ends a read with a message.
    fn finish_with(
        &self,
        mut message: KBox<Item<Message>>,
        spawn: bool,
        out: &mut Returns,
        span: &mut Span,
    ) -> Result {
        let finished = match self.encode(&message, out) {
            Ok(()) => finish(spawn, out, span),
            Err(_) => Err(EFAULT),
        };
        match finished {
            Ok(()) => self.hand_over(&mut message),
            Err(_) => drop(self.give_up(&mut message)),
        }
        self.recycle(message);
        finished
    }

    /// Keeps the memory of a message that was read or given up for the thread's next.
    fn recycle(&self, message: KBox<Item<Message>>) {
        // A call is dealt with when it is replied to.
        let settled = u32::from(!matches!(message.kind, Kind::Call(_)));
        let slot = KBox::drop_contents(message);
        let mut inner = self.process.lock();
        if inner.freezer.settled(settled) {
            drop(inner);
            self.process.wake_freezers();
            inner = self.process.lock();
        }
        let unused = match inner.thread(self.thread) {
            Some(thread) => thread.spare_message.replace(slot),
            None => Some(slot),
        };
        drop(inner);
        drop(unused);
    }
}

/// Copies out what was collected and says how far the read came.
fn finish(spawn: bool, out: &mut Returns, span: &mut Span) -> Result {
    if spawn && !out.overwrite_first(returns::SPAWN_LOOPER) {
        user::write_word(span.base() as u64, returns::SPAWN_LOOPER)?;
    }
    flush(out)?;
    *span = out.span();
    Ok(())
}

/// Copies out what was collected.
fn flush(out: &mut Returns) -> Result {
    if !out.is_empty() {
        user::write_bytes(out.position() as u64, out.as_bytes())?;
        out.flushed();
    }
    Ok(())
}

/// Appends what the owner of a node is to be told, at most two returns.
fn encode_node(node: &Arc<Item<Node>>, ticket: Ticket, out: &mut Returns) {
    let commands = Node::read_commands(node, ticket);
    let wanted = [
        (commands.increfs, returns::INCREFS),
        (commands.acquire, returns::ACQUIRE),
        (commands.release, returns::RELEASE),
        (commands.decrefs, returns::DECREFS),
    ];
    for (wanted, number) in wanted {
        if wanted {
            // There is room for 76 bytes, and a node never has more than two to tell.
            let _ = out.node(number, node.name);
        }
    }
}
