// SPDX-License-Identifier: GPL-2.0

//! Taking blocks of commands apart.

use crate::abi::command::{Command, CommandReader, Parsed};
use crate::abi::name::{Cookie, Handle, NodeName, UserRange};
use crate::abi::transaction::{Payload, TransactionRequest};
use binder_abi as protocol;
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// A command as user space would write it down.
#[derive(Clone, Debug)]
enum Sent {
    OnHandle(u32, u32),
    OnNode(u32, u64, u64),
    OnNumber(u32, u64),
    OnListener(u32, u32, u64),
    Bare(u32),
    Transaction(u32, protocol::TransactionData),
    TransactionSg(u32, protocol::TransactionData, u64),
}

impl Sent {
    fn code(&self) -> u32 {
        match self {
            Sent::OnHandle(code, ..)
            | Sent::OnNode(code, ..)
            | Sent::OnNumber(code, ..)
            | Sent::OnListener(code, ..)
            | Sent::Bare(code)
            | Sent::Transaction(code, ..)
            | Sent::TransactionSg(code, ..) => *code,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.code().to_ne_bytes().to_vec();
        match self {
            Sent::OnHandle(_, handle) => bytes.extend(handle.to_ne_bytes()),
            Sent::OnNode(_, ptr, cookie) => bytes.extend(
                protocol::PtrCookie {
                    ptr: *ptr,
                    cookie: *cookie,
                }
                .as_bytes(),
            ),
            Sent::OnNumber(_, number) => bytes.extend(number.to_ne_bytes()),
            Sent::OnListener(_, handle, cookie) => bytes.extend(
                protocol::HandleCookie {
                    handle: *handle,
                    cookie: *cookie,
                }
                .as_bytes(),
            ),
            Sent::Bare(_) => {}
            Sent::Transaction(_, data) => bytes.extend(data.as_bytes()),
            Sent::TransactionSg(_, data, buffers_size) => bytes.extend(
                protocol::TransactionDataSg {
                    transaction_data: *data,
                    buffers_size: *buffers_size,
                }
                .as_bytes(),
            ),
        }
        bytes
    }

    /// Whether `command` says the same.
    fn is(&self, command: &Command<'_>) -> bool {
        use protocol::*;
        match (self, command) {
            (Sent::OnHandle(BC_INCREFS, sent), Command::IncRefs(Handle(got)))
            | (Sent::OnHandle(BC_ACQUIRE, sent), Command::Acquire(Handle(got)))
            | (Sent::OnHandle(BC_RELEASE, sent), Command::Release(Handle(got)))
            | (Sent::OnHandle(BC_DECREFS, sent), Command::DecRefs(Handle(got))) => sent == got,
            (Sent::OnNode(BC_INCREFS_DONE, ptr, cookie), Command::IncRefsDone(got))
            | (Sent::OnNode(BC_ACQUIRE_DONE, ptr, cookie), Command::AcquireDone(got)) => {
                let sent = NodeName {
                    ptr: *ptr,
                    cookie: *cookie,
                };
                sent == *got
            }
            (Sent::OnNumber(BC_FREE_BUFFER, sent), Command::FreeBuffer(got))
            | (Sent::OnNumber(BC_DEAD_BINDER_DONE, sent), Command::DeadBinderDone(Cookie(got)))
            | (
                Sent::OnNumber(BC_FREEZE_NOTIFICATION_DONE, sent),
                Command::FreezeDone(Cookie(got)),
            ) => sent == got,
            (
                Sent::OnListener(BC_REQUEST_DEATH_NOTIFICATION, handle, cookie),
                Command::RequestDeath(got_handle, got_cookie),
            )
            | (
                Sent::OnListener(BC_CLEAR_DEATH_NOTIFICATION, handle, cookie),
                Command::ClearDeath(got_handle, got_cookie),
            )
            | (
                Sent::OnListener(BC_REQUEST_FREEZE_NOTIFICATION, handle, cookie),
                Command::RequestFreeze(got_handle, got_cookie),
            )
            | (
                Sent::OnListener(BC_CLEAR_FREEZE_NOTIFICATION, handle, cookie),
                Command::ClearFreeze(got_handle, got_cookie),
            ) => (Handle(*handle), Cookie(*cookie)) == (*got_handle, *got_cookie),
            (Sent::Bare(BC_REGISTER_LOOPER), Command::RegisterLooper)
            | (Sent::Bare(BC_ENTER_LOOPER), Command::EnterLooper)
            | (Sent::Bare(BC_EXIT_LOOPER), Command::ExitLooper) => true,
            (Sent::Transaction(BC_TRANSACTION, data), Command::Transaction(payload))
            | (Sent::Transaction(BC_REPLY, data), Command::Reply(payload)) => {
                says(payload, data, 0)
            }
            (Sent::TransactionSg(BC_TRANSACTION_SG, data, size), Command::Transaction(payload))
            | (Sent::TransactionSg(BC_REPLY_SG, data, size), Command::Reply(payload)) => {
                says(payload, data, *size)
            }
            _ => false,
        }
    }
}

/// Whether `payload` asks for what `data` does.
fn says(payload: &Payload<'_>, data: &protocol::TransactionData, buffers_size: u64) -> bool {
    let Ok(request) = payload.validate() else {
        return false;
    };
    let expected = TransactionRequest {
        target: Handle(data.target as u32),
        code: data.code,
        flags: crate::abi::transaction::TransactionFlags::from_bits(data.flags),
        data: UserRange {
            address: data.buffer as usize,
            len: data.data_size as usize,
        },
        offsets: UserRange {
            address: data.offsets as usize,
            len: data.offsets_size as usize,
        },
        buffers_size: buffers_size as usize,
    };
    request == expected && request.flags.bits() == data.flags
}

prop_compose! {
    fn data()(words in any::<[u64; 8]>()) -> protocol::TransactionData {
        zerocopy::transmute!(words)
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    use protocol::*;
    let on_handle = prop::sample::select(vec![BC_INCREFS, BC_ACQUIRE, BC_RELEASE, BC_DECREFS]);
    let on_node = prop::sample::select(vec![BC_INCREFS_DONE, BC_ACQUIRE_DONE]);
    let on_number = prop::sample::select(vec![
        BC_FREE_BUFFER,
        BC_DEAD_BINDER_DONE,
        BC_FREEZE_NOTIFICATION_DONE,
    ]);
    let on_listener = prop::sample::select(vec![
        BC_REQUEST_DEATH_NOTIFICATION,
        BC_CLEAR_DEATH_NOTIFICATION,
        BC_REQUEST_FREEZE_NOTIFICATION,
        BC_CLEAR_FREEZE_NOTIFICATION,
    ]);
    let bare = prop::sample::select(vec![BC_REGISTER_LOOPER, BC_ENTER_LOOPER, BC_EXIT_LOOPER]);
    let plain = prop::sample::select(vec![BC_TRANSACTION, BC_REPLY]);
    let with_buffers = prop::sample::select(vec![BC_TRANSACTION_SG, BC_REPLY_SG]);
    prop_oneof![
        (on_handle, any::<u32>()).prop_map(|(code, handle)| Sent::OnHandle(code, handle)),
        (on_node, any::<u64>(), any::<u64>()).prop_map(|(code, p, c)| Sent::OnNode(code, p, c)),
        (on_number, any::<u64>()).prop_map(|(code, number)| Sent::OnNumber(code, number)),
        (on_listener, any::<u32>(), any::<u64>())
            .prop_map(|(code, handle, cookie)| Sent::OnListener(code, handle, cookie)),
        bare.prop_map(Sent::Bare),
        (plain, data()).prop_map(|(code, data)| Sent::Transaction(code, data)),
        (with_buffers, data(), any::<u64>())
            .prop_map(|(code, data, size)| Sent::TransactionSg(code, data, size)),
    ]
}

/// Codes of commands, of neighbours of commands, and anything.
fn code() -> impl Strategy<Value = u32> {
    let known = sent().prop_map(|sent| sent.code()).boxed();
    prop_oneof![
        4 => known.clone(),
        1 => Just(protocol::BC_ATTEMPT_ACQUIRE),
        1 => Just(protocol::BC_ACQUIRE_RESULT),
        1 => (known, 0..32_u32).prop_map(|(code, bit)| code ^ (1 << bit)),
        1 => any::<u32>(),
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_what_is_read(commands in prop::collection::vec(sent(), 0..12)) {
        let block: Vec<u8> = commands.iter().flat_map(Sent::encode).collect();
        let mut reader = CommandReader::new(&block);
        for sent in &commands {
            let Parsed::Command { code, command, len } = reader.next() else {
                panic!("{sent:x?} was not read");
            };
            prop_assert_eq!(code, sent.code());
            prop_assert_eq!(len, sent.encode().len());
            prop_assert!(sent.is(&command), "{:x?}", sent);
        }
        prop_assert!(matches!(reader.next(), Parsed::End));
    }

    #[test]
    fn a_command_that_is_cut_short_is_asked_for(sent in sent(), cut in any::<prop::sample::Index>()) {
        let whole = sent.encode();
        let cut = cut.index(whole.len());
        let mut reader = CommandReader::new(&whole[..cut]);
        // Asking twice changes nothing.
        for _ in 0..2 {
            match reader.next() {
                Parsed::End => prop_assert_eq!(cut, 0),
                Parsed::NeedMore { code: None, len } => {
                    prop_assert!(cut < 4);
                    prop_assert_eq!(len, 4);
                }
                Parsed::NeedMore { code: Some(code), len } => {
                    prop_assert_eq!(code, sent.code());
                    prop_assert_eq!(len, whole.len());
                }
                _ => panic!("{sent:x?} was read from {cut} bytes"),
            }
        }
    }

    #[test]
    fn nothing_is_read_that_is_not_there(
        pieces in prop::collection::vec((code(), prop::collection::vec(any::<u8>(), 0..80)), 0..6),
    ) {
        let mut block = Vec::new();
        for (code, payload) in pieces {
            block.extend(code.to_ne_bytes());
            block.extend(payload);
        }
        let mut reader = CommandReader::new(&block);
        let mut at = 0;
        loop {
            match reader.next() {
                Parsed::Command { code, len, .. } => {
                    prop_assert_eq!(&block[at..at + 4], &code.to_ne_bytes());
                    at += len;
                    prop_assert!(at <= block.len());
                }
                Parsed::NeedMore { len, .. } => {
                    prop_assert!(at + len > block.len());
                    break;
                }
                Parsed::Unknown(code) => {
                    prop_assert_eq!(&block[at..at + 4], &code.to_ne_bytes());
                    break;
                }
                Parsed::End => {
                    prop_assert_eq!(at, block.len());
                    break;
                }
            }
        }
    }
}

#[test]
fn the_refused_commands_are_known_without_their_payload() {
    for (code, expected) in [
        (protocol::BC_ATTEMPT_ACQUIRE, "attempt"),
        (protocol::BC_ACQUIRE_RESULT, "result"),
    ] {
        let found = match CommandReader::new(&code.to_ne_bytes()).next() {
            Parsed::Command {
                command: Command::AttemptAcquire,
                len: 4,
                ..
            } => "attempt",
            Parsed::Command {
                command: Command::AcquireResult,
                len: 4,
                ..
            } => "result",
            _ => "other",
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn the_mistaken_code_of_a_death_request_is_unknown() {
    // What a program gets that forgets that the payload is packed.
    let code = 0x4010_630e_u32;
    assert!(matches!(
        CommandReader::new(&code.to_ne_bytes()).next(),
        Parsed::Unknown(found) if found == code
    ));
}
