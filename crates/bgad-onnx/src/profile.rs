//! Names and units of what leaves the graph.
//!
//! ```text
//! native      nats, as `bgad inspect` gives them
//! anomalib    pred_score = σ((score − t_ok) / width)          anomaly_map = σ((map − t_region) / width)          width = max(t_ng − t_ok, 1)
//! ```
//!
//! anomalib's models give numbers from 0 to 1 that are decided at 0.5; a straight line clipped to that range, as anomalib's own, would
//! make equal what is far from the threshold.

use std::fmt;
use std::str::FromStr;

use bgad::Model;
use bgad::model::Header;
use serde::{Deserialize, Serialize};

use crate::graph::{Builder, Fixed, Outputs, Value, View};
use crate::messages::{BOOL, FLOAT, INT64};

/// Names and units of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// bgad's own: nats, three verdicts, what each part adds.
    Native,
    /// The four names of anomalib's models.
    Anomalib,
}

impl Profile {
    /// Both.
    pub const ALL: [Profile; 2] = [Profile::Native, Profile::Anomalib];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Native => "native",
            Profile::Anomalib => "anomalib",
        }
    }

    /// Name of the score among the outputs.
    pub const fn score(self) -> &'static str {
        match self {
            Profile::Native => "score",
            Profile::Anomalib => "pred_score",
        }
    }

    /// Name of the verdict among the outputs.
    pub const fn label(self) -> &'static str {
        match self {
            Profile::Native => "verdict",
            Profile::Anomalib => "pred_label",
        }
    }

    /// Name of the map among the outputs.
    pub const fn map(self) -> &'static str {
        match self {
            Profile::Native => "map",
            Profile::Anomalib => "anomaly_map",
        }
    }

    /// Names the outputs of a graph.
    pub(crate) fn finish(self, builder: &mut Builder, outputs: Outputs, model: &Model, view: &View) {
        builder.scope("output");
        match self {
            Profile::Native => native(builder, outputs, view),
            Profile::Anomalib => anomalib(builder, outputs, &model.header, view),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Profile, String> {
        let found = Profile::ALL.into_iter().find(|profile| profile.name() == text);
        found.ok_or_else(|| format!("expected native or anomalib, found \"{text}\""))
    }
}

/// Nats to numbers from 0 to 1: `σ((nats − threshold) / width)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Squash {
    /// Nats that become 0.5.
    pub threshold: f32,
    /// Nats that change the odds by a factor of e.
    pub width: f32,
}

impl Squash {
    /// That of the score.
    pub fn of_score(header: &Header) -> Squash {
        Squash { threshold: header.thresholds.ok, width: width(header) }
    }

    /// That of the map.
    pub fn of_map(header: &Header) -> Squash {
        Squash { threshold: header.region_threshold(), width: width(header) }
    }

    /// Its value at so many nats.
    pub fn of(self, nats: f64) -> f64 {
        1.0 / (1.0 + ((f64::from(self.threshold) - nats) / f64::from(self.width)).exp())
    }

    fn node(self, builder: &mut Builder, nats: &Value) -> Value {
        let above = builder.op_number("Sub", nats, self.threshold);
        let scaled = builder.op_number("Div", &above, self.width);
        builder.op("Sigmoid", &[&scaled])
    }
}

fn width(header: &Header) -> f32 {
    (header.thresholds.ng - header.thresholds.ok).max(1.0)
}

fn native(builder: &mut Builder, outputs: Outputs, view: &View) {
    let Outputs { score, parts, map, flagged, stopped, is_of_a_place } = outputs;
    let int = |builder: &mut Builder, value: &Value| {
        builder.op_with("Cast", &[value], &[Fixed::Int("to", i64::from(INT64))])
    };
    let (review, ng) = (int(builder, &flagged), int(builder, &stopped));
    let verdict = builder.op("Add", &[&review, &ng]);
    let no_place = builder.op("Not", &[&is_of_a_place]);
    let whole_image = builder.op("And", &[&flagged, &no_place]);
    let axis = builder.whole_numbers(&[1]);
    let map = builder.op("Squeeze", &[&map, &axis]);
    builder.output("score", &score, FLOAT, &[]);
    builder.output("verdict", &verdict, INT64, &[]);
    builder.output("map", &map, FLOAT, &[view.window.height, view.window.width]);
    builder.output("whole_image", &whole_image, BOOL, &[]);
    if parts.is_empty() {
        return;
    }
    let columns: Vec<Value> = parts.iter().map(|(_, part)| builder.op("Unsqueeze", &[part, &axis])).collect();
    let columns: Vec<&Value> = columns.iter().collect();
    let all = builder.op_with("Concat", &columns, &[Fixed::Int("axis", 1)]);
    builder.output("parts", &all, FLOAT, &[parts.len()]);
}

fn anomalib(builder: &mut Builder, outputs: Outputs, header: &Header, view: &View) {
    let Outputs { score, map, flagged, is_of_a_place, .. } = outputs;
    let size = [1, view.size.height, view.size.width];
    let map = builder.widened(&map, view);
    // Regions are drawn where the image is flagged and a place stands out, as `bgad inspect` does.
    let drawn = builder.op("And", &[&flagged, &is_of_a_place]);
    let axes = builder.whole_numbers(&[1, 2, 3]);
    let drawn = builder.op("Unsqueeze", &[&drawn, &axes]);
    let above = builder.op_number("GreaterOrEqual", &map, header.region_threshold());
    let mask = builder.op("And", &[&above, &drawn]);
    let squashed = Squash::of_score(header).node(builder, &score);
    // What is no image is as odd as can be.
    let odd = builder.op("IsNaN", &[&squashed]);
    let one = builder.number(1.0);
    let pred_score = builder.op("Where", &[&odd, &one, &squashed]);
    let anomaly_map = Squash::of_map(header).node(builder, &map);
    builder.output("pred_score", &pred_score, FLOAT, &[]);
    builder.output("pred_label", &flagged, BOOL, &[]);
    builder.output("anomaly_map", &anomaly_map, FLOAT, &size);
    builder.output("pred_mask", &mask, BOOL, &size);
}
