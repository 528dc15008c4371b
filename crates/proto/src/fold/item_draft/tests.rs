use rstest::rstest;

use super::*;

fn push_text(draft: &mut ItemDraft, channel: Channel, bytes: usize) {
    draft.delta(0, channel, &Text::from_plain(&"\u{e9}".repeat(bytes / 2)));
}

#[rstest]
#[case::text(Head::Message { phase: None }, Channel::Text)]
#[case::thought(Head::Reasoning, Channel::Summary)]
fn a_brief_draft_forgets_a_long_text_and_the_done_item_restores_it(#[case] head: Head, #[case] channel: Channel) {
    let (mut brief, mut whole) = (ItemDraft::brief(), ItemDraft::default());
    for draft in [&mut brief, &mut whole] {
        draft.open(&head);
        push_text(draft, channel, BRIEF);
    }
    assert!(!brief.is_forgotten() && !brief.text(0, channel).is_empty());
    for draft in [&mut brief, &mut whole] {
        push_text(draft, channel, 10 * BRIEF);
    }
    assert!(brief.is_forgotten() && brief.text_length(1, channel) == 0);
    assert_eq!(brief.text_length(0, channel), whole.text_length(0, channel));
    let capacity: usize = brief.pieces.iter().map(|piece| piece.text.capacity()).sum();
    assert_eq!(capacity, 0);
    let item = brief.item().unwrap();
    whole.done(&item);
    let whole = whole.item().unwrap();
    assert_ne!(whole, item);
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

/// The input of a call is never dropped: it goes out whole.
#[test]
fn the_input_of_a_call_is_kept() {
    let mut draft = ItemDraft::brief();
    push_text(&mut draft, Channel::Arguments, 10 * BRIEF);
    assert!(!draft.is_forgotten());
    assert_eq!(draft.text(0, Channel::Arguments).escaped().len(), 10 * BRIEF);
}
