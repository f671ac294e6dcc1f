//! What the pages of this program share: one HTML file, light and dark, nothing from elsewhere, no scripts.

use bgad::verdict::Verdict;

const STYLE: &str = include_str!("page.css");

/// A whole page; `head` is what this page alone has in its head.
pub(crate) fn document(title: &str, head: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n{head}</head>\n<body>\n<main>\n{main}</main>\n</body>\n</html>\n",
        escaped(title)
    )
}

/// A figure in large type, its name and what it answers.
pub(crate) fn tile(value: &str, name: &str, what: &str) -> String {
    format!("<div class=\"tile\"><b>{value}</b><span>{name}</span><small>{what}</small></div>\n")
}

pub(crate) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Review => "review",
        Verdict::Ng => "ng",
    }
}

pub(crate) fn badge(verdict: Verdict) -> String {
    format!("<span class=\"badge {}\">{verdict}</span>", class(verdict))
}

/// A folder's name as words.
pub(crate) fn plain(name: &str) -> String {
    name.replace('_', " ")
}

pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Text from outside as it may stand in an element or in an attribute within double or single quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // Control characters are no part of HTML, and those that turn the direction of text would hide a name.
            c if c.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c) =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        let cases = [
            ("größe.png", "größe.png"),
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("a\" onerror=\"b&c", "a&quot; onerror=&quot;b&amp;c"),
            ("gnp.\u{202e}exe\u{0}\n", "gnp.\u{fffd}exe\u{fffd}\u{fffd}"),
        ];
        for (text, want) in cases {
            assert_eq!(escaped(text), want);
        }
    }
}
