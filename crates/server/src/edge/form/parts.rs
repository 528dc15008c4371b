//! A whole form, part by part.

use bytes::Bytes;
use memchr::memmem;
use proto::Failure;
use proto::images::Part;

use super::{HEAD, Place, after_delimiter, field, wrong};

/// Most parts of one form.
const MOST: usize = 64;

/// The parts that have a name.
///
/// # Errors
/// The form does not begin, ends before its last delimiter, or has too many parts.
pub(crate) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, Failure> {
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let bare = &delimiter[2..];
    let first = if body.starts_with(bare) {
        Some(bare.len())
    } else {
        memmem::find(body, &delimiter).map(|at| at + delimiter.len())
    };
    let mut place = first.and_then(|at| after_delimiter(body, at));
    let mut parts = Vec::new();
    while let Some(Place::Head(at)) = place {
        if parts.len() == MOST {
            return Err(wrong("it has too many parts"));
        }
        // A part without headers begins with the empty line: its first half is the delimiter's line end.
        let head = memmem::find(&body[at - 2..], b"\r\n\r\n").ok_or_else(cut)?;
        if head >= HEAD {
            return Err(wrong("a part's headers are too long"));
        }
        let content = at + head + 2;
        // An empty part ends with the line end that ends its head.
        let end = content - 2 + memmem::find(&body[content - 2..], &delimiter).ok_or_else(cut)?;
        if let Some((name, _)) = field(body.get(at..at + head).unwrap_or_default()) {
            parts.push(Part { name, data: body.slice(content..end.max(content)) });
        }
        place = after_delimiter(body, end + delimiter.len());
    }
    if place.is_some() { Ok(parts) } else { Err(cut()) }
}

fn cut() -> Failure {
    wrong("it was cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Failure> {
        let parts = parts(&Bytes::from(text.to_owned()), "b")?;
        Ok(parts.into_iter().map(|part| (part.name, String::from_utf8(part.data.to_vec()).unwrap())).collect())
    }

    #[test]
    fn parts_have_names_and_contents() {
        let text = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ngpt-image-2\r\n--b\r\n\
                    Content-Type: image/png\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n\r\n\
                    PNG\r\n--not it\r\n--b\r\ncontent-disposition: form-data; name=\"user\"\r\n\r\n\r\n--b--\r\n";
        let expected = [("model", "gpt-image-2"), ("image[]", "PNG\r\n--not it"), ("user", "")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read(&format!("preamble\r\n{text}")).unwrap(), expected);
    }

    #[test]
    fn broken_forms_are_refused() {
        for text in ["", "nothing", "--b", "--b\r\n", "--b\r\na: b\r\n\r\ntext", "--b\r\na: b\r\n\r\ntext\r\n--b"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        let many = "--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(65) + "--b--";
        assert!(read(&many).unwrap_err().message.contains("too many"));
    }
}
