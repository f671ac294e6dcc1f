//! One level of a detector: features to log-likelihoods.

use std::sync::Mutex;

use bgad_kernels::Isa;
use rayon::prelude::*;

use crate::flow::{Flow, Positions, Prepared, PreparedWhitening, Scratch, Whitening};

/// Positions that one thread takes at a time.
const SHARE: usize = 512;

/// A trained flow, packed, and where each position of its map is.
#[derive(Debug)]
pub(crate) struct ScoringLevel {
    flow: Prepared,
    whitening: Option<PreparedWhitening>,
    pub(crate) height: usize,
    pub(crate) width: usize,
    column: Vec<u32>,
    row: Vec<u32>,
    /// Buffers not in use: those of the flow, and whitened features.
    free: Mutex<Vec<(Scratch, Vec<f32>)>>,
}

impl ScoringLevel {
    /// Packs a flow for a map of `height` by `width`. Without `whitening` features are taken as they come.
    pub(crate) fn new(
        flow: &Flow,
        whitening: Option<&Whitening>,
        (height, width): (usize, usize),
        anywhere: bool,
        isa: Isa,
    ) -> ScoringLevel {
        // Tiles have no place of their own.
        let place = |at: usize| if anywhere { 0 } else { at as u32 };
        ScoringLevel {
            flow: Prepared::on(isa, flow, (width, height), false),
            whitening: whitening.map(|w| w.prepare(isa)),
            height,
            width,
            column: (0..height * width).map(|i| place(i % width)).collect(),
            row: (0..height * width).map(|i| place(i / width)).collect(),
            free: Mutex::default(),
        }
    }

    /// Log-likelihood per channel of every position of a feature map, `[height, width, C]`; shared between the threads of
    /// the pool, the result is the same for any number of them.
    pub(crate) fn logp(&self, features: &[f32]) -> Vec<f32> {
        let c = self.flow.shape().channels;
        let mut out = vec![0.0; self.height * self.width];
        assert_eq!(features.len(), out.len() * c, "a map of {} by {}", self.height, self.width);
        let free = || self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        out.par_chunks_mut(SHARE).enumerate().for_each(|(i, out)| {
            let buffers = free().pop();
            let (mut scratch, mut white) = buffers.unwrap_or_else(|| (Scratch::new(&self.flow), Vec::new()));
            let range = i * SHARE..i * SHARE + out.len();
            let mut x = &features[range.start * c..range.end * c];
            if let Some(whitening) = &self.whitening {
                white.resize(x.len(), 0.0);
                whitening.apply(x, &mut white);
                x = &white;
            }
            let at = Positions { column: &self.column[range.clone()], row: &self.row[range] };
            self.flow.likelihood(x, at, &mut scratch, out);
            free().push((scratch, white));
        });
        out
    }
}
