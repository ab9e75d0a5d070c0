// SPDX-License-Identifier: GPL-2.0

//! One open file of a binder device.

use super::{
    own,
    refs::Refs,
    thread_cache::ThreadCache,
    Context,
    Death,
    Delivered,
    Freeze,
    Node,
    ThreadKey,
    ThreadState,
    Ticket,
    Wakeup,
    Work, //
};
use crate::{
    abi::name::NodeName,
    buffer::Space,
    object::{
        freezer::{
            Answered,
            Freezer, //
        },
        priority::Priority,
        slab::Slab, //
    },
    observe::census::{
        self,
        Count, //
    },
    sys::{
        group::ThreadGroup,
        queue::{
            Item,
            Queue,
            Queued, //
        },
        sched::{
            self,
            Scheduling, //
        },
        sleep::Wake,
        vma::current_mm, //
    },
};
use kernel::{
    cred::Credential,
    fs::File,
    prelude::*,
    rbtree::RBTree,
    sync::{
        aref::ARef,
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        lock::{
            spinlock::SpinLockBackend,
            Guard, //
        },
        Arc,
        CondVar,
        SpinLock, //
    },
    task::{
        CurrentTask,
        Pid, //
    }, //
};

/// One open file: what user space thinks of as a process that uses binder.
///
/// Owned by the file, by the nodes and calls of the process, and by whoever sends to it. The nodes
/// hold it in a circle, which [`Inner::is_dead`] and the release of the file end.
#[pin_data]
pub struct Process {
    /// The world it belongs to.
    pub context: Arc<Context>,
    /// The thread group that opened the file.
    pub group: ThreadGroup,
    /// The same, numbered in the initial pid namespace.
    pub pid: Pid,
    /// Its place among those with the same pid, see [`Registry`](super::Registry).
    pub(super) serial: i64,
    /// The nice value of the task that opened the file: that of threads that wait for work.
    pub default_nice: i8,
    /// Its priority.
    pub default_priority: Priority,
    /// The credentials of the file, by which security modules judge.
    pub cred: ARef<Credential>,
    /// The memory through which it receives.
    pub space: Arc<Space<Delivered>>,
    /// Threads that used the file lately.
    cache: ThreadCache,
    /// How many of its threads' flags `need_return` and `return_error` are set: while it is zero, a
    /// thread need not take the lock to look at its own.
    pub attention: Atomic<i32>,
    /// How many calls its threads have replied to; the other half of [`Inner::freezer`].
    pub(super) answered: Answered,
    _count: Count,
    #[pin]
    inner: SpinLock<Inner>,
    #[pin]
    refs: SpinLock<Refs>,
    /// Notified when the process may have become quiet, if somebody waits for that.
    #[pin]
    pub(super) quiet: CondVar,
    /// Notified when a thread was raised, see [`Displaced`](super::Displaced).
    #[pin]
    pub raised: CondVar,
}

/// What [`Process::inner`] guards.
pub struct Inner {
    pub(super) threads: Slab<ThreadState>,
    pub(super) by_pid: RBTree<Pid, ThreadKey>,
    /// The thread that went idle last; the others follow through their links.
    pub(super) idle: Option<ThreadKey>,
    /// Work for any thread.
    pub todo: Queue<Work>,
    /// Death notifications that were read and not yet confirmed.
    pub delivered_deaths: Queue<Work>,
    /// Notifications of freezing and thawing that were read and not yet confirmed.
    pub delivered_freezes: Queue<Work>,
    /// The nodes of this process by the number that names them.
    pub nodes: RBTree<u64, Arc<Item<Node>>>,
    /// How many loopers the driver may ask for.
    pub max_threads: u32,
    /// Loopers asked for that have not registered yet.
    pub requested_threads: u32,
    /// Loopers that have registered.
    pub started_threads: u32,
    /// The file was released.
    pub is_dead: bool,
    /// Whether the process is frozen, and what is under way to it.
    pub freezer: Freezer,
    /// The process wants to be told that it floods others with oneway messages.
    pub spam_detection: bool,
}

/// A held [`Process::inner`].
pub type InnerGuard<'a> = Guard<'a, Inner, SpinLockBackend>;

impl Process {
    /// Makes the state of a file that the current task opens.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]; [`EINVAL`] for a task without user memory; [`ESRCH`] for one that is gone, which
    /// opens nothing.
    pub fn new(context: Arc<Context>, file: &File) -> Result<Arc<Self>> {
        let current = kernel::current!();
        let mm = current_mm().ok_or(EINVAL)?;
        let group = ThreadGroup::of(current).ok_or(ESRCH)?;
        let space = Space::new(context.reclaimer.clone(), mm)?;
        let registry = context.registry.clone();
        let place = registry.reserve()?;
        let default_nice = sched::nice(current);
        let default_priority = own(Scheduling::of(current))
            .priority()
            .unwrap_or(Priority::normal(default_nice));
        let process = Arc::pin_init(
            pin_init!(Self {
                context,
                group,
                pid: current.tgid(),
                serial: place.serial,
                default_nice,
                default_priority,
                cred: file.cred().into(),
                space,
                cache: ThreadCache::new(),
                attention: Atomic::new(0),
                answered: Answered::new(),
                _count: Count::new(census::Kind::Process),
                inner <- kernel::new_spinlock!(Inner::new(), "Process::inner"),
                refs <- kernel::new_spinlock!(Refs::new(), "Process::refs"),
                quiet <- kernel::new_condvar!("Process::quiet"),
                raised <- kernel::new_condvar!("Process::raised"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        registry.add(process.clone(), place);
        Ok(process)
    }

    /// Begins the end of the process, whose file is released: nobody finds it any more, and it is
    /// sent nothing any more.
    pub fn die(&self) {
        self.context.registry.remove(self);
        let mut inner = self.lock();
        inner.is_dead = true;
        inner.freezer.thaw();
    }

    /// Locks the state.
    #[inline]
    pub fn lock(&self) -> InnerGuard<'_> {
        self.inner.lock()
    }

    /// Locks the references.
    #[inline]
    pub(super) fn lock_refs(&self) -> Guard<'_, Refs, SpinLockBackend> {
        self.refs.lock()
    }

    /// Finds the state of the current task, or makes it.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    #[inline]
    pub fn current_thread(&self, task: &CurrentTask) -> Result<ThreadKey> {
        let pid = task.pid();
        if let Some(key) = self.cache.get(pid) {
            return Ok(key);
        }
        self.register_thread(pid)
    }

    #[cold]
    fn register_thread(&self, pid: Pid) -> Result<ThreadKey> {
        let known = self.lock().by_pid.get(&pid).copied();
        let key = match known {
            Some(key) => key,
            None => self.add_thread(pid)?,
        };
        self.cache.set(pid, key);
        Ok(key)
    }

    fn add_thread(&self, pid: Pid) -> Result<ThreadKey> {
        let mut state = ThreadState::new(pid)?;
        let node = kernel::rbtree::RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        loop {
            let growth = {
                let mut inner = self.lock();
                match inner.threads.insert(state) {
                    Ok(key) => {
                        inner.by_pid.insert(node.into_node(pid, key));
                        // For `need_return`, which a new thread has.
                        self.attention.add(1, Relaxed);
                        return Ok(key);
                    }
                    Err(returned) => state = returned,
                }
                inner.threads.growth()
            };
            if let Some(growth) = growth {
                let room = growth.allocate()?;
                let rest = self.lock().threads.grow(room);
                drop(rest);
            }
        }
    }

    /// Ends the current thread's duty to return from its next read at once.
    ///
    /// Returns the file that was to be held so long; with its last reference the process goes.
    #[inline]
    pub fn returned(&self, key: ThreadKey) -> Option<ARef<File>> {
        match self.attention.load(Relaxed) {
            0 => None,
            _ => self.returned_for_cause(key),
        }
    }

    #[cold]
    fn returned_for_cause(&self, key: ThreadKey) -> Option<ARef<File>> {
        let mut inner = self.lock();
        let thread = inner.thread(key).filter(|thread| thread.need_return)?;
        thread.need_return = false;
        self.attention.add(-1, Relaxed);
        thread.held_file.take()
    }

    /// Makes a thread, which is running now, return from its read instead of waiting in it, and holds
    /// the process's file until then.
    pub fn require_return(&self, key: ThreadKey, file: ARef<File>) {
        let _held_before;
        let mut inner = self.lock();
        if let Some(thread) = inner.thread(key) {
            if !thread.need_return {
                thread.need_return = true;
                self.attention.add(1, Relaxed);
            }
            _held_before = thread.held_file.replace(file);
        }
    }

    /// Makes every thread return from its read, or from the next one; for `flush`.
    pub fn interrupt(&self) {
        let mut after = 0;
        loop {
            let wakeup = self.lock().interrupt_next(&mut after, &self.attention);
            if wakeup.is_none() {
                return;
            }
        }
    }

    /// Takes some node out of the tree, when the process is gone.
    pub fn take_any_node(&self) -> Option<Arc<Item<Node>>> {
        let mut inner = self.lock();
        let (_, entry) = inner.nodes.cursor_front_mut()?.remove_current();
        let (_, node) = entry.to_key_value();
        Some(node)
    }

    /// Takes some work that was left unread, when the process is gone.
    pub fn take_any_work(&self) -> Option<Work> {
        let mut inner = self.lock();
        let work = inner.todo.pop_front();
        let work = work.or_else(|| inner.delivered_deaths.pop_front());
        work.or_else(|| inner.delivered_freezes.pop_front())
    }

    /// Takes the work of some node out of a thread's queue.
    pub fn take_unread_node(&self, key: ThreadKey) -> Option<(Arc<Item<Node>>, Ticket)> {
        self.lock().thread(key)?.todo.take_node()
    }

    /// Forgets a thread and hands out what it leaves.
    pub fn remove_thread(&self, key: ThreadKey) -> Option<ThreadState> {
        let (state, node) = {
            let mut inner = self.lock();
            inner.leave_idle(key);
            let state = inner.threads.remove(key)?;
            let node = inner.by_pid.remove_node(&state.pid);
            self.cache.clear(state.pid);
            (state, node)
        };
        drop(node);
        let flags = i32::from(state.need_return).wrapping_add(state.return_error.into());
        self.attention.add(flags.wrapping_neg(), Relaxed);
        Some(state)
    }

    /// Frees the tables of a process that is gone, once they are empty: who holds its nodes may keep
    /// the rest of it for long.
    pub fn free_tables(&self) {
        let threads = core::mem::replace(&mut self.lock().threads, Slab::new());
        let refs = self.lock_refs().take_empty();
        drop((threads, refs));
    }
}

impl Inner {
    fn new() -> Self {
        Self {
            threads: Slab::new(),
            by_pid: RBTree::new(),
            idle: None,
            todo: Queue::new(),
            delivered_deaths: Queue::new(),
            delivered_freezes: Queue::new(),
            nodes: RBTree::new(),
            max_threads: 0,
            requested_threads: 0,
            started_threads: 0,
            is_dead: false,
            freezer: Freezer::new(),
            spam_detection: false,
        }
    }

    /// The state of a thread, if it still exists.
    #[inline]
    pub fn thread(&mut self, key: ThreadKey) -> Option<&mut ThreadState> {
        self.threads.get_mut(key)
    }

    /// The state of a thread, if it still exists, and the work for any thread.
    #[inline]
    pub fn queues(&mut self, key: ThreadKey) -> Option<(&mut ThreadState, &mut Queue<Work>)> {
        Some((self.threads.get_mut(key)?, &mut self.todo))
    }

    /// Some thread, as long as there is one.
    pub fn any_thread(&self) -> Option<ThreadKey> {
        self.by_pid.values().next().copied()
    }

    /// Queues `item` for any thread and wakes one.
    pub fn push<T: Queued<Work = Work>>(&mut self, item: T::Handle, how: Wake) -> Wakeup {
        // An item in a queue will be read from there.
        drop(self.todo.push_back::<T>(item));
        self.wake_any(how)
    }

    /// Takes `node`'s work out of whichever queue of the process holds it.
    pub fn unqueue_node(&mut self, node: &Item<Node>) -> Option<Arc<Item<Node>>> {
        if let Some(found) = self.todo.remove(node) {
            return Some(found);
        }
        for key in self.by_pid.values() {
            let found = self
                .threads
                .get_mut(*key)
                .and_then(|thread| thread.todo.remove(node));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Takes `death` out of whichever queue of the process holds it.
    pub fn unqueue_death(&mut self, death: &Item<Death>) -> Option<Arc<Item<Death>>> {
        if let Some(found) = self.todo.remove(death) {
            return Some(found);
        }
        if let Some(found) = self.delivered_deaths.remove(death) {
            return Some(found);
        }
        for key in self.by_pid.values() {
            let found = self
                .threads
                .get_mut(*key)
                .and_then(|thread| thread.todo.remove(death));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Takes `freeze` out of whichever queue of the process holds it; those of threads never do.
    pub fn unqueue_freeze(&mut self, freeze: &Item<Freeze>) -> Option<Arc<Item<Freeze>>> {
        let found = self.todo.remove(freeze);
        found.or_else(|| self.delivered_freezes.remove(freeze))
    }

    /// Queues the work of one of the process's own nodes for `thread`, to be read before whatever
    /// is queued for it later.
    pub fn push_node_to(&mut self, key: ThreadKey, node: Arc<Item<Node>>) {
        if let Some(thread) = self.threads.get_mut(key) {
            thread.todo.push::<Node>(node);
        }
    }

    /// The first node with the name `ptr` or one behind it.
    pub fn node_from(&self, ptr: u64) -> Option<Arc<Item<Node>>> {
        let cursor = self.nodes.cursor_lower_bound(&ptr)?;
        Some(cursor.current().1.clone())
    }

    /// The first node with a name behind `ptr`.
    pub fn node_after(&self, ptr: u64) -> Option<Arc<Item<Node>>> {
        self.node_from(ptr.checked_add(1)?)
    }

    /// Finds a node by name.
    pub fn node(&self, name: NodeName) -> Option<Arc<Item<Node>>> {
        self.nodes.get(&name.ptr).cloned()
    }
}
