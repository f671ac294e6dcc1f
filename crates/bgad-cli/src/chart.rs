//! Charts for all pages: inline SVG with a title, and the numbers in a table behind each.
//!
//! Names never lie on each other: each takes the first free place near what it names. One for which there is no room is left
//! out; the table behind the chart has it.

use maud::{Markup, PreEscaped, html};

/// Height of a letter and width of an average one, in units of a chart: `svg { font: 12px }` in page.css.
const LETTER: [f64; 2] = [12.0, 6.6];

/// The size of a chart, in its own units, and the frame within it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// Left, top, right, bottom.
    pub(crate) frame: [f64; 4],
}

/// A chart being drawn: `x` and `y` are shares of the frame, from left and from below.
pub(crate) struct Plot {
    size: Size,
    shapes: Vec<Markup>,
    /// Over the shapes.
    names: Vec<Markup>,
    /// Where names are: left, top, right, bottom.
    taken: Vec<[f64; 4]>,
    name: String,
    title: String,
    description: String,
}

/// Where a text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line from top to bottom with a name.
pub(crate) struct Rule {
    pub(crate) x: f64,
    pub(crate) class: &'static str,
    pub(crate) name: String,
    /// Whether its name stands at the foot of the chart.
    pub(crate) low: bool,
}

/// What a chart shows, in numbers.
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Plot {
    /// An empty chart; `name` is unique in its page.
    pub(crate) fn new(size: Size, name: impl Into<String>, title: &str, description: &str) -> Plot {
        let [left, top, right, bottom] = size.frame;
        let axis = html! { path class="axis" d={ "M" (left) " " (top) "V" (bottom) "H" (right) } {} };
        Plot {
            size,
            shapes: vec![axis],
            names: Vec::new(),
            taken: Vec::new(),
            name: name.into(),
            title: title.to_owned(),
            description: description.to_owned(),
        }
    }

    /// A place in the chart.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [left, top, right, bottom] = self.size.frame;
        (left + x * (right - left), bottom - y * (bottom - top))
    }

    /// Numbers along the bottom and what they are.
    pub(crate) fn across(&mut self, ticks: &[(f64, String)], label: &str) {
        let [left, _, right, bottom] = self.size.frame;
        for (x, text) in ticks {
            let (x, _) = self.at(*x, 0.0);
            self.shapes.push(html! { path class="axis" d={ "M" (units(x)) " " (bottom) "v4" } {} });
            // The last would reach over the edge.
            let anchor = if x > right - 8.0 { Anchor::End } else { Anchor::Middle };
            self.free_text((x.min(right + 8.0), bottom + 17.0), anchor, "tick", text);
        }
        self.text(((left + right) / 2.0, bottom + 35.0), Anchor::Middle, "label", label);
    }

    /// Numbers along the left.
    pub(crate) fn up(&mut self, ticks: &[(f64, String)]) {
        let [left, _, right, _] = self.size.frame;
        for (y, text) in ticks {
            let (_, y) = self.at(0.0, *y);
            self.shapes.push(html! { path class="grid" d={ "M" (left) " " (units(y)) "H" (right) } {} });
            self.text((left - 6.0, y + 4.0), Anchor::End, "tick", text);
        }
    }

    /// A text where it is, whatever else is there.
    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        self.taken.push(extent(at, anchor, text));
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.names.push(html! {
            text x=(units(at.0)) y=(units(at.1)) text-anchor=(anchor) class=(class) { (text) }
        });
    }

    /// A text that is left out if another is there.
    fn free_text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) -> bool {
        let free = self.is_free(extent(at, anchor, text));
        if free {
            self.text(at, anchor, class, text);
        }
        free
    }

    /// A text that reads upwards along the left edge, in a lower or an upper half.
    pub(crate) fn upwards(&mut self, y: f64, class: &str, text: &str) {
        let (_, y) = self.at(0.0, y);
        let at = format!("translate({:.1} {y:.1}) rotate(-90)", self.size.frame[0] - 12.0);
        self.names.push(html! { text transform=(at) text-anchor="middle" class=(class) { (text) } });
    }

    /// A line through points.
    pub(crate) fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, class: &str) {
        let points: Vec<String> = points
            .into_iter()
            .map(|(x, y)| {
                let (x, y) = self.at(x, y);
                format!("{x:.1} {y:.1}")
            })
            .collect();
        if !points.is_empty() {
            self.shapes.push(html! { path class=(class) d={ "M" (points.join("L")) } {} });
        }
    }

    /// A dot; `title` appears where a pointer rests on it.
    pub(crate) fn dot(&mut self, x: f64, y: f64, radius: f64, class: &str, title: &str) {
        let (x, y) = self.at(x, y);
        self.shapes.push(html! {
            circle class=(class) cx=(units(x)) cy=(units(y)) r=(radius) { title { (title) } }
        });
    }

    /// A name near a point, at the first free place round it.
    pub(crate) fn name_near(&mut self, x: f64, y: f64, name: &str) {
        let (x, y) = self.at(x, y);
        let far = [0.0, 16.0, -16.0, 32.0, -32.0, 48.0, -48.0, 64.0, -64.0];
        let near = far.into_iter().flat_map(|down| {
            let aside = if down == 0.0 { 10.0 } else { 8.0 };
            [((x + aside, y + 4.0 + down), Anchor::Start), ((x - aside, y + 4.0 + down), Anchor::End)]
        });
        let [left, top, right, bottom] = self.size.frame;
        let fits = |&(at, anchor): &((f64, f64), Anchor)| {
            let e = extent(at, anchor, name);
            e[0] >= left && e[1] >= top - 4.0 && e[2] <= right + 8.0 && e[3] <= bottom && self.is_free(e)
        };
        let found = near.into_iter().find(fits);
        if let Some((at, anchor)) = found {
            self.text(at, anchor, "name", name);
        }
    }

    /// Lines from top to bottom, each with its name at a height of its own.
    pub(crate) fn rules(&mut self, rules: &[Rule]) {
        let [_, top, _, bottom] = self.size.frame;
        for rule in rules {
            let (x, _) = self.at(rule.x, 0.0);
            self.shapes
                .push(html! { path class=(rule.class) d={ "M" (units(x)) " " (top) "V" (bottom) } {} });
        }
        for rule in rules {
            let (x, _) = self.at(rule.x, 0.0);
            let (anchor, aside) = if rule.x > 0.5 { (Anchor::End, -4.0) } else { (Anchor::Start, 4.0) };
            let rows = (0..12).map(|row| {
                let row = 15.0 * f64::from(row);
                if rule.low { bottom - 5.0 - row } else { top + 10.0 + row }
            });
            for y in rows {
                if self.free_text((x + aside, y), anchor, "name", &rule.name) {
                    break;
                }
            }
        }
    }

    /// A bar from `low` to `high`.
    pub(crate) fn bar(&mut self, [left, right]: [f64; 2], [low, high]: [f64; 2], class: &str) {
        let ((x, y), (to, bottom)) = (self.at(left, high), self.at(right, low));
        self.shapes.push(html! {
            rect class=(class) x=(units(x + 0.5)) y=(units(y)) width=(units((to - x - 1.0).max(0.5)))
                height=(units(bottom - y)) {}
        });
    }

    /// The figure: heading, picture, words, table.
    pub(crate) fn figure(self, heading: Markup, words: &str, table: &Table) -> Markup {
        let Size { width, height, .. } = self.size;
        let (title, desc) = (format!("{}-t", self.name), format!("{}-d", self.name));
        html! {
            figure.chart {
                h3 { (heading) }
                svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-labelledby={ (title) " " (desc) } {
                    title id=(title) { (self.title) }
                    desc id=(desc) { (self.description) }
                    @for shape in &self.shapes { (shape) }
                    @for name in &self.names { (name) }
                }
                figcaption { (words) }
                details {
                    summary { "As a table" }
                    (table.html())
                }
            }
        }
    }

    fn is_free(&self, [left, top, right, bottom]: [f64; 4]) -> bool {
        // Names that touch read as one.
        let (left, right) = (left - LETTER[1] / 2.0, right + LETTER[1] / 2.0);
        self.taken.iter().all(|t| right < t[0] || left > t[2] || bottom < t[1] || top > t[3])
    }
}

impl Table {
    /// The table; it scrolls within itself where it is wider than the page.
    pub(crate) fn html(&self) -> Markup {
        html! {
            div.scroll { table {
                thead { tr { @for head in &self.head { th scope="col" { (head) } } } }
                tbody { @for row in &self.rows {
                    tr { @for (i, cell) in row.iter().enumerate() {
                        @if i == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                    } }
                } }
            } }
        }
    }
}

/// What a text covers: left, top, right, bottom.
fn extent((x, y): (f64, f64), anchor: Anchor, text: &str) -> [f64; 4] {
    let width = LETTER[1] * text.chars().count() as f64;
    let left = match anchor {
        Anchor::Start => x,
        Anchor::Middle => x - width / 2.0,
        Anchor::End => x - width,
    };
    [left, y - 0.8 * LETTER[0], left + width, y + 0.25 * LETTER[0]]
}

/// A length with the digits that can be seen.
fn units(length: f64) -> Markup {
    PreEscaped(format!("{length:.1}"))
}

/// At most `most` of the items, the ends included.
pub(crate) fn some<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    if items.len() <= most {
        return items.to_vec();
    }
    (0..most).map(|i| items[i * (items.len() - 1) / (most - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 440.0, height: 300.0, frame: [48.0, 14.0, 426.0, 258.0] };

    fn overlaps(plot: &Plot) -> bool {
        let t = &plot.taken;
        (0..t.len()).any(|i| {
            (0..i).any(|j| {
                let (a, b) = (t[i], t[j]);
                a[2] > b[0] && a[0] < b[2] && a[3] > b[1] && a[1] < b[3]
            })
        })
    }

    #[test]
    fn names_never_lie_on_each_other() {
        for x in [0.0, 0.02, 0.5, 0.97, 1.0] {
            for y in [0.0, 0.5, 1.0] {
                let mut plot = Plot::new(SIZE, "a", "t", "d");
                for name in ["REVIEW or NG", "NG", "a third one"] {
                    plot.name_near(x, y, name);
                }
                assert!(!overlaps(&plot) && plot.names.len() == 3, "{x} {y}: {:?}", plot.taken);
            }
        }
    }

    #[test]
    fn names_of_rules_have_rows_of_their_own() {
        let mut plot = Plot::new(SIZE, "a", "t", "d");
        let rule = |x, name: &str, low| Rule { x, class: "threshold", name: name.to_owned(), low };
        plot.rules(&[
            rule(0.3, "OK up to 4.12", false),
            rule(0.31, "NG above 5.12", false),
            rule(0.3, "edge of normal", true),
            rule(0.3, "edge of defects", true),
        ]);
        assert!(!overlaps(&plot) && plot.names.len() == 4);
    }

    #[test]
    fn ticks_that_would_touch_are_left_out() {
        let mut plot = Plot::new(SIZE, "a", "t", "d");
        let ticks: Vec<(f64, String)> = (0..100).map(|i| (f64::from(i) / 99.0, format!("{i}00"))).collect();
        plot.across(&ticks, "label");
        assert!(!overlaps(&plot) && (5..40).contains(&plot.names.len()));
    }

    #[test]
    fn text_from_outside_stays_text() {
        let mut plot = Plot::new(SIZE, "a", "<t>", "\"d\"&");
        plot.text((1.0, 2.0), Anchor::Start, "name", "<b>");
        let table = Table { head: vec!["<i>".to_owned()], rows: vec![vec!["<u>".to_owned()]] };
        let html = plot.figure(html! { "h" }, "<w>", &table).into_string();
        assert!(!["<t>", "<b>", "<i>", "<u>", "<w>"].iter().any(|tag| html.contains(tag)), "{html}");
    }

    #[test]
    fn a_selection_keeps_both_ends() {
        let items: Vec<usize> = (0..1000).collect();
        let few = some(&items, 24);
        assert_eq!((few.len(), few[0], few[23]), (24, 0, 999));
        assert_eq!(some(&items[..3], 24), [0, 1, 2]);
        assert!(some::<usize>(&[], 24).is_empty());
    }
}
