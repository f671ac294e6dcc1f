//! All images of a run, read and encoded.

use std::path::PathBuf;

use rayon::prelude::*;

use super::cache::{self, Encoded, Loaded};
use super::store::Store;
use super::{Event, Run, TrainError};
use crate::dataset::Sample;
use crate::flow::Whitening;
use crate::foreground::Foreground;
use crate::image::{InputImage, Mask};
use crate::options::Checked;

/// Images that are encoded between two reports.
const ENCODE_SHARE: usize = 32;

/// Everything that is read from disk, encoded.
pub(super) struct Images {
    pub normal: Vec<Encoded>,
    /// Where the hosts of pasted anomalies are.
    pub normal_paths: Vec<PathBuf>,
    /// What is looked at of each normal image at the input size; `None` for all of it.
    pub normal_areas: Vec<Option<Foreground>>,
    pub anomalous: Vec<Encoded>,
    /// The anomalies as pixels, to be pasted.
    pub defects: Vec<(InputImage, Mask)>,
    /// SHA-256 of the files, sorted.
    pub sha256: Vec<String>,
}

impl Images {
    /// Reads and encodes every image of the split; one that cannot be used is reported and left out.
    pub(super) fn encode(
        run: &Run<'_>,
        options: &Checked,
        roi: Option<&Foreground>,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Images, TrainError> {
        let mut images = Images {
            normal: Vec::new(),
            normal_paths: Vec::new(),
            normal_areas: Vec::new(),
            anomalous: Vec::new(),
            defects: Vec::new(),
            sha256: Vec::new(),
        };
        let samples: Vec<(&Sample, bool)> = run
            .split
            .train
            .iter()
            .map(|sample| (sample, false))
            .chain(run.split.anomalies.iter().map(|sample| (sample, true)))
            .collect();
        let mut store = Store::new(run.cache_limit, run.cache_folder());
        let mut done = 0;
        for share in samples.chunks(ENCODE_SHARE) {
            if (run.stop)() {
                return Err(TrainError::Stopped);
            }
            let encoded =
                cache::encode_all(share, run.backbone, options.input, |(sample, anomalous), workspace| {
                    let loaded = cache::load(sample, options.input, *anomalous)?;
                    let pyramid = cache::features(run.backbone, &loaded.image, workspace);
                    let area = cache::area_of(options.input, loaded.window, roi);
                    Ok((Encoded::new(pyramid, loaded.mask.as_ref(), area.as_ref()), loaded, area))
                });
            for result in encoded {
                match result {
                    Ok((mut encoded, loaded, area)) => {
                        let mut kept = encoded.features.iter_mut().map(|features| store.keep(features));
                        kept.try_for_each(|kept| kept).map_err(TrainError::Cache)?;
                        images.take(encoded, loaded, area);
                    }
                    Err(error) => progress(Event::Skipped(&error)),
                }
            }
            done += share.len();
            progress(Event::Encoded { done, total: samples.len() });
        }
        if images.normal.is_empty() {
            return Err(TrainError::NoImages { listed: run.split.train.len() });
        }
        images.sha256.sort();
        Ok(images)
    }

    fn take(&mut self, encoded: Encoded, loaded: Loaded, area: Option<Foreground>) {
        self.sha256.push(loaded.sha256);
        match loaded.mask {
            // Good images have no mask; an anomaly whose mask is empty at the input size teaches nothing false as a
            // normal image would, so it stays an anomaly with no anomalous position.
            None => {
                self.normal.push(encoded);
                self.normal_paths.push(loaded.path);
                self.normal_areas.push(area);
            }
            Some(mask) => {
                self.anomalous.push(encoded);
                self.defects.push((loaded.image, mask));
            }
        }
    }

    /// Whitens all features in place with the statistics of the normal ones.
    pub(super) fn whiten(
        &mut self,
        run: &Run<'_>,
        options: &Checked,
    ) -> Result<Vec<Option<Whitening>>, TrainError> {
        let whitenings = self.fit_whitenings(run, options).map_err(TrainError::Cache)?;
        self.apply(&whitenings, run)?;
        Ok(whitenings)
    }

    /// Whitens all features in place, level by level.
    pub(super) fn apply(
        &mut self,
        whitenings: &[Option<Whitening>],
        run: &Run<'_>,
    ) -> Result<(), TrainError> {
        for (level, whitening) in whitenings.iter().enumerate() {
            let Some(prepared) = whitening.as_ref().map(|whitening| whitening.prepare(run.isa)) else {
                continue;
            };
            let images = self.normal.par_iter_mut().chain(self.anomalous.par_iter_mut());
            let whitened = images.try_for_each_init(Vec::new, |buffer, encoded| {
                let features = &mut encoded.features[level];
                let x = features.read(buffer)?;
                let mut white = vec![0.0; x.len()];
                prepared.apply(x, &mut white);
                features.replace(white)
            });
            whitened.map_err(TrainError::Cache)?;
        }
        Ok(())
    }

    fn fit_whitenings(&self, run: &Run<'_>, options: &Checked) -> std::io::Result<Vec<Option<Whitening>>> {
        let whiten_level = |(level, channels): (usize, usize)| {
            if !options.whiten {
                return Ok(None);
            }
            let normal = &self.normal;
            let whitening = Whitening::fit(normal.len(), channels, run.isa, |image, see| {
                let (image, mut buffer) = (&normal[image], Vec::new());
                let x = image.features[level].read(&mut buffer)?;
                match &image.marks {
                    None => see(x),
                    Some(_) => {
                        let rows = x.chunks(channels).enumerate();
                        let inside = rows.filter(|(position, _)| image.is_inside(level, *position));
                        see(&inside.flat_map(|(_, row)| row).copied().collect::<Vec<f32>>());
                    }
                }
                std::io::Result::Ok(())
            })?;
            Ok(Some(whitening))
        };
        run.backbone.channels().into_iter().enumerate().map(whiten_level).collect()
    }
}
