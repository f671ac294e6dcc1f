//! Paths and other text from outside as a terminal may show it, and as it can be typed again.

use std::borrow::Cow;
use std::path::Path;

/// Text without control characters and without those that turn its direction: they could hide or forge a line.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let hides = |c: char| {
        c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if hides(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// A number and what it counts: `1 image`, `2 images`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

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
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(printable("größe 1.png"), "größe 1.png");
        assert_eq!(printable("a\x1b[31m\nNG.png"), r"a\u{1b}[31m\nNG.png");
        assert_eq!(printable("gnp.\u{202e}exe"), r"gnp.\u{202e}exe");
    }

    #[test]
    fn plurals_are_right() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "image")), ["0 images", "1 image", "2 images"]);
    }

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
