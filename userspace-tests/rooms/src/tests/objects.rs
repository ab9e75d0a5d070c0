// SPDX-License-Identifier: GPL-2.0

//! Finding objects in data, and what becomes of them.

use crate::abi::name::{Handle, NodeName};
use crate::abi::object::{Object, ObjectError, Strength, MAX_OBJECT};
use crate::abi::object_reader::{DataRange, ObjectReader};
use binder_abi as protocol;
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

/// What user space is told in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errno {
    Fault,
    Invalid,
}

/// The rules as the protocol has them, one object at a time: where it ends, or what is wrong.
fn rules(data: &[u8], offset: u64, previous_end: usize) -> Result<usize, Errno> {
    let len = data.len() as u64;
    // The bytes in between are copied first, and nothing can be copied from there.
    if offset < previous_end as u64 || offset > len {
        return Err(Errno::Fault);
    }
    let at = offset as usize;
    if data.len() - at < 4 || !at.is_multiple_of(4) {
        return Err(Errno::Invalid);
    }
    let kind = u32::from_ne_bytes(data[at..at + 4].try_into().expect("4 bytes"));
    let size = match kind {
        protocol::BINDER_TYPE_BINDER
        | protocol::BINDER_TYPE_WEAK_BINDER
        | protocol::BINDER_TYPE_HANDLE
        | protocol::BINDER_TYPE_WEAK_HANDLE
        | protocol::BINDER_TYPE_FD => 24,
        protocol::BINDER_TYPE_FDA => 32,
        protocol::BINDER_TYPE_PTR => 40,
        _ => return Err(Errno::Invalid),
    };
    if at + size > data.len() {
        return Err(Errno::Invalid);
    }
    Ok(at + size)
}

/// One step of the driver: also says which bytes were to be copied as they are.
fn step(
    reader: &mut ObjectReader,
    data: &[u8],
    offset: u64,
) -> Result<(DataRange, Object), ObjectError> {
    let (before, at) = reader.seek(offset)?;
    let window = reader.window(at)?;
    assert!((4..=MAX_OBJECT).contains(&window.len));
    let bytes = &data[window.start..window.start + window.len];
    Ok((before, reader.parse(at, bytes)?))
}

fn kind() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![
        protocol::BINDER_TYPE_BINDER,
        protocol::BINDER_TYPE_WEAK_BINDER,
        protocol::BINDER_TYPE_HANDLE,
        protocol::BINDER_TYPE_WEAK_HANDLE,
        protocol::BINDER_TYPE_FD,
        protocol::BINDER_TYPE_FDA,
        protocol::BINDER_TYPE_PTR,
    ])
}

prop_compose! {
    /// Data with types strewn over it, mostly where they count.
    fn strewn()(
        mut data in prop::collection::vec(any::<u8>(), 0..400),
        kinds in prop::collection::vec((kind(), any::<prop::sample::Index>(), any::<bool>()), 0..12),
    ) -> Vec<u8> {
        for (kind, place, aligned) in kinds {
            let mut place = place.index(data.len().max(1));
            if aligned {
                place &= !3;
            }
            if let Some(bytes) = data.get_mut(place..place + 4) {
                bytes.copy_from_slice(&kind.to_ne_bytes());
            }
        }
        data
    }
}

proptest! {
    #[test]
    fn objects_are_found_or_refused_by_the_rules(
        data in strewn(),
        offsets in prop::collection::vec(
            prop_oneof![8 => 0..420_u64, 4 => (0..110_u64).prop_map(|n| n * 4), 1 => any::<u64>()],
            0..12,
        ),
        sort in any::<bool>(),
    ) {
        let mut offsets = offsets;
        if sort {
            offsets.sort();
        }
        let mut reader = ObjectReader::new(data.len());
        let mut end = 0;
        for offset in offsets {
            let expected = rules(&data, offset, end);
            match step(&mut reader, &data, offset) {
                Ok((before, object)) => {
                    // Gap, object and what follows cover the data without holes.
                    prop_assert_eq!(before.start, end);
                    prop_assert_eq!(before.start + before.len, offset as usize);
                    end = offset as usize + object.size();
                    prop_assert_eq!(Ok(end), expected);
                }
                Err(error) => {
                    let errno = if error.is_fault() { Errno::Fault } else { Errno::Invalid };
                    prop_assert_eq!(Err(errno), expected);
                }
            }
            let tail = reader.tail();
            prop_assert_eq!((tail.start, tail.start + tail.len), (end, data.len()));
        }
    }

    #[test]
    fn parsing_never_looks_behind_the_end(
        kind in prop_oneof![kind(), any::<u32>()],
        payload in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend(payload);
        match Object::parse(&bytes) {
            Ok(object) => prop_assert!(object.size() <= bytes.len()),
            Err(ObjectError::UnknownType(found)) => prop_assert_eq!(found, kind),
            Err(error) => prop_assert_eq!(error, ObjectError::Truncated),
        }
    }

    #[test]
    fn nodes_become_handles(
        weak in any::<bool>(),
        flags in any::<u32>(),
        ptr in any::<u64>(),
        cookie in any::<u64>(),
        handle in any::<u32>(),
    ) {
        let (from, to) = match weak {
            true => (protocol::BINDER_TYPE_WEAK_BINDER, protocol::BINDER_TYPE_WEAK_HANDLE),
            false => (protocol::BINDER_TYPE_BINDER, protocol::BINDER_TYPE_HANDLE),
        };
        let sent = flat(from, flags, ptr, cookie);
        let Ok(Object::Node(node)) = Object::parse(sent.as_bytes()) else {
            panic!("not a node");
        };
        prop_assert_eq!(node.strength == Strength::Weak, weak);
        prop_assert_eq!(node.name, NodeName { ptr, cookie });
        prop_assert_eq!(u32::from(node.flags.min_priority()), flags & protocol::FLAT_BINDER_FLAG_PRIORITY_MASK);
        prop_assert_eq!(node.flags.accepts_fds(), flags & protocol::FLAT_BINDER_FLAG_ACCEPTS_FDS != 0);
        prop_assert_eq!(
            node.flags.wants_security_context(),
            flags & protocol::FLAT_BINDER_FLAG_TXN_SECURITY_CTX != 0
        );
        let policy = flags & protocol::FLAT_BINDER_FLAG_SCHED_POLICY_MASK;
        prop_assert_eq!(
            u32::from(node.flags.policy()) << protocol::FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT,
            policy
        );
        let inherits = flags & protocol::FLAT_BINDER_FLAG_INHERIT_RT != 0;
        prop_assert_eq!(node.flags.inherits_real_time(), inherits);
        prop_assert_eq!(node.flags.is_plain(), policy == 0 && !inherits);
        let received = node.to_handle(Handle(handle));
        let expected = flat(to, flags, u64::from(handle), 0);
        prop_assert_eq!(received.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn handles_become_handles_or_nodes(
        weak in any::<bool>(),
        flags in any::<u32>(),
        word in any::<u64>(),
        cookie in any::<u64>(),
        handle in any::<u32>(),
        name in any::<(u64, u64)>(),
    ) {
        let (same, node) = match weak {
            true => (protocol::BINDER_TYPE_WEAK_HANDLE, protocol::BINDER_TYPE_WEAK_BINDER),
            false => (protocol::BINDER_TYPE_HANDLE, protocol::BINDER_TYPE_BINDER),
        };
        let sent = flat(same, flags, word, cookie);
        let Ok(Object::Handle(object)) = Object::parse(sent.as_bytes()) else {
            panic!("not a handle");
        };
        prop_assert_eq!(object.strength == Strength::Weak, weak);
        prop_assert_eq!(object.handle, Handle(sent.handle()));
        // What the sender left in the unused half and in the cookie goes nowhere.
        let expected = flat(same, flags, u64::from(handle), 0);
        let received = object.to_handle(Handle(handle));
        prop_assert_eq!(received.as_bytes(), expected.as_bytes());
        let expected = flat(node, flags, name.0, name.1);
        let name = NodeName { ptr: name.0, cookie: name.1 };
        let received = object.to_node(name);
        prop_assert_eq!(received.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn files_lose_their_number(words in any::<[u32; 6]>()) {
        let mut sent: protocol::FdObject = zerocopy::transmute!(words);
        sent.hdr.kind = protocol::BINDER_TYPE_FD;
        let Ok(Object::File(file)) = Object::parse(sent.as_bytes()) else {
            panic!("not a file");
        };
        prop_assert_eq!(file.fd, sent.fd);
        let at = crate::abi::object::FileObject::FD_OFFSET;
        prop_assert_eq!(&sent.as_bytes()[at..at + 4], &sent.fd.to_ne_bytes());
        let expected = protocol::FdObject { fd: 0, pad_binder_high: 0, ..sent };
        let received = file.to_blank();
        prop_assert_eq!(received.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn buffers_move(words in any::<[u64; 5]>(), address in any::<u64>()) {
        let mut sent: protocol::BufferObject = zerocopy::transmute!(words);
        sent.hdr.kind = protocol::BINDER_TYPE_PTR;
        let Ok(Object::Pointer(pointer)) = Object::parse(sent.as_bytes()) else {
            panic!("not a buffer");
        };
        prop_assert_eq!((pointer.buffer, pointer.length), (sent.buffer, sent.length));
        prop_assert_eq!((pointer.parent, pointer.parent_offset), (sent.parent, sent.parent_offset));
        prop_assert_eq!(
            pointer.has_parent(),
            sent.flags & protocol::BINDER_BUFFER_FLAG_HAS_PARENT != 0
        );
        let expected = protocol::BufferObject { buffer: address, ..sent };
        let received = pointer.to_address(address);
        prop_assert_eq!(received.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn lists_of_files_stay_as_they_are(words in any::<[u64; 4]>()) {
        let mut sent: protocol::FdArrayObject = zerocopy::transmute!(words);
        sent.hdr.kind = protocol::BINDER_TYPE_FDA;
        let Ok(Object::FileArray(array)) = Object::parse(sent.as_bytes()) else {
            panic!("not a list of files");
        };
        prop_assert_eq!(array.num_fds, sent.num_fds);
        prop_assert_eq!((array.parent, array.parent_offset), (sent.parent, sent.parent_offset));
        let received = array.to_wire();
        prop_assert_eq!(received.as_bytes(), sent.as_bytes());
    }
}

fn flat(kind: u32, flags: u32, binder: u64, cookie: u64) -> protocol::FlatObject {
    protocol::FlatObject {
        hdr: protocol::ObjectHeader::read_from_bytes(kind.as_bytes()).expect("4 bytes"),
        flags,
        binder,
        cookie,
    }
}

#[test]
fn an_object_may_end_with_the_data_and_start_with_the_end_of_another() {
    let object = flat(protocol::BINDER_TYPE_HANDLE, 0, 1, 0);
    let mut data = object.as_bytes().to_vec();
    data.extend(object.as_bytes());
    let mut reader = ObjectReader::new(data.len());
    assert!(step(&mut reader, &data, 0).is_ok());
    assert_eq!(
        step(&mut reader, &data, 20).err(),
        Some(ObjectError::Overlap)
    );
    assert!(step(&mut reader, &data, 24).is_ok());
    assert_eq!(reader.tail().len, 0);
    // At the very end there is nothing to copy and nothing to read.
    assert_eq!(
        step(&mut reader, &data, 48).err(),
        Some(ObjectError::Truncated)
    );
    assert_eq!(
        step(&mut reader, &data, 49).err(),
        Some(ObjectError::BeyondData)
    );
}

#[test]
fn a_type_is_looked_at_if_it_is_there_whole() {
    let reader = ObjectReader::new(100);
    for (offset, expected) in [
        (92, Ok(8)),
        (96, Ok(4)),
        (97, Err(ObjectError::Truncated)),
        (100, Err(ObjectError::Truncated)),
        (94, Err(ObjectError::Misaligned)),
    ] {
        let (_, at) = reader.seek(offset).expect("within the data");
        assert_eq!(reader.window(at).map(|window| window.len), expected);
    }
}
