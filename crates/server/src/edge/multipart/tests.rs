use http::HeaderValue;

use super::*;

fn body(parts: &[(&str, &str)]) -> String {
    let part = |(head, content): &(&str, &str)| format!("--b\r\n{head}\r\n\r\n{content}\r\n");
    parts.iter().map(part).collect::<String>() + "--b--\r\n"
}

const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"model\"\r\nContent-Type: audio/wav";
const MODEL: &str = "content-disposition: form-data; name=\"model\"";

/// The model that is found when the body arrives in pieces of `size`, and how many bytes had arrived by then.
fn find(body: &str, size: usize) -> Result<(Option<String>, usize), Failure> {
    let mut scan = ModelFinder::new("b");
    let mut come = 0;
    while come < body.len() {
        come = (come + size).min(body.len());
        if scan.read(&body.as_bytes()[..come])? {
            break;
        }
    }
    Ok((scan.model().map(|at| body[at].to_owned()), come))
}

#[test]
fn the_model_is_found_whatever_the_pieces() {
    let noise = format!("RIFF\r\n--\r\n--a\r\n{MODEL}\r\n\r\n--{}", "x".repeat(5000));
    let rows = [
        (body(&[(MODEL, "whisper-1"), (FILE, &noise)]), Some("whisper-1")),
        (body(&[(FILE, &noise), (MODEL, "r:whisper")]), Some("r:whisper")),
        (body(&[("Content-Disposition: form-data; name=model", "m")]), Some("m")),
        (body(&[(MODEL, "")]), Some("")),
        (body(&[(FILE, &noise)]), None),
        (format!("preamble\r\n{}", body(&[(MODEL, "m")])), Some("m")),
        (body(&[("Content-Disposition: form-data; name=\"model\"; filename=\"f\"", "m")]), None),
        (body(&[("", "no head"), (MODEL, "m")]), Some("m")),
        ("--b--".to_owned(), None),
        (String::new(), None),
    ];
    for (body, expected) in &rows {
        for size in [1, 2, 3, 7, 64, 100_000] {
            let (found, _) = find(body, size).unwrap();
            assert_eq!(found.as_deref(), *expected, "pieces of {size}: {body:.200}");
        }
    }
    // Reading stops when the model is found.
    let (_, come) = find(&rows[0].0, 16).unwrap();
    assert!(come < 120, "{come}");
}

#[test]
fn what_is_too_long_is_refused() {
    assert!(find(&body(&[(MODEL, &"m".repeat(1000))]), 64).is_err());
    assert!(find(&format!("--b\r\nx-long: {}", "y".repeat(20_000)), 64).is_err());
}

#[test]
fn a_form_has_a_boundary() {
    let rows = [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=abc", None),
        ("application/json", None),
        ("multipart/form-data; boundary=a\"b", None),
    ];
    for (value, expected) in rows {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
        assert_eq!(boundary(&headers).as_deref(), expected, "{value}");
    }
}
