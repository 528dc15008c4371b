//! Ten accounts of four plans, and what becomes of each of them: every row says what the backend is told to do, which request
//! comes, which accounts must be asked by the rules, how all ten stand afterwards, and that what is said about them is true.
//!
//! [`ten`] is the language of the rows.

mod answers;
mod cache;
mod chains;
mod everybody;
mod heals;
mod logins;
mod midway;
mod order;
mod ten;
