//! The anomalies that a pass shows besides the real ones: made anew every time.
//!
//! ```text
//! index   0 .. P         CutPaste of defect `index mod D`,            P = D · repeats
//!         P .. P + Q     NSA or Perlin, in turn if both are asked for,  Q = share · normal images
//! ```
//!
//! What is made depends on `(seed, pass, index)` alone.

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::order::{Purpose, stream};
use crate::augment::{Host, Made, cut_paste, nsa, perlin};
use crate::foreground::Foreground;
use crate::image::{InputImage, Mask};
use crate::options::TrainOptions;
use crate::tiles::Source;

/// Tries at an anomaly before the pass goes on without it.
const TRIES: usize = 10;

/// Makes anomalies from images.
#[derive(Clone, Copy, Debug)]
pub struct Maker<'a> {
    /// The choices: strategies, blend, input size and seed.
    pub options: &'a TrainOptions,
    /// Real defects at the input size.
    pub defects: &'a [(InputImage, Mask)],
    /// The normal images.
    pub hosts: &'a [Source],
    /// Where the part is in each of them, at the input size.
    pub foregrounds: &'a [Foreground],
    /// The user's textures at the input size.
    pub textures: &'a [InputImage],
}

/// An anomaly and what it was made from.
#[derive(Clone, Debug)]
pub struct FromHost {
    /// The anomaly.
    pub made: Made,
    /// Which of [`Maker::hosts`] it was put into.
    pub host: usize,
    /// Which of [`Maker::defects`] it is; `None` for one that needed none.
    pub defect: Option<usize>,
}

/// Anomalies that a pass makes of so many known defects and normal images: pasted ones, and those that need no real one.
pub(super) fn made_per_pass(options: &TrainOptions, defects: usize, hosts: usize) -> [usize; 2] {
    let share = options.pseudo_share * hosts as f32;
    [
        if options.cutpaste { defects * options.repeats } else { 0 },
        if options.pseudo.any() { share.ceil() as usize } else { 0 },
    ]
}

impl Maker<'_> {
    /// Anomalies of a pass.
    pub fn per_pass(&self) -> usize {
        let [pasted, pseudo] = self.of_each_kind();
        pasted + pseudo
    }

    fn of_each_kind(&self) -> [usize; 2] {
        made_per_pass(self.options, self.defects.len(), self.hosts.len())
    }

    /// Anomaly `index` of pass `pass`; `None` if nothing visible came out in several tries, or no host can be read.
    pub fn make(&self, pass: usize, index: usize) -> Option<FromHost> {
        let mut rng = ChaCha8Rng::from_seed(stream(self.options.seed, Purpose::Paste, pass, index));
        let [pasted, _] = self.of_each_kind();
        let load = |index: usize| self.hosts[index].load(self.options.input, self.options.bit_depth).ok();
        (0..TRIES).find_map(|_| {
            let host = rng.random_range(0..self.hosts.len());
            let image = load(host)?;
            let on = Host { image: &image, foreground: &self.foregrounds[host] };
            if index < pasted {
                let defect = index % self.defects.len();
                let (source, mask) = &self.defects[defect];
                let made = cut_paste(source, mask, on, self.options.blend, &mut rng)?;
                return Some(FromHost { made, host, defect: Some(defect) });
            }
            let kinds = self.options.pseudo;
            let made = if kinds.nsa && !(kinds.perlin && (index - pasted) % 2 == 1) {
                let other = rng.random_range(0..self.hosts.len());
                let source = load(other)?;
                nsa(Host { image: &source, foreground: &self.foregrounds[other] }, on, &mut rng)?
            } else {
                perlin(self.textures, on, &mut rng)?
            };
            Some(FromHost { made, host, defect: None })
        })
    }
}
