//! Pages: what every one of them has, and what hostile input does to them.

use std::time::Duration;

use aws_lc_rs::hmac;

use crate::{
    browser::{Browser, PASSWORD, between},
    harness::start,
};

const PAGES: [&str; 8] = [
    "/signin",
    "/signin/second",
    "/welcome?link=x",
    "/factors",
    "/device",
    "/sessions",
    "/signout",
    "/organizations/oauth2/v2.0/authorize?client_id=x",
];

#[tokio::test]
async fn every_page_is_kept_out_of_frames_caches_and_other_peoples_logs() {
    let server = start().await;
    let mut nobody = Browser::at(&server);
    let mut ann = Browser::at(&server);
    ann.become_administrator(&server).await;
    for browser in [&mut nobody, &mut ann] {
        for page in PAGES {
            let shown = browser.get(page).await;
            let header = |name: &str| shown.headers[name].to_str().expect("text").to_owned();
            let policy = header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self';"),
                "{page} {policy}"
            );
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
            assert_eq!(header("cache-control"), "no-store", "{page}");
            assert_eq!(header("referrer-policy"), "no-referrer", "{page}");
            assert_eq!(header("x-frame-options"), "DENY", "{page}");
            assert_eq!(header("x-content-type-options"), "nosniff", "{page}");
            if shown.status == 303 {
                continue;
            }
            assert!(shown.body.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{page}");
            assert_eq!(shown.body.matches("<h1>").count(), 1, "{page}");
            // A field without a label says nothing to somebody who hears the page.
            for input in shown.body.split("<input ").skip(1) {
                let input = input.split('>').next().expect("a tag");
                if !input.contains("type=\"hidden\"") {
                    let id = between(input, "id=\"", "\"").expect("an id");
                    assert!(shown.body.contains(&format!("<label for=\"{id}\"")), "{page} {id}");
                }
            }
            for inline in ["style=\"", "onclick", "<style", "javascript:"] {
                assert!(!shown.body.contains(inline), "{page} {inline}");
            }
        }
    }
    for (asset, kind) in [("/pages.css", "text/css"), ("/pages.js", "text/javascript")] {
        let shown = nobody.get(asset).await;
        assert!(shown.headers["content-type"].to_str().expect("text").starts_with(kind));
    }
}

#[tokio::test]
async fn a_form_of_somebody_elses_page_does_nothing() {
    let server = start().await;
    let mut ann = Browser::at(&server);
    ann.become_administrator(&server).await;
    ann.get("/sessions").await;
    let (form, base) = (ann.form.clone(), server.ready.url.clone());
    let own = ("origin", base.as_str());
    let same = ("sec-fetch-site", "same-origin");
    for (token, headers) in [
        ("", vec![own, same]),
        ("0000", vec![own, same]),
        (&form[..60], vec![own, same]),
        (form.as_str(), vec![]),
        (form.as_str(), vec![("origin", "https://evil.example")]),
        (form.as_str(), vec![("origin", "https://evil.example"), same]),
        (form.as_str(), vec![("origin", "null")]),
        (form.as_str(), vec![own, ("sec-fetch-site", "cross-site")]),
        (form.as_str(), vec![own, ("sec-fetch-site", "same-site")]),
        (form.as_str(), vec![("sec-fetch-site", "none")]),
    ] {
        let refused = ann.post_with("/signout", &[("form", token)], &headers).await;
        assert_eq!(refused.status, 403, "{token} {headers:?}");
        assert_eq!(ann.get("/sessions").await.status, 200, "still signed in");
    }
    // The form of another browser, and of another session in the same one.
    let mut other = Browser::at(&server);
    other.get("/signin").await;
    let foreign = other.form.clone();
    let refused = ann.post_with("/signout", &[("form", &foreign)], &[own, same]).await;
    assert_eq!(refused.status, 403);
    for path in ["/signin", "/device", "/factors", "/welcome", "/signin/second"] {
        let refused = ann.post_with(path, &[("form", "x")], &[own, same]).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    // As a browser sends it from a page with our referrer policy.
    let left = ann.post_with("/signout", &[("form", &form)], &[("origin", "null"), same]).await;
    assert_eq!(left.location.as_deref(), Some("/signout"));
    assert!(!ann.cookies.contains_key("__Host-hourgate"));
}

#[tokio::test]
async fn nothing_tells_an_unknown_name_from_a_wrong_password() {
    let server = start().await;
    Browser::at(&server).become_administrator(&server).await;
    let mut answers = Vec::new();
    for login in ["ann", "nobody", "no such name <b>", ""] {
        let mut browser = Browser::at(&server);
        browser.get("/signin").await;
        let fields = [("login", login), ("password", "wrong"), ("next", "/device")];
        let shown = browser.post("/signin", &fields).await;
        let form = browser.form.clone();
        // The challenge of a passkey is another each time.
        let passkey = between(&shown.body, "data-passkey=\"", "\"").unwrap_or("-").to_owned();
        let body = shown.body.replace(&form, "FORM").replace(&passkey, "PASSKEY");
        answers.push((shown.status, body));
    }
    assert_eq!(answers[0].0, 401);
    for answer in &answers[1..] {
        assert_eq!(*answer, answers[0]);
    }
    // What they typed stands in no record: a password is soon typed where a name belongs.
    let notes = format!("{:?}", server.notes.lock().expect("no panic"));
    assert!(notes.contains("FactorWrong") && !notes.contains("no such name"), "{notes}");
}

#[tokio::test]
async fn whoever_signs_in_has_a_new_cookie_and_goes_nowhere_else() {
    let server = start().await;
    let mut ann = Browser::at(&server);
    ann.become_administrator(&server).await;
    let before = ann.cookies["__Host-hourgate"].clone();
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "/signout"] {
        let mut browser = Browser::at(&server);
        assert_eq!(browser.sign_in(next).await.location.as_deref(), Some("/sessions"), "{next}");
        assert_ne!(browser.cookies["__Host-hourgate"], before);
    }
    // A cookie that somebody planted is not taken over.
    let mut browser = Browser::at(&server);
    browser.cookies.insert("__Host-hourgate".to_owned(), "planted".to_owned());
    browser.sign_in("/sessions").await;
    assert_ne!(browser.cookies["__Host-hourgate"], "planted");
    // To sign in once more ends the session that stood there.
    ann.get("/signin?again=1").await;
    let fields = [("login", "ann"), ("password", PASSWORD), ("next", "/device")];
    assert_eq!(ann.post("/signin", &fields).await.location.as_deref(), Some("/device"));
    let mut thief = Browser::at(&server);
    thief.cookies.insert("__Host-hourgate".to_owned(), before);
    assert_eq!(thief.get("/sessions").await.status, 303);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_it_is_set_up() {
    let server = start().await;
    let mut ann = Browser::at(&server);
    ann.become_administrator(&server).await;
    ann.get("/factors").await;
    let app = ann.post("/factors", &[("do", "app")]).await;
    let secret =
        between(&app.body, "<code class=\"secret\">", "<").expect("a secret").replace(' ', "");
    let proposal = between(&app.body, "name=\"proposal\" value=\"", "\"").expect("one").to_owned();
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let code = |ahead: i64| totp(&key, now(&server) + ahead);
    let wrong = [("do", "confirm"), ("proposal", proposal.as_str()), ("code", "000000")];
    assert_eq!(ann.post("/factors", &wrong).await.status, 400);
    let right = code(0);
    let right = [("do", "confirm"), ("proposal", proposal.as_str()), ("code", right.as_str())];
    let done = ann.post("/factors", &right).await;
    assert!(done.body.contains("Recovery codes"), "{} {}", done.status, done.body);
    let recovery = between(&done.body, "<code class=\"secret\">", "<").expect("codes").to_owned();

    let mut phone = Browser::at(&server);
    let asked = phone.sign_in("/device").await;
    assert_eq!(asked.location.as_deref(), Some("/signin/second"));
    assert_eq!(phone.get("/sessions").await.status, 303, "half signed in is not signed in");
    phone.get("/signin/second").await;
    assert_eq!(phone.post("/signin/second", &[("code", "000000")]).await.status, 401);
    server.clock.pass(Duration::from_secs(30));
    let code = code(0);
    let through = phone.post("/signin/second", &[("code", &code)]).await;
    assert_eq!(through.location.as_deref(), Some("/device"), "{}", through.body);
    assert_eq!(phone.get("/sessions").await.status, 200);
    // A recovery code is good once; an attempt is one browser's.
    for (expected, again) in [(303, false), (401, true)] {
        let mut lost = Browser::at(&server);
        lost.sign_in("/sessions").await;
        lost.get("/signin/second").await;
        let shown = lost.post("/signin/second", &[("recovery", &recovery)]).await;
        assert_eq!(shown.status, expected, "again: {again}");
    }
    let mut other = Browser::at(&server);
    other.get("/signin/second").await;
    assert_eq!(other.get("/signin/second").await.location.as_deref(), Some("/signin"));
}

fn now(server: &crate::harness::Running) -> i64 {
    hourgate_core::time::Clock::now(&*server.clock).wall.as_second()
}

/// RFC 6238, as an app does it.
fn totp(key: &[u8], at: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &(at / 30).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let four: [u8; 4] = tag[offset..offset + 4].try_into().expect("four");
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

#[tokio::test]
async fn text_from_others_is_only_text() {
    let server = start().await;
    let mut ann = Browser::at(&server);
    let hostile = "<script>alert(1)</script>\"'&";
    let link = server.ready.welcome.clone().expect("a link");
    let path = link.strip_prefix(&server.ready.url).expect("a link to here").to_owned();
    let secret = path.split_once('=').expect("a secret").1.to_owned();
    ann.get(&path).await;
    let fields = [
        ("link", secret.as_str()),
        ("login", "ann"),
        ("name", hostile),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(ann.post("/welcome", &fields).await.status, 303);
    for page in ["/sessions", "/device", "/factors", "/signout"] {
        let shown = ann.get(page).await;
        assert!(!shown.body.contains("<script>alert"), "{page}");
        assert!(shown.body.contains("&lt;script&gt;alert(1)"), "{page}");
    }
    let corpus = [hostile, "\u{202e}\u{1b}[31m", "a\r\nset-cookie: x=y", "\0", "%0d%0a", "{{7*7}}"];
    for text in corpus {
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for page in PAGES {
            let joint = if page.contains('?') { '&' } else { '?' };
            let shown = ann
                .get(&format!("{page}{joint}next={encoded}&code={encoded}&state={encoded}"))
                .await;
            assert!(shown.status < 500, "{page} {text:?}");
            assert!(!shown.headers.contains_key("x"), "{page}");
            assert!(!shown.body.contains("<script>alert") && !shown.body.contains('\u{202e}'));
        }
        for (page, field) in [
            ("/device", "code"),
            ("/sessions", "session"),
            ("/factors", "id"),
            ("/signin", "login"),
        ] {
            ann.get(page).await;
            let shown = ann.post(page, &[(field, text), ("do", "remove"), ("kind", text)]).await;
            assert!(shown.status < 500, "{page} {text:?} {}", shown.status);
            assert!(!shown.body.contains("<script>alert") && !shown.body.contains('\u{202e}'));
        }
    }
}

#[tokio::test]
async fn a_form_is_small_and_twice_the_same_field_is_none() {
    let server = start().await;
    let mut browser = Browser::at(&server);
    Browser::at(&server).become_administrator(&server).await;
    browser.get("/signin").await;
    let padding = "x".repeat(64 << 10);
    assert_eq!(browser.post("/signin", &[("padding", &padding)]).await.status, 413);
    let twice = [("login", "ann"), ("password", PASSWORD), ("password", "other")];
    assert_eq!(browser.post("/signin", &twice).await.status, 401);
}
