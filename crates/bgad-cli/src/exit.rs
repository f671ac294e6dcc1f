//! Exit codes: what a script can rely on.

use std::process::ExitCode;

use crate::failure::{self, Failure};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done, and nothing is wrong with any part.
    Fine,
    /// Everything was done, and at least one image is not OK.
    DefectsFound,
    /// Something could not be done; what and why is on stderr already.
    Incomplete,
}

impl Outcome {
    fn number(self) -> u8 {
        match self {
            Outcome::Fine => 0,
            Outcome::DefectsFound => 1,
            Outcome::Incomplete => 2,
        }
    }
}

/// Reports a failure, once, and gives the exit code.
pub(crate) fn code(result: Result<Outcome, Failure>) -> ExitCode {
    let outcome = match result {
        Ok(outcome) => outcome,
        // Whoever read our output has seen enough: `bgad inspect ... | head` is no error.
        Err(failure) if failure::is_broken_pipe(failure.as_ref()) => Outcome::Fine,
        Err(failure) => {
            failure::say(failure::chain(failure.as_ref()));
            Outcome::Incomplete
        }
    };
    ExitCode::from(outcome.number())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn outcomes_have_the_documented_numbers() {
        assert_eq!(
            [Outcome::Fine, Outcome::DefectsFound, Outcome::Incomplete].map(Outcome::number),
            [0, 1, 2]
        );
    }

    #[test]
    fn a_broken_pipe_is_success() {
        let broken: Failure = io::Error::from(io::ErrorKind::BrokenPipe).into();
        assert_eq!(code(Err(broken)), ExitCode::SUCCESS);
    }
}
