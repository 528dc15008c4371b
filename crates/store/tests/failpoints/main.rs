//! What a crash or a failed call at any moment leaves behind. Needs the feature `failpoints`.

mod kill;
mod nth;
mod site;
