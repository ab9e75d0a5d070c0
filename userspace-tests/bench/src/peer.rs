// SPDX-License-Identifier: GPL-2.0

//! The two ends of a call: a client that calls the context manager, and the server that is it.
//!
//! Both keep to the shape of libbinder. The client frees the last reply's buffer and sends the next
//! call in one ioctl, which returns with the reply. The server needs two ioctls for a call: one frees
//! the call's buffer, sends the reply and reads the completion; the next, which writes nothing, reads
//! the next call.

use std::path::Path;

use anyhow::{Context, Result, bail};
use binder_abi::{self as abi, TransactionData, TransactionDataSg};

use crate::conn::{Commands, Connection, Return, Returns};

/// What the server does with a call before it answers.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Action {
    /// Answers with an empty reply.
    Answer = 1,
    /// Closes the descriptor that came with the call, then answers.
    CloseDescriptor = 2,
    /// Takes a strong reference of its own on the object that came with the call, then answers.
    KeepObject = 3,
}

impl Action {
    fn from_code(code: u32) -> Self {
        match code {
            2 => Self::CloseDescriptor,
            3 => Self::KeepObject,
            _ => Self::Answer,
        }
    }
}

/// The payload of a call: what it carries besides its code.
#[derive(Clone, Copy, Default)]
pub struct Parcel<'a> {
    pub data: &'a [u8],
    pub offsets: &'a [u64],
    /// Room for the buffers that the objects point to.
    pub buffers_size: u64,
}

/// A client of the context manager.
pub struct Client {
    connection: Connection,
    commands: Commands,
    returns: Returns,
}

impl Client {
    /// Opens the device.
    pub fn new(device: &Path) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(device)?,
            commands: Commands::new(),
            returns: Returns::new(),
        })
    }

    /// The connection underneath.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Makes a synchronous call and waits for its reply.
    #[inline]
    pub fn call(&mut self, action: Action, parcel: Parcel<'_>) -> Result<()> {
        self.push_call(action, abi::TF_ACCEPT_FDS, parcel);
        loop {
            self.connection
                .exchange(&mut self.commands, &mut self.returns)?;
            while let Some(entry) = self.returns.next() {
                match entry {
                    Return::Reply(reply) => {
                        self.commands.push(abi::BC_FREE_BUFFER, &reply.buffer);
                        return Ok(());
                    }
                    other => self.acknowledge(other)?,
                }
            }
        }
    }

    /// Makes a oneway call and waits until the driver has taken it.
    #[inline]
    pub fn post(&mut self, action: Action, parcel: Parcel<'_>) -> Result<()> {
        self.push_call(action, abi::TF_ONE_WAY, parcel);
        loop {
            self.connection
                .exchange(&mut self.commands, &mut self.returns)?;
            while let Some(entry) = self.returns.next() {
                match entry {
                    Return::Complete => return Ok(()),
                    other => self.acknowledge(other)?,
                }
            }
        }
    }

    #[inline]
    fn push_call(&mut self, action: Action, flags: u32, parcel: Parcel<'_>) {
        let transaction = TransactionData {
            code: action as u32,
            flags,
            data_size: parcel.data.len() as u64,
            offsets_size: size_of_val(parcel.offsets) as u64,
            buffer: parcel.data.as_ptr() as u64,
            offsets: parcel.offsets.as_ptr() as u64,
            ..TransactionData::default()
        };
        match parcel.buffers_size {
            0 => self.commands.push(abi::BC_TRANSACTION, &transaction),
            size => self.commands.push(
                abi::BC_TRANSACTION_SG,
                &TransactionDataSg {
                    transaction_data: transaction,
                    buffers_size: size,
                },
            ),
        }
    }

    /// Answers what the driver tells about this process's nodes.
    #[inline]
    fn acknowledge(&mut self, entry: Return) -> Result<()> {
        match entry {
            Return::Increfs(node) => self.commands.push(abi::BC_INCREFS_DONE, &node),
            Return::Acquire(node) => self.commands.push(abi::BC_ACQUIRE_DONE, &node),
            Return::Failed(code) => bail!("the call failed with return {code:#010x}"),
            _ => {}
        }
        Ok(())
    }
}

/// Serves calls for ever, on the calling thread.
pub fn serve(connection: &Connection, mut after_call: impl FnMut(&TransactionData)) -> Result<()> {
    let mut commands = Commands::new();
    let mut returns = Returns::new();
    let mut keeps_object = false;
    commands.push(abi::BC_ENTER_LOOPER, &());
    loop {
        connection
            .exchange(&mut commands, &mut returns)
            .context("the server's ioctl failed")?;
        while let Some(entry) = returns.next() {
            match entry {
                Return::Transaction(call) => {
                    match Action::from_code(call.code) {
                        Action::Answer => {}
                        Action::CloseDescriptor => {
                            let object = connection
                                .first_object(&call)
                                .context("no descriptor came with the call")?;
                            // SAFETY: The driver made this descriptor for us; nothing else uses it.
                            unsafe { libc::close(object.handle() as i32) };
                        }
                        Action::KeepObject if !keeps_object => {
                            let object = connection
                                .first_object(&call)
                                .context("no object came with the call")?;
                            commands.push(abi::BC_ACQUIRE, &object.handle());
                            keeps_object = true;
                        }
                        Action::KeepObject => {}
                    }
                    commands.push(abi::BC_FREE_BUFFER, &call.buffer);
                    if call.flags & abi::TF_ONE_WAY == 0 {
                        commands.push(abi::BC_REPLY, &TransactionData::default());
                    }
                    after_call(&call);
                }
                Return::Failed(code) => bail!("the server got return {code:#010x}"),
                _ => {}
            }
        }
    }
}
