//! Which trainings a benchmark is made of.
//!
//! The test images of a data set, setting and seed are what remains after the largest number of anomalies has been
//! taken out, whatever a cell learns from: rows of a table compare like with like.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bgad::dataset::{Dataset, Setting, Split, SplitOptions};

use crate::args::{BenchmarkArgs, Method, SettingKind};
use crate::failure::{Failure, context};

/// A data set and the name that it has in tables.
#[derive(Debug)]
pub(super) struct DataFolder {
    pub(super) name: String,
    pub(super) dataset: Dataset,
}

impl DataFolder {
    /// Opens all of them; names are those of the folders and must differ.
    pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<DataFolder>, Failure> {
        let mut names = BTreeSet::new();
        let open = |path: &PathBuf| {
            let whole = path.canonicalize().map_err(|error| context(path.display().to_string(), error))?;
            let name = whole.file_name().map_or("data".into(), |name| name.to_string_lossy().into_owned());
            if !names.insert(name.clone()) {
                return Err(format!(
                    "{}: there are two folders of the name {name}, which the tables go by",
                    path.display()
                )
                .into());
            }
            Ok(DataFolder { name, dataset: Dataset::open(path)? })
        };
        paths.iter().map(open).collect()
    }
}

/// One training and its test.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) data: String,
    pub(super) root: PathBuf,
    pub(super) method: Method,
    pub(super) setting: Setting,
    pub(super) anomalies: usize,
    pub(super) seed: u64,
    pub(super) split: Split,
    /// Known defects that left the split, because their masks give no position.
    pub(super) unsound: usize,
}

impl Cell {
    /// Name of its file.
    pub(super) fn name(&self) -> String {
        let text =
            format!("{}-{}-{}-{}-{}", self.data, self.method(), self.setting, self.anomalies, self.seed);
        text.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
    }

    pub(super) fn method(&self) -> &'static str {
        match self.method {
            Method::Nfad => "nfad",
            Method::Bgad => "bgad",
        }
    }

    pub(super) fn title(&self) -> String {
        let Cell { data, setting, anomalies, seed, .. } = self;
        format!("{data} {setting}, {} with {anomalies} known defects, seed {seed}", self.method())
    }
}

/// All cells, those that share a model beside each other.
pub(super) fn cells(folders: &[DataFolder], args: &BenchmarkArgs) -> Result<Vec<Cell>, Failure> {
    let counts: BTreeSet<usize> = args.anomalies.iter().copied().collect();
    let methods: BTreeSet<Method> = args.methods.iter().copied().collect();
    let kinds: BTreeSet<SettingKind> = args.settings.iter().copied().collect();
    let largest = counts.last().copied().unwrap_or(0);
    let mut cells = Vec::new();
    for DataFolder { name, dataset } in folders {
        let settings = kinds.iter().flat_map(|kind| match kind {
            SettingKind::General => vec![Setting::General],
            SettingKind::Hard => dataset.defect_types().into_iter().map(Setting::Hard).collect(),
        });
        let settings: Vec<Setting> = settings.collect();
        for seed in 0..args.seeds {
            for setting in &settings {
                let draw = |anomalies| -> Result<Split, Failure> {
                    let limit_normal = args.limit_normal;
                    let options =
                        SplitOptions { anomalies, setting: setting.clone(), weak: false, limit_normal, seed };
                    let split = Split::draw(dataset, &options);
                    split.map_err(|error| context(format!("{name}, setting {setting}"), error))
                };
                let all = draw(largest)?;
                // Without known defects the methods are one.
                let baseline = methods.contains(&Method::Nfad).then_some((Method::Nfad, 0));
                let guided = counts.iter().map(|&n| (Method::Bgad, n));
                let guided = guided.filter(|_| methods.contains(&Method::Bgad));
                for (method, anomalies) in baseline.into_iter().chain(guided) {
                    let split = Split { anomalies: draw(anomalies)?.anomalies, ..all.clone() };
                    cells.push(Cell {
                        data: name.clone(),
                        root: root(dataset),
                        method,
                        setting: setting.clone(),
                        anomalies,
                        seed,
                        split,
                        unsound: 0,
                    });
                }
            }
        }
    }
    Ok(cells)
}

fn root(dataset: &Dataset) -> PathBuf {
    dataset.root.clone()
}
