use rstest::rstest;

use super::*;

fn said(slot: &mut ItemDraft, channel: Channel, bytes: usize) {
    slot.delta(0, channel, &Text::from_plain(&"\u{e9}".repeat(bytes / 2)));
}

#[rstest]
#[case::text(Head::Message { phase: None }, Channel::Text)]
#[case::thought(Head::Reasoning, Channel::Summary)]
fn a_brief_slot_forgets_a_long_text_and_who_kept_it_puts_it_in(#[case] head: Head, #[case] channel: Channel) {
    let (mut brief, mut whole) = (ItemDraft::brief(), ItemDraft::default());
    for slot in [&mut brief, &mut whole] {
        slot.open(&head);
        said(slot, channel, BRIEF);
    }
    assert!(!brief.is_forgotten() && !brief.text(0, channel).is_empty());
    for slot in [&mut brief, &mut whole] {
        said(slot, channel, 10 * BRIEF);
    }
    assert!(brief.is_forgotten() && brief.text_length(1, channel) == 0);
    assert_eq!(brief.text_length(0, channel), whole.text_length(0, channel));
    let kept: usize = brief.pieces.iter().map(|piece| piece.text.capacity()).sum();
    assert_eq!(kept, 0);
    let said = brief.item().unwrap();
    whole.done(&said);
    let whole = whole.item().unwrap();
    assert_ne!(whole, said);
    let texts = match whole.kind {
        ItemKind::Message { parts, .. } => parts
            .iter()
            .map(|part| matches!(part, Part::Text { text, .. } if text.escaped().len() >= 11 * BRIEF))
            .collect::<Vec<_>>(),
        ItemKind::Reasoning { summary, .. } => summary.iter().map(|text| text.escaped().len() >= 11 * BRIEF).collect(),
        kind => panic!("{kind:?}"),
    };
    assert_eq!(texts, [true]);
}

/// The input of a call is never forgotten: it goes out whole.
#[test]
fn what_a_call_is_made_with_is_kept() {
    let mut slot = ItemDraft::brief();
    said(&mut slot, Channel::Arguments, 10 * BRIEF);
    assert!(!slot.is_forgotten());
    assert_eq!(slot.text(0, Channel::Arguments).escaped().len(), 10 * BRIEF);
}
