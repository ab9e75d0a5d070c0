// SPDX-License-Identifier: GPL-2.0

//! What a read buffer holds, as a typed list.

use anyhow::{Context, Result, bail, ensure};
use binder_abi::*;
use std::fmt;
use zerocopy::FromBytes;

/// A call or a reply as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `BR_TRANSACTION`, `BR_TRANSACTION_SEC_CTX` or `BR_REPLY`.
    pub code: u32,
    /// The structure.
    pub data: TransactionData,
    /// Address of the sender's label, if there is one.
    pub secctx: Option<u64>,
}

/// One return of a driver.
#[derive(Clone, PartialEq, Eq)]
pub enum Br {
    /// A return without payload.
    Plain(u32),
    /// A call or a reply.
    Delivery(Delivery),
    /// `BR_INCREFS`, `BR_ACQUIRE`, `BR_RELEASE`, `BR_DECREFS`.
    Node(u32, PtrCookie),
    /// `BR_DEAD_BINDER` and the two that end a notification.
    Cookie(u32, u64),
    /// `BR_FROZEN_BINDER`.
    Frozen(FrozenStateInfo),
}

impl Br {
    /// The return's number.
    pub fn code(&self) -> u32 {
        match self {
            Br::Plain(code) | Br::Node(code, _) | Br::Cookie(code, _) => *code,
            Br::Delivery(delivery) => delivery.code,
            Br::Frozen(_) => BR_FROZEN_BINDER,
        }
    }
}

impl fmt::Debug for Br {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.code()))?;
        match self {
            Br::Plain(_) => Ok(()),
            Br::Delivery(d) => write!(f, "(code {:#x}, {} bytes)", d.data.code, d.data.data_size),
            Br::Node(_, node) => write!(f, "({:#x}, {:#x})", node.ptr, node.cookie),
            Br::Cookie(_, cookie) => write!(f, "({cookie:#x})"),
            Br::Frozen(info) => write!(f, "({:#x}, {})", info.cookie, info.is_frozen),
        }
    }
}

/// The name of a return.
pub fn name(code: u32) -> &'static str {
    macro_rules! names {
        ($($name:ident),* $(,)?) => {
            match code {
                $(binder_abi::$name => stringify!($name),)*
                _ => "not a return",
            }
        };
    }
    names!(
        BR_ERROR,
        BR_OK,
        BR_TRANSACTION_SEC_CTX,
        BR_TRANSACTION,
        BR_REPLY,
        BR_ACQUIRE_RESULT,
        BR_DEAD_REPLY,
        BR_TRANSACTION_COMPLETE,
        BR_INCREFS,
        BR_ACQUIRE,
        BR_RELEASE,
        BR_DECREFS,
        BR_ATTEMPT_ACQUIRE,
        BR_NOOP,
        BR_SPAWN_LOOPER,
        BR_FINISHED,
        BR_DEAD_BINDER,
        BR_CLEAR_DEATH_NOTIFICATION_DONE,
        BR_FAILED_REPLY,
        BR_FROZEN_REPLY,
        BR_ONEWAY_SPAM_SUSPECT,
        BR_TRANSACTION_PENDING_FROZEN,
        BR_FROZEN_BINDER,
        BR_CLEAR_FREEZE_NOTIFICATION_DONE,
    )
}

fn take<T: FromBytes>(rest: &mut &[u8]) -> Result<T> {
    let (value, tail) = T::read_from_prefix(rest)
        .ok()
        .with_context(|| format!("a return is cut off: {rest:x?}"))?;
    *rest = tail;
    Ok(value)
}

/// Reads a whole buffer; anything that is not a return is an error.
pub fn parse(mut rest: &[u8]) -> Result<Vec<Br>> {
    let mut returns = Vec::new();
    while !rest.is_empty() {
        ensure!(
            rest.len() >= 4,
            "bytes left behind the last return: {rest:x?}"
        );
        let code: u32 = take(&mut rest)?;
        returns.push(match code {
            BR_TRANSACTION | BR_REPLY => Br::Delivery(Delivery {
                code,
                data: take(&mut rest)?,
                secctx: None,
            }),
            BR_TRANSACTION_SEC_CTX => {
                let both: TransactionDataSecctx = take(&mut rest)?;
                Br::Delivery(Delivery {
                    code,
                    data: both.transaction_data,
                    secctx: Some(both.secctx),
                })
            }
            BR_INCREFS | BR_ACQUIRE | BR_RELEASE | BR_DECREFS => Br::Node(code, take(&mut rest)?),
            BR_DEAD_BINDER
            | BR_CLEAR_DEATH_NOTIFICATION_DONE
            | BR_CLEAR_FREEZE_NOTIFICATION_DONE => Br::Cookie(code, take(&mut rest)?),
            BR_FROZEN_BINDER => Br::Frozen(take(&mut rest)?),
            // Announces a payload that drivers do not write.
            BR_ERROR => Br::Plain(code),
            _ if binder_abi::ioc::payload_size(code) == 0 && name(code) != "not a return" => {
                Br::Plain(code)
            }
            _ => bail!("not a return of any driver: {code:#x}"),
        });
    }
    Ok(returns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    #[test]
    fn a_mixed_buffer_is_understood() {
        let mut bytes = BR_NOOP.to_le_bytes().to_vec();
        bytes.extend(BR_INCREFS.to_le_bytes());
        bytes.extend(PtrCookie { ptr: 1, cookie: 2 }.as_bytes());
        bytes.extend(BR_TRANSACTION.to_le_bytes());
        bytes.extend(
            TransactionData {
                code: 5,
                ..Default::default()
            }
            .as_bytes(),
        );
        let returns = parse(&bytes).unwrap();
        assert_eq!(returns[0], Br::Plain(BR_NOOP));
        assert_eq!(
            returns[1],
            Br::Node(BR_INCREFS, PtrCookie { ptr: 1, cookie: 2 })
        );
        assert!(matches!(&returns[2], Br::Delivery(d) if d.data.code == 5));
        assert_eq!(returns.len(), 3);
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(parse(&[1, 2]).is_err());
        assert!(parse(&0x1234_5678u32.to_le_bytes()).is_err());
        assert!(parse(&BR_INCREFS.to_le_bytes()).is_err());
    }
}
