//! All images of a run, read and encoded.

use std::path::PathBuf;

use rayon::prelude::*;

use super::cache::{self, Encoded, Loaded};
use super::store::Store;
use super::{Event, Run, TrainError, reference};
use crate::backbone::Workspace;
use crate::dataset::{Sample, content_hash};
use crate::flow::Whitening;
use crate::foreground::Foreground;
use crate::image::{InputImage, Mask};
use crate::options::{Checked, OptionError};
use crate::score::{Means, PartKind, area_of};
use crate::tiles::{Source, Tiling};

/// Images that are encoded between two reports.
const ENCODE_SHARE: usize = 32;

/// Everything that is read from disk, encoded.
pub(super) struct Images {
    pub normal: Vec<Encoded>,
    /// Where the hosts of pasted anomalies are.
    pub normal_sources: Vec<Source>,
    /// What describes the regions of each normal image, for each part of regions that the score has.
    pub normal_regions: Vec<Vec<Means>>,
    /// Good images that were kept from the flows.
    pub kept: Vec<PathBuf>,
    /// The good images that they were chosen among: the first ones of the split.
    pub first: usize,
    /// What is looked at of each normal image at the input size; `None` for all of it.
    pub normal_areas: Vec<Option<Foreground>>,
    pub anomalous: Vec<Encoded>,
    /// Anomalies of which nothing more is known.
    pub weak: Vec<Encoded>,
    /// The anomalies as pixels, to be pasted.
    pub defects: Vec<(InputImage, Mask)>,
    /// SHA-256 of the files, sorted.
    pub sha256: Vec<String>,
    /// Normal and anomalous files; of tiled ones there are more images.
    pub files: [usize; 2],
}

impl Images {
    /// Reads and encodes every image of the split; one that cannot be used is reported and left out. The `first` good images are those that
    /// the flows have begun with.
    pub(super) fn encode(
        run: &Run<'_>,
        first: usize,
        options: &Checked,
        roi: Option<&Foreground>,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Images, TrainError> {
        if run.backbone.levels() != options.levels {
            return Err(TrainError::Options(OptionError {
                option: "levels",
                found: options.levels.to_string(),
                allowed: "those of the backbone",
            }));
        }
        let mut images = Images {
            normal: Vec::new(),
            normal_sources: Vec::new(),
            normal_areas: Vec::new(),
            normal_regions: Vec::new(),
            kept: Vec::new(),
            first,
            anomalous: Vec::new(),
            weak: Vec::new(),
            defects: Vec::new(),
            sha256: Vec::new(),
            files: [0; 2],
        };
        let (learned, kept) = reference::divide(&run.split.train, first);
        for sample in kept {
            match crate::image::read(&sample.path) {
                Ok(bytes) => {
                    images.sha256.push(content_hash(&bytes));
                    images.kept.push(sample.path.clone());
                }
                Err(error) => progress(Event::Skipped(&error)),
            }
        }
        let samples: Vec<(&Sample, bool)> = learned
            .into_iter()
            .map(|sample| (sample, false))
            .chain(run.split.anomalies.iter().map(|sample| (sample, true)))
            .collect();
        let mut store = Store::new(run.cache_limit, run.cache_folder());
        let mut done = 0;
        for share in samples.chunks(ENCODE_SHARE) {
            if (run.stop)() {
                return Err(TrainError::Stopped);
            }
            let encode = |loaded: Loaded, area: Option<Foreground>, workspace: &mut Workspace| {
                let pyramid = cache::features(run.backbone, &loaded.image, workspace);
                let coarsest = pyramid.levels.last().expect("one level at least");
                let regions = options.score_parts.kinds().filter_map(PartKind::regions);
                let means = regions.filter(|_| !loaded.anomalous).map(|r| r.means(coarsest, area.as_ref()));
                let means: Vec<Means> = means.collect();
                (Encoded::new(pyramid, loaded.mask.as_ref(), area.as_ref()), means, loaded, area)
            };
            match options.tile_overlap {
                None => {
                    let encoded = cache::encode_all(share, run.backbone, |(sample, anomalous), workspace| {
                        let loaded = cache::load(sample, options.input, options.bit_depth, *anomalous)?;
                        let area = area_of(options.input, loaded.window, roi);
                        Ok(encode(loaded, area, workspace))
                    });
                    for ((_, anomalous), result) in share.iter().zip(encoded) {
                        match result {
                            Ok(encoded) => {
                                images.take(encoded, &mut store)?;
                                images.files[usize::from(*anomalous)] += 1;
                            }
                            Err(error) => progress(Event::Skipped(&error)),
                        }
                    }
                }
                // One image at a time, which may be a large one; its tiles side by side.
                Some(overlap) => {
                    for &(sample, anomalous) in share {
                        let whole = match cache::Whole::load(sample, options.bit_depth, anomalous, roi) {
                            Ok(whole) => whole,
                            Err(error) => {
                                progress(Event::Skipped(&error));
                                continue;
                            }
                        };
                        let stride = run.backbone.strides().1;
                        let tiling = Tiling { size: options.input, overlap, stride };
                        for corners in whole.corners(tiling).chunks(ENCODE_SHARE) {
                            let encoded = cache::encode_all(corners, run.backbone, |&corner, workspace| {
                                let area = whole.area_of(corner, options.input);
                                encode(whole.tile(corner, options.input), area, workspace)
                            });
                            encoded.into_iter().try_for_each(|encoded| images.take(encoded, &mut store))?;
                        }
                        images.files[usize::from(anomalous)] += 1;
                    }
                }
            }
            done += share.len();
            progress(Event::Encoded { done, total: samples.len() });
        }
        if images.normal.is_empty() {
            return Err(TrainError::NoImages { listed: run.split.train.len() });
        }
        images.sha256.sort();
        if options.tile_overlap.is_some() {
            images.sha256.dedup();
        }
        Ok(images)
    }

    fn take(
        &mut self,
        (mut encoded, means, loaded, area): (Encoded, Vec<Means>, Loaded, Option<Foreground>),
        store: &mut Store,
    ) -> Result<(), TrainError> {
        encoded
            .features
            .iter_mut()
            .try_for_each(|features| store.keep(features))
            .map_err(TrainError::Cache)?;
        self.sha256.push(loaded.sha256);
        match loaded.mask {
            None if loaded.anomalous => self.weak.push(encoded),
            // Good images have no mask; an anomaly whose mask is empty at the input size teaches nothing false as a
            // normal image would, so it stays an anomaly with no anomalous position.
            None => {
                self.normal.push(encoded);
                self.normal_regions.push(means);
                self.normal_sources.push(loaded.source);
                self.normal_areas.push(area);
            }
            Some(mask) => {
                self.anomalous.push(encoded);
                self.defects.push((loaded.image, mask));
            }
        }
        Ok(())
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
            let Some(prepared) = whitening.as_ref().map(|whitening| whitening.prepare(run.isa())) else {
                continue;
            };
            let images = self
                .normal
                .par_iter_mut()
                .chain(self.anomalous.par_iter_mut())
                .chain(self.weak.par_iter_mut());
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
            let whitening = Whitening::fit(normal.len(), channels, run.isa(), |image, see| {
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
