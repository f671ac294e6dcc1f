//! Errors on their way to the user: one line, `bgad: message: cause: cause`.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};

use bgad::printable;
pub(crate) use bgad::printable::chain;

/// Anything that ends a command.
pub(crate) type Failure = Box<dyn Error>;

/// An error with a sentence in front of it.
#[derive(Debug)]
struct Context {
    message: String,
    source: Failure,
}

impl Display for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Context {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Puts a sentence in front of an error.
pub(crate) fn context(message: impl Into<String>, source: impl Into<Failure>) -> Failure {
    Box::new(Context { message: message.into(), source: source.into() })
}

/// So many of something, in words: `1 image`, `2 images`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// What is said of files that a result is without.
pub(crate) fn skipped(number: usize, result: &str) -> String {
    let verb = if number == 1 { "was" } else { "were" };
    format!("{} {verb} skipped, see above; {result}", count(number, "file"))
}

/// A line on stderr. Whatever names it has in it, the terminal obeys none of them.
pub(crate) fn say(message: impl Display) {
    let message = message.to_string();
    // A stderr that is closed leaves nobody to tell.
    let _ = writeln!(io::stderr(), "bgad: {}", printable::lines(&message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(skipped(1, "done"), "1 file was skipped, see above; done");
        assert_eq!(skipped(0, "done"), "0 files were skipped, see above; done");
        assert_eq!(count(2, "image"), "2 images");
    }

    #[test]
    fn a_chain_says_each_thing_once() {
        let root = || io::Error::other("no space left");
        let cases = [
            (context("cannot write m.bgad", root()), "cannot write m.bgad: no space left"),
            (context("cannot write m.bgad: no space left", root()), "cannot write m.bgad: no space left"),
            (context("training", context("checkpoint", root())), "training: checkpoint: no space left"),
            (Failure::from("nothing to do"), "nothing to do"),
        ];
        for (failure, want) in cases {
            assert_eq!(chain(failure.as_ref()), want);
        }
    }
}
