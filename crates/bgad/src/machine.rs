//! What the machine offers: the instruction set that every kernel of the library runs on.
//!
//! It is the fastest one that the processor has, or the one that the environment variable `BGAD_ISA` names. This is the only place that
//! asks; a [`Backbone`](crate::backbone::Backbone) keeps the answer, and everything that computes with its features takes it from there.

use std::env;
use std::sync::OnceLock;

use bgad_kernels::Isa;

/// Environment variable that forces an instruction set.
const VARIABLE: &str = "BGAD_ISA";

/// `BGAD_ISA` names an instruction set that this machine does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE} is {found}, this machine has {}", available.join(", "))]
pub struct InstructionSetError {
    /// What was asked for.
    pub found: String,
    /// Those there are, the fastest first.
    pub available: Vec<&'static str>,
}

/// The name of the instruction set in use: `avx512`, `avx2`, `neon` or `portable`.
///
/// # Errors
///
/// An [`InstructionSetError`] if `BGAD_ISA` names none of this machine.
pub fn instruction_set() -> Result<&'static str, InstructionSetError> {
    isa().map(Isa::name)
}

/// The instruction set in use. The environment is read once.
pub(crate) fn isa() -> Result<Isa, InstructionSetError> {
    static CHOSEN: OnceLock<Result<Isa, InstructionSetError>> = OnceLock::new();
    CHOSEN.get_or_init(|| chosen(&env::var_os(VARIABLE).unwrap_or_default().to_string_lossy())).clone()
}

/// The one that is asked for by name; the fastest for no name.
fn chosen(asked: &str) -> Result<Isa, InstructionSetError> {
    if asked.is_empty() {
        return Ok(Isa::best());
    }
    Isa::named(asked).ok_or_else(|| InstructionSetError {
        found: asked.to_owned(),
        available: Isa::available().into_iter().map(Isa::name).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_obeyed_or_refused() {
        assert_eq!(chosen(""), Ok(Isa::best()));
        assert_eq!(chosen("portable").map(Isa::name), Ok("portable"));
        let refused = chosen("sse9").expect_err("no such instruction set").to_string();
        assert!(refused.starts_with("BGAD_ISA is sse9, this machine has "), "{refused}");
        assert!(refused.ends_with("portable"), "{refused}");
    }
}
