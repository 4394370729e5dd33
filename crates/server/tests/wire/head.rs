//! HEAD: what load balancers ask with. Over HTTP/2 a body in the answer would end the whole connection.

use reqwest::{Method, StatusCode};

use crate::harness::{client, start};

#[tokio::test]
async fn head_is_answered_without_a_body_over_both_versions() {
    let server = start().await;
    let policy = format!("{}?api-version=2020-01-01", server.protect().await);
    let token = server.token().await;
    let (ok, refused) = (StatusCode::OK, StatusCode::METHOD_NOT_ALLOWED);
    for client in [client(&server.ready.ca, None), client(&server.ready.ca, Some(()))] {
        for (path, with_token, status) in [
            ("/healthz", false, ok),
            ("/readyz", false, ok),
            ("/metadata/endpoints", false, refused),
            ("/nowhere", false, StatusCode::UNAUTHORIZED),
            ("/nowhere", true, StatusCode::NOT_FOUND),
            (&policy, false, StatusCode::UNAUTHORIZED),
            (&policy, true, refused),
        ] {
            let call = |method: Method| {
                let call = client.request(method, server.url(path));
                if with_token { call.bearer_auth(&token) } else { call }
            };
            let head = call(Method::HEAD).send().await;
            let head = head.unwrap_or_else(|error| panic!("{path}: {error:?}"));
            assert_eq!(head.status(), status, "{path}");
            let length = head.headers().get("content-length").cloned();
            assert!(length.is_some(), "{path}");
            assert!(head.bytes().await.expect("an end").is_empty(), "{path}");
            if status == ok {
                let get = call(Method::GET).send().await.expect("an answer");
                assert_eq!(get.headers().get("content-length"), length.as_ref(), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_body_says_so_in_its_head() {
    let server = start().await;
    let policy = format!("{}?api-version=2020-01-01", server.protect().await);
    let removed = server.call(Method::DELETE, &policy, None).await;
    assert_eq!(removed.status(), 200);
    assert_eq!(removed.headers()["content-length"], "0");
    // 204 has none, by the letter.
    let gone = server.call(Method::DELETE, &policy, None).await;
    assert_eq!(gone.status(), 204);
    assert!(!gone.headers().contains_key("content-length"));
}
