// SPDX-License-Identifier: GPL-2.0

//! The rules, one by one.

use super::{
    FileNumbers,
    Piece,
    Scatter,
    ScatterError,
    Standing, //
};
use crate::abi::object::{
    FileArrayObject,
    PointerObject, //
};

/// Announces objects one after the other.
struct Message {
    scatter: Scatter,
    index: u32,
}

impl Message {
    fn new(room: u32) -> Self {
        Self {
            scatter: Scatter::new(room, 64),
            index: 0,
        }
    }

    fn standing(&mut self) -> Standing {
        let index = self.index;
        self.index += 1;
        // The data starts with something else.
        let offset = 8 + index as usize * 40;
        Standing { index, offset }
    }

    /// A buffer at an address that tells its index.
    fn buffer(&mut self, length: u64, parent: Option<(u64, u64)>) -> Result<u32, ScatterError> {
        let standing = self.standing();
        let (parent, parent_offset) = parent.unwrap_or((99, 99));
        self.scatter.pointer(
            standing,
            &PointerObject {
                flags: u32::from(parent != 99),
                buffer: u64::from(standing.index + 1) << 16,
                length,
                parent,
                parent_offset,
            },
        )
    }

    fn files(
        &mut self,
        num_fds: u64,
        (parent, parent_offset): (u64, u64),
    ) -> Result<Option<FileNumbers>, ScatterError> {
        self.standing();
        self.scatter.files(&FileArrayObject {
            pad: 0,
            num_fds,
            parent,
            parent_offset,
        })
    }

    fn pieces(&self) -> Result<std::vec::Vec<Piece>, ScatterError> {
        let mut pieces = std::vec::Vec::new();
        self.scatter.copy(|piece| {
            pieces.push(piece);
            Ok::<(), ScatterError>(())
        })?;
        Ok(pieces)
    }
}

#[test]
fn buffers_follow_one_another_at_multiples_of_eight() {
    let mut message = Message::new(32);
    assert_eq!(message.buffer(3, None), Ok(0));
    assert_eq!(message.buffer(0, None), Ok(8));
    assert_eq!(message.buffer(8, None), Ok(8));
    assert_eq!(message.buffer(17, None), Err(ScatterError::NoRoom));
    assert_eq!(message.buffer(16, None), Ok(16));
    assert_eq!(message.buffer(0, None), Ok(32));
    assert_eq!(message.buffer(1, None), Err(ScatterError::NoRoom));
    assert_eq!(message.buffer(1 << 32, None), Err(ScatterError::NoRoom));
    assert_eq!(
        message.pieces().unwrap(),
        [(0, 1, 3), (8, 3, 8), (16, 5, 16)].map(|(start, object, len)| Piece::Bytes {
            start,
            source: object << 16,
            len,
        })
    );
}

#[test]
fn what_is_fixed_up_is_not_copied() {
    let mut message = Message::new(1024);
    assert_eq!(message.buffer(40, None), Ok(0));
    assert_eq!(message.buffer(16, Some((0, 4))), Ok(40));
    assert_eq!(message.buffer(8, Some((1, 8))), Ok(56));
    let numbers = FileNumbers {
        source: (1 << 16) + 12,
        start: 12,
        count: 2,
    };
    assert_eq!(message.files(2, (0, 12)), Ok(Some(numbers)));
    assert_eq!(message.buffer(4, Some((0, 32))), Ok(64));
    let bytes = |start, object: u64, at: u64, len| Piece::Bytes {
        start,
        source: (object << 16) + at,
        len,
    };
    let address = |start, target| Piece::Address { start, target };
    assert_eq!(
        message.pieces().unwrap(),
        [
            bytes(0, 1, 0, 4),
            address(4, 40),
            // Behind the address lie the two numbers.
            bytes(20, 1, 20, 12),
            address(32, 64),
            bytes(40, 2, 0, 8),
            address(48, 56),
            bytes(56, 3, 0, 8),
            bytes(64, 5, 0, 4),
        ]
    );
}

#[test]
fn a_buffer_that_was_left_is_closed() {
    let mut message = Message::new(1024);
    assert!(message.buffer(64, None).is_ok()); // A
    assert!(message.buffer(64, Some((0, 0))).is_ok()); // B in A
    assert!(message.buffer(64, Some((0, 8))).is_ok()); // C in A: B is left
    let left = Err(ScatterError::NotOpen);
    assert_eq!(message.buffer(8, Some((1, 0))), left);
    assert!(message.buffer(64, Some((2, 0))).is_ok()); // D in C
    assert!(message.buffer(8, Some((0, 16))).is_ok()); // E in A: C and D are left
    assert_eq!(message.buffer(8, Some((2, 8))), left);
    assert!(message.buffer(8, None).is_ok()); // another root: A is left too
    assert_eq!(message.buffer(8, Some((0, 24))), left);
}

#[test]
fn parents_are_buffers_that_came_before() {
    let mut message = Message::new(1024);
    let none = Err(ScatterError::NotOpen);
    assert_eq!(message.buffer(8, Some((0, 0))), none); // itself
    let mut message = Message::new(1024);
    assert_eq!(message.files(0, (0, 0)), Err(ScatterError::NotOpen));
    assert!(message.buffer(64, None).is_ok()); // object 1
    assert_eq!(message.buffer(8, Some((0, 0))), none); // no buffer
    assert_eq!(message.buffer(8, Some((4, 0))), none); // to come
    assert_eq!(message.buffer(8, Some((1 << 32 | 1, 0))), none);
    assert_eq!(message.buffer(8, Some((u64::MAX, 0))), none);
    assert!(message.buffer(8, Some((1, 0))).is_ok());
}

#[test]
fn fix_ups_in_a_buffer_come_in_order() {
    let mut message = Message::new(1024);
    assert!(message.buffer(64, None).is_ok());
    assert!(message.buffer(8, Some((0, 8))).is_ok());
    let disorder = ScatterError::OutOfOrder;
    assert_eq!(message.buffer(8, Some((0, 12))), Err(disorder));
    assert_eq!(message.files(1, (0, 0)), Err(disorder));
    assert!(message.files(3, (0, 16)).is_ok());
    assert_eq!(message.files(0, (0, 24)), Err(disorder));
    assert!(message.buffer(8, Some((0, 28))).is_ok());
    assert!(message.buffer(8, Some((0, 36))).is_ok());
}

#[test]
fn a_parent_has_room() {
    let mut message = Message::new(1024);
    assert!(message.buffer(20, None).is_ok());
    let beyond = ScatterError::BeyondParent;
    assert_eq!(message.buffer(8, Some((0, 13))), Err(beyond));
    assert_eq!(message.buffer(8, Some((0, u64::MAX))), Err(beyond));
    assert_eq!(message.files(2, (0, 16)), Err(beyond));
    assert_eq!(message.files(6, (0, 0)), Err(beyond));
    // Four of them are more bytes than can be counted.
    assert_eq!(message.files(1 << 62, (0, 0)), Err(beyond));
    assert_eq!(message.files((1 << 62) + 1, (0, 0)), Err(beyond));
    assert!(message.files(2, (0, 4)).is_ok());
    assert!(message.buffer(7, Some((0, 12))).is_ok());
    // That buffer, which is object 8, has seven bytes.
    assert_eq!(message.buffer(8, Some((8, 0))), Err(beyond));
}

#[test]
fn an_empty_list_lies_anywhere_and_moves_the_order() {
    let mut message = Message::new(1024);
    assert!(message.buffer(16, None).is_ok());
    assert_eq!(message.files(0, (0, 4)), Ok(None));
    assert_eq!(
        message.buffer(8, Some((0, 0))),
        Err(ScatterError::OutOfOrder)
    );
    assert_eq!(message.files(0, (0, 3_000_000_001)), Ok(None));
    assert_eq!(message.files(0, (0, u64::MAX)), Ok(None));
    assert_eq!(
        message.buffer(8, Some((0, 8))),
        Err(ScatterError::OutOfOrder)
    );
    assert_eq!(message.pieces().unwrap().len(), 1);
}

#[test]
fn numbers_lie_at_multiples_of_four_on_both_sides() {
    let mut message = Message::new(1024);
    assert!(message.buffer(16, None).is_ok());
    assert_eq!(message.files(1, (0, 2)), Err(ScatterError::Misaligned));
    let mut scatter = Scatter::new(1024, 64);
    let pointer = PointerObject {
        flags: 0,
        buffer: 0x1002,
        length: 16,
        parent: 0,
        parent_offset: 0,
    };
    let standing = Standing {
        index: 0,
        offset: 8,
    };
    assert_eq!(scatter.pointer(standing, &pointer), Ok(0));
    for parent_offset in [0, 2, 4] {
        let array = FileArrayObject {
            pad: 0,
            num_fds: 1,
            parent: 0,
            parent_offset,
        };
        assert_eq!(scatter.files(&array), Err(ScatterError::Misaligned));
    }
}

#[test]
fn an_address_at_an_odd_place_is_found_when_copying() {
    let mut message = Message::new(1024);
    assert!(message.buffer(16, None).is_ok());
    assert!(message.buffer(8, Some((0, 2))).is_ok());
    assert_eq!(message.pieces(), Err(ScatterError::Misaligned));
}

#[test]
fn nothing_points_into_what_the_data_starts_with() {
    let mut scatter = Scatter::new(1024, 64);
    let mut pointer = PointerObject {
        flags: 0,
        buffer: 0,
        length: 16,
        parent: 0,
        parent_offset: 0,
    };
    let mut standing = Standing {
        index: 0,
        offset: 0,
    };
    assert_eq!(scatter.pointer(standing, &pointer), Ok(0));
    pointer.flags = 1;
    standing = Standing {
        index: 1,
        offset: 40,
    };
    let closed = Err(ScatterError::NotOpen);
    assert_eq!(scatter.pointer(standing, &pointer), closed);
}

#[test]
fn memory_may_run_out() {
    use crate::mem::with_budget;

    let mut message = Message::new(1024);
    let none = Err(ScatterError::NoMemory);
    assert_eq!(with_budget(0, || message.buffer(8, None)), none);
    assert!(with_budget(1, || message.buffer(8, None)).is_ok());
    assert_eq!(with_budget(0, || message.buffer(8, Some((1, 0)))), none);
    assert_eq!(
        with_budget(0, || message.files(1, (1, 0))),
        Err(ScatterError::NoMemory)
    );
    assert!(with_budget(1, || message.buffer(8, Some((1, 0)))).is_ok());
}
