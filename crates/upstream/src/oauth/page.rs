//! The pages that a browser gets at the end of a login: fixed text, without scripts and without any part of the request.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;

/// The page for the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The code was accepted.
    Done,
    /// The provider refused the login.
    Denied,
    /// The state is missing or another login's.
    WrongState,
    /// The state is right, but there is no valid code.
    NoCode,
    /// The login was finished before.
    Used,
    /// Another path.
    NotFound,
    /// Not a GET.
    MethodNotAllowed,
}

impl Page {
    fn text(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Done => (StatusCode::OK, "Signed in", "You can close this window and go back to Polygate."),
            Self::Denied => {
                (StatusCode::OK, "Not signed in", "The provider refused the login. Polygate shows the reason.")
            }
            Self::WrongState => (
                StatusCode::BAD_REQUEST,
                "Not this login",
                "This address does not belong to the login that is waiting. Open the newest link from Polygate.",
            ),
            Self::NoCode => {
                (StatusCode::BAD_REQUEST, "Not signed in", "The provider sent no code. Start the login again.")
            }
            Self::Used => (StatusCode::GONE, "Already used", "This login is finished. You can close this window."),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found", "Only a login's end is served here."),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Not allowed", "Only GET is served here."),
        }
    }

    /// The whole answer. Its headers forbid scripts, framing, caching and referrers.
    pub(super) fn answer(self) -> Response<Full<Bytes>> {
        let (status, title, text) = self.text();
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - Polygate</title></head>\
             <body><h1>{title}</h1><p>{text}</p></body></html>\n"
        );
        let mut response = Response::new(Full::new(Bytes::from(html)));
        *response.status_mut() = status;
        let fixed = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            ),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONNECTION, "close"),
        ];
        for (name, value) in fixed {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        if self == Self::MethodNotAllowed {
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
        }
        response
    }
}
