//! The file of results: it grows at its end, row by row, and says by itself how far it has come.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::manifest::Entry;
use super::{Job, Row};
use crate::durable;
use crate::printable::cell;

/// Rows reach the disk at least so often; a power failure costs no more, a killed process nothing.
const SYNC: Duration = Duration::from_secs(1);

/// The columns of CSV.
const HEAD: [&str; 13] = [
    "row",
    "file",
    "verdict",
    "score",
    "height",
    "width",
    "regions",
    "x",
    "y",
    "region_height",
    "region_width",
    "peak",
    "error",
];

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a head.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// What the end of the name says.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Extension`] for any other than `.csv` and `.jsonl`.
    pub fn of(path: &Path) -> Result<Format, ArchiveError> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Ok(Format::Csv),
            "jsonl" => Ok(Format::Jsonl),
            _ => Err(ArchiveError::Extension { path: path.to_owned() }),
        }
    }
}

/// The results of a shard, open to be continued.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    format: Format,
    file: BufWriter<File>,
    synced: Instant,
    /// Rows found, until the manifest has been compared with them.
    found: std::vec::IntoIter<(u64, String)>,
}

impl Output {
    /// Opens the output of a job: a new one, or with `resume` one that the same job has begun, cut after its last whole row.
    ///
    /// # Errors
    ///
    /// An [`ArchiveError`] if it is there and is not to be resumed, if another job has begun it, if another process is writing it,
    /// or if the system says no.
    pub fn open(path: &Path, job: &Job, resume: bool) -> Result<Output, ArchiveError> {
        let format = Format::of(path)?;
        let failed = |source| ArchiveError::Output { path: path.to_owned(), source };
        match (path.exists(), resume) {
            (true, false) => return Err(ArchiveError::Exists { path: path.to_owned() }),
            (true, true) => job.check(path)?,
            (false, _) => job.write(path)?,
        }
        let mut file = durable::open_to_extend(path).map_err(failed)?;
        if !take_lock(&file) {
            return Err(ArchiveError::Busy { path: path.to_owned() });
        }
        let (whole, found) = match format {
            Format::Csv => whole_rows_of_csv(&file),
            Format::Jsonl => whole_rows_of_jsonl(&file),
        }
        .map_err(failed)?;
        file.set_len(whole).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let mut output = Output {
            path: path.to_owned(),
            format,
            file: BufWriter::new(file),
            synced: Instant::now(),
            found: found.into_iter(),
        };
        if whole == 0 && format == Format::Csv {
            output.write(|file| writeln!(file, "{}", HEAD.join(",")))?;
        }
        Ok(output)
    }

    /// Whether the row of this entry is there already. To be asked in the order of the manifest.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::OtherManifest`] if another image has that place.
    pub fn has(&mut self, entry: &Entry) -> Result<bool, ArchiveError> {
        match self.found.next() {
            None => Ok(false),
            // In a CSV file names are written as cells; files of an earlier version have them as they are.
            Some((row, file)) if row == entry.row && (file == entry.file || file == cell(&entry.file)) => {
                Ok(true)
            }
            Some((row, file)) => Err(ArchiveError::OtherManifest {
                path: self.path.clone(),
                found: format!("row {row}, {file}"),
                expected: format!("row {}, {}", entry.row, entry.file),
            }),
        }
    }

    /// Appends rows, which are then safe from a kill.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Output`] if the system says no; a part of a row is cut off when the job is resumed.
    pub fn append(&mut self, rows: &[Row]) -> Result<(), ArchiveError> {
        let format = self.format;
        self.write(|file| match format {
            Format::Jsonl => rows.iter().try_for_each(|row| {
                serde_json::to_writer(&mut *file, row)?;
                file.write_all(b"\n")
            }),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(&mut *file);
                rows.iter().try_for_each(|row| writer.serialize(in_cells(row))).map_err(io::Error::other)?;
                writer.flush()
            }
        })?;
        if self.synced.elapsed() >= SYNC {
            self.sync()?;
        }
        Ok(())
    }

    /// Brings everything to the disk; called once more at the end.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Output`] if the system says no.
    pub fn sync(&mut self) -> Result<(), ArchiveError> {
        self.synced = Instant::now();
        self.write(|file| file.get_ref().sync_data())
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let written = write(&mut self.file).and_then(|()| self.file.flush());
        written.map_err(|source| ArchiveError::Output { path: self.path.clone(), source })
    }
}

/// The row as a CSV file has it: no text in it is a formula to a spreadsheet.
fn in_cells(row: &Row) -> Row {
    let error = row.error.as_deref().map(|error| cell(error).into_owned());
    Row { file: cell(&row.file).into_owned(), error, ..row.clone() }
}

/// Length of the whole rows, head included, and what they are of.
type Whole = (u64, Vec<(u64, String)>);

/// How often a lock is tried, and how long to wait between.
const LOCK: (usize, Duration) = (50, Duration::from_millis(20));

/// Takes the lock of an output, if nobody else keeps it. A process that is just being started by this one may hold it for a moment.
fn take_lock(file: &File) -> bool {
    (0..LOCK.0).any(|attempt| {
        if attempt > 0 {
            thread::sleep(LOCK.1);
        }
        file.try_lock().is_ok()
    })
}

fn whole_rows_of_csv(file: &File) -> io::Result<Whole> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(BufReader::new(file));
    let mut rows = Vec::new();
    let (mut whole, mut record) = (0, csv::StringRecord::new());
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.is_io_error() => return Err(io::Error::other(error)),
            // Another number of fields, or no text: a part of a row.
            Err(_) => break,
        }
        let end = reader.position().byte();
        if !ends_a_line(file, end)? {
            break;
        }
        match record.get(0).map(str::parse) {
            Some(Ok(row)) if whole > 0 => rows.push((row, record[1].to_owned())),
            _ if whole == 0 && record.iter().eq(HEAD) => {}
            _ => break,
        }
        whole = end;
    }
    Ok((whole, rows))
}

fn ends_a_line(mut file: &File, end: u64) -> io::Result<bool> {
    let here = file.stream_position()?;
    let mut last = [0];
    file.seek(SeekFrom::Start(end.saturating_sub(1)))?;
    file.read_exact(&mut last)?;
    file.seek(SeekFrom::Start(here))?;
    Ok(last == *b"\n")
}

fn whole_rows_of_jsonl(file: &File) -> io::Result<Whole> {
    #[derive(serde::Deserialize)]
    struct Place {
        row: u64,
        file: String,
    }
    let mut reader = BufReader::new(file);
    let (mut whole, mut rows, mut line) = (0, Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        match serde_json::from_slice(&line) {
            Ok(Place { row, file }) if line.ends_with(b"\n") => rows.push((row, file)),
            _ => return Ok((whole, rows)),
        }
        whole += read as u64;
    }
}

/// Why an archive cannot be inspected, or not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The manifest cannot be read.
    #[error("{}: expected a CSV file with a column `path`", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// The manifest does not say where the images are.
    #[error("{}: expected a column `path` with the images, found the columns {found}", path.display())]
    NoColumn {
        /// The manifest.
        path: PathBuf,
        /// The columns it has.
        found: String,
    },
    /// The form of the output is not known.
    #[error("{}: expected a name that ends in .csv or .jsonl, which says how results are written", path.display())]
    Extension {
        /// The output.
        path: PathBuf,
    },
    /// The output is there, and was not to be continued.
    #[error("{} is there already: go on with it by resuming, or remove it", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The output is another job's.
    #[error("{} was begun with another {what} ({found}), not {expected}: resume with the same, or write to another file", path.display())]
    OtherJob {
        /// The output.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What it was begun with.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The rows of the output are not those of the manifest.
    #[error("{} is of another manifest: it has {found} where the manifest has {expected}", path.display())]
    OtherManifest {
        /// The output.
        path: PathBuf,
        /// The row in the output.
        found: String,
        /// The row in the manifest.
        expected: String,
    },
    /// Nothing says which job has begun the output.
    #[error("{}: expected the file beside the results that says what they were begun with", path.display())]
    NoJob {
        /// The job file.
        path: PathBuf,
        /// Why it cannot be used.
        source: io::Error,
    },
    /// Another process is writing the output.
    #[error("{} is being written by another process: wait for it, or take another shard", path.display())]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// The output cannot be written or read.
    #[error("{}: the results cannot be written", path.display())]
    Output {
        /// The output.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Shard;
    use std::fs;

    fn job() -> Job {
        Job { model_sha256: "ab".to_owned(), shard: Shard::ALL }
    }

    fn entries() -> Vec<Entry> {
        ["a.png", "b \"quoted\", and\nbroken.png", "c.png", "d.png"]
            .iter()
            .enumerate()
            .map(|(row, file)| Entry { row: row as u64, file: (*file).to_owned(), path: (*file).into() })
            .collect()
    }

    /// Writes what is missing, at most `most` rows, and gives how many that were.
    fn run(path: &Path, resume: bool, most: usize) -> usize {
        let mut output = Output::open(path, &job(), resume).expect("an output");
        let mut written = 0;
        for entry in entries() {
            if !output.has(&entry).expect("the same manifest") && written < most {
                output.append(&[Row::failed(entry.row, entry.file, "no\nimage")]).expect("a disk");
                written += 1;
            }
        }
        output.sync().expect("a disk");
        written
    }

    #[test]
    fn whatever_is_left_of_an_output_is_continued_to_the_same_whole() {
        for name in ["out.csv", "out.jsonl"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(name);
            assert_eq!(run(&path, false, 9), 4);
            let whole = fs::read(&path).expect("the output");
            // Wherever a kill or a power failure has cut it.
            for length in 0..whole.len() {
                fs::write(&path, &whole[..length]).expect("the output");
                run(&path, true, 9);
                assert!(fs::read(&path).expect("the output") == whole, "{name} cut at {length}");
            }
            assert_eq!(run(&path, true, 9), 0, "nothing is left to do");
            let mut zeros = whole[..whole.len() / 2].to_vec();
            zeros.resize(whole.len(), 0);
            fs::write(&path, zeros).expect("the output");
            run(&path, true, 1);
            run(&path, true, 9);
            assert!(fs::read(&path).expect("the output") == whole, "{name} ending in zeros");
        }
    }

    #[test]
    fn nobody_s_output_is_overwritten_or_continued_by_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.csv");
        run(&path, false, 2);
        let refused = |job: &Job, resume| Output::open(&path, job, resume).expect_err("refused").to_string();
        assert!(refused(&job(), false).contains("there already"));
        assert!(refused(&Job { model_sha256: "cd".to_owned(), ..job() }, true).contains("another model"));
        assert!(
            refused(&Job { shard: "1/2".parse().expect("a shard"), ..job() }, true).contains("another shard")
        );
        let open = Output::open(&path, &job(), true).expect("ours");
        assert!(refused(&job(), true).contains("another process"));
        drop(open);
        let mut output = Output::open(&path, &job(), true).expect("ours");
        let other = Entry { row: 0, file: "z.png".to_owned(), path: "z.png".into() };
        assert!(output.has(&other).expect_err("refused").to_string().contains("another manifest"));
        assert!(Format::of(Path::new("out.parquet")).is_err());
    }
}
