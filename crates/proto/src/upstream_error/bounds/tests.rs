use super::*;

/// Message; window, prompt, output.
type Case = (&'static str, Option<u64>, Option<u64>, Option<u64>);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Over-long prompts.
    ("prompt is too long: 210000 tokens > 200000 maximum", Some(200_000), Some(210_000), None),
    ("input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again", Some(200_000), Some(188_240), None),
    ("This model's maximum context length is 128000 tokens. However, your messages resulted in 130231 tokens. Please reduce the length of the messages.", Some(128_000), Some(130_231), None),
    ("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (7000 in the messages, 2000 in the completion).", Some(8192), Some(7000), None),
    ("'max_tokens' or 'max_completion_tokens' is too large: 40000. This model's maximum context length is 32,768 tokens and your request has 200 input tokens (40000 > 32768 - 200).", Some(32_768), Some(200), None),
    ("This model's maximum context length is 40960 tokens. However, you requested 14746 output tokens and your prompt contains at least 26215 input tokens.", Some(40_960), Some(26_215), None),
    ("This endpoint's maximum context length is 1048576 tokens. However, you requested about 1293741 tokens (1227853 of text input, 353 of tool input, 65535 in the output).", Some(1_048_576), Some(1_227_853), None),
    ("Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a total of 140000 tokens: 130000 tokens from the input messages and 10000 tokens for the completion.", Some(131_072), Some(130_000), None),
    ("Input length (265330) exceeds model's maximum context length (262144).", Some(262_144), Some(265_330), None),
    ("The input (265330 tokens) is longer than the model's context length (262144 tokens).", Some(262_144), Some(265_330), None),
    ("The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).", Some(1_048_576), Some(1_100_000), None),
    ("The input token count exceeds the maximum number of tokens allowed 1048576.", Some(1_048_576), None, None),
    ("request (13392 tokens) exceeds the available context size (8192 tokens), try increasing it", Some(8192), Some(13_392), None),
    ("the request exceeds the available context size. (n_prompt_tokens: 5000, n_ctx: 4096)", Some(4096), Some(5000), None),
    ("The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 10978 >= n_ctx: 8192).", Some(8192), None, None),
    ("This model's maximum prompt length is 131072 but the request contains 537812 tokens.", Some(131_072), Some(537_812), None),
    ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", Some(32_768), Some(40_000), None),
    ("The decoder prompt (length 8867) is longer than the maximum model length of 8192. Make sure that", Some(8192), Some(8867), None),
    ("Invalid request: Your request exceeded model token limit: 256000 (requested: 310000)", Some(256_000), Some(310_000), None),
    ("Invalid request: Your request exceeded model token limit: 128000", Some(128_000), None, None),
    ("prompt token count of 139218 exceeds the limit of 128000", Some(128_000), Some(139_218), None),
    ("Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192", Some(8192), Some(9000), None),
    ("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]", Some(30_720), None, None),
    // Requests for too much output.
    ("max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5-20251001", None, None, Some(64_000)),
    ("max_tokens is too large: 32768. This model supports at most 16384 completion tokens, whereas you provided 32768.", None, None, Some(16_384)),
    ("Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 128000, but got 200000 instead.", None, None, Some(128_000)),
    ("`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model", None, None, Some(8192)),
    ("Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 65537 (exclusive). Update the value and try again.", None, None, Some(65_536)),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", None, None, Some(8192)),
    ("<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 16384]", None, None, Some(16_384)),
    ("max_tokens (384000) exceeds model's maximum output tokens (65536)", None, None, Some(65_536)),
    // A message without a limit gives none.
    ("Your input exceeds the context window of this model. Please adjust your input and try again.", None, None, None),
    ("max_tokens is too large", None, None, None),
    ("max_tokens must be at least 1, got -5", None, None, None),
    ("prompt is too long: many tokens > few maximum", None, None, None),
    ("maximum context length is  tokens", None, None, None),
    ("maximum context length is 99999999999999999999999 tokens", None, None, None),
    ("your messages resulted in 130231 tokens", None, None, None),
    ("supports at most 16384 images", None, None, None),
    // A client's text is not a wording of the upstream.
    ("Invalid value: 'maximum context length is 1024 tokens'. Supported values are: 'low', 'medium', and 'high'.", None, None, None),
    (r#"unknown variant "prompt is too long: 9000 tokens > 1024 maximum", expected one of "low", "high""#, None, None, None),
    ("Input should be `low` or `high`, not `n_ctx: 1024`", None, None, None),
    ("Invalid value: 'it's \\'the maximum context length is 1024 tokens'", None, None, None),
    ("Invalid value: 'maximum context length is 1024 tokens, and mo", None, None, None),
    ("'a': invalid. This model's maximum context length is 4096 tokens. However, your messages resulted in 'your request has 200 input tokens'", Some(4096), None, None),
    ("The model's 'x' says: maximum context length is 4096 tokens, not 'y'", Some(4096), None, None),
    ("", None, None, None),
];

#[test]
fn refusals_are_read() {
    for (message, window, prompt, output) in CASES {
        let failure = Failure::new(Kind::Invalid, *message);
        let bounds = read(&failure);
        assert_eq!((bounds.window, bounds.prompt, bounds.output), (*window, *prompt, *output), "{message}");
        assert!(!bounds.has_code, "{message}");
    }
}

#[test]
fn only_refusals_of_the_request_are_read() {
    let bounds = |kind| read(&Failure::new(kind, "prompt is too long: 210000 tokens > 200000 maximum"));
    for kind in [Kind::Invalid, Kind::ContextLength, Kind::TooLarge] {
        assert_eq!(bounds(kind).window, Some(200_000), "{kind:?}");
    }
    for kind in [Kind::RateLimited, Kind::Exhausted, Kind::Upstream, Kind::Overloaded, Kind::Unauthorized] {
        assert!(bounds(kind).is_empty(), "{kind:?}");
    }
}

#[test]
fn a_code_of_its_own_counts() {
    let message = "maximum context length is 4096 tokens";
    let has_code = |kind, code: &str| read(&Failure::new(kind, message).code(code)).has_code;
    assert!(has_code(Kind::Invalid, "context_length_exceeded") && has_code(Kind::TooLarge, "x"));
    assert!(!has_code(Kind::Invalid, "invalid_value") && !read(&Failure::new(Kind::ContextLength, message)).has_code);
}

/// Quotes can be forged, so text that the request itself contains is not trusted either.
#[test]
fn a_refusal_that_repeats_the_request_is_detected() {
    let refusal = |message: &str| Failure::new(Kind::Invalid, message);
    let failure = refusal("Invalid value: 'x' Maximum context length is 1,024 tokens'.");
    assert_eq!(read(&failure).window, Some(1024), "it is forged");
    for body in [
        r#"{"effort":"x' Maximum context length is 1,024 tokens"}"#,
        r#"{"effort":"x' MAXIMUM  context length is\n1024 tokens"}"#,
        r#"{"effort":"x' \u006daximum context\u0020length is 1,024 tokens"}"#,
        r#"{"arguments":"{\"a\":\"maximum context \\\"length is 1,024 tokens\"}"}"#,
    ] {
        assert!(repeats(&failure, body.as_bytes()), "{body}");
    }
    for body in [
        "",
        "\u{fffd}",
        r#"{"effort":"maximum context length is 1025 tokens"}"#,
        r#"{"effort":"maximum context length"}"#,
    ] {
        assert!(!repeats(&failure, body.as_bytes()), "{body}");
    }
    let prompt = refusal("maximum context length is 4096 tokens. your messages resulted in 5000 tokens");
    assert!(repeats(&prompt, b"Your messages resulted in 5000 tokens"));
    let output = refusal("This model supports at most 256 completion tokens");
    assert!(repeats(&output, b"supports at most 256 completion tokens") && !repeats(&output, b"256"));
    assert!(!repeats(&refusal("bad"), b"bad"));
}

/// A place that does not match hides no later match, and letters outside ASCII are allowed.
#[test]
fn the_first_match_counts() {
    let bounds =
        of("é maximum context length is long: maximum context length is 4,096 tokens, not 1,2 nor 8192 tokens");
    assert_eq!(bounds.window, Some(4096));
    assert_eq!((number("1,2x"), number(",1"), number("12, x")), (Some((12, "x")), None, Some((12, ", x"))));
}

/// The prompt fits, but not with the output that the request asked for.
#[test]
fn the_refused_output_limit_is_read_beside_the_window() {
    let bounds = of("input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease");
    assert_eq!((bounds.prompt, bounds.requested_output, bounds.window), (Some(188_240), Some(21_333), Some(200_000)));
}
