//! The backend cookie allow-list, one jar per account.
