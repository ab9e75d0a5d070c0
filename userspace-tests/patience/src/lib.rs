// SPDX-License-Identifier: GPL-2.0

//! How long tests wait before they call something a hang.
//!
//! Limits only tell a hang from a slow machine; nothing is measured with them. The variable
//! `BINDER_TEST_SCALE` multiplies them, for kernels and machines that are slow.

use std::env;
use std::sync::OnceLock;
use std::time::Duration;

/// The limit on this machine, for what takes at most `usual` on others.
///
/// # Panics
///
/// When `BINDER_TEST_SCALE` is no positive number.
pub fn at_most(usual: Duration) -> Duration {
    static SCALE: OnceLock<f64> = OnceLock::new();
    let scale = SCALE.get_or_init(|| scale(env::var("BINDER_TEST_SCALE").ok().as_deref()));
    usual.mul_f64(*scale)
}

/// The same, in seconds.
pub fn seconds(usual: u64) -> Duration {
    at_most(Duration::from_secs(usual))
}

fn scale(text: Option<&str>) -> f64 {
    let Some(text) = text else { return 1.0 };
    match text.parse::<f64>() {
        Ok(scale) if scale > 0.0 && scale.is_finite() => scale,
        _ => panic!("BINDER_TEST_SCALE={text} is not a positive number"),
    }
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn scales() {
        assert_eq!(scale(None), 1.0);
        assert_eq!(scale(Some("12")), 12.0);
        assert_eq!(scale(Some("0.5")), 0.5);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "0", "-1", "inf", "nan", "fast"] {
            assert!(
                std::panic::catch_unwind(|| scale(Some(text))).is_err(),
                "{text}"
            );
        }
    }
}
