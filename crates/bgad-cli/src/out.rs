//! Standard output. Nothing else in this program writes there.
//!
//! Text is the last thing a command makes, and its failure changes neither the work nor the verdict: writing here never
//! fails for the caller. A reader that has gone away silences the text. Anything else, a full disk for instance, is
//! remembered, and [`exit`](crate::exit) makes it exit code 2.

use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use console::Term;

/// What has become of stdout.
enum State {
    Open,
    /// Nobody reads it any more.
    Gone,
    Failed(io::Error),
}

static STATE: Mutex<State> = Mutex::new(State::Open);

/// Text on its way to stdout.
pub(crate) struct Text(BufWriter<io::Stdout>);

/// Standard output as a writer that cannot fail.
pub(crate) fn text() -> Text {
    Text(BufWriter::new(io::stdout()))
}

/// How wide the terminal is that stdout is; `None` if it is none.
pub(crate) fn terminal_columns() -> Option<usize> {
    io::stdout().is_terminal().then(|| usize::from(Term::stdout().size().1))
}

impl Text {
    fn attempt(&mut self, write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<()>) {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Open)
            && let Err(error) = write(&mut self.0)
        {
            *state = match error.kind() {
                ErrorKind::BrokenPipe => State::Gone,
                _ => State::Failed(error),
            };
        }
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(BufWriter::flush);
        Ok(())
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.attempt(BufWriter::flush);
    }
}

/// The help or the version that was asked for.
pub(crate) fn help(said: &clap::Error) {
    text().attempt(|_| said.print());
}

/// Why text was lost that somebody may still wait for; `None` if all of it was written, or nobody reads it.
pub(crate) fn failure() -> Option<String> {
    match &*STATE.lock().unwrap_or_else(PoisonError::into_inner) {
        State::Failed(error) => Some(error.to_string()),
        State::Open | State::Gone => None,
    }
}
