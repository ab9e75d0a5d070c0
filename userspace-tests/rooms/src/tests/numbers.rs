// SPDX-License-Identifier: GPL-2.0

//! Every number, size and offset of the driver equals that of the protocol crate, which a C
//! program compares with the headers of the kernel.

use crate::abi::{command, ioctl, object, returns, transaction};
use std::collections::BTreeMap;
use std::mem::offset_of;

/// What the protocol has and the driver has no name for, because it does not depend on it.
const UNNAMED: &[&str] = &[
    // Refused like any unknown number.
    "BINDER_SET_IDLE_PRIORITY",
    "BINDER_SET_IDLE_TIMEOUT",
    // Passed on unseen.
    "TF_ROOT_OBJECT",
    "TF_STATUS_CODE",
    // Never sent.
    "BR_ACQUIRE_RESULT",
    "BR_ATTEMPT_ACQUIRE",
    "BR_FINISHED",
    "sizeof(struct binder_pri_ptr_cookie)",
    "offsetof(struct binder_pri_ptr_cookie, priority)",
    "offsetof(struct binder_pri_ptr_cookie, ptr)",
    "offsetof(struct binder_pri_ptr_cookie, cookie)",
    // The header of an object is its first field here.
    "sizeof(struct binder_object_header)",
    "offsetof(struct binder_object_header, type)",
    // Checked by what they do, in the tests of objects.
    "B_TYPE_LARGE",
    "FLAT_BINDER_FLAG_ACCEPTS_FDS",
    "FLAT_BINDER_FLAG_PRIORITY_MASK",
    "FLAT_BINDER_FLAG_TXN_SECURITY_CTX",
    // Of the file system.
    "BINDERFS_MAX_NAME",
    "BINDER_CTL_ADD",
    "sizeof(struct binderfs_device)",
    "offsetof(struct binderfs_device, name)",
    "offsetof(struct binderfs_device, major)",
    "offsetof(struct binderfs_device, minor)",
];

/// Gathers constants as `name of the C side = value here`.
macro_rules! constants {
    ($ours:ident: $($name:ident = $value:expr,)*) => {
        $($ours.push((stringify!($name).to_string(), u64::from($value)));)*
    };
}

/// Gathers the size of a structure and the offsets of its fields.
macro_rules! layout {
    ($ours:ident: $c:literal = $rust:ty { $($path:literal => $field:ident,)* }) => {
        $ours.push((format!("sizeof(struct {})", $c), size_of::<$rust>() as u64));
        $($ours.push((
            format!("offsetof(struct {}, {})", $c, $path),
            offset_of!($rust, $field) as u64,
        ));)*
    };
}

fn ours() -> Vec<(String, u64)> {
    let mut ours = Vec::new();
    ioctls(&mut ours);
    commands(&mut ours);
    returned(&mut ours);
    objects(&mut ours);
    transactions(&mut ours);
    ours
}

fn ioctls(ours: &mut Vec<(String, u64)>) {
    constants!(ours:
        BINDER_CURRENT_PROTOCOL_VERSION = ioctl::PROTOCOL_VERSION as u32,
        BINDER_WRITE_READ = ioctl::WRITE_READ,
        BINDER_SET_MAX_THREADS = ioctl::SET_MAX_THREADS,
        BINDER_SET_CONTEXT_MGR = ioctl::SET_CONTEXT_MGR,
        BINDER_THREAD_EXIT = ioctl::THREAD_EXIT,
        BINDER_VERSION = ioctl::VERSION,
        BINDER_GET_NODE_DEBUG_INFO = ioctl::GET_NODE_DEBUG_INFO,
        BINDER_GET_NODE_INFO_FOR_REF = ioctl::GET_NODE_INFO_FOR_REF,
        BINDER_SET_CONTEXT_MGR_EXT = ioctl::SET_CONTEXT_MGR_EXT,
        BINDER_FREEZE = ioctl::FREEZE,
        BINDER_GET_FROZEN_INFO = ioctl::GET_FROZEN_INFO,
        BINDER_ENABLE_ONEWAY_SPAM_DETECTION = ioctl::ENABLE_ONEWAY_SPAM_DETECTION,
        BINDER_GET_EXTENDED_ERROR = ioctl::GET_EXTENDED_ERROR,
    );
    layout!(ours: "binder_version" = ioctl::VersionInfo {
        "protocol_version" => protocol_version,
    });
    layout!(ours: "binder_write_read" = ioctl::WriteRead {
        "write_size" => write_size,
        "write_consumed" => write_consumed,
        "write_buffer" => write_buffer,
        "read_size" => read_size,
        "read_consumed" => read_consumed,
        "read_buffer" => read_buffer,
    });
    layout!(ours: "binder_node_debug_info" = ioctl::NodeDebugInfo {
        "ptr" => ptr,
        "cookie" => cookie,
        "has_strong_ref" => has_strong_ref,
        "has_weak_ref" => has_weak_ref,
    });
    layout!(ours: "binder_node_info_for_ref" = ioctl::NodeInfoForRef {
        "handle" => handle,
        "strong_count" => strong_count,
        "weak_count" => weak_count,
        "reserved1" => reserved1,
        "reserved2" => reserved2,
        "reserved3" => reserved3,
    });
    layout!(ours: "binder_freeze_info" = ioctl::FreezeInfo {
        "pid" => pid,
        "enable" => enable,
        "timeout_ms" => timeout_ms,
    });
    layout!(ours: "binder_frozen_status_info" = ioctl::FrozenStatusInfo {
        "pid" => pid,
        "sync_recv" => sync_recv,
        "async_recv" => async_recv,
    });
    layout!(ours: "binder_extended_error" = ioctl::ExtendedError {
        "id" => id,
        "command" => command,
        "param" => param,
    });
}

fn commands(ours: &mut Vec<(String, u64)>) {
    constants!(ours:
        BC_TRANSACTION = command::TRANSACTION,
        BC_REPLY = command::REPLY,
        BC_ACQUIRE_RESULT = command::ACQUIRE_RESULT,
        BC_FREE_BUFFER = command::FREE_BUFFER,
        BC_INCREFS = command::INCREFS,
        BC_ACQUIRE = command::ACQUIRE,
        BC_RELEASE = command::RELEASE,
        BC_DECREFS = command::DECREFS,
        BC_INCREFS_DONE = command::INCREFS_DONE,
        BC_ACQUIRE_DONE = command::ACQUIRE_DONE,
        BC_ATTEMPT_ACQUIRE = command::ATTEMPT_ACQUIRE,
        BC_REGISTER_LOOPER = command::REGISTER_LOOPER,
        BC_ENTER_LOOPER = command::ENTER_LOOPER,
        BC_EXIT_LOOPER = command::EXIT_LOOPER,
        BC_REQUEST_DEATH_NOTIFICATION = command::REQUEST_DEATH_NOTIFICATION,
        BC_CLEAR_DEATH_NOTIFICATION = command::CLEAR_DEATH_NOTIFICATION,
        BC_DEAD_BINDER_DONE = command::DEAD_BINDER_DONE,
        BC_TRANSACTION_SG = command::TRANSACTION_SG,
        BC_REPLY_SG = command::REPLY_SG,
        BC_REQUEST_FREEZE_NOTIFICATION = command::REQUEST_FREEZE_NOTIFICATION,
        BC_CLEAR_FREEZE_NOTIFICATION = command::CLEAR_FREEZE_NOTIFICATION,
        BC_FREEZE_NOTIFICATION_DONE = command::FREEZE_NOTIFICATION_DONE,
    );
    layout!(ours: "binder_ptr_cookie" = command::PtrCookie {
        "ptr" => ptr,
        "cookie" => cookie,
    });
    layout!(ours: "binder_handle_cookie" = command::HandleCookie {
        "handle" => handle,
        "cookie" => cookie,
    });
    layout!(ours: "binder_pri_desc" = command::PriDesc {
        "priority" => priority,
        "desc" => desc,
    });
}

fn returned(ours: &mut Vec<(String, u64)>) {
    constants!(ours:
        BR_ERROR = returns::ERROR,
        BR_OK = returns::OK,
        BR_TRANSACTION_SEC_CTX = returns::TRANSACTION_SEC_CTX,
        BR_TRANSACTION = returns::TRANSACTION,
        BR_REPLY = returns::REPLY,
        BR_DEAD_REPLY = returns::DEAD_REPLY,
        BR_TRANSACTION_COMPLETE = returns::TRANSACTION_COMPLETE,
        BR_INCREFS = returns::INCREFS,
        BR_ACQUIRE = returns::ACQUIRE,
        BR_RELEASE = returns::RELEASE,
        BR_DECREFS = returns::DECREFS,
        BR_NOOP = returns::NOOP,
        BR_SPAWN_LOOPER = returns::SPAWN_LOOPER,
        BR_DEAD_BINDER = returns::DEAD_BINDER,
        BR_CLEAR_DEATH_NOTIFICATION_DONE = returns::CLEAR_DEATH_NOTIFICATION_DONE,
        BR_FAILED_REPLY = returns::FAILED_REPLY,
        BR_FROZEN_REPLY = returns::FROZEN_REPLY,
        BR_ONEWAY_SPAM_SUSPECT = returns::ONEWAY_SPAM_SUSPECT,
        BR_TRANSACTION_PENDING_FROZEN = returns::TRANSACTION_PENDING_FROZEN,
        BR_FROZEN_BINDER = returns::FROZEN_BINDER,
        BR_CLEAR_FREEZE_NOTIFICATION_DONE = returns::CLEAR_FREEZE_NOTIFICATION_DONE,
    );
    layout!(ours: "binder_frozen_state_info" = returns::FrozenStateInfo {
        "cookie" => cookie,
        "is_frozen" => is_frozen,
        "reserved" => reserved,
    });
}

fn objects(ours: &mut Vec<(String, u64)>) {
    constants!(ours:
        BINDER_TYPE_BINDER = object::TYPE_BINDER,
        BINDER_TYPE_WEAK_BINDER = object::TYPE_WEAK_BINDER,
        BINDER_TYPE_HANDLE = object::TYPE_HANDLE,
        BINDER_TYPE_WEAK_HANDLE = object::TYPE_WEAK_HANDLE,
        BINDER_TYPE_FD = object::TYPE_FD,
        BINDER_TYPE_FDA = object::TYPE_FDA,
        BINDER_TYPE_PTR = object::TYPE_PTR,
        BINDER_BUFFER_FLAG_HAS_PARENT = object::BUFFER_HAS_PARENT,
    );
    layout!(ours: "flat_binder_object" = object::FlatObject {
        "hdr" => kind,
        "flags" => flags,
        "binder" => binder,
        "handle" => binder,
        "cookie" => cookie,
    });
    layout!(ours: "binder_fd_object" = object::FdObject {
        "hdr" => kind,
        "pad_flags" => pad_flags,
        "fd" => fd,
        "pad_binder" => fd,
        "cookie" => cookie,
    });
    layout!(ours: "binder_buffer_object" = object::BufferObject {
        "hdr" => kind,
        "flags" => flags,
        "buffer" => buffer,
        "length" => length,
        "parent" => parent,
        "parent_offset" => parent_offset,
    });
    layout!(ours: "binder_fd_array_object" = object::FdArrayObject {
        "hdr" => kind,
        "pad" => pad,
        "num_fds" => num_fds,
        "parent" => parent,
        "parent_offset" => parent_offset,
    });
}

fn transactions(ours: &mut Vec<(String, u64)>) {
    use transaction::TransactionFlags as Flags;
    constants!(ours:
        TF_ONE_WAY = Flags::ONE_WAY.bits(),
        TF_ACCEPT_FDS = Flags::ACCEPT_FDS.bits(),
        TF_CLEAR_BUF = Flags::CLEAR_BUF.bits(),
        TF_UPDATE_TXN = Flags::UPDATE_TXN.bits(),
    );
    layout!(ours: "binder_transaction_data" = transaction::TransactionData {
        "target" => target,
        "target.handle" => target,
        "target.ptr" => target,
        "cookie" => cookie,
        "code" => code,
        "flags" => flags,
        "sender_pid" => sender_pid,
        "sender_euid" => sender_euid,
        "data_size" => data_size,
        "offsets_size" => offsets_size,
        "data.ptr.buffer" => buffer,
        "data.ptr.offsets" => offsets,
    });
    layout!(ours: "binder_transaction_data_secctx" = transaction::TransactionDataSecctx {
        "transaction_data" => transaction_data,
        "secctx" => secctx,
    });
    layout!(ours: "binder_transaction_data_sg" = transaction::TransactionDataSg {
        "transaction_data" => transaction_data,
        "buffers_size" => buffers_size,
    });
}

#[test]
fn the_driver_and_the_protocol_agree() {
    let mut protocol: BTreeMap<String, u64> = binder_abi::facts::all()
        .into_iter()
        .map(|fact| (fact.expression, fact.value))
        .collect();
    for (expression, value) in ours() {
        let expected = protocol.remove(&expression);
        assert_eq!(Some(value), expected, "{expression}");
    }
    for expression in UNNAMED {
        let known = protocol.remove(*expression);
        assert!(known.is_some(), "{expression} is not in the protocol");
    }
    assert!(protocol.is_empty(), "not in the driver: {protocol:#x?}");
}

#[test]
fn the_largest_return_is_a_call_with_a_security_context() {
    assert_eq!(
        returns::MAX_ITEM,
        size_of::<u32>() + size_of::<binder_abi::TransactionDataSecctx>()
    );
}

#[test]
fn flags_of_transactions_are_there_together_or_not() {
    use transaction::TransactionFlags as Flags;
    let both = Flags::from_bits(Flags::ONE_WAY.bits() | Flags::CLEAR_BUF.bits());
    assert!(both.contains(both));
    assert!(both.contains(Flags::CLEAR_BUF));
    assert!(!Flags::CLEAR_BUF.contains(both));
    assert!(!both.contains(Flags::UPDATE_TXN));
    assert!(Flags::CLEAR_BUF.contains(Flags::from_bits(0)));
    assert!(both.is_one_way());
    assert!(!Flags::CLEAR_BUF.is_one_way());
}

#[test]
fn the_number_of_a_code_is_its_lowest_byte() {
    assert_eq!(crate::abi::number(command::FREEZE_NOTIFICATION_DONE), 21);
    assert_eq!(
        crate::abi::number(returns::CLEAR_FREEZE_NOTIFICATION_DONE),
        22
    );
}
