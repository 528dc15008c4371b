//! A list of many chunks.

use super::*;

/// A choice that passes over chunks of the list comes to what the explanation of every account puts first.
#[test]
fn a_long_list_is_chosen_from_as_if_it_were_looked_through() {
    let ids: Vec<String> = (0..700).map(|n| format!("{:03}", n * 7919 % 700)).collect();
    let mut fixture = Fixture::new(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 2);
    let mut held = VecDeque::new();
    for step in 0..2000_usize {
        fixture.at = Millis(1 + i64::try_from(step / 3).expect("small"));
        if step % 5 == 0 {
            let mut entry =
                AccountEntry::clone(fixture.list.get(&AccountId(ids[step * 31 % 700].clone())).expect("it is there"));
            entry.account.status = if step % 10 == 0 { Status::Disabled } else { Status::Active };
            entry.account.limits.priority = i32::from(step % 3 == 0);
            fixture.list = fixture.list.with_entry(entry);
        }
        let first = fixture.explained().into_iter().next().map(|(id, _)| id);
        let permit = fixture.now();
        assert_eq!(Some(permit.account()), first.as_ref(), "step {step}");
        held.push_back(permit);
        if held.len() > 300 || step % 4 == 0 {
            held.pop_front();
        }
    }
}
