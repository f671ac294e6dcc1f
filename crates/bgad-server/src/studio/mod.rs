//! The studio: label, train, judge and learn in a browser, on a folder of plain files.
//!
//! ```text
//! engine     the library as it is used here           listing, changes   the project as files, moves that can be undone
//! jobs       a queue of work with progress            masks, bitmask     masks between browser and disk
//! pictures   what a browser can show                  guard              who may ask
//! images, imports, work, live, events, assets         the routes
//! ```

mod assets;
mod bitmask;
mod changes;
mod engine;
mod events;
mod guard;
mod images;
mod imports;
mod jobs;
mod listing;
mod live;
mod masks;
mod pictures;
mod reply;
mod serve;
mod work;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware;

use engine::SharedJudge;
use jobs::Jobs;
use listing::{Item, Listing};
use masks::Masks;
use reply::{Refusal, Reply};
pub use serve::{serve, token};

/// The folders of a project.
const FOLDERS: [&str; 6] = ["good", "bad", "masks", "unlabelled", "models", "runs"];
/// A look at the folders is not repeated sooner.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Memory for thumbnails, bytes.
const THUMBNAILS: usize = 96 << 20;

/// Draws a demonstration project into an empty folder.
pub type Demo = Arc<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

/// What the studio is opened with.
#[derive(Clone)]
pub struct Project {
    /// The folder; it is made if it is not there.
    pub folder: PathBuf,
    /// What `/?token=` must say; `None` where only this machine can ask.
    pub token: Option<String>,
    /// What an empty project offers to be filled with.
    pub demo: Option<Demo>,
}

/// The studio as a service.
///
/// # Errors
///
/// If the folder or one of its parts cannot be made or read.
pub fn router(project: Project) -> io::Result<Router> {
    let guard = guard::Guard::new(project.token.clone());
    let studio = Studio::open(project)?;
    studio.clone().start()?;
    Ok(Router::new()
        .merge(images::routes())
        .merge(imports::routes())
        .merge(work::routes())
        .merge(live::routes())
        .merge(events::routes())
        .merge(assets::routes())
        .layer(middleware::from_fn_with_state(guard, guard::guard))
        .with_state(studio))
}

/// What all handlers share.
pub(crate) struct Studio {
    root: PathBuf,
    demo: Option<Demo>,
    look: Mutex<Look>,
    /// Held while files of the project are changed.
    writing: Mutex<()>,
    masks: Masks,
    jobs: Arc<Jobs>,
    thumbnails: Mutex<Thumbnails>,
    /// Models that are open, by name, with the version of the file.
    judges: Mutex<HashMap<String, (String, SharedJudge)>>,
    live: live::Live,
}

/// The last look at the folders.
struct Look {
    at: Instant,
    fingerprint: u64,
    revision: u64,
    listing: Arc<Listing>,
}

/// Encoded thumbnails by id and version; all are forgotten when they become too many.
#[derive(Default)]
struct Thumbnails {
    bytes: usize,
    by_key: HashMap<String, Arc<[u8]>>,
}

type Shared = Arc<Studio>;

impl Studio {
    fn open(project: Project) -> io::Result<Shared> {
        fs::create_dir_all(&project.folder)?;
        let root = project.folder.canonicalize()?;
        let listing = Arc::new(Listing::read(&root)?);
        let look =
            Look { at: Instant::now(), fingerprint: listing::fingerprint(&root), revision: 1, listing };
        Ok(Arc::new(Studio {
            jobs: Arc::new(Jobs::open(&root)?),
            live: live::Live::open(&root)?,
            root,
            demo: project.demo,
            look: Mutex::new(look),
            writing: Mutex::new(()),
            masks: Masks::default(),
            thumbnails: Mutex::default(),
            judges: Mutex::default(),
        }))
    }

    fn start(self: Shared) -> io::Result<()> {
        // The threads hold the studio weakly or for ever; the program has one and ends with it.
        let studio = self.clone();
        jobs::start(self.jobs.clone(), move |job, control| work::perform(&studio, job, control))?;
        live::start(self)
    }

    /// The folders of a project, made when something is first written.
    fn prepare(&self) -> io::Result<()> {
        FOLDERS.iter().try_for_each(|name| fs::create_dir_all(self.root.join(name)))
    }

    /// What is there now, looked at again if the last look is old; and a number that grows when it changes.
    fn listing(&self) -> io::Result<(u64, Arc<Listing>)> {
        self.look_again(LOOK_EVERY)
    }

    /// What is there at this moment.
    fn fresh(&self) -> io::Result<(u64, Arc<Listing>)> {
        self.look_again(Duration::ZERO)
    }

    fn look_again(&self, not_before: Duration) -> io::Result<(u64, Arc<Listing>)> {
        let mut look = lock(&self.look);
        if look.at.elapsed() >= not_before {
            let fingerprint = listing::fingerprint(&self.root);
            if fingerprint != look.fingerprint {
                look.listing = Arc::new(Listing::read(&self.root)?);
                look.fingerprint = fingerprint;
                look.revision += 1;
            }
            look.at = Instant::now();
        }
        Ok((look.revision, look.listing.clone()))
    }

    /// The image of this id.
    fn item(&self, id: &str) -> Reply<Item> {
        if let Some(item) = self.listing()?.1.items.get(id) {
            return Ok(item.clone());
        }
        self.fresh()?.1.items.get(id).cloned().ok_or_else(|| Refusal::not_found(id))
    }

    fn items(&self, ids: &[String]) -> Reply<Vec<Item>> {
        let listing = self.fresh()?.1;
        ids.iter().map(|id| listing.items.get(id).cloned().ok_or_else(|| Refusal::not_found(id))).collect()
    }

    fn path(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// The right to change files, in this program and beside another studio on the same folder.
    fn write(&self) -> io::Result<Writing<'_>> {
        let here = lock(&self.writing);
        self.prepare()?;
        let file = File::create(self.root.join("runs/.lock"))?;
        match file.lock() {
            // Shares without locks: this program alone is then guarded.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            locked => locked?,
        }
        Ok(Writing { _here: here, _everywhere: file })
    }

    /// A model by its name without `.bgad`.
    fn judge(&self, name: &str) -> Reply<SharedJudge> {
        let path = self.model_path(name)?;
        let meta = fs::metadata(&path)?;
        let version = format!("{:?}-{}", meta.modified()?, meta.len());
        if let Some((known, judge)) = lock(&self.judges).get(name)
            && *known == version
        {
            return Ok(judge.clone());
        }
        let judge = Arc::new(engine::open(&path)?);
        lock(&self.judges).insert(name.to_owned(), (version, judge.clone()));
        Ok(judge)
    }

    fn model_path(&self, name: &str) -> Reply<PathBuf> {
        let file = format!("{name}.bgad");
        match self.fresh()?.1.models.contains(&file) {
            true => Ok(self.root.join("models").join(file)),
            false => Err(Refusal::not_found(format!("the model {name}"))),
        }
    }

    fn thumbnail(&self, item: &Item) -> Reply<Arc<[u8]>> {
        let key = format!("{} {}", item.version, item.id);
        if let Some(bytes) = lock(&self.thumbnails).by_key.get(&key) {
            return Ok(bytes.clone());
        }
        let bytes: Arc<[u8]> = pictures::thumbnail(&self.path(&item.id))?.0.into();
        let mut kept = lock(&self.thumbnails);
        if kept.bytes + bytes.len() > THUMBNAILS {
            *kept = Thumbnails::default();
        }
        kept.bytes += bytes.len();
        kept.by_key.insert(key, bytes.clone());
        Ok(bytes)
    }
}

/// While this lives, nobody else changes files of the project.
struct Writing<'a> {
    _here: MutexGuard<'a, ()>,
    _everywhere: File,
}

/// A lock whose holders keep their data whole even if they panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
