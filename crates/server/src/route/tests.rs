use rstest::rstest;

use super::*;

fn name(method: &Method, path: &str) -> String {
    match find(method, path) {
        Found::Route(route, param) => format!("{} {}", route.path, param).trim_end().to_owned(),
        Found::Method(others, _) => format!("405 {others:?}"),
        Found::Nothing => "404".to_owned(),
    }
}

#[rstest]
#[case("/v1/models", "/v1/models")]
#[case("/v1/models/gpt-6-sol", "/v1/models/{id} gpt-6-sol")]
#[case("/v1/models/gpt%2D6", "/v1/models/{id} gpt-6")]
#[case("/v1/responses/review", "405 [POST]")]
fn paths_are_found(#[case] path: &str, #[case] found: &str) {
    assert_eq!(name(&Method::GET, path), found);
    assert_eq!(name(&Method::HEAD, path), found);
}

#[rstest]
#[case("//v1/models")]
#[case("/v1//models")]
#[case("/v1/models/")]
#[case("/V1/models")]
#[case("/v1%2fmodels")]
#[case("/v1/models.")]
#[case("/v1/models;x")]
#[case("/v1\\models")]
#[case("/v1/../admin/keys")]
#[case("/v1/models/../../admin/keys")]
#[case("/v1/models/..%2f..%2fadmin%2fkeys")]
#[case("/v1/models/%2e%2e")]
#[case("/v1/models/..")]
#[case("/v1/models/a%00")]
#[case("/v1/models/a%0d%0ab")]
#[case("/v1/models/%")]
#[case("/v1/models/%zz")]
#[case("/v1/models/%ff")]
#[case("/%61dmin/keys")]
#[case("/admin/keys/")]
#[case("/admin//keys")]
#[case("/./admin/keys")]
#[case("/admin/keys;v1")]
#[case("*")]
#[case("")]
fn variants_are_not(#[case] path: &str) {
    assert_eq!(name(&Method::GET, path), "404", "{path}");
}

#[test]
fn no_route_stands_twice() {
    for (at, route) in routes().iter().enumerate() {
        let twins = routes()[at + 1..].iter().filter(|other| other.path == route.path && other.method == route.method);
        assert_eq!(twins.count(), 0, "{} {}", route.method, route.path);
    }
}
