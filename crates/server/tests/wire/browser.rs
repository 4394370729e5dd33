//! A browser, as far as pages need one: cookies, forms, the headers that tell where a form was shown.

use std::collections::BTreeMap;

use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::{Running, SOON};

/// The first administrator's password in tests.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// One browser.
pub(crate) struct Browser {
    client: reqwest::Client,
    base: String,
    pub(crate) cookies: BTreeMap<String, String>,
    /// What the last page's forms hold.
    pub(crate) form: String,
}

/// What it was shown.
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn at(server: &Running) -> Browser {
        let pem = std::fs::read(&server.ready.ca).expect("ca.pem");
        let root = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        let client = reqwest::Client::builder()
            .tls_certs_only([root])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SOON * 20)
            .build()
            .expect("a client");
        let base = server.ready.url.clone();
        Browser { client, base, cookies: BTreeMap::new(), form: String::new() }
    }

    /// Opens a page.
    pub(crate) async fn get(&mut self, path: &str) -> Shown {
        let call = self.client.get(self.url(path)).header("cookie", self.cookie());
        self.show(call.send().await.expect("an answer")).await
    }

    /// Sends a form of the last page.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let form = self.form.clone();
        let origin = self.base.clone();
        let headers = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        let fields: Vec<(&str, &str)> =
            fields.iter().copied().chain([("form", form.as_str())]).collect();
        self.post_with(path, &fields, &headers).await
    }

    /// Sends a form with no more than this.
    pub(crate) async fn post_with(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Shown {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let mut call = self
            .client
            .request(Method::POST, self.url(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", self.cookie())
            .body(form.finish());
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        self.show(call.send().await.expect("an answer")).await
    }

    async fn show(&mut self, answer: Response) -> Shown {
        for set in answer.headers().get_all("set-cookie") {
            let set = set.to_str().expect("text");
            let (pair, rest) = set.split_once(';').expect("attributes");
            for needed in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(rest.contains(needed), "{set}");
            }
            let (name, value) = pair.split_once('=').expect("a value");
            assert!(name.starts_with("__Host-") && !rest.contains("Domain"), "{set}");
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location");
        let location = location.map(|place| place.to_str().expect("text").to_owned());
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.text().await.expect("a body");
        if let Some(form) = between(&body, "name=\"form\" value=\"", "\"") {
            self.form = form.to_owned();
        }
        Shown { status, location, headers, body }
    }

    fn cookie(&self) -> String {
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Becomes the first administrator by the link that the server printed.
    pub(crate) async fn become_administrator(&mut self, server: &Running) {
        let link = server.ready.welcome.as_ref().expect("a first start").clone();
        let path = link.strip_prefix(&self.base).expect("a link to here").to_owned();
        assert_eq!(self.get(&path).await.status, 200);
        let secret = path.split_once('=').expect("a secret").1.to_owned();
        let done = self
            .post(
                "/welcome",
                &[
                    ("link", &secret),
                    ("login", "ann"),
                    ("name", "Ann Other"),
                    ("password", PASSWORD),
                    ("again", PASSWORD),
                ],
            )
            .await;
        assert_eq!(done.location.as_deref(), Some("/factors"), "{} {}", done.status, done.body);
    }

    /// Signs in with name and password.
    pub(crate) async fn sign_in(&mut self, next: &str) -> Shown {
        self.get("/signin").await;
        self.post("/signin", &[("login", "ann"), ("password", PASSWORD), ("next", next)]).await
    }

    /// Types a device's code, and says yes or no.
    pub(crate) async fn decide(&mut self, code: &str, decision: &str) -> Shown {
        self.get("/device").await;
        let asked = self.post("/device", &[("code", code)]).await;
        assert_eq!(asked.status, 200, "{}", asked.body);
        assert!(asked.body.contains("Is this you?"), "{}", asked.body);
        self.post("/device", &[("code", code), ("decision", decision)]).await
    }
}

/// What stands between two texts, the first time.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

impl Running {
    /// Sends a form to a route of the tenant, as a client does.
    pub(crate) async fn oauth(&self, route: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let url = self.url(&format!("/organizations/oauth2/v2.0/{route}"));
        let call = self
            .client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish());
        let answer = call.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The status of a call with this token.
    pub(crate) async fn status_with(&self, token: &str) -> u16 {
        let call = self.client.get(self.url("/whoami?api-version=2026-11-01")).bearer_auth(token);
        call.send().await.expect("an answer").status().as_u16()
    }
}
