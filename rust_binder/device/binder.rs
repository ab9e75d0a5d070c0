// SPDX-License-Identifier: GPL-2.0

//! A binder device and its open files.

use super::ioctl;
use crate::{
    buffer::PageReclaimer,
    process::{
        looper,
        Context,
        Process,
        Registry, //
    },
    sys::chardev::Device,
    transaction::release_process,
};
use kernel::{
    bindings,
    fs::File,
    mm::virt::VmaNew,
    prelude::*,
    sync::{
        poll::{
            PollCondVarBox,
            PollTable, //
        },
        Arc,
        ArcBorrow, //
    }, //
};

/// A binder device: its context is what tells it from the others.
pub struct Binder {
    context: Arc<Context>,
}

impl Binder {
    /// A device with a context of its own.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(reclaimer: Arc<PageReclaimer>, registry: Arc<Registry>) -> Result<Self> {
        Ok(Self {
            context: Context::new(reclaimer, registry)?,
        })
    }
}

impl Device for Binder {
    type Open = Process;
    type Module = crate::BinderModule;

    fn open(&self, file: &File) -> Result<Arc<Process>> {
        Process::new(self.context.clone(), file)
    }

    fn ioctl(process: ArcBorrow<'_, Process>, file: &File, cmd: u32, arg: usize) -> Result {
        ioctl::dispatch(process, file, cmd, arg as u64)
    }

    /// Only the process that opened the file can map it; the rest of the rules are the space's.
    fn mmap(process: ArcBorrow<'_, Process>, vma: &VmaNew) -> Result {
        if process.pid != kernel::current!().tgid() {
            return Err(EINVAL);
        }
        process.space.mmap(vma)
    }

    /// Follows `binder_poll()`.
    fn poll(process: ArcBorrow<'_, Process>, file: &File, table: PollTable<'_>) -> u32 {
        poll(process, file, table).unwrap_or(bindings::POLLERR)
    }

    fn flush(process: ArcBorrow<'_, Process>) {
        process.interrupt();
    }

    fn release(process: Arc<Process>) {
        release_process(process);
    }
}

fn poll(process: ArcBorrow<'_, Process>, file: &File, table: PollTable<'_>) -> Result<u32> {
    let key = process.current_thread(kernel::current!())?;
    let mut fresh = None;
    let (queue, for_process) = loop {
        let mut inner = process.lock();
        let thread = inner.thread(key).ok_or(ESRCH)?;
        if thread.poll.is_none() {
            thread.poll = fresh.take();
        }
        if let Some(queue) = &thread.poll {
            let queue = queue.clone();
            thread.looper |= looper::POLL;
            break (queue, thread.is_available());
        }
        drop(inner);
        let queue = PollCondVarBox::new(c"ThreadState::poll", kernel::static_lock_class!())?;
        fresh = Some(Arc::new(queue, GFP_KERNEL_ACCOUNT)?);
    };
    table.register_wait(file, &queue);

    let mut inner = process.lock();
    let process_work = for_process && !inner.todo.is_empty();
    let thread = inner.thread(key).ok_or(ESRCH)?;
    Ok(
        if thread.process_todo || thread.need_return || process_work {
            bindings::POLLIN
        } else {
            0
        },
    )
}
