//! The page that the demo leaves behind: one HTML file beside its pictures, nothing from elsewhere, no scripts.

use bgad::evaluation::ScoredImage;
use bgad::overlay::ColourScale;
use maud::{Markup, html};

use super::{GOOD, KNOWN, Results, UNSEEN, label, middle, name_of, percent};
use crate::page::{badge, capital, class, clean, document, glossary, plain, tile};
use crate::score_axis::ScoreAxis;

/// Words of this page that not everybody knows.
const WORDS: [&str; 6] = ["score", "OK, REVIEW, NG", "false alarm", "image AUROC", "AUPRO", "known defect"];

/// The whole page.
pub(super) fn html(results: &Results<'_>) -> String {
    let main = html! {
        (head(results))
        (figures(results))
        (scores(results))
        (gallery(results))
        (all(results))
        (notes(results))
        (glossary(&WORDS))
    };
    document("bgad demo", &html! {}, "", &main)
}

fn head(results: &Results<'_>) -> Markup {
    let plan = results.plan;
    let (a, b, unseen) = (plain(KNOWN[0].name()), plain(KNOWN[1].name()), plain(UNSEEN.name()));
    let noticed = |kinds: &[&str]| {
        kinds
            .iter()
            .map(|kind| results.verdicts(kind))
            .fold((0, 0), |(noticed, of), [ok, review, ng]| (noticed + review + ng, of + ok + review + ng))
    };
    let ((known, of_known), (never, of_never)) =
        (noticed(&KNOWN.map(|d| d.name())), noticed(&[UNSEEN.name()]));
    let [passed, looked_at, stopped] = results.verdicts(GOOD);
    let shown = [(KNOWN[0].name(), "known"), (UNSEEN.name(), "never shown")];
    html! {
        header {
            h1 { "bgad demo" }
            p.lead {
                "A model learned from " (plan.train_good) " good parts, " (plan.given) " with a " (a) " and " (plan.given)
                " with a " (b) (format!(", in {:.0} seconds. ", results.train_secs))
                "Tested on parts that it had not seen, it noticed " b { (known) " of " (of_known) }
                " with a known kind of defect, and " b { (never) " of " (of_never) }
                " with a kind that it was never shown: a " (unseen) ". Of " (passed + looked_at + stopped)
                " good parts it stopped " b { (stopped) } " and would have had " b { (looked_at) } " looked at."
            }
            div.triple { @for (kind, what) in shown {
                @if let Some(scored) = middle(&results.of(kind)) {
                    div { @for (panel, source) in panels(scored).into_iter().filter(|(panel, _)| *panel != MAP) {
                        figure {
                            img src=(source) width="256" height="256" alt={ (capital(panel)) " of a typical " (plain(kind)) };
                            figcaption { @if panel == PART { (capital(&plain(kind))) ", " (what) } @else { (panel) } }
                        }
                    } }
                }
            } }
            p.small { "Of each kind the part with the median score." }
        }
    }
}

fn figures(results: &Results<'_>) -> Markup {
    let evaluation = &results.evaluation;
    let counts = &evaluation.counts;
    let found = format!("{} of {}", counts.defective - counts.defective_ok, counts.defective);
    let stopped = format!("{} of {}", counts.good - counts.good_ok, counts.good);
    html! {
        section {
            h2 { "Figures" }
            div.tiles {
                (tile(&found, "defects not passed", "verdict REVIEW or NG"))
                (tile(&stopped, "false alarms", "good, but not OK"))
                (tile(&percent(evaluation.image_auroc), "image AUROC, %", "does a defective part score above a good one?"))
                (tile(&percent(evaluation.aupro), "AUPRO, %", "are the defective regions covered?"))
            }
            div.scroll { table {
                thead { tr {
                    th { "Parts" } th { "learned from" } th { "tested" } th { "image AUROC, %" } th { "OK" } th { "REVIEW" }
                    th { "NG" }
                } }
                tbody { @for (kind, trained) in results.kinds() { @let [ok, review, ng] = results.verdicts(kind); tr {
                    th scope="row" { (plain(kind)) @if trained == 0 { " " em { "never shown" } } }
                    td { (trained) }
                    td { (ok + review + ng) }
                    td { @if kind == GOOD { "–" } @else { (results.auroc(kind)) } }
                    td { (ok) } td { (review) } td { (ng) }
                } } }
            } }
        }
    }
}

/// Every score as a dot, a row for each kind.
fn scores(results: &Results<'_>) -> Markup {
    let thresholds = results.detector.header().thresholds;
    let axis =
        ScoreAxis::of(results.detector.header(), results.evaluation.images.iter().map(|scored| scored.score));
    let across = |nats: f32| 100.0 * axis.share(nats);
    let (ok, ng) = (across(thresholds.ok), across(thresholds.ng));
    let left = |share: f64| format!("left:{share:.1}%");
    html! {
        section {
            h2 { "Scores" }
            p {
                (format!(
                    "Each dot is a part. Up to {:.2} nats the verdict is OK; above {:.2} it is NG; between them a person should \
                     look. The axis is even around good parts and logarithmic beyond, since scores reach far.",
                    thresholds.ok, thresholds.ng
                ))
            }
            div.strips {
                div.row.axis-row {
                    span {}
                    div.bar {
                        i style=(format!("width:{ok:.1}%")) { "OK" }
                        i style=(format!("width:{:.1}%", ng - ok)) { "REVIEW" }
                        i { "NG" }
                    }
                }
                @for (kind, _) in results.kinds() {
                    div.row {
                        span { (plain(kind)) }
                        div.strip {
                            u style=(left(ok)) {}
                            u style=(left(ng)) {}
                            @for scored in results.of(kind) {
                                s class=(class(scored.verdict)) style=(left(across(scored.score)))
                                    title=(format!("{}: {:.2} nats, {}", label(scored), scored.score, scored.verdict)) {}
                            }
                        }
                    }
                }
                div.row {
                    span {}
                    div.ends { span { (format!("{:.1} nats", axis.nats(0.0))) } span { (format!("{:.0} nats", axis.nats(1.0))) } }
                }
            }
        }
    }
}

/// Of every kind the typical one and the one that the model got most wrong.
fn gallery(results: &Results<'_>) -> Markup {
    let header = results.detector.header();
    let (thresholds, scale) = (header.thresholds, ColourScale::of(&header.training.normal_scores));
    html! {
        section {
            h2 { "Typical and worst" }
            p {
                "Of each kind the part with the median score, and the one that the model got most wrong: the defect with the lowest \
                 score, the good part with the highest. Colours were fixed by the training and mean the same in every picture; what \
                 is flagged is outlined, and the map shows all values: grey is as usual as in good parts."
            }
            div.scale {
                img src="maps/scale.png" alt="Colour scale from pale yellow through orange to dark red";
                div.ends {
                    span { (format!("{:.1} nats or less", scale.low)) }
                    span { (format!("OK up to {:.1}, NG above {:.1}", thresholds.ok, thresholds.ng)) }
                    span { (format!("{:.0} or more", scale.high())) }
                }
            }
            @for kind in [UNSEEN.name(), KNOWN[0].name(), KNOWN[1].name(), GOOD] {
                @let sorted = results.of(kind);
                @let worst = if kind == GOOD { sorted.last() } else { sorted.first() };
                h3 { (capital(&plain(kind))) @if kind == UNSEEN.name() { " " em { "never shown" } } }
                div.pairs {
                    @if let Some(scored) = middle(&sorted) { (card(scored, "typical")) }
                    @if let Some(scored) = worst { (card(scored, "worst")) }
                }
            }
        }
    }
}

/// Names of panels.
const PART: &str = "part";
const MAP: &str = "anomaly map";

/// The pictures of a part: what they show, and their files.
fn panels(scored: &ScoredImage) -> Vec<(&'static str, String)> {
    let (name, folder) = (label(scored), name_of(&scored.sample.kind));
    let path = &scored.sample.path;
    let [file, stem] =
        [path.file_name(), path.file_stem()].map(|name| name.unwrap_or_default().to_string_lossy());
    let mut panels = vec![
        (PART, format!("data/test/{folder}/{file}")),
        ("what is flagged", format!("overlays/{name}.jpg")),
        (MAP, format!("maps/{name}.jpg")),
    ];
    if scored.sample.mask.is_some() {
        panels.push(("true mask", format!("data/ground_truth/{folder}/{stem}_mask.png")));
    }
    panels
}

fn card(scored: &ScoredImage, which: &str) -> Markup {
    let kind = plain(name_of(&scored.sample.kind));
    let of = if which == "typical" { "a typical" } else { "the worst" };
    html! {
        article {
            p {
                b { (capital(which)) } " " (badge(scored.verdict)) " "
                span.score { (format!("{:.2} nats", scored.score)) } " " small { (label(scored)) }
            }
            div.panels { @for (what, source) in panels(scored) {
                figure {
                    img src=(source) width="256" height="256"
                        alt=(format!("{} of {of} {kind} part, verdict {}", capital(what), scored.verdict));
                    figcaption { (what) }
                }
            } }
        }
    }
}

/// Every test image, so that nothing is hidden.
fn all(results: &Results<'_>) -> Markup {
    html! {
        section {
            h2 { "All test parts" }
            p { "From the highest score to the lowest." }
            @for (kind, _) in results.kinds() {
                h3 { (capital(&plain(kind))) }
                div.sheet { @for scored in results.of(kind).into_iter().rev() {
                    @let source = format!("overlays/{}.jpg", label(scored));
                    figure {
                        a href=(source) {
                            img loading="lazy" src=(source) width="512" height="512"
                                alt=(format!("{} part with what is flagged, verdict {}", capital(&plain(kind)), scored.verdict));
                        }
                        figcaption { (badge(scored.verdict)) (format!(" {:.2}", scored.score)) }
                    }
                } }
            }
        }
    }
}

fn notes(results: &Results<'_>) -> Markup {
    let commands = results.commands().map(|command| clean(&command)).join("\n");
    let options = results.options;
    html! {
        section {
            h2 { "The same by hand" }
            pre { (commands) }
        }
        section {
            h2 { "What this shows, and what not" }
            ul {
                li {
                    "The parts are drawn by the program from seed " (results.seed) ": position, turn, light, surface and defects \
                     vary. Real parts vary in more ways, so expect other figures on yours."
                }
                li {
                    (format!(
                        "The figures come from few images: one part more or less changes the share found by {:.0} points.",
                        100.0 / results.plan.test_bad.max(1) as f64
                    ))
                }
                li {
                    "The thresholds come from the good parts of the training, a few of which lie above them; new good parts score a \
                     little higher still."
                }
                li {
                    (format!(
                        "Settings: preset fast, {} passes ({}), input {}, network {}.",
                        options.schedule.passes(),
                        options.schedule,
                        options.input,
                        clean(&results.detector.header().backbone)
                    ))
                }
            }
        }
    }
}
