// SPDX-License-Identifier: GPL-2.0

//! Sections A8 and A12: what a receiver learns of the sender.  What name spaces do
//! to that is in `a12_namespaces`.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use harness::{Call, Case, Cx, Transactions, check, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a12/pid-is-the-process",
        "the sender is named by its process, whichever thread calls",
        pid_is_process,
    ),
    case(
        "a12/user-at-send-time",
        "the sender's user is the effective one when it sends",
        user_at_send_time,
    ),
    case(
        "a12/user-of-a-thread",
        "a thread with a user of its own is seen with that",
        user_of_a_thread,
    ),
];

fn pid_is_process(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut thread = client.spawn_thread()?;
    check!(
        thread.tid != client.pid(),
        "a thread with a number of its own"
    );
    let call = call_received(&mut thread, &mut manager)?;
    check_eq!(call.data.sender_pid, client.pid());
    Ok(())
}

fn user_at_send_time(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for uid in [1000, 0, 2000] {
        set_euid(&mut client, uid)?;
        client.send(&[Call::oneway(0).into()])?;
        complete(&mut client)?;
        // What the sender does afterwards does not count.
        set_euid(&mut client, 0)?;
        let call = manager.receive()?;
        check_eq!(call.data.sender_euid, uid);
        manager.free(&call)?;
    }
    Ok(())
}

fn user_of_a_thread(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut thread = client.spawn_thread()?;
    set_euid(&mut thread, 1234)?;
    thread.send(&[Call::oneway(0).into()])?;
    let call = manager.receive()?;
    check_eq!(call.data.sender_euid, 1234);
    manager.free(&call)?;
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(manager.receive()?.data.sender_euid, 0);
    Ok(())
}
