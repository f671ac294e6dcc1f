//! Anomalies that need no real one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::OptionError;
use crate::written::written_as_text;

/// Kinds of anomalies that need no real one. Written `nsa,perlin`, either of the two, or `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PseudoKinds {
    /// Patches of good images, Poisson-blended.
    pub nsa: bool,
    /// Textures under a mask of noise.
    pub perlin: bool,
}

impl PseudoKinds {
    /// Both.
    pub const ALL: PseudoKinds = PseudoKinds { nsa: true, perlin: true };

    /// Whether there is any.
    pub fn any(self) -> bool {
        self.nsa || self.perlin
    }
}

impl FromStr for PseudoKinds {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<PseudoKinds, OptionError> {
        let wrong = || OptionError {
            option: "pseudo",
            found: text.to_owned(),
            allowed: "nsa, perlin, nsa,perlin or none",
        };
        let mut kinds = PseudoKinds::default();
        if text.trim() == "none" {
            return Ok(kinds);
        }
        for kind in text.split(',') {
            match kind.trim() {
                "nsa" => kinds.nsa = true,
                "perlin" => kinds.perlin = true,
                _ => return Err(wrong()),
            }
        }
        Ok(kinds)
    }
}

written_as_text!(PseudoKinds);

impl fmt::Display for PseudoKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.nsa, self.perlin) {
            (true, true) => "nsa,perlin",
            (true, false) => "nsa",
            (false, true) => "perlin",
            (false, false) => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudo_kinds_are_read_and_written() {
        for text in ["nsa", "perlin", "nsa,perlin", "none"] {
            assert_eq!(text.parse::<PseudoKinds>().expect(text).to_string(), text);
        }
        assert_eq!("perlin, nsa".parse(), Ok(PseudoKinds::ALL));
        for text in ["", "NSA", "nsa,", "none,nsa", "gan"] {
            assert_eq!(text.parse::<PseudoKinds>().map_err(|e| e.option), Err("pseudo"), "{text}");
        }
    }
}
