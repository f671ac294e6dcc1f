//! The page that the demo leaves behind: one HTML file beside its pictures, nothing from elsewhere, no scripts.

use bgad::evaluation::ScoredImage;

use super::{GOOD, KNOWN, Results, UNSEEN, label, middle, name_of, percent};
use crate::overlay::Scale;
use crate::page::{badge, capital, class, document, escaped, plain, tile};

/// The whole page.
pub(super) fn html(results: &Results<'_>) -> String {
    let sections =
        [head(results), figures(results), scores(results), gallery(results), all(results), notes(results)];
    document("bgad demo", "", &sections.concat())
}

fn head(results: &Results<'_>) -> String {
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
    let (false_alarms, of_good) = noticed(&[GOOD]);
    format!(
        "<header>\n<h1>bgad demo</h1>\n<p class=\"lead\">A model learnt from {} good parts, {given} with a {a} and {given} with a \
         {b}, in {:.0} seconds. Tested on parts that it had not seen, it noticed <b>{known} of {of_known}</b> with a known kind \
         of defect, and <b>{never} of {of_never}</b> with a kind that it was never shown: a {unseen}. Of good parts it \
         stopped <b>{false_alarms} of {of_good}</b>: what it notices no more often than that, it does not see.</p>\n\
         <img class=\"wide\" src=\"overview.png\" alt=\"Part, anomaly map and true mask, for a typical {a} and a typical \
         {unseen}\">\n<p class=\"small\">Part, anomaly map, true mask: on the left a {a} (known), on the right a {unseen} \
         (never shown). Of each kind the one with the median score.</p>\n</header>\n",
        plan.train_good,
        results.train_secs,
        given = plan.given,
    )
}

fn figures(results: &Results<'_>) -> String {
    let evaluation = &results.evaluation;
    let counts = &evaluation.counts;
    let tiles = [
        (percent(evaluation.image_auroc), "image AUROC, %", "does a defective part score above a good one?"),
        (percent(evaluation.aupro), "AUPRO, %", "are the defective regions covered?"),
        (
            format!("{} of {}", counts.defective - counts.defective_ok, counts.defective),
            "defects not passed",
            "verdict REVIEW or NG",
        ),
        (format!("{} of {}", counts.good - counts.good_ok, counts.good), "false alarms", "good, but not OK"),
    ];
    let mut out = String::from("<section>\n<h2>Figures</h2>\n<div class=\"tiles\">\n");
    for (value, name, what) in tiles {
        out += &tile(&value, name, what);
    }
    out += "</div>\n<div class=\"scroll\"><table>\n<thead><tr><th>Parts</th><th>learnt from</th><th>tested</th>\
            <th>image AUROC, %</th><th>OK</th><th>REVIEW</th><th>NG</th></tr></thead>\n<tbody>\n";
    for (kind, trained) in results.kinds() {
        let [ok, review, ng] = results.verdicts(kind);
        let auroc = if kind == GOOD { "–".to_owned() } else { results.auroc(kind) };
        let note = if trained == 0 { " <em>never shown</em>" } else { "" };
        out += &format!(
            "<tr><th scope=\"row\">{}{note}</th><td>{trained}</td><td>{}</td><td>{auroc}</td><td>{ok}</td><td>{review}</td>\
             <td>{ng}</td></tr>\n",
            plain(kind),
            ok + review + ng,
        );
    }
    out + "</tbody>\n</table></div>\n</section>\n"
}

/// Every score as a dot, a row for each kind.
fn scores(results: &Results<'_>) -> String {
    let thresholds = results.detector.header().thresholds;
    let finite =
        results.evaluation.images.iter().map(|scored| scored.score).filter(|score| score.is_finite());
    let (low, high) = finite.fold((thresholds.ok, thresholds.ng), |(low, high), s| (low.min(s), high.max(s)));
    let margin = 0.04 * (high - low).max(0.1);
    let (low, high) = (low - margin, high + margin);
    let across = |nats: f32| (100.0 * ((nats - low).max(0.0) / (high - low)).sqrt()).clamp(0.0, 100.0);
    let (ok, ng) = (across(thresholds.ok), across(thresholds.ng));
    let mut out = format!(
        "<section>\n<h2>Scores</h2>\n<p>Each dot is a part. Up to {:.2} nats the verdict is OK; above {:.2} it is NG; between \
         them a person should look. The axis is of square roots, since scores reach far.</p>\n<div class=\"strips\">\n\
         <div class=\"row axis\"><span></span><div class=\"bar\"><i style=\"width:{ok:.1}%\">OK</i>\
         <i style=\"width:{:.1}%\">REVIEW</i><i>NG</i></div></div>\n",
        thresholds.ok,
        thresholds.ng,
        ng - ok,
    );
    for (kind, _) in results.kinds() {
        out += &format!(
            "<div class=\"row\"><span>{}</span><div class=\"strip\"><u style=\"left:{ok:.1}%\"></u>\
             <u style=\"left:{ng:.1}%\"></u>",
            plain(kind)
        );
        for scored in results.of(kind) {
            out += &format!(
                "<s class=\"{}\" style=\"left:{:.1}%\" title=\"{}: {:.2} nats, {}\"></s>",
                class(scored.verdict),
                across(scored.score),
                label(scored),
                scored.score,
                scored.verdict
            );
        }
        out += "</div></div>\n";
    }
    out + &format!(
        "<div class=\"row\"><span></span><div class=\"ends\"><span>{low:.1} nats</span><span>{high:.1} nats</span></div>\
         </div>\n</div>\n</section>\n"
    )
}

/// Of every kind the typical one and the one that the model got most wrong.
fn gallery(results: &Results<'_>) -> String {
    let stops = Scale::of(results.detector.header().thresholds).stops;
    let mut out = format!(
        "<section>\n<h2>Typical and worst</h2>\n<p>Of each kind the part with the median score, and the one that the model \
         got most wrong: the defect with the lowest score, the good part with the highest. The colours are fixed by the \
         thresholds and mean the same in every picture; a white line runs round what is above the OK threshold, a blue \
         box round the largest such regions.</p>\n<div class=\"scale\"><img src=\"maps/scale.png\" alt=\"Colour scale from \
         pale yellow through orange to red\"><div class=\"ends\"><span>{:.1} nats or less</span><span>OK up to {:.1}, NG from \
         {:.1}</span><span>{:.1} or more</span></div></div>\n",
        stops[0], stops[1], stops[2], stops[3]
    );
    for kind in [UNSEEN.name(), KNOWN[0].name(), KNOWN[1].name(), GOOD] {
        let sorted = results.of(kind);
        let worst = if kind == GOOD { sorted.last() } else { sorted.first() };
        let note = if kind == UNSEEN.name() { " <em>never shown</em>" } else { "" };
        out += &format!("<h3>{}{note}</h3>\n<div class=\"pairs\">\n", capital(&plain(kind)));
        let cards = [(middle(&sorted), "typical"), (worst.copied(), "worst")];
        for (scored, which) in cards.into_iter().filter_map(|(scored, which)| scored.map(|s| (s, which))) {
            out += &card(scored, which);
        }
        out += "</div>\n";
    }
    out + "</section>\n"
}

fn card(scored: &ScoredImage, which: &str) -> String {
    let (name, kind) = (label(scored), plain(name_of(&scored.sample.kind)));
    let file = scored.sample.path.file_name().unwrap_or_default().to_string_lossy();
    let stem = scored.sample.path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = name_of(&scored.sample.kind);
    let mut panels = vec![
        ("part", format!("data/test/{folder}/{file}")),
        ("on the part", format!("overlays/{name}.jpg")),
        ("map", format!("maps/{name}.png")),
    ];
    if scored.sample.mask.is_some() {
        panels.push(("true mask", format!("data/ground_truth/{folder}/{stem}_mask.png")));
    }
    let mut out = format!(
        "<article>\n<p><b>{}</b> {} <span class=\"score\">{:.2} nats</span> <small>{name}</small></p>\n<div class=\"panels\">\n",
        capital(which),
        badge(scored.verdict),
        scored.score
    );
    for (what, source) in panels {
        out += &format!(
            "<figure><img src=\"{source}\" width=\"256\" height=\"256\" alt=\"{} of {} {kind} part, verdict {}\">\
             <figcaption>{what}</figcaption></figure>\n",
            capital(what),
            if which == "typical" { "a typical" } else { "the worst" },
            scored.verdict
        );
    }
    out + "</div>\n</article>\n"
}

/// Every test image, so that nothing is hidden.
fn all(results: &Results<'_>) -> String {
    let mut out =
        String::from("<section>\n<h2>All test parts</h2>\n<p>From the highest score to the lowest.</p>\n");
    for (kind, _) in results.kinds() {
        out += &format!("<h3>{}</h3>\n<div class=\"sheet\">\n", capital(&plain(kind)));
        for scored in results.of(kind).into_iter().rev() {
            let name = label(scored);
            out += &format!(
                "<figure><a href=\"overlays/{name}.jpg\"><img loading=\"lazy\" src=\"overlays/{name}.jpg\" width=\"512\" \
                 height=\"512\" alt=\"{} part with its anomalies in colour, verdict {}\"></a><figcaption>{} {:.2}</figcaption>\
                 </figure>\n",
                capital(&plain(kind)),
                scored.verdict,
                badge(scored.verdict),
                scored.score
            );
        }
        out += "</div>\n";
    }
    out + "</section>\n"
}

fn notes(results: &Results<'_>) -> String {
    let commands = results.commands().map(|command| escaped(&command)).join("\n");
    format!(
        "<section>\n<h2>The same by hand</h2>\n<pre>{commands}</pre>\n</section>\n<section>\n<h2>What this shows, and what \
         not</h2>\n<ul>\n<li>The parts are drawn by the program from seed {}: position, turn, light, surface and defects vary. \
         Real parts vary in more ways, so expect other figures on yours.</li>\n<li>The figures come from few images: one \
         part more or less changes the share found by {:.0} points.</li>\n<li>The thresholds come from the good parts \
         trained on, a few of which lie above them; new good parts score a little higher still.</li>\n<li>Settings: {}, {} \
         passes ({}), input {}, backbone {}.</li>\n</ul>\n</section>\n",
        results.seed,
        100.0 / results.plan.test_bad.max(1) as f64,
        "preset fast",
        results.options.schedule.passes(),
        results.options.schedule,
        results.options.input,
        escaped(&results.detector.header().backbone),
    )
}
