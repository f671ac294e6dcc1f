//! The loop of a line: a whole picture, a verdict, a record on the disk, and only then a word to anybody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::folder::{Folder, Identity};
use super::journal::{Journal, Outcome};
use super::keep::Keeper;
use super::modbus::SharedPanel;
use super::mqtt::Mqtt;
use super::panel::{Panel, Shown};
use crate::picture::Picture;
use crate::record::{Fault, PartInfo, Record};
use crate::refusal::Refusal;
use crate::server::Server;

/// Between two looks at triggers and the folder.
const TICK: Duration = Duration::from_millis(5);
/// Between two beats of the heart.
const BEAT: Duration = Duration::from_millis(100);
/// After a fault of the disk or the server.
const AGAIN: Duration = Duration::from_millis(500);

/// Somebody wants the next frame judged.
pub(crate) struct Trigger {
    /// When: a frame that was there before is not meant.
    pub(crate) at: Instant,
    pub(crate) part_id: Option<String>,
    /// Gets the outcome; `None` for a trigger by Modbus, which looks at the panel.
    pub(crate) answer: Option<oneshot::Sender<Outcome>>,
}

/// When frames are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As they come.
    Free,
    /// The next frame after a trigger.
    Triggered {
        /// How long the frame may take.
        timeout: Duration,
        /// How long before the trigger it may have come.
        frame_age: Duration,
    },
}

/// A line: a folder that pictures come from, and what is told of them.
pub(crate) struct Station {
    pub(crate) server: Arc<Server>,
    pub(crate) runtime: Handle,
    pub(crate) folder: Folder,
    pub(crate) journal: Journal,
    pub(crate) keeper: Keeper,
    pub(crate) panel: SharedPanel,
    pub(crate) mqtt: Option<Mqtt>,
    pub(crate) station: Option<String>,
    pub(crate) pace: Pace,
    pub(crate) threads: usize,
    pub(crate) plc: mpsc::Receiver<Instant>,
    pub(crate) calls: mpsc::Receiver<Trigger>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) last_beat: Instant,
}

impl Station {
    /// Judges until told to stop.
    pub(crate) fn run(mut self) {
        self.start();
        while !self.stop.load(Ordering::Relaxed) {
            self.beat();
            let busy = match self.pace {
                Pace::Free => self.judge_new(),
                Pace::Triggered { timeout, frame_age } => self.judge_triggered(timeout, frame_age),
            };
            if !busy {
                std::thread::sleep(TICK);
            }
        }
        self.panel.with(|panel| panel.set_standing(true));
        if let Some(mqtt) = &self.mqtt {
            self.runtime.block_on(mqtt.stop());
        }
    }

    /// Shows the PLC that this thread goes on.
    fn beat(&mut self) {
        if self.last_beat.elapsed() >= BEAT {
            self.panel.with(Panel::beat);
            self.last_beat = Instant::now();
        }
    }

    fn start(&mut self) {
        if matches!(self.pace, Pace::Triggered { .. }) {
            // Frames from before the start belong to no trigger.
            match self.folder.whole() {
                Ok(_) => {
                    for file in self.folder.seen_before(Instant::now()) {
                        self.folder.done(file);
                    }
                }
                Err(error) => return self.standing(Some(&format!("the folder cannot be listed: {error}"))),
            }
        }
        self.standing(None);
    }

    /// Says that nothing can be judged at present, or that all is well again.
    fn standing(&self, fault: Option<&str>) {
        if let Some(reason) = fault {
            self.server.metrics.fault("line");
            tracing::error!(reason, "the line is at fault");
        }
        self.panel.with(|panel| panel.set_standing(fault.is_some()));
        if let Some(mqtt) = &self.mqtt {
            mqtt.set_state(fault);
        }
    }

    /// Judges all whole files, several at a time, in the order in which they came. False if there was none.
    fn judge_new(&mut self) -> bool {
        let files = match self.folder.whole() {
            Ok(files) => files,
            Err(error) => {
                self.standing(Some(&format!("the folder cannot be listed: {error}")));
                std::thread::sleep(AGAIN);
                return true;
            }
        };
        if files.is_empty() {
            // What could not be written stays among the files, so the cause is gone.
            self.standing_is_over();
            return false;
        }
        let share = &files[..files.len().min(2 * self.threads)];
        let begun: Vec<_> = share.iter().map(|file| self.begin(file, None)).collect();
        for (file, begun) in share.iter().zip(begun) {
            if let Err(Unread::Gone(reason)) = &begun {
                tracing::debug!(reason, "a file went or changed before it was read");
                continue;
            }
            let part_id = part_id_of(&file.name);
            let (image, outcome) = match self.end(file, begun) {
                Ok(judged) => judged,
                Err(reason) => {
                    self.standing(Some(&reason));
                    std::thread::sleep(AGAIN);
                    break;
                }
            };
            self.panel.with(|panel| panel.begin_unasked(&part_id));
            if let Err(error) = self.commit(file, &image, &outcome) {
                self.panel.with(Panel::fail);
                self.standing(Some(&format!("the record cannot be written: {error}")));
                std::thread::sleep(AGAIN);
                break;
            }
            self.folder.done(file.clone());
            self.standing_is_over();
            self.tell(&outcome);
        }
        true
    }

    fn judge_triggered(&mut self, timeout: Duration, frame_age: Duration) -> bool {
        let trigger = if let Ok(at) = self.plc.try_recv() {
            Trigger { at, part_id: self.panel.with(|panel| panel.part_id()), answer: None }
        } else if let Ok(call) = self.calls.try_recv() {
            if !self.panel.with(|panel| panel.begin_call(call.part_id.as_deref().unwrap_or_default())) {
                // The PLC was faster, or has a result to acknowledge; the caller is told that the line is busy.
                return true;
            }
            call
        } else {
            self.look_about();
            return false;
        };
        let outcome = self.judge_next(&trigger, timeout, frame_age);
        let outcome = outcome.unwrap_or_else(|error| {
            let part = PartInfo { part_id: trigger.part_id.clone(), ..PartInfo::default() };
            Outcome::Fault(Fault::new(part, error))
        });
        // What has come by now is too late for this part and too early for the next.
        self.folder.look_again();
        self.look_about();
        self.tell(&outcome);
        if let Some(answer) = trigger.answer {
            // Whoever called may be gone.
            let _ = answer.send(outcome);
        }
        true
    }

    /// Between triggers: since when frames have been there, and whether the folder can be listed again.
    fn look_about(&mut self) {
        match self.folder.whole() {
            Ok(_) => self.standing_is_over(),
            Err(error) => {
                self.standing(Some(&format!("the folder cannot be listed: {error}")));
                std::thread::sleep(AGAIN);
            }
        }
    }

    /// The outcome of the newest frame that belongs to a trigger.
    fn judge_next(
        &mut self,
        trigger: &Trigger,
        timeout: Duration,
        frame_age: Duration,
    ) -> Result<Outcome, String> {
        let list =
            |folder: &mut Folder| folder.whole().map_err(|e| format!("the folder cannot be listed: {e}"));
        self.folder.look_again();
        list(&mut self.folder)?;
        // A frame that was there already belongs to another part: it must not be judged for this one.
        let oldest = trigger.at.checked_sub(frame_age).unwrap_or(trigger.at);
        for file in self.folder.seen_before(oldest) {
            self.leave_out(&file, "the frame came before its trigger");
        }
        let newest = loop {
            let mut files = list(&mut self.folder)?;
            if let Some(newest) = files.pop() {
                for file in files {
                    self.leave_out(&file, "a newer frame was there for the trigger");
                }
                break newest;
            }
            if trigger.at.elapsed() > timeout || self.stop.load(Ordering::Relaxed) {
                return Err(format!("no frame came within {:.1} s of the trigger", timeout.as_secs_f64()));
            }
            self.beat();
            std::thread::sleep(TICK);
        };
        let begun = self.begin(&newest, trigger.part_id.clone());
        let ended = self.end(&newest, begun);
        // Whatever comes of it, this frame is spent: the next trigger is for another part.
        self.folder.done(newest.clone());
        let (image, outcome) = ended?;
        match self.commit(&newest, &image, &outcome) {
            Ok(()) => {
                self.standing_is_over();
                Ok(outcome)
            }
            Err(error) => {
                let reason = format!("the record cannot be written: {error}");
                self.server.metrics.fault("line");
                tracing::error!(reason, "the part is at fault");
                Err(reason)
            }
        }
    }

    /// A frame that no part is judged by; its record says so.
    fn leave_out(&mut self, file: &Identity, why: &str) {
        let part = PartInfo { file: Some(file.name.clone()), ..PartInfo::default() };
        let outcome = Outcome::Fault(Fault::new(part, format!("not judged: {why}")));
        if let Err(error) = self.journal.add(&outcome, file) {
            tracing::error!(%error, file = file.name, "the record of a frame that was left out is not written");
        }
        self.folder.done(file.clone());
    }

    /// Reads a file and starts to judge it.
    fn begin(&self, file: &Identity, part_id: Option<String>) -> Begun {
        let image = self.folder.read(file).map_err(|error| {
            let reason = format!("{}: {error}", file.name);
            match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::Other => Unread::Gone(reason),
                io::ErrorKind::FileTooLarge => Unread::Part(reason),
                _ => Unread::Fault(reason),
            }
        })?;
        let image = bytes::Bytes::from(image);
        let part = self.part(file, part_id);
        let (server, picture, about) =
            (Arc::clone(&self.server), Picture::Encoded(image.clone()), part.clone());
        let judging = self.runtime.spawn(async move {
            let version = server.library.only()?;
            server.record(&version, picture, about).await.map(|(record, _)| record)
        });
        Ok((image, part, judging))
    }

    fn part(&self, file: &Identity, part_id: Option<String>) -> PartInfo {
        PartInfo {
            part_id: Some(part_id.unwrap_or_else(|| part_id_of(&file.name))),
            station: self.station.clone(),
            file: Some(file.name.clone()),
        }
    }

    /// Waits for the result. An error is one of the line, not of the part.
    fn end(&self, file: &Identity, begun: Begun) -> Result<(bytes::Bytes, Outcome), String> {
        let (image, part, judging) = match begun {
            Ok(begun) => begun,
            Err(Unread::Part(reason)) => {
                let part = self.part(file, None);
                return Ok((bytes::Bytes::new(), Outcome::Fault(Fault::new(part, reason))));
            }
            Err(Unread::Gone(reason) | Unread::Fault(reason)) => return Err(reason),
        };
        let judged = self.runtime.block_on(judging).map_err(|error| format!("judging failed: {error}"))?;
        let outcome = match judged {
            Ok(record) => Outcome::Judged(Box::new(record)),
            Err(Refusal::Invalid(reason)) => Outcome::Fault(Fault::new(part, reason)),
            Err(refusal) => return Err(format!("{}: {refusal}", file.name)),
        };
        Ok((image, outcome))
    }

    /// Puts the image and the record on the disk.
    fn commit(&mut self, file: &Identity, image: &[u8], outcome: &Outcome) -> io::Result<()> {
        let kept = self.keeper.keep(outcome, &file.name, image)?;
        self.journal.add(outcome, file).inspect_err(|_| self.keeper.undo(&kept))
    }

    fn standing_is_over(&self) {
        if self.panel.with(|panel| panel.is_standing()) {
            self.standing(None);
        }
    }

    /// Tells the PLC and the broker; the record is on the disk.
    fn tell(&self, outcome: &Outcome) {
        self.panel.with(|panel| match outcome {
            Outcome::Judged(record) => panel.finish(Shown {
                verdict: record.result.verdict,
                score: record.result.score,
                version: record.version.parse().unwrap_or(0),
            }),
            Outcome::Fault(_) => panel.fail(),
        });
        if let (Some(mqtt), Ok(record)) = (&self.mqtt, serde_json::to_vec(outcome)) {
            mqtt.result(record);
        }
        match outcome {
            Outcome::Judged(record) => tracing::info!(
                part_id = record.result.part_id,
                verdict = %record.result.verdict,
                score = record.result.score,
                id = record.result.id,
                "judged"
            ),
            Outcome::Fault(fault) => {
                self.server.metrics.fault("part");
                tracing::warn!(part_id = fault.part_id, error = fault.error, id = fault.id, "fault");
            }
        }
    }
}

/// An image with what is known of it, on its way through the workers.
type Begun = Result<(bytes::Bytes, PartInfo, JoinHandle<Result<Record, Refusal>>), Unread>;

/// Why a file was not read.
enum Unread {
    /// It is no longer the file that was found.
    Gone(String),
    /// The system refuses.
    Fault(String),
    /// It cannot be the picture of a part.
    Part(String),
}

/// The name of a file without its extension.
fn part_id_of(name: &str) -> String {
    std::path::Path::new(name)
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
