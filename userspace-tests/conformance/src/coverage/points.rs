// SPDX-License-Identifier: GPL-2.0

//! The points of the ABI that a case can reach: its constants, and the errors of
//! its ioctls, commands and transactions.

use binder_abi::facts;
use harness::Errno;
use harness::seen::Item;
use serde::Serialize;
use std::sync::LazyLock;

/// Kinds of points, in the order they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// `BINDER_*` with a direction.
    Ioctl,
    /// `BC_*`.
    Command,
    /// `BR_*`.
    Return,
    /// `BINDER_TYPE_*`.
    Object,
    /// `TF_*`.
    TransactionFlag,
    /// `FLAT_BINDER_FLAG_*`.
    NodeFlag,
    /// `BINDER_BUFFER_FLAG_*`.
    BufferFlag,
    /// The version.
    Version,
    /// An error of an ioctl.
    IoctlError,
    /// An error of a command, which is then `BINDER_WRITE_READ`'s.
    CommandError,
    /// An error of mapping a device.
    MapError,
    /// A return and a parameter, as `BINDER_GET_EXTENDED_ERROR` tells them.
    ExtendedError,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 12] = [
        Class::Ioctl,
        Class::Command,
        Class::Return,
        Class::Object,
        Class::TransactionFlag,
        Class::NodeFlag,
        Class::BufferFlag,
        Class::Version,
        Class::IoctlError,
        Class::CommandError,
        Class::MapError,
        Class::ExtendedError,
    ];

    /// What its table is called.
    pub fn title(self) -> &'static str {
        match self {
            Class::Ioctl => "ioctls",
            Class::Command => "commands",
            Class::Return => "returns",
            Class::Object => "objects",
            Class::TransactionFlag => "flags of transactions",
            Class::NodeFlag => "flags of nodes",
            Class::BufferFlag => "flags of buffers",
            Class::Version => "version",
            Class::IoctlError => "errors of ioctls",
            Class::CommandError => "errors of commands",
            Class::MapError => "errors of mapping",
            Class::ExtendedError => "extended errors",
        }
    }

    /// By the prefix of a constant's name.
    fn of(name: &str) -> Option<Self> {
        const PREFIXES: [(&str, Class); 7] = [
            ("BC_", Class::Command),
            ("BR_", Class::Return),
            ("TF_", Class::TransactionFlag),
            ("BINDER_TYPE_", Class::Object),
            ("FLAT_BINDER_FLAG_", Class::NodeFlag),
            ("BINDER_BUFFER_FLAG_", Class::BufferFlag),
            ("BINDER_CURRENT_", Class::Version),
        ];
        // Parts of other constants, a length, and a place.
        if matches!(
            name,
            "B_TYPE_LARGE" | "BINDERFS_MAX_NAME" | "FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT"
        ) {
            return None;
        }
        let found = PREFIXES
            .iter()
            .find(|(prefix, _)| name.starts_with(prefix))
            .map(|(_, class)| *class);
        found.or_else(|| name.starts_with("BINDER_").then_some(Class::Ioctl))
    }
}

/// Something that can be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// What kind.
    pub class: Class,
    /// As listed: a constant's name, or what failed and how.
    pub name: String,
}

/// A constant of the ABI.
pub struct Constant {
    /// What kind.
    pub class: Class,
    /// As in C.
    pub name: String,
    /// As in C.
    pub value: u32,
}

/// The constants of the ABI that say something on their own.
pub static CONSTANTS: LazyLock<Vec<Constant>> = LazyLock::new(|| {
    facts::all()
        .into_iter()
        .chain(facts::extensions())
        .filter(|fact| !fact.expression.contains('('))
        .filter_map(|fact| {
            Some(Constant {
                class: Class::of(&fact.expression)?,
                name: fact.expression,
                value: u32::try_from(fact.value).ok()?,
            })
        })
        .collect()
});

/// Where a constant stands among its like; what is no constant comes behind.
pub fn position(name: &str) -> usize {
    let first = name.split(' ').next();
    CONSTANTS
        .iter()
        .position(|constant| Some(constant.name.as_str()) == first)
        .unwrap_or(usize::MAX)
}

fn named(class: Class, value: u32) -> Option<&'static str> {
    CONSTANTS
        .iter()
        .find(|constant| constant.class == class && constant.value == value)
        .map(|constant| constant.name.as_str())
}

fn errno(number: i32) -> String {
    match number {
        0 => "0".into(),
        _ => format!("{:?}", Errno::from_raw(number)),
    }
}

/// The points that an observation stands for.
pub fn of(item: Item) -> Vec<Point> {
    let point = |class, name: String| Point { class, name };
    // A number with a name, and how it failed.
    let tried = |class, error_class, value, unknown: &str, error| {
        let known = named(class, value);
        let mut points = Vec::new();
        points.extend(known.map(|name| point(class, name.into())));
        if error != 0 || known.is_none() {
            let name = known.unwrap_or(unknown);
            points.push(point(error_class, format!("{name} {}", errno(error))));
        }
        points
    };
    let flags = |class, word: u32| {
        let set = |constant: &&Constant| constant.class == class && word & constant.value != 0;
        let names = CONSTANTS.iter().filter(set);
        names
            .map(|constant| point(class, constant.name.clone()))
            .collect()
    };
    let known = |class, value, unknown: &str| {
        vec![point(class, named(class, value).unwrap_or(unknown).into())]
    };
    match item {
        Item::Ioctl(number, error) => tried(
            Class::Ioctl,
            Class::IoctlError,
            number,
            "another-ioctl",
            error,
        ),
        Item::Command(word, error) => tried(
            Class::Command,
            Class::CommandError,
            word,
            "another-command",
            error,
        ),
        Item::Return(word) => known(Class::Return, word, "another-return"),
        Item::Object(kind) => known(Class::Object, kind, "another-type"),
        Item::TransactionFlags(word) => flags(Class::TransactionFlag, word),
        Item::NodeFlags(word) => flags(Class::NodeFlag, word),
        Item::BufferFlags(word) => flags(Class::BufferFlag, word),
        Item::Version(version) => known(Class::Version, version, "another-version"),
        Item::ExtendedError(word, parameter) => {
            let name = named(Class::Return, word).unwrap_or("another-return");
            // Tells errors as the kernel does, below zero.
            let why = errno(parameter.saturating_neg());
            vec![point(Class::ExtendedError, format!("{name} {why}"))]
        }
        Item::Map(0) => Vec::new(),
        Item::Map(error) => vec![point(Class::MapError, format!("mmap {}", errno(error)))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use binder_abi::*;
    use std::collections::BTreeSet;

    fn names(item: Item) -> Vec<String> {
        of(item).into_iter().map(|point| point.name).collect()
    }

    #[test]
    fn every_class_has_constants_of_its_own() {
        let classes: BTreeSet<Class> = CONSTANTS.iter().map(|constant| constant.class).collect();
        let constants = Class::ALL.into_iter().filter(|c| *c <= Class::Version);
        assert!(constants.eq(classes));
    }

    #[test]
    fn observations_are_named_as_in_c() {
        assert_eq!(names(Item::Ioctl(BINDER_VERSION, 0)), ["BINDER_VERSION"]);
        assert_eq!(
            names(Item::Ioctl(BINDER_FREEZE, libc::EAGAIN)),
            ["BINDER_FREEZE", "BINDER_FREEZE EAGAIN"]
        );
        assert_eq!(
            names(Item::Ioctl(1, libc::EINVAL)),
            ["another-ioctl EINVAL"]
        );
        assert_eq!(
            names(Item::TransactionFlags(TF_ONE_WAY | TF_CLEAR_BUF)),
            ["TF_ONE_WAY", "TF_CLEAR_BUF"]
        );
        assert_eq!(
            names(Item::NodeFlags(0x07)),
            ["FLAT_BINDER_FLAG_PRIORITY_MASK"]
        );
        assert_eq!(
            names(Item::ExtendedError(BR_FAILED_REPLY, -libc::EPROTO)),
            ["BR_FAILED_REPLY EPROTO"]
        );
        assert_eq!(names(Item::ExtendedError(BR_OK, 0)), ["BR_OK 0"]);
    }
}
