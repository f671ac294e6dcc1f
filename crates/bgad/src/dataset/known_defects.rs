//! How many defects to learn from where nobody says.

use std::fmt;

use super::{Dataset, Setting};
use crate::options::DEFAULT_ANOMALIES;

/// A number of known defects, and why it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDefects {
    /// How many to take out of the test images.
    pub count: usize,
    /// Why there are fewer than usual; `None` if there are as many.
    pub why: Option<WhyFewer>,
}

/// Why fewer defects are learned from than usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyFewer {
    /// There is no defective image.
    None,
    /// Half of them are left to test on.
    Half {
        /// How many there are.
        defective: usize,
    },
    /// Others have no mask, or are of a type that the setting does not train on.
    Trainable {
        /// How many there are.
        defective: usize,
        /// Of these, how many can be trained on.
        trainable: usize,
        /// The setting.
        setting: Setting,
    },
}

impl fmt::Display for WhyFewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyFewer::None => write!(f, "there are no defective images"),
            WhyFewer::Half { defective } => {
                write!(f, "of {defective} defective images half are left to test on")
            }
            WhyFewer::Trainable { defective, trainable, setting } => write!(
                f,
                "of {defective} defective images {trainable} can be trained on: those with a mask (or any, where masks are \
                 not needed), of setting {setting}"
            ),
        }
    }
}

impl Dataset {
    /// Ten, or what there is; never all, so that some are left to test on. Where the data say which defects are for training,
    /// all of those. `weak` says that masks are not needed.
    pub fn default_known_defects(&self, setting: &Setting, weak: bool) -> KnownDefects {
        let trainable = self.trainable_anomalies(setting, weak);
        if !self.train_bad.is_empty() {
            return KnownDefects { count: trainable, why: None };
        }
        let defective = self.test_bad.len();
        if defective == 0 {
            return KnownDefects { count: 0, why: Some(WhyFewer::None) };
        }
        let (count, why) = if *setting == Setting::General && trainable.min(DEFAULT_ANOMALIES) >= defective {
            (defective / 2, WhyFewer::Half { defective })
        } else {
            let setting = setting.clone();
            (trainable.min(DEFAULT_ANOMALIES), WhyFewer::Trainable { defective, trainable, setting })
        };
        KnownDefects { count, why: (count < DEFAULT_ANOMALIES).then_some(why) }
    }
}
