//! A Mac on which something goes wrong.
