//! The `score` recording, for tests: three levels of log-likelihood of 12 images, the authors' maps and
//! metrics.

use std::{collections::HashMap, env, fs, path::PathBuf};

use safetensors::SafeTensors;

/// The recording with its arrays in plain vectors.
pub(crate) struct RecordedScore {
    pub(crate) images: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    /// The authors' anomaly maps `[images, h, w]`, `max(S) − S`.
    pub(crate) maps: Vec<f32>,
    /// Ground truth `[images, h, w]`.
    masks: Vec<u8>,
    /// The authors' image scores `[images]`.
    pub(crate) image_scores: Vec<f32>,
    /// Per level: `logp_per_channel [images, h_l, w_l]` with `h_l, w_l`.
    pub(crate) levels: Vec<(Vec<f32>, usize, usize)>,
    metadata: HashMap<String, String>,
}

impl RecordedScore {
    /// Reads `score.safetensors` from `BGAD_GOLDEN`, or from the workspace's `golden/`.
    pub(crate) fn read() -> RecordedScore {
        let directory = env::var_os("BGAD_GOLDEN").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden")),
            PathBuf::from,
        );
        let path = directory.join("score.safetensors");
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let floats = |name: &str| -> (Vec<f32>, Vec<usize>) {
            let tensor = file.tensor(name).unwrap();
            let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            (values.collect(), tensor.shape().to_vec())
        };
        let (maps, shape) = floats("anomaly_map");
        let levels =
            (0..3).map(|l| floats(&format!("logp_level{l}"))).map(|(v, s)| (v, s[1], s[2])).collect();
        RecordedScore {
            images: shape[0],
            h: shape[1],
            w: shape[2],
            maps,
            masks: file.tensor("mask").unwrap().data().to_vec(),
            image_scores: floats("image_score").0,
            levels,
            metadata: header.metadata().clone().unwrap(),
        }
    }

    /// The authors' anomaly map `[h, w]` of one image.
    pub(crate) fn map(&self, image: usize) -> &[f32] {
        &self.maps[image * self.h * self.w..][..self.h * self.w]
    }

    /// The mask `[h, w]` of one image.
    pub(crate) fn mask(&self, image: usize) -> &[u8] {
        &self.masks[image * self.h * self.w..][..self.h * self.w]
    }

    /// Whether each image has an anomalous pixel.
    pub(crate) fn image_labels(&self) -> Vec<bool> {
        (0..self.images).map(|i| self.mask(i).contains(&1)).collect()
    }

    /// A number of the metadata.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.metadata[name].parse().unwrap()
    }
}
