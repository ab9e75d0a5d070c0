// SPDX-License-Identifier: GPL-2.0

//! Assertions that are errors, not panics, and say where they stand.

/// Fails unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            ::anyhow::bail!("{}:{}: {}", file!(), line!(), format_args!($($message)+));
        }
    };
    ($condition:expr) => {
        $crate::check!($condition, "{}", stringify!($condition))
    };
}

/// Fails unless both sides are equal.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr $(, $($message:tt)+)?) => {
        match (&$left, &$right) {
            (left, right) => if *left != *right {
                ::anyhow::bail!(
                    "{}:{}: {} is {:?}, expected {:?}{}",
                    file!(), line!(), stringify!($left), left, right,
                    ::std::string::String::new() $(+ &format!(" ({})", format_args!($($message)+)))?
                );
            }
        }
    };
}

/// Fails unless the returns have exactly the codes listed, in that order.
#[macro_export]
macro_rules! check_returns {
    ($returns:expr, [$($code:ident),* $(,)?]) => {{
        let returns = &$returns;
        let expected: &[u32] = &[$(::binder_abi::$code),*];
        let actual: ::std::vec::Vec<u32> = returns.iter().map(|r| r.code()).collect();
        if actual != expected {
            let expected: &[&str] = &[$(stringify!($code)),*];
            ::anyhow::bail!("{}:{}: returned {:?}, expected {:?}", file!(), line!(), returns, expected);
        }
    }};
}
