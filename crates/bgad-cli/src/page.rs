//! What the pages of this program share: one HTML file, light and dark, nothing from elsewhere, no scripts.

use bgad::verdict::Verdict;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// Words of the method, for those who want them: name, and what it means.
const TERMS: [(&str, &str); 10] = [
    (
        "score",
        "How unusual an image is for the model, in nats: the higher, the rarer it is among good ones. It is not a percentage, and scores of two models cannot be compared.",
    ),
    (
        "OK, REVIEW, NG",
        "The three verdicts. OK: the score is not above the OK threshold. NG: it is above the NG threshold. REVIEW: between them, a person should look.",
    ),
    ("false alarm", "A good image whose verdict is not OK."),
    ("escape", "A defective image whose verdict is OK."),
    (
        "image AUROC",
        "How often a defective image scores above a good one, over all pairs. 50 % is guessing, 100 % is perfect. It does not depend on thresholds.",
    ),
    (
        "AUPRO",
        "How much of each defective region the map covers while few good pixels are flagged (up to 30 %). 100 % is perfect.",
    ),
    (
        "average precision",
        "The mean share of alarms that are right, over all thresholds. It depends on how common defects are.",
    ),
    (
        "edge of normal (b_n), edge of defective (b_a)",
        "The training pulls good positions of an image above b_n and pushes known defects below b_a. In the chart: what an image scores whose every position lies on that edge.",
    ),
    ("level", "Features are looked at in three sizes of detail; the first is the finest."),
    ("known defect", "A defective image that the model has learned from. All others are unknown to it."),
];

/// A whole page; `style` is what this page alone has.
pub(crate) fn document(title: &str, head: &Markup, style: &str, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                (head)
                title { (clean(title)) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body { main { (main) } }
        }
    };
    page.into_string()
}

/// What words mean: those of the terms that are named.
pub(crate) fn glossary(names: &[&str]) -> Markup {
    let shown = TERMS.iter().filter(|(name, _)| names.iter().any(|asked| name.starts_with(asked)));
    html! {
        section.glossary {
            h2 { "Words" }
            dl { @for (name, meaning) in shown { dt { (name) } dd { (meaning) } } }
        }
    }
}

/// A figure in large type, its name and what it answers.
pub(crate) fn tile(value: &str, name: &str, what: &str) -> Markup {
    html! { div.tile { b { (value) } span { (name) } small { (what) } } }
}

pub(crate) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Review => "review",
        Verdict::Ng => "ng",
    }
}

pub(crate) fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (class(verdict)) } { (verdict) } }
}

/// A folder's name as words.
pub(crate) fn plain(name: &str) -> String {
    clean(name).replace('_', " ")
}

pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Text from outside without control characters, which are no part of HTML, and without those that turn the direction of
/// text and would hide a name. What has a meaning in HTML is escaped where the page is made.
pub(crate) fn clean(text: &str) -> String {
    let hides = |c: char| {
        c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    text.chars().map(|c| if hides(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        for text in ["<script>alert('x')</script>", "a\" onerror=\"b&c"] {
            let page = document(text, &html! {}, "", &html! { p title=(text) { (clean(text)) } });
            assert!(!page.contains("<script") && !page.contains("\" onerror"), "{page}");
        }
        assert_eq!(clean("gnp.\u{202e}exe\u{0}\n größe"), "gnp.\u{fffd}exe\u{fffd}\u{fffd} größe");
    }

    #[test]
    fn the_glossary_has_every_word_that_is_asked_for() {
        let names = ["score", "AUPRO", "edge of normal"];
        let words = glossary(&names).into_string();
        assert_eq!(words.matches("<dt>").count(), names.len());
    }
}
