//! What log-likelihoods are divided by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::OptionError;

/// `ν`: what log-likelihoods are divided by before the boundary. Written as a number, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrText", into = "NumberOrText")]
pub enum Normalizer {
    /// The same for every level.
    Fixed(f32),
    /// Of each level the median of `|l|` of the normal positions, once the flows have learned from them alone.
    Estimated,
}

impl FromStr for Normalizer {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Normalizer, OptionError> {
        match text.trim().parse::<f32>() {
            Ok(number) => Ok(Normalizer::Fixed(number)),
            Err(_) if text.trim() == "auto" => Ok(Normalizer::Estimated),
            Err(_) => {
                Err(OptionError { option: "normalizer", found: text.to_owned(), allowed: NORMALIZER_ALLOWED })
            }
        }
    }
}

pub(super) const NORMALIZER_ALLOWED: &str = "a positive number or auto";

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(f32),
    Text(String),
}

impl TryFrom<NumberOrText> for Normalizer {
    type Error = OptionError;

    fn try_from(value: NumberOrText) -> Result<Normalizer, OptionError> {
        match value {
            NumberOrText::Number(number) => Ok(Normalizer::Fixed(number)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl From<Normalizer> for NumberOrText {
    fn from(normalizer: Normalizer) -> NumberOrText {
        match normalizer {
            Normalizer::Fixed(number) => NumberOrText::Number(number),
            Normalizer::Estimated => NumberOrText::Text(normalizer.to_string()),
        }
    }
}

impl fmt::Display for Normalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Normalizer::Fixed(number) => number.fmt(f),
            Normalizer::Estimated => f.write_str("auto"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Preset, TrainOptions};

    #[test]
    fn normalizers_are_read_and_written() {
        for (text, normalizer) in [("10", Normalizer::Fixed(10.0)), ("auto", Normalizer::Estimated)] {
            assert_eq!(text.parse(), Ok(normalizer));
            let json = serde_json::to_string(&normalizer).expect("plain values");
            assert_eq!(serde_json::from_str::<Normalizer>(&json).expect("its own"), normalizer);
        }
        assert_eq!("median".parse::<Normalizer>().map_err(|e| e.option), Err("normalizer"));
        for number in [0.0, -1.0, f32::NAN] {
            let options =
                TrainOptions { normalizer: Normalizer::Fixed(number), ..TrainOptions::preset(Preset::Fast) };
            assert_eq!(options.check().map(|_| ()).map_err(|e| e.option), Err("normalizer"), "{number}");
        }
    }
}
