//! Errors in full, and names from outside as they may be shown: a terminal, a table or a spreadsheet must not obey them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::path::Path;

/// A path for a message or a page, on one line: control characters, such as those that move a terminal's cursor, and
/// characters that turn the direction of text are written as escapes.
pub fn path(path: &Path) -> Shown<'_> {
    Shown(path.to_string_lossy())
}

/// A text for a message, as [`path`] shows a path.
pub fn text(text: &str) -> Shown<'_> {
    Shown(Cow::Borrowed(text))
}

/// An error and its causes, on one line. A cause that is part of the text already is not said twice.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// A text for a cell of a CSV file: a spreadsheet takes what begins with `=`, `+`, `-`, `@`, a tabulator or a line break for a
/// formula, so such a text gets an apostrophe in front. What a terminal would obey is written as an escape, but for line breaks and
/// tabulators. Not for numbers. Quotes are the business of whoever writes the file.
pub fn cell(text: &str) -> Cow<'_, str> {
    let text = lines(text);
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => Cow::Owned(format!("'{text}")),
        false => text,
    }
}

/// A text of several lines for a terminal: as [`text`], but line breaks and tabulators stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    let is_obeyed = |letter: char| is_active(letter) && !matches!(letter, '\n' | '\r' | '\t');
    match text.contains(is_obeyed) {
        false => Cow::Borrowed(text),
        true => {
            let escaped = |letter: char| match is_obeyed(letter) {
                true => letter.escape_default().collect(),
                false => String::from(letter),
            };
            Cow::Owned(text.chars().map(escaped).collect())
        }
    }
}

/// Control characters, and those that turn the direction of text.
fn is_active(letter: char) -> bool {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns
}

/// Names in the order in which a person counts: `part 2` before `part 10`, whatever the number of zeros in front.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while let (Some(x), Some(y)) = (a_rest.chars().next(), b_rest.chars().next()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut a_rest), number(&mut b_rest));
            // Without zeros in front the longer number is the larger one.
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (a_rest, b_rest) = (&a_rest[x.len_utf8()..], &b_rest[y.len_utf8()..]);
            x.cmp(&y)
        };
        if order.is_ne() {
            return order;
        }
    }
    a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b))
}

/// Takes the digits that a text begins with; returns them without zeros in front.
fn number<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}

/// A name that is safe to show; see [`path`].
#[derive(Clone, Debug)]
pub struct Shown<'a>(Cow<'a, str>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                letter if is_active(letter) => write!(f, "{}", letter.escape_default())?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_counted() {
        let mut names = ["part 10", "part 2", "part 02b", "part", "part 9/10", "part 9/9", "q1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["part", "part 2", "part 02b", "part 9/9", "part 9/10", "part 10", "q1"]);
        assert_eq!(natural("a01", "a1"), Ordering::Less);
        assert_eq!(natural("a1", "a1"), Ordering::Equal);
    }

    #[test]
    fn names_cannot_move_the_cursor_or_start_a_formula() {
        let cases = [
            ("größe 1.png", "größe 1.png"),
            ("a\nb.png", "a\\nb.png"),
            ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("a\u{9b}b\u{202e}gnp", "a\\u{9b}b\\u{202e}gnp"),
        ];
        for (name, want) in cases {
            assert_eq!(path(Path::new(name)).to_string(), want);
        }
        assert_eq!(cell("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(cell("a=1"), "a=1");
        assert_eq!(cell("\n=1"), "'\n=1");
        assert_eq!(cell("a\u{1b}[2J\tb"), "a\\u{1b}[2J\tb");
        assert_eq!(lines("a\nb\tc\u{1b}d"), "a\nb\tc\\u{1b}d");
    }
}
