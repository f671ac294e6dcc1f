//! The identity of a part from the name of its picture.

use std::str::FromStr;

use regex_lite::Regex;

/// A regular expression that takes a part id out of a file name: the group named `id` if there is one, else the first
/// group, else all that matches.
///
/// ```
/// use bgad::record::PartIdPattern;
///
/// let pattern: PartIdPattern = r"SN(\d+)".parse()?;
/// assert_eq!(pattern.part_id("SN0815_top.png").as_deref(), Some("0815"));
/// assert_eq!(pattern.part_id("top.png"), None);
/// # Ok::<(), bgad::record::PartIdError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PartIdPattern(Regex);

/// A pattern that is no regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{pattern}` is no regular expression for part ids such as SN(\\d+): {problem}")]
pub struct PartIdError {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: String,
}

impl PartIdPattern {
    /// The part id in a file name without its folder; `None` if the name does not match, or the id in it is empty.
    pub fn part_id(&self, file_name: &str) -> Option<String> {
        let found = self.0.captures(file_name)?;
        let id = found.name("id").or_else(|| found.get(if self.0.captures_len() > 1 { 1 } else { 0 }))?;
        (!id.as_str().is_empty()).then(|| id.as_str().to_owned())
    }
}

impl FromStr for PartIdPattern {
    type Err = PartIdError;

    fn from_str(pattern: &str) -> Result<PartIdPattern, PartIdError> {
        let error = |error: regex_lite::Error| PartIdError {
            pattern: pattern.to_owned(),
            problem: error.to_string(),
        };
        Regex::new(pattern).map(PartIdPattern).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_named_group_or_the_first_or_all() {
        let cases = [
            (r"\d+", "lot7_0815.png", Some("7")),
            (r"_(\d+)", "lot7_0815.png", Some("0815")),
            (r"(lot)(?<id>\d+)", "lot7_0815.png", Some("7")),
            (r"(?P<id>[^_]+)_", "größe_1.png", Some("größe")),
            (r"SN(\d*)", "SN.png", None),
            (r"SN(\d+)", "0815.png", None),
            (r"(a)|b", "b.png", None),
        ];
        for (pattern, name, want) in cases {
            let pattern = PartIdPattern::from_str(pattern).expect(pattern);
            assert_eq!(pattern.part_id(name).as_deref(), want, "{pattern:?} of {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let error = PartIdPattern::from_str("SN(").expect_err("an open group").to_string();
        assert!(error.starts_with("`SN(` is no regular expression for part ids"), "{error}");
    }
}
