// SPDX-License-Identifier: GPL-2.0

//! Section A11: freezing and thawing: who may, whom it concerns, what it asks for.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::{become_manager, round_trip};
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Errno, Missed, Process, Thread, Transactions, check, check_eq};
use zerocopy::IntoBytes;

pub const CASES: &[Case] = &[
    case(
        "a11/freeze-and-thaw",
        "a process is frozen and thawed again, as often as one likes",
        freeze_and_thaw,
    )
    .covers(&["A11.1", "A4.8"]),
    case(
        "a11/any-number-freezes",
        "whatever is not 0 freezes, and nothing is written back",
        any_number,
    ),
    case(
        "a11/unknown-process",
        "a process without an open device gives EINVAL",
        unknown_process,
    )
    .covers(&["A4.8", "A4.9"]),
    case(
        "a11/thread-number",
        "a thread's number and a child's name no process: EINVAL",
        thread_number,
    ),
    case(
        "a11/bad-pointers",
        "an argument that is not there, or not writable, gives EFAULT",
        bad_pointers,
    )
    .covers(&["A4.8", "A4.9"]),
    case(
        "a11/freezes-itself",
        "a process can freeze and thaw itself",
        freezes_itself,
    ),
    case(
        "a11/nothing-mapped",
        "neither who freezes nor who is frozen needs a mapping",
        nothing_mapped,
    )
    .covers(&["A6.17"]),
    case(
        "a11/any-user-may",
        "any user who has the device open may freeze",
        any_user,
    ),
    case(
        "a11/number-is-global",
        "a process is named by its number in the outermost pid name space",
        global_number,
    ),
    case(
        "a11/every-file",
        "all files of a process are frozen, of all devices, and thawed",
        every_file,
    )
    .covers(&["A11.1"]),
    case(
        "a11/opened-later",
        "a file that is opened later is not frozen",
        opened_later,
    ),
    case(
        "a11/newest-file-first",
        "a file that cannot be frozen leaves those opened later frozen",
        newest_first,
    )
    .covers(&["A11.1"]),
    case(
        "a11/newest-file-fails",
        "files opened before the one that cannot be frozen stay as they are",
        newest_fails,
    )
    .covers(&["A11.1"]),
    case(
        "a11/other-processes-untouched",
        "other processes of the device, or of a fork, are not frozen",
        others_untouched,
    ),
    case(
        "a11/frozen-process-dies",
        "a frozen process that ends is dead, not frozen",
        frozen_dies,
    )
    .covers(&["A19.10"]),
    case(
        "a11/frozen-process-closes",
        "closing the device and opening it again thaws",
        frozen_closes,
    ),
    case(
        "a11/frozen-manager-dies",
        "the successor of a frozen manager is not frozen",
        manager_dies,
    ),
];

/// A call to handle 0 goes there and back.
fn served(client: &mut Process, manager: &mut Process) -> Result<()> {
    round_trip(client, manager, Call::to(0), Call::reply()).map(drop)
}

fn freeze_and_thaw(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    // What is not frozen can be thawed.
    check_eq!(freezer.thaw(pid)?, Ok(()));
    for times in 1..=3 {
        for _ in 0..times {
            check_eq!(freezer.freeze(pid)?, Ok(()));
            check_eq!(freezer.missed(pid)?, Ok(Missed::NOTHING));
            refused(&mut client, 0)?;
        }
        check_eq!(freezer.thaw(pid)?, Ok(()));
        served(&mut client, &mut manager)?;
        check_eq!(freezer.thaw(pid)?, Ok(()));
        served(&mut client, &mut manager)?;
    }
    Ok(())
}

fn any_number(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    for enable in [1, 2, 0x100, 0x8000_0000, u32::MAX] {
        let info = FreezeInfo {
            pid: pid as u32,
            enable,
            timeout_ms: 0,
        };
        check_eq!(freezer.ioctl(BINDER_FREEZE, info)?, Ok(info));
        refused(&mut client, 0)?;
        // A time-out means nothing to who thaws.
        let info = FreezeInfo {
            enable: 0,
            timeout_ms: u32::MAX,
            ..info
        };
        check_eq!(freezer.ioctl(BINDER_FREEZE, info)?, Ok(info));
        check_eq!(freezer.missed(pid)?, Ok(Missed::NOTHING));
        client.send(&[Call::oneway(0).into()])?;
        complete(&mut client)?;
        check_eq!(freezer.missed(pid)?, Ok(Missed::PENDING));
        let call = manager.receive()?;
        manager.free(&call)?;
    }
    Ok(())
}

fn unknown_process(cx: &mut Cx) -> Result<()> {
    let mut freezer = cx.unmapped()?;
    let stranger = cx.process()?;
    let mut closed = cx.client()?;
    closed.unmap()?;
    closed.close()?;
    forgotten(&mut freezer, closed.pid())?;
    let gone = cx.client()?;
    let pid = gone.pid();
    gone.kill()?;
    forgotten(&mut freezer, pid)?;
    for pid in [stranger.pid(), closed.pid(), pid, 0, -1, i32::MAX] {
        check_eq!(freezer.freeze(pid)?, Err(Errno::EINVAL));
        check_eq!(freezer.freeze_within(pid, 1)?, Err(Errno::EINVAL));
        check_eq!(freezer.thaw(pid)?, Err(Errno::EINVAL));
        check_eq!(freezer.missed(pid)?, Err(Errno::EINVAL));
    }
    Ok(())
}

fn thread_number(cx: &mut Cx) -> Result<()> {
    let mut freezer = cx.unmapped()?;
    let mut client = cx.client()?;
    let mut thread = client.spawn_thread()?;
    thread.version()?.ok();
    let mut child = client.fork()?;
    // The child's threads use its parent's file.
    child.version()?.ok();
    check!(thread.tid != client.pid(), "a number of its own");
    for number in [thread.tid, child.pid] {
        check_eq!(freezer.freeze(number)?, Err(Errno::EINVAL));
        check_eq!(freezer.missed(number)?, Err(Errno::EINVAL));
    }
    check_eq!(freezer.freeze(client.pid())?, Ok(()));
    Ok(())
}

fn bad_pointers(cx: &mut Cx) -> Result<()> {
    let mut freezer = cx.unmapped()?;
    let client = cx.client()?;
    let pid = client.pid() as u32;
    let page = freezer.page_before_hole()?;
    for address in [8, page + PAGE - 8, page + PAGE] {
        for number in [BINDER_FREEZE, BINDER_GET_FROZEN_INFO] {
            check_eq!(
                freezer.ioctl_raw(number, address)?,
                Err(Errno::EFAULT),
                "{number:#x} at {address:#x}"
            );
        }
    }
    // The question can be read, the answer cannot be written.
    let info = FrozenStatusInfo {
        pid,
        ..FrozenStatusInfo::default()
    };
    let unknown = FrozenStatusInfo::default();
    for (info, errno) in [(info, Errno::EFAULT), (unknown, Errno::EINVAL)] {
        let page = freezer.allocate(PAGE)?;
        freezer.poke(page, info.as_bytes())?.context("poke")?;
        freezer.must(libc::SYS_mprotect, &[page, PAGE, libc::PROT_READ as u64])?;
        check_eq!(freezer.ioctl_raw(BINDER_GET_FROZEN_INFO, page)?, Err(errno));
    }
    Ok(())
}

fn freezes_itself(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let pid = manager.pid();
    for timeout_ms in [0, 1, i32::MAX as u32] {
        check_eq!(manager.freeze_within(pid, timeout_ms)?, Ok(()));
        refused(&mut client, 0)?;
        check_eq!(manager.missed(pid)?, Ok(Missed::CALL));
        check_eq!(manager.thaw(pid)?, Ok(()));
        served(&mut client, &mut manager)?;
    }
    Ok(())
}

fn nothing_mapped(cx: &mut Cx) -> Result<()> {
    let mut one = cx.unmapped()?;
    let mut other = cx.unmapped()?;
    check_eq!(one.freeze(other.pid())?, Ok(()));
    // A frozen process may freeze others.
    check_eq!(other.freeze(one.pid())?, Ok(()));
    check_eq!(one.missed(other.pid())?, Ok(Missed::NOTHING));
    // Before anything else is asked, there is no room to receive in: that counts
    // for more than being frozen.
    become_manager(&mut other, FlatObject::default())?;
    let mut client = cx.client()?;
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))?;
    check_eq!(one.missed(other.pid())?, Ok(Missed::NOTHING));
    Ok(())
}

fn any_user(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    freezer.must(libc::SYS_setresuid, &[4321, 4321, 4321])?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    refused(&mut client, 0)?;
    check_eq!(freezer.missed(manager.pid())?, Ok(Missed::CALL));
    check_eq!(freezer.thaw(manager.pid())?, Ok(()));
    served(&mut client, &mut manager)
}

fn global_number(cx: &mut Cx) -> Result<()> {
    let mut freezer = cx.unmapped()?;
    let mut inner = Process::spawn_in_pid_namespace()?;
    inner.open(&cx.device)?;
    inner.version()?.ok();
    check_eq!(inner.tid, 1, "the first of its name space");
    check_eq!(freezer.freeze(inner.pid())?, Ok(()));
    check_eq!(freezer.thaw(inner.pid())?, Ok(()));
    // From inside, its own number means another process, and the outer one works.
    check_eq!(inner.freeze(1)?, Err(Errno::EINVAL));
    let outer = inner.pid();
    check_eq!(inner.freeze(outer)?, Ok(()));
    check_eq!(inner.freeze(freezer.pid())?, Ok(()));
    check_eq!(inner.missed(freezer.pid())?, Ok(Missed::NOTHING));
    Ok(())
}

/// A process with a node in each of two files of the device, the older one first,
/// and who holds both nodes.
struct TwoFiles {
    owner: Process,
    files: [harness::Endpoint; 2],
    manager: Process,
    handles: [u32; 2],
    freezer: Process,
}

impl TwoFiles {
    fn new(cx: &Cx) -> Result<Self> {
        let mut manager = cx.manager()?;
        let mut owner = cx.client()?;
        let first = owner.endpoint;
        let older = give_node(&mut owner, &mut manager, NODE)?;
        open_more(&mut owner, cx.device.as_path())?;
        let second = owner.endpoint;
        let newer = give_node(&mut owner, &mut manager, OTHER)?;
        Ok(Self {
            owner,
            files: [first, second],
            manager,
            handles: [older, newer],
            freezer: cx.unmapped()?,
        })
    }

    /// A oneway call waits in one of the files; freezing fails.
    fn freeze_with_work_in(&mut self, file: usize) -> Result<()> {
        self.manager
            .send(&[Call::oneway(self.handles[file]).into()])?;
        complete(&mut self.manager)?;
        check_eq!(self.freezer.freeze(self.owner.pid())?, Err(Errno::EAGAIN));
        Ok(())
    }

    /// A call to one of the files goes there and back.
    fn serves(&mut self, file: usize) -> Result<()> {
        self.owner.endpoint = self.files[file];
        let call = Call::to(self.handles[file]);
        round_trip(&mut self.manager, &mut self.owner, call, Call::reply()).map(drop)
    }
}

/// Opens and maps another device, and uses that from now on.
fn open_more(thread: &mut Thread, device: &std::path::Path) -> Result<()> {
    thread.open(device)?;
    thread.map(harness::device::USUAL_SIZE)?;
    thread.version()?.context("BINDER_VERSION")?;
    Ok(())
}

fn every_file(cx: &mut Cx) -> Result<()> {
    let sibling = cx.sibling.clone().context("a sibling device is needed")?;
    let mut two = TwoFiles::new(cx)?;
    // A file of another device, with a manager of its own.
    let mut elsewhere = cx.process()?;
    open_more(&mut elsewhere, &sibling)?;
    become_manager(&mut elsewhere, FlatObject::default())?;
    open_more(&mut two.owner, &sibling)?;
    let third = two.owner.endpoint;
    let handle = give_node(&mut two.owner, &mut elsewhere, NODE)?;

    let pid = two.owner.pid();
    check_eq!(two.freezer.freeze(pid)?, Ok(()));
    refused(&mut two.manager, two.handles[0])?;
    check_eq!(two.freezer.missed(pid)?, Ok(Missed::CALL));
    refused(&mut two.manager, two.handles[1])?;
    refused(&mut elsewhere, handle)?;
    check_eq!(two.freezer.thaw(pid)?, Ok(()));
    check_eq!(two.freezer.missed(pid)?, Ok(Missed::NOTHING));
    two.serves(0)?;
    two.serves(1)?;
    two.owner.endpoint = third;
    let call = Call::to(handle);
    round_trip(&mut elsewhere, &mut two.owner, call, Call::reply())?;
    Ok(())
}

fn opened_later(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let older = give_node(&mut owner, &mut manager, NODE)?;
    check_eq!(freezer.freeze(owner.pid())?, Ok(()));
    open_more(&mut owner, &cx.device)?;
    let newer = give_node(&mut owner, &mut manager, OTHER)?;
    refused(&mut manager, older)?;
    round_trip(&mut manager, &mut owner, Call::to(newer), Call::reply())?;
    check_eq!(freezer.freeze(owner.pid())?, Ok(()));
    refused(&mut manager, newer)
}

fn newest_first(cx: &mut Cx) -> Result<()> {
    let mut two = TwoFiles::new(cx)?;
    two.freeze_with_work_in(0)?;
    refused(&mut two.manager, two.handles[1])?;
    // What is left behind is told, and ends with a thaw.
    let missed = Missed::CALL.and(Missed::PENDING);
    check_eq!(two.freezer.missed(two.owner.pid())?, Ok(missed));
    two.owner.endpoint = two.files[0];
    let call = two.owner.receive()?;
    two.owner.free(&call)?;
    two.serves(0)?;
    check_eq!(two.freezer.thaw(two.owner.pid())?, Ok(()));
    two.serves(1)
}

fn newest_fails(cx: &mut Cx) -> Result<()> {
    let mut two = TwoFiles::new(cx)?;
    two.freeze_with_work_in(1)?;
    two.serves(0)?;
    two.owner.endpoint = two.files[1];
    let call = two.owner.receive()?;
    two.owner.free(&call)?;
    two.serves(1)
}

fn others_untouched(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let mut other = cx.client()?;
    let handle = give_node(&mut other, &mut all.holder, OTHER)?;
    let mut child = all.owner.fork()?;
    open_more(&mut child, &cx.device)?;
    let of_child = give_node(&mut child, &mut all.holder, (1, 1))?;
    all.freeze()?;
    refused(&mut all.holder, all.handle)?;
    for (thread, handle) in [(&mut *other, handle), (&mut child, of_child)] {
        all.holder.send(&[Call::to(handle).into()])?;
        let call = thread.receive()?;
        thread.answer(&call, Call::reply())?;
        complete(thread)?;
        let reply = all.holder.receive()?;
        all.holder.free(&reply)?;
    }
    Ok(())
}

fn frozen_dies(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.holder.send(&[Bc::RequestDeath(all.handle, COOKIE)])?;
    all.freeze()?;
    refused(&mut all.holder, all.handle)?;
    let pid = all.owner.pid();
    all.owner.kill()?;
    // The process may be forgotten before its nodes are.
    expect(&mut all.holder, &[BR_NOOP, BR_DEAD_BINDER])?;
    forgotten(&mut all.freezer, pid)?;
    let why = Some(Errno::EINVAL);
    fails(&mut all.holder, Call::to(all.handle), BR_DEAD_REPLY, why)?;
    fails(
        &mut all.holder,
        Call::oneway(all.handle),
        BR_DEAD_REPLY,
        why,
    )
}

fn frozen_closes(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    all.owner.unmap()?;
    all.owner.close()?;
    forgotten(&mut all.freezer, all.owner.pid())?;
    open_more(&mut all.owner, &cx.device)?;
    check_eq!(all.freezer.missed(all.owner.pid())?, Ok(Missed::NOTHING));
    let handle = give_node(&mut all.owner, &mut all.holder, NODE)?;
    let call = Call::to(handle);
    round_trip(&mut all.holder, &mut all.owner, call, Call::reply())?;
    Ok(())
}

fn manager_dies(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    refused(&mut client, 0)?;
    manager.kill()?;
    let mut next = cx.manager()?;
    served(&mut client, &mut next)
}
