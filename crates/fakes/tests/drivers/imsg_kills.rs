//! A bridge, a child, a server and a network that die.
