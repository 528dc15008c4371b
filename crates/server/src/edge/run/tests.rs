use super::*;

#[test]
fn attempts_beyond_the_first_are_in_a_header() {
    for (attempts, told) in [(0, None), (1, None), (2, Some("2")), (4, Some("4"))] {
        let headers = response_headers(Head { attempts, ..Head::default() });
        assert_eq!(headers.get("x-polygate-attempts").map(|value| value.to_str().unwrap()), told);
    }
}
