use super::State;
use crate::dialect::Wire;

#[test]
fn opens_what_it_seals() {
    let cases = [
        (Wire::Responses, "rs_1-a", "gAAA.b=", "pg1.r.rs_1-a.gAAA.b="),
        (Wire::Messages, "", "EqQB", "pg1.m..EqQB"),
        (Wire::Gemini, "", "Cg==", "pg1.g..Cg=="),
        (Wire::Chat, "", "", "pg1.c.."),
    ];
    for (wire, id, data, text) in cases {
        let state = State { wire, id, data };
        assert_eq!(state.seal(), text);
        assert_eq!(State::open(text), Some(state));
    }
}

#[test]
fn leaves_out_an_id_that_would_break_the_envelope() {
    assert_eq!(State { wire: Wire::Responses, id: "a.b", data: "x" }.seal(), "pg1.r..x");
}

#[test]
fn is_not_fooled() {
    for text in ["", "gAAAAABo", "pg1.", "pg1.x.a.b", "pg1.r.no-data"] {
        assert_eq!(State::open(text), None, "{text}");
    }
}
