//! COCO: the labels of many images in one file.
//!
//! ```text
//! segmentation   polygons [[x, y, x, y ..]..], or runs {"size": [h, w], "counts": [..]} column by column, 0 and 1 in turn
//! packed counts  "…": numbers of 5 bits a letter, the lowest first, from the third on as the difference to the last but one
//! ```

use std::collections::HashMap;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Canvas, Labelled, Mask, OriginalSize, wrong};
use crate::image::ImageProblem;
use crate::printable;

/// A file, read into little more room than it takes on disk.
#[derive(Debug, Deserialize)]
pub(crate) struct Coco {
    images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Debug, Deserialize)]
struct Image {
    id: Id,
    file_name: String,
    #[serde(default)]
    height: Option<usize>,
    #[serde(default)]
    width: Option<usize>,
    /// Annotations of this image, by their place in the file.
    #[serde(skip)]
    marks: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    image_id: Id,
    #[serde(default)]
    category_id: Option<Id>,
    #[serde(default)]
    segmentation: Segmentation,
    #[serde(default)]
    bbox: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
struct Category {
    id: Id,
    #[serde(default)]
    name: String,
}

/// Numbers by the standard, texts in some tools.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(Box<str>),
}

#[derive(Debug, Default)]
enum Segmentation {
    #[default]
    None,
    Polygons(Vec<Box<[f64]>>),
    Runs {
        size: [usize; 2],
        counts: Box<[u32]>,
    },
    Packed {
        size: [usize; 2],
        counts: Box<str>,
    },
    Other,
}

impl Coco {
    /// The images that it names.
    pub(super) fn images(&self) -> Vec<Labelled> {
        let names: HashMap<&Id, &str> = self.categories.iter().map(|c| (&c.id, c.name.as_str())).collect();
        let labelled = self.images.iter().map(|image| {
            let first = image.marks.first().map(|&mark| &self.annotations[mark as usize]);
            let category =
                first.and_then(|mark| names.get(mark.category_id.as_ref()?).map(|name| (*name).to_owned()));
            Labelled { names: vec![image.file_name.clone()], marked: first.is_some(), category }
        });
        labelled.collect()
    }

    /// Reads a file and finds the annotations of each image.
    pub(super) fn parse(bytes: &[u8]) -> Result<Coco, ImageProblem> {
        let mut coco: Coco = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let mut by_id: HashMap<&Id, usize> = HashMap::new();
        for (i, image) in coco.images.iter().enumerate() {
            if let Some(earlier) = by_id.insert(&image.id, i) {
                let [one, two] =
                    [&coco.images[earlier], image].map(|image| printable::text(&image.file_name));
                return Err(wrong(format!("one id for two images: {one} and {two}")));
            }
        }
        let mut marks = vec![Vec::new(); coco.images.len()];
        for (i, annotation) in coco.annotations.iter().enumerate() {
            if let Some(&image) = by_id.get(&annotation.image_id) {
                marks[image].push(i as u32);
            }
        }
        drop(by_id);
        coco.images.iter_mut().zip(marks).for_each(|(image, marks)| image.marks = marks);
        Ok(coco)
    }

    pub(super) fn drawn(&self, index: usize, size: Option<OriginalSize>) -> Result<Mask, ImageProblem> {
        let image = &self.images[index];
        let mut canvas = Canvas::of(image.height, image.width, size)?;
        for &mark in &image.marks {
            self.annotations[mark as usize].draw(mark, &mut canvas)?;
        }
        Ok(canvas.finish())
    }
}

impl Annotation {
    fn draw(&self, number: u32, canvas: &mut Canvas) -> Result<(), ImageProblem> {
        let what = format!("annotation {}", number + 1);
        match (&self.segmentation, self.bbox.as_deref()) {
            (Segmentation::Polygons(polygons), _) if !polygons.is_empty() => {
                for polygon in polygons {
                    let (points, rest) = polygon.as_chunks::<2>();
                    if points.is_empty() || !rest.is_empty() {
                        return Err(wrong(format!("{what} with a polygon of {} numbers", polygon.len())));
                    }
                    canvas.polygon(points, &what)?;
                }
                Ok(())
            }
            (Segmentation::Runs { size, counts }, _) => runs(canvas, *size, counts, &what),
            (Segmentation::Packed { size, counts }, _) => {
                let broken = || wrong(format!("{what} with packed runs that are broken"));
                runs(canvas, *size, &unpacked(counts.as_bytes()).ok_or_else(broken)?, &what)
            }
            (Segmentation::Other, _) => Err(wrong(format!("{what} with neither polygons nor runs"))),
            (_, Some(&[x, y, w, h])) => {
                canvas.polygon(&[[x, y], [x + w, y], [x + w, y + h], [x, y + h]], &what)
            }
            (_, Some(numbers)) => Err(wrong(format!("{what} with a box of {} numbers", numbers.len()))),
            _ => Err(wrong(format!("{what} with neither segmentation nor box"))),
        }
    }
}

/// Runs of 0 and 1 in turn, column by column.
fn runs(canvas: &mut Canvas, [h, w]: [usize; 2], counts: &[u32], what: &str) -> Result<(), ImageProblem> {
    let size = canvas.size();
    let total = counts.iter().map(|&count| u64::from(count)).sum::<u64>();
    if (h, w) != (size.height, size.width) || total != (h * w) as u64 {
        return Err(wrong(format!("{what} with runs that do not cover its image of {size}")));
    }
    let mut at = 0;
    for (i, &count) in counts.iter().enumerate() {
        if i % 2 == 1 {
            canvas.column_wise(at, count as usize, what)?;
        }
        at += count as usize;
    }
    Ok(())
}

/// The counts that were packed into letters; `None` if they cannot have been.
fn unpacked(letters: &[u8]) -> Option<Vec<u32>> {
    let mut counts: Vec<u32> = Vec::new();
    let mut letters = letters.iter();
    while !letters.as_slice().is_empty() {
        let (mut value, mut shift) = (0i64, 0u32);
        loop {
            let letter = i64::from(letters.next()?.checked_sub(48)?);
            if letter > 63 || shift > 30 {
                return None;
            }
            value |= (letter & 31) << shift;
            shift += 5;
            if letter & 32 == 0 {
                // The highest bit is the sign.
                if letter & 16 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
        }
        if counts.len() > 2 {
            value += i64::from(counts[counts.len() - 2]);
        }
        counts.push(u32::try_from(value).ok()?);
    }
    Some(counts)
}

impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Segmentation, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

/// Reads a segmentation of whatever form without keeping a copy of it.
struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = Segmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("polygons or runs")
    }

    fn visit_unit<E>(self) -> Result<Segmentation, E> {
        Ok(Segmentation::None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Segmentation, E> {
        Ok(Segmentation::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Segmentation, E> {
        Ok(Segmentation::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Segmentation, E> {
        Ok(Segmentation::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Segmentation, E> {
        Ok(Segmentation::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Segmentation, E> {
        Ok(Segmentation::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Segmentation, A::Error> {
        let (mut polygons, mut flat) = (Vec::new(), Vec::new());
        while let Some(item) = seq.next_element::<Item>()? {
            match item {
                Item::List(numbers) => polygons.push(numbers.into_boxed_slice()),
                Item::Number(number) => flat.push(number),
            }
        }
        // Some tools leave out the outer brackets of a single polygon.
        match (polygons.is_empty(), flat.is_empty()) {
            (true, false) => polygons.push(flat.into_boxed_slice()),
            (false, false) => return Ok(Segmentation::Other),
            _ => {}
        }
        Ok(Segmentation::Polygons(polygons))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Segmentation, A::Error> {
        let (mut size, mut counts) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "size" => size = Some(map.next_value::<[usize; 2]>()?),
                "counts" => counts = Some(map.next_value::<Counts>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(match (size, counts) {
            (Some(size), Some(Counts::Plain(counts))) => {
                Segmentation::Runs { size, counts: counts.into_boxed_slice() }
            }
            (Some(size), Some(Counts::Packed(counts))) => Segmentation::Packed { size, counts },
            _ => Segmentation::Other,
        })
    }
}

enum Item {
    List(Vec<f64>),
    Number(f64),
}

enum Counts {
    Plain(Vec<u32>),
    Packed(Box<str>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = seq.next_element()? {
            numbers.push(number);
        }
        Ok(Item::List(numbers))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
        Ok(Item::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Counts, D::Error> {
        deserializer.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counts as numbers or packed into a text")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Counts, A::Error> {
        let mut counts = Vec::new();
        while let Some(count) = seq.next_element::<u64>()? {
            let run =
                u32::try_from(count).map_err(|_| A::Error::custom(format!("a run of {count} pixels")))?;
            counts.push(run);
        }
        Ok(Counts::Plain(counts))
    }

    fn visit_str<E>(self, text: &str) -> Result<Counts, E> {
        Ok(Counts::Packed(text.into()))
    }
}
