//! Reads a whole form, part by part.

use bytes::Bytes;
use proto::Failure;
use proto::images::Part;

use super::{Field, Reader, Step, malformed_form};

/// The most parts in one form.
const MOST: usize = 64;

/// The parts that have a name. Errors: the form does not begin, ends before its last delimiter, or has too many parts.
pub(crate) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, Failure> {
    let (mut reader, mut parts) = (Reader::new(boundary), Vec::new());
    loop {
        match reader.next(body)? {
            Step::Part(..) if parts.len() == MOST => return Err(malformed_form("it has too many parts")),
            Step::Part(Some(Field { name, .. }), content) => parts.push(Part { name, data: body.slice(content) }),
            Step::Part(None, _) => {}
            Step::More => return Err(cut()),
            Step::End => return Ok(parts),
        }
    }
}

fn cut() -> Failure {
    malformed_form("it was cut short")
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
