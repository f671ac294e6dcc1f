//! Results for people: one line an image, in 80 columns, verdicts in colour on a terminal.

use std::env;
use std::io::{self, Write};

use bgad::record::Record;
use bgad::verdict::Verdict;

use super::write::{Entry, Exporter};
use crate::out::{self, Text};
use crate::shell::printable;

/// Columns before the file name.
const BEFORE_FILE: usize = 49;
/// A file name keeps so many columns, however narrow the terminal.
const LEAST_FILE: usize = 16;

/// Results for people.
pub(super) struct Table<W: Write> {
    out: W,
    coloured: bool,
    /// Columns of the terminal, if it is one.
    columns: Option<usize>,
}

impl Table<Text> {
    pub(super) fn on_stdout() -> Table<Text> {
        let columns = out::terminal_columns();
        // https://no-color.org: any value but the empty one.
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        Table { out: out::text(), coloured: columns.is_some() && !no_colour, columns }
    }
}

impl<W: Write> Table<W> {
    fn judged(&mut self, record: &Record) -> io::Result<()> {
        let place = match (record.whole_image, record.regions.first()) {
            (true, _) => format!("{:<32}", "   whole image"),
            (_, Some(r)) => {
                let more = match record.regions.len() {
                    0 | 1 => String::new(),
                    n => format!("+{}", n - 1),
                };
                format!("{:>6} {:>6} {:>6} {:>6} {more:>4}", r.x, r.y, r.width, r.height)
            }
            _ => format!("{:>6} {:>6} {:>6} {:>6} {:>4}", "-", "-", "-", "-", ""),
        };
        let verdict = self.verdict(record.verdict);
        let file = self.file(record.file.as_deref().unwrap_or("-"));
        writeln!(self.out, "{verdict} {:>7.2} {place} {file}", record.score)
    }

    /// The verdict in seven columns.
    fn verdict(&self, verdict: Verdict) -> String {
        let word = format!("{verdict:<7}");
        let colour = match verdict {
            Verdict::Ok => "32",
            Verdict::Review => "33",
            Verdict::Ng => "1;31",
        };
        if self.coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word }
    }

    /// A file name; on a terminal no more of it than fits, its end first.
    fn file(&self, file: &str) -> String {
        let file = printable(file);
        let room = self.columns.map_or(usize::MAX, |all| all.saturating_sub(BEFORE_FILE).max(LEAST_FILE));
        let letters = file.chars().count();
        match letters > room {
            true => format!("…{}", file.chars().skip(letters + 1 - room).collect::<String>()),
            false => file.into_owned(),
        }
    }
}

impl<W: Write> Exporter for Table<W> {
    fn begin(&mut self) -> io::Result<()> {
        let head = ["x", "y", "width", "height"];
        let [x, y, width, height] = head;
        writeln!(self.out, "verdict   score {x:>6} {y:>6} {width:>6} {height:>6} more file")
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        match entry {
            Entry::Judged(record) => self.judged(record)?,
            // stderr says why; the line keeps the file from being taken for good.
            Entry::Failed(failed) => {
                let file = self.file(failed.file.as_deref().unwrap_or("-"));
                writeln!(self.out, "{:<48} {file}", "FAILED        -")?;
            }
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::tests::{record, written};
    use super::*;

    fn table(coloured: bool, columns: Option<usize>) -> Table<Vec<u8>> {
        Table { out: Vec::new(), coloured, columns }
    }

    #[test]
    fn the_table_is_for_people() {
        let mut table = table(false, None);
        written(&mut table);
        insta::assert_snapshot!("table", String::from_utf8(table.out).expect("text"));
    }

    #[test]
    fn lines_fit_a_terminal_of_eighty_columns() {
        let mut table = table(false, Some(80));
        let long = format!("line 1/{}/SN0815_top.png", "camera ".repeat(30));
        table.begin().expect("memory");
        for verdict in [Verdict::Ok, Verdict::Review, Verdict::Ng] {
            let mut record = record(&long, verdict, 1234.5);
            record.whole_image = verdict == Verdict::Review;
            table.entry(&Entry::Judged(Box::new(record))).expect("memory");
        }
        let text = String::from_utf8(table.out).expect("text");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.matches("SN0815_top.png").count(), 3, "{text}");
    }

    #[test]
    fn verdicts_have_colours_only_where_they_are_shown() {
        assert_eq!(table(true, None).verdict(Verdict::Ng), "\x1b[1;31mNG     \x1b[0m");
        assert_eq!(table(false, None).verdict(Verdict::Ng), "NG     ");
    }
}
