use super::{MORE, MOST, Notes};

#[test]
fn a_list_without_repeats_ends_somewhere() {
    let mut notes = Notes::default();
    for at in 0..MOST * 2 {
        notes.add(format!("dropped {}", at / 2));
    }
    assert_eq!((notes.iter().count(), notes.iter().last()), (MOST, Some("dropped 63")));
    let mut other = Notes::default();
    for at in 0..400_000 {
        other.add(format!("dropped u{at}"));
    }
    assert_eq!((other.iter().count(), other.iter().last()), (MOST + 1, Some(MORE)));
    notes.extend(other);
    assert_eq!((notes.iter().count(), notes.iter().last()), (MOST + 1, Some(MORE)));
    assert!(notes.header().len() <= 1024);
}
