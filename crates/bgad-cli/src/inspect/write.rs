//! Results as a table, JSON lines or CSV.

use std::io::{self, Write};

use bgad::PartKind;
use bgad::verdict::{DefectRegion, Thresholds, Verdict};
use serde::Serialize;

use super::Judged;
use super::inputs::Input;
use crate::args::Format;

/// Regions that a row of the table shows.
const REGIONS_SHOWN: usize = 3;

const CSV_HEAD: &str = "file,verdict,score,coarsest,cells,whole,regions,x,y,width,height,area_share,peak,mean,area,area_mm2,centroid_x,centroid_y,\
                        secs,overlay,error";

/// Writes one result after the other.
pub(super) struct Writer<W> {
    format: Format,
    thresholds: Thresholds,
    /// Side of a pixel of the original image, mm.
    pixel_size: Option<f64>,
    out: W,
}

#[derive(Serialize)]
struct Line<'a> {
    file: String,
    verdict: Verdict,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    coarsest: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<f32>,
    width: usize,
    height: usize,
    regions: Vec<RegionLine<'a>>,
    secs: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay: Option<String>,
}

#[derive(Serialize)]
struct RegionLine<'a> {
    #[serde(flatten)]
    region: &'a DefectRegion,
    #[serde(skip_serializing_if = "Option::is_none")]
    area_mm2: Option<f64>,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    file: String,
    error: &'a str,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(format: Format, thresholds: Thresholds, pixel_size: Option<f64>, out: W) -> Writer<W> {
        Writer { format, thresholds, pixel_size, out }
    }

    /// The head of the table.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Table => {
                writeln!(
                    self.out,
                    "verdict     score  regions  {:<52} seconds  file",
                    "highest (width x height + x + y, peak)"
                )?;
            }
            Format::Csv => writeln!(self.out, "{CSV_HEAD}")?,
            Format::Jsonl => {}
        }
        self.flush()
    }

    /// An image and what came of it.
    pub(super) fn judged(&mut self, input: &Input, judged: &Judged) -> io::Result<()> {
        let Judged { inspection, secs, overlay } = judged;
        let file = input.path.to_string_lossy();
        let overlay = overlay.as_ref().and_then(|written| written.as_ref().ok());
        let overlay = overlay.map(|path| path.to_string_lossy().into_owned());
        let regions = &inspection.regions;
        let area_mm2 = |region: &DefectRegion| self.pixel_size.map(|side| region.area_mm2(side));
        match self.format {
            Format::Table => {
                let shown: Vec<String> = regions
                    .iter()
                    .take(REGIONS_SHOWN)
                    .map(|r| format!("{}x{}+{}+{} {:.2}", r.width, r.height, r.x, r.y, r.peak))
                    .collect();
                // Flagged for no place of the map: whoever looks should look at all of it.
                let beyond = [
                    ("coarsest level", inspection.part(PartKind::Coarsest)),
                    ("cells", inspection.part(PartKind::Cells)),
                    ("whole image", inspection.part(PartKind::Whole)),
                ];
                let of_map = inspection.score - beyond.iter().filter_map(|(_, nats)| *nats).sum::<f32>();
                let flagged = inspection.verdict != Verdict::Ok && of_map <= self.thresholds.ok;
                let beyond = beyond.into_iter().filter_map(|(part, nats)| {
                    nats.filter(|nats| flagged && *nats > 0.0).map(|nats| format!("{part} {nats:+.2}"))
                });
                let shown: Vec<String> = beyond.chain(shown).collect();
                let shown = if shown.is_empty() { "-".to_owned() } else { shown.join(", ") };
                let (verdict, score, count) = (inspection.verdict, inspection.score, regions.len());
                writeln!(self.out, "{verdict:<7} {score:>9.3}  {count:>7}  {shown:<52} {secs:>7.3}  {file}")
            }
            Format::Jsonl => self.json(&Line {
                file: file.into_owned(),
                verdict: inspection.verdict,
                score: inspection.score,
                coarsest: inspection.part(PartKind::Coarsest),
                cells: inspection.part(PartKind::Cells),
                whole: inspection.part(PartKind::Whole),
                width: inspection.original.width,
                height: inspection.original.height,
                regions: regions
                    .iter()
                    .map(|region| RegionLine { region, area_mm2: area_mm2(region) })
                    .collect(),
                secs: *secs,
                overlay,
            }),
            Format::Csv => {
                let part = |nats: Option<f32>| nats.map(|nats| nats.to_string()).unwrap_or_default();
                let highest = match regions.first() {
                    Some(r) => format!(
                        "{},{},{},{},{},{},{},{},{},{},{}",
                        r.x,
                        r.y,
                        r.width,
                        r.height,
                        r.area_share,
                        r.peak,
                        r.mean,
                        r.area,
                        area_mm2(r).map(|area| area.to_string()).unwrap_or_default(),
                        r.centroid_x,
                        r.centroid_y
                    ),
                    None => ",".repeat(10),
                };
                writeln!(
                    self.out,
                    "{},{},{},{},{},{},{},{highest},{secs:.6},{},",
                    field(&file),
                    inspection.verdict,
                    inspection.score,
                    part(inspection.part(PartKind::Coarsest)),
                    part(inspection.part(PartKind::Cells)),
                    part(inspection.part(PartKind::Whole)),
                    regions.len(),
                    field(overlay.as_deref().unwrap_or_default()),
                )
            }
        }
    }

    /// An image that could not be judged. The table does without: stderr says it.
    pub(super) fn skipped(&mut self, input: &Input, error: &str) -> io::Result<()> {
        let file = input.path.to_string_lossy();
        match self.format {
            Format::Table => Ok(()),
            Format::Jsonl => self.json(&ErrorLine { file: file.into_owned(), error }),
            Format::Csv => {
                let empty = ",".repeat(CSV_HEAD.matches(',').count());
                writeln!(self.out, "{}{empty}{}", field(&file), field(error))
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line).map_err(io::Error::from)?;
        writeln!(self.out)
    }
}

/// A field of a CSV line, quoted as RFC 4180 says where it must be.
pub(crate) fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bgad::detector::Inspection;
    use bgad::image::OriginalSize;
    use bgad::score::AnomalyMap;

    fn written(format: Format) -> String {
        written_with(format, Thresholds { ok: 5.0, ng: 6.0 })
    }

    fn written_with(format: Format, thresholds: Thresholds) -> String {
        let input = |path: &str| Input { path: path.into(), overlay: "o.png".into() };
        let region = DefectRegion {
            x: 1,
            y: 2,
            width: 3,
            height: 4,
            area_share: 0.25,
            area: 8.0,
            centroid_x: 2.5,
            centroid_y: 4.0,
            peak: 7.5,
            mean: 5.5,
        };
        let inspection = Inspection {
            score: 7.5,
            parts: vec![(PartKind::Coarsest, 0.5), (PartKind::Cells, -0.25), (PartKind::Whole, 0.75)],
            whole_image: false,
            verdict: Verdict::Ng,
            map: AnomalyMap { nats: vec![7.5], h: 1, w: 1 },
            regions: vec![region],
            original: OriginalSize { height: 20, width: 10 },
        };
        let mut bytes = Vec::new();
        let mut writer = Writer::new(format, thresholds, Some(0.5), &mut bytes);
        writer.begin().expect("memory");
        writer.judged(&input("a, b.png"), &Judged { inspection, secs: 0.5, overlay: None }).expect("memory");
        writer.skipped(&input("c.png"), "no \"image\"").expect("memory");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn json_lines_have_every_region_and_every_error() {
        let want = concat!(
            r#"{"file":"a, b.png","verdict":"NG","score":7.5,"coarsest":0.5,"cells":-0.25,"whole":0.75,"width":10,"height":20,"regions":"#,
            r#"[{"x":1,"y":2,"width":3,"height":4,"area_share":0.25,"area":8.0,"centroid_x":2.5,"centroid_y":4.0,"#,
            r#""peak":7.5,"mean":5.5,"area_mm2":2.0}],"secs":0.5}"#,
            "\n",
            r#"{"file":"c.png","error":"no \"image\""}"#,
            "\n"
        );
        assert_eq!(written(Format::Jsonl), want);
    }

    #[test]
    fn csv_rows_have_as_many_fields_as_the_head() {
        let want = "\"a, b.png\",NG,7.5,0.5,-0.25,0.75,1,1,2,3,4,0.25,7.5,5.5,8,2,2.5,4,0.500000,,\n\
                    c.png,,,,,,,,,,,,,,,,,,,,\"no \"\"image\"\"\"\n";
        let fields = |line: &str| line.replace("\"a, b", "").matches(',').count();
        assert!(want.lines().all(|line| fields(line) == fields(CSV_HEAD)));
        assert_eq!(written(Format::Csv), format!("{CSV_HEAD}\n{want}"));
    }

    #[test]
    fn the_table_shows_the_highest_region() {
        let text = written(Format::Table);
        assert!(text.contains("NG          7.500        1  3x4+1+2 7.50"), "{text}");
        // Without what is beyond its map it would have passed.
        let text = written_with(Format::Table, Thresholds { ok: 7.0, ng: 7.2 });
        let want = "NG          7.500        1  coarsest level +0.50, whole image +0.75, 3x4+1+2 7.50";
        assert!(text.contains(want), "{text}");
    }
}
