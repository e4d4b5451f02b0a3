mod child;
mod rpc;
pub use child::ImsgProgram;
pub struct Imsg;
