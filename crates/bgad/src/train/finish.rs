//! From trained flows to a model: constants, boundary, the parts of the score with their scales, thresholds.

use super::flow_trainer::FlowTrainer;
use super::images::Images;
use super::output;
use super::reference::{self, Shown};
use super::standing::Standing;
use super::{Run, TrainError};
use crate::backbone::LevelShape;
use crate::boundary::Boundary;
use crate::detector::Detector;
use crate::model::{
    FORMAT_VERSION, Header, LevelHeader, Model, NormalAppearance, SEEDS, TestVector, TrainingSummary,
};
use crate::options::Checked;
use crate::score::{
    Combination, Framing, LevelModel, LinearHead, PartKind, Reading, RegionalGaussians, Rule, Scale, Scorer,
    View, deviation, oddest,
};
use crate::verdict::Thresholds;

/// Levels that a linear head looks at: of this stride or more.
const HEAD_STRIDE: usize = 8;
/// What a head is worth in the map where its scale rests on images that were kept from the flows.
const HEAD_WEIGHT: f32 = 0.5;

impl FlowTrainer<'_> {
    /// Freezes the flows into a model, and measures its score on good images that they have not learned from.
    pub(super) fn finish(self, images: &Images, run: &Run<'_>) -> Result<Model, TrainError> {
        let Standing { boundaries, constants, companion_max, .. } = self.standing(images, run.isa())?;
        let options = self.options;
        let levels = self.levels.iter().zip(&self.whitenings).zip(&self.grids);
        let levels = levels.map(|((level, whitening), &grid)| LevelModel {
            flow: level.flow.clone(),
            whitening: whitening.clone(),
            grid,
        });
        let (regional, distances) = regional(options, images, run);
        let heads = self.heads(images, run)?;
        let has = |kind: &PartKind| match kind {
            PartKind::Head => !heads.is_empty(),
            kind => {
                kind.regions().is_none_or(|regions| regional.iter().any(|fitted| fitted.regions == regions))
            }
        };
        let parts = options.score_parts.kinds().filter(has).map(|kind| (kind, Scale::IDENTITY)).collect();
        let scorer = Scorer {
            framing: match options.tile_overlap {
                Some(overlap) => Framing::Tiles { size: options.input, overlap },
                None => Framing::Whole(options.input),
            },
            levels: levels.collect(),
            companion: self.companion.as_ref().map(|companion| companion.flow.clone()),
            regional,
            heads,
            combination: Combination {
                rule: Rule::Surprise,
                size: options.input,
                grids: self.grids.clone(),
                pixels: options.score_pixels,
                constants: constants.clone(),
                companion_max,
                baselines: Vec::new(),
                parts,
                head_weight: if images.kept.is_empty() { 0.0 } else { HEAD_WEIGHT },
                total: Scale::IDENTITY,
            },
        };
        let header = Header {
            format_version: FORMAT_VERSION,
            backbone: run.backbone.name().to_owned(),
            backbone_sha256: run.backbone.weights_sha256().to_owned(),
            options: (**options).clone(),
            levels: self.level_headers(&boundaries, run),
            constants,
            thresholds: Thresholds::DEFAULT,
            calibration: None,
            area: self.area.clone(),
            test_vectors: Vec::new(),
            training: TrainingSummary {
                bgad_version: env!("CARGO_PKG_VERSION").to_owned(),
                trained_at: output::time_of_training(),
                normal_images: images.files[0],
                anomalous_images: images.files[1],
                kept_images: images.kept.len(),
                kept_among: images.first,
                passes: self.losses().len(),
                losses: self.losses().to_vec(),
                normal_scores: Vec::new(),
                appearance: None,
                trained_on: images.sha256.clone(),
                split: None,
            },
        };
        let backbone_weights = run.backbone.carried_weights().map(<[u8]>::to_vec);
        let mut model = Model { header, scorer, backbone_weights };
        measure(&mut model, images, &distances, run)?;
        Ok(model)
    }

    fn level_headers(&self, boundaries: &[Boundary], run: &Run<'_>) -> Vec<LevelHeader> {
        let shapes = run.backbone.shapes().into_iter().zip(&self.grids);
        let nats = |hat: f32| hat * self.options.normalizer;
        let header = |((shape, &(height, width)), boundary): ((LevelShape, _), &Boundary)| LevelHeader {
            stride: shape.stride,
            channels: shape.channels,
            height,
            width,
            boundary_normalized: *boundary,
            boundary_nats_per_channel: Boundary {
                normal: nats(boundary.normal),
                anomalous: nats(boundary.anomalous),
            },
        };
        shapes.zip(boundaries).map(header).collect()
    }

    /// The direction in which the known defects lie, from their white features; none without a mask.
    fn heads(&self, images: &Images, run: &Run<'_>) -> Result<Vec<LinearHead>, TrainError> {
        if !self.options.score_parts.head {
            return Ok(Vec::new());
        }
        let mut heads = Vec::new();
        let shapes = run.backbone.shapes().into_iter().enumerate();
        for (level, _) in shapes.filter(|(_, shape)| shape.stride >= HEAD_STRIDE) {
            let Some(whitening) = &self.whitenings[level] else { continue };
            let mut buffer = Vec::new();
            let mut deviations = Vec::new();
            for defect in &images.anomalous {
                let Some(marks) = &defect.marks else { continue };
                let white = defect.features[level].read(&mut buffer).map_err(TrainError::Cache)?;
                deviations
                    .extend(deviation(white, whitening.mean.len(), |position| marks[level][position] == 1));
            }
            heads.extend(LinearHead::fit(level, &deviations, whitening));
        }
        Ok(heads)
    }
}

/// The Gaussians of the parts of regions, and what each normal image is under those of the others, part by part.
fn regional(options: &Checked, images: &Images, run: &Run<'_>) -> (Vec<RegionalGaussians>, Vec<Vec<f32>>) {
    let kinds = options.score_parts.kinds().filter_map(PartKind::regions).enumerate();
    let fit = |(i, regions)| {
        let all: Option<Vec<_>> =
            images.normal_regions.iter().map(|parts| parts.get(i).map(Vec::as_slice)).collect();
        let (fitted, held_out) = RegionalGaussians::fit(regions, &all?, run.isa())?;
        Some((fitted, held_out.iter().map(|distances| oddest(distances)).collect()))
    };
    kinds.filter_map(fit).unzip()
}

/// Sets the scales of a model from good images that its flows have not learned from; notes how these images look, and how the model scores test
/// images.
fn measure(
    model: &mut Model,
    images: &Images,
    distances: &[Vec<f32>],
    run: &Run<'_>,
) -> Result<(), TrainError> {
    let detector = Detector::with_backbone(model, run.backbone.clone()).map_err(TrainError::Model)?;
    let learned: Vec<_> = images.normal_sources.iter().map(|source| source.path.clone()).collect();
    let pixels = model.scorer.combination.pixels;
    let seen = reference::show(&detector, &images.kept, &learned, pixels, run)?;
    let combination = &mut model.scorer.combination;
    let mut readings: Vec<(Reading, View<'_>)> = Vec::new();
    let mut peaks = Vec::new();
    for image in &seen {
        match &image.shown {
            Shown::Tiles { peak } => peaks.push(*peak),
            Shown::Whole(looked) => readings.push((looked.reading.clone(), looked.view())),
        }
    }
    let scores = match model.scorer.framing {
        Framing::Tiles { .. } => combination.fit_tiles(&peaks),
        Framing::Whole(_) => {
            let kept = combination.fit(&mut readings, distances);
            let mut kept = kept.iter();
            model.scorer.regional.retain(|_| *kept.next().unwrap_or(&false));
            if model.scorer.combination.scale(PartKind::Head).is_none() {
                model.scorer.heads.clear();
            }
            let combination = &model.scorer.combination;
            readings.iter().map(|(reading, view)| combination.score(reading, view).nats).collect()
        }
    };
    model.header.training.normal_scores = scores;
    model.header.training.normal_scores.sort_by(f32::total_cmp);
    let looks: Vec<_> = seen.iter().map(|image| image.appearance).collect();
    model.header.training.appearance = NormalAppearance::of(&looks);
    let detector = Detector::with_backbone(model, run.backbone.clone()).map_err(TrainError::Model)?;
    let vectors = SEEDS.iter().map(|&seed| TestVector::of(&detector, seed));
    // A score that is no number proves nothing, and a file must not hold one.
    model.header.test_vectors = vectors.filter(|vector| vector.score.is_finite()).collect();
    Ok(())
}
