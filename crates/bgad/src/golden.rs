//! Recorded numbers for tests: `BGAD_GOLDEN=DIR` or the `golden/` folder of the workspace.

use std::path::PathBuf;

/// One recording.
pub(crate) struct Golden {
    name: String,
    bytes: Vec<u8>,
}

impl Golden {
    /// Where recordings are read from.
    pub(crate) fn directory() -> PathBuf {
        std::env::var_os("BGAD_GOLDEN")
            .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden").into(), PathBuf::from)
    }

    pub(crate) fn open(name: &str) -> Golden {
        let path = Golden::directory().join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("recording {}: {e}", path.display()));
        Golden { name: name.into(), bytes }
    }

    fn tensors(&self) -> safetensors::SafeTensors<'_> {
        safetensors::SafeTensors::deserialize(&self.bytes).expect("a recording is a safetensors file")
    }

    /// Whether there is such a tensor.
    pub(crate) fn has(&self, tensor: &str) -> bool {
        self.tensors().tensor(tensor).is_ok()
    }

    /// The values of a tensor.
    pub(crate) fn f32(&self, tensor: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let view = tensors.tensor(tensor).unwrap_or_else(|e| panic!("{}: {tensor}: {e}", self.name));
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
    }

    /// Indices, whatever their width.
    pub(crate) fn positions(&self) -> Vec<u32> {
        let tensors = self.tensors();
        let view = tensors.tensor("position_index").expect("positions");
        let width = view.data().len() / view.shape()[0];
        view.data()
            .chunks_exact(width)
            .map(|b| u32::from_le_bytes(b[..4].try_into().expect("four bytes")))
            .collect()
    }

    /// A number of the metadata.
    pub(crate) fn metadata(&self, key: &str) -> f64 {
        let (_, header) = safetensors::SafeTensors::read_metadata(&self.bytes).expect("a header");
        let map = header.metadata().as_ref().expect("metadata");
        map.get(key).unwrap_or_else(|| panic!("{}: no {key}", self.name)).parse().expect("a number")
    }
}
