//! What the commands take from the machine: threads and instruction set.

use std::env;

use bgad_kernels::Isa;

use crate::failure::{Failure, context};

/// Environment variable that forces an instruction set.
const ISA: &str = "BGAD_ISA";

/// Uses so many threads; `None` for one per core. Results do not depend on it.
pub(crate) fn use_threads(threads: Option<usize>) -> Result<(), Failure> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build_global()
        .map_err(|error| context("cannot start the threads", error))
}

/// The fastest instruction set, or the one that `BGAD_ISA` names.
pub(crate) fn isa() -> Result<Isa, Failure> {
    let Some(asked) = env::var_os(ISA).filter(|asked| !asked.is_empty()) else { return Ok(Isa::best()) };
    let asked = asked.to_string_lossy();
    Isa::named(&asked).ok_or_else(|| {
        let there: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        format!("{ISA} is {asked}, this machine has {}", there.join(", ")).into()
    })
}
