// SPDX-License-Identifier: GPL-2.0

//! Arguments of ioctls, and the wrapper around them.

use crate::abi::ioctl::{Freeze, FreezeInfo, NodeInfoForRef, NotZero, WriteRead};
use crate::abi::name::Handle;
use crate::abi::object::FlatObject;
use crate::abi::untrusted::Untrusted;
use binder_abi as protocol;
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Has the driver's wrapper filled with the bytes of the protocol's structure.
fn receive<T>(sent: &impl AsBytes) -> Untrusted<T>
where
    T: zerocopy::FromBytes + IntoBytes,
{
    let Ok(received) = Untrusted::fill(|bytes| {
        bytes.copy_from_slice(sent.bytes());
        Ok::<(), std::convert::Infallible>(())
    });
    received
}

/// Shortens the bounds.
trait AsBytes {
    fn bytes(&self) -> &[u8];
}

impl<T: IntoBytes + zerocopy::Immutable> AsBytes for T {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

proptest! {
    #[test]
    fn a_transfer_comes_back_with_what_was_consumed(
        sent in any::<[u64; 6]>(),
        written in 0..100_usize,
        read in 0..100_usize,
    ) {
        let sent: protocol::WriteRead = zerocopy::transmute!(sent);
        let received: Untrusted<WriteRead> = receive(&sent);
        let mut transfer = received.validate().expect("64 bits fit");
        prop_assert_eq!(
            transfer.write.position(),
            sent.write_buffer.wrapping_add(sent.write_consumed) as usize
        );
        prop_assert_eq!(
            transfer.read.left(),
            sent.read_size.saturating_sub(sent.read_consumed) as usize
        );
        prop_assert_eq!(transfer.read.base(), sent.read_buffer as usize);
        prop_assert_eq!(transfer.read.size(), sent.read_size as usize);
        transfer.write.advance(written);
        transfer.read.advance(read);
        let expected = protocol::WriteRead {
            write_consumed: sent.write_consumed.wrapping_add(written as u64),
            read_consumed: sent.read_consumed.wrapping_add(read as u64),
            ..sent
        };
        let wire = transfer.to_wire();
        prop_assert_eq!(wire.as_bytes(), expected.as_bytes());
        transfer.read.rewind();
        prop_assert_eq!(transfer.to_wire().read_consumed, 0);
    }

    #[test]
    fn only_the_handle_of_a_reference_may_be_set(
        handle in any::<u32>(),
        field in 1..6_usize,
        value in 1..=u32::MAX,
    ) {
        let mut words = [handle, 0, 0, 0, 0, 0];
        let received: Untrusted<NodeInfoForRef> = receive(&words);
        prop_assert_eq!(received.validate(), Ok(Handle(handle)));
        words[field] = value;
        let received: Untrusted<NodeInfoForRef> = receive(&words);
        prop_assert_eq!(received.validate(), Err(NotZero));
        // Nor do two of them cancel each other out.
        for other in 1..6 {
            let mut words = words;
            words[other] = value;
            let received: Untrusted<NodeInfoForRef> = receive(&words);
            prop_assert_eq!(received.validate(), Err(NotZero));
        }
    }

    #[test]
    fn any_number_but_zero_freezes(pid in any::<u32>(), enable in any::<u32>(), ms in any::<u32>()) {
        for enable in [enable, 0, 1] {
            let received: Untrusted<FreezeInfo> = receive(&[pid, enable, ms]);
            let Ok(freeze) = received.validate();
            let expected = Freeze { pid, enable: enable != 0, timeout_ms: ms };
            prop_assert_eq!(freeze, expected);
        }
    }

    #[test]
    fn the_node_of_a_context_manager_has_any_type(
        kind in any::<u32>(),
        flags in any::<u32>(),
        binder in any::<u64>(),
        cookie in any::<u64>(),
    ) {
        let sent = protocol::FlatObject {
            hdr: protocol::ObjectHeader { kind },
            flags,
            binder,
            cookie,
        };
        let received: Untrusted<FlatObject> = receive(&sent);
        let node = received.validate_with(FlatObject::as_node);
        prop_assert_eq!(node.name.ptr, binder);
        prop_assert_eq!(node.name.cookie, cookie);
        prop_assert_eq!(node.flags.bits(), flags);
    }
}

#[test]
fn what_could_not_be_copied_is_not_there() {
    let received = Untrusted::<FreezeInfo>::fill(|bytes| {
        assert!(bytes.iter().all(|&byte| byte == 0), "stack showed through");
        Err("fault")
    });
    assert_eq!(received.err(), Some("fault"));
}

#[test]
fn borrowing_needs_all_bytes_at_any_alignment() {
    let bytes: Vec<u8> = (0..64).collect();
    for start in 0..4 {
        let (info, rest) =
            Untrusted::<FreezeInfo>::borrow_from(&bytes[start..start + 20]).expect("enough bytes");
        let pid = info.validate_with(|info| info.pid);
        let first = start as u8;
        assert_eq!(pid.to_ne_bytes(), [first, first + 1, first + 2, first + 3]);
        assert_eq!(rest.len(), 20 - size_of::<FreezeInfo>());
        assert!(Untrusted::<FreezeInfo>::borrow_from(&bytes[start..start + 11]).is_none());
    }
}
