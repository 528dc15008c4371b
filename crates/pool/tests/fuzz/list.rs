//! Model lists of relays: names can be sent, texts are short and clean, and what is kept is read back as it was.

use pool::relay::models::{MOST, Next, read, write};

use super::answer::clean;

/// Checks one page.
pub fn check(input: &[u8]) {
    let page = match read(input) {
        Ok(page) => page,
        Err(error) => return assert!(error.to_string().len() <= 512, "{error}"),
    };
    assert!(page.models.len() <= MOST);
    let mut seen = std::collections::HashSet::new();
    for model in &page.models {
        let name = &model.slug;
        assert!(!name.is_empty() && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        assert!(seen.insert(name), "{name} twice");
        assert!(proto::json::valid(model.raw.bytes()), "{name}: its entry is no JSON");
        clean(&model.display, 128);
        model.modalities.iter().for_each(|word| clean(word, 128));
        assert!(model.modalities.len() <= 32 && model.context != Some(0) && model.max_output != Some(0));
    }
    if let Some(Next::After(mark) | Next::Token(mark)) = &page.next {
        assert!(!mark.is_empty() && mark.len() <= 1024);
    }
    let again = read(&write(&page.models)).expect("a kept list is one");
    assert_eq!(again.models, page.models);
    assert_eq!(again.next, None);
}
