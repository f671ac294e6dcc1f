//! Paths as they can be typed again.

use std::path::Path;

/// The path, in single quotes if a shell would not take it as one word.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,\\".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        let cases = [
            ("out/m.bgad", "out/m.bgad"),
            ("größe.bgad", "größe.bgad"),
            ("my parts", "'my parts'"),
            ("it's", r"'it'\''s'"),
            ("a$b", "'a$b'"),
        ];
        for (path, want) in cases {
            assert_eq!(quoted(Path::new(path)), want);
        }
    }
}
