//! The models that are served: which versions there are, which one judges.
//!
//! ```text
//! files        MODEL.bgad ...                        version 1; a replaced file becomes the next version
//! repository   DIR/NAME/VERSION/model.bgad           VERSION is a whole number; the highest sound one judges
//! ```
//!
//! A new version is opened and proved before it judges; the old one judges until then, and beyond if the new one is
//! refused. Names in requests are looked up here and never become part of a path.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;

use crate::refusal::{Busy, Refusal};
use crate::version::{Stamp, Version, VersionError};

/// Versions of a model that are kept ready: the one that judges and the one to go back to.
const KEPT: usize = 2;

/// Where models come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Model files, named by their file names without extension.
    Files(Vec<PathBuf>),
    /// A folder `DIR/NAME/VERSION/model.bgad`.
    Repository(PathBuf),
}

/// Why no model can be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// The folder of a repository cannot be listed.
    #[error("the model repository {path} cannot be read: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two files would have one name.
    #[error("two model files are named `{name}`: rename one of them")]
    SameName {
        /// The name.
        name: String,
    },
    /// A file has no name to serve it by.
    #[error("{path} has no file name that can name a model")]
    NoName {
        /// The file.
        path: PathBuf,
    },
    /// A model file that was named does not serve.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// There is nothing to serve.
    #[error("no sound model found below {path}: expected {path}/NAME/VERSION/model.bgad")]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}

/// All models of a server.
#[derive(Debug)]
pub struct Library {
    source: Source,
    models: RwLock<BTreeMap<String, Model>>,
    /// One scan at a time.
    scanning: Mutex<()>,
}

#[derive(Debug, Default)]
struct Model {
    versions: BTreeMap<u64, Arc<Version>>,
    /// The version that a call chose; else the highest.
    pinned: Option<u64>,
    /// A call took the model out of service.
    unloaded: bool,
    refused: BTreeMap<u64, Refused>,
}

#[derive(Clone, Debug)]
struct Refused {
    stamp: Option<Stamp>,
    reason: String,
}

/// A line of the repository index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct IndexLine {
    pub(crate) name: String,
    pub(crate) version: String,
    /// `READY` or `UNAVAILABLE`.
    pub(crate) state: &'static str,
    pub(crate) reason: String,
}

/// A model file that was found.
struct Found {
    model: String,
    /// `None` for a file of the command line, which numbers itself.
    number: Option<u64>,
    path: PathBuf,
}

impl Model {
    fn current(&self) -> Option<&Arc<Version>> {
        if self.unloaded {
            return None;
        }
        self.pinned
            .and_then(|number| self.versions.get(&number))
            .or_else(|| self.versions.values().next_back())
    }

    /// Forgets old versions beyond those kept; never the pinned one.
    fn prune(&mut self) {
        while self.versions.len() > KEPT {
            let Some(oldest) = self.versions.keys().find(|n| Some(**n) != self.pinned).copied() else {
                break;
            };
            self.versions.remove(&oldest);
        }
    }
}

impl Library {
    /// Opens every model there is.
    ///
    /// # Errors
    ///
    /// A [`LibraryError`]: of files that were named each must serve, of a repository at least one.
    pub fn open(source: Source) -> Result<Library, LibraryError> {
        let library = Library { source, models: RwLock::default(), scanning: Mutex::default() };
        let mut problems = library.scan()?;
        match &library.source {
            Source::Files(_) if !problems.is_empty() => Err(problems.remove(0).into()),
            Source::Repository(path) if !library.ready() => Err(LibraryError::Nothing { path: path.clone() }),
            _ => Ok(library),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Model>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Model>> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for new, replaced and removed files; what is new and sound judges from then on.
    ///
    /// # Errors
    ///
    /// A [`LibraryError`] if the folder cannot be listed. The versions that were refused are the result.
    pub fn scan(&self) -> Result<Vec<VersionError>, LibraryError> {
        let _one = self.scanning.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.find()?;
        if matches!(self.source, Source::Repository(_)) {
            self.forget_removed(&found);
        }
        let mut problems = Vec::new();
        for file in found {
            if let Some(number) = self.to_load(&file) {
                // Taken before the file is read: one that is completed meanwhile is looked at again.
                let stamp = Stamp::of(&file.path).ok();
                match Version::open(&file.model, number, &file.path) {
                    Ok(version) => self.insert(version),
                    Err(problem) => {
                        self.refuse(&file, number, &problem, stamp);
                        problems.push(problem);
                    }
                }
            }
        }
        Ok(problems)
    }

    fn find(&self) -> Result<Vec<Found>, LibraryError> {
        match &self.source {
            Source::Files(files) => {
                let mut names = BTreeSet::new();
                let mut found = Vec::new();
                for path in files {
                    let name =
                        path.file_stem().and_then(|name| name.to_str()).filter(|name| !name.is_empty());
                    let name = name.ok_or_else(|| LibraryError::NoName { path: path.clone() })?;
                    if !names.insert(name) {
                        return Err(LibraryError::SameName { name: name.to_owned() });
                    }
                    found.push(Found { model: name.to_owned(), number: None, path: path.clone() });
                }
                Ok(found)
            }
            Source::Repository(folder) => {
                find_in(folder).map_err(|source| LibraryError::Folder { path: folder.clone(), source })
            }
        }
    }

    /// The number under which this file is to be opened; `None` if nothing is new about it.
    fn to_load(&self, file: &Found) -> Option<u64> {
        let models = self.read();
        let stamp = Stamp::of(&file.path).ok();
        let Some(model) = models.get(&file.model) else { return Some(file.number.unwrap_or(1)) };
        let number = match file.number {
            Some(number) => {
                // Beyond those kept there is nothing to gain from an older one.
                let kept = model.versions.len() >= KEPT && Some(number) != model.pinned;
                if kept && model.versions.keys().next().is_some_and(|&oldest| number < oldest) {
                    return None;
                }
                number
            }
            None => match model.versions.last_key_value() {
                Some((&last, version)) if Some(version.stamp) == stamp => last,
                Some((&last, _)) => last + 1,
                None => 1,
            },
        };
        let loaded = model.versions.get(&number).map(|version| version.stamp);
        let refused = model.refused.get(&number).map(|refused| refused.stamp);
        let known = loaded.is_some_and(|loaded| Some(loaded) == stamp) || refused == Some(stamp);
        (!known).then_some(number)
    }

    fn insert(&self, version: Version) {
        tracing::info!(
            model = version.model,
            version = version.number,
            sha256 = version.sha256,
            "the model serves"
        );
        let mut models = self.write();
        let model = models.entry(version.model.clone()).or_default();
        model.refused.remove(&version.number);
        model.versions.insert(version.number, Arc::new(version));
        model.prune();
    }

    fn refuse(&self, file: &Found, number: u64, problem: &VersionError, stamp: Option<Stamp>) {
        tracing::error!(model = file.model, version = number, error = %problem, "the model file was refused");
        let stamp = match problem {
            // Looked at again at the next scan.
            VersionError::Changing { .. } => None,
            _ => stamp,
        };
        let refused = Refused { stamp, reason: problem.to_string() };
        self.write().entry(file.model.clone()).or_default().refused.insert(number, refused);
    }

    fn forget_removed(&self, found: &[Found]) {
        let there: BTreeSet<(&str, u64)> =
            found.iter().filter_map(|file| Some((file.model.as_str(), file.number?))).collect();
        self.write().retain(|name, model| {
            model.versions.retain(|number, _| there.contains(&(name.as_str(), *number)));
            model.refused.retain(|number, _| there.contains(&(name.as_str(), *number)));
            !(model.versions.is_empty() && model.refused.is_empty())
        });
    }

    /// Whether at least one model judges.
    pub fn ready(&self) -> bool {
        self.read().values().any(|model| model.current().is_some())
    }

    /// The version that judges, or the one that is asked for.
    pub(crate) fn get(&self, name: &str, version: Option<&str>) -> Result<Arc<Version>, Refusal> {
        let models = self.read();
        let unknown = || Refusal::NotFound(format!("there is no model `{name}`"));
        let model = models.get(name).ok_or_else(unknown)?;
        let asked = version.filter(|version| !version.is_empty());
        let Some(current) = model.current() else {
            return Err(Refusal::invalid(format!("the model `{name}` is not loaded")));
        };
        let Some(asked) = asked else { return Ok(Arc::clone(current)) };
        let number = asked.parse::<u64>().ok();
        let version = number.and_then(|number| model.versions.get(&number));
        version.cloned().ok_or_else(|| {
            let there: Vec<String> = model.versions.keys().map(u64::to_string).collect();
            let there = there.join(", ");
            Refusal::NotFound(format!("the model `{name}` has no version `{asked}`, it has {there}"))
        })
    }

    /// The model that a request means that names none: the only one.
    pub(crate) fn only(&self) -> Result<Arc<Version>, Refusal> {
        let models = self.read();
        let mut names = models.iter().filter(|(_, model)| model.current().is_some());
        match (names.next(), names.next()) {
            (Some((_, model)), None) => model.current().cloned().ok_or(Refusal::Busy(Busy::NoModel)),
            (None, _) => Err(Refusal::Busy(Busy::NoModel)),
            (Some(_), Some(_)) => {
                let names: Vec<&str> = models.keys().map(String::as_str).collect();
                let names = names.join(", ");
                Err(Refusal::invalid(format!("say which model judges, with ?model=NAME: there are {names}")))
            }
        }
    }

    /// Versions of a model that are ready.
    pub(crate) fn versions(&self, name: &str) -> Vec<String> {
        let models = self.read();
        let model = models.get(name);
        model.map(|model| model.versions.keys().map(u64::to_string).collect()).unwrap_or_default()
    }

    /// Every version that is ready.
    pub(crate) fn all(&self) -> Vec<Arc<Version>> {
        self.read().values().flat_map(|model| model.versions.values().cloned()).collect()
    }

    /// Every model and version there is, served or refused.
    pub(crate) fn index(&self, only_ready: bool) -> Vec<IndexLine> {
        let line = |name: &str, number: u64, state, reason: &str| IndexLine {
            name: name.to_owned(),
            version: number.to_string(),
            state,
            reason: reason.to_owned(),
        };
        let mut lines = Vec::new();
        for (name, model) in self.read().iter() {
            for &number in model.versions.keys() {
                lines.push(match model.unloaded {
                    true => line(name, number, "UNAVAILABLE", "unloaded"),
                    false => line(name, number, "READY", ""),
                });
            }
            for (&number, refused) in &model.refused {
                lines.push(line(name, number, "UNAVAILABLE", &refused.reason));
            }
        }
        lines.retain(|line| !only_ready || line.state == "READY");
        lines
    }

    /// Takes a model into service: its newest version, or the one that is asked for (to go back).
    pub(crate) fn load(&self, name: &str, version: Option<&str>) -> Result<(), Refusal> {
        let problems = self.scan().map_err(|error| Refusal::Internal(error.to_string()))?;
        let mut models = self.write();
        let model = models
            .get_mut(name)
            .ok_or_else(|| Refusal::invalid(format!("cannot load `{name}`: there is no such model")))?;
        let pinned = match version {
            None => None,
            Some(version) => {
                let number = version.parse::<u64>().ok().filter(|n| model.versions.contains_key(n));
                let number = number.ok_or_else(|| {
                    Refusal::invalid(format!("cannot load `{name}`: version `{version}` is not ready"))
                })?;
                Some(number)
            }
        };
        if model.versions.is_empty() {
            let reason = model.refused.values().next_back().map(|refused| refused.reason.clone());
            let reason = reason.or_else(|| problems.first().map(ToString::to_string)).unwrap_or_default();
            return Err(Refusal::invalid(format!("cannot load `{name}`: {reason}")));
        }
        model.unloaded = false;
        model.pinned = pinned;
        Ok(())
    }

    /// Takes a model out of service; what is being judged is finished.
    pub(crate) fn unload(&self, name: &str) -> Result<(), Refusal> {
        let mut models = self.write();
        let model = models
            .get_mut(name)
            .ok_or_else(|| Refusal::invalid(format!("cannot unload `{name}`: there is no such model")))?;
        model.unloaded = true;
        Ok(())
    }
}

/// All `NAME/VERSION/model.bgad`, newest version first, so that the versions beyond those kept are not opened.
fn find_in(folder: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for model in fs::read_dir(folder)? {
        let model = model?;
        let Ok(name) = model.file_name().into_string() else { continue };
        if name.starts_with('.') || !model.path().is_dir() {
            continue;
        }
        for version in fs::read_dir(model.path())? {
            let version = version?;
            let number = version.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            let path = version.path().join("model.bgad");
            if let Some(number) = number.filter(|_| path.is_file()) {
                found.push(Found { model: name.clone(), number: Some(number), path });
            }
        }
    }
    found.sort_by(|a, b| (&a.model, b.number).cmp(&(&b.model, a.number)));
    Ok(found)
}
