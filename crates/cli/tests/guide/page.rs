//! A person at the pages, who reads labels and presses buttons: links, forms and texts as the HTML has them, without script.

use std::time::{Duration, Instant};

/// Longest time that a page is looked at again for what shall come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A browser with one page open.
pub struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: String,
    path: String,
    html: String,
    choices: Vec<(String, String)>,
}

impl Browser {
    /// Opens the sign-in link, and presses what is there to sign in.
    pub async fn sign_in(link: &str) -> Browser {
        let base: String = link.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = tidegate_server::http::client(builder).expect("a client");
        let path = link[base.len()..].to_owned();
        let mut browser = Browser { http, base, cookie: String::new(), path, html: String::new(), choices: Vec::new() };
        browser.load().await;
        browser
    }

    /// Does what one sentence of the guide says.
    pub async fn follow(&mut self, sentence: &str) {
        let quoted = |mark: char| sentence.split(mark).nth(1).unwrap_or_else(|| panic!("nothing is marked in: {sentence}"));
        match sentence.split(' ').next() {
            Some("Open") => self.open(quoted('*')).await,
            Some("Choose") => self.choices.push((quoted('*').to_owned(), quoted('`').to_owned())),
            Some("Press") => self.press(quoted('*')).await,
            Some("Wait") => self.wait(quoted('*')).await,
            _ => panic!("nobody knows how to: {sentence}"),
        }
    }

    async fn open(&mut self, text: &str) {
        let link = pieces(&self.html, "<a ", "</a>").find(|link| plain(link) == text);
        let link = link.unwrap_or_else(|| panic!("there is no link {text} on {}", self.path));
        self.path = attribute(link, "href").expect("a link leads somewhere");
        self.load().await;
    }

    async fn press(&mut self, text: &str) {
        let has = |form: &&str| pieces(form, "<button", "</button>").any(|button| plain(button) == text);
        let form = pieces(&self.html, "<form", "</form>").find(has);
        let form = form.unwrap_or_else(|| panic!("there is no button {text} on {}", self.path)).to_owned();
        let mut fields: Vec<(String, String)> = pieces(&form, "<input", ">")
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default())))
            .collect();
        for label in pieces(&form, "<label", "</label>").filter(|label| label.contains("<select")) {
            let asked = plain(label.split("</span>").next().unwrap_or_default());
            let chosen = self.choices.iter().find(|(what, _)| *what == asked);
            let offered: Vec<&str> = pieces(label, "<option", "</option>").collect();
            let option = match chosen {
                Some((_, value)) => offered.iter().find(|option| plain(option) == *value),
                None => offered.first(),
            };
            let option = option.unwrap_or_else(|| panic!("{asked} does not offer that: {label}"));
            let select = pieces(label, "<select", ">").next().expect("a select");
            fields.push((attribute(select, "name").expect("a name"), attribute(option, "value").unwrap_or_default()));
        }
        self.choices.clear();
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect();
        let action = attribute(&form, "action").unwrap_or_else(|| self.path.clone());
        let request = self.http.post(format!("{}{action}", self.base)).body(body.join("&"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").header("cookie", &self.cookie);
        let answer = request.header("origin", &self.base).send().await.expect("an answer");
        self.take(answer, action).await;
    }

    async fn wait(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !plain(&self.html).to_lowercase().contains(&text.to_lowercase()) {
            assert!(Instant::now() < deadline, "{text} did not come on {}:\n{}", self.path, plain(&self.html));
            tokio::time::sleep(Duration::from_millis(250)).await;
            self.load().await;
        }
    }

    async fn load(&mut self) {
        let path = self.path.clone();
        let answer = self.http.get(format!("{}{path}", self.base)).header("cookie", &self.cookie).send().await;
        self.take(answer.expect("an answer"), path).await;
    }

    /// Takes an answer, keeps the session, and goes where it leads.
    async fn take(&mut self, answer: reqwest::Response, path: String) {
        if let Some(cookie) = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok()) {
            cookie.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
        }
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(location) = location {
            location.trim_start_matches(&self.base).clone_into(&mut self.path);
            return Box::pin(self.load()).await;
        }
        let status = answer.status();
        self.path = path;
        self.html = answer.text().await.expect("a page");
        assert!(status.is_success(), "{} answered {status}: {}", self.path, plain(&self.html));
    }
}

/// The pieces of a text from `begin` up to `end`.
fn pieces<'a>(text: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(begin).map(move |(at, _)| text[at..].split_inclusive(end).next().unwrap_or_default())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split('>').next()?.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    Some(value.replace("&quot;", "\"").replace("&amp;", "&"))
}

/// What a person reads of a piece of HTML.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn percent(text: &str) -> String {
    let one = |byte: u8| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
