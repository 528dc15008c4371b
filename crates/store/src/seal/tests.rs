use super::*;

fn sealer(byte: u8) -> Sealer {
    Sealer::new(&[byte; 32]).unwrap()
}

const PLACE: FieldId<'_> = FieldId { table: "account", column: "refresh", row: "id-1" };

#[test]
fn a_secret_opens_only_in_its_place_and_with_its_key() {
    let secret = Secret::from("token");
    let sealed = sealer(1).seal(PLACE, &secret).unwrap();
    assert_eq!(sealer(1).open(PLACE, &sealed).unwrap(), secret);
    let cases = [
        ("another row", sealer(1), FieldId { row: "id-2", ..PLACE }),
        ("another column", sealer(1), FieldId { column: "access", ..PLACE }),
        ("another table", sealer(1), FieldId { table: "cookies", ..PLACE }),
        ("another key", sealer(2), PLACE),
    ];
    for (name, sealer, place) in cases {
        assert!(matches!(sealer.open(place, &sealed), Err(Error::CannotUnseal { .. })), "{name}");
    }
    assert!(sealer(1).is_sealed_by_this_key(&sealed) && !sealer(2).is_sealed_by_this_key(&sealed));
}

#[test]
fn every_changed_character_is_noticed() {
    let sealed = sealer(1).seal(PLACE, &Secret::from("token")).unwrap();
    for at in 0..sealed.len() {
        let mut text = sealed.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(text).unwrap();
        assert!(sealer(1).open(PLACE, &text).is_err(), "character {at}");
        assert!(sealer(1).open(PLACE, &sealed[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn equal_secrets_look_different() {
    let secret = Secret::from("token");
    assert_ne!(sealer(1).seal(PLACE, &secret).unwrap(), sealer(1).seal(PLACE, &secret).unwrap());
    for text in ["", "ü", &"x".repeat(100_000)] {
        let sealed = sealer(1).seal(PLACE, &Secret::from(text)).unwrap();
        assert_eq!(sealer(1).open(PLACE, &sealed).unwrap().expose(), text);
    }
}

#[test]
fn hex_goes_both_ways() {
    let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8).unwrap());
    assert_eq!(unhex(&hex(&bytes)), Some(bytes));
    for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(66)] {
        assert_eq!(unhex(bad), None, "{bad}");
    }
}
