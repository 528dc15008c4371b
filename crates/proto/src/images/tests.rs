use super::*;
use crate::failure::Kind;

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

#[test]
fn a_prompt_becomes_the_backends_body() {
    let rows = [
        (
            r#"{"prompt":"a fox"}"#,
            r#"{"prompt":"a fox","background":"auto","model":"gpt-image-2","quality":"auto","size":"auto"}"#,
        ),
        (
            r#"{"model":"gpt-image-2","prompt":"a \"fox\"","n":1,"size":"1024x1536","quality":"high","background":"opaque","response_format":"b64_json","output_format":"png","user":"u","stream":false,"style":null}"#,
            r#"{"prompt":"a \"fox\"","background":"opaque","model":"gpt-image-2","quality":"high","size":"1024x1536"}"#,
        ),
    ];
    for (body, expected) in rows {
        assert_eq!(generation(&bytes(body)).unwrap(), expected, "{body}");
    }
}

#[test]
fn what_the_backend_rejects_is_refused_by_name() {
    let rows = [
        (r#""n":2"#, "n"),
        (r#""mask":"x""#, "mask"),
        (r#""input_fidelity":"high""#, "input_fidelity"),
        (r#""style":"vivid""#, "style"),
        (r#""response_format":"url""#, "response_format"),
        (r#""output_format":"webp""#, "output_format"),
        (r#""output_compression":50"#, "output_compression"),
        (r#""stream":true"#, "stream"),
        (r#""partial_images":1"#, "partial_images"),
        (r#""size":"7x7""#, "size"),
        (r#""size":1024"#, "size"),
        (r#""quality":"hd""#, "quality"),
        (r#""background":"red""#, "background"),
        (r#""images":[]"#, "images"),
        (r#""seed":1"#, "seed"),
    ];
    for (field, name) in rows {
        let failure = generation(&bytes(&format!(r#"{{"prompt":"x",{field}}}"#))).unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(name)), "{field}");
    }
    for body in ["{}", r#"{"prompt":""}"#, r#"{"prompt":5}"#] {
        assert_eq!(generation(&bytes(body)).unwrap_err().param.as_deref(), Some("prompt"), "{body}");
    }
}

#[test]
fn pictures_come_as_data_urls() {
    let body = r#"{"prompt":"x","images":[{"image_url":"data:image/png;base64,AAAA"}],"size":"auto"}"#;
    let expected = r#"{"images":[{"image_url":"data:image/png;base64,AAAA"}],"prompt":"x","background":"auto","model":"gpt-image-2","quality":"auto","size":"auto"}"#;
    assert_eq!(edit(&bytes(body)).unwrap(), expected);
    let rows = [
        (r#"{"prompt":"x"}"#, "images"),
        (r#"{"prompt":"x","images":[]}"#, "images"),
        (r#"{"prompt":"x","images":[{"image_url":"https://example.test/a.png"}]}"#, "images[0].image_url"),
        (r#"{"prompt":"x","images":[{"file_id":"f"}]}"#, "images[0].image_url"),
    ];
    for (body, name) in rows {
        assert_eq!(edit(&bytes(body)).unwrap_err().param.as_deref(), Some(name), "{body}");
    }
}

#[test]
fn a_form_is_read_as_the_json_body() {
    let part = |name: &str, data: &'static [u8]| Part { name: name.to_owned(), data: Bytes::from_static(data) };
    let parts = [
        part("model", b"gpt-image-2"),
        part("image[]", b"\x89PNG\r\n\x1a\n"),
        part("prompt", b"a \"hat\""),
        part("n", b"1"),
    ];
    let expected = r#"{"images":[{"image_url":"data:image/png;base64,iVBORw0KGgo="}],"prompt":"a \"hat\"","background":"auto","model":"gpt-image-2","quality":"auto","size":"auto"}"#;
    assert_eq!(form(&parts).unwrap(), expected);
    let rows = [
        (vec![part("prompt", b"x")], "images"),
        (vec![part("prompt", b"x"), part("image", b"text")], "image"),
        (vec![part("prompt", b"\xff"), part("image", b"GIF89a")], "prompt"),
        (vec![part("prompt", b"x"), part("image", b"GIF89a"), part("mask", b"\xff")], "mask"),
        (vec![part("prompt", b"x"), part("image", b"GIF89a"), part("n", b"2")], "n"),
    ];
    for (parts, name) in rows {
        assert_eq!(form(&parts).unwrap_err().param.as_deref(), Some(name));
    }
}
