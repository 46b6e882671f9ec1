//! The reader.
/// A fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault;
/// The reader.
#[derive(Debug)]
pub struct Reader;
