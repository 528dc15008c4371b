use std::collections::BTreeMap;

use super::*;

#[test]
fn a_name_means_one_shape() {
    let mut shapes = Schemas::new();
    paths(&mut shapes);
    let mut known = BTreeMap::new();
    for (name, shape) in shapes {
        let shape = serde_json::to_string(&shape).unwrap();
        let first = known.entry(name.clone()).or_insert_with(|| shape.clone());
        assert_eq!(*first, shape, "two types are called {name}; give one another `schema(as = ...)`");
    }
}

#[test]
fn the_text_is_the_one_of_the_types() {
    assert!(super::openapi() == crate::OPENAPI, "docs/openapi.json is out of date; run `cargo xtask gen`");
}
