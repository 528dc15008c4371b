use super::*;

#[test]
fn every_model_call_beyond_the_first_is_told() {
    for (attempts, told) in [(0, None), (1, None), (2, Some("2")), (4, Some("4"))] {
        let headers = response_headers(Head { attempts, ..Head::default() });
        assert_eq!(headers.get("x-polygate-attempts").map(|value| value.to_str().unwrap()), told);
    }
}
