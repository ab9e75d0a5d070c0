// SPDX-License-Identifier: GPL-2.0

//! What the profiler's plugin wrote: the instructions and steps of each window.

use anyhow::{Context, Result, bail, ensure};

/// All that ran between a pair of marks.
#[derive(Debug, Default)]
pub struct Window {
    /// Addresses of instructions, with how often each ran.
    pub instructions: Vec<(u64, u64)>,
    /// Steps from a block's last instruction to another's first, with how often each was made.
    pub steps: Vec<(u64, u64, u64)>,
    /// All instructions together, as the plugin summed them up.
    pub total: u64,
}

/// Reads the plugin's file.
pub fn parse(text: &str) -> Result<Vec<Window>> {
    let mut windows = Vec::new();
    let mut open: Option<Window> = None;
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let result = (|| {
            match (kind, &mut open) {
                ("window", None) => open = Some(Window::default()),
                ("i", Some(window)) => {
                    let entry = (hexadecimal(words.next())?, decimal(words.next())?);
                    window.instructions.push(entry);
                }
                ("e", Some(window)) => {
                    let from = hexadecimal(words.next())?;
                    let to = hexadecimal(words.next())?;
                    window.steps.push((from, to, decimal(words.next())?));
                }
                ("end", Some(window)) => {
                    window.total = decimal(words.next())?;
                    windows.extend(open.take());
                }
                _ => bail!("not expected here"),
            }
            Ok(())
        })();
        result.with_context(|| format!("line {} of the profile: {line}", index + 1))?;
    }
    ensure!(open.is_none(), "the profile ends inside a window");
    Ok(windows)
}

fn hexadecimal(word: Option<&str>) -> Result<u64> {
    Ok(u64::from_str_radix(
        word.context("an address is missing")?,
        16,
    )?)
}

fn decimal(word: Option<&str>) -> Result<u64> {
    Ok(word.context("a number is missing")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_told_apart() {
        let windows = parse("window 0\ni ff 2\ne ff a0 1\nend 2\nwindow 1\nend 0\n").unwrap();
        assert_eq!(windows.len(), 2);
        assert_eq!(windows[0].instructions, [(0xff, 2)]);
        assert_eq!(windows[0].steps, [(0xff, 0xa0, 1)]);
        assert_eq!(windows[0].total, 2);
        assert!(windows[1].instructions.is_empty());
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        for text in [
            "i ff 2\n",
            "window 0\ni xy 2\nend 2\n",
            "window 0\ni ff\nend 2\n",
            "window 0\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let error = format!("{:#}", parse("window 0\nx\n").unwrap_err());
        assert!(error.contains("line 2"), "{error}");
    }
}
