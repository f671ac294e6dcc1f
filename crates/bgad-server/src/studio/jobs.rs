//! Work that takes time: a queue, one at a time, with progress, pause, cancel, and what was interrupted by a restart.
//!
//! A job is a file `runs/job-N.json`; it is written when its state changes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bgad::durable;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::engine::{Control, Failure, Progress, TrainRequest};

/// Jobs whose files are kept.
const KEPT: usize = 100;
/// Between two reports of progress to the browser.
const EVERY: Duration = Duration::from_millis(200);

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Task {
    Train(TrainRequest),
    Score {
        model: String,
    },
    Doctor {
        quick: bool,
    },
    Learn {
        model: String,
        ids: Vec<String>,
        /// Only what has a closed form is learned anew.
        #[serde(default)]
        quick: bool,
    },
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Queued,
    Running,
    Paused,
    Done,
    Failed,
    Cancelled,
    /// The program ended while it ran; training can be resumed.
    Interrupted,
}

/// One piece of work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub id: u64,
    pub task: Task,
    pub state: State,
    pub progress: Progress,
    /// What came out of it, if there is more to say than that it is done.
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// Files that could not be used.
    pub skipped: Vec<String>,
    /// Milliseconds since 1970.
    pub created: u64,
    pub finished: Option<u64>,
}

/// All jobs of a project.
pub(super) struct Jobs {
    root: PathBuf,
    inner: Mutex<Inner>,
    /// Tells the worker that there is work or that a paused job may go on.
    wake: Condvar,
    /// A number that grows with every change.
    changed: watch::Sender<u64>,
}

struct Inner {
    jobs: BTreeMap<u64, Job>,
    /// What a person has asked of the job that runs.
    pause: bool,
    cancel: bool,
    told: Option<SystemTime>,
}

impl Jobs {
    /// Reads what earlier runs left; whatever was under way was interrupted.
    pub(super) fn open(root: &Path) -> io::Result<Jobs> {
        let mut jobs = BTreeMap::new();
        if let Ok(entries) = fs::read_dir(root.join("runs")) {
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !(name.starts_with("job-") && name.ends_with(".json")) {
                    continue;
                }
                // A file that somebody has changed is theirs; it is not shown.
                if let Ok(job) = serde_json::from_slice::<Job>(&fs::read(entry.path())?) {
                    jobs.insert(job.id, job);
                }
            }
        }
        let lost = jobs
            .values_mut()
            .filter(|job| matches!(job.state, State::Running | State::Paused | State::Queued));
        let mut interrupted = Vec::new();
        for job in lost {
            job.state = State::Interrupted;
            interrupted.push(job.clone());
        }
        let jobs = Jobs {
            root: root.to_owned(),
            inner: Mutex::new(Inner { jobs, pause: false, cancel: false, told: None }),
            wake: Condvar::new(),
            changed: watch::channel(0).0,
        };
        interrupted.iter().try_for_each(|job| jobs.write(job))?;
        Ok(jobs)
    }

    /// A receiver that sees every change.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// All jobs, the newest first.
    pub(super) fn list(&self) -> Vec<Job> {
        self.lock().jobs.values().rev().cloned().collect()
    }

    /// Whether a training of this name is under way or waits.
    pub(super) fn will_train(&self, name: &str) -> bool {
        let is_open = |job: &Job| matches!(job.state, State::Queued | State::Running | State::Paused);
        let is_of = |job: &Job| matches!(&job.task, Task::Train(request) if request.name == name);
        self.lock().jobs.values().any(|job| is_open(job) && is_of(job))
    }

    /// Puts work into the queue.
    pub(super) fn add(&self, task: Task) -> io::Result<Job> {
        let mut inner = self.lock();
        let id = inner.jobs.keys().next_back().map_or(1, |last| last + 1);
        let job = Job {
            id,
            task,
            state: State::Queued,
            progress: Progress::default(),
            result: None,
            error: None,
            skipped: Vec::new(),
            created: now(),
            finished: None,
        };
        self.write(&job)?;
        inner.jobs.insert(id, job.clone());
        while inner.jobs.len() > KEPT {
            let Some((first, _)) = inner.jobs.pop_first() else { break };
            let _ = fs::remove_file(self.file(first));
        }
        drop(inner);
        self.tell();
        Ok(job)
    }

    /// Pauses, resumes or cancels a job. `None` if there is no such job or it cannot be done to it now.
    pub(super) fn command(&self, id: u64, command: &str) -> io::Result<Option<Job>> {
        let mut inner = self.lock();
        let Some(job) = inner.jobs.get_mut(&id) else { return Ok(None) };
        let was = job.state;
        job.state = match (command, was) {
            ("pause", State::Running) => State::Paused,
            ("resume", State::Paused) => State::Running,
            ("resume", State::Interrupted | State::Failed | State::Cancelled) => State::Queued,
            ("cancel", State::Queued | State::Interrupted) => State::Cancelled,
            ("cancel", State::Running | State::Paused) => was,
            _ => return Ok(None),
        };
        if job.state == State::Queued {
            (job.error, job.finished) = (None, None);
        }
        let job = job.clone();
        match (command, was) {
            ("cancel", State::Running | State::Paused) => inner.cancel = true,
            ("pause", _) => inner.pause = true,
            ("resume", State::Paused) => inner.pause = false,
            _ => {}
        }
        self.write(&job)?;
        drop(inner);
        self.tell();
        Ok(Some(job))
    }

    /// Does the work, for ever; `work` gives `Ok(None)` if it was cancelled.
    pub(super) fn run(
        &self,
        work: impl Fn(&Job, &dyn Control) -> Result<Option<serde_json::Value>, Failure>,
    ) {
        loop {
            let job = self.next();
            let control = Running { jobs: self, id: job.id };
            // A panic is a fault of the program; the job says so and the queue goes on.
            let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&job, &control)));
            let outcome = worked.unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                Err(format!("a fault of bgad, please report it: {text}").into())
            });
            self.finish(job.id, outcome);
        }
    }

    fn next(&self) -> Job {
        let mut inner = self.lock();
        loop {
            if let Some(job) = inner.jobs.values_mut().find(|job| job.state == State::Queued) {
                job.state = State::Running;
                job.progress = Progress::default();
                job.skipped.clear();
                let job = job.clone();
                (inner.pause, inner.cancel) = (false, false);
                // The state on disk matters only if the program ends now, and then the queue is interrupted too.
                let _ = self.write(&job);
                drop(inner);
                self.tell();
                return job;
            }
            inner = self.wake.wait(inner).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    fn finish(&self, id: u64, outcome: Result<Option<serde_json::Value>, Failure>) {
        let mut inner = self.lock();
        if let Some(job) = inner.jobs.get_mut(&id) {
            job.finished = Some(now());
            job.progress.secs_left = None;
            match outcome {
                Ok(Some(result)) => (job.state, job.result) = (State::Done, Some(result)),
                Ok(None) => job.state = State::Cancelled,
                Err(error) => {
                    (job.state, job.error) = (State::Failed, Some(super::engine::chain(error.as_ref())))
                }
            }
            let job = job.clone();
            if let Err(error) = self.write(&job)
                && let Some(job) = inner.jobs.get_mut(&id)
            {
                job.error = Some(format!("runs/job-{id}.json cannot be written: {error}"));
            }
        }
        drop(inner);
        self.tell();
    }

    fn file(&self, id: u64) -> PathBuf {
        self.root.join(format!("runs/job-{id}.json"))
    }

    fn write(&self, job: &Job) -> io::Result<()> {
        fs::create_dir_all(self.root.join("runs"))?;
        durable::replace(&self.file(job.id), &serde_json::to_vec_pretty(job)?)
    }

    fn tell(&self) {
        self.wake.notify_all();
        self.changed.send_modify(|number| *number += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change to the map is whole by itself, so a panic elsewhere leaves it usable.
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The job that runs, as the library sees it.
struct Running<'a> {
    jobs: &'a Jobs,
    id: u64,
}

impl Control for Running<'_> {
    fn stop(&self) -> bool {
        let mut inner = self.jobs.lock();
        while inner.pause && !inner.cancel {
            inner = self.jobs.wake.wait(inner).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        inner.cancel
    }

    fn report(&self, progress: Progress) {
        let mut inner = self.jobs.lock();
        let Some(job) = inner.jobs.get_mut(&self.id) else { return };
        let news = progress.stage != job.progress.stage || progress.losses.len() != job.progress.losses.len();
        job.progress = progress;
        let at = SystemTime::now();
        let due = inner.told.is_none_or(|told| at.duration_since(told).is_ok_and(|since| since > EVERY));
        if news || due {
            inner.told = Some(at);
            drop(inner);
            self.jobs.changed.send_modify(|number| *number += 1);
        }
    }

    fn skipped(&self, message: String) {
        if let Some(job) = self.jobs.lock().jobs.get_mut(&self.id) {
            job.skipped.push(message);
        }
    }
}

/// Jobs with a thread that does them.
pub(super) fn start(
    jobs: Arc<Jobs>,
    work: impl Fn(&Job, &dyn Control) -> Result<Option<serde_json::Value>, Failure> + Send + 'static,
) -> io::Result<()> {
    std::thread::Builder::new().name("studio-work".to_owned()).spawn(move || jobs.run(work)).map(drop)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    fn wait_for(jobs: &Jobs, id: u64, state: State) -> Job {
        let started = Instant::now();
        loop {
            let job = jobs.list().into_iter().find(|job| job.id == id).expect("the job");
            if job.state == state {
                return job;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{job:?} never became {state:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Counts to a thousand slowly, unless it is stopped.
    fn counting(_: &Job, control: &dyn Control) -> Result<Option<serde_json::Value>, Failure> {
        for done in 0..1000 {
            if control.stop() {
                return Ok(None);
            }
            control.report(Progress { done, total: 1000, ..Progress::default() });
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Some(json!("counted")))
    }

    #[test]
    fn a_job_pauses_goes_on_and_is_cancelled() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = Arc::new(Jobs::open(folder.path()).expect("opened"));
        start(jobs.clone(), counting).expect("a thread");
        let first = jobs.add(Task::Doctor { quick: true }).expect("queued").id;
        let second = jobs.add(Task::Doctor { quick: true }).expect("queued").id;
        wait_for(&jobs, first, State::Running);
        assert_eq!(wait_for(&jobs, second, State::Queued).id, second);

        assert!(jobs.command(first, "pause").expect("written").is_some());
        std::thread::sleep(Duration::from_millis(50));
        let at = wait_for(&jobs, first, State::Paused).progress.done;
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(
            wait_for(&jobs, first, State::Paused).progress.done,
            at,
            "nothing is done while it is paused"
        );

        assert!(jobs.command(first, "resume").expect("written").is_some());
        wait_for(&jobs, first, State::Running);
        assert!(jobs.command(first, "cancel").expect("written").is_some());
        wait_for(&jobs, first, State::Cancelled);
        let done = wait_for(&jobs, second, State::Done);
        assert_eq!(done.result, Some(json!("counted")));
        assert!(jobs.command(second, "pause").expect("no error").is_none(), "what is done cannot be paused");
    }

    #[test]
    fn a_restart_finds_what_was_interrupted_and_a_panic_is_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let id =
            Jobs::open(folder.path()).expect("opened").add(Task::Doctor { quick: false }).expect("queued").id;
        let jobs = Arc::new(Jobs::open(folder.path()).expect("opened again"));
        assert_eq!(jobs.list()[0].state, State::Interrupted);
        start(jobs.clone(), |_, _| panic!("on purpose")).expect("a thread");
        jobs.command(id, "resume").expect("written").expect("resumable");
        let failed = wait_for(&jobs, id, State::Failed);
        assert!(failed.error.expect("a reason").contains("on purpose"));
    }
}
