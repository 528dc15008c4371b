use rstest::rstest;

use super::models::{Next, Shape};
use super::*;
use crate::catalog::ListError;

fn relay(wire: Wire, base_url: &str) -> Relay {
    Relay {
        id: AccountId("r".into()),
        name: "relay".into(),
        base_url: base_url.into(),
        wire,
        models: Vec::new(),
        prefix: String::new(),
        capabilities: Capabilities::default(),
        allow_private: false,
        enabled: true,
        weight: 1,
        status: Status::Active,
        created: Millis(0),
        version: 1,
    }
}

/// What is pasted, the protocol that it tells, and the base URL for that protocol, or for Chat where it tells none.
#[rstest]
#[case::openai("https://api.openai.com", Some(Wire::Responses), "https://api.openai.com/v1")]
#[case::openai_v1("https://api.openai.com/v1/", Some(Wire::Responses), "https://api.openai.com/v1")]
#[case::openai_chat("https://api.openai.com/v1/chat/completions", Some(Wire::Chat), "https://api.openai.com/v1")]
#[case::openai_bare(" api.openai.com\n", Some(Wire::Responses), "https://api.openai.com/v1")]
#[case::openai_quoted("\"https://api.openai.com/v1\"", Some(Wire::Responses), "https://api.openai.com/v1")]
#[case::openai_shout("HTTPS://API.OPENAI.COM/v1", Some(Wire::Responses), "https://api.openai.com/v1")]
#[case::azure("https://x.openai.azure.com/openai/v1/", Some(Wire::Responses), "https://x.openai.azure.com/openai/v1")]
#[case::anthropic("https://api.anthropic.com", Some(Wire::Messages), "https://api.anthropic.com/v1")]
#[case::anthropic_v1("https://api.anthropic.com/v1", Some(Wire::Messages), "https://api.anthropic.com/v1")]
#[case::anthropic_whole("https://api.anthropic.com/v1/messages", Some(Wire::Messages), "https://api.anthropic.com/v1")]
#[case::anthropic_like(
    "https://api.deepseek.com/anthropic",
    Some(Wire::Messages),
    "https://api.deepseek.com/anthropic/v1"
)]
#[case::anthropic_deep("https://h/api/anthropic/", Some(Wire::Messages), "https://h/api/anthropic/v1")]
#[case::gemini(
    "https://generativelanguage.googleapis.com",
    Some(Wire::Gemini),
    "https://generativelanguage.googleapis.com/v1beta"
)]
#[case::gemini_chat(
    "https://generativelanguage.googleapis.com/v1beta/openai/",
    Some(Wire::Chat),
    "https://generativelanguage.googleapis.com/v1beta/openai"
)]
#[case::gemini_whole(
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:generateContent",
    Some(Wire::Gemini),
    "https://generativelanguage.googleapis.com/v1beta"
)]
#[case::gemini_like("https://relay.example/v1beta", Some(Wire::Gemini), "https://relay.example/v1beta")]
#[case::openrouter("https://openrouter.ai", Some(Wire::Chat), "https://openrouter.ai/api/v1")]
#[case::openrouter_api("https://openrouter.ai/api", Some(Wire::Chat), "https://openrouter.ai/api/v1")]
#[case::openrouter_v1("https://openrouter.ai/api/v1", Some(Wire::Chat), "https://openrouter.ai/api/v1")]
#[case::openrouter_models("https://openrouter.ai/api/v1/models", Some(Wire::Chat), "https://openrouter.ai/api/v1")]
#[case::groq("https://api.groq.com/openai", Some(Wire::Chat), "https://api.groq.com/openai/v1")]
#[case::perplexity("https://api.perplexity.ai", Some(Wire::Chat), "https://api.perplexity.ai")]
#[case::zhipu("https://open.bigmodel.cn/api/paas/v4", Some(Wire::Chat), "https://open.bigmodel.cn/api/paas/v4")]
#[case::ollama("http://localhost:11434", Some(Wire::Chat), "http://localhost:11434/v1")]
#[case::ollama_bare("localhost:11434", Some(Wire::Chat), "http://localhost:11434/v1")]
#[case::ollama_v1("http://127.0.0.1:11434/v1/", Some(Wire::Chat), "http://127.0.0.1:11434/v1")]
#[case::ollama_api("http://gpu:11434/api", Some(Wire::Chat), "http://gpu:11434/v1")]
#[case::ollama_chat("http://gpu.lan:8080/api/chat", Some(Wire::Chat), "http://gpu.lan:8080/v1")]
#[case::ollama_embed("https://gpu.example/x/api/embeddings", Some(Wire::Chat), "https://gpu.example/x/v1")]
#[case::vllm("192.168.1.5:8000", None, "http://192.168.1.5:8000/v1")]
#[case::vllm_v6("[::1]:8000", None, "http://[::1]:8000/v1")]
#[case::lan("gpu.local:8000", None, "http://gpu.local:8000/v1")]
#[case::public_bare("relay.example", None, "https://relay.example/v1")]
#[case::public_v1("relay.example/v1", Some(Wire::Chat), "https://relay.example/v1")]
#[case::public_path("https://relay.example/team", None, "https://relay.example/team/v1")]
#[case::slashes("https://relay.example//v1//", Some(Wire::Chat), "https://relay.example/v1")]
#[case::responses("https://relay.example/v1/responses", Some(Wire::Responses), "https://relay.example/v1")]
#[case::no_version("https://relay.example/chat/completions", Some(Wire::Chat), "https://relay.example")]
#[case::webui("http://h:3000/api/chat/completions", Some(Wire::Chat), "http://h:3000/api")]
#[case::embeddings("https://relay.example/v1/embeddings", Some(Wire::Chat), "https://relay.example/v1")]
#[case::cloudflare("https://gw.example/v1/a/b/compat", None, "https://gw.example/v1/a/b/compat")]
#[case::octal("http://0177.0.0.1:11434", Some(Wire::Chat), "http://127.0.0.1:11434/v1")]
#[case::backslash("https:\\\\relay.example\\v1", Some(Wire::Chat), "https://relay.example/v1")]
#[case::idn("https://bücher.example/v1", Some(Wire::Chat), "https://xn--bcher-kva.example/v1")]
#[case::host_named_http("http://http/v1", Some(Wire::Chat), "http://http/v1")]
fn pasted_addresses(#[case] text: &str, #[case] wire: Option<Wire>, #[case] base: &str) {
    let pasted = PastedAddress::read(text).unwrap();
    assert_eq!(pasted.detect(), wire);
    let wire = wire.unwrap_or(Wire::Chat);
    assert_eq!(pasted.base(wire), base);
    let again = PastedAddress::read(base).unwrap();
    if !text.contains("completions") {
        assert_eq!(again.base(wire), base, "reading it again changes nothing");
    }
}

#[rstest]
#[case(Wire::Responses, "https://relay.example/v1")]
#[case(Wire::Messages, "https://relay.example/v1")]
#[case(Wire::Gemini, "https://relay.example/v1beta")]
fn a_host_gets_the_version_of_the_protocol(#[case] wire: Wire, #[case] base: &str) {
    assert_eq!(PastedAddress::read("https://relay.example/").unwrap().base(wire), base);
}

#[rstest]
#[case("", AddressError::Empty)]
#[case("  \"\" ", AddressError::Empty)]
#[case("ftp://relay.example", AddressError::Scheme)]
#[case("file:///etc/passwd", AddressError::Scheme)]
#[case("https://user:secret@relay.example/v1", AddressError::Credentials)]
#[case("https://secret@relay.example/v1", AddressError::Credentials)]
#[case("secret@relay.example", AddressError::Credentials)]
#[case("https://relay.example/v1?key=secret", AddressError::Extras)]
#[case("https://relay.example/v1#secret", AddressError::Extras)]
fn addresses_that_are_no_relays(#[case] text: &str, #[case] expected: AddressError) {
    assert_eq!(PastedAddress::read(text), Err(expected));
}

#[test]
fn unreadable_addresses_are_not_repeated() {
    for text in
        ["https://", "https://secret secret/v1", "https://sec\tret", "http://[secret", "a:secret", &"a".repeat(3000)]
    {
        let error = PastedAddress::read(text).unwrap_err();
        assert!(matches!(error, AddressError::Unreadable(_)), "{text}: {error:?}");
        assert!(error.to_string().contains("hint:") && !error.to_string().contains("secret"), "{error}");
    }
}

#[rstest]
#[case(Wire::Chat, "https://h.example/v1", "https://h.example/v1/chat/completions")]
#[case(Wire::Chat, "https://h.example", "https://h.example/chat/completions")]
#[case(Wire::Responses, "https://h.example/x/v1", "https://h.example/x/v1/responses")]
#[case(Wire::Messages, "https://h.example/v1", "https://h.example/v1/messages")]
#[case(Wire::Messages, "https://h.example/anthropic", "https://h.example/anthropic/v1/messages")]
#[case(Wire::Gemini, "https://h.example/v1beta", "https://h.example/v1beta/models/m-1:streamGenerateContent?alt=sse")]
#[case(Wire::Gemini, "https://h.example", "https://h.example/v1beta/models/m-1:streamGenerateContent?alt=sse")]
fn where_calls_go(#[case] wire: Wire, #[case] base: &str, #[case] url: &str) {
    assert_eq!(call_url(&relay(wire, base), "m-1").unwrap().as_str(), url);
    assert_eq!(call_url(&relay(wire, base), "models/m-1").unwrap().as_str(), url);
}

#[rstest]
#[case("../../admin")]
#[case("a/../b")]
#[case("x?alt=json&key=1")]
#[case("x#y")]
#[case("..")]
#[case("%2e%2e/x")]
#[case("é")]
fn a_model_name_stays_one_part_of_the_path(#[case] model: &str) {
    let url = call_url(&relay(Wire::Gemini, "https://h.example/v1beta"), model).unwrap();
    assert_eq!(url.path_segments().unwrap().count(), 3, "{url}");
    assert!(url.path().starts_with("/v1beta/models/") && url.path().ends_with(":streamGenerateContent"), "{url}");
    assert_eq!((url.query(), url.fragment()), (Some("alt=sse"), None));
}

#[rstest]
#[case(Wire::Chat, "https://h.example/v1", None, "https://h.example/v1/models")]
#[case(Wire::Responses, "https://h.example/v1", None, "https://h.example/v1/models")]
#[case(Wire::Messages, "https://h.example", None, "https://h.example/v1/models?limit=1000")]
#[case(Wire::Messages, "https://h.example/v1", Some(Next::After("a&b".into())), "https://h.example/v1/models?limit=1000&after_id=a%26b")]
#[case(Wire::Gemini, "https://h.example/v1beta", Some(Next::Token("t=".into())), "https://h.example/v1beta/models?pageSize=1000&pageToken=t%3D")]
fn where_lists_are(#[case] wire: Wire, #[case] base: &str, #[case] next: Option<Next>, #[case] url: &str) {
    assert_eq!(models_url(base, wire, next.as_ref()).unwrap().as_str(), url);
}

#[test]
fn where_an_ollama_lists_its_models() {
    for base in ["http://localhost:11434/v1", "http://localhost:11434"] {
        assert_eq!(tags_url(base).unwrap().as_str(), "http://localhost:11434/api/tags");
    }
    assert_eq!(tags_url("https://h.example/x/v1").unwrap().as_str(), "https://h.example/x/api/tags");
}

#[test]
fn where_other_services_are() {
    let chat = relay(Wire::Chat, "https://h.example/v1");
    let at = |relay: &Relay, service| service_url(relay, service).unwrap().map(String::from);
    for service in Service::EACH {
        assert_eq!(at(&chat, service), Some(format!("https://h.example/v1{}", service.path())));
        assert_eq!(at(&relay(Wire::Messages, "https://h.example/v1"), service), None);
        assert_eq!(at(&relay(Wire::Gemini, "https://h.example/v1beta"), service), None);
    }
    let google = relay(Wire::Gemini, "https://generativelanguage.googleapis.com/v1beta");
    let url = "https://generativelanguage.googleapis.com/v1beta/openai/embeddings";
    assert_eq!(at(&google, Service::Embeddings).as_deref(), Some(url));
}

#[rstest]
#[case("https://h.example/v1", "https://h.example:443/other", true)]
#[case("https://h.example/v1", "https://H.EXAMPLE", true)]
#[case("https://h.example/v1", "http://h.example/v1", false)]
#[case("https://h.example/v1", "https://h.example:8443/v1", false)]
#[case("https://h.example/v1", "https://h.example.evil.example/v1", false)]
#[case("https://h.example/v1", "nonsense", false)]
#[case("nonsense", "nonsense", false)]
fn a_key_belongs_to_scheme_host_and_port(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
    assert_eq!(same_target(one, other), same);
}

#[rstest]
#[case("openrouter", true)]
#[case("my-relay_2", true)]
#[case("7b", true)]
#[case("abcdefghijklmnopqrstuvwxyz012345", true)]
#[case("abcdefghijklmnopqrstuvwxyz0123456", false)]
#[case("", false)]
#[case("-x", false)]
#[case("_x", false)]
#[case("Relay", false)]
#[case("a:b", false)]
#[case("a b", false)]
#[case("é", false)]
#[case("codex", false)]
fn names(#[case] name: &str, #[case] good: bool) {
    let result = check_name(name);
    assert_eq!(result.is_ok(), good, "{result:?}");
    assert!(result.is_ok() || result.unwrap_err().to_string().contains("hint:"));
}

#[test]
fn a_relay_is_checked_as_a_whole() {
    let good = relay(Wire::Chat, "https://h.example/v1");
    assert_eq!(good.check(), Ok(()));
    let bad = [
        Relay { name: "A".into(), ..good.clone() },
        Relay { prefix: "a:b".into(), ..good.clone() },
        Relay { prefix: "a".repeat(33), ..good.clone() },
        Relay { models: vec!["a b".into()], ..good.clone() },
        Relay { models: vec!["a".into(); 4097], ..good.clone() },
        Relay { weight: 0, ..good.clone() },
        Relay { weight: 1001, ..good.clone() },
        Relay { capabilities: Capabilities::NONE, ..good.clone() },
        Relay { base_url: "h.example".into(), ..good.clone() },
        Relay { base_url: "https://k@h.example/v1".into(), ..good.clone() },
        Relay { base_url: "http://h.example/v1".into(), ..good.clone() },
        Relay { base_url: "https://169.254.169.254/v1".into(), allow_private: true, ..good.clone() },
    ];
    for relay in bad {
        let error = relay.check().unwrap_err().to_string();
        assert!(error.contains("hint:") || error.contains("metadata"), "{error}");
    }
    assert_eq!(Relay { base_url: "http://127.0.0.1:11434/v1".into(), allow_private: true, ..good }.check(), Ok(()));
}

#[rstest]
#[case("relay:gpt-6-sol", Some("gpt-6-sol"))]
#[case("relay:qwen3:8b", Some("qwen3:8b"))]
#[case("or/meta/llama", Some("meta/llama"))]
#[case("relay:", None)]
#[case("or/", None)]
#[case("relays:x", None)]
#[case("gpt-6-sol", None)]
fn names_that_choose_a_relay(#[case] requested: &str, #[case] model: Option<&str>) {
    let relay = Relay { prefix: "or/".into(), ..relay(Wire::Chat, "https://h.example/v1") };
    assert_eq!(relay.chosen(requested), model);
    assert_eq!(relay.shown("meta/llama"), "or/meta/llama");
}

#[test]
fn no_prefix_chooses_nothing() {
    assert_eq!(relay(Wire::Chat, "https://h.example/v1").chosen("gpt-6-sol"), None);
}

#[test]
fn capabilities_are_read_as_they_are_written() {
    for bits in 0..16_u8 {
        let on = Capability::EACH.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        let all = on.fold(Capabilities::NONE, |all, (_, one)| all.with(one));
        assert_eq!(all.to_string().parse(), Ok(all));
    }
    assert_eq!("audio, chat".parse::<Capabilities>().unwrap().to_string(), "chat,audio");
    assert_eq!("chat,video".parse::<Capabilities>(), Err(NoCapability("video".into())));
}

#[rstest]
#[case(Wire::Responses, "https://api.openai.com/v1", "chat,embeddings,audio,images")]
#[case(Wire::Chat, "http://localhost:11434/v1", "chat,embeddings")]
#[case(Wire::Messages, "https://api.anthropic.com/v1", "chat")]
#[case(Wire::Gemini, "https://generativelanguage.googleapis.com/v1beta", "chat,embeddings")]
#[case(Wire::Gemini, "https://h.example/v1beta", "chat")]
fn likely_capabilities(#[case] wire: Wire, #[case] base: &str, #[case] words: &str) {
    assert_eq!(Capabilities::likely(wire, base).to_string(), words);
}

#[test]
fn every_protocol_has_a_name() {
    for each in [Wire::Responses, Wire::Chat, Wire::Messages, Wire::Gemini] {
        assert_eq!(wire(format(each)), Some(each));
    }
    assert_eq!((wire(" Anthropic "), wire("soap")), (Some(Wire::Messages), None));
    assert_eq!(wire("codex-responses"), Some(Wire::Responses));
}

/// Slugs with context, output and whether listed.
fn facts(page: &models::Page) -> Vec<(&str, Option<u64>, Option<u64>, bool)> {
    page.models.iter().map(|model| (model.slug.as_str(), model.context, model.max_output, model.listed)).collect()
}

#[test]
fn lists_of_openai_and_those_like_it() {
    let body = br#"{"object":"list","data":[
        {"id":"gpt-6-sol","object":"model","created":1,"owned_by":"openai"},
        {"id":"meta/llama","name":"Meta: Llama","context_length":131072,"architecture":{"input_modalities":["text","image"]},
         "top_provider":{"context_length":8192,"max_completion_tokens":4096}},
        {"id":"vllm","max_model_len":4096},
        {"id":"groq","context_window":"32768","max_completion_tokens":8000},
        {"id":"llama.cpp","meta":{"n_ctx_train":2048}},
        {"id":"embed","type":"embeddings","max_context_length":512},
        {"id":"gpt-6-sol"},{"id":7},{"id":""},{"id":"a b"},{"no":"id"},[],null,
        {"id":"odd","context_length":-5,"context_window":[],"max_model_len":9}]}"#;
    let page = models::read(body).unwrap();
    let expected = [
        ("gpt-6-sol", None, None, true),
        ("meta/llama", Some(131_072), Some(4096), true),
        ("vllm", Some(4096), None, true),
        ("groq", Some(32_768), Some(8000), true),
        ("llama.cpp", Some(2048), None, true),
        ("embed", Some(512), None, false),
        ("odd", Some(9), None, true),
    ];
    assert_eq!(facts(&page), expected);
    assert_eq!((page.shape, &page.next), (Shape::OpenAi, &None));
    assert_eq!(page.models[1].display, "Meta: Llama");
    assert_eq!(page.models[1].modalities, ["text", "image"]);
}

#[test]
fn lists_of_anthropic() {
    let body = br#"{"data":[{"type":"model","id":"claude-opus-5","display_name":"Claude Opus 5","created_at":"2026-01-01T00:00:00Z",
        "max_input_tokens":1000000,"max_tokens":64000}],"has_more":true,"first_id":"claude-opus-5","last_id":"claude-opus-5"}"#;
    let page = models::read(body).unwrap();
    assert_eq!(facts(&page), [("claude-opus-5", Some(1_000_000), Some(64_000), true)]);
    assert_eq!((page.shape, page.next), (Shape::Anthropic, Some(Next::After("claude-opus-5".into()))));
    let last = models::read(br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#).unwrap();
    assert_eq!((last.shape, last.next), (Shape::Anthropic, None));
}

#[test]
fn lists_of_gemini() {
    let body = br#"{"models":[{"name":"models/gemini-3-pro","displayName":"Gemini 3 Pro","inputTokenLimit":1048576,
        "outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]},
        {"name":"models/text-embedding","supportedGenerationMethods":["embedContent"]}],"nextPageToken":"abc"}"#;
    let page = models::read(body).unwrap();
    let expected = [("gemini-3-pro", Some(1_048_576), Some(65_536), true), ("text-embedding", None, None, false)];
    assert_eq!(facts(&page), expected);
    assert_eq!((page.shape, page.next), (Shape::Gemini, Some(Next::Token("abc".into()))));
}

#[test]
fn lists_of_ollama() {
    let body = br#"{"models":[{"name":"qwen3:8b","model":"qwen3:8b","modified_at":"2026-01-01T00:00:00Z","size":1,"digest":"d",
        "details":{"family":"qwen3"},"capabilities":["completion","vision"]}]}"#;
    let page = models::read(body).unwrap();
    assert_eq!(facts(&page), [("qwen3:8b", None, None, true)]);
    assert_eq!((page.shape, page.models[0].modalities.join(" ")), (Shape::Ollama, "text image".into()));
}

#[test]
fn a_stored_list_is_read_back_as_it_was() {
    let bare = models::read(br#" [{"id":"a","context_length":5,"name":"A"},{"id":"b"}]"#).unwrap();
    assert_eq!(models::read(&models::write(&bare.models)).unwrap().models, bare.models);
    assert_eq!(models::read(&models::write(&[])).unwrap().models, []);
    let named = models::named("q\\x").into_iter().chain(models::named("gpt-6-sol")).collect::<Vec<_>>();
    assert_eq!(named.len(), 1);
    assert_eq!(models::read(&models::write(&named)).unwrap().models, named);
}

#[test]
fn what_is_no_list_is_refused_and_long_ones_are_cut() {
    for body in [&b""[..], b"{}", b"[", b"<html>", b"{\"data\":{}}", b"{\"error\":\"x\"}", b"\xff"] {
        assert!(matches!(models::read(body), Err(ListError::Shape(_))), "{body:?}");
    }
    let entries: Vec<String> = (0..5000).map(|at| format!("{{\"id\":\"m{at}\"}}")).collect();
    let page = models::read(format!("{{\"data\":[{}]}}", entries.join(",")).as_bytes()).unwrap();
    assert_eq!(page.models.len(), models::MOST);
}

#[rstest]
#[case("https://api.openai.com/v1", true)]
#[case("https://api.groq.com/openai/v1", true)]
#[case("https://generativelanguage.googleapis.com/v1beta/openai", true)]
#[case("https://mine.openai.azure.com/openai/v1", true)]
#[case("https://openrouter.ai/api/v1", false)]
#[case("https://api.deepseek.com/v1", false)]
#[case("https://api.openai.com.example/v1", false)]
#[case("http://127.0.0.1:11434/v1", false)]
fn some_services_refuse_fields_of_others(#[case] base_url: &str, #[case] strict: bool) {
    assert_eq!(relay(Wire::Chat, base_url).strict(), strict);
}

#[rstest]
#[case("https://api.openai.com/v1", false)]
#[case("https://mine.openai.azure.com/openai/v1", false)]
#[case("https://api.openai.com.example/v1", true)]
#[case("https://api.x.ai/v1", true)]
#[case("http://127.0.0.1:11434/v1", true)]
fn free_text_tools_are_for_openai_alone(#[case] base_url: &str, #[case] functions_only: bool) {
    assert_eq!(relay(Wire::Chat, base_url).functions_only(), functions_only);
}
