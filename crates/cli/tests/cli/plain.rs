//! Takes out of a transcript what differs from run to run, and keeps what is the same thing the same.

/// The text with ids, digests, times, durations, sizes of a run replaced by names.
pub fn plain(text: &str) -> String {
    let mut names = Names::default();
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let fresh = out.chars().last().is_none_or(|c| !c.is_ascii_alphanumeric());
        let (length, replacement) = match fresh.then(|| names.recognise(rest)).flatten() {
            Some(found) => found,
            None => (first.len_utf8(), first.to_string()),
        };
        out.push_str(&replacement);
        rest = &rest[length..];
    }
    columns(&out)
}

/// Runs of spaces between columns become two: widths follow what was replaced.
fn columns(text: &str) -> String {
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let cells: Vec<&str> = line.trim().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        format!("{}{}", " ".repeat(indent), cells.join("  "))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
struct Names {
    seen: Vec<String>,
}

impl Names {
    fn recognise(&mut self, text: &str) -> Option<(usize, String)> {
        self.id(text).or_else(|| self.digest(text)).or_else(|| time(text)).or_else(|| duration(text))
    }

    /// The same thing has the same number throughout a text.
    fn number(&mut self, thing: &str) -> usize {
        if let Some(at) = self.seen.iter().position(|seen| seen == thing) {
            return at + 1;
        }
        self.seen.push(thing.to_owned());
        self.seen.len()
    }

    fn id(&mut self, text: &str) -> Option<(usize, String)> {
        let prefix = text.find('-').filter(|at| *at == 3 && text[..3].chars().all(|c| c.is_ascii_uppercase()))?;
        let digits = text[prefix + 1..].chars().take_while(char::is_ascii_alphanumeric).count();
        (digits >= 10).then(|| {
            let id = &text[..prefix + 1 + digits];
            (id.len(), format!("{}-{}", &id[..prefix], self.number(id)))
        })
    }

    fn digest(&mut self, text: &str) -> Option<(usize, String)> {
        let hex = text.strip_prefix("sha256:")?.chars().take_while(char::is_ascii_hexdigit).count();
        (hex == 64).then(|| (71, format!("sha256:{}", self.number(&text[..71]))))
    }
}

/// `2026-11-21 14:03:12 +00:00` and `14:03:12`
fn time(text: &str) -> Option<(usize, String)> {
    let like = |form: &str| {
        text.len() >= form.len()
            && text.is_char_boundary(form.len())
            && form.bytes().zip(text.bytes()).all(|(form, c)| if form == b'0' { c.is_ascii_digit() } else { form == c })
    };
    let forms = ["0000-00-00 00:00:00 +00:00", "00:00:00"];
    forms
        .into_iter()
        .find(|form| like(form))
        .map(|form| (form.len(), if form.len() == 8 { "<clock>" } else { "<time>" }.to_owned()))
}

/// `after 3 s`, `12 ms`
fn duration(text: &str) -> Option<(usize, String)> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let unit = [" ms", " s"].into_iter().find(|unit| text[digits..].starts_with(unit));
    let after = |unit: &str| text[digits + unit.len()..].chars().next().is_none_or(|c| !c.is_ascii_alphanumeric());
    unit.filter(|unit| digits > 0 && after(unit)).map(|unit| (digits + unit.len(), format!("<n>{unit}")))
}
