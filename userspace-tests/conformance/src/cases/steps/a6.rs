// SPDX-License-Identifier: GPL-2.0

//! Section A6: what others do while a transaction is being put together.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::{become_manager, round_trip};
use harness::device::USUAL_SIZE;
use harness::thread::PAGE;
use harness::wire::Argument::{Memory, Value};
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Parcel, Process, Transactions, check, check_eq,
    check_returns,
};
use zerocopy::IntoBytes;

pub const CASES: &[Case] = &[
    case(
        "a3/unmapped-during-copy",
        "a call is delivered to who unmapped its space while the call was copied",
        unmapped_during_copy,
    ),
    case(
        "a3/closed-during-copy",
        "a call goes out though its sender's device is closed while it is copied",
        closed_during_copy,
    ),
    case(
        "a3/mapped-during-copy",
        "a space that is mapped while a call is copied is of no use to that call",
        mapped_too_late,
    ),
    case(
        "a6/handle-dropped-during-copy",
        "a call reaches its target though the handle is dropped while it is copied",
        handle_dropped,
    ),
    case(
        "a6/handle-reused-during-copy",
        "a call reaches the node its handle meant when the call began",
        handle_reused,
    )
    .covers(&["A6.7"]),
    case(
        "a6/two-replies",
        "no other thread can reply while a reply is copied",
        two_replies,
    )
    .covers(&["A6.2"]),
    case(
        "a6/overtaken-during-copy",
        "messages are queued when they are complete, not when they begin",
        overtaken,
    ),
    case(
        "a6/copy-fails-late",
        "a copy that fails after a long time fails like any other",
        fails_late,
    )
    .covers(&["A6.28"]),
    case(
        "a6/memory-unmapped-during-copy",
        "a sender that unmaps what is copied gets a fault",
        memory_unmapped,
    )
    .covers(&["A6.28"]),
    case(
        "a6/data-changes-during-copy",
        "what was copied before is not read again",
        data_changes,
    ),
    case(
        "a6/offsets-change-during-copy",
        "the objects are those that the offsets named when they were read",
        offsets_change,
    )
    .covers(&["CVE-2024-46740"]),
    case(
        "a6/nested-during-copy",
        "a process that is copying a call to another can be called by it",
        called_while_calling,
    ),
    case(
        "a12/manager-during-request",
        "who is slower in becoming the manager does not",
        manager_race,
    )
    .covers(&["A4.3"]),
    case(
        "a5/caught-between-commands",
        "a command is carried out once, though the next one takes long to read",
        caught_between_commands,
    ),
];

fn unmapped_during_copy(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    manager.unmap()?;
    let_go(trap, step, b"nowhere!")?;
    let call = manager.receive()?;
    check_eq!(call.data.data_size, TAIL as u64);
    check_eq!(
        manager.peek(call.data.buffer, 8)?.err(),
        Some(Errno::EFAULT)
    );
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    check_eq!(client.receive()?.code, BR_REPLY);
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))
}

fn closed_during_copy(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let exchange = Exchange::write(&[caught_call(Call::to(0), &trap).into()]).and_read();
    let step = client.begin_exchange(&exchange)?;
    trap.wait(&step)?;
    other.close()?;
    trap.release(b"farewell")?;
    // Closing wakes whoever reads, and this thread reads after it has sent.
    check_returns!(step.returns()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"farewell");
    answer_lost(&mut manager, &call)
}

fn mapped_too_late(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.unmapped()?;
    become_manager(&mut manager, FlatObject::default())?;
    let mut client = cx.client()?;
    let trap = client.trap()?;
    // Room is looked for before anything is copied.
    let outcome = client.write(&[caught_call(Call::to(0), &trap).into()])?;
    outcome.ok()?;
    manager.map(USUAL_SIZE)?;
    expect(&mut client, &[BR_NOOP, BR_DEAD_REPLY])?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

/// A client that has the only handle to an owner's node: manager, owner, client and
/// the handle.
fn one_handle(cx: &Cx) -> Result<(Process, Process, Process, u32)> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    let handle = pass_handle(&mut manager, &mut client, first)?;
    manager.send(&[Bc::Release(first)])?;
    Ok((manager, owner, client, handle))
}

fn handle_dropped(cx: &mut Cx) -> Result<()> {
    let (_manager, mut owner, mut client, handle) = one_handle(cx)?;
    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(handle), &trap))?;
    other.send(&[Bc::Release(handle)])?;
    // The call counts as a reference, so the owner is not told yet.
    expect_nothing(&mut owner)?;
    let_go(trap, step, b"the last")?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    check_eq!(owner.data(&call)?, b"the last");
    owner.send(&[Call::reply().into()])?;
    complete(&mut owner)?;
    check_eq!(client.receive()?.code, BR_REPLY);
    owner.free(&call)?;
    expect(&mut owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    fails(
        &mut client,
        Call::to(handle),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )
}

fn handle_reused(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, mut client, handle) = one_handle(cx)?;
    let mut another_owner = cx.client()?;
    let mut other = another(&mut client)?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(handle), &trap))?;
    other.send(&[Bc::Release(handle)])?;
    let second = give_node(&mut another_owner, &mut manager, OTHER)?;
    check_eq!(pass_handle(&mut manager, &mut other, second)?, handle);
    let_go(trap, step, b"for one.")?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    expect_nothing(&mut another_owner)?;
    owner.answer(&call, Call::reply())?;
    check_eq!(client.receive()?.code, BR_REPLY);
    other.send(&[Call::to(handle).into()])?;
    let call = another_owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), OTHER);
    Ok(())
}

fn two_replies(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    let trap = manager.trap()?;
    let step = send_into(&mut manager, &trap, caught_call(Call::reply(), &trap))?;
    fails(
        &mut other,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    expect_nothing(&mut client)?;
    let_go(trap, step, b"the one.")?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"the one.");
    expect_nothing(&mut client)?;
    manager.free(&call)
}

fn overtaken(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut slow = cx.client()?;
    let mut fast = cx.client()?;
    let trap = slow.trap()?;
    let step = send_into(&mut slow, &trap, caught_call(Call::oneway(0), &trap))?;
    fast.send(&[Call::oneway(0).data(b"fast").into()])?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"fast");
    // Nothing runs on the node any more, so what comes next is not held back.
    manager.free(&call)?;
    fast.send(&[Call::oneway(0).data(b"fast").into()])?;
    let_go(trap, step, b"slow....")?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"fast");
    expect_nothing(&mut manager)?;
    manager.free(&call)?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"slow....");
    Ok(())
}

fn fails_late(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for call in [Call::to(0), Call::oneway(0)] {
        let trap = client.trap()?;
        let step = send_into(&mut client, &trap, caught_call(call, &trap))?;
        let_fail(trap, step)?;
        expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
        check_eq!(
            error_of(&mut client)?,
            (BR_FAILED_REPLY, param(Some(Errno::EFAULT)))
        );
        expect_nothing(&mut manager)?;
    }
    let call = call_received(&mut client, &mut manager)?;
    let trap = manager.trap()?;
    let step = send_into(&mut manager, &trap, caught_call(Call::reply(), &trap))?;
    let_fail(trap, step)?;
    complete(&mut manager)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EFAULT)))
    );
    manager.free(&call)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn memory_unmapped(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    other.must(libc::SYS_munmap, &[trap.page, PAGE])?;
    // Whoever was caught tries again.
    drop(trap);
    step.outcome()?.ok()?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EFAULT)))
    );
    expect_nothing(&mut manager)
}

fn data_changes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let parcel = Parcel::new().bytes(b"first...").binder(NODE.0, NODE.1);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let start = trap.page - (parcel.data.len() + 16) as u64;
    let step = send_into(&mut client, &trap, call)?;
    // By now the object is translated, and so the data before it is copied.
    check!(other.poke(start, &[0xFF; 32])?.is_ok());
    let_go(trap, step, b"........")?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?[..8], *b"first...");
    let object = manager.object(&call, 0)?;
    check_eq!(object.hdr.kind, BINDER_TYPE_HANDLE);
    // Giving it back is no matter of what the sender has there now.
    manager.free(&call)
}

fn offsets_change(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1).bytes(&[0; 24]);
    let call = caught_before(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    let offsets = trap.page + PAGE;
    check!(other.poke(offsets, &24u64.to_le_bytes())?.is_ok());
    let_go(trap, step, &parcel.data)?;
    let call = manager.receive()?;
    let object = manager.object(&call, 0)?;
    check_eq!(object.hdr.kind, BINDER_TYPE_HANDLE);
    let told = manager.peek(call.data.offsets, 8)?;
    check_eq!(told, Ok(0u64.to_le_bytes().to_vec()));
    let returns = client.read()?;
    client.acknowledge(&returns)?;
    manager.free(&call)?;
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

fn called_while_calling(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let back = give_node(&mut client, &mut manager, NODE)?;
    let mut other = another(&mut client)?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    // The thread that is about to call does not wait yet, so another serves.
    manager.send(&[Call::to(back).into()])?;
    let call = other.receive()?;
    other.answer(&call, Call::reply())?;
    check_eq!(manager.receive()?.code, BR_REPLY);
    let_go(trap, step, b"go on...")?;
    let call = manager.receive()?;
    manager.answer(&call, Call::reply())?;
    check_eq!(client.receive()?.code, BR_REPLY);
    Ok(())
}

fn manager_race(cx: &mut Cx) -> Result<()> {
    let mut slow = cx.client()?;
    let mut fast = cx.client()?;
    let trap = slow.trap()?;
    let fd = slow.endpoint.fd as u64;
    let arguments = [fd, BINDER_SET_CONTEXT_MGR_EXT.into(), trap.page];
    let step = slow.begin_syscall(libc::SYS_ioctl, arguments.map(Value).into())?;
    trap.wait(&step)?;
    check_eq!(
        fast.ioctl(BINDER_SET_CONTEXT_MGR_EXT, FlatObject::default())?,
        Ok(FlatObject::default())
    );
    trap.release(&[])?;
    check_eq!(step.system_call()?.0, Err(Errno::EBUSY));
    round_trip(&mut slow, &mut fast, Call::to(0), Call::reply())?;
    Ok(())
}

fn caught_between_commands(cx: &mut Cx) -> Result<()> {
    let (_manager, mut owner, mut client, handle) = one_handle(cx)?;
    let trap = client.trap()?;
    let first = [BC_RELEASE.to_le_bytes(), handle.to_le_bytes()].concat();
    let write = trap.page - first.len() as u64;
    check!(client.poke(write, &first)?.is_ok());
    let exchange = WriteRead {
        write_size: first.len() as u64 + 4,
        write_consumed: 0,
        write_buffer: write,
        read_size: 0,
        read_consumed: 0,
        read_buffer: 0,
    };
    let arguments = vec![
        Value(client.endpoint.fd as u64),
        Value(BINDER_WRITE_READ.into()),
        Memory(exchange.as_bytes().to_vec()),
    ];
    let step = client.begin_syscall(libc::SYS_ioctl, arguments)?;
    trap.wait(&step)?;
    trap.release(&BC_ENTER_LOOPER.to_le_bytes())?;
    let (result, memory) = step.system_call()?;
    check_eq!(result, Ok(0));
    check_eq!(memory[0][8..16], 12u64.to_le_bytes(), "all is consumed");
    expect(&mut owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}
