//! Tells what a file is, whether it is whole, and what is dangerous in it.
