//! Pages of a list.

use proto::dialect::responses;
use rstest::rstest;

use super::*;

fn items() -> Vec<ListedItem> {
    responses::list_items(&Json::of(&["a", "b", "c", "d"].map(|id| serde_json::json!({ "id": id }))), "x")
}

#[rstest]
#[case::all(20, true, None, "dcba", false)]
#[case::oldest(20, false, None, "abcd", false)]
#[case::part(3, true, None, "dcb", true)]
#[case::rest(3, true, Some("b"), "a", false)]
#[case::just_full(2, false, Some("b"), "cd", false)]
#[case::middle(1, false, Some("b"), "c", true)]
#[case::behind_the_last(2, false, Some("d"), "", false)]
fn a_page_is_a_part_in_order(
    #[case] limit: usize,
    #[case] newest: bool,
    #[case] after: Option<&str>,
    #[case] ids: &str,
    #[case] more: bool,
) {
    let page = PageQuery { limit, newest, after: after.map(str::to_owned) };
    let page = page.page(items()).unwrap();
    let page = page.list();
    let text: Vec<&str> = page.data.iter().map(|item| item.get()).collect();
    let wanted: Vec<String> = ids.chars().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    assert_eq!((text, page.has_more), (wanted.iter().map(String::as_str).collect(), more));
    let ends = |id: Option<char>| id.map(String::from);
    assert_eq!(page.first_id.map(str::to_owned), ends(ids.chars().next()));
    assert_eq!(page.last_id.map(str::to_owned), ends(ids.chars().last()));
}

#[test]
fn a_page_after_nothing_is_refused() {
    let page = PageQuery { limit: 2, newest: true, after: Some("x".to_owned()) };
    assert_eq!(page.page(items()).map(|_| ()).unwrap_err().param.as_deref(), Some("after"));
}
