//! How long to train.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::OptionError;
use crate::written::written_as_text;

/// How long to train: meta-epochs, each of some passes over the images. Written `25x8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    /// Meta-epochs: the learning rate changes from one to the next, and a checkpoint is written after each.
    pub meta_epochs: usize,
    /// Passes over the images within a meta-epoch.
    pub sub_epochs: usize,
}

pub(super) const SCHEDULE_ALLOWED: &str = "meta-epochs x passes, both 1 to 10000, as in 25x8";

impl Schedule {
    /// Whether both numbers are within their limits.
    pub(super) fn is_allowed(self) -> bool {
        [self.meta_epochs, self.sub_epochs].iter().all(|n| (1..=10_000).contains(n))
    }

    /// Passes over the images altogether.
    pub fn passes(self) -> usize {
        self.meta_epochs * self.sub_epochs
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.meta_epochs, self.sub_epochs)
    }
}

impl FromStr for Schedule {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Schedule, OptionError> {
        let number = |text: &str| text.trim().parse().ok();
        text.split_once(['x', 'X'])
            .and_then(|(meta, sub)| Some(Schedule { meta_epochs: number(meta)?, sub_epochs: number(sub)? }))
            .filter(|schedule| schedule.is_allowed())
            .ok_or_else(|| OptionError {
                option: "schedule",
                found: text.to_owned(),
                allowed: SCHEDULE_ALLOWED,
            })
    }
}

written_as_text!(Schedule);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_and_written() {
        assert_eq!("25x8".parse(), Ok(Schedule { meta_epochs: 25, sub_epochs: 8 }));
        for text in ["", "5", "0x2", "5x0", "5x", "x5", "-1x2", "5x2x1", "10001x1"] {
            let error = text.parse::<Schedule>().expect_err(text);
            assert_eq!((error.option, error.found.as_str()), ("schedule", text));
        }
    }
}
