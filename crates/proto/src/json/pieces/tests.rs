use super::Pieces;
use crate::json::emit;
use crate::text::Json;

fn of(pieces: &[&'static str]) -> String {
    let mut all = Pieces::new(&["list"]);
    for piece in pieces {
        all.add(&Json::from_valid((*piece).into()), &["known"]);
    }
    String::from_utf8(emit::json(|writer| all.write_all(writer)).bytes().to_vec()).unwrap()
}

#[test]
fn named_lists_go_on_and_of_all_else_the_newest_counts() {
    assert_eq!(of(&[]), "{}");
    assert_eq!(of(&[r#"{"a":1,"known":2}"#, r#"{"b":{"c":[1]},"a":null}"#, r#"{"a":3}"#]), r#"{"a":3,"b":{"c":[1]}}"#);
    assert_eq!(
        of(&[r#"{"list":null,"other":[1]}"#, r#"{"list":[1]}"#, r#"{"list":[2,3],"other":[2]}"#]),
        r#"{"list":[1,2,3],"other":[2]}"#
    );
    assert_eq!(of(&[r#"{"list":[1]}"#, r#"{"list":null}"#, r#"{"list":"x"}"#]), r#"{"list":"x"}"#);
    assert_eq!(of(&[r#"{"other":null}"#]), r#"{"other":null}"#);
}
