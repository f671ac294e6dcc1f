//! Exit codes: what a script can rely on. They are decided here, from what was done and judged, never from what was printed.

use std::process::ExitCode;

use crate::failure::{self, Failure};
use crate::out;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All that was asked was done, and nothing is wrong with any part.
    Fine,
    /// All that was asked was done, and at least one image is not OK.
    DefectsFound,
    /// Something could not be done; what and why is on stderr already.
    Incomplete,
}

impl Outcome {
    /// Of a command that found `faults` and left out `skipped`.
    pub(crate) fn of(faults: usize, skipped: usize) -> Outcome {
        match (faults, skipped) {
            (0, 0) => Outcome::Fine,
            (_, 0) => Outcome::DefectsFound,
            _ => Outcome::Incomplete,
        }
    }

    fn number(self) -> u8 {
        match self {
            Outcome::Fine => 0,
            Outcome::DefectsFound => 1,
            Outcome::Incomplete => 2,
        }
    }
}

/// Reports a failure, once, and gives the exit code. Text that was lost is a failure too, unless nobody reads it.
pub(crate) fn code(result: Result<Outcome, Failure>) -> ExitCode {
    let outcome = result.unwrap_or_else(|failure| {
        failure::say(failure::chain(failure.as_ref()));
        Outcome::Incomplete
    });
    ExitCode::from(with_text(outcome, out::failure()).number())
}

fn with_text(outcome: Outcome, lost: Option<String>) -> Outcome {
    let Some(why) = lost else { return outcome };
    failure::say(format_args!("cannot write to stdout: {why}; everything else was done"));
    Outcome::Incomplete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_the_documented_numbers() {
        let cases = [((0, 0), 0), ((3, 0), 1), ((0, 1), 2), ((3, 1), 2)];
        for ((faults, skipped), number) in cases {
            assert_eq!(Outcome::of(faults, skipped).number(), number, "{faults} faults, {skipped} skipped");
        }
    }

    #[test]
    fn lost_text_never_makes_a_verdict_better() {
        for outcome in [Outcome::Fine, Outcome::DefectsFound, Outcome::Incomplete] {
            assert_eq!(with_text(outcome, None), outcome);
            assert_eq!(with_text(outcome, Some("full".to_owned())), Outcome::Incomplete);
        }
    }
}
