//! Model lists of an upstream, and names of a client: every listed name means itself, every other one is found or refused in words.

use pool::catalog::{Catalog, Names, parse_models};
use proto::Kind;

/// The first line is the name that is asked for, the second an alias (`name=target`), the rest the list; or just the list.
pub fn check(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (first, second) = (text(lines.next()), text(lines.next()));
    let body = lines.next().filter(|_| !first.starts_with('{')).unwrap_or(input);
    let alias = second.split_once('=').map(|(name, target)| (name.to_owned(), target.to_owned()));
    let names = Names { aliases: alias.into_iter().collect(), ..Names::default() };
    let catalog = match parse_models(body) {
        Ok(models) => {
            assert!(!models.is_empty() && models.len() <= 256);
            Catalog::live([models.as_slice()])
        }
        Err(error) => {
            assert!(error.to_string().len() <= 512, "{error}");
            Catalog::bundled()
        }
    };
    for model in catalog.models() {
        let name = &model.slug;
        assert!(!name.is_empty() && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        assert!(proto::json::valid(model.raw.bytes()), "{name}: its entry is no JSON");
        assert!(model.efforts.len() <= 32 && model.tiers.len() <= 32 && model.modalities.len() <= 32);
        let resolved = catalog.resolve(Some(name), &names).expect("a listed name is found");
        assert_eq!((&resolved.model.slug, resolved.retired_from), (name, None), "a listed name means itself");
    }
    for name in [Some(first.as_str()), Some(second.as_str()), None] {
        match catalog.resolve(name, &names) {
            Ok(resolved) => {
                assert!(catalog.get(&resolved.model.slug).is_some(), "{} is not listed", resolved.model.slug);
            }
            Err(failure) => {
                assert_eq!(failure.kind, Kind::ModelNotFound);
                assert!(failure.message.len() <= 4096 && !failure.message.chars().any(char::is_control), "{failure:?}");
            }
        }
    }
}

fn text(line: Option<&[u8]>) -> String {
    String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
}
