// SPDX-License-Identifier: GPL-2.0

//! Putting returns together.

use crate::abi::ioctl::{Span, WriteRead};
use crate::abi::name::{Cookie, NodeName};
use crate::abi::returns::{self, Full, ReturnBuffer, MAX_ITEM};
use crate::abi::transaction::{TransactionData, TransactionDataSecctx};
use crate::abi::untrusted::Untrusted;
use binder_abi as protocol;
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

/// Where the user's buffer is.
const BASE: usize = 0x7000_0000;

/// The read half of a request.
fn span(size: usize, consumed: usize) -> Span {
    span_at(BASE, size, consumed)
}

/// The same, elsewhere.
fn span_at(base: usize, size: usize, consumed: usize) -> Span {
    Untrusted::new(WriteRead {
        write_size: 0,
        write_consumed: 0,
        write_buffer: 0,
        read_size: size as u64,
        read_consumed: consumed as u64,
        read_buffer: base as u64,
    })
    .validate()
    .expect("64 bits fit")
    .read
}

/// A return.
#[derive(Clone, Debug)]
enum Item {
    Word(u32),
    Cookie(u32, u64),
    Node(u32, u64, u64),
    Frozen(u64, bool),
    Transaction(u32, [u64; 8]),
    Secctx([u64; 9]),
}

impl Item {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Item::Word(code) => bytes.extend(code.to_ne_bytes()),
            Item::Cookie(code, cookie) => {
                bytes.extend(code.to_ne_bytes());
                bytes.extend(cookie.to_ne_bytes());
            }
            Item::Node(code, ptr, cookie) => {
                bytes.extend(code.to_ne_bytes());
                bytes.extend(ptr.to_ne_bytes());
                bytes.extend(cookie.to_ne_bytes());
            }
            Item::Frozen(cookie, is_frozen) => {
                bytes.extend(protocol::BR_FROZEN_BINDER.to_ne_bytes());
                bytes.extend(
                    protocol::FrozenStateInfo {
                        cookie: *cookie,
                        is_frozen: u32::from(*is_frozen),
                        reserved: 0,
                    }
                    .as_bytes(),
                );
            }
            Item::Transaction(code, data) => {
                bytes.extend(code.to_ne_bytes());
                bytes.extend(data.as_bytes());
            }
            Item::Secctx(data) => {
                bytes.extend(protocol::BR_TRANSACTION_SEC_CTX.to_ne_bytes());
                bytes.extend(data.as_bytes());
            }
        }
        bytes
    }

    fn add<const N: usize>(&self, out: &mut ReturnBuffer<N>) -> Result<(), Full> {
        match self {
            Item::Word(code) => out.word(*code),
            Item::Cookie(code, cookie) => out.cookie(*code, Cookie(*cookie)),
            Item::Node(code, ptr, cookie) => out.node(
                *code,
                NodeName {
                    ptr: *ptr,
                    cookie: *cookie,
                },
            ),
            Item::Frozen(cookie, is_frozen) => out.frozen(Cookie(*cookie), *is_frozen),
            Item::Transaction(code, data) => {
                *out.transaction(*code)? =
                    TransactionData::read_from_bytes(data.as_bytes()).expect("64 bytes");
                Ok(())
            }
            Item::Secctx(data) => {
                *out.transaction_secctx()? =
                    TransactionDataSecctx::read_from_bytes(data.as_bytes()).expect("72 bytes");
                Ok(())
            }
        }
    }
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        any::<u32>().prop_map(Item::Word),
        any::<(u32, u64)>().prop_map(|(code, cookie)| Item::Cookie(code, cookie)),
        any::<(u32, u64, u64)>().prop_map(|(code, ptr, cookie)| Item::Node(code, ptr, cookie)),
        any::<(u64, bool)>().prop_map(|(cookie, is_frozen)| Item::Frozen(cookie, is_frozen)),
        any::<(u32, [u64; 8])>().prop_map(|(code, data)| Item::Transaction(code, data)),
        any::<[u64; 9]>().prop_map(Item::Secctx),
    ]
}

/// Reads the way the driver does, into `user`, which lies behind what was read before; returns
/// how many items were told, and the cursor.
fn read<const N: usize>(items: &[Item], span: Span, user: &mut [u8]) -> (usize, Span) {
    let first = span.consumed();
    let mut out = ReturnBuffer::<N>::new(span);
    let mut told = 0;
    fn flush<const N: usize>(out: &mut ReturnBuffer<N>, user: &mut [u8], first: usize) {
        let at = out.position() - BASE - first;
        user[at..at + out.as_bytes().len()].copy_from_slice(out.as_bytes());
        out.flushed();
        assert!(out.is_empty());
    }
    for item in items {
        if !out.has_room() {
            break;
        }
        if out.must_flush() {
            flush(&mut out, user, first);
        }
        item.add(&mut out).expect("there was room");
        told += 1;
        let bytes: usize = items[..told].iter().map(|item| item.encode().len()).sum();
        assert_eq!(out.filled(), first + bytes);
    }
    flush(&mut out, user, first);
    (told, out.span())
}

proptest! {
    #[test]
    fn returns_arrive_in_order_and_within_the_room(
        items in prop::collection::vec(item(), 0..24),
        room in 0..1200_usize,
        consumed in prop_oneof![Just(0), 0..500_usize],
        small in any::<bool>(),
    ) {
        let mut user = vec![0; room];
        let span = span(consumed + room, consumed);
        let (told, end) = match small {
            true => read::<80>(&items, span, &mut user),
            false => read::<112>(&items, span, &mut user),
        };
        let expected: Vec<u8> = items[..told].iter().flat_map(Item::encode).collect();
        prop_assert_eq!(end.consumed(), consumed + expected.len());
        prop_assert_eq!(&user[..expected.len()], &expected[..]);
        prop_assert!(user[expected.len()..].iter().all(|&byte| byte == 0));
        // Nothing is left out for which there certainly is room.
        prop_assert!(told == items.len() || room - expected.len() < MAX_ITEM);
    }

    #[test]
    fn what_has_no_room_changes_nothing(item in item(), room in 0..MAX_ITEM, before in 0..3_usize) {
        let mut out = ReturnBuffer::<112>::new(span(room, 0));
        for _ in 0..before {
            let _ = out.word(returns::NOOP);
        }
        let filled = out.filled();
        prop_assert!(filled <= room);
        let size = item.encode().len();
        let fits = filled + size <= room;
        prop_assert_eq!(item.add(&mut out).is_ok(), fits);
        prop_assert_eq!(out.filled(), if fits { filled + size } else { filled });
    }

    #[test]
    fn the_buffer_refuses_what_it_can_not_hold(items in prop::collection::vec(item(), 1..40)) {
        // Without ever asking whether a flush is due.
        let mut out = ReturnBuffer::<96>::new(span(1 << 20, 0));
        let mut expected = Vec::new();
        for item in &items {
            let bytes = item.encode();
            let fits = expected.len() + bytes.len() <= 96;
            prop_assert_eq!(item.add(&mut out).is_ok(), fits);
            if fits {
                expected.extend(bytes);
            }
        }
        prop_assert_eq!(out.as_bytes(), &expected[..]);
    }
}

#[test]
fn the_request_for_a_thread_replaces_the_first_word_while_it_is_here() {
    let mut out = ReturnBuffer::<112>::new(span(1000, 0));
    assert!(
        !out.overwrite_first(returns::SPAWN_LOOPER),
        "nothing to replace"
    );
    out.word(returns::NOOP).expect("there was room");
    assert!(out.overwrite_first(returns::TRANSACTION_COMPLETE));
    assert_eq!(
        out.as_bytes(),
        protocol::BR_TRANSACTION_COMPLETE.to_ne_bytes()
    );
    out.word(returns::TRANSACTION_COMPLETE)
        .expect("there was room");
    assert!(out.overwrite_first(returns::SPAWN_LOOPER));
    let mut expected = protocol::BR_SPAWN_LOOPER.to_ne_bytes().to_vec();
    expected.extend(protocol::BR_TRANSACTION_COMPLETE.to_ne_bytes());
    assert_eq!(out.as_bytes(), expected);

    // Flushed, it is out of reach.
    out.flushed();
    out.word(returns::NOOP).expect("there was room");
    assert!(!out.overwrite_first(returns::SPAWN_LOOPER));

    // And so it is if an earlier read wrote it.
    let mut out = ReturnBuffer::<112>::new(span(1000, 4));
    out.word(returns::TRANSACTION_COMPLETE)
        .expect("there was room");
    assert!(!out.overwrite_first(returns::SPAWN_LOOPER));
    assert_eq!(
        out.as_bytes(),
        protocol::BR_TRANSACTION_COMPLETE.to_ne_bytes()
    );
    assert_eq!(out.span().base(), BASE);
}

#[test]
fn the_first_word_takes_four_bytes_whatever_is_in_use() {
    for (size, consumed, takes) in [
        (0, 0, false),
        (3, 0, false),
        (3, 8, false),
        (4, 0, true),
        (4, 8, true),
    ] {
        let out = ReturnBuffer::<112>::new(span(size, consumed));
        assert_eq!(out.takes_first_word(), takes, "{size} bytes");
    }
}

#[test]
fn a_flush_is_due_when_the_largest_return_may_not_fit() {
    // It does, and a word beside it.
    let mut out = ReturnBuffer::<80>::new(span(1000, 0));
    assert!(out.is_empty());
    assert!(!out.must_flush());
    assert_eq!(out.word(returns::NOOP), Ok(()));
    assert!(!out.is_empty());
    assert!(!out.must_flush());
    assert_eq!(out.word(returns::NOOP), Ok(()));
    assert!(out.must_flush());
    out.flushed();
    assert!(out.is_empty());
    assert!(!out.must_flush());
}

#[test]
fn returns_go_out_together_only_in_a_page_that_was_written_to() {
    const PAGE: usize = 4096;
    // Where the buffer lies in its page, how much of it is in use, and how many words go out
    // together until no more can be added.
    for (base, consumed, together) in [
        (0, 0, 10),
        (PAGE - 112, 0, 10),
        // The largest flush would reach the next page.
        (PAGE - 111, 0, 2),
        (PAGE - 1, 0, 2),
        // Nothing says that this page is there.
        (0, 8, 1),
    ] {
        let mut out = ReturnBuffer::<112>::new(span_at(BASE + base, 1000, consumed));
        for _ in 0..together {
            assert!(!out.must_flush(), "{base} {consumed}");
            out.word(returns::NOOP).expect("there was room");
        }
        assert!(out.must_flush(), "{base} {consumed}");
    }
    // The largest flush would end in the next page, just as far into it as it starts.
    let mut out = ReturnBuffer::<{ PAGE + 1 }>::new(span_at(BASE, 2 * PAGE, 0));
    for _ in 0..2 {
        assert!(!out.must_flush());
        out.word(returns::NOOP).expect("there was room");
    }
    assert!(out.must_flush());
    // Behind a flush it is known that the page of the last byte is there.
    for (flushed, together) in [
        (4, 10),
        (PAGE - 116, 10),
        (PAGE - 112, 10),
        (PAGE - 108, 1),
        (PAGE - 4, 1),
        (PAGE, 1),
        (PAGE + 4, 10),
    ] {
        let mut out = ReturnBuffer::<112>::new(span_at(BASE, 2 * PAGE, flushed - 4));
        out.word(returns::NOOP).expect("there was room");
        out.flushed();
        for _ in 0..together {
            assert!(!out.must_flush(), "{flushed}");
            out.word(returns::NOOP).expect("there was room");
        }
        assert!(out.must_flush(), "{flushed}");
    }
}

#[test]
fn a_cursor_behind_the_end_leaves_no_room() {
    let mut out = ReturnBuffer::<112>::new(span(10, 20));
    assert!(!out.has_room());
    assert_eq!(out.word(returns::NOOP), Err(Full));
    assert_eq!(out.filled(), 20);
}

#[test]
fn there_is_room_while_the_largest_return_fits() {
    for (room, expected) in [
        (MAX_ITEM - 1, false),
        (MAX_ITEM, true),
        (MAX_ITEM + 1, true),
    ] {
        let out = ReturnBuffer::<112>::new(span(room, 0));
        assert_eq!(out.has_room(), expected, "{room} bytes");
    }
    let mut out = ReturnBuffer::<112>::new(span(MAX_ITEM + 4, 0));
    assert_eq!(out.word(returns::NOOP), Ok(()));
    assert!(out.has_room());
    assert_eq!(out.word(returns::TRANSACTION_COMPLETE), Ok(()));
    assert!(!out.has_room());
}
