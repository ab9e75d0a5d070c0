// SPDX-License-Identifier: GPL-2.0

//! Buffers of messages, beside a receiver's memory that is filled by the letter of the protocol.

use crate::abi::object::{FileArrayObject, PointerObject};
use crate::object::scatter::{FileNumbers, Piece, Scatter, ScatterError, Standing};
use proptest::prelude::*;

/// An object of a message.
#[derive(Clone, Copy, Debug)]
enum Object {
    /// Neither a buffer nor a list of files.
    Other,
    Pointer(PointerObject),
    Files(FileArrayObject),
}

/// Nothing was written there.
const UNTOUCHED: u16 = 0x100;
/// The number of a file comes there.
const NUMBER: u16 = 0x101;

/// What the sender has at an address.
fn sent(address: u64) -> u16 {
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u16
}

/// The address of an address, byte by byte.
fn address(target: u64) -> [u16; 8] {
    (0xAD00_0000 + target).to_ne_bytes().map(u16::from)
}

/// What there is to put in place of the sender's bytes.
#[derive(Clone, Debug)]
struct Patch {
    at: u64,
    bytes: Vec<u16>,
}

/// The protocol without any structure of its own: it looks at the objects from the start, again and
/// again, as one would who has nothing but the message.
#[derive(Default)]
struct Model {
    /// All objects so far, with their offset in the data and, of buffers, their place in the room.
    objects: Vec<(Object, usize, u64)>,
    used: u64,
    /// The object with the last fix-up, by its offset in the data, and where the next may start.
    last: (usize, u64),
    patches: Vec<Patch>,
}

impl Model {
    /// The buffer that is announced by the object at `index`.
    fn buffer(&self, index: u64) -> Option<(PointerObject, usize, u64)> {
        match *self.objects.get(usize::try_from(index).ok()?)? {
            (Object::Pointer(pointer), offset, place) => Some((pointer, offset, place)),
            _ => None,
        }
    }

    /// Whether a fix-up in the buffer that is announced at `target` is in order.
    fn in_order(&self, target: usize, fixup: u64) -> bool {
        let (mut last, mut from) = self.last;
        if last == 0 {
            return false;
        }
        while last != target {
            let object = self.objects.iter().find(|object| object.1 == last);
            let Some((Object::Pointer(pointer), ..)) = object else {
                return false;
            };
            if !pointer.has_parent() {
                return false;
            }
            from = pointer.parent_offset + 8;
            last = self.objects[pointer.parent as usize].1;
        }
        fixup >= from
    }

    fn pointer(&mut self, pointer: PointerObject, offset: usize, room: u64) -> Option<u64> {
        if pointer.length > room - self.used {
            return None;
        }
        let start = self.used;
        if pointer.has_parent() {
            let (parent, parent_at, place) = self.buffer(pointer.parent)?;
            if !self.in_order(parent_at, pointer.parent_offset) {
                return None;
            }
            if parent.length < 8 || pointer.parent_offset > parent.length - 8 {
                return None;
            }
            self.patches.push(Patch {
                at: place + pointer.parent_offset,
                bytes: address(start).to_vec(),
            });
        }
        self.used += pointer.length.next_multiple_of(8);
        self.last = (offset, 0);
        Some(start)
    }

    fn files(&mut self, array: FileArrayObject) -> Option<Option<FileNumbers>> {
        let (parent, parent_at, place) = self.buffer(array.parent)?;
        if !self.in_order(parent_at, array.parent_offset) {
            return None;
        }
        let mut numbers = None;
        if array.num_fds > 0 {
            let len = u128::from(array.num_fds) * 4;
            if u128::from(array.parent_offset) + len > u128::from(parent.length) {
                return None;
            }
            let source = parent.buffer.wrapping_add(array.parent_offset);
            let at = place + array.parent_offset;
            if !at.is_multiple_of(4) || !source.is_multiple_of(4) {
                return None;
            }
            self.patches.push(Patch {
                at,
                bytes: vec![NUMBER; len as usize],
            });
            numbers = Some(FileNumbers {
                source,
                start: at as u32,
                count: array.num_fds as u32,
            });
        }
        self.last = (parent_at, array.parent_offset + 4 * array.num_fds);
        Some(numbers)
    }

    /// Fills the room: the bytes of the sender, and over them the patches.
    fn copy(&self, room: usize) -> Option<Vec<u16>> {
        let mut memory = vec![UNTOUCHED; room];
        for (object, _, place) in &self.objects {
            if let Object::Pointer(pointer) = object {
                for at in 0..pointer.length {
                    memory[(place + at) as usize] = sent(pointer.buffer.wrapping_add(at));
                }
            }
        }
        for patch in &self.patches {
            if !patch.at.is_multiple_of(4) {
                return None;
            }
            let at = patch.at as usize;
            memory[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
        }
        Some(memory)
    }
}

/// Fills the room with the pieces that the driver copies. None is written twice.
fn copy(scatter: &Scatter, numbers: &[FileNumbers], room: usize) -> Result<Vec<u16>, ScatterError> {
    let mut memory = vec![UNTOUCHED; room];
    let mut put = |at: usize, bytes: &[u16]| {
        let place = &mut memory[at..at + bytes.len()];
        assert!(
            place.iter().all(|byte| *byte == UNTOUCHED),
            "what is copied once is not overwritten"
        );
        place.copy_from_slice(bytes);
    };
    let mut end = 0;
    scatter.copy(|piece| {
        let (start, len) = match piece {
            Piece::Bytes { start, source, len } => {
                assert_ne!(len, 0);
                let bytes: Vec<u16> = (0..u64::from(len))
                    .map(|at| sent(source.wrapping_add(at)))
                    .collect();
                put(start as usize, &bytes);
                (start, len)
            }
            Piece::Address { start, target } => {
                put(start as usize, &address(target.into()));
                (start, 8)
            }
        };
        assert!(start >= end, "the pieces come in the order of their places");
        end = start + len;
        Ok::<(), ScatterError>(())
    })?;
    for numbers in numbers {
        let bytes = vec![NUMBER; numbers.count as usize * 4];
        put(numbers.start as usize, &bytes);
    }
    Ok(memory)
}

/// An object whose parent and place are likely to be right.
#[derive(Clone, Debug)]
struct Sketch {
    kind: u8,
    buffer: u64,
    length: u64,
    /// How far back the parent is, and which wrong one it is otherwise.
    parent: Option<usize>,
    stray: u64,
    /// Bytes from the last fix-up in the parent to this one, or any place.
    gap: Result<u64, u64>,
    count: u64,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let length = prop_oneof![4 => 16..80_u64, 1 => 0..16_u64, 1 => any::<u64>()];
    let gap = prop_oneof![
        6 => (0..3_u64).prop_map(|words| Ok(words * 4)),
        2 => (0..12_u64).prop_map(Err),
        1 => any::<u64>().prop_map(Err),
        1 => (0..6_u64).prop_map(Ok),
    ];
    let count = prop_oneof![6 => 1..4_u64, 1 => Just(0), 1 => any::<u64>(), 1 => Just(1 << 62)];
    (
        0..9_u8,
        prop_oneof![4 => any::<u32>().prop_map(|word| u64::from(word) * 4), 1 => any::<u64>()],
        length,
        prop::option::weighted(0.9, 1..4_usize),
        prop_oneof![0..12_u64, any::<u64>()],
        gap,
        count,
    )
        .prop_map(|(kind, buffer, length, parent, stray, gap, count)| Sketch {
            kind,
            buffer,
            length,
            parent,
            stray,
            gap,
            count,
        })
}

impl Sketch {
    /// Draws the object with regard to those before it.
    fn draw(&self, model: &Model) -> Object {
        // Parents are picked from the last object and what it lies in, mostly.
        let mut open: Vec<(u64, u64)> = Vec::new();
        let (mut last, mut from) = model.last;
        while let Some(index) = model.objects.iter().position(|object| object.1 == last) {
            open.push((index as u64, from));
            let Object::Pointer(pointer) = model.objects[index].0 else {
                break;
            };
            if !pointer.has_parent() {
                break;
            }
            (last, from) = (
                model.objects[pointer.parent as usize].1,
                pointer.parent_offset + 8,
            );
        }
        let (parent, from) = match self.parent {
            Some(back) if !open.is_empty() => open[(back - 1) % open.len()],
            _ => (self.stray, 0),
        };
        let parent_offset = match self.gap {
            Ok(gap) => from.wrapping_add(gap),
            Err(place) => place,
        };
        match self.kind {
            0 => Object::Other,
            1 | 2 => Object::Files(FileArrayObject {
                pad: 0,
                num_fds: self.count,
                parent,
                parent_offset,
            }),
            kind => Object::Pointer(PointerObject {
                flags: u32::from(kind > 3),
                buffer: self.buffer,
                length: self.length,
                parent,
                parent_offset,
            }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// What was refused is left out here, where in the driver it ends the message, so that what
    /// comes after it is tried too.
    #[test]
    fn buffers_arrive_as_the_protocol_says(
        sketches in prop::collection::vec(sketch(), 1..24),
        room in (0..80_u32).prop_map(|words| words * 8),
        first in prop_oneof![3 => Just(8_usize), 1 => Just(0)],
    ) {
        let mut model = Model::default();
        let mut scatter = Scatter::new(room, sketches.len());
        let mut numbers = Vec::new();
        let mut offset = first;
        for sketch in sketches {
            let object = sketch.draw(&model);
            let standing = Standing { index: model.objects.len() as u32, offset };
            match object {
                Object::Other => model.objects.push((object, offset, 0)),
                Object::Pointer(pointer) => {
                    let expected = model.pointer(pointer, offset, room.into());
                    let placed = scatter.pointer(standing, &pointer);
                    prop_assert_eq!(placed.ok().map(u64::from), expected, "{:?}", placed);
                    if let Some(place) = expected {
                        model.objects.push((object, offset, place));
                    }
                }
                Object::Files(array) => {
                    let expected = model.files(array);
                    let found = scatter.files(&array);
                    prop_assert_eq!(found.ok(), expected, "{:?}", found);
                    if let Some(found) = expected {
                        model.objects.push((object, offset, 0));
                        numbers.extend(found);
                    }
                }
            }
            offset += 40;
        }
        let copied = copy(&scatter, &numbers, room as usize);
        prop_assert_eq!(copied.clone().ok(), model.copy(room as usize), "{:?}", copied);
    }
}

/// Looking for parents costs no more than there are objects, however deep they are nested.
#[test]
fn a_hundred_thousand_buffers_take_no_time() {
    const DEPTH: u32 = 50_000;
    let mut scatter = Scatter::new(4 << 20, 2 * DEPTH as usize);
    let mut buffer = |index: u32, length, parent: Option<(u32, u64)>| {
        let (parent, parent_offset) = parent.unwrap_or_default();
        let pointer = PointerObject {
            flags: u32::from(index != 0),
            buffer: 0,
            length,
            parent: parent.into(),
            parent_offset,
        };
        let standing = Standing {
            index,
            offset: 8 + index as usize,
        };
        scatter.pointer(standing, &pointer).expect("in order")
    };
    // A chain, and then children of its root: the first of them comes all the way up.
    buffer(0, 1 << 20, None);
    for index in 1..DEPTH {
        buffer(index, 8, Some((index - 1, 0)));
    }
    for index in DEPTH..2 * DEPTH {
        buffer(index, 8, Some((0, u64::from(index - DEPTH + 1) * 8)));
    }
    let mut pieces = 0;
    scatter
        .copy(|_| {
            pieces += 1;
            Ok::<(), ScatterError>(())
        })
        .expect("all is aligned");
    // An address for each but the root, the rest of the root, the last of the chain, and the
    // other children.
    assert_eq!(pieces, 2 * DEPTH - 1 + 1 + 1 + DEPTH);
}
