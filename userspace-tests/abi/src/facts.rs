// SPDX-License-Identifier: GPL-2.0

//! Everything this crate claims about the ABI, as a list of C expressions and
//! the values Rust computed for them.

extern crate alloc;

use crate::binderfs::{BINDER_CTL_ADD, BINDERFS_MAX_NAME, BinderfsDevice};
use crate::*;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem::offset_of;

/// One number of the ABI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What a C compiler has to evaluate.
    pub expression: String,
    /// What this crate says it is.
    pub value: u64,
}

/// Appends the named constants; they have the same name in C.
macro_rules! constants {
    ($facts:ident: $($name:ident),* $(,)?) => {
        $facts.extend([$(Fact {
            expression: stringify!($name).to_string(),
            value: u64::from($name as u32),
        }),*]);
    };
}

/// Appends the size of a structure, and the offset of each field listed as
/// `path of the field in C => field in Rust`.
macro_rules! layout {
    ($facts:ident: $c:literal = $rust:ty { $($path:literal => $field:ident),* $(,)? }) => {
        $facts.push(Fact {
            expression: format!("sizeof(struct {})", $c),
            value: size_of::<$rust>() as u64,
        });
        $($facts.push(Fact {
            expression: format!("offsetof(struct {}, {})", $c, $path),
            value: offset_of!($rust, $field) as u64,
        });)*
    };
}

/// What the project's header has beyond the kernel's.
pub fn extensions() -> Vec<Fact> {
    let mut facts = Vec::new();
    constants!(facts:
        FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT, FLAT_BINDER_FLAG_SCHED_POLICY_MASK,
        FLAT_BINDER_FLAG_INHERIT_RT,
    );
    facts
}

/// All facts of the kernel's ABI: numbers, sizes, offsets.
pub fn all() -> Vec<Fact> {
    let mut facts = Vec::new();
    numbers(&mut facts);
    protocol_layouts(&mut facts);
    ioctl_layouts(&mut facts);
    facts
}

fn numbers(facts: &mut Vec<Fact>) {
    constants!(facts:
        BINDER_CURRENT_PROTOCOL_VERSION, B_TYPE_LARGE,
        BINDER_WRITE_READ, BINDER_SET_IDLE_TIMEOUT, BINDER_SET_MAX_THREADS,
        BINDER_SET_IDLE_PRIORITY, BINDER_SET_CONTEXT_MGR, BINDER_THREAD_EXIT,
        BINDER_VERSION, BINDER_GET_NODE_DEBUG_INFO, BINDER_GET_NODE_INFO_FOR_REF,
        BINDER_SET_CONTEXT_MGR_EXT, BINDER_FREEZE, BINDER_GET_FROZEN_INFO,
        BINDER_ENABLE_ONEWAY_SPAM_DETECTION, BINDER_GET_EXTENDED_ERROR,
        BINDER_CTL_ADD, BINDERFS_MAX_NAME,
    );
    constants!(facts:
        BC_TRANSACTION, BC_REPLY, BC_ACQUIRE_RESULT, BC_FREE_BUFFER, BC_INCREFS,
        BC_ACQUIRE, BC_RELEASE, BC_DECREFS, BC_INCREFS_DONE, BC_ACQUIRE_DONE,
        BC_ATTEMPT_ACQUIRE, BC_REGISTER_LOOPER, BC_ENTER_LOOPER, BC_EXIT_LOOPER,
        BC_REQUEST_DEATH_NOTIFICATION, BC_CLEAR_DEATH_NOTIFICATION,
        BC_DEAD_BINDER_DONE, BC_TRANSACTION_SG, BC_REPLY_SG,
        BC_REQUEST_FREEZE_NOTIFICATION, BC_CLEAR_FREEZE_NOTIFICATION,
        BC_FREEZE_NOTIFICATION_DONE,
    );
    constants!(facts:
        BR_ERROR, BR_OK, BR_TRANSACTION_SEC_CTX, BR_TRANSACTION, BR_REPLY,
        BR_ACQUIRE_RESULT, BR_DEAD_REPLY, BR_TRANSACTION_COMPLETE, BR_INCREFS,
        BR_ACQUIRE, BR_RELEASE, BR_DECREFS, BR_ATTEMPT_ACQUIRE, BR_NOOP,
        BR_SPAWN_LOOPER, BR_FINISHED, BR_DEAD_BINDER,
        BR_CLEAR_DEATH_NOTIFICATION_DONE, BR_FAILED_REPLY, BR_FROZEN_REPLY,
        BR_ONEWAY_SPAM_SUSPECT, BR_TRANSACTION_PENDING_FROZEN, BR_FROZEN_BINDER,
        BR_CLEAR_FREEZE_NOTIFICATION_DONE,
    );
    constants!(facts:
        BINDER_TYPE_BINDER, BINDER_TYPE_WEAK_BINDER, BINDER_TYPE_HANDLE,
        BINDER_TYPE_WEAK_HANDLE, BINDER_TYPE_FD, BINDER_TYPE_FDA, BINDER_TYPE_PTR,
        FLAT_BINDER_FLAG_PRIORITY_MASK, FLAT_BINDER_FLAG_ACCEPTS_FDS,
        FLAT_BINDER_FLAG_TXN_SECURITY_CTX, BINDER_BUFFER_FLAG_HAS_PARENT,
        TF_ONE_WAY, TF_ROOT_OBJECT, TF_STATUS_CODE, TF_ACCEPT_FDS, TF_CLEAR_BUF,
        TF_UPDATE_TXN,
    );
}

fn protocol_layouts(facts: &mut Vec<Fact>) {
    layout!(facts: "binder_object_header" = ObjectHeader { "type" => kind });
    layout!(facts: "flat_binder_object" = FlatObject {
        "hdr" => hdr, "flags" => flags, "binder" => binder, "handle" => binder,
        "cookie" => cookie,
    });
    layout!(facts: "binder_fd_object" = FdObject {
        "hdr" => hdr, "pad_flags" => pad_flags, "fd" => fd, "pad_binder" => fd,
        "cookie" => cookie,
    });
    layout!(facts: "binder_buffer_object" = BufferObject {
        "hdr" => hdr, "flags" => flags, "buffer" => buffer, "length" => length,
        "parent" => parent, "parent_offset" => parent_offset,
    });
    layout!(facts: "binder_fd_array_object" = FdArrayObject {
        "hdr" => hdr, "pad" => pad, "num_fds" => num_fds, "parent" => parent,
        "parent_offset" => parent_offset,
    });
    layout!(facts: "binder_transaction_data" = TransactionData {
        "target" => target, "target.handle" => target, "target.ptr" => target,
        "cookie" => cookie, "code" => code, "flags" => flags,
        "sender_pid" => sender_pid, "sender_euid" => sender_euid,
        "data_size" => data_size, "offsets_size" => offsets_size,
        "data.ptr.buffer" => buffer, "data.ptr.offsets" => offsets,
    });
    layout!(facts: "binder_transaction_data_secctx" = TransactionDataSecctx {
        "transaction_data" => transaction_data, "secctx" => secctx,
    });
    layout!(facts: "binder_transaction_data_sg" = TransactionDataSg {
        "transaction_data" => transaction_data, "buffers_size" => buffers_size,
    });
    layout!(facts: "binder_ptr_cookie" = PtrCookie { "ptr" => ptr, "cookie" => cookie });
    layout!(facts: "binder_handle_cookie" = HandleCookie {
        "handle" => handle, "cookie" => cookie,
    });
    layout!(facts: "binder_pri_desc" = PriDesc { "priority" => priority, "desc" => desc });
    layout!(facts: "binder_pri_ptr_cookie" = PriPtrCookie {
        "priority" => priority, "ptr" => ptr, "cookie" => cookie,
    });
    layout!(facts: "binder_frozen_state_info" = FrozenStateInfo {
        "cookie" => cookie, "is_frozen" => is_frozen, "reserved" => reserved,
    });
}

fn ioctl_layouts(facts: &mut Vec<Fact>) {
    layout!(facts: "binder_version" = Version { "protocol_version" => protocol_version });
    layout!(facts: "binder_write_read" = WriteRead {
        "write_size" => write_size, "write_consumed" => write_consumed,
        "write_buffer" => write_buffer, "read_size" => read_size,
        "read_consumed" => read_consumed, "read_buffer" => read_buffer,
    });
    layout!(facts: "binder_node_debug_info" = NodeDebugInfo {
        "ptr" => ptr, "cookie" => cookie, "has_strong_ref" => has_strong_ref,
        "has_weak_ref" => has_weak_ref,
    });
    layout!(facts: "binder_node_info_for_ref" = NodeInfoForRef {
        "handle" => handle, "strong_count" => strong_count, "weak_count" => weak_count,
        "reserved1" => reserved1, "reserved2" => reserved2, "reserved3" => reserved3,
    });
    layout!(facts: "binder_freeze_info" = FreezeInfo {
        "pid" => pid, "enable" => enable, "timeout_ms" => timeout_ms,
    });
    layout!(facts: "binder_frozen_status_info" = FrozenStatusInfo {
        "pid" => pid, "sync_recv" => sync_recv, "async_recv" => async_recv,
    });
    layout!(facts: "binder_extended_error" = ExtendedError {
        "id" => id, "command" => command, "param" => param,
    });
    layout!(facts: "binderfs_device" = BinderfsDevice {
        "name" => name, "major" => major, "minor" => minor,
    });
}
